//go:build e2e

package e2e

// What can go wrong around cadvisor-proxy: each fault costs its source alone, is told
// with its reason, takes no memory to speak of, and is over when the fault is.

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"watchpost/internal/testkubelet"
)

// kubeletFlags say how a kubelet is reached.
func kubeletFlags(k *testkubelet.Kubelet, more ...string) []string {
	return append([]string{"--kubelet.url=" + k.URL, "--kubelet.ca-file=" + k.CAFile, "--kubelet.token-file=" + k.TokenFile, "--node=n1"}, more...)
}

// impatient are the headers of a scraper that gives up after 1 s.
var impatient = []string{"X-Prometheus-Scrape-Timeout-Seconds", "1"}

// up is a source's state in an answer that Prometheus reads.
func up(t *testing.T, got answer, source string) float64 {
	t.Helper()
	if got.status != 200 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	value, ok := parse(t, got).series[fmt.Sprintf(`{__name__="watchpost_proxy_source_up", node="n1", source=%q}`, source)]
	if !ok {
		t.Fatalf("nothing is told of %s: %.2000s", source, got.body)
	}
	return value
}

func TestCadvisorProxyFaults(t *testing.T) {
	beside(t)
	good := testkubelet.NewNode(20).Text()
	k := testkubelet.Start(t)
	healthy := func() {
		k.Text("/metrics/cadvisor", good)
		k.Text("/metrics/resource", "# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total 1\n")
	}
	healthy()
	cmd, url, stop := startProxy(t, kubeletFlags(k, "--kubelet.metrics=cadvisor,resource")...)
	series := strings.Count("\n"+good, "\ncontainer_memory_")
	recovers := func(after string) {
		t.Helper()
		got := get(t, http.DefaultClient, url+"/metrics")
		if up(t, got, "cadvisor") != 1 || up(t, got, "resource") != 1 || strings.Count(got.body, "\ncontainer_memory_") < series/4 {
			t.Errorf("after %s: %.3000s", after, got.body)
		}
	}
	eventually(t, "asked", func() error {
		if got := get(t, http.DefaultClient, url+"/readyz"); got.status != 200 {
			return errors.New(got.body)
		}
		return nil
	})
	recovers("the start")
	page := func(h http.HandlerFunc) func() { return func() { k.Page("/metrics/cadvisor", h) } }
	restart := func() { k.Stop(); k.Restart(t, time.Time{}) }
	for _, c := range []struct {
		name   string
		begin  func()
		end    func()
		reason string
		says   string // on the source's own path; "" is an answer that is cut off
		others bool   // the kubelet's other page still answers
	}{
		{"wrong token", func() {
			if err := os.WriteFile(k.TokenFile, []byte("wrong"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, func() { k.SetToken(t, "second") }, "refused", "the token in " + k.TokenFile + " is not taken", false},
		{"expired certificate", func() { k.Stop(); k.Restart(t, time.Now().Add(-time.Hour)) }, restart, "unreachable", `the certificate "CN=` + testkubelet.Name + `" counts from `, false},
		{"kubelet down", k.Stop, func() { k.Restart(t, time.Time{}) }, "unreachable", "connection refused", false},
		{"truncated", page(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			io.WriteString(w, good[:len(good)/2])
		}), healthy, "truncated", "", true},
		{"garbage", page(func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte("\x80\x00{\xff\n"), 1<<20)) }), healthy, "unreadable", "line 1: ", true},
		{"slow", page(func(_ http.ResponseWriter, r *http.Request) {
			if left, err := strconv.ParseFloat(r.Header.Get(impatient[0]), 64); err != nil || left <= 0 || left > 0.9 {
				t.Errorf("the kubelet is told a time of %v s, %v; the scraper's is 1", left, err)
			}
			<-r.Context().Done() // ended by the proxy
		}), healthy, "timeout", "no whole answer in", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.begin()
			if got, err := tryGet(url + "/metrics/cadvisor"); c.says != "" && (err != nil || got.status < 500 || !strings.Contains(got.body, c.says)) || c.says == "" && err == nil {
				t.Errorf("status %d, %v: %.500s", got.status, err, got.body)
			}
			got := get(t, http.DefaultClient, url+"/metrics", impatient...)
			if up(t, got, "cadvisor") != 0 || (up(t, got, "resource") == 1) != c.others || strings.Contains(got.body, "node_cpu_usage_seconds_total{") != c.others {
				t.Errorf("%.3000s", got.body)
			}
			failures := `watchpost_proxy_source_failures_total{node="n1",source="cadvisor",reason="` + c.reason + `"} `
			if !strings.Contains(got.body, failures) || strings.Contains(got.body, failures+"0") {
				t.Errorf("no %sabove 0", failures)
			}
			c.end()
			recovers(c.name)
		})
	}
	peak := memoryKB(t, cmd.Process.Pid, "VmHWM")
	t.Logf("VmHWM %d kB", peak)
	if peak > 20<<10 {
		t.Errorf("VmHWM %d kB", peak)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// tryGet is get for an answer that may be cut off.
func tryGet(url string) (answer, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set(impatient[0], impatient[1])
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return answer{status: got.StatusCode, body: string(body)}, err
}

// largeBody is how many bytes a source says that has gone mad.
const largeBody = 500 << 20

// large is such an answer: lines as long as the kubelet's.
func large(w io.Writer) {
	line := `container_memory_rss{container="shop",id="/kubepods/burstable/pod0c4b1c9e-1f5e-4f7e-8d0a-5a1c6f1f9a11/` + strings.Repeat("f", 64) +
		`",image="registry.example/shop:1.0",name="` + strings.Repeat("f", 64) + `",namespace="team-1",pod="shop-7d9c6b5f4-x2v9k"} 1.2345678e+07 1795234812000` + "\n"
	part := []byte(strings.Repeat(line, 1000))
	for sent := 0; sent < largeBody; sent += len(part) {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// 500 MB, as text and in gzip, from a source that is passed on and from one that is
// held: refused where the bound is, or passed on where it is higher, in little memory.
func TestCadvisorProxyLargeBody(t *testing.T) {
	beside(t)
	plain := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		large(w)
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	large(z)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	compressed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	}
	const whole = "--source.max-bytes=600000000"
	for _, c := range []struct {
		name   string
		mad    string // the page that is large
		answer http.HandlerFunc
		args   []string
		passes bool
		most   int // kB of VmHWM
	}{
		{"refused", "/metrics/cadvisor", plain, nil, false, 20 << 10},
		{"refused in gzip", "/metrics/cadvisor", compressed, []string{"--kubelet.gzip"}, false, 20 << 10},
		{"passed on", "/metrics/cadvisor", plain, []string{whole, "--profile=none"}, true, 20 << 10},
		{"held", "/metrics/resource", plain, []string{whole}, false, 64 << 10}, // 16 MB of --join.max-bytes, while it grows
	} {
		t.Run(c.name, func(t *testing.T) {
			k := testkubelet.Start(t)
			for _, page := range []string{"/metrics/cadvisor", "/metrics/resource"} {
				k.Text(page, "# TYPE small gauge\nsmall{page=\""+page+"\"} 1\n")
			}
			k.Page(c.mad, c.answer)
			cmd, url, stop := startProxy(t, kubeletFlags(k, append(c.args, "--kubelet.metrics=cadvisor,resource", "--source.timeout=50s")...)...)
			source := c.mad[len("/metrics/"):]
			if c.mad == "/metrics/cadvisor" {
				n, err := length(url + c.mad)
				if c.passes && (err != nil || n < largeBody) || !c.passes && (err == nil || n < 60<<20 || n > 80<<20) {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
			if !c.passes {
				got := get(t, http.DefaultClient, url+"/metrics/self")
				if c.mad == "/metrics/resource" {
					got = get(t, http.DefaultClient, url+"/metrics")
				}
				if !strings.Contains(got.body, `source_up{node="n1",source="`+source+`"} 0`) || strings.Contains(got.body, `source="`+source+`",reason="too_large"} 0`) {
					t.Errorf("not told: %.3000s", got.body)
				}
			}
			peak := memoryKB(t, cmd.Process.Pid, "VmHWM")
			t.Logf("VmHWM %d kB", peak)
			if peak > c.most {
				t.Errorf("VmHWM %d kB, more than %d", peak, c.most)
			}
			k.Text(c.mad, "# TYPE again gauge\nagain 1\n")
			if got := get(t, http.DefaultClient, url+"/metrics"); up(t, got, source) != 1 || !strings.Contains(got.body, "\nagain{") {
				t.Errorf("after it: %.3000s", got.body)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// length is how many bytes an answer has, and how it ended.
func length(url string) (int64, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept-Encoding", "identity")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer got.Body.Close()
	return io.Copy(io.Discard, got.Body)
}

// The pages that the proxy serves, of which none is for everybody.
var proxyPages = []string{"/", "/metrics", "/metrics/cadvisor", "/metrics/self", "/lookup?ip=10.1.0.1", "/debug/explain?metric=*"}

// Who does not say a password, or show a certificate, is refused on every page.
func TestCadvisorProxyRefuses(t *testing.T) {
	beside(t)
	node := testkubelet.NewNode(2)
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", node.Text())
	k.Text("/pods", node.PodList())
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	t.Run("password", func(t *testing.T) {
		hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		_, url, _ := startProxy(t, kubeletFlags(k, "--pods.from=kubelet", "--web.config.file="+write("basic.yml", []byte("basic_auth_users:\n  me: "+string(hash)+"\n")))...)
		for _, page := range proxyPages {
			for password, want := range map[string]int{"": 401, "wrong": 401, "right": 200} {
				r, err := http.NewRequest(http.MethodGet, url+page, nil)
				if err != nil {
					t.Fatal(err)
				}
				if password != "" {
					r.SetBasicAuth("me", password)
				}
				got, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(got.Body)
				got.Body.Close()
				if got.StatusCode != want || want == 401 && bytes.Contains(body, []byte("container")) {
					t.Errorf("%s with password %q: status %d, want %d: %.200s", page, password, got.StatusCode, want, body)
				}
			}
		}
	})
	t.Run("certificate", func(t *testing.T) {
		ends := time.Now().Add(time.Hour)
		cert, key, err := testkubelet.Certificate("proxy", ends)
		if err != nil {
			t.Fatal(err)
		}
		clientCert, clientKey, err := testkubelet.Certificate("scraper", ends)
		if err != nil {
			t.Fatal(err)
		}
		foreignCert, foreignKey, err := testkubelet.Certificate("scraper", ends)
		if err != nil {
			t.Fatal(err)
		}
		write("crt", cert)
		write("key", key)
		write("clients", clientCert)
		_, url, _ := startProxy(t, kubeletFlags(k, "--pods.from=kubelet", "--web.config.file="+write("tls.yml",
			[]byte("tls_server_config:\n  cert_file: crt\n  key_file: key\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients\n")))...)
		if !strings.HasPrefix(url, "https://") {
			t.Fatalf("it serves %s", url)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(cert)
		asks := func(cert, key []byte) *http.Client {
			c := &tls.Config{RootCAs: pool}
			if cert != nil {
				pair, err := tls.X509KeyPair(cert, key)
				if err != nil {
					t.Fatal(err)
				}
				c.Certificates = []tls.Certificate{pair}
			}
			return &http.Client{Transport: &http.Transport{TLSClientConfig: c}}
		}
		known, foreign, none := asks(clientCert, clientKey), asks(foreignCert, foreignKey), asks(nil, nil)
		for _, page := range proxyPages {
			if got := get(t, known, url+page); got.status != 200 {
				t.Errorf("%s: status %d", page, got.status)
			}
			for name, c := range map[string]*http.Client{"none": none, "foreign": foreign} {
				if got, err := c.Get(url + page); err == nil {
					got.Body.Close()
					t.Errorf("%s with certificate %s: status %d", page, name, got.StatusCode)
				}
			}
		}
	})
}

// The kubelet's token is sent to the kubelet alone: not where it redirects to, not to
// the API server, which has its own, and not to other exporters.
func TestCadvisorProxyToken(t *testing.T) {
	beside(t)
	k, api := testkubelet.Start(t), testkubelet.Start(t)
	api.SetToken(t, "of-the-api-server")
	api.Text("/api/v1/pods", testkubelet.NewNode(1).PodList())
	var mu sync.Mutex
	var seen []string
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(r.Header))
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "# TYPE redis_up gauge\nredis_up 1\n")
	}))
	t.Cleanup(exporter.Close)
	// Both know the other's certificate, so it is not that which keeps the token back.
	own, err := os.ReadFile(k.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(api.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(both, append(own, other...), 0o600); err != nil {
		t.Fatal(err)
	}
	k.Page("/metrics/cadvisor", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, api.URL+"/api/v1/pods", http.StatusTemporaryRedirect)
	})
	k.Page("/metrics/resource", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, exporter.URL+"/stolen", http.StatusFound)
	})
	_, url, _ := startProxy(t, "--kubelet.url="+k.URL, "--kubelet.ca-file="+both, "--kubelet.token-file="+k.TokenFile, "--node=n1", "--kubelet.metrics=cadvisor,resource",
		"--pods.from=watch", "--apiserver="+api.URL, "--apiserver.ca-file="+both, "--apiserver.token-file="+api.TokenFile, "--upstream=redis="+exporter.URL+"/metrics")
	got := get(t, http.DefaultClient, url+"/metrics", "Authorization", "Bearer of-the-scraper")
	if up(t, got, "cadvisor") != 0 || up(t, got, "resource") != 0 || up(t, got, "redis") != 1 {
		t.Errorf("%.3000s", got.body)
	}
	if got := get(t, http.DefaultClient, url+"/metrics/cadvisor"); got.status != 502 || !strings.Contains(got.body, "redirects are not followed") {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	eventually(t, "asked the API server", func() error {
		if len(api.Tokens()) == 0 {
			return errors.New("no request")
		}
		return nil
	})
	for _, token := range api.Tokens() {
		if token != "Bearer of-the-api-server" {
			t.Errorf("the API server got %q", token)
		}
	}
	for _, token := range k.Tokens() {
		if token != "Bearer first" {
			t.Errorf("the kubelet got %q", token)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, header := range seen {
		if strings.Contains(header, "Bearer") || strings.Contains(header, "Authorization") {
			t.Errorf("the exporter got %s", header)
		}
	}
}

// A client's certificate instead of a token.
func TestCadvisorProxyClientCertificate(t *testing.T) {
	beside(t)
	cert, key, err := testkubelet.Certificate("watchpost", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	k := testkubelet.StartWith(t, testkubelet.Options{Clients: cert})
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	dir := t.TempDir()
	crt, secret := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	if err := errors.Join(os.WriteFile(crt, cert, 0o600), os.WriteFile(secret, key, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, url, _ := startProxy(t, "--kubelet.url="+k.URL, "--kubelet.ca-file="+k.CAFile, "--kubelet.cert-file="+crt, "--kubelet.key-file="+secret, "--node=n1")
	if got := get(t, http.DefaultClient, url+"/metrics"); up(t, got, "cadvisor") != 1 {
		t.Errorf("%.2000s", got.body)
	}
	for _, token := range k.Tokens() {
		if token != "" {
			t.Errorf("it sent %q", token)
		}
	}
}
