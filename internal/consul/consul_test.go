package consul

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchpost/internal/run"
)

// agent is a Consul agent, as far as services go.
type agent struct {
	*httptest.Server
	mu       sync.Mutex
	services map[string]map[string]any // the bodies, by id
	calls    []string
	token    string // wanted
	status   int    // of all answers, 0 is what is right
	hang     chan struct{}
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	a := &agent{services: make(map[string]map[string]any)}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// ServeHTTP answers as Consul does; test/e2e has a real one, where there is one.
func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path)
	if hang := a.hang; hang != nil {
		a.mu.Unlock()
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		a.mu.Lock()
	}
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	_, known := a.services[id]
	switch {
	case a.status != 0:
		http.Error(w, "No cluster\nleader", a.status)
	case r.Header.Get("X-Consul-Token") != a.token:
		http.Error(w, "Permission denied", http.StatusForbidden)
	case r.Method == "PUT" && r.URL.Path == "/v1/agent/service/register":
		var s map[string]any
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.services[s["ID"].(string)] = s
	case !strings.HasPrefix(r.URL.Path, "/v1/agent/service/"):
		http.NotFound(w, r)
	case !known:
		http.Error(w, "unknown service ID: "+id, http.StatusNotFound)
	case r.Method == "PUT":
		delete(a.services, id)
	default:
		answer := maps.Clone(a.services[id])
		answer["Service"], answer["ContentHash"] = answer["Name"], "0123456789abcdef"
		delete(answer, "Name")
		json.NewEncoder(w).Encode(answer)
	}
}

// do changes the agent.
func (a *agent) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *agent) has(id string) (has bool) {
	a.do(func() { _, has = a.services[id] })
	return has
}

func (a *agent) count(call string) (n int) {
	a.do(func() {
		for _, c := range a.calls {
			if c == call {
				n++
			}
		}
	})
	return n
}

// diary is a log to be read.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) count(text string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.b.String(), text)
}

const id = "node-agent-host-9100"

func config(address string) (Config, *diary) {
	d := new(diary)
	return Config{
		Address: address, Service: "node-agent", Node: "host", Tags: []string{"linux", "a"}, Meta: map[string]string{"zone": "z"},
		MetricsPath: "/metrics", Check: CheckHTTP, Interval: 15 * time.Second, Timeout: 5 * time.Second,
		Log: slog.New(slog.NewTextHandler(d, nil)),
	}, d
}

// start runs a registration that looks all the time, and returns what stops it.
func start(t *testing.T, cfg Config) (r *Registration, stop func() error) {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.wait = func(time.Duration) time.Duration { return time.Millisecond }
	return r, startAs(t, r)
}

func startAs(t *testing.T, r *Registration) (stop func() error) {
	t.Helper()
	if err := r.Listening([]string{"unix:/run/x", "http://127.0.0.1:9100", "http://127.0.0.2:9101"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run.Run(ctx, slog.New(slog.DiscardHandler), r.Task()) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	return stop
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestRegisteredWhileItRuns(t *testing.T) {
	a := newAgent(t)
	cfg, log := config(a.URL)
	cfg.DeregisterAfter = 10 * time.Minute
	r, stop := start(t, cfg)
	eventually(t, "registered", func() bool { return testutil.ToFloat64(r.registered) == 1 })
	eventually(t, "asked again", func() bool { return a.count("GET /v1/agent/service/"+id) > 2 })
	var got map[string]any
	a.do(func() { got = a.services[id] })
	want := map[string]any{
		"ID": id, "Name": "node-agent", "Address": "127.0.0.1", "Port": 9100.0, "Tags": []any{"linux", "a"},
		"Meta": map[string]any{"node": "host", "scheme": "http", "metrics_path": "/metrics", "zone": "z"},
		"Check": map[string]any{
			"CheckID": "service:" + id, "Name": "node-agent answers", "HTTP": "http://127.0.0.1:9100/healthz",
			"Interval": "15s", "Timeout": "5s", "DeregisterCriticalServiceAfter": "10m0s",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("registered\n%v, want\n%v", got, want)
	}
	if n := a.count("PUT /v1/agent/service/register"); n != 1 {
		t.Errorf("registered %d times", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if a.has(id) {
		t.Error("still registered after the end")
	}
	if log.count("level=WARN") != 0 || log.count("Registered in Consul") != 1 || log.count("Deregistered") != 1 {
		t.Errorf("log: %s", &log.b)
	}
}

func TestRegisteredAgainWhenLost(t *testing.T) {
	a := newAgent(t)
	cfg, log := config(a.URL)
	r, _ := start(t, cfg)
	eventually(t, "registered", func() bool { return a.has(id) })
	eventually(t, "known to be registered", func() bool { return testutil.ToFloat64(r.registered) == 1 })
	a.do(func() { clear(a.services) })
	eventually(t, "registered again", func() bool { return a.has(id) })
	a.do(func() { a.services[id]["Tags"] = []string{"other"} })
	eventually(t, "put right", func() bool {
		var tags string
		a.do(func() { b, _ := json.Marshal(a.services[id]["Tags"]); tags = string(b) })
		return tags == `["linux","a"]`
	})
	if log.count("lost or changed") != 2 {
		t.Errorf("log: %s", &log.b)
	}
}

func TestConsulIsDown(t *testing.T) {
	a := newAgent(t)
	a.do(func() { a.status = http.StatusInternalServerError })
	cfg, log := config(a.URL)
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var waits []time.Duration
	r.wait = func(d time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		waits = append(waits, d)
		return time.Millisecond
	}
	startAs(t, r)
	eventually(t, "asked often", func() bool { mu.Lock(); defer mu.Unlock(); return len(waits) > 10 })
	if testutil.ToFloat64(r.registered) != 0 || testutil.ToFloat64(r.failures.WithLabelValues("register")) == 0 || testutil.ToFloat64(r.failures.WithLabelValues("look")) == 0 {
		t.Error("the metrics do not show it")
	}
	mu.Lock()
	want := []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 60e9, 60e9}
	if !slices.Equal(waits[:len(want)], want) {
		t.Errorf("waits %v, want %v", waits[:len(want)], want)
	}
	waits = nil
	mu.Unlock()
	// Once for the registration, once for the question after it.
	if n := log.count("level=WARN"); n != 2 || log.count(`err="answer 500: No cluster leader"`) != 2 {
		t.Errorf("log: %s", &log.b)
	}
	a.do(func() { a.status = 0 })
	eventually(t, "registered", func() bool { return testutil.ToFloat64(r.registered) == 1 })
	eventually(t, "asked at the usual times", func() bool { mu.Lock(); defer mu.Unlock(); return slices.Contains(waits, lookEvery) })
	if log.count("Consul is back") != 1 || log.count("lost") != 0 {
		t.Errorf("log: %s", &log.b)
	}
	// An outage is no reason to register again.
	before := a.count("PUT /v1/agent/service/register")
	a.do(func() { a.status = http.StatusBadGateway })
	eventually(t, "seen", func() bool { return testutil.ToFloat64(r.registered) == 0 })
	a.do(func() { a.status = 0 })
	eventually(t, "over", func() bool { return testutil.ToFloat64(r.registered) == 1 })
	if a.count("PUT /v1/agent/service/register") != before {
		t.Error("registered again")
	}
}

// A Consul that takes calls and does not answer holds up neither the start nor the end.
func TestConsulHangs(t *testing.T) {
	for _, registered := range []bool{false, true} {
		a := newAgent(t)
		release := make(chan struct{})
		defer close(release)
		if !registered {
			a.do(func() { a.hang = release })
		}
		cfg, log := config(a.URL)
		_, stop := start(t, cfg)
		if registered {
			eventually(t, "registered", func() bool { return a.has(id) })
			a.do(func() { a.hang = release })
		}
		calls := func() (n int) { a.do(func() { n = len(a.calls) }); return n }
		before := calls()
		eventually(t, "a call under way", func() bool { return calls() > before || !registered && before > 0 })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if log.count("stays registered") != 1 || log.count("no answer in time") != 1 {
			t.Errorf("log: %s", &log.b)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cfg, log := config(address)
	r, stop := start(t, cfg)
	eventually(t, "tried", func() bool { return testutil.ToFloat64(r.failures.WithLabelValues("look")) > 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if want := "dial " + address + ": connect: connection refused"; log.count(want) != 3 {
		t.Errorf("want %q for registering, looking and the end; log: %s", want, &log.b)
	}
}

func TestToken(t *testing.T) {
	a := newAgent(t)
	a.token = "s3cret"
	cfg, log := config(a.URL)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), cfg.TokenFile) {
		t.Errorf("no file: %v", err)
	}
	write := func(text string) {
		if err := os.WriteFile(cfg.TokenFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "\n", "two\nlines\n"} {
		write(bad)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "one line") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	write("old\n")
	start(t, cfg)
	eventually(t, "refused", func() bool { return log.count("answer 403: Permission denied") > 0 })
	write("s3cret\n")
	eventually(t, "registered", func() bool { return a.has(id) })
	if err := os.Remove(cfg.TokenFile); err != nil {
		t.Fatal(err)
	}
	eventually(t, "told", func() bool { return log.count("no such file") == 1 })
	if log.count("s3cret") != 0 {
		t.Error("the token is in the log")
	}
}

// A redirect is not followed: the token is for Consul.
func TestRedirect(t *testing.T) {
	got := make(chan string, 100)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("X-Consul-Token") }))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	cfg, _ := config(first.URL)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(cfg.TokenFile, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, stop := start(t, cfg)
	eventually(t, "refused", func() bool { return testutil.ToFloat64(r.failures.WithLabelValues("register")) > 0 })
	stop()
	if len(got) != 0 {
		t.Errorf("sent to another place: %q", <-got)
	}
}

// The agent by its socket, and below a path of another server.
func TestAddresses(t *testing.T) {
	a := newAgent(t)
	socket := filepath.Join(t.TempDir(), "consul.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	onSocket := &http.Server{Handler: a}
	go onSocket.Serve(l)
	defer onSocket.Close()
	below := httptest.NewServer(http.StripPrefix("/consul", a))
	defer below.Close()
	for _, address := range []string{"unix://" + socket, "unix:" + socket, below.URL + "/consul", below.URL + "/consul/", strings.TrimPrefix(a.URL, "http://")} {
		cfg, _ := config(address)
		_, stop := start(t, cfg)
		eventually(t, "registered at "+address, func() bool { return a.has(id) })
		if err := stop(); err != nil || a.has(id) {
			t.Errorf("%s: not deregistered: %v", address, err)
		}
	}
}

// An agent by https is believed only with a certificate that this host trusts.
func TestHTTPS(t *testing.T) {
	a := &agent{services: make(map[string]map[string]any)}
	s := httptest.NewUnstartedServer(a)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	cfg, log := config(s.URL)
	bad, stop := start(t, cfg)
	eventually(t, "refused", func() bool { return testutil.ToFloat64(bad.failures.WithLabelValues("register")) > 0 })
	stop()
	if a.has(id) || log.count("certificate") == 0 {
		t.Errorf("log: %s", &log.b)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.client.roots = pool
	r.wait = func(time.Duration) time.Duration { return time.Millisecond }
	startAs(t, r)
	eventually(t, "registered", func() bool { return a.has(id) })
}

// A password in the address is sent as such.
func TestPassword(t *testing.T) {
	got := make(chan string, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got <- user + " " + password
	}))
	defer s.Close()
	cfg, _ := config(strings.Replace(s.URL, "http://", "http://me:se%20cret@", 1))
	start(t, cfg)
	if who := <-got; who != "me se cret" {
		t.Errorf("got %q", who)
	}
}

func TestStrangeAnswers(t *testing.T) {
	for _, answer := range []string{"", "<html>", `[1]`, `{"Port": "x"}`, strings.Repeat("[", 2*maxAnswer)} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				io.WriteString(w, answer)
			}
		}))
		cfg, log := config(s.URL)
		r, stop := start(t, cfg)
		eventually(t, "an error", func() bool { return testutil.ToFloat64(r.failures.WithLabelValues("look")) > 0 })
		if err := stop(); err != nil || log.count("answer of Consul: ") != 1 {
			t.Errorf("%.20q: %v, log: %s", answer, err, &log.b)
		}
		s.Close()
	}
}

func TestListening(t *testing.T) {
	for _, tc := range []struct {
		name    string
		urls    []string
		change  func(*Config)
		address string
		port    int
		check   string
	}{
		{"one address", []string{"http://192.0.2.1:9100"}, nil, "192.0.2.1", 9100, "http://192.0.2.1:9100/healthz"},
		{"all addresses", []string{"https://localhost:9100"}, nil, "", 9100, "https://127.0.0.1:9100/healthz"},
		{"IPv6", []string{"http://[2001:db8::1]:9100"}, nil, "2001:db8::1", 9100, "http://[2001:db8::1]:9100/healthz"},
		{"told", []string{"http://localhost:1"}, func(c *Config) { c.IP, c.Port = "192.0.2.7", 80 }, "192.0.2.7", 80, "http://192.0.2.7:80/healthz"},
		{"by a socket only", []string{"unix:/run/x", "vsock:vm(2):9100"}, func(c *Config) { c.IP, c.Port = "192.0.2.7", 80 }, "192.0.2.7", 80, "http://192.0.2.7:80/healthz"},
		{"scheme told", []string{"http://localhost:1"}, func(c *Config) { c.Meta = map[string]string{"scheme": "https"} }, "", 1, "https://127.0.0.1:1/healthz"},
		{"by TCP", []string{"https://192.0.2.1:9100"}, func(c *Config) { c.Check = CheckTCP }, "192.0.2.1", 9100, "192.0.2.1:9100"},
		{"no check", []string{"https://192.0.2.1:9100"}, func(c *Config) { c.Check = CheckNone }, "192.0.2.1", 9100, ""},
	} {
		cfg, _ := config("http://127.0.0.1:8500")
		if tc.change != nil {
			tc.change(&cfg)
		}
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Listening(tc.urls); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if r.service.Address != tc.address || r.service.Port != tc.port {
			t.Errorf("%s: %s, port %d", tc.name, r.service.Address, r.service.Port)
		}
		got := ""
		if c := r.check(); c != nil {
			got = c.HTTP + c.TCP
			if c.TLSSkipVerify != strings.HasPrefix(c.HTTP, "https") {
				t.Errorf("%s: TLSSkipVerify %t", tc.name, c.TLSSkipVerify)
			}
		}
		if got != tc.check {
			t.Errorf("%s: check %q, want %q", tc.name, got, tc.check)
		}
	}
	cfg, _ := config("http://127.0.0.1:8500")
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Listening([]string{"unix:/run/x"}); err == nil || !strings.Contains(err.Error(), "--consul.port") {
		t.Errorf("no port: %v", err)
	}
}

// Where it listens on all addresses, the one towards a Consul elsewhere counts.
func TestSource(t *testing.T) {
	for _, address := range []string{"http://127.0.0.1:8500", "http://localhost:8500", "unix:///run/consul.sock"} {
		c, err := newClient(address, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.source(t.Context()); got != "" {
			t.Errorf("%s: source %q", address, got)
		}
	}
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		t.Skipf("no route to another host: %v", err)
	}
	defer conn.Close()
	c, err := newClient("http://192.0.2.1:8500", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.source(t.Context()), conn.LocalAddr().(*net.UDPAddr).IP.String(); got != want {
		t.Errorf("source %q, want %q", got, want)
	}
}

func TestBadConfig(t *testing.T) {
	many := make(map[string]string)
	for i := range 62 {
		many["k"+strings.Repeat("x", i)] = "v"
	}
	for name, change := range map[string]func(*Config){
		"no address":       func(c *Config) { c.Address = "" },
		"no host":          func(c *Config) { c.Address = "http://" },
		"another scheme":   func(c *Config) { c.Address = "ftp://a:1" },
		"no path":          func(c *Config) { c.Address = "unix://" },
		"a host of a path": func(c *Config) { c.Address = "unix://run/consul.sock" },
		"control bytes":    func(c *Config) { c.Address = "http://a\n:1" },
		"no name":          func(c *Config) { c.Service = "" },
		"no node":          func(c *Config) { c.Node = "" },
		"slash":            func(c *Config) { c.Node = "a/b" },
		"IP":               func(c *Config) { c.IP = "host" },
		"any IP":           func(c *Config) { c.IP = "::" },
		"port":             func(c *Config) { c.Port = 65536 },
		"check":            func(c *Config) { c.Check = "grpc" },
		"interval":         func(c *Config) { c.Interval = 0 },
		"timeout":          func(c *Config) { c.Timeout = 0 },
		"too soon":         func(c *Config) { c.DeregisterAfter = time.Second },
		"never critical":   func(c *Config) { c.DeregisterAfter, c.Check = time.Hour, CheckNone },
		"meta key":         func(c *Config) { c.Meta = map[string]string{"a b": "c"} },
		"empty meta key":   func(c *Config) { c.Meta = map[string]string{"": "c"} },
		"Consul's meta":    func(c *Config) { c.Meta = map[string]string{"consul-version": "c"} },
		"meta value":       func(c *Config) { c.Meta = map[string]string{"a": strings.Repeat("x", 513)} },
		"meta, many":       func(c *Config) { c.Meta = many },
	} {
		cfg, _ := config("http://127.0.0.1:8500")
		change(&cfg)
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line", name, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	cfg, _ := config("http://127.0.0.1:8500")
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(r.Collectors()...)
	const want = `# HELP watchpost_consul_errors_total Calls of Consul that failed, by what was asked for.
# TYPE watchpost_consul_errors_total counter
watchpost_consul_errors_total{call="look"} 0
watchpost_consul_errors_total{call="register"} 0
# HELP watchpost_consul_registered Whether Consul knew the service (1) or not (0) when it was asked last.
# TYPE watchpost_consul_registered gauge
watchpost_consul_registered 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestJitter(t *testing.T) {
	for range 1000 {
		if d := jitter(4 * time.Second); d < 3*time.Second || d > 4*time.Second {
			t.Fatalf("4s became %s", d)
		}
	}
}

// FuzzAnswer: whatever answers in Consul's place is read or refused, in a message
// that is one short line.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"ID\":\"a\",\"x\":1}"))
	f.Add([]byte("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n"))
	f.Add([]byte("\x00"))
	dir := f.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "consul"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	c, err := newClient("unix://"+filepath.Join(dir, "consul"), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				conn.Write(answer)
			}
		}()
		_, err := c.look(t.Context(), "id")
		<-done
		if no := new(refusal); errors.As(err, &no) && (strings.Contains(no.text, "\n") || len(no.text) > 2*maxErrorQuoted) {
			t.Errorf("%q: %q", answer, no.text)
		}
	})
}
