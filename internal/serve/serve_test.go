package serve

import (
	"bufio"
	"context"
	"crypto/tls"
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

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"golang.org/x/crypto/bcrypt"

	"watchpost/internal/expo"
	"watchpost/internal/run"
)

var silent = slog.New(slog.DiscardHandler)

// start serves cfg until the test ends and returns the server.
func start(t *testing.T, cfg Config, prepare func(*Server)) *Server {
	t.Helper()
	cfg.Program, cfg.Log = "test", silent
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		done <- run.Run(ctx, silent, s.Task(), run.Task{Name: "ready", Run: func(ctx context.Context, r func()) error {
			close(ready)
			r()
			<-ctx.Done()
			return nil
		}})
	}()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestServesOnSeveralAddresses(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	missing := errors.New("not yet")
	s := start(t, Config{Addresses: []string{"127.0.0.1:0", "127.0.0.1:0", "unix:" + socket}}, func(s *Server) {
		s.ReadyWhen("good", func() error { return nil })
		s.ReadyWhen("bad", func() error { return missing })
		s.SetLanding(Landing{Path: "/{$}", About: "About <it>.", Links: []Link{{"/metrics", "Metrics"}},
			Facts: func() []Fact { return []Fact{{"Sees", "a & b"}} }})
	})
	urls := s.URLs()
	if len(urls) != 3 || urls[2] != "unix:"+socket || urls[0] == urls[1] {
		t.Fatalf("addresses %q", urls)
	}
	viaSocket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer viaSocket.CloseIdleConnections()
	for url, c := range map[string]*http.Client{urls[0]: http.DefaultClient, urls[1]: http.DefaultClient, "http://socket": viaSocket} {
		if code, text := get(t, c, url+"/healthz"); code != 200 || text != "ok\n" {
			t.Errorf("%s: health %d %q", url, code, text)
		}
		if code, text := get(t, c, url+"/readyz"); code != 503 || text != "good: ok\nbad: not yet\n" {
			t.Errorf("%s: readiness %d %q", url, code, text)
		}
		if code, text := get(t, c, url+"/"); code != 200 || !strings.Contains(text, "About &lt;it&gt;.") || !strings.Contains(text, "a &amp; b") || !strings.Contains(text, `href="/metrics"`) {
			t.Errorf("%s: page %d %q", url, code, text)
		}
		if code, _ := get(t, c, url+"/debug/pprof/"); code != 404 {
			t.Errorf("%s: profiles are served without being asked for: %d", url, code)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != SocketMode {
		t.Errorf("socket: %v, %v", info, err)
	}
}

// A raw path is served as it is, where others are cleaned first.
func TestRawPaths(t *testing.T) {
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	s := start(t, Config{Addresses: []string{"127.0.0.1:0"}}, func(s *Server) {
		s.HandleRaw("/raw/", tell)
		s.Handle("/", tell)
	})
	for path, want := range map[string]string{"/raw/a//b": "/raw/a//b", "/raw/a/../../b": "/raw/a/../../b", "/a//b": "/a/b", "/raw": "/raw"} {
		if _, got := get(t, http.DefaultClient, s.URLs()[0]+path); got != want {
			t.Errorf("%s came as %s, want %s", path, got, want)
		}
	}
}

func TestPprofOnRequest(t *testing.T) {
	s := start(t, Config{Addresses: []string{"127.0.0.1:0"}, Pprof: true}, nil)
	if code, text := get(t, http.DefaultClient, s.URLs()[0]+"/debug/pprof/"); code != 200 || !strings.Contains(text, "goroutine") {
		t.Errorf("%d %.100q", code, text)
	}
}

func TestListenTellsWhatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "socket")
	u, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		l.Addr().String(): "address already in use", "unix:" + file: "is not a socket",
		"unix:" + socket: "another program listens", "nonsense": "missing port", "vsock://:x": `port "x" is not a number`,
	} {
		s, err := New(Config{Program: "test", Log: silent, Addresses: []string{"127.0.0.1:0", address}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
	u.(*net.UnixListener).SetUnlinkOnClose(false)
	u.Close() // as a killed program leaves its socket
	s := start(t, Config{Addresses: []string{"unix:" + socket}}, nil)
	if len(s.URLs()) != 1 {
		t.Error("a dead socket is in the way")
	}
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	if _, err := New(Config{Log: silent}); err == nil {
		t.Error("no address, no error")
	}
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{Log: silent, Addresses: []string{":0"}, WebConfigFile: file})
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error %v", err)
	}
}

func TestWebConfigAsksForPasswordAndTLS(t *testing.T) {
	// httptest has a certificate ready; write it where the configuration finds it.
	dir := t.TempDir()
	https := httptest.NewUnstartedServer(nil)
	https.StartTLS()
	cert := https.TLS.Certificates[0]
	https.Close()
	writePEM(t, dir, cert)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "web.yml")
	text := fmt.Sprintf("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  me: %s\n", hash)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Addresses: []string{"127.0.0.1:0", "127.0.0.1:0"}, WebConfigFile: file}, nil)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for _, url := range s.URLs() {
		if !strings.HasPrefix(url, "https://") {
			t.Fatalf("address %s", url)
		}
		if code, _ := get(t, client, url+"/healthz"); code != 401 {
			t.Errorf("without a password: %d", code)
		}
		if code, _ := get(t, client, strings.Replace(url, "https://", "https://me:secret@", 1)+"/healthz"); code != 200 {
			t.Errorf("with the password: %d", code)
		}
	}
}

// A client that sends a byte now and then is cut off by the header timeout.
func TestSlowClientIsCutOff(t *testing.T) {
	s := start(t, Config{Addresses: []string{"127.0.0.1:0"}}, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URLs()[0], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
				c.Write([]byte("G"))
			}
		}
	}()
	c.SetReadDeadline(time.Now().Add(4 * HeaderTimeout))
	_, err = io.ReadAll(c)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Error("the connection is still open")
	}
}

func TestLargeHeaderIsRefused(t *testing.T) {
	s := start(t, Config{Addresses: []string{"127.0.0.1:0"}}, nil)
	req, err := http.NewRequest("GET", s.URLs()[0]+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X", strings.Repeat("x", 2*MaxHeaderBytes))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return // the server may close before the client has written all
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

// program is a Scraper with a fixed text.
type program struct {
	text   string
	err    error
	hold   chan struct{}
	mu     sync.Mutex
	inside int
	most   int
	last   time.Duration
}

func (p *program) Scrape(r *http.Request, f expo.Format, deadline time.Duration) (Answer, error) {
	p.mu.Lock()
	p.inside++
	p.most = max(p.most, p.inside)
	p.last = deadline
	p.mu.Unlock()
	if p.hold != nil {
		<-p.hold
	}
	p.mu.Lock()
	p.inside--
	p.mu.Unlock()
	return said(p.text), p.err
}

type said string

func (s said) Segments(yield func([]byte) bool) { yield([]byte(s)) }
func (s said) Release()                         {}

func (s said) Page(_ any, make func() ([]byte, error)) ([]byte, error) { return make() }

func handler(p *program, change func(*MetricsConfig)) http.Handler {
	cfg := MetricsConfig{Scraper: p, Self: prometheus.NewRegistry(), Ceiling: 10 * time.Second, MaxRequests: 2, Log: silent}
	if change != nil {
		change(&cfg)
	}
	return Metrics(cfg)
}

func ask(h http.Handler, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/metrics", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMetricsSpeaksAllFormats(t *testing.T) {
	h := handler(&program{text: "# TYPE a gauge\na 1\n"}, nil)
	for _, accept := range []string{"", "application/openmetrics-text;version=1.0.0"} {
		for _, enc := range []string{"", "gzip", "zstd"} {
			w := ask(h, "Accept", accept, "Accept-Encoding", enc)
			var body io.Reader = w.Body
			if got := w.Header().Get("Content-Encoding"); got != enc {
				t.Fatalf("asked for %q, got %q", enc, got)
			}
			if w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
				t.Errorf("length %s, body %d", w.Header().Get("Content-Length"), w.Body.Len())
			}
			switch enc {
			case "gzip":
				body = gunzip(t, w.Body)
			case "zstd":
				z, err := zstd.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				defer z.Close()
				body = z
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			p, err := textparse.New(text, w.Header().Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{})
			if err != nil {
				t.Fatal(err)
			}
			series := 0
			for {
				e, err := p.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("accept %q: %v in\n%s", accept, err, text)
				}
				if e == textparse.EntrySeries {
					series++
				}
			}
			if series < 5 || !strings.Contains(string(text), "a 1\n") || !strings.Contains(string(text), "promhttp_metric_handler_requests_in_flight 1") {
				t.Errorf("%d series in\n%s", series, text)
			}
		}
	}
}

func TestMetricsErrors(t *testing.T) {
	p := &program{err: fmt.Errorf("%w: no such thing", ErrBadRequest)}
	h := handler(p, nil)
	if w := ask(h); w.Code != 400 || !strings.Contains(w.Body.String(), "no such thing") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	p.err = errors.New("broken")
	if w := ask(h); w.Code != 500 || !strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	p.err = nil
	w := ask(h)
	for _, want := range []string{
		`promhttp_metric_handler_requests_total{code="400"} 1`, `promhttp_metric_handler_requests_total{code="500"} 1`,
		`promhttp_metric_handler_errors_total{cause="gathering"} 2`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing in\n%s", want, w.Body)
		}
	}
	r := httptest.NewRequest("POST", "/metrics", nil)
	post := httptest.NewRecorder()
	h.ServeHTTP(post, r)
	if post.Code != 405 {
		t.Errorf("POST: %d", post.Code)
	}
	if w := ask(handler(p, func(c *MetricsConfig) { c.HideSelf = true })); w.Body.Len() != 0 {
		t.Errorf("hidden metrics are shown: %s", w.Body)
	}
}

func TestMetricsDeadline(t *testing.T) {
	p := &program{}
	h := handler(p, nil)
	for header, want := range map[string]time.Duration{
		"": 10 * time.Second, "2": 1800 * time.Millisecond, "0.5": 450 * time.Millisecond, "60": 10 * time.Second,
		"-1": 10 * time.Second, "NaN": 10 * time.Second, "x": 10 * time.Second,
	} {
		ask(h, ScrapeTimeoutHeader, header)
		if p.last > want || p.last < want*9/10 {
			t.Errorf("header %q: deadline %s, want nearly %s", header, p.last, want)
		}
	}
}

// More scrapes than slots wait for their turn; one whose time is over before it
// comes is told so.
func TestMetricsBoundsConcurrency(t *testing.T) {
	p := &program{hold: make(chan struct{})}
	h := handler(p, nil)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if w := ask(h); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	for p.holding() < 2 {
		time.Sleep(time.Millisecond)
	}
	if w := ask(h, ScrapeTimeoutHeader, "0.05"); w.Code != 503 {
		t.Errorf("without a slot: status %d", w.Code)
	}
	close(p.hold)
	all.Wait()
	if p.most != 2 {
		t.Errorf("%d scrapes at the same time, want 2", p.most)
	}
}

func (p *program) holding() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inside
}

func TestStopLetsAnswersEnd(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s, err := New(Config{Program: "test", Log: silent, Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-end
		io.WriteString(w, "done")
	}))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- run.Run(ctx, silent, s.Task()) }()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URLs()[0], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	cancel()
	close(end)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "done" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// BenchmarkMetrics is the shell's own cost of a scrape of 100 kB that is compressed.
func BenchmarkMetrics(b *testing.B) {
	h := handler(&program{text: strings.Repeat("node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 123456.78\n", 2000)}, func(c *MetricsConfig) { c.HideSelf = true })
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// FuzzDeadline: whatever a scraper says of its timeout, the deadline is above
// nothing and at most the ceiling.
func FuzzDeadline(f *testing.F) {
	for _, s := range []string{"10", "0.5", "-1", "NaN", "Inf", "1e400", "1e-300", "", "0x1p3", "9223372036854775807"} {
		f.Add(s)
	}
	const ceiling = 10 * time.Second
	f.Fuzz(func(t *testing.T, header string) {
		if d := ScrapeDeadline(header, ceiling); d <= 0 || d > ceiling {
			t.Errorf("%q: %s", header, d)
		}
	})
}
