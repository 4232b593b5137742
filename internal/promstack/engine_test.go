package promstack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// patience is how long a test waits for something that should take a moment.
const patience = 30 * time.Second

// eventually asks until it gets no error.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// target serves text as metrics.
func target(t *testing.T, text string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, text)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// jobs is a configuration that scrapes each named address often.
func jobs(addresses map[string]string) string {
	var b strings.Builder
	b.WriteString("global: {scrape_interval: 100ms, evaluation_interval: 100ms}\nscrape_configs:\n")
	for name, address := range addresses {
		fmt.Fprintf(&b, "  - job_name: %s\n    static_configs: [{targets: [%q]}]\n", name, address)
	}
	return b.String()
}

// engine is a running Engine.
type engine struct {
	*Engine
	t    *testing.T
	file string
	log  *syncBuffer
	stop func() error // waits for the end; may be called once more
}

// syncBuffer collects a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// testConfig runs a configuration with its data in dir.
func testConfig(t *testing.T, dir, yml string) (Config, *syncBuffer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	writeFile(t, file, yml)
	log := &syncBuffer{}
	return Config{
		Source:            Source{File: file},
		Storage:           StorageConfig{Dir: dir},
		DiscoveryInterval: 50 * time.Millisecond,
		Registry:          prometheus.NewRegistry(),
		Log:               slog.New(slog.NewTextHandler(log, nil)),
	}, log
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs an engine until the test ends and returns when it is ready.
func start(t *testing.T, cfg Config, log *syncBuffer) *engine {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- e.Run(ctx, func() { close(ready) }) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("ended before it was ready: %v", err)
	}
	return &engine{e, t, cfg.Source.File, log, stop}
}

func startYML(t *testing.T, dir, yml string) *engine {
	t.Helper()
	cfg, log := testConfig(t, dir, yml)
	return start(t, cfg, log)
}

// get asks the API.
func (e *engine) get(path string, query url.Values) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+query.Encode(), nil))
	return w
}

// query returns the values of an instant query at a time, by the label job.
func (e *engine) query(expr string, at time.Time) (map[string]string, error) {
	w := e.get("/query", url.Values{"query": {expr}, "time": {fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000)}})
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("answer %d %q: %w", w.Code, w.Body, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	values := make(map[string]string)
	for _, r := range answer.Data.Result {
		values[r.Metric["job"]] = r.Value[1].(string)
	}
	return values, nil
}

// wants waits until a query gives this value for the job.
func (e *engine) wants(expr, job, value string) {
	e.t.Helper()
	eventually(e.t, func() error {
		got, err := e.query(expr, time.Now())
		if err != nil {
			return err
		}
		if got[job] != value {
			return fmt.Errorf("%s: got %v, want %s for job %s", expr, got, value, job)
		}
		return nil
	})
}

// metric is the value of one of the engine's own gauges.
func (e *engine) metric(name string) float64 {
	e.t.Helper()
	families, err := e.reg.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	e.t.Fatalf("no metric %s", name)
	return 0
}
