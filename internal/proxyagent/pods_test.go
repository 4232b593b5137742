package proxyagent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"watchpost/internal/fetch"
	"watchpost/internal/kubelet"
	"watchpost/internal/podmap"
	"watchpost/internal/serve"
	"watchpost/internal/testkubelet"
)

// madePod is a pod on this host's loopback, as the kubelet lists it.
type madePod struct {
	name        string
	annotations map[string]string
	ports       []int
	phase       string
}

func podList(pods ...madePod) string {
	type m = map[string]any
	items := []m{}
	for _, p := range pods {
		ports := []m{}
		for _, n := range p.ports {
			ports = append(ports, m{"containerPort": n, "protocol": "TCP"})
		}
		phase := p.phase
		if phase == "" {
			phase = "Running"
		}
		items = append(items, m{
			"metadata": m{"namespace": "team", "name": p.name, "uid": "uid-" + p.name, "labels": m{"app": p.name}, "annotations": p.annotations},
			"spec":     m{"nodeName": "n1", "containers": []m{{"ports": ports}}},
			"status":   m{"phase": phase, "podIP": "127.0.0.1", "podIPs": []m{{"ip": "127.0.0.1"}}},
		})
	}
	text, err := json.Marshal(m{"metadata": m{"resourceVersion": "1"}, "items": items})
	if err != nil {
		panic(err) // of strings alone
	}
	return string(text)
}

// scraped are the annotations of a pod with a page on a port; more are names, without
// what all of them begin with, and values in turn.
func scraped(port int, more ...string) map[string]string {
	a := map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": strconv.Itoa(port)}
	for i := 0; i+1 < len(more); i += 2 {
		a["prometheus.io/"+more[i]] = more[i+1]
	}
	return a
}

// exporter serves pages and is its port.
func exporter(t *testing.T, h http.HandlerFunc) int {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return portOf(t, s.URL)
}

func portOf(t *testing.T, url string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(url[strings.Index(url, "//")+2:])
	port, bad := strconv.Atoi(text)
	if err != nil || bad != nil {
		t.Fatal(url)
	}
	return port
}

func text(page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) }
}

// startWithPods is a proxy that follows the list of pods of its kubelet.
func startWithPods(t *testing.T, k *testkubelet.Kubelet, change func(*Config)) *proxy {
	t.Helper()
	p := start(t, k, "cadvisor", func(c *Config, client *kubelet.Client) {
		c.Labels, c.Ceiling = append(c.Labels, "cluster", "prod"), time.Minute
		c.Pods = podmap.New(podmap.Config{})
		c.PodsFrom = &podmap.Poll{Kubelet: client, Interval: 10 * time.Millisecond, Log: c.Log}
		c.Annotated = &Annotated{Client: func(url string) (Client, error) { return fetch.New(fetch.Config{URL: url, Insecure: true}) }}
		if change != nil {
			change(c)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.cfg.PodsFrom.Run(ctx, p.cfg.Pods)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	p.eventually(t, "the pods are known", func() bool { return p.cfg.Pods.Ready() == nil })
	return p
}

func (p *proxy) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// What pods say that ask for it, under their own paths and with the rest, with the
// labels of each; and that it ends with them.
func TestAnnotatedPods(t *testing.T) {
	var mu sync.Mutex
	var asked []http.Header
	redis := exporter(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, r.Header.Clone()); r.URL.Path != "/stats" || r.URL.RawQuery != "full=1" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, "# TYPE redis_up gauge\nredis_up{pod=\"mine\",node=\"\",db=\"0\"} 1\n")
	})
	secure := httptest.NewTLSServer(text("# TYPE s gauge\ns 1\n"))
	t.Cleanup(secure.Close)
	first, second := exporter(t, text("# TYPE g gauge\ng 1\n")), exporter(t, text("# TYPE g gauge\ng 2\n"))
	bad := exporter(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	all := []madePod{
		{name: "redis", annotations: scraped(redis, "path", "stats?full=1")},
		{name: "two", annotations: map[string]string{"prometheus.io/scrape": "true"}, ports: []int{first, second, first}},
		{name: "tls", annotations: scraped(portOf(t, secure.URL), "scheme", "https")},
		{name: "bad", annotations: scraped(bad)},
		{name: "wrong", annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "http"}},
		{name: "quiet", annotations: map[string]string{"prometheus.io/scrape": "false"}, ports: []int{first}},
		{name: "ended", annotations: scraped(first), phase: "Succeeded"},
	}
	k.Text("/pods", podList(all...))
	p := startWithPods(t, k, nil)
	labels := func(pod string, port int) string {
		return fmt.Sprintf(`node="n1",cluster="prod",namespace="team",pod=%q,upstream="pod:%d",pod_ip="127.0.0.1"`, pod, port)
	}
	series := []string{
		"redis_up{exported_pod=\"mine\",db=\"0\"," + labels("redis", redis) + "} 1\n", "g{" + labels("two", first) + "} 1\n", "g{" + labels("two", second) + "} 2\n",
		"s{" + labels("tls", portOf(t, secure.URL)) + "} 1\n",
	}
	joined := p.page(t, "/metrics")
	p.wants(t, joined, append(series, "\nx{node=\"n1\",cluster=\"prod\"} 1\n", "watchpost_proxy_pod_sources{cluster=\"prod\",node=\"n1\"} 6\n")...)
	up := func(pod string, port, value int) string {
		return fmt.Sprintf("watchpost_proxy_pod_source_up{cluster=\"prod\",node=\"n1\",namespace=\"team\",pod=%q,pod_ip=\"127.0.0.1\",upstream=\"pod:%d\"} %d\n", pod, port, value)
	}
	self := p.page(t, "/metrics/self")
	p.wants(t, self, up("redis", redis, 1), up("two", first, 1), up("bad", bad, 0), up("wrong", 0, 0), `source="pods",reason="refused"} 1`, `source="pods",reason="annotations"} 1`,
		`watchpost_proxy_series_out_total{cluster="prod",node="n1",source="pods"} 4`)
	if strings.Contains(self, `pod="quiet"`) || strings.Contains(self, `pod="ended"`) {
		t.Error("pods are asked that do not ask for it, or have ended")
	}
	p.wants(t, p.page(t, "/metrics/pods"), series...)
	p.wants(t, p.page(t, "/metrics/pod/team/redis"), series[0])
	p.wants(t, p.page(t, "/metrics/pod/team/two"), series[1], series[2])
	if one := p.page(t, "/metrics/pod/team/two/"+strconv.Itoa(second)); strings.Contains(one, series[1]) || !strings.Contains(one, series[2]) {
		t.Error(one)
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"bad": {502, "500 Internal Server Error"}, "wrong": {502, `annotation prometheus.io/port: "http" is not a port`}, "quiet": {404, "no pod of this node"}, "redis/1": {404, "no pod of this node"},
	} {
		if status, text, _ := p.get(t, "/metrics/pod/team/"+path); status != want.status || !strings.Contains(text, want.text) {
			t.Errorf("%s: status %d: %s", path, status, text)
		}
	}
	_, explained, _ := p.get(t, "/debug/explain?metric=*&source=team/redis:"+strconv.Itoa(redis))
	p.wants(t, explained, "pod renamed exported_pod: a label of that name is added", "upstream added: by the pod")
	mu.Lock()
	for _, h := range asked {
		if h.Get("Authorization") != "" || h.Get(serve.ScrapeTimeoutHeader) == "" {
			t.Errorf("a pod was asked with %v", h)
		}
	}
	mu.Unlock()

	// A pod that has gone, and one whose page is another.
	all[0].annotations = scraped(first)
	k.Text("/pods", podList(all[0], all[2]))
	p.eventually(t, "only two pods", func() bool { return len(p.pods.all()) == 2 })
	joined = p.page(t, "/metrics")
	p.wants(t, joined, "g{"+labels("redis", first)+"} 1\n", series[3], up("redis", first, 1))
	for _, gone := range []string{"redis_up{", `pod="two"`, `pod="bad"`, up("redis", redis, 1)} {
		if strings.Contains(joined, gone) {
			t.Errorf("still there: %s", gone)
		}
	}
	if status, _, _ := p.get(t, "/metrics/pod/team/two"); status != 404 {
		t.Errorf("the path of a pod that has gone: status %d", status)
	}
}

// Whatever a pod says, the others and the proxy's own metrics stay.
func TestPodsAreKeptApart(t *testing.T) {
	node := exporter(t, text("# HELP d Made up.\n# TYPE d summary\nd{quantile=\"0.5\"} 1\nd_sum 1\nd_count 1\n"))
	other := exporter(t, text("# TYPE d histogram\nd_bucket{le=\"+Inf\"} 1\nd_sum 1\nd_count 1\n# TYPE empty counter\n"))
	liar := exporter(t, text("# TYPE x counter\nx 9\n# TYPE go_goroutines counter\ngo_goroutines 9\n# TYPE watchpost_proxy_source_up counter\nwatchpost_proxy_source_up{source=\"cadvisor\"} 9\n"))
	bare := exporter(t, text("d 7\nempty 1\n"))
	thief := exporter(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a redirect was followed: %v", r.Header) })
	redirect := exporter(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+strconv.Itoa(thief)+"/", http.StatusFound)
	})
	garbage := exporter(t, text("a 1\n\x00\xff\n"))
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	k.Text("/pods", podList(madePod{name: "a", annotations: scraped(node)}, madePod{name: "b", annotations: scraped(other)}, madePod{name: "c", annotations: scraped(liar)},
		madePod{name: "d", annotations: scraped(bare)}, madePod{name: "e", annotations: scraped(redirect)}, madePod{name: "f", annotations: scraped(garbage)}))
	p := startWithPods(t, k, func(c *Config) { c.Labels = nil })
	joined := p.page(t, "/metrics")
	p.wants(t, joined, "# TYPE x gauge\nx 1\n", "# TYPE go_goroutines gauge\ngo_goroutines ", "# TYPE watchpost_proxy_source_up gauge\nwatchpost_proxy_source_up{source=\"cadvisor\"} 1\n",
		"d{quantile=\"0.5\",namespace=", "d_bucket{le=\"+Inf\",namespace=", "\nd{namespace=", "\nempty{", `source="pods",reason="refused"} 1`, `source="pods",reason="unreadable"} 1`)
	for _, wrong := range []string{"# TYPE d ", "x{", "go_goroutines{", "\na{", "} 9\n"} {
		if strings.Contains(joined, wrong) {
			t.Errorf("%q is in it", wrong)
		}
	}
}

// counting is how many requests wait at the same time.
type counting struct {
	mu        sync.Mutex
	now, most int
}

func (c *counting) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func (c *counting) highest() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

type countedClient struct {
	Client
	to *counting
}

func (c countedClient) Get(ctx context.Context, path string, header ...string) (*fetch.Answer, error) {
	c.to.add(1)
	defer c.to.add(-1)
	return c.Client.Get(ctx, path, header...)
}

// Pods that hang, that say too much, and that are too many cost themselves.
func TestPodsAreBounded(t *testing.T) {
	var counted counting
	hang := exporter(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) })
	good, much := exporter(t, text("# TYPE g gauge\ng 1\n")), exporter(t, huge)
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	var pods []madePod
	for i := range 6 {
		pods = append(pods, madePod{name: fmt.Sprintf("hang-%d", i), annotations: scraped(hang)})
	}
	pods = append(pods, madePod{name: "large", annotations: scraped(much)}, madePod{name: "small", annotations: scraped(good)},
		madePod{name: "swarm", annotations: map[string]string{"prometheus.io/scrape": "true"}, ports: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}})
	k.Text("/pods", podList(pods...))
	p := startWithPods(t, k, func(c *Config) {
		c.Annotated.Parallel, c.Annotated.Timeout, c.Annotated.Limit, c.Annotated.Most = 3, 300*time.Millisecond, 64<<10, 10
		make := c.Annotated.Client
		c.Annotated.Client = func(url string) (Client, error) {
			client, err := make(url)
			return countedClient{client, &counted}, err
		}
	})
	self := func() string { return p.page(t, "/metrics/self") }
	p.eventually(t, "all were asked once", func() bool {
		p.page(t, "/metrics")
		return strings.Count(self(), "watchpost_proxy_pod_source_up{") == 10
	})
	joined := p.page(t, "/metrics")
	p.wants(t, joined, "\nx{node=", "\ng{node=\"n1\",cluster=\"prod\",namespace=\"team\",pod=\"small\"", "watchpost_proxy_pod_sources{cluster=\"prod\",node=\"n1\"} 10\n",
		"watchpost_proxy_pod_sources_left_out{cluster=\"prod\",node=\"n1\"} 10\n")
	if strings.Contains(joined, "\na{") {
		t.Error("a part of a page was passed on")
	}
	if most := counted.highest(); most < 1 || most > 3 {
		t.Errorf("%d were asked at the same time", most)
	}
	p.eventually(t, "it is told why they failed", func() bool {
		got := self()
		return !strings.Contains(got, `source="pods",reason="too_large"} 0`) && !strings.Contains(got, `source="pods",reason="timeout"} 0`) || p.page(t, "/metrics") == ""
	})
}

// A proxy whose own pod asks to be scraped does not scrape itself.
func TestOwnPod(t *testing.T) {
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	k.Text("/pods", podList())
	p := startWithPods(t, k, nil)
	k.Text("/pods", podList(madePod{name: "proxy", annotations: scraped(portOf(t, p.url))}))
	p.eventually(t, "its pod is known", func() bool { return len(p.pods.all()) == 1 })
	for range 3 {
		if text := p.page(t, "/metrics"); strings.Contains(text, `pod="proxy"`) || strings.Count(text, "\nx{") != 1 {
			t.Error(text)
		}
	}
	p.wants(t, p.page(t, "/metrics/self"), "watchpost_proxy_pod_sources{cluster=\"prod\",node=\"n1\"} 0\n", `code="508"} 1`)
}

// Pods come and go while they are scraped.
func TestPodChurn(t *testing.T) {
	port := exporter(t, text("# TYPE g gauge\ng 1\n"))
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", "# TYPE x gauge\nx 1\n")
	k.Text("/pods", podList())
	p := startWithPods(t, k, nil)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range 20 {
				if _, text, err := p.get(t, "/metrics"); err != nil || !strings.Contains(text, "\nx{") {
					t.Errorf("%v: %s", err, text)
				}
			}
		})
	}
	for i := range 50 {
		k.Text("/pods", podList(madePod{name: fmt.Sprint("p", i), annotations: scraped(port)}, madePod{name: fmt.Sprint("p", i+1), annotations: scraped(port)}))
		time.Sleep(5 * time.Millisecond)
	}
	all.Wait()
	k.Text("/pods", podList())
	p.eventually(t, "no pod is left", func() bool { return len(p.pods.all()) == 0 })
	if text := p.page(t, "/metrics"); strings.Contains(text, "\ng{") || strings.Contains(text, "pod_source_up{") {
		t.Error("a pod that has gone is still shown")
	}
	p.pods.mu.Lock()
	defer p.pods.mu.Unlock()
	if len(p.pods.known) != 0 {
		t.Errorf("%d pages are kept", len(p.pods.known))
	}
}

// The pages of 110 pods, together.
func BenchmarkAnnotated(b *testing.B) {
	var page strings.Builder
	for i := range 500 {
		fmt.Fprintf(&page, "# HELP app_metric_%d Made up.\n# TYPE app_metric_%d gauge\napp_metric_%d{path=\"/x\",code=\"200\"} %d\n", i, i, i, i)
	}
	text := []byte(page.String())
	b.SetBytes(int64(110 * len(text)))
	b.ReportAllocs()
	for b.Loop() {
		j := newJoiner(io.Discard, 1<<30)
		for range 110 {
			j.add(bytes.Clone(text), true)
		}
		if err := j.end(); err != nil {
			b.Fatal(err)
		}
	}
}
