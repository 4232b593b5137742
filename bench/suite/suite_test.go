package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/rest"
)

// prometheusYML is what is looked at of a configuration.
type prometheusYML struct {
	Global struct {
		Interval string `yaml:"scrape_interval"`
	}
	Scrape []struct {
		Job    string `yaml:"job_name"`
		Scheme string
		Path   string                       `yaml:"metrics_path"`
		Honor  bool                         `yaml:"honor_labels"`
		Static []struct{ Targets []string } `yaml:"static_configs"`
		TLS    map[string]any               `yaml:"tls_config"`
		Bearer map[string]string            `yaml:"authorization"`
	} `yaml:"scrape_configs"`
}

func configOf(t *testing.T, s *suite, o *options, a access) prometheusYML {
	t.Helper()
	for _, p := range s.all() {
		for i := range p.ports {
			p.addresses = append(p.addresses, "127.0.0.1:"+string(rune('1'+i))+"00")
		}
	}
	file := filepath.Join(t.TempDir(), "c.yml")
	if err := s.writeConfig(file, o, a); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c prometheusYML
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// Both stores have the same jobs; of the peers the store asks the kubelet, of ours the proxy.
func TestConfig(t *testing.T) {
	a := access{server: "https://api", token: "/t"}
	for _, c := range []struct {
		name         string
		o            options
		peer, ours   string // jobs
		bearer, cert string // of the kubelet
	}{
		{"without a kubelet", options{}, "node state store", "node state store", "", ""},
		{"with the kubeconfig's token", options{kubelet: "https://10.0.0.1:10250", node: "n"}, "node state store containers", "node state containers store", "/t", ""},
		{"with a certificate", options{kubelet: "https://10.0.0.1:10250", node: "n", kubeletCert: "/c", kubeletKey: "/k"}, "node state store containers", "node state containers store", "", "/c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.interval = 15 * time.Second
			for i, s := range []*suite{c.o.peers("kubeconfig"), c.o.ours("kubeconfig", a)} {
				got := configOf(t, s, &c.o, a)
				var names []string
				for _, j := range got.Scrape {
					names = append(names, j.Job)
					if want := j.Job == stateJob || j.Job == containersJob; j.Honor != want {
						t.Errorf("%s: honor_labels is %t", j.Job, j.Honor)
					}
					if j.Job == stateJob && !slices.Equal(j.Static[0].Targets, []string{"127.0.0.1:100", "127.0.0.1:200"}) {
						t.Errorf("%s: targets %q", j.Job, j.Static)
					}
				}
				if want := []string{c.peer, c.ours}[i]; strings.Join(names, " ") != want {
					t.Errorf("jobs %q, want %q", names, want)
				}
				if got.Global.Interval != "15000ms" {
					t.Errorf("every %s", got.Global.Interval)
				}
				if last := got.Scrape[len(got.Scrape)-1]; s.kubelet {
					if last.Scheme != "https" || last.Path != "/metrics/cadvisor" || last.Static[0].Targets[0] != "10.0.0.1:10250" || last.Bearer["credentials_file"] != c.bearer {
						t.Errorf("the kubelet: %+v", last)
					}
					if cert, _ := last.TLS["cert_file"].(string); cert != c.cert {
						t.Errorf("with certificate %q", cert)
					}
				}
			}
		})
	}
	s := (&options{kubelet: "http://10.0.0.1/"}).peers("kubeconfig")
	if err := s.writeConfig(filepath.Join(t.TempDir(), "c.yml"), &options{kubelet: "http://10.0.0.1/"}, a); err == nil || !strings.Contains(err.Error(), "want https://HOST:PORT") {
		t.Errorf("a kubelet without TLS: %v", err)
	}
}

func TestProxyArguments(t *testing.T) {
	o := options{kubelet: "https://10.0.0.1:10250", node: "n", profile: "lean", programs: "bin"}
	p := o.ours("kubeconfig", access{server: "https://api", ca: "/ca", cert: "/c", key: "/k"}).parts[2]
	want := []string{
		"--web.listen-address=127.0.0.1:1", "--node=n", "--profile=lean", "--pods.from=watch", "--kubelet.url=https://10.0.0.1:10250", "--kubelet.insecure-skip-verify",
		"--apiserver=https://api", "--kubelet.cert-file=/c", "--kubelet.key-file=/k", "--apiserver.ca-file=/ca", "--apiserver.cert-file=/c", "--apiserver.key-file=/k",
	}
	if got := p.args([]string{"127.0.0.1:1"}); p.path != "bin/cadvisor-proxy" || !slices.Equal(got, want) {
		t.Errorf("%s %q, want %q", p.path, got, want)
	}
}

func TestAccess(t *testing.T) {
	dir := t.TempDir()
	a, err := newAccess(dir, &rest.Config{Host: "https://api", BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("ca")}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (access{"https://api", filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token"), "", ""}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	if text, err := os.ReadFile(a.token); string(text) != "secret" || err != nil {
		t.Errorf("token %q, %v", text, err)
	}
	if info, err := os.Stat(a.token); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the token: %v, %v", info, err)
	}
	a, err = newAccess(dir, &rest.Config{Host: "https://api", BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{CertData: []byte("c"), KeyData: []byte("k")}})
	if err != nil || a.token != "" || a.cert == "" || a.key == "" {
		t.Errorf("with both: %+v, %v", a, err)
	}
	if _, err := newAccess(dir, &rest.Config{Host: "https://api", Username: "u"}); err == nil {
		t.Error("an API server that nobody may ask is taken")
	}
}

func TestCheck(t *testing.T) {
	good := options{interval: 15 * time.Second, settle: time.Minute, during: 10 * time.Minute}
	if err := good.check(nil); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*options){
		"needs an interval":     func(o *options) { o.during = 30 * time.Second },
		"are for --kubelet":     func(o *options) { o.kubeletToken = "t" },
		"has its own":           func(o *options) { o.clusterPods, o.kubeconfig = 40, "k" },
		"up to 100 pods":        func(o *options) { o.clusterPods = 101 },
		"needs --node":          func(o *options) { o.kubelet = "https://a:1" },
		"a certificate and its": func(o *options) { o.kubelet, o.node, o.kubeletCert = "https://a:1", "n", "c" },
	} {
		bad := good
		change(&bad)
		if err := bad.check(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if good.check([]string{"x"}) == nil {
		t.Error("an argument is taken")
	}
}

func TestTable(t *testing.T) {
	of := func(name string, cpu time.Duration, rss int64) result {
		s := &suite{name: name, store: &part{job: storeJob}, series: map[string]float64{nodeJob: 1000, storeJob: 700}, samples: 68_000, disk: 5e6}
		for _, j := range []string{nodeJob, stateJob} {
			s.parts = append(s.parts, &part{job: j, cost: cost{cpu: cpu, rss: rss, peak: 2 * rss}})
		}
		s.store.cost = cost{cpu: 2 * cpu, rss: 3 * rss, peak: 3 * rss}
		return s.result()
	}
	peer := of("peers", 10*time.Second, 100e6)
	var out strings.Builder
	if err := table(&out, peer, of("ours", 4*time.Second, 50e6), true); err != nil {
		t.Errorf("everything is within its limit, and yet: %v", err)
	}
	for _, want := range []string{"CPU, all (s) 40 16 0.400 0.5", "RSS, all, mean of the last third (MB) 500 250 0.500 0.5", "RSS at most, all (MB) 700 350 0.500", "series, all 1700 1700 1.000"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "cadvisor-proxy") {
		t.Errorf("a program that did not run is in\n%s", &out)
	}
	worse := of("ours", 6*time.Second, 60e6)
	if err := table(&out, peer, worse, true); err == nil || !strings.Contains(err.Error(), "CPU, all (s): ratio 0.6000 is over 0.5") || !strings.Contains(err.Error(), "RSS, all") {
		t.Errorf("over both limits: %v", err)
	}
	if err := table(&out, peer, worse, false); err != nil {
		t.Errorf("without limits: %v", err)
	}
}
