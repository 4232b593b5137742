//go:build e2e

package e2e

// Probes and pushed metrics of the real program, and beside the programs whose
// place they take where WATCHPOST_BLACKBOX and WATCHPOST_PUSHGATEWAY name them.

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// call sends a request and returns what is answered.
func call(t *testing.T, method, address, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
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

// peer runs the program that an environment variable names, until the test ends,
// and waits until it answers at address.
func peer(t *testing.T, variable, address string, args ...string) {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		t.Skipf("%s names no program to compare with", variable)
	}
	cmd := exec.Command(program, args...)
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &said, &said, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen: %s", program, &said)
		}
	}
}

// A pushed metric is stored with its own labels, a probe with its target's, and
// what was pushed is there after a restart.
func TestCollectorGateways(t *testing.T) {
	beside(t)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	pushed, web := freeAddress(t), freeAddress(t)
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	config := fmt.Sprintf(`
scrape_configs:
  - job_name: pushgateway
    scrape_interval: 200ms
    scrape_timeout: 200ms
    honor_labels: true
    static_configs: [{targets: [%q]}]
  - job_name: pages
    scrape_interval: 1s
    scrape_timeout: 1s
    metrics_path: /probe
    params: {module: [http_2xx]}
    static_configs: [{targets: [%q]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: %q}
`, pushed, target.URL, web)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCollector(t, "--config.file="+file, "--web.listen-address="+web, "--probe", "--push.listen-address="+pushed)
	c.web = web
	c.start()
	if code, text := call(t, "PUT", "http://"+c.web+"/metrics/job/nightly/instance/db1", "# TYPE backup_bytes gauge\nbackup_bytes 42\n"); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	c.number(`backup_bytes{job="nightly",instance="db1"} == 42`)
	c.number(fmt.Sprintf(`probe_success{job="pages",instance=%q} == 1`, target.URL))
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Fatalf("the stop: %v", err)
	}
	c.start()
	if _, text := call(t, "GET", "http://"+pushed+"/metrics", ""); !strings.Contains(text, `backup_bytes{instance="db1",job="nightly"} 42`) {
		t.Errorf("after a restart there is\n%s", text)
	}
}

// withoutValues leaves names, labels and types of an exposition.
func withoutValues(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "# HELP "):
		case strings.HasPrefix(line, "#"):
			b.WriteString(line)
		default:
			b.WriteString(line[:strings.LastIndexByte(line, ' ')] + "\n")
		}
	}
	return b.String()
}

func TestProbesAsBlackboxExporter(t *testing.T) {
	beside(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusMovedPermanently)
		case "/gone":
			http.Error(w, "gone", http.StatusGone)
		default:
			w.Header().Set("Last-Modified", "Mon, 02 Jan 2023 15:04:05 GMT")
			fmt.Fprintf(w, `{"state":"ok","host":%q}`, r.Host)
		}
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(plain.Config.Handler)
	defer secure.Close()
	greeter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greeter.Close()
	go func() {
		for {
			conn, err := greeter.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "SSH-2.0-Made_up\r\n")
			conn.Close()
		}
	}()
	file := filepath.Join(t.TempDir(), "modules.yml")
	modules := `
modules:
  http_2xx: {prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4}}
  insecure: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  strict: {prober: http, http: {fail_if_not_ssl: true, valid_status_codes: [200], valid_http_versions: ["HTTP/1.1"]}}
  body: {prober: http, http: {fail_if_body_not_matches_regexp: [nothing-of-it]}}
  header: {prober: http, http: {fail_if_header_not_matches: [{header: X-None, regexp: x}]}}
  cel: {prober: http, http: {fail_if_body_json_not_matches_cel: "body.state == 'ok'"}}
  stay: {prober: http, http: {follow_redirects: false, valid_status_codes: [301]}}
  tcp: {prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-(.*)$", labels: [{name: v, value: "${1}"}]}]}}
  tls: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  icmp: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, timeout: 500ms, dns: {query_name: a.example, query_type: SOA}}
`
	if err := os.WriteFile(file, []byte(modules), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := freeAddress(t)
	peer(t, "WATCHPOST_BLACKBOX", theirs, "--config.file="+file, "--web.listen-address="+theirs, "--log.level=error")
	c := newCollector(t, "--probe.config.file="+file)
	c.start()
	for _, q := range []struct{ module, target string }{
		{"http_2xx", plain.URL}, {"", plain.URL + "/gone"}, {"http_2xx", plain.URL + "/moved"}, {"http_2xx", secure.URL}, {"http_2xx", "no-such-host.invalid"},
		{"http_2xx", "http://127.0.0.1:1/"}, {"insecure", secure.URL}, {"strict", plain.URL}, {"body", plain.URL}, {"header", plain.URL}, {"cel", plain.URL},
		{"stay", plain.URL + "/moved"}, {"tcp", greeter.Addr().String()}, {"tcp", "127.0.0.1:1"}, {"tls", secure.Listener.Addr().String()},
		{"icmp", "127.0.0.1"}, {"icmp", "no-such-host.invalid"}, {"dns", "127.0.0.1:1"}, {"none", plain.URL}, {"icmp", ""},
	} {
		query := "/probe?" + url.Values{"module": {q.module}, "target": {q.target}}.Encode()
		wantCode, want := call(t, "GET", "http://"+theirs+query, "")
		gotCode, got := call(t, "GET", "http://"+c.web+query, "")
		if wantCode == http.StatusOK {
			for _, name := range []string{"probe_success", "probe_http_status_code", "probe_failed_due_to_regex", "probe_http_redirects"} {
				value := regexp.MustCompile(`(?m)^` + name + ` .*$`)
				if value.FindString(want) != value.FindString(got) {
					t.Errorf("%s: %s, there %s", query, value.FindString(got), value.FindString(want))
				}
			}
			want, got = withoutValues(want), withoutValues(got)
		}
		if gotCode != wantCode || got != want {
			t.Errorf("%s: %d\n%s\nblackbox_exporter: %d\n%s", query, gotCode, got, wantCode, want)
		}
	}
}

// What a row of pushes leaves, and how each is answered, is the same there.
func TestPushesAsPushgateway(t *testing.T) {
	beside(t)
	theirs, ours := freeAddress(t), freeAddress(t)
	kept := filepath.Join(t.TempDir(), "theirs")
	peer(t, "WATCHPOST_PUSHGATEWAY", theirs, "--web.listen-address="+theirs, "--persistence.file="+kept, "--persistence.interval=10ms", "--web.enable-admin-api", "--log.level=error")
	c := newCollector(t, "--push.listen-address="+ours, "--web.enable-admin-api")
	c.start()
	const histogram = "# HELP h Sizes.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
	for i, p := range []struct{ method, path, body string }{
		{"PUT", "/job/a", "# HELP x Some.\n# TYPE x counter\nx{l=\"1\"} 1\nx{l=\"2\",job=\"own\"} 2e10\n"},
		{"PUT", "/job/a/instance/i", histogram},
		{"POST", "/job/a/instance/i", "y 1\nz NaN\n"},
		{"POST", "/job/a/instance/i", "y 2\n"},
		{"PUT", "/job/b/instance/i", "# TYPE x gauge\nx 1\n"}, // another type
		{"PUT", "/job/b", "h_sum 1\n"},
		{"PUT", "/job/b", "# HELP x Some.\n# TYPE x counter\nx{k=\"\"} 1\n"},
		{"POST", "/job/b", "ts 1 1600000000000\n"},
		{"POST", "/job/b", "dup 1\ndup 2\n"},
		{"POST", "/job/b", "broken 1"},
		{"POST", "/job/b", "# TYPE y counter\ny 1\n"},
		{"PUT", "/job/c/path/.a/more/x", "esc{l=\"a\\\\b\\n\\\"c\"} -Inf\n"},
		{"PUT", "/job@base64/L3Zhci90bXA=/path@base64/w7w/empty@base64/=", "e 1\n"},
		{"PUT", "/job/d/", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n"},
		{"PUT", "/job/e/a", "e 1\n"}, {"PUT", "/job//a/b", "e 1\n"}, {"PUT", "/job@base64/=", "e 1\n"}, {"PUT", "/job/e/__a/b", "e 1\n"},
		{"PUT", "/job/e/a@base64/!", "e 1\n"}, {"PUT", "/job/e%2Ff/g", "e 1\n"}, {"PUT", "/job/e%20f/g/h%2Bi", "e 1\n"}, {"PUT", "/job/e/é/f", "e 1\n"},
		{"PUT", "/job/e/a-b/f", "e 1\n"}, {"PUT", "/job/e/a/b/c/", "e 1\n"}, {"PUT", "/job/e/a/1/a/2", "e 1\n"}, {"PUT", "/job/e/job/f", "e 1\n"},
		{"DELETE", "/job/e/a/2", ""}, {"DELETE", "/job/never", ""}, {"DELETE", "/job/e/a", ""},
		{"PUT", "/job/a/instance/i", ""}, {"POST", "/job/f", "# TYPE push_time_seconds counter\npush_time_seconds 1\n"},
	} {
		wantCode, want := call(t, p.method, "http://"+theirs+"/metrics"+p.path, p.body)
		gotCode, got := call(t, p.method, "http://"+ours+"/metrics"+p.path, p.body)
		if gotCode != wantCode {
			t.Errorf("%d: %s %s: %d %s; pushgateway: %d %s", i, p.method, p.path, gotCode, got, wantCode, want)
		}
		if got, want := pushedPage(t, ours), pushedPage(t, theirs); got != want {
			t.Fatalf("%d: after %s %s the page is\n%s\nthat of pushgateway\n%s", i, p.method, p.path, got, want)
		}
	}
	// Its file is taken over as it is.
	var file []byte
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(kept)
		if err == nil && bytes.Contains(b, []byte("push_time_seconds")) {
			file = b
			break
		}
		if time.Now().After(end) {
			t.Fatal("pushgateway wrote no file")
		}
	}
	third := freeAddress(t)
	taken := filepath.Join(t.TempDir(), "taken")
	time.Sleep(100 * time.Millisecond) // ten of its intervals: its last state
	if b, err := os.ReadFile(kept); err == nil {
		file = b
	}
	if err := os.WriteFile(taken, file, 0o600); err != nil {
		t.Fatal(err)
	}
	newCollector(t, "--push.listen-address="+third, "--push.persistence.file="+taken).start()
	if got, want := pushedPage(t, third), pushedPage(t, theirs); got != want {
		t.Errorf("with its file the page is\n%s\nthat of pushgateway\n%s", got, want)
	}
	for _, a := range []string{ours, theirs} {
		if code, text := call(t, "PUT", "http://"+a+"/api/v1/admin/wipe", ""); code != http.StatusAccepted {
			t.Errorf("wipe: %d %s", code, text)
		}
	}
	for end := time.Now().Add(patience); pushedPage(t, theirs) != ""; time.Sleep(20 * time.Millisecond) { // it does so later
		if time.Now().After(end) {
			t.Fatal("pushgateway is not wiped")
		}
	}
	if got := pushedPage(t, ours); got != "" {
		t.Errorf("after wiping there is\n%s", got)
	}
}

var (
	pushTime    = regexp.MustCompile(`(?m)^(push_(?:failure_)?time_seconds\{.*\}) [1-9].*$`)
	pushHelp    = regexp.MustCompile(`(?m)^# HELP push_.*\n`)
	ownFamilies = regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?(go|process|promhttp|pushgateway)_.*\n`)
)

// pushedPage is the text at an address without a pushgateway's own metrics, with
// times as T.
func pushedPage(t *testing.T, address string) string {
	t.Helper()
	code, text := call(t, "GET", "http://"+address+"/metrics", "", "Accept", "text/plain;version=0.0.4")
	if code != http.StatusOK {
		t.Fatalf("scrape: %d %s", code, text)
	}
	text = ownFamilies.ReplaceAllString(text, "")
	return pushTime.ReplaceAllString(pushHelp.ReplaceAllString(text, ""), "$1 T")
}
