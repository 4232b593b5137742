package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"k8s.io/client-go/rest"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/store"
	"watchpost/internal/freeport"
)

const (
	answerTimeout = time.Minute // of a question to a store
	stopTimeout   = time.Minute
)

// part is one program of a suite. Programs of both that have the same job are compared.
type part struct {
	job, path string
	// args are its flags, with addresses of its own to listen on.
	args  func(addresses []string) []string
	ports int // how many of those

	addresses []string
	proc      *agent.Program
	sizes     []int64 // RSS, sampled
	cost
}

// cost is what one program needed.
type cost struct {
	name      string
	cpu       time.Duration // while it was measured
	start     time.Duration // CPU before
	rss, peak int64         // bytes: mean of the last third; at most, also before
}

// suite is a set of programs and their store, which scrapes them and itself.
type suite struct {
	name    string
	parts   []*part
	store   *part
	kubelet bool // the store asks the kubelet itself
	folder  string
	series  map[string]float64 // in the store at the end, by job
	samples float64            // stored while it was measured
	disk    int64              // bytes
}

// The jobs of both.
const (
	nodeJob       = "node"
	stateJob      = "state"
	containersJob = "containers"
	storeJob      = "store"
)

// at is where a program is.
func (o *options) at(name string) string { return filepath.Join(o.programs, name) }

func listen(addresses []string) []string { return []string{"--web.listen-address=" + addresses[0]} }

// state are the flags of state-agent, which are kube-state-metrics'.
func state(kubeconfig string) func([]string) []string {
	return func(addresses []string) []string {
		var ports [2]string
		for i, a := range addresses {
			_, ports[i], _ = net.SplitHostPort(a) // freeport.Address made it
		}
		return []string{"--kubeconfig=" + kubeconfig, "--host=127.0.0.1", "--port=" + ports[0], "--telemetry-host=127.0.0.1", "--telemetry-port=" + ports[1]}
	}
}

func (o *options) peers(kubeconfig string) *suite {
	return &suite{
		name: "peers", kubelet: o.kubelet != "",
		parts: []*part{
			{job: nodeJob, path: o.at("node_exporter"), args: listen, ports: 1},
			{job: stateJob, path: o.at("kube-state-metrics"), args: state(kubeconfig), ports: 2},
		},
		store: &part{job: storeJob, path: o.at("prometheus"), args: listen, ports: 1},
	}
}

func (o *options) ours(kubeconfig string, a access) *suite {
	s := &suite{
		name: "ours",
		parts: []*part{
			{job: nodeJob, path: o.at("node-agent"), args: listen, ports: 1},
			{job: stateJob, path: o.at("state-agent"), args: state(kubeconfig), ports: 2},
		},
		store: &part{job: storeJob, path: o.at("collector"), args: listen, ports: 1},
	}
	if o.kubelet == "" {
		return s
	}
	to := o.kubeletAccess(a)
	s.parts = append(s.parts, &part{job: containersJob, path: o.at("cadvisor-proxy"), ports: 1, args: func(addresses []string) []string {
		args := append(listen(addresses), "--node="+o.node, "--profile="+o.profile, "--pods.from=watch", "--kubelet.url="+o.kubelet, "--kubelet.insecure-skip-verify", "--apiserver="+a.server)
		args = flags(args, "--kubelet.", access{token: to.token, cert: to.cert, key: to.key})
		return flags(args, "--apiserver.", a)
	}})
	return s
}

// access is how a server is asked: where it is, and the files by which both know each other.
type access struct{ server, ca, token, cert, key string }

// flags adds cadvisor-proxy's flags for it.
func flags(args []string, prefix string, a access) []string {
	for _, f := range [][2]string{{"ca-file", a.ca}, {"token-file", a.token}, {"cert-file", a.cert}, {"key-file", a.key}} {
		if f[1] != "" {
			args = append(args, prefix+f[0]+"="+f[1])
		}
	}
	return args
}

// newAccess writes what a kubeconfig has inside into files of their own.
func newAccess(dir string, config *rest.Config) (access, error) {
	a := access{server: config.Host}
	config = rest.CopyConfig(config)
	if err := rest.LoadTLSFiles(config); err != nil {
		return a, err
	}
	token := config.BearerToken
	if config.BearerTokenFile != "" {
		a.token, token = config.BearerTokenFile, ""
	}
	for _, f := range []struct {
		to      *string
		content []byte
		name    string
	}{{&a.ca, config.CAData, "ca.crt"}, {&a.token, []byte(token), "token"}, {&a.cert, config.CertData, "client.crt"}, {&a.key, config.KeyData, "client.key"}} {
		if len(f.content) == 0 {
			continue
		}
		*f.to = filepath.Join(dir, f.name)
		if err := os.WriteFile(*f.to, f.content, 0o600); err != nil {
			return a, err
		}
	}
	if a.token == "" && a.cert == "" {
		return a, errors.New("the kubeconfig has neither a token nor a client certificate: cadvisor-proxy takes no other way to ask the API server")
	}
	if a.cert != "" { // one is enough
		a.token = ""
	}
	return a, nil
}

// kubeletAccess is that of the API server where nothing else is said.
func (o *options) kubeletAccess(a access) access {
	if o.kubeletToken != "" || o.kubeletCert != "" {
		return access{token: o.kubeletToken, cert: o.kubeletCert, key: o.kubeletKey}
	}
	return a
}

// configuration is the prometheus.yml of both. The kubelet's certificate is taken as it is
// by both: it often signs its own.
var configuration = template.Must(template.New("prometheus.yml").Parse(`global:
  scrape_interval: {{.Interval}}
  scrape_timeout: {{.Interval}}
scrape_configs:
{{- range .Parts}}
  - job_name: {{.Job}}
    honor_labels: {{.Honor}}
    static_configs:
      - targets: [{{.Targets}}]
{{- end}}
{{- with .Kubelet}}
  - job_name: containers
    scheme: https
    metrics_path: /metrics/cadvisor
    honor_labels: true
    static_configs:
      - targets: ["{{.Host}}"]
    tls_config:
      insecure_skip_verify: true
{{- if .Access.Cert}}
      cert_file: {{.Access.Cert}}
      key_file: {{.Access.Key}}
{{- else}}
    authorization:
      credentials_file: {{.Access.Token}}
{{- end}}
{{- end}}
`))

// writeConfig writes the configuration of the suite's store.
func (s *suite) writeConfig(file string, o *options, a access) error {
	type job struct {
		Job, Targets string
		Honor        bool // of others' pods and nodes
	}
	data := struct {
		Interval string
		Parts    []job
		Kubelet  any
	}{Interval: fmt.Sprintf("%dms", o.interval.Milliseconds())}
	for _, p := range s.all() {
		data.Parts = append(data.Parts, job{p.job, `"` + strings.Join(p.addresses, `", "`) + `"`, p.job == stateJob || p.job == containersJob})
	}
	if s.kubelet {
		host, found := strings.CutPrefix(o.kubelet, "https://")
		if !found || strings.Contains(host, "/") {
			return fmt.Errorf("--kubelet: want https://HOST:PORT, not %q", o.kubelet)
		}
		to := o.kubeletAccess(a)
		data.Kubelet = struct {
			Host   string
			Access any
		}{host, struct{ Cert, Key, Token string }{to.cert, to.key, to.token}}
	}
	var text strings.Builder
	if err := configuration.Execute(&text, data); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}

// start starts the programs, and the store when its targets are known.
func (s *suite) start(ctx context.Context, dir string, o *options, a access) error {
	for _, p := range s.all() {
		for range p.ports {
			address, err := freeport.Address()
			if err != nil {
				return err
			}
			p.addresses = append(p.addresses, address)
		}
	}
	s.folder = filepath.Join(dir, s.name)
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return err
	}
	config := filepath.Join(dir, s.name+".yml")
	if err := s.writeConfig(config, o, a); err != nil {
		return err
	}
	for _, p := range s.all() {
		args := p.args(p.addresses)
		if p == s.store {
			args = append(args, "--config.file="+config, "--storage.tsdb.path="+s.folder)
		}
		var err error
		if p.proc, err = agent.StartAt(ctx, p.addresses[0], p.path, args...); err != nil {
			return err
		}
		p.name = p.proc.Name
	}
	return s.ask().Await(ctx)
}

// all are the programs, the store last.
func (s *suite) all() []*part { return append(slices.Clone(s.parts), s.store) }

func (s *suite) ask() store.Store {
	return store.Store{Program: s.store.proc, Client: agent.Client(1, answerTimeout)}
}

// stop ends the programs that run.
func (s *suite) stop() (err error) {
	for _, p := range s.all() {
		if p.proc != nil {
			err = errors.Join(err, p.proc.StopWithin(stopTimeout))
		}
	}
	return err
}

// each does something with every program.
func (s *suite) each(f func(*part) error) error {
	for _, p := range s.all() {
		if err := f(p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// begin notes what the start cost.
func (s *suite) begin() error {
	return s.each(func(p *part) (err error) {
		p.start, err = p.proc.CPU()
		return err
	})
}

// sample notes the memory.
func (s *suite) sample() error {
	return s.each(func(p *part) error {
		n, err := p.proc.RSS()
		p.sizes = append(p.sizes, n)
		return err
	})
}

// end reads what the programs cost. The last third of the memory samples count.
func (s *suite) end() (err error) {
	err = s.each(func(p *part) error {
		cpu, err := p.proc.CPU()
		if err != nil {
			return err
		}
		p.cpu = cpu - p.start
		last := p.sizes[len(p.sizes)*2/3:]
		p.rss = 0
		for _, n := range last {
			p.rss += n / int64(len(last))
		}
		p.peak, err = p.proc.PeakRSS()
		return err
	})
	if err == nil {
		s.disk, err = store.DiskUse(s.folder, store.Reserve)
	}
	return err
}

// inspect looks what the store has. Every target was there at each scrape, or there is
// nothing to compare.
func (s *suite) inspect(ctx context.Context, begin, end time.Time) error {
	span := fmt.Sprintf("%dms", end.Sub(begin).Milliseconds())
	up, err := s.ask().Query(ctx, "min_over_time(up["+span+"])", end)
	if err != nil {
		return err
	}
	targets := 0
	for _, p := range s.all() {
		targets += p.ports
	}
	if s.kubelet {
		targets++
	}
	if len(up) != targets {
		return fmt.Errorf("%s: %s knows %d targets, not %d", s.name, s.store.name, len(up), targets)
	}
	for _, u := range up {
		if u.Value.Value != 1 {
			return fmt.Errorf("%s: a scrape of %s failed, job %s", s.name, u.Metric["instance"], u.Metric["job"])
		}
	}
	series, err := s.ask().Query(ctx, `count by (job) ({__name__!=""})`, end)
	if err != nil {
		return err
	}
	s.series = map[string]float64{}
	for _, v := range series {
		s.series[v.Metric["job"]] = v.Value.Value
	}
	samples, err := s.ask().Query(ctx, "sum(sum_over_time(scrape_samples_post_metric_relabeling["+span+"]))", end)
	if err != nil {
		return err
	}
	if len(samples) != 1 || samples[0].Value.Value == 0 {
		return fmt.Errorf("%s: %s has stored nothing", s.name, s.store.name)
	}
	s.samples = samples[0].Value.Value
	return nil
}
