package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"watchpost/internal/proxyagent"
	"watchpost/internal/serve"
	"watchpost/internal/testkit"
	"watchpost/internal/testkubelet"
)

var silent = slog.New(slog.DiscardHandler)

// configOf is what a command line says, in an environment of names and values in turn.
func configOf(env []string, args ...string) (proxyagent.Config, error) {
	f := newFlags()
	if _, err := f.app.Parse(args); err != nil {
		return proxyagent.Config{}, err
	}
	return f.config(func(name string) string {
		for i := 0; i+1 < len(env); i += 2 {
			if env[i] == name {
				return env[i+1]
			}
		}
		return ""
	}, silent)
}

// TestGolden is everything that the program says of a made-up node, but for go_ and
// process_, which other programs say too.
func TestGolden(t *testing.T) {
	node := testkubelet.NewNode(2)
	k := testkubelet.Start(t)
	k.Text("/metrics/cadvisor", node.Text())
	k.Text("/metrics/resource", "# HELP scrape_error 1 if there was an error.\n# TYPE scrape_error gauge\nscrape_error 0\n"+
		"# HELP container_memory_working_set_bytes Made up.\n# TYPE container_memory_working_set_bytes gauge\n"+
		"container_memory_working_set_bytes{container=\"shop-0\",namespace=\"team-0\",pod=\""+node.Pods[0].Name+"\"} 1.2e+07 1795234812000\n")
	k.Text("/pods", node.PodList())
	cfg, err := configOf(nil, "--kubelet.url="+k.URL, "--kubelet.ca-file="+k.CAFile, "--kubelet.token-file="+k.TokenFile,
		"--kubelet.metrics=cadvisor,resource", "--node=n1", "--cluster=prod", "--external-label=rack=7", "--pods.from=kubelet", "--pods.scrape", "--pod-labels=app", "--drop=container_ulimits_*")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log = silent
	agent, err := proxyagent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.CheckPods(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range agent.Check(t.Context()) {
		if r.Err != nil || r.In == 0 {
			t.Errorf("%+v", r)
		}
	}
	text := scrape(t, agent)
	text = regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?(go|process)_.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`(?m)^(watchpost_proxy_(bytes|source_last|build|pod_events|scrapes|source_fetches)[^{]*(?:\{[^}]*\})?) .*$`).ReplaceAllString(text, "$1 0")
	text = regexp.MustCompile(`revision="[^"]*",version="[^"]*"`).ReplaceAllString(text, `revision="",version=""`)
	testkit.Golden(t, filepath.Join("testdata", "metrics.txt"), []byte(text))
}

// scrape serves an agent as the program does and is its /metrics.
func scrape(t *testing.T, agent *proxyagent.Agent) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	server, err := serve.New(serve.Config{Program: program, Addresses: []string{"unix:" + socket}, Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	agent.Serve(server)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Task().Run(ctx, func() {}) }()
	defer func() { stop(); <-ended }()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	answer, err := client.Get("http://proxy/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestConfig(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(rules, []byte("series: [{drop: c}]\nlabels: {zone: z}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"HOST_IP", "192.0.2.7", "NODE_NAME", "n7"}
	cfg, err := configOf(env, "--keep=a", "--drop=b", "--label-rule={metric: c, rename: {d: e}}", "--label-rule={drop: f}", "--rules.file="+rules, "--kubelet.metrics=cadvisor,kubelet", "--upstream=redis=http://127.0.0.1:9121/metrics,team=a")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, s := range cfg.Sources {
		paths = append(paths, s.Path+" "+s.URL)
	}
	const want = "/metrics/cadvisor https://192.0.2.7:10250/metrics/cadvisor, /metrics/kubelet https://192.0.2.7:10250/metrics, /metrics/upstream/redis http://127.0.0.1:9121/metrics"
	if got := strings.Join(paths, ", "); got != want {
		t.Error(got)
	}
	r := cfg.Sources[0].Rules
	if len(r.Series) != 3 || r.Series[0].Metric != "a" || !r.Series[0].Keep || r.Series[1].Metric != "b" || r.Series[2].Metric != "c" || r.Profile != "" || r.Static["zone"] != "z" {
		t.Errorf("%+v", r)
	}
	if l := r.Labels; len(l) != 2 || l[0].Metric != "c" || l[0].Rename["d"] != "e" || l[1].Drop[0] != "f" {
		t.Errorf("%+v", l)
	}
	if got := strings.Join(cfg.Sources[2].Extra, ","); got != "upstream,redis,team,a" || cfg.Sources[2].Rules.Profile != "none" {
		t.Error(got)
	}
	if cfg.Labels[1] != "n7" || cfg.PodsFrom != nil {
		t.Errorf("%+v", cfg)
	}
	if cfg, err = configOf([]string{"NODE_NAME", "n7"}); err != nil || cfg.Sources[0].URL != "https://n7:10250/metrics/cadvisor" || cfg.Sources[0].Rules.Profile != "default" {
		t.Errorf("%+v, %v", cfg, err)
	}
	if cfg, err = configOf(append(env, "KUBERNETES_SERVICE_HOST", "10.96.0.1")); err != nil || cfg.PodsFrom == nil || cfg.Pods == nil {
		t.Errorf("no watch in a pod: %+v, %v", cfg, err)
	}
}

// The containers of this host instead of the kubelet's page, with the same rules.
func TestHost(t *testing.T) {
	cfg, err := configOf(nil, "--cadvisor", "--profile=lean", "--cadvisor.containerd=", "--cadvisor.interval=7s")
	if err != nil {
		t.Skip(err) // there are no cgroups
	}
	if len(cfg.Sources) != 1 || cfg.Sources[0].Path != "/metrics/cadvisor" || cfg.Sources[0].Rules.Profile != "lean" || !cfg.Sources[0].Streamed {
		t.Fatalf("%+v", cfg.Sources)
	}
	cfg.Log = silent
	agent, err := proxyagent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if text := scrape(t, agent); !strings.Contains(text, "machine_memory_bytes{") || strings.Contains(text, "container_spec_cpu") ||
		!strings.Contains(text, `watchpost_proxy_series_dropped_total{source="cadvisor",rule="profile lean, rule 8"} `) || !strings.Contains(text, `watchpost_proxy_source_up{source="cadvisor"} 1`) {
		t.Error(text)
	}
	if cfg, err = configOf(nil, "--cadvisor", "--kubelet.metrics=resource,probes", "--kubelet.url=https://192.0.2.1:10250"); err != nil || len(cfg.Sources) != 3 {
		t.Errorf("%+v, %v", cfg.Sources, err)
	}
}

func TestBadFlags(t *testing.T) {
	url := "--kubelet.url=https://192.0.2.1:10250"
	for _, args := range [][]string{
		{}, {"--nonsense"}, {url, "--runtime.gomaxprocs=0"}, {url, "--profile=fat"}, {url, "--drop=("}, {url, "--rule={drop: a, wear: {}}"}, {url, "--drop="}, {url, "--label-rule={drop: a, wear: b}"}, {url, "--label-rule="}, {url, "--label-rule={metric: a}"}, {url, "--rules.file=/nonexistent"},
		{url, "--kubelet.metrics=cadvisor,stats"}, {"--kubelet.metrics=none"}, {"--kubelet.url=ftp://x"}, {"--kubelet.url=http://"}, {"--kubelet.url=https://a:b@c"},
		{url, "--kubelet.cert-file=/x"}, {url, "--kubelet.ca-file=/nonexistent"}, {url, "--kubelet.ca-file=main.go"}, {url, "--kubelet.ca-file=main.go", "--kubelet.insecure-skip-verify"},
		{url, "--upstream=redis"}, {url, "--upstream.file=/nonexistent"}, {url, "--upstream.file=main.go"}, {url, "--upstream=a/b=http://x"}, {url, "--upstream=a=http://x,y"}, {url, "--upstream=a=http://x", "--upstream=a=http://y"}, {url, "--upstream=cadvisor=http://x"},
		{url, "--external-label=a-b=c"}, {url, "--node=n", "--external-label=node=x"}, {url, "--source.timeout=0s"}, {url, "--pods.from=watch"}, {url, "--node=n", "--pods.from=watch"},
		{url, "--pod-labels=app"}, {url, "--timestamps=forget"}, {url, "--join.max-bytes=-1"}, {url, "--pods.from=kubelet", "--external-label=pod_ip=x"},
		{url, "--pods.from=cri", "--pods.cri-socket=tcp://x"}, {url, "--pods.from=cri", "--pods.cri-socket=containerd.sock"},
		{url, "--pods.scrape"}, {url, "--pods.from=kubelet", "--pods.scrape", "--pods.scrape-max=0"}, {url, "--pods.from=kubelet", "--pods.scrape", "--external-label=pod=x"},
		{url, "--pods.from=kubelet", "--pods.scrape", "--pods.scrape-ca-file=main.go"}, {url, "--pods.from=kubelet", "--pods.scrape", "--pods.scrape-ca-file=main.go", "--pods.scrape-insecure-skip-verify"},
		{"--cadvisor", "--kubelet.metrics=cadvisor", url}, {"--cadvisor", "--kubelet.metrics=resource"}, {"--cadvisor", "--cadvisor.interval=1ms"}, {"--cadvisor", "--cadvisor.metrics=gpu"},
		{"--cadvisor", "--cadvisor.cgroups=a"}, {"--cadvisor", "--cadvisor.containerd-namespaces="}, {"--cadvisor", "--upstream=cadvisor=http://x"},
		// What cAdvisor's library and its logger declare for the whole process is not ours.
		{url, "--housekeeping_interval=1s"}, {url, "--docker_only"}, {url, "--containerd=/s"}, {url, "--referenced_reset_interval=1"}, {url, "--logtostderr"}, {url, "--v=4"},
	} {
		cfg, err := configOf(nil, args...)
		if err == nil {
			_, err = proxyagent.New(cfg)
		}
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one line", args, err)
		}
	}
}

// Upstreams by flag and by file are one list.
func TestUpstreamFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upstreams")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# of this node\n\nredis=http://127.0.0.1:9121/metrics,team=a,tier=\r\n  mysql=http://127.0.0.1:9104/metrics?a=b")
	args := []string{"--kubelet.metrics=none", "--upstream=node=http://127.0.0.1:9100/metrics", "--upstream.file=" + file}
	cfg, err := configOf(nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range cfg.Sources {
		got = append(got, s.Path+" "+s.URL+" "+strings.Join(s.Extra, ","))
	}
	const want = "/metrics/upstream/node http://127.0.0.1:9100/metrics upstream,node; /metrics/upstream/redis http://127.0.0.1:9121/metrics upstream,redis,team,a,tier,; " +
		"/metrics/upstream/mysql http://127.0.0.1:9104/metrics?a=b upstream,mysql"
	if strings.Join(got, "; ") != want {
		t.Errorf("%q", got)
	}
	for text, want := range map[string]string{
		"a=http://x\nredis": file + `:2: "redis" is not NAME=URL`, "node=http://x": file + ":1: node is given twice", "a=http://x,b": file + `:1: "a=http://x,b": "b" is not LABEL=VALUE`,
		"#\na=ftp://x": file + `:2: a: "ftp://x" is not a URL`,
	} {
		write(text)
		if _, err := configOf(nil, args...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseUpstreams(f *testing.F) {
	f.Add("# x\na=http://b,c=d\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseUpstreams("f", text)
		if err != nil && !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("%q names no line", err)
		}
		for _, u := range all {
			if u.name == "" || strings.Contains(u.name, "/") || len(u.labels)%2 != 0 || u.from == "" {
				t.Errorf("%+v", u)
			}
		}
	})
}
