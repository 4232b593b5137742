package promstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestScrapesAndAnswers(t *testing.T) {
	e := startYML(t, t.TempDir(), jobs(map[string]string{"a": target(t, "answer 42\n")}))
	e.wants("answer", "a", "42")
	e.wants("up", "a", "1")
	e.wants("min_over_time(up[1m] @ end() offset -1s)", "a", "1") // parts of the language that a library has off
	for path, want := range map[string]string{
		"/status/config":      "job_name: a",
		"/status/runtimeinfo": `"storageRetention":"15d"`,
		"/status/tsdb":        `"numSeries":`,
		"/status/walreplay":   `{"status":"success","data":{"min":`,
		"/targets":            `"health":"up"`,
		"/rules":              `"groups":[]`,
		"/alertmanagers":      `"activeAlertmanagers":[]`,
		"/features":           `"kubernetes":true`,
		"/label/job/values":   `["a"]`,
	} {
		if w := e.get(path, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s\nwant %s", path, w.Code, w.Body, want)
		}
	}
	if got := e.metric("prometheus_ready"); got != 1 {
		t.Errorf("prometheus_ready is %g", got)
	}
}

func TestReadyOnlyWhileItRuns(t *testing.T) {
	cfg, log := testConfig(t, t.TempDir(), jobs(nil))
	idle, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Ready(); err == nil || !strings.HasPrefix(err.Error(), "starting") {
		t.Errorf("before the start: %v", err)
	}
	if err := idle.Reload(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("reload before the start: %v", err)
	}
	check := func(e *Engine, code int, stopping string) {
		t.Helper()
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/query?query=1", nil))
		if got := w.Header().Get("X-Prometheus-Stopping"); w.Code != code || got != stopping {
			t.Errorf("got %d, stopping %q; want %d, %q", w.Code, got, code, stopping)
		}
	}
	check(idle, http.StatusServiceUnavailable, "false")

	cfg.Registry = nil // one registry for each engine
	e := start(t, cfg, log)
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	check(e.Engine, http.StatusOK, "")
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(); err == nil || err.Error() != "stopping" {
		t.Errorf("after the stop: %v", err)
	}
	check(e.Engine, http.StatusServiceUnavailable, "true")
}

func TestRestartKeepsSamples(t *testing.T) {
	dir := t.TempDir()
	e := startYML(t, dir, jobs(map[string]string{"a": target(t, "answer 42\n")}))
	e.wants("count_over_time(answer[1h]) > bool 2", "a", "1")
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "chunk_snapshot.*")); len(found) != 1 {
		t.Errorf("snapshots on disk: %v", found)
	}
	e = startYML(t, dir, jobs(nil))
	e.wants("count_over_time(answer[1h]) > bool 2", "a", "1")
	if !strings.Contains(e.log.String(), "Storage is open") {
		t.Errorf("log does not tell of the storage:\n%s", e.log)
	}
}

func TestReload(t *testing.T) {
	a, b := target(t, "answer 42\n"), target(t, "answer 43\n")
	e := startYML(t, t.TempDir(), jobs(map[string]string{"a": a}))
	e.wants("answer", "a", "42")

	writeFile(t, e.file, jobs(map[string]string{"a": a, "b": b}))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	e.wants("answer", "b", "43")

	writeFile(t, e.file, "global:\n  scrape_intervall: 15s\n")
	want := e.file + `:2: unknown field "scrape_intervall"`
	if err := e.Reload(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := e.metric("prometheus_config_last_reload_successful"); got != 0 {
		t.Errorf("prometheus_config_last_reload_successful is %g", got)
	}
	if !strings.Contains(e.log.String(), "scrape_intervall") {
		t.Error("the log does not tell of the broken configuration")
	}
	if w := e.get("/status/config", nil); !strings.Contains(w.Body.String(), "job_name: b") {
		t.Errorf("the old configuration is gone: %s", w.Body)
	}
	before := time.Now()
	eventually(t, func() error { // it is still being scraped
		got, err := e.query(`timestamp(answer{job="b"}) > `+unix(before), time.Now())
		if err == nil && len(got) == 0 {
			err = errors.New("no new sample")
		}
		return err
	})

	writeFile(t, e.file, jobs(map[string]string{"b": b}))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := e.metric("prometheus_config_last_reload_successful"); got != 1 {
		t.Errorf("prometheus_config_last_reload_successful is %g", got)
	}
}

// A configuration that is sound in itself can still be refused by a part; then
// no part keeps it.
func TestReloadGoesBackWhole(t *testing.T) {
	a, b := target(t, "answer 42\n"), target(t, "answer 43\n")
	e := startYML(t, t.TempDir(), jobs(map[string]string{"a": a}))
	e.wants("answer", "a", "42")
	writeFile(t, e.file, strings.Replace(jobs(map[string]string{"b": b}), "global: {",
		"global: {query_log_file: missing/folder/query.log, ", 1))
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "query_log_file") {
		t.Errorf("got %v", err)
	}
	before := time.Now()
	eventually(t, func() error {
		got, err := e.query(`timestamp(answer{job="a"}) > `+unix(before), time.Now())
		if err == nil && len(got) == 0 {
			err = errors.New("job a is not scraped any more")
		}
		return err
	})
	if w := e.get("/status/config", nil); strings.Contains(w.Body.String(), "job_name: b") {
		t.Errorf("the refused configuration is said to be in force: %s", w.Body)
	}
}

// A stop does not wait for a target that hangs until its timeout, and does not
// record it as down.
func TestStopCutsScrapesOff(t *testing.T) {
	entered := make(chan struct{}, 100)
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	dir := t.TempDir()
	// Each target's first scrape comes at its own moment of the interval; of
	// twenty one comes soon.
	yml := "scrape_configs:\n- job_name: h\n  scrape_interval: 15s\n  scrape_timeout: 15s\n  static_configs:\n"
	for i := range 20 {
		yml += fmt.Sprintf("  - {targets: [%q], labels: {n: '%d'}}\n", strings.TrimPrefix(hanging.URL, "http://"), i)
	}
	e := startYML(t, dir, yml)
	<-entered
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e = startYML(t, dir, jobs(nil))
	if got, err := e.query("max_over_time(up[1h])", time.Now()); err != nil || len(got) != 0 {
		t.Errorf("the scrape that was cut off left %v, %v", got, err)
	}
}

func TestEndDuringTheStart(t *testing.T) {
	dir, err := os.MkdirTemp("", "promstack") // is written to after Run has returned
	if err != nil {
		t.Fatal(err)
	}
	cfg, log := testConfig(t, dir, jobs(nil))
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx, func() { t.Error("ready") }); err != nil {
		t.Errorf("got %v", err)
	}
	eventually(t, func() error { // what was begun is given up in the end
		if !strings.Contains(log.String(), "chunk snapshot complete") {
			return errors.New("the storage is still open")
		}
		return os.RemoveAll(dir)
	})
}

func TestDataDirectoryErrors(t *testing.T) {
	taken := t.TempDir()
	startYML(t, taken, jobs(nil))
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	for dir, want := range map[string]string{
		taken:                     "is in use by another process: stop that one, or choose another directory",
		file:                      "is not a directory: choose another one",
		filepath.Join(file, "in"): "is not a directory: choose another one",
	} {
		cfg, _ := testConfig(t, dir, jobs(nil))
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = e.Run(t.Context(), func() { t.Error("ready") })
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", dir, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(taken, "lock")); err != nil {
		t.Errorf("the running engine has lost its lock: %v", err)
	}
}

func TestProgramVersion(t *testing.T) {
	for library, want := range map[string]string{"v0.315.0": "3.15.0", "v0.301.2": "3.1.2", "v3.15.0": "3.15.0", "(devel)": "(devel)"} {
		if got := programVersion(library); got != want {
			t.Errorf("%s: got %s, want %s", library, got, want)
		}
	}
}

// unix is a time as PromQL compares it.
func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
