package proxyagent

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"watchpost/internal/containers"
	"watchpost/internal/fetch"
	"watchpost/internal/kubelet"
	"watchpost/internal/podmap"
	"watchpost/internal/serve"
	"watchpost/internal/testkubelet"
)

// proxy is an Agent on a fake kubelet.
type proxy struct {
	*Agent
	url     string
	kubelet *testkubelet.Kubelet
}

func start(t *testing.T, k *testkubelet.Kubelet, pages string, change func(*Config, *kubelet.Client)) *proxy {
	t.Helper()
	client, err := kubelet.New(fetch.Config{URL: k.URL, CAFile: k.CAFile, TokenFile: k.TokenFile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	cfg := Config{Labels: []string{"node", "n1"}, Ceiling: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
	for _, e := range kubelet.Endpoints() {
		if strings.Contains(pages, e.Name) {
			cfg.Sources = append(cfg.Sources, Source{Name: e.Name, Path: "/metrics/" + e.Name, From: client, Page: e.Path, URL: k.URL + e.Path, Kubelet: true, Streamed: e.Name == "cadvisor"})
		}
	}
	if change != nil {
		change(&cfg, client)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := testMux{http.NewServeMux(), map[string]func() error{}}
	a.serveOn(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &proxy{a, s.URL, k}
}

// testMux is the part of a serve.Server that pages are put on.
type testMux struct {
	*http.ServeMux
	ready map[string]func() error
}

func (m testMux) ReadyWhen(name string, ask func() error) { m.ready[name] = ask }
func (m testMux) SetLanding(serve.Landing)                {}

// get is the answer at a path.
func (p *proxy) get(t *testing.T, path string, header ...string) (status int, text string, err error) {
	t.Helper()
	r, err := http.NewRequest("GET", p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	in := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if in, err = gzip.NewReader(in); err != nil {
			return 0, "", err
		}
	}
	b, err := io.ReadAll(in)
	return answer.StatusCode, string(b), err
}

// page is an answer that has to be whole and right.
func (p *proxy) page(t *testing.T, path string, header ...string) string {
	t.Helper()
	status, text, err := p.get(t, path, header...)
	if status != 200 || err != nil {
		t.Fatalf("%s: status %d, %v: %.300s", path, status, err, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return text
}

func (p *proxy) wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in it", part)
		}
	}
}

// series is how many lines are samples of container metrics.
func series(text string) int { return strings.Count("\n"+text, "\ncontainer_") }

func TestPassesOn(t *testing.T) {
	node := testkubelet.NewNode(5)
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", node.Text())
	k.Text("/pods", node.PodList())
	p := start(t, k, "cadvisor", func(c *Config, client *kubelet.Client) {
		c.Sources[0].Rules = containers.Rules{Pods: containers.PodRules{Labels: []string{"app"}}}
		c.Pods = podmap.New(podmap.Config{Rules: c.Sources[0].Rules.Pods})
		c.PodsFrom = &podmap.Poll{Kubelet: client, Interval: time.Hour, Log: c.Log}
	})
	if n, err := p.CheckPods(context.Background()); err != nil || n != 5 {
		t.Fatalf("%d pods, %v", n, err)
	}
	for _, path := range []string{"/metrics/cadvisor", "/metrics"} {
		for _, coding := range []string{"", "gzip"} {
			text := p.page(t, path, "Accept-Encoding", coding)
			if got, want := series(text), series(node.Text()); got != want {
				t.Errorf("%s %q: %d series, want %d", path, coding, got, want)
			}
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "#") && !strings.Contains(line, `node="n1"`) ||
					strings.Contains(line, `,pod="shop`) && !(strings.Contains(line, `pod_ip="10.1.`) && strings.Contains(line, `label_app="shop-`)) {
					t.Fatalf("%s: %s", path, line)
				}
			}
		}
	}
	p.wants(t, p.page(t, "/metrics"), `watchpost_proxy_source_up{node="n1",source="cadvisor"} 1`, `watchpost_proxy_series_in_total{node="n1",source="cadvisor"} `,
		`process_resident_memory_bytes{node="n1"}`, "watchpost_proxy_pods{node=\"n1\"} 5\n", `watchpost_proxy_scrapes_total{node="n1",path="/metrics",code="200"}`)
	if err := p.Ready(); err != nil {
		t.Error(err)
	}
	_, text, _ := p.get(t, "/lookup?ip="+node.Pods[1].IP)
	p.wants(t, text, node.Pods[1].Name)
}

// Sources that have the same family, with the same and with other series, and one of
// another type.
func TestJoined(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# HELP a_total A.\n# TYPE a_total counter\na_total{id=\"1\"} 1\na_total{x=\"y\",id=\"2\"} 2\n# TYPE b gauge\nb 1\n# TYPE c gauge\nc 1\n")
	k.Text("/metrics/resource", "# HELP a_total B.\n# TYPE a_total counter\na_total{id=\"2\",x=\"y\"} 9\na_total{id=\"3\"} 3\n# TYPE b counter\nb 9\n# TYPE d histogram\nd_bucket{le=\"+Inf\"} 1\nd_sum 1\nd_count 1\n")
	k.Text("/metrics/probes", "# TYPE d histogram\nd_bucket{p=\"1\",le=\"+Inf\"} 1\nd_sum{p=\"1\"} 1\nd_count{p=\"1\"} 1\nbare 1\n# TYPE e gauge\ne 1\n")
	p := start(t, k, "cadvisor,resource,probes", func(c *Config, _ *kubelet.Client) { c.Labels = nil })
	text := p.page(t, "/metrics")
	end := strings.Index(text, "# HELP watchpost_")
	const want = `# HELP a_total A.
# TYPE a_total counter
a_total{id="1"} 1
a_total{x="y",id="2"} 2
a_total{id="3"} 3
# TYPE b gauge
b 1
# TYPE c gauge
c 1
# TYPE d histogram
d_bucket{le="+Inf"} 1
d_sum 1
d_count 1
d_bucket{p="1",le="+Inf"} 1
d_sum{p="1"} 1
d_count{p="1"} 1
bare 1
# TYPE e gauge
e 1
`
	if end < 0 || text[:end] != want {
		t.Errorf("got\n%s", text[:max(end, 0)])
	}
	p.wants(t, p.page(t, "/metrics/self"), "watchpost_proxy_join_refused_total 2\n")
}

// What can go wrong with a source: its own page fails or ends in the middle, the
// joined one has the others, and the next answer is well.
func TestFailures(t *testing.T) {
	good := "# TYPE x gauge\nx 1\n"
	for name, c := range map[string]struct {
		bad    http.HandlerFunc
		status int // of its own page; 0: it is cut off
		reason string
		error  string
	}{
		"truncated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, good)
		}, 0, "truncated", "unexpected EOF"},
		"garbage": {func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte("\x00\xff\n"), 1000)) }, 502, "unreadable", "line 1: a zero byte"},
		"page":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><p>hello") }, 502, "unreadable", "text/html"},
		"huge":    {huge, 0, "too_large", "the text is too large"},
		"long line": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write(bytes.Repeat([]byte("x"), 3<<20))
		}, 502, "unreadable", "longer than 1048576 bytes"},
		"gone":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "unreachable", "EOF"},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, 502, "refused", "grant get on nodes/metrics"},
		"dribbles": {func(w http.ResponseWriter, r *http.Request) {
			for i := 0; r.Context().Err() == nil; i++ {
				fmt.Fprintf(w, "z{n=\"%d\"} 1\n", i)
				w.(http.Flusher).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}, 0, "timeout", "no whole answer in"},
		"slow": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) }, 504, "timeout", "no whole answer in"},
	} {
		t.Run(name, func(t *testing.T) {
			k := testkubelet.Start(t)
			k.Page("/metrics/cadvisor", c.bad)
			k.Text("/metrics/resource", "# TYPE y gauge\ny 1\n")
			p := start(t, k, "cadvisor,resource", func(c *Config, _ *kubelet.Client) { c.Limit, c.Ceiling = 1<<20, time.Minute })
			header := []string{serve.ScrapeTimeoutHeader, "60"}
			if c.reason == "timeout" {
				header[1] = "1"
			}
			status, text, err := p.get(t, "/metrics/cadvisor", header...)
			if c.status == 0 && err == nil || c.status != 0 && (status != c.status || !strings.Contains(text, c.error)) {
				t.Errorf("status %d, %v: %.300s", status, err, text)
			}
			text = p.page(t, "/metrics", header...)
			p.wants(t, text, "\ny{node=\"n1\"} 1\n", `watchpost_proxy_source_up{node="n1",source="cadvisor"} 0`, `watchpost_proxy_source_up{node="n1",source="resource"} 1`,
				fmt.Sprintf(`watchpost_proxy_source_failures_total{node="n1",source="cadvisor",reason=%q} 2`, c.reason))
			if _, _, _, problem := p.sources[0].state(); !strings.Contains(problem, c.error) {
				t.Errorf("problem %q", problem)
			}
			if err := p.Ready(); err == nil {
				t.Error("ready without an answer")
			}
			k.Text("/metrics/cadvisor", good)
			p.wants(t, p.page(t, "/metrics"), "\nx{node=\"n1\"} 1\n", `watchpost_proxy_source_up{node="n1",source="cadvisor"} 1`)
			if err := p.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
}

// huge says 500 MB, if somebody listens.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	part := bytes.Repeat([]byte("a{b=\"c\"} 1\n"), 10000)
	for sent := 0; sent < 500<<20; sent += len(part) {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// A held source that is too large for the joined page costs itself.
func TestHeldIsBounded(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	k.Page("/metrics/resource", huge)
	p := start(t, k, "cadvisor,resource", func(c *Config, _ *kubelet.Client) { c.Held = 1 << 20 })
	text := p.page(t, "/metrics")
	p.wants(t, text, "\nx{node=\"n1\"} 1\n", `watchpost_proxy_source_up{node="n1",source="resource"} 0`, `reason="too_large"} 1`)
	if strings.Contains(text, "\na{") {
		t.Error("a part of a source was passed on")
	}
}

func TestTokens(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	p := start(t, k, "cadvisor", nil)
	p.page(t, "/metrics/cadvisor")
	k.SetToken(t, "second") // as it rotates
	p.page(t, "/metrics/cadvisor")
	if got := strings.Join(k.Tokens(), ","); got != "Bearer first,Bearer second" {
		t.Errorf("tokens %s", got)
	}
	if err := os.WriteFile(k.TokenFile, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, text, _ := p.get(t, "/metrics/cadvisor")
	if status != 502 || !strings.Contains(text, "401") || !strings.Contains(text, k.TokenFile) {
		t.Errorf("status %d: %s", status, text)
	}
	if err := os.WriteFile(k.TokenFile, []byte("two\ntokens"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, text, _ := p.get(t, "/metrics/cadvisor"); !strings.Contains(text, "does not hold one token") {
		t.Error(text)
	}
}

// A redirect is an error, and nobody else sees the token: not even another kubelet
// whose certificate is known.
func TestRedirect(t *testing.T) {
	other, k := testkubelet.Start(t), testkubelet.Start(t)
	other.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	known, err := os.ReadFile(other.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(k.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.CAFile, append(own, known...), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, k, "cadvisor", nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		k.Page("/metrics/cadvisor", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/metrics/cadvisor", status)
		})
		code, text, _ := p.get(t, "/metrics/cadvisor")
		if code != 502 || !strings.Contains(text, "redirects are not followed: it points to \""+other.URL) {
			t.Errorf("%d: status %d: %s", status, code, text)
		}
	}
	if tokens := other.Tokens(); len(tokens) > 0 {
		t.Errorf("the redirect was followed, with %q", tokens)
	}
}

// A kubelet that loses its connections is asked again, and one that is down and comes
// back at the same port with a new certificate is known again.
func TestRestart(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	p := start(t, k, "cadvisor", nil)
	p.page(t, "/metrics/cadvisor")
	k.CloseClientConnections()
	p.page(t, "/metrics/cadvisor")
	k.Stop()
	if status, text, _ := p.get(t, "/metrics/cadvisor"); status != 502 || !strings.Contains(text, "connection refused") {
		t.Errorf("status %d: %s", status, text)
	}
	p.wants(t, p.page(t, "/metrics"), `watchpost_proxy_source_up{node="n1",source="cadvisor"} 0`, `reason="unreachable"} 2`)
	k.Restart(t, time.Time{})
	p.wants(t, p.page(t, "/metrics"), "\nx{node=\"n1\"} 1\n", `watchpost_proxy_source_up{node="n1",source="cadvisor"} 1`)
}

// A certificate that has expired is named, until it is renewed.
func TestExpiredCertificate(t *testing.T) {
	ended := time.Now().Add(-time.Hour)
	k := testkubelet.StartWith(t, testkubelet.Options{Ends: ended})
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	p := start(t, k, "cadvisor", nil)
	status, text, _ := p.get(t, "/metrics/cadvisor")
	if status != 502 {
		t.Errorf("status %d", status)
	}
	p.wants(t, text, "certificate has expired", `"CN=`+testkubelet.Name+`" counts from `, " to "+ended.UTC().Format(time.RFC3339), "renew")
	if len(k.Tokens()) > 0 {
		t.Error("the token was sent")
	}
	k.Stop()
	k.Restart(t, time.Time{})
	p.page(t, "/metrics/cadvisor")
}

// A kubelet can be shown a client's certificate instead of a token.
func TestClientCertificate(t *testing.T) {
	cert, key, err := testkubelet.Certificate("watchpost", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	k := testkubelet.StartWith(t, testkubelet.Options{Clients: cert})
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	dir := t.TempDir()
	cfg := fetch.Config{URL: k.URL, CAFile: k.CAFile, CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")}
	if err := errors.Join(os.WriteFile(cfg.CertFile, cert, 0o600), os.WriteFile(cfg.KeyFile, key, 0o600)); err != nil {
		t.Fatal(err)
	}
	with, err := kubelet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(with.Close)
	cfg.CertFile, cfg.KeyFile = "", ""
	without, err := kubelet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(without.Close)
	start(t, k, "cadvisor", func(c *Config, _ *kubelet.Client) { c.Sources[0].From = with }).page(t, "/metrics/cadvisor")
	p := start(t, k, "cadvisor", func(c *Config, _ *kubelet.Client) { c.Sources[0].From = without })
	if status, text, _ := p.get(t, "/metrics/cadvisor"); status != 502 || !strings.Contains(text, "it asks for a token or a client certificate") {
		t.Errorf("status %d: %s", status, text)
	}
}

// A source gets less time than the scraper has, and what does not answer is given up.
func TestDeadline(t *testing.T) {
	k := testkubelet.Start(t)
	told := make(chan string, 1)
	k.Page("/metrics/cadvisor", func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get(serve.ScrapeTimeoutHeader)
		<-r.Context().Done()
	})
	p := start(t, k, "cadvisor", nil)
	p.wants(t, p.page(t, "/metrics", serve.ScrapeTimeoutHeader, "3"), `watchpost_proxy_source_up{node="n1",source="cadvisor"} 0`, `source="cadvisor",reason="timeout"} 1`)
	if left, err := strconv.ParseFloat(<-told, 64); err != nil || left <= 0 || left > 2.7 {
		t.Errorf("the source was told %v s, %v", left, err)
	}
}

func TestExplain(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx{pod=\"a\"} 1\ny 1\n")
	p := start(t, k, "cadvisor", func(c *Config, _ *kubelet.Client) {
		c.Sources[0].Rules.Series = []containers.SeriesRule{{Metric: "x", Origin: "--drop x"}}
	})
	_, text, _ := p.get(t, "/debug/explain?metric=*")
	p.wants(t, text, `"rule": "--drop x"`, `"output": "y{node=\"n1\"}"`)
	for query, want := range map[string]int{"": 400, "?metric=(": 200, "?metric=x&source=none": 404, "?metric=x&limit=a": 400} {
		if status, text, _ := p.get(t, "/debug/explain"+query); status != want {
			t.Errorf("%s: status %d: %s", query, status, text)
		}
	}
}

// Sources have less time than the scraper, and those that are held less than the one
// that is passed on.
func TestDeadlines(t *testing.T) {
	k := testkubelet.Start(t)
	times := make(map[string]float64)
	var mu sync.Mutex
	for _, page := range []string{"/metrics/cadvisor", "/metrics/resource"} {
		k.Page(page, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			times[page], _ = strconv.ParseFloat(r.Header.Get(serve.ScrapeTimeoutHeader), 64) // 0 is a failure below
			io.WriteString(w, "# TYPE x gauge\nx 1\n")
		})
	}
	p := start(t, k, "cadvisor,resource", func(c *Config, _ *kubelet.Client) { c.Ceiling = time.Hour })
	p.page(t, "/metrics", serve.ScrapeTimeoutHeader, "100")
	mu.Lock()
	defer mu.Unlock()
	if c, r := times["/metrics/cadvisor"], times["/metrics/resource"]; !(c > 60 && c <= 90 && r > 30 && r <= 54) {
		t.Errorf("of 100 s the stream has %v and the held source %v", c, r)
	}
}

// Compressed is what leaves the host, for those who take it, unless a flag says else.
func TestCompresses(t *testing.T) {
	for _, c := range []struct {
		mode         GzipMode
		client, take string
		want         bool
	}{
		{GzipAuto, "192.0.2.9:5000", "gzip", true},
		{GzipAuto, "192.0.2.1:5000", "gzip", false}, // this host's own address
		{GzipAuto, "127.0.0.1:5000", "gzip", false},
		{GzipAuto, "[::1]:5000", "gzip", false},
		{GzipAuto, "@", "gzip", false}, // a unix socket
		{GzipAuto, "192.0.2.9:5000", "", false},
		{GzipAuto, "192.0.2.9:5000", "gzip;q=0", false},
		{GzipAlways, "127.0.0.1:5000", "gzip", true},
		{GzipAlways, "127.0.0.1:5000", "", false},
		{GzipNever, "192.0.2.9:5000", "gzip", false},
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.RemoteAddr = c.client
		r.Header.Set("Accept-Encoding", c.take)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 9101})))
		if got := (&Agent{cfg: Config{Gzip: c.mode}}).compresses(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// An answer is compressed by its whole length, in how many pieces it may come.
func TestCompressesByLength(t *testing.T) {
	for _, c := range []struct {
		pieces []int
		want   bool
	}{
		{nil, false},
		{[]int{minGzip - 1}, false},
		{[]int{0, 700, 600}, false},
		{[]int{700, 700}, true},
		{[]int{1, minGzip - 1, 1}, true},
		{[]int{minGzip}, true},
	} {
		w := httptest.NewRecorder()
		o := &output{w: w, agent: &Agent{}, gzip: true}
		var want []byte
		for i, n := range c.pieces {
			p := bytes.Repeat([]byte{'a' + byte(i)}, n)
			want = append(want, p...)
			if got, err := o.Write(p); got != n || err != nil {
				t.Fatalf("%v: piece %d: %d, %v", c.pieces, i, got, err)
			}
		}
		if err := o.close(); err != nil {
			t.Fatal(err)
		}
		o.release()
		body := io.Reader(w.Body)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.want {
			t.Errorf("%v: compressed is %v", c.pieces, got)
		} else if got {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if got, err := io.ReadAll(body); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%v: %d bytes of %d, %v", c.pieces, len(got), len(want), err)
		}
	}
}

// Label rules that make one series of two are told before anything is served.
func TestCheckRules(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx{a=\"1\"} 1\nx{a=\"2\"} 1\n")
	p := start(t, k, "cadvisor", func(c *Config, _ *kubelet.Client) {
		c.Sources[0].Rules.Labels = []containers.LabelRule{{Drop: []string{"a"}, Origin: "rules.yml:3"}}
	})
	if err := p.CheckRules(context.Background()); err == nil || !strings.Contains(err.Error(), "rules.yml:3") {
		t.Error(err)
	}
}

func FuzzJoiner(f *testing.F) {
	f.Add("# TYPE a gauge\na 1\n", "# TYPE a gauge\na{b=\"c\"} 1\n# TYPE d counter\nd 1\n")
	f.Add("a 1\nb 2\na 3\n", "# HELP a x\na 1\n{\"a b\"} 1\n")
	f.Fuzz(func(t *testing.T, first, second string) {
		var texts [2]bytes.Buffer
		for i, text := range []string{first, second} {
			filter, err := containers.NewFilter(containers.Rules{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if filter.Copy(&texts[i], strings.NewReader(text), 0, 1<<20) != nil {
				return
			}
		}
		for _, pods := range [][3]bool{{}, {false, true}, {true, true}, {true, true, true}} {
			var out bytes.Buffer
			j := newJoiner(&out, 1<<20)
			j.add(texts[0].Bytes(), pods[0])
			j.add(texts[1].Bytes(), pods[1])
			if pods[2] {
				j.add(texts[0].Bytes(), false)
			}
			if err := j.end(); err != nil {
				t.Fatal(err)
			}
			headers := make(map[string]bool)
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "# ") {
					kind, name := header([]byte(strings.TrimSuffix(line, "\n")))
					if headers[kind+string(name)] {
						t.Errorf("two of %q", line)
					}
					headers[kind+string(name)] = true
				}
			}
		}
	})
}
