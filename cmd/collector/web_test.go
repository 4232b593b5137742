package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchpost/internal/promstack"
	"watchpost/internal/run"
)

// collectorOn runs the parts of the collector on a socket until the test ends,
// with an engine that runs only once begin is called.
func collectorOn(t *testing.T, args ...string) (client *http.Client, begin func(), quit <-chan struct{}) {
	t.Helper()
	// Not t.TempDir: the path of a socket may have 107 bytes only.
	dir, err := os.MkdirTemp("", "collector")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "web.sock")
	o, err := parse(t, append(args, "--web.listen-address=unix:"+socket, "--storage.tsdb.path="+filepath.Join(dir, "data"))...)
	if err != nil {
		t.Fatal(err)
	}
	own := ownMetrics()
	o.engine.Registry = own
	engine, err := promstack.New(o.engine)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	parts, err := o.gateways(engine, own, silent)
	if err != nil {
		t.Fatal(err)
	}
	servers, err := o.servers(parts, own, asked, silent)
	if err != nil {
		t.Fatal(err)
	}
	start, serving := make(chan struct{}), make(chan struct{})
	waiting := run.Task{Name: "wait", Run: func(ctx context.Context, ready func()) error {
		close(serving)
		select {
		case <-start:
			ready()
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run.Run(ctx, silent, append(parts.tasks(), servers[len(servers)-1].server.Task(), waiting, o.reload(parts, silent), o.engineTask(engine, func() {}))...)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	<-serving
	client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	return client, func() {
		close(start)
		deadline := time.Now().Add(30 * time.Second)
		for engine.Ready() != nil {
			if time.Now().After(deadline) {
				t.Fatal("the engine does not become ready")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}, asked
}

// ask returns the status and text of an answer.
func ask(t *testing.T, c *http.Client, method, path string, header ...string) (int, string) {
	t.Helper()
	return send(t, c, method, path, nil, header...)
}

// send is ask with a body.
func send(t *testing.T, c *http.Client, method, path string, body io.Reader, header ...string) (int, string) {
	t.Helper()
	r := &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: "collector"}, Header: http.Header{}}
	if body != nil {
		r.Body = io.NopCloser(body)
	}
	var query string
	r.URL.Path, query, _ = strings.Cut(path, "?")
	r.URL.RawQuery = query
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestProbesDuringTheStart(t *testing.T) {
	c, begin, _ := collectorOn(t)
	expect := func(method, path string, code int, text string) {
		t.Helper()
		if got, body := ask(t, c, method, path); got != code || !strings.Contains(body, text) {
			t.Errorf("%s %s: %d %s; want %d %s", method, path, got, body, code, text)
		}
	}
	expect("GET", "/-/healthy", 200, "healthy")
	expect("GET", "/healthz", 200, "ok")
	expect("GET", "/-/ready", 503, "The collector is not ready: starting")
	expect("GET", "/readyz", 503, "engine: starting")
	expect("GET", "/api/v1/query?query=1", 503, "")
	expect("GET", "/api/v1/status/walreplay", 200, `"status":"success"`)
	expect("GET", "/metrics", 200, "prometheus_ready 0")
	begin()
	expect("GET", "/-/ready", 200, "ready")
	expect("HEAD", "/-/ready", 200, "")
	expect("GET", "/readyz", 200, "engine: ok")
	expect("GET", "/api/v1/query?query=1", 200, `"success"`)
	expect("GET", "/metrics", 200, "prometheus_ready 1")
	expect("GET", "/metrics", 200, "watchpost_collector_build_info{")
	expect("GET", "/metrics", 200, `prometheus_http_requests_total{code="200",handler="/api/v1/query"} 1`)
	expect("GET", "/nowhere", 404, "")
}

func TestLifecycle(t *testing.T) {
	file := write(t, "prometheus.yml", "scrape_configs: []\n")
	c, begin, quit := collectorOn(t, "--web.enable-lifecycle", "--config.file="+file)
	if code, body := ask(t, c, "POST", "/-/reload"); code != 503 || !strings.Contains(body, "not running") {
		t.Errorf("during the start: %d %s", code, body)
	}
	begin()
	expect := func(method, path string, code int, text string, header ...string) {
		t.Helper()
		if got, body := ask(t, c, method, path, header...); got != code || !strings.Contains(body, text) {
			t.Errorf("%s %s: %d %s; want %d %s", method, path, got, body, code, text)
		}
	}
	expect("POST", "/-/reload", 200, "")
	expect("PUT", "/-/reload", 200, "")
	expect("GET", "/-/reload", 405, "")
	expect("POST", "/-/reload", 403, "cross-origin", "Origin", "https://elsewhere.example")
	if err := os.WriteFile(file, []byte("scrape_configs: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("POST", "/-/reload", 500, "failed to reload config: "+file+":1: ")
	expect("GET", "/metrics", 200, "prometheus_config_last_reload_successful 0")
	expect("POST", "/-/quit", 200, "")
	<-quit
}

func TestAutoReload(t *testing.T) {
	file := write(t, "prometheus.yml", "scrape_configs: []\n")
	c, begin, _ := collectorOn(t, "--config.auto-reload", "--config.auto-reload-interval=1s", "--config.file="+file)
	begin()
	if err := os.WriteFile(file, []byte("scrape_configs: [{job_name: fresh}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, body := ask(t, c, "GET", "/api/v1/status/config")
		if strings.Contains(body, "job_name: fresh") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the change is not seen: %s", body)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestLifecycleIsOffUnlessAllowed(t *testing.T) {
	c, begin, _ := collectorOn(t)
	begin()
	for _, path := range []string{"/-/reload", "/-/quit"} {
		if code, body := ask(t, c, "POST", path); code != 403 || !strings.Contains(body, "not enabled") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := ask(t, c, "POST", "/api/v1/admin/tsdb/snapshot"); code != 500 || !strings.Contains(body, "admin APIs disabled") {
		t.Errorf("snapshot: %d %s", code, body)
	}
}

func TestEverythingBelowThePrefix(t *testing.T) {
	c, begin, _ := collectorOn(t, "--web.external-url=https://host.example/deep")
	begin()
	for path, want := range map[string]int{
		"/deep/-/ready": 200, "/deep/metrics": 200, "/deep/api/v1/query?query=1": 200, "/": 302,
		"/-/ready": 404, "/metrics": 404, "/api/v1/query?query=1": 404, "/healthz": 200,
	} {
		if code, body := ask(t, c, "GET", path); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}
