package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.yaml.in/yaml/v3"

	"watchpost/internal/probe"
	"watchpost/internal/promstack"
	"watchpost/internal/push"
)

// patience bounds each wait.
const patience = 60 * time.Second

// ruleFile is a file of rules, as far as the tests look at it.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	files, err := filepath.Glob("rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	var all []rule
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var file ruleFile
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// TestQueries asks a store that holds what the programs say: every recording rule
// and every query of a dashboard has an answer, and every metric and label that an
// alert looks at is there. Whether alerts fire is for tests/ and promtool.
func TestQueries(t *testing.T) {
	e := newEngine(t)
	for _, r := range rules(t) {
		if r.Record != "" {
			e.answers(r.Expr)
			e.answers(r.Record)
			continue
		}
		for _, s := range e.selectors(r.Expr) {
			e.answers(s)
		}
	}
	for _, d := range dashboards {
		for _, q := range d.queries() {
			e.answers(q)
		}
	}
}

// engine is one that scrapes the recorded expositions, and itself.
type engine struct {
	t *testing.T
	*promstack.Engine
	known map[string]bool // what has answered
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	own := prometheus.NewRegistry()
	own.MustRegister(promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{}))
	silent := slog.New(slog.DiscardHandler)
	if _, err := probe.New(probe.Config{Registry: own, Log: silent}); err != nil {
		t.Fatal(err)
	}
	if _, err := push.New(push.Config{Registry: own, Log: silent}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/own", promhttp.HandlerFor(own, promhttp.HandlerOpts{}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	var config strings.Builder
	folder, err := filepath.Abs("rules")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&config, "global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 500ms}\nrule_files: [%q]\nscrape_configs:\n", folder+"/*.yml")
	pages := 0
	job := func(name, path string) {
		pages++
		fmt.Fprintf(&config, `  - job_name: %d
    metrics_path: %s
    honor_labels: true
    static_configs: [{targets: [%q], labels: {cluster: prod, job: %s, instance: target-%d}}]
`, pages, path, server.Listener.Addr(), name, pages)
	}
	job("collector", "/own")
	for name, files := range map[string][]string{
		"node": {"../../cmd/node-agent/testdata/metrics.txt"}, "state-agent": {"../../kube/testdata/expected.txt"},
		"cadvisor-proxy": {"../../cmd/cadvisor-proxy/testdata/metrics.txt"},
	} {
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			path := fmt.Sprintf("/%s/%d", name, pages)
			mux.Handle(path, grow(t, text))
			job(name, path)
		}
	}
	more, err := os.ReadFile("testdata/more.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(more), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		path := fmt.Sprintf("/%s/%d", name, pages)
		mux.Handle(path, grow(t, []byte(text+"\n")))
		job(name, path)
	}

	e, err := promstack.New(promstack.Config{
		Source:   promstack.Source{Text: []byte(config.String())},
		Storage:  promstack.StorageConfig{Dir: filepath.Join(t.TempDir(), "data")},
		Registry: own, Log: silent, DiscoveryInterval: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- e.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatal("the engine does not become ready")
	}
	return &engine{t, e, make(map[string]bool)}
}

// grow serves an exposition whose counters are a hundredth larger each time, so that
// there are rates. Its samples have the time on them: a scrape that fails on a slow
// machine then takes nothing away.
func grow(t *testing.T, text []byte) http.Handler {
	t.Helper()
	type line struct {
		name  []byte // all before the value; of a comment the whole line
		value float64
		kind  byte // '#', 'c' of a counter, 'g' of anything else
	}
	name := regexp.MustCompile(`^(\w+?)(_bucket|_sum|_count)?[{ ]`)
	counters := make(map[string]bool)
	var lines []line
	for l := range bytes.Lines(text) {
		l = bytes.TrimSpace(l)
		if f := bytes.Fields(l); len(f) == 4 && string(f[1]) == "TYPE" {
			counters[string(f[2])] = string(f[3]) == "counter" || string(f[3]) == "histogram"
		}
		m := name.FindSubmatch(l)
		if m == nil {
			lines = append(lines, line{name: l, kind: '#'})
			continue
		}
		i := bytes.LastIndexByte(l, ' ')
		value, err := strconv.ParseFloat(string(l[i+1:]), 64)
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		kind := byte('g')
		if counters[string(m[1])] || counters[string(m[1])+string(m[2])] {
			kind = 'c'
		}
		lines = append(lines, line{l[:i], value, kind})
	}
	var times atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		factor := 1 + float64(times.Add(1))/100
		now := time.Now().UnixMilli()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		page := bufio.NewWriter(w)
		for _, l := range lines {
			switch l.kind {
			case '#':
				fmt.Fprintf(page, "%s\n", l.name)
			case 'c':
				fmt.Fprintf(page, "%s %g %d\n", l.name, l.value*factor, now)
			default:
				fmt.Fprintf(page, "%s %g %d\n", l.name, l.value, now)
			}
		}
		page.Flush() // an error is the scraper's: it has gone
	})
}

// get asks the API.
func (e *engine) get(path string, query string, data any) error {
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, httptest.NewRequest("GET", path+"?query="+url.QueryEscape(query), nil))
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		return fmt.Errorf("%d %s: %w", w.Code, w.Body, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// answers waits until a query has an answer with a number in it.
func (e *engine) answers(expr string) {
	e.t.Helper()
	if e.known[expr] {
		return
	}
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var data struct {
			Result []struct{ Value [2]any }
		}
		if err := e.get("/query", expr, &data); err != nil {
			e.t.Errorf("%s: %v", expr, err)
			return
		}
		last = "nothing"
		for _, r := range data.Result {
			if r.Value[1] != "NaN" {
				e.known[expr] = true
				return
			}
			last = "NaN alone"
		}
		if e.t.Failed() {
			break // one that waits in vain is enough to wait for
		}
	}
	e.t.Errorf("%s: %s", expr, last)
}

// selectors are the metrics that an expression looks at, each with one label that it
// looks at: what its values must be for an alert is another matter.
func (e *engine) selectors(expr string) []string {
	e.t.Helper()
	var tree any
	if err := e.get("/parse_query", expr, &tree); err != nil {
		e.t.Fatalf("%s: %v", expr, err)
	}
	found := make(map[string]bool)
	var walk func(any)
	walk = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, part := range n {
				walk(part)
			}
		case map[string]any:
			if n["type"] == "vectorSelector" || n["type"] == "matrixSelector" {
				name := fmt.Sprint(n["name"])
				found[name] = true
				for _, m := range n["matchers"].([]any) {
					if label := m.(map[string]any)["name"].(string); label != "__name__" {
						found[fmt.Sprintf("%s{%s!=\"\"}", name, label)] = true
					}
				}
			}
			for _, part := range n {
				walk(part)
			}
		}
	}
	walk(tree)
	return slices.Sorted(maps.Keys(found))
}

// TestDashboardFiles holds the files to the table.
func TestDashboardFiles(t *testing.T) {
	var files []string
	for _, d := range dashboards {
		want, err := d.render()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(d.file()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table says (%v): go run . in this folder", d.file(), err)
		}
		files = append(files, d.file())
	}
	slices.Sort(files)
	if there, _ := filepath.Glob("dashboards/*"); !slices.Equal(there, files) {
		t.Errorf("dashboards has %q, the table %q", there, files)
	}
}

// TestAlertsSayWhatToDo holds alerts to one form, and to a unit test in which they fire.
func TestAlertsSayWhatToDo(t *testing.T) {
	tests, err := filepath.Glob("tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	fires := make(map[string]bool)
	for _, f := range tests {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`alertname="(\w+)"}', value`).FindAllStringSubmatch(string(text), -1) {
			fires[m[1]] = true
		}
	}
	names := make(map[string]bool)
	for _, r := range rules(t) {
		if r.Record != "" {
			if !regexp.MustCompile(`^[a-z_]+:[a-zA-Z0-9_]+:[a-z0-9_]+$`).MatchString(r.Record) {
				t.Errorf("%s is not level:metric:operations", r.Record)
			}
			continue
		}
		if names[r.Alert] {
			t.Errorf("%s is there twice", r.Alert)
		}
		names[r.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info", "none"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
			t.Errorf("%s does not say what is wrong and what to do", r.Alert)
		}
		if !fires[r.Alert] {
			t.Errorf("%s fires in no test under tests/", r.Alert)
		}
	}
}
