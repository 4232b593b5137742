package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/containers"
	"watchpost/internal/fetch"
	"watchpost/internal/kubelet"
	"watchpost/internal/podmap"
	"watchpost/internal/proxyagent"
	"watchpost/internal/words"
)

// flags is the command line.
type flags struct {
	app   *cli.App
	check string // the name of that command

	kubelet        fetch.Config
	kubeletMetrics string
	host           hostFlags
	node, cluster  string
	labels         map[string]string
	upstreams      []string
	upstreamFile   string

	profile, rulesFile        string
	series                    seriesRules
	labelRules                labelRules
	timestamps                string
	maxAge                    time.Duration
	podLabels, podAnnotations []string
	podsFrom, criSocket       string
	podsInterval, podsGrace   time.Duration
	scrapePods                bool
	scrape                    proxyagent.Annotated
	scrapeTLS                 fetch.Config
	api                       fetch.Config
	ceiling                   time.Duration
	limit, held               int64
	maxRequests               int
	gzip                      string
}

func newFlags() *flags {
	app := cli.New(program, "Passes on the container metrics of a node, filtered, with the pod on each series.", ":9101")
	app.Command("serve", "Serve the metrics. This is what happens when no command is given.").Default()
	f := &flags{
		app:    app,
		check:  app.Command("check", "Tell in plain words which sources can be read here, and what to change where they cannot, without serving anything.").FullCommand(),
		labels: make(map[string]string),
	}
	app.FlagProcessors()
	f.sourceFlags()
	f.podFlags()
	f.ruleFlags()
	app.Flag("web.gzip", "Which answers are compressed for clients that take it: auto is those that leave this host.").Default("auto").EnumVar(&f.gzip, "auto", "always", "never")
	app.Flag("web.max-requests", "Scrapes worked on at the same time; others wait.").Default(fmt.Sprint(proxyagent.DefaultRequests)).IntVar(&f.maxRequests)
	return f
}

// sourceFlags declares what is asked for metrics.
func (f *flags) sourceFlags() {
	app, k := f.app, &f.kubelet
	app.Flag("kubelet.metrics", "Pages of the kubelet to pass on, separated by commas: cadvisor, resource, probes, kubelet (its own); none is no kubelet.").Default("cadvisor").IsSetByUser(&f.host.kubelet).StringVar(&f.kubeletMetrics)
	app.Flag("kubelet.url", "URL of the kubelet. Without it https://$HOST_IP:10250, or $NODE_NAME.").PlaceHolder("URL").StringVar(&k.URL)
	app.Flag("kubelet.ca-file", "Certificates that may sign the kubelet's; without it the service account's, where there is one.").PlaceHolder("FILE").StringVar(&k.CAFile)
	app.Flag("kubelet.server-name", "Name in the kubelet's certificate, where it is not that in the URL.").PlaceHolder("NAME").StringVar(&k.ServerName)
	app.Flag("kubelet.insecure-skip-verify", "Take any certificate of the kubelet: it often signs its own.").BoolVar(&k.Insecure)
	app.Flag("kubelet.token-file", "Bearer token for the kubelet, read for each request; without it the service account's, where there is one.").PlaceHolder("FILE").StringVar(&k.TokenFile)
	app.Flag("kubelet.cert-file", "Client certificate for the kubelet, instead of a token.").PlaceHolder("FILE").StringVar(&k.CertFile)
	app.Flag("kubelet.key-file", "Key of --kubelet.cert-file.").PlaceHolder("FILE").StringVar(&k.KeyFile)
	app.Flag("kubelet.gzip", "Ask the kubelet for compressed text: it costs both more than it saves on one node.").BoolVar(&k.Gzip)
	f.host.declare(app)
	app.Flag("upstream", "Another exporter to pass on, with labels for its series: redis=http://127.0.0.1:9121/metrics,team=a. Repeatable.").PlaceHolder("NAME=URL[,LABEL=VALUE...]").StringsVar(&f.upstreams)
	app.Flag("upstream.file", "File with more of these, one on a line; lines that begin with # say nothing.").PlaceHolder("FILE").StringVar(&f.upstreamFile)
	app.Flag("source.timeout", "The longest that a scrape may take; a scraper's own timeout shortens it.").Default(proxyagent.DefaultCeiling.String()).DurationVar(&f.ceiling)
	app.Flag("source.max-bytes", "The most text that is read of a source at a scrape.").Default(fmt.Sprint(proxyagent.DefaultLimit)).Int64Var(&f.limit)
	app.Flag("join.max-bytes", "The most text that is held to join the sources at /metrics.").Default(fmt.Sprint(proxyagent.DefaultHeld)).Int64Var(&f.held)
	app.Flag("node", "Name of this node, for the label node and to find its pods. Without it $NODE_NAME.").PlaceHolder("NAME").StringVar(&f.node)
	app.Flag("cluster", "Name of the cluster, for the label cluster.").PlaceHolder("NAME").StringVar(&f.cluster)
	app.Flag("external-label", "A label name=value to put on every series. Repeatable.").PlaceHolder("NAME=VALUE").StringMapVar(&f.labels)
}

// podFlags declares where pods are known from.
func (f *flags) podFlags() {
	app, a := f.app, &f.api
	app.Flag("pods.from", "Where the pods of this node are known from: watch (the API server), kubelet (its /pods, at intervals), cri (the container runtime, at intervals), none; auto is watch in a pod with a node name, else none.").Default("auto").EnumVar(&f.podsFrom, "auto", "watch", "kubelet", "cri", "none")
	app.Flag("pods.interval", "With --pods.from=kubelet or cri: how often it is asked.").Default("30s").DurationVar(&f.podsInterval)
	app.Flag("pods.cri-socket", "With --pods.from=cri: the runtime's socket. Without it the one that is there of containerd's, CRI-O's and cri-dockerd's.").PlaceHolder("PATH").StringVar(&f.criSocket)
	app.Flag("pods.grace", "How long deleted pods are known, for their last samples.").Default(podmap.DefaultGrace.String()).DurationVar(&f.podsGrace)
	app.Flag("pod-labels", "Labels of pods to put on their series, separated by commas. A * stands for any text. Repeatable.").PlaceHolder("KEY,...").StringsVar(&f.podLabels)
	app.Flag("pod-annotations", "Annotations of pods, as --pod-labels.").PlaceHolder("KEY,...").StringsVar(&f.podAnnotations)
	s, tls := &f.scrape, &f.scrapeTLS
	app.Flag("pods.scrape", "Pass on the metrics of this node's pods with the annotation prometheus.io/scrape: \"true\", too; they may have prometheus.io/port, path and scheme.").BoolVar(&f.scrapePods)
	app.Flag("pods.scrape-max", "With --pods.scrape: the most pages that are asked.").Default(fmt.Sprint(proxyagent.DefaultPodPages)).IntVar(&s.Most)
	app.Flag("pods.scrape-parallel", "With --pods.scrape: pages that are asked at the same time.").Default(fmt.Sprint(proxyagent.DefaultPodParallel)).IntVar(&s.Parallel)
	app.Flag("pods.scrape-max-bytes", "With --pods.scrape: the most text that is read of a page.").Default(fmt.Sprint(proxyagent.DefaultPodLimit)).Int64Var(&s.Limit)
	app.Flag("pods.scrape-timeout", "With --pods.scrape: the longest that a page may take; a scraper's own timeout shortens it.").Default(proxyagent.DefaultPodTimeout.String()).DurationVar(&s.Timeout)
	app.Flag("pods.scrape-ca-file", "Certificates that may sign those of pods with https; without it the system's.").PlaceHolder("FILE").StringVar(&tls.CAFile)
	app.Flag("pods.scrape-insecure-skip-verify", "Take any certificate of pods with https.").BoolVar(&tls.Insecure)
	app.Flag("apiserver", "URL of the API server. Without it the one that Kubernetes tells a pod.").PlaceHolder("URL").StringVar(&a.URL)
	app.Flag("apiserver.ca-file", "Certificates that may sign the API server's; without it the service account's, where there is one.").PlaceHolder("FILE").StringVar(&a.CAFile)
	app.Flag("apiserver.token-file", "Bearer token for the API server; without it the service account's, where there is one.").PlaceHolder("FILE").StringVar(&a.TokenFile)
	app.Flag("apiserver.cert-file", "Client certificate for the API server, instead of a token.").PlaceHolder("FILE").StringVar(&a.CertFile)
	app.Flag("apiserver.key-file", "Key of --apiserver.cert-file.").PlaceHolder("FILE").StringVar(&a.KeyFile)
}

// ruleFlags declares what is passed on.
func (f *flags) ruleFlags() {
	app := f.app
	app.Flag("profile", "Rules for the kubelet's metrics that are asked last: none, default (what kube-prometheus drops) or lean (what kube-prometheus-stack drops). Without it that of --rules.file, or default.").PlaceHolder("NAME").StringVar(&f.profile)
	app.Flag("rules.file", "YAML file with rules: docs/filter.md.").PlaceHolder("FILE").StringVar(&f.rulesFile)
	app.Flag("drop", "Drop metrics whose names fit a pattern: a glob, or an anchored regular expression. These rules come first, in the order they are given. Repeatable.").PlaceHolder("PATTERN").SetValue(f.series.flag("drop"))
	app.Flag("keep", "Keep metrics whose names fit a pattern, whatever comes after. Repeatable.").PlaceHolder("PATTERN").SetValue(f.series.flag("keep"))
	app.Flag("rule", "A rule as it stands in a file: {drop: container_fs_*, where: {device: /dev/loop.*}}. Repeatable.").PlaceHolder("YAML").SetValue(f.series.flag("rule"))
	app.Flag("label-rule", "A rule for labels as it stands in a file: {metric: container_*, drop: [id, name]}. Repeatable.").PlaceHolder("YAML").SetValue(&f.labelRules)
	app.Flag("timestamps", "What becomes of the samples' own: keep, drop or honour. Without it as the file or the profile has it.").PlaceHolder("WAY").EnumVar(&f.timestamps, "keep", "drop", "honour")
	app.Flag("max-age", "With --timestamps=honour: how old one may be. Without it 5m.").PlaceHolder("DURATION").DurationVar(&f.maxAge)
}

// seriesRules are the rules of several flags, in the order of the command line.
type seriesRules struct{ rules []containers.SeriesRule }

func (s *seriesRules) flag(name string) *ruleFlag { return &ruleFlag{name, s} }

// ruleFlag is one of those flags.
type ruleFlag struct {
	name string
	to   *seriesRules
}

// Set implements kingpin.Value.
func (r *ruleFlag) Set(text string) error {
	if text == "" {
		return errors.New(`a pattern that is empty: "*" is for all metrics`)
	}
	rule := containers.SeriesRule{Metric: containers.Pattern(text), Keep: r.name == "keep", Origin: "--" + r.name + " " + text}
	if r.name == "rule" {
		var err error
		if rule, err = containers.ParseSeriesRule(rule.Origin, text); err != nil {
			return err
		}
	}
	r.to.rules = append(r.to.rules, rule)
	return nil
}

func (r *ruleFlag) String() string { return "" }

// IsCumulative tells kingpin that the flag may be given again.
func (r *ruleFlag) IsCumulative() bool { return true }

// labelRules are those of a flag, in the order of the command line.
type labelRules []containers.LabelRule

// Set implements kingpin.Value.
func (l *labelRules) Set(text string) error {
	rule, err := containers.ParseLabelRule("--label-rule "+text, text)
	*l = append(*l, rule)
	return err
}

func (l *labelRules) String() string { return "" }

// IsCumulative tells kingpin that the flag may be given again.
func (l *labelRules) IsCumulative() bool { return true }

// config is what the flags say. getenv is that of the system.
func (f *flags) config(getenv func(string) string, log *slog.Logger) (cfg proxyagent.Config, err error) {
	switch {
	case f.ceiling <= 0 || f.podsInterval <= 0 || f.podsGrace <= 0:
		return cfg, errors.New("--source.timeout, --pods.interval and --pods.grace must be above 0")
	case f.limit <= 0 || f.held <= 0 || f.maxRequests <= 0:
		return cfg, errors.New("--source.max-bytes, --join.max-bytes and --web.max-requests must be above 0")
	case f.maxAge < 0:
		return cfg, errors.New("--max-age cannot be negative")
	}
	f.node = cmp.Or(f.node, getenv("NODE_NAME"))
	rules, err := f.rules()
	if err != nil {
		return cfg, err
	}
	cfg = proxyagent.Config{
		Labels: f.sourceLabels(), Limit: f.limit, Held: int(f.held), Ceiling: f.ceiling, MaxRequests: f.maxRequests,
		Gzip: proxyagent.GzipMode(f.gzip), Log: log,
	}
	own, err := f.hostSource(rules, log)
	if err != nil {
		return cfg, err
	}
	client, err := f.kubeletClient(getenv)
	if err != nil {
		return cfg, err
	}
	if cfg.Sources, err = f.kubeletSources(client, rules); err != nil {
		return cfg, err
	}
	cfg.Sources = append(own, cfg.Sources...)
	upstreams, err := f.upstreamSources(rules)
	if err != nil {
		return cfg, err
	}
	if cfg.Sources = append(cfg.Sources, upstreams...); len(cfg.Sources) == 0 && !f.scrapePods {
		return cfg, errors.New("nothing to pass on: name pages of the kubelet by --kubelet.metrics, --cadvisor, an exporter by --upstream, or ask pods by --pods.scrape")
	}
	if err := f.pods(&cfg, client, rules.Pods, getenv); err != nil || !f.scrapePods {
		return cfg, err
	}
	return cfg, f.annotated(&cfg, rules)
}

// sourceLabels are those of every series, in the order of their names behind node and
// cluster.
func (f *flags) sourceLabels() []string {
	labels := []string{"node", f.node, "cluster", f.cluster}
	for _, name := range slices.Sorted(maps.Keys(f.labels)) {
		labels = append(labels, name, f.labels[name])
	}
	return labels
}

// rules are those of flags, of the file and of the profile.
func (f *flags) rules() (containers.Rules, error) {
	r := containers.Rules{Profile: "default"}
	if f.rulesFile != "" {
		text, err := os.ReadFile(f.rulesFile)
		if err != nil {
			return r, fmt.Errorf("--rules.file: %w", err)
		}
		if r, err = containers.ParseRules(f.rulesFile, text); err != nil {
			return r, err
		}
	}
	r.Profile = cmp.Or(f.profile, r.Profile)
	r.Series = append(slices.Clone(f.series.rules), r.Series...)
	r.Labels = append(slices.Clone([]containers.LabelRule(f.labelRules)), r.Labels...)
	r.Timestamps = containers.Timestamps(cmp.Or(f.timestamps, string(r.Timestamps)))
	r.MaxAge = cmp.Or(f.maxAge, r.MaxAge)
	r.Pods.Labels = append(r.Pods.Labels, words.Split(f.podLabels...)...)
	r.Pods.Annotations = append(r.Pods.Annotations, words.Split(f.podAnnotations...)...)
	return r, nil
}

// userAgent is the name of this program to those that it asks.
func userAgent() string { return program + "/" + cmp.Or(version.Version, "unknown") }

// account completes how a server of the cluster is reached, by the service account of
// this pod where there is one.
func account(c *fetch.Config) {
	c.UserAgent = userAgent()
	if c.CAFile == "" && !c.Insecure && exists(kubelet.ServiceAccountCA) {
		c.CAFile = kubelet.ServiceAccountCA
	}
	if c.TokenFile == "" && c.CertFile == "" && exists(kubelet.ServiceAccountToken) {
		c.TokenFile = kubelet.ServiceAccountToken
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// kubeletClient is nil where no kubelet is asked.
func (f *flags) kubeletClient(getenv func(string) string) (*kubelet.Client, error) {
	if f.kubeletMetrics == "none" && f.podsFrom != "kubelet" {
		return nil, nil
	}
	k := f.kubelet
	k.URL = cmp.Or(k.URL, kubelet.URL(getenv("HOST_IP"), f.node))
	if k.URL == "" {
		return nil, errors.New("where the kubelet is is not known: set HOST_IP or NODE_NAME by the downward API, or --kubelet.url; without one --cadvisor, or --kubelet.metrics=none")
	}
	if k.Insecure && k.CAFile != "" {
		return nil, errors.New("--kubelet.insecure-skip-verify and --kubelet.ca-file cannot be used together")
	}
	account(&k)
	client, err := kubelet.New(k)
	if err != nil {
		return nil, fmt.Errorf("kubelet: %w", err)
	}
	return client, nil
}

func (f *flags) kubeletSources(client *kubelet.Client, rules containers.Rules) ([]proxyagent.Source, error) {
	if f.kubeletMetrics == "none" {
		return nil, nil
	}
	names := words.Split(f.kubeletMetrics)
	var sources []proxyagent.Source
	var known []string
	for _, e := range kubelet.Endpoints() {
		known = append(known, e.Name)
		if !slices.Contains(names, e.Name) {
			continue
		}
		s := proxyagent.Source{
			Name: e.Name, Path: "/metrics/" + e.Name, From: client, Page: e.Path, URL: strings.TrimSuffix(client.URL(), "/") + e.Path,
			Rules: rules, Kubelet: true, Streamed: e.Name == "cadvisor",
		}
		if e.Own {
			s.Extra = []string{"upstream", e.Name}
			s.Rules = others(rules)
		}
		sources = append(sources, s)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--kubelet.metrics: the kubelet has no page %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return sources, nil
}

// others are the rules for what is not about containers: without the profile.
func others(r containers.Rules) containers.Rules {
	r.Profile = "none"
	return r
}

// upstream is another exporter.
type upstream struct {
	from      string // where it was read
	name, url string
	labels    []string // names and values in turn
}

// parseUpstream reads NAME=URL[,LABEL=VALUE...].
func parseUpstream(text string) (u upstream, err error) {
	name, rest, found := strings.Cut(text, "=")
	if !found || name == "" || strings.ContainsAny(name, "/?#%{} ") {
		return u, fmt.Errorf("%q is not NAME=URL, with a name that can stand in a path", text)
	}
	url, pairs, labelled := strings.Cut(rest, ",")
	u.name, u.url = name, url
	if !labelled {
		return u, nil
	}
	for pair := range strings.SplitSeq(pairs, ",") {
		label, value, found := strings.Cut(pair, "=")
		if !found || label == "" {
			return u, fmt.Errorf("%q: %q is not LABEL=VALUE", text, pair)
		}
		u.labels = append(u.labels, label, value)
	}
	return u, nil
}

// parseUpstreams reads a file of upstreams, one on a line as the flag has it. Empty
// lines and those that begin with # say nothing.
func parseUpstreams(file, text string) (all []upstream, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		u, err := parseUpstream(line)
		if u.from = fmt.Sprintf("%s:%d", file, n); err != nil {
			return nil, fmt.Errorf("%s: %w", u.from, err)
		}
		all = append(all, u)
	}
	return all, nil
}

// upstreamSources are the exporters of --upstream and --upstream.file.
func (f *flags) upstreamSources(rules containers.Rules) ([]proxyagent.Source, error) {
	var all []upstream
	for _, text := range f.upstreams {
		u, err := parseUpstream(text)
		if u.from = "--upstream"; err != nil {
			return nil, fmt.Errorf("--upstream %w", err)
		}
		all = append(all, u)
	}
	if f.upstreamFile != "" {
		text, err := os.ReadFile(f.upstreamFile)
		if err != nil {
			return nil, fmt.Errorf("--upstream.file: %w", err)
		}
		more, err := parseUpstreams(f.upstreamFile, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	var sources []proxyagent.Source
	for _, u := range all {
		client, err := fetch.New(fetch.Config{URL: u.url, UserAgent: userAgent()})
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", u.from, u.name, err)
		}
		for _, other := range sources {
			if other.Name == u.name {
				return nil, fmt.Errorf("%s: %s is given twice", u.from, u.name)
			}
		}
		sources = append(sources, proxyagent.Source{
			Name: u.name, Path: "/metrics/upstream/" + u.name, From: client, URL: u.url, Rules: others(rules), Extra: append([]string{"upstream", u.name}, u.labels...),
		})
	}
	return sources, nil
}

// annotated completes the configuration with the pods that ask to be scraped.
func (f *flags) annotated(cfg *proxyagent.Config, rules containers.Rules) error {
	s := f.scrape
	switch {
	case cfg.Pods == nil:
		return errors.New("--pods.scrape needs to know pods: set --pods.from, and --node for a watch")
	case s.Most <= 0 || s.Parallel <= 0 || s.Limit <= 0 || s.Timeout <= 0:
		return errors.New("--pods.scrape-max, --pods.scrape-parallel, --pods.scrape-max-bytes and --pods.scrape-timeout must be above 0")
	case f.scrapeTLS.Insecure && f.scrapeTLS.CAFile != "":
		return errors.New("--pods.scrape-insecure-skip-verify and --pods.scrape-ca-file cannot be used together")
	}
	s.Rules = others(rules)
	s.Client = func(url string) (proxyagent.Client, error) { // without what is for the kubelet
		return fetch.New(fetch.Config{URL: url, CAFile: f.scrapeTLS.CAFile, Insecure: f.scrapeTLS.Insecure, UserAgent: userAgent()})
	}
	if _, err := s.Client("https://pod.invalid"); err != nil {
		return fmt.Errorf("--pods.scrape: %w", err)
	}
	cfg.Annotated = &s
	return nil
}

// pods completes the configuration with where pods are known from.
func (f *flags) pods(cfg *proxyagent.Config, client *kubelet.Client, rules containers.PodRules, getenv func(string) string) error {
	from := f.podsFrom
	a := f.api
	if host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"); a.URL == "" && host != "" {
		a.URL = "https://" + net.JoinHostPort(host, cmp.Or(port, "443"))
	}
	if from == "auto" {
		if from = "none"; a.URL != "" && f.node != "" {
			from = "watch"
		}
	}
	switch from {
	case "none":
		if len(rules.Labels)+len(rules.Annotations) > 0 {
			return errors.New("--pod-labels and --pod-annotations need to know pods: set --pods.from, and --node for a watch")
		}
		return nil
	case "watch":
		if f.node == "" {
			return errors.New("--pods.from=watch needs the name of this node: set NODE_NAME by the downward API, or --node")
		}
		if a.URL == "" {
			return errors.New("--pods.from=watch: this is not a pod of a cluster, so the API server is to be named by --apiserver")
		}
		account(&a)
		server, err := fetch.New(a)
		if err != nil {
			return fmt.Errorf("API server: %w", err)
		}
		cfg.PodsFrom = &podmap.Watch{Server: server, Node: f.node, Log: cfg.Log}
	case "kubelet":
		cfg.PodsFrom = &podmap.Poll{Kubelet: client, Interval: f.podsInterval, Log: cfg.Log}
	case "cri":
		socket, err := f.socket()
		if err != nil {
			return err
		}
		cfg.PodsFrom = &podmap.CRI{Socket: socket, Node: f.node, HostIP: getenv("HOST_IP"), Interval: f.podsInterval, Log: cfg.Log}
	}
	cfg.Pods = podmap.New(podmap.Config{Rules: rules, Grace: f.podsGrace})
	return nil
}

// socket is the container runtime's: the one that was named, else the first that is
// there, else containerd's, which may come later.
func (f *flags) socket() (string, error) {
	if f.criSocket == "" {
		known := podmap.Sockets()
		if i := slices.IndexFunc(known, exists); i >= 0 {
			return known[i], nil
		}
		return known[0], nil
	}
	socket := strings.TrimPrefix(f.criSocket, "unix://")
	if !strings.HasPrefix(socket, "/") {
		return "", fmt.Errorf("--pods.cri-socket: %q is not the path of a socket, such as %s", f.criSocket, podmap.Sockets()[0])
	}
	return socket, nil
}
