package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/dns/dnsmessage"

	"watchpost/internal/serve"
)

// newHandler has the modules of a text, the built-in ones without any.
func newHandler(t *testing.T, modules string, change ...func(*Config)) (*Handler, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	cfg := Config{Registry: reg, Log: slog.New(slog.DiscardHandler), TimeoutOffset: DefaultTimeoutOffset}
	if modules != "" {
		cfg.File = filepath.Join(t.TempDir(), "modules.yml")
		writeFile(t, cfg.File, modules)
	}
	for _, c := range change {
		c(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h, reg
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ask probes; pairs are the parameters.
func ask(h http.Handler, pairs ...string) (status int, body string) {
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest("GET", "/probe?"+query.Encode(), nil)
	r.Header.Set(serve.ScrapeTimeoutHeader, "3")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// series are the lines of an exposition without their values, and the value of
// each.
func series(t *testing.T, text string) (names []string, values map[string]string) {
	t.Helper()
	values = make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		names = append(names, line[:i])
		values[line[:i]] = line[i+1:]
	}
	return names, values
}

// The names are those that blackbox_exporter 0.28 gives for the same targets.
var httpSeries = []string{
	"probe_dns_lookup_time_seconds", "probe_duration_seconds", "probe_failed_due_to_regex", "probe_http_content_length",
	`probe_http_duration_seconds{phase="connect"}`, `probe_http_duration_seconds{phase="processing"}`,
	`probe_http_duration_seconds{phase="resolve"}`, `probe_http_duration_seconds{phase="tls"}`, `probe_http_duration_seconds{phase="transfer"}`,
	"probe_http_redirects", "probe_http_ssl", "probe_http_status_code", "probe_http_uncompressed_body_length", "probe_http_version",
	"probe_ip_addr_hash", "probe_ip_protocol", "probe_success",
}

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello from %s", r.Host) })
	mux.HandleFunc("/missing", http.NotFound)
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	h, reg := newHandler(t, `
modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}
  refuses: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_matches_regexp: [hello]}}
  wants_host: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [from shop.example]}}
  fixed_host: {prober: http, http: {headers: {host: a.example}}}
`)
	for _, c := range []struct {
		name, path, module, host string
		want                     map[string]string
	}{
		{"good", "/", "", "", map[string]string{"probe_success": "1", "probe_http_status_code": "200", "probe_http_ssl": "0", "probe_failed_due_to_regex": "0"}},
		{"missing", "/missing", "http_2xx", "", map[string]string{"probe_success": "0", "probe_http_status_code": "404"}},
		{"redirect", "/moved", "http_2xx", "", map[string]string{"probe_success": "1", "probe_http_redirects": "1"}},
		{"regex", "/", "refuses", "", map[string]string{"probe_success": "0", "probe_failed_due_to_regex": "1", "probe_http_status_code": "200"}},
		{"without host", "/", "wants_host", "", map[string]string{"probe_success": "0", "probe_failed_due_to_regex": "1"}},
		{"with host", "/", "wants_host", "shop.example", map[string]string{"probe_success": "1", "probe_failed_due_to_regex": "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := ask(h, "target", server.URL+c.path, "module", c.module, "hostname", c.host)
			names, values := series(t, text)
			if status != http.StatusOK || !slices.Equal(names, httpSeries) {
				t.Errorf("status %d, series\n%s\nwant\n%s", status, strings.Join(names, "\n"), strings.Join(httpSeries, "\n"))
			}
			for name, want := range c.want {
				if values[name] != want {
					t.Errorf("%s is %q, want %q", name, values[name], want)
				}
			}
		})
	}
	if status, text := ask(h, "target", server.URL, "module", "fixed_host", "hostname", "b.example"); status != http.StatusBadRequest || !strings.Contains(text, "a.example") {
		t.Errorf("two hosts: %d %s", status, text)
	}
	if got := value(t, reg, "watchpost_probes_total", "http", "success"); got != 3 {
		t.Errorf("%g successes counted, want 3", got)
	}
	if got := value(t, reg, "watchpost_probes_total", "http", "failure"); got != 3 {
		t.Errorf("%g failures counted, want 3", got)
	}
}

// value is the number of a counter with all these label values.
func value(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if slices.Equal(got, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func TestHTTPS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	h, _ := newHandler(t, "modules: {insecure: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}, http_2xx: {prober: http}}")
	_, text := ask(h, "target", server.URL, "module", "insecure")
	names, values := series(t, text)
	for _, pattern := range []string{
		`^probe_ssl_earliest_cert_expiry$`, `^probe_ssl_last_chain_expiry_timestamp_seconds$`,
		`^probe_ssl_last_chain_info\{fingerprint_sha256="[0-9a-f]{64}",issuer="O=Acme Co",serialnumber="[0-9a-f]+",subject="O=Acme Co",subjectalternative="example.com[^"]*"\}$`,
		`^probe_tls_version_info\{version="TLS 1.3"\}$`, `^probe_tls_cipher_info\{cipher="TLS_[A-Z0-9_]+"\}$`,
	} {
		if !slices.ContainsFunc(names, regexp.MustCompile(pattern).MatchString) {
			t.Errorf("no series %s in\n%s", pattern, strings.Join(names, "\n"))
		}
	}
	if values["probe_success"] != "1" || values["probe_http_ssl"] != "1" {
		t.Errorf("an https target failed:\n%s", text)
	}
	if _, values = series(t, second(ask(h, "target", server.URL))); values["probe_success"] != "0" {
		t.Error("a certificate of nobody was trusted")
	}
}

func second[A, B any](_ A, b B) B { return b }

// lines is a TCP server that greets and then repeats what it is sent.
func lines(t *testing.T, greeting string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, greeting)
				for s := bufio.NewScanner(c); s.Scan(); {
					fmt.Fprintf(c, "you said %s\r\n", s.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestTCP(t *testing.T) {
	h, _ := newHandler(t, `
modules:
  ssh: {prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-([^ ]+)", labels: [{name: version, value: "${1}"}]}, {send: secret-word}, {expect: "you said"}]}}
  tcp_connect: {prober: tcp}
`)
	address := lines(t, "SSH-2.0-Made_up\r\n")
	_, text := ask(h, "target", address, "module", "ssh")
	names, values := series(t, text)
	want := []string{"probe_dns_lookup_time_seconds", "probe_duration_seconds", `probe_expect_info{version="Made_up"}`,
		"probe_failed_due_to_bytes", "probe_failed_due_to_regex", "probe_ip_addr_hash", "probe_ip_protocol", "probe_success"}
	if !slices.Equal(names, want) || values["probe_success"] != "1" {
		t.Errorf("got\n%s\nwant the series\n%s", text, strings.Join(want, "\n"))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	if _, values := series(t, second(ask(h, "target", nobody, "module", "tcp_connect"))); values["probe_success"] != "0" {
		t.Error("a port where nobody listens succeeded")
	}
}

// answerDNS is a name server that knows one address.
func answerDNS(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response = true
			if m.Questions[0].Name.String() == "known.example." {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60},
					Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
				}}
			} else {
				m.RCode = dnsmessage.RCodeNameError
			}
			if answer, err := m.Pack(); err == nil {
				c.WriteTo(answer, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

func TestDNS(t *testing.T) {
	h, _ := newHandler(t, `
modules:
  known: {prober: dns, dns: {query_name: known.example, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ["192\\.0\\.2\\.7"]}}}
  unknown: {prober: dns, dns: {query_name: unknown.example, query_type: A}}
`)
	server := answerDNS(t)
	want := []string{"probe_dns_additional_rrs", "probe_dns_answer_rrs", "probe_dns_authority_rrs",
		`probe_dns_duration_seconds{phase="connect"}`, `probe_dns_duration_seconds{phase="request"}`, `probe_dns_duration_seconds{phase="resolve"}`,
		"probe_dns_lookup_time_seconds", "probe_dns_query_succeeded", "probe_duration_seconds", "probe_ip_addr_hash", "probe_ip_protocol", "probe_success"}
	for module, success := range map[string]string{"known": "1", "unknown": "0"} {
		names, values := series(t, second(ask(h, "target", server, "module", module)))
		if !slices.Equal(names, want) || values["probe_success"] != success || values["probe_dns_answer_rrs"] != success {
			t.Errorf("%s: %v\nwant the series\n%s", module, values, strings.Join(want, "\n"))
		}
	}
}

func TestICMP(t *testing.T) {
	c, err := net.ListenPacket("ip4:icmp", "127.0.0.1")
	if err == nil {
		c.Close()
	} else if b, _ := os.ReadFile("/proc/sys/net/ipv4/ping_group_range"); !strings.HasPrefix(string(b), "0\t") || strings.HasSuffix(strings.TrimSpace(string(b)), "\t0") {
		t.Skip("this user may not send echo requests")
	}
	h, _ := newHandler(t, "")
	names, values := series(t, second(ask(h, "target", "127.0.0.1", "module", "icmp")))
	want := []string{"probe_dns_lookup_time_seconds", "probe_duration_seconds", `probe_icmp_duration_seconds{phase="resolve"}`,
		`probe_icmp_duration_seconds{phase="rtt"}`, `probe_icmp_duration_seconds{phase="setup"}`, "probe_icmp_reply_hop_limit",
		"probe_ip_addr_hash", "probe_ip_protocol", "probe_success"}
	if !slices.Equal(names, want) || values["probe_success"] != "1" || values["probe_ip_protocol"] != "4" {
		t.Errorf("%v\nwant the series\n%s", values, strings.Join(want, "\n"))
	}
}

func TestRefusals(t *testing.T) {
	h, reg := newHandler(t, "")
	for _, c := range []struct {
		name   string
		method string
		query  string
		header string
		status int
		says   string
	}{
		{"no target", "GET", "module=icmp", "", 400, "Target parameter is missing"},
		{"unknown module", "GET", "target=x&module=nope", "", 400, `Unknown module "nope"`},
		{"odd timeout", "GET", "target=x", "soon", 400, `"soon" is not a number`},
		{"NaN", "GET", "target=x", "NaN", 400, `"NaN" is not a number`},
		{"negative", "GET", "target=x", "-1", 400, `"-1" is not a number`},
		{"method", "POST", "target=x", "", 405, "GET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/probe?"+c.query, nil)
			r.Header.Set(serve.ScrapeTimeoutHeader, c.header)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, c.status, c.says)
			}
		})
	}
	if got := value(t, reg, "blackbox_module_unknown_total"); got != 1 {
		t.Errorf("%g unknown modules counted, want 1", got)
	}
}

func TestTimeout(t *testing.T) {
	h := &Handler{cfg: Config{TimeoutOffset: DefaultTimeoutOffset}}
	for _, c := range []struct {
		header string
		module time.Duration
		want   time.Duration
	}{
		{"", 0, 119500 * time.Millisecond},
		{"10", 0, 9500 * time.Millisecond},
		{"10", 5 * time.Second, 5 * time.Second},
		{"10", 20 * time.Second, 9500 * time.Millisecond},
		{"0", 0, 119500 * time.Millisecond},
		{"0.3", 0, 300 * time.Millisecond},
		{"1e300", 0, 119500 * time.Millisecond},
		{"+Inf", 0, 119500 * time.Millisecond},
	} {
		if got, err := h.timeout(c.header, c.module); err != nil || got != c.want {
			t.Errorf("%q, module %s: %s %v, want %s", c.header, c.module, got, err, c.want)
		}
	}
}

// A target that never answers costs its own time and no more; with all places
// taken others are refused when their time is over.
func TestSilentTarget(t *testing.T) {
	asked, release := make(chan bool, 1), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- true
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	h, reg := newHandler(t, "", func(c *Config) { c.Concurrency = 1 })
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan bool)
	go func() {
		defer close(left)
		r := httptest.NewRequest("GET", "/probe?target="+server.URL, nil).WithContext(ctx)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-asked
	r := httptest.NewRequest("GET", "/probe?target="+server.URL, nil)
	r.Header.Set(serve.ScrapeTimeoutHeader, "0.05")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || value(t, reg, "watchpost_probes_total", "http", "refused") != 1 {
		t.Errorf("a second probe: %d %s", w.Code, w.Body)
	}
	leave() // the scraper of the first gives up, and its place is free
	<-left
	if got := value(t, reg, "watchpost_probes_running"); got != 0 {
		t.Errorf("%g probes are still running", got)
	}
}

func TestDebug(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	h, _ := newHandler(t, `
modules:
  secrets:
    prober: http
    http: {preferred_ip_protocol: ip4, method: POST, body: body-password, headers: {X-Api-Key: header-password, Accept: text/plain}, basic_auth: {username: u, password: basic-password}}
    tcp: {query_response: [{send: sent-password}]}
    grpc: {metadata: {key: [grpc-password]}}
`)
	status, text := ask(h, "target", server.URL, "module", "secrets", "debug", "true")
	for _, want := range []string{"Logs for the probe", "Invalid HTTP response status code", "probe_success 0", "Module configuration", "text/plain"} {
		if !strings.Contains(text, want) {
			t.Errorf("status %d: nothing of %q in\n%s", status, want, text)
		}
	}
	if i := strings.Index(text, "-password"); i >= 0 {
		t.Errorf("a secret is shown: %q", text[max(0, i-80):i+9])
	}
}

func TestModules(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown field", "modules:\n  a:\n    prober: http\n    htpp: {}\n", "line 4: field htpp not found"},
		{"unknown prober", "modules: {a: {prober: telnet}}", `module a: unknown prober "telnet"; there are dns, grpc, http`},
		{"no prober", "modules: {a: {timeout: 1s}}", `module a: unknown prober ""`},
		{"negative", "modules: {a: {prober: http, timeout: -1s}}", "timeout -1s is below zero"},
		{"regex", "modules: {a: {prober: http, http: {fail_if_body_matches_regexp: ['(']}}}", "regexp"},
		{"dns without name", "modules: {a: {prober: dns}}", ""},
		{"no query name", "modules: {a: {prober: dns, dns: {query_type: A}}}", "query name must be set"},
		{"empty", "", "empty"},
		{"no modules", "modules: {}", "no modules"},
		{"not YAML", "modules: [", "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse([]byte(c.text))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := load(filepath.Join(t.TempDir(), "absent.yml")); err == nil || !strings.Contains(err.Error(), "absent.yml") {
		t.Errorf("an absent file: %v", err)
	}
}

func TestReload(t *testing.T) {
	h, reg := newHandler(t, "modules: {old: {prober: icmp}}")
	sum, err := h.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	good := func() float64 { return value(t, reg, "blackbox_exporter_config_last_reload_successful") }
	has := func(name string) bool { _, ok := (*h.modules.Load())[name]; return ok }

	writeFile(t, h.cfg.File, "modules: {new: {prober: nothing}}")
	if err := h.Reload(); err == nil || good() != 0 || !has("old") {
		t.Errorf("a broken file: %v, successful %g", err, good())
	}
	writeFile(t, h.cfg.File, "modules: {new: {prober: icmp}}")
	if err := h.Reload(); err != nil || good() != 1 || has("old") || !has("new") {
		t.Errorf("a mended file: %v, successful %g", err, good())
	}
	if now, err := h.Checksum(); err != nil || now == sum {
		t.Errorf("the sum of another file is the same, %v", err)
	}
}

func TestAccountIsBounded(t *testing.T) {
	a := newAccount(slog.DiscardHandler, true)
	log := slog.New(a)
	for range 2 * maxAccount / 50 {
		log.Debug(strings.Repeat("x", 100))
	}
	if n := len(a.text()); n > maxAccount+100 || n < maxAccount-200 {
		t.Errorf("%d bytes are kept", n)
	}
}

func FuzzModules(f *testing.F) {
	f.Add(builtIn)
	f.Add("modules: {a: {prober: tcp, tcp: {query_response: [{expect: x, send: y}]}}}")
	f.Fuzz(func(t *testing.T, text string) {
		modules, err := parse([]byte(text))
		if err != nil {
			return
		}
		for _, m := range modules {
			withoutSecrets(m)
		}
	})
}
