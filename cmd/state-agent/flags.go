package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/serve"
	"watchpost/internal/stateagent"
	"watchpost/internal/words"
)

// program is the name of this program.
const program = "state-agent"

// flags is the command line. The names, defaults and meanings are those of
// kube-state-metrics; what is different is said in docs/compat.md.
type flags struct {
	app     *cli.App
	check   string // the name of that command
	version string // the same

	host, telemetryHost string
	port, telemetryPort int
	tlsConfig           string
	headerTimeout       time.Duration
	readTimeout         time.Duration
	writeTimeout        time.Duration
	idleTimeout         time.Duration
	gzip                bool
	authFilter          bool
	autoMemory          bool
	memoryRatio         float64

	config              string
	withoutConfig       bool
	customResources     string
	customResourcesFile string
	withoutCustomFile   bool
	customResourcesOnly bool
	settings            stateagent.Settings
	resources           wordList
	namespaces          wordList
	namespacesDenied    wordList
	allow, deny, optIn  wordList
	labels, annotations keys
	podLabels           wordList
	labelSelectors      map[string]string
	lookup              bool
	klog                klogFlags
}

// Defaults of kube-state-metrics.
const (
	defaultPort          = 8080
	defaultTelemetryPort = 8081
	defaultReadTimeout   = time.Minute
	defaultMemoryRatio   = 0.9
)

func newFlags() *flags {
	app := cli.New(program, "Tells how the objects of a Kubernetes cluster are, in the metrics of kube-state-metrics.", net.JoinHostPort("::", strconv.Itoa(defaultPort)))
	app.Command("serve", "Serve the metrics. This is what happens when no command is given.").Default()
	f := &flags{
		app:     app,
		check:   app.Command("check", "Tell in plain words which resources may be read here, and what to grant where they may not, without serving anything.").FullCommand(),
		version: app.Command("version", "Print the version.").FullCommand(),
		settings: stateagent.Settings{
			QPS: stateagent.DefaultQPS, Burst: stateagent.DefaultBurst, Shards: 1,
		},
	}
	f.labelSelectors = make(map[string]string)
	f.serverFlags()
	f.sourceFlags()
	f.contentFlags()
	f.klog.declare(app)
	return f
}

// serverFlags declares where and how is served.
func (f *flags) serverFlags() {
	app := f.app
	app.Flag("host", "Address to serve the metrics on.").Default("::").StringVar(&f.host)
	// Kubernetes sets STATE_AGENT_PORT in every pod beside a service of that name.
	app.Flag("port", "Port to serve the metrics on.").Envar("STATE_AGENT_METRICS_PORT").Default(strconv.Itoa(defaultPort)).IntVar(&f.port)
	app.Flag("telemetry-host", "Address to serve this program's own metrics on.").Default("::").StringVar(&f.telemetryHost)
	app.Flag("telemetry-port", "Port to serve this program's own metrics, its readiness and its profiles on.").Default(strconv.Itoa(defaultTelemetryPort)).IntVar(&f.telemetryPort)
	app.Flag("tls-config", "The same as --web.config.file; it counts for both servers.").PlaceHolder("FILE").StringVar(&f.tlsConfig)
	app.Flag("server-read-header-timeout", "How long a client may take for the headers of a request.").Default(serve.HeaderTimeout.String()).DurationVar(&f.headerTimeout)
	app.Flag("server-read-timeout", "How long a client may take for a request.").Default(defaultReadTimeout.String()).DurationVar(&f.readTimeout)
	app.Flag("server-write-timeout", "How long an answer may take.").Default(serve.WriteTimeout.String()).DurationVar(&f.writeTimeout)
	app.Flag("server-idle-timeout", "How long a connection is kept that nothing is asked on.").Default(serve.IdleTimeout.String()).DurationVar(&f.idleTimeout)
	app.Flag("enable-gzip-encoding", "Has no effect: answers are in gzip for every client that takes it.").BoolVar(&f.gzip)
	app.Flag("auth-filter", "Show metrics and profiles only to those whom the API server lets, by their token: get on the path, as a non-resource URL.").BoolVar(&f.authFilter)
	app.Flag("auto-gomemlimit", "Collect garbage more often near the memory limit of the container or host.").BoolVar(&f.autoMemory)
	app.Flag("auto-gomemlimit-ratio", "With --auto-gomemlimit: the share of the limit that may be used.").Default(fmt.Sprint(defaultMemoryRatio)).Float64Var(&f.memoryRatio)
	app.Flag("lookup", "Answer /lookup?ip=ADDRESS and /lookup?pod=NAMESPACE/NAME: which pod that is, where it runs, and whose it is.").BoolVar(&f.lookup)
}

// sourceFlags declares which cluster is asked, and for what.
func (f *flags) sourceFlags() {
	app, s := f.app, &f.settings
	app.Flag("config", "YAML file with options, which come before the flags. It is watched.").PlaceHolder("FILE").StringVar(&f.config)
	app.Flag("continue-without-config", "Start also where the file of --config is not there yet.").BoolVar(&f.withoutConfig)
	app.Flag("kubeconfig", "File that says how the API server is reached. It is watched. Without it the pod's service account counts.").PlaceHolder("FILE").StringVar(&s.Kubeconfig)
	app.Flag("apiserver", "URL of the API server, instead of the one in the kubeconfig.").PlaceHolder("URL").StringVar(&s.APIServer)
	app.Flag("kube-api-qps", "Requests to the API server in a second, over time.").Default(fmt.Sprint(s.QPS)).Float64Var(&s.QPS)
	app.Flag("kube-api-burst", "Requests to the API server at once.").Default(fmt.Sprint(s.Burst)).IntVar(&s.Burst)
	app.Flag("use-apiserver-cache", "Take lists from the cache of the API server rather than from etcd.").BoolVar(&s.CachedLists)
	app.Flag("object-limit", "Most objects that are listed of a resource; 0 is no limit.").Default("0").Int64Var(&s.ObjectLimit)
	app.Flag("resources", "The resources to show, separated by commas.").PlaceHolder("NAME,...").SetValue(&f.resources)
	app.Flag("namespaces", "The namespaces to show, separated by commas; all if none is named.").PlaceHolder("NAME,...").SetValue(&f.namespaces)
	app.Flag("namespaces-denylist", "The namespaces not to show, separated by commas.").PlaceHolder("NAME,...").SetValue(&f.namespacesDenied)
	app.Flag("namespace-selector", "Show only namespaces whose labels fit this selector, and what is in them.").PlaceHolder("SELECTOR").StringVar(&s.NamespaceSelector)
	app.Flag("label-selector", "Show only those objects of a resource whose labels fit a selector: pods=team=a,tier!=test. Repeatable.").PlaceHolder("RESOURCE=SELECTOR").StringMapVar(&f.labelSelectors)
	app.Flag("node", "Show only the pods of this node, for one agent on each node.").StringVar(&s.Node)
	app.Flag("track-unscheduled-pods", "Show only pods that have no node yet; --node is put aside.").BoolVar(&s.UnscheduledPods)
	app.Flag("shard", "Which part of the objects to show, counted from 0.").Default("0").IntVar(&s.Shard)
	app.Flag("total-shards", "Number of the parts; 1 is everything.").Default("1").IntVar(&s.Shards)
	app.Flag("pod", "Name of this program's own pod, one of a StatefulSet: the shard is its number, and their number is that of the replicas. Put before --shard.").StringVar(&s.Pod)
	app.Flag("pod-namespace", "The namespace of --pod.").StringVar(&s.PodNamespace)
	app.Flag("custom-resource-state-config", "Which metrics to make of custom resources, YAML.").PlaceHolder("YAML").StringVar(&f.customResources)
	app.Flag("custom-resource-state-config-file", "File that says which metrics to make of custom resources. It is watched.").PlaceHolder("FILE").StringVar(&f.customResourcesFile)
	app.Flag("custom-resource-state-only", "Show custom resources alone.").BoolVar(&f.customResourcesOnly)
	app.Flag("continue-without-custom-resource-state-config-file", "Start also where the file of --custom-resource-state-config-file is not there yet.").BoolVar(&f.withoutCustomFile)
	app.Flag("pods.skip-finished-after", "How long pods that have ended are shown; 0 is for as long as they are there.").Default("0s").DurationVar(&s.SkipFinishedAfter)
}

// contentFlags declares what is shown of the objects.
func (f *flags) contentFlags() {
	app, s := f.app, &f.settings
	app.Flag("metric-allowlist", "Show only metrics whose names fit one of these patterns, separated by commas. A pattern (ECMAScript) fits anywhere in a name.").PlaceHolder("PATTERN,...").SetValue(&f.allow)
	app.Flag("metric-denylist", "Leave out metrics whose names fit one of these patterns, instead of --metric-allowlist.").PlaceHolder("PATTERN,...").SetValue(&f.deny)
	app.Flag("metric-opt-in-list", "Patterns (Go) of the metrics to show that are not shown unless asked for.").PlaceHolder("PATTERN,...").SetValue(&f.optIn)
	app.Flag("metric-labels-allowlist", "Labels of objects to show, by resource: pods=[app,team/*],*=[owner]. A * stands for any text; the resource * for those not named.").PlaceHolder("RESOURCE=[KEY,...],...").SetValue(&f.labels)
	app.Flag("metric-annotations-allowlist", "Annotations of objects to show, as --metric-labels-allowlist.").PlaceHolder("RESOURCE=[KEY,...],...").SetValue(&f.annotations)
	app.Flag("pod-labels", "Labels of pods to put on every metric of pods, separated by commas. A * stands for any text.").PlaceHolder("KEY,...").SetValue(&f.podLabels)
	app.Flag("enumerations.true-only", "Of the states that a thing can be in show only the one it is in.").BoolVar(&s.TrueOnly)
}

// wordList is a flag of words separated by commas. Given again it takes more.
type wordList []string

// Set implements kingpin.Value.
func (w *wordList) Set(s string) error {
	for _, word := range words.Split(s) {
		if !slices.Contains(*w, word) {
			*w = append(*w, word)
		}
	}
	return nil
}

func (w *wordList) String() string { return strings.Join(*w, ",") }

// IsCumulative tells kingpin that the flag may be given again.
func (w *wordList) IsCumulative() bool { return true }

// keys is a flag of keys by resource. Given again, what is said of a resource later
// counts.
type keys map[string][]string

// Set implements kingpin.Value.
func (k *keys) Set(s string) error {
	parsed, err := stateagent.ParseKeys(s)
	if err != nil {
		return err
	}
	if *k == nil {
		*k = make(keys)
	}
	for resource, of := range parsed {
		(*k)[resource] = of
	}
	return nil
}

func (k *keys) String() string {
	var parts []string
	for resource, of := range *k {
		parts = append(parts, resource+"=["+strings.Join(of, ",")+"]")
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// IsCumulative tells kingpin that the flag may be given again.
func (k *keys) IsCumulative() bool { return true }

// normalize turns what kube-state-metrics' command line takes and kingpin does not
// into what both mean: --switch=false, -v=4, and flags given twice, of which the
// last counts.
func normalize(f *flags, args []string) []string {
	model := f.app.Model()
	switches, single := make(map[string]bool), make(map[string]bool)
	for _, m := range model.Flags {
		switches[m.Name] = m.IsBoolFlag()
		cumulative, ok := m.Value.(interface{ IsCumulative() bool })
		single[m.Name] = !ok || !cumulative.IsCumulative()
	}
	var out []string
	at := make(map[string]int) // of single flags: their last place in out
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...)
		}
		if rest, ok := strings.CutPrefix(arg, "-v="); ok {
			arg = "--v=" + rest
		}
		name, value, given := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !strings.HasPrefix(arg, "--") || !single[name] {
			out = append(out, arg)
			continue
		}
		switch {
		case switches[name] && given:
			if on, err := strconv.ParseBool(value); err == nil && on {
				arg = "--" + name
			} else if err == nil {
				arg = "--no-" + name
			}
		case !switches[name] && !given && i+1 < len(args):
			i++
			arg += "=" + args[i]
		}
		if before, again := at[name]; again {
			out[before] = arg
			continue
		}
		at[name] = len(out)
		out = append(out, arg)
	}
	return out
}

// checked is what flags and files say, checked as far as that goes without asking a
// cluster: servers and what can only be set at the start on one side, settings on
// the other.
func (f *flags) checked() error {
	switch {
	case f.memoryRatio <= 0 || f.memoryRatio > 1:
		return fmt.Errorf("--auto-gomemlimit-ratio %g must be above 0 and at most 1", f.memoryRatio)
	case f.headerTimeout < 0 || f.readTimeout < 0 || f.writeTimeout < 0 || f.idleTimeout < 0:
		return errors.New("--server-*-timeout cannot be negative")
	case f.app.Given("web.listen-address") && (f.app.Given("host") || f.app.Given("port")):
		return errors.New("--web.listen-address says what --host and --port say: use either")
	case f.tlsConfig != "" && f.app.Given("web.config.file") && f.tlsConfig != f.webConfig():
		return errors.New("--tls-config and --web.config.file are the same: use either")
	case f.customResources != "" && f.customResourcesFile != "":
		return errors.New("--custom-resource-state-config and --custom-resource-state-config-file cannot be used together")
	case f.customResourcesOnly && f.customResources == "" && f.customResourcesFile == "":
		return errors.New("--custom-resource-state-only needs --custom-resource-state-config or --custom-resource-state-config-file")
	}
	for name, port := range map[string]int{"port": f.port, "telemetry-port": f.telemetryPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("--%s %d is not a port", name, port)
		}
	}
	return nil
}

func (f *flags) webConfig() string { return f.app.Server(nil).WebConfigFile }

// servers are the configurations of the server for metrics and of the one for the
// program's own.
func (f *flags) servers(log *slog.Logger) (metrics, telemetry serve.Config) {
	metrics = f.app.Server(log)
	metrics.WebConfigFile = cmp.Or(metrics.WebConfigFile, f.tlsConfig)
	metrics.HeaderTimeout, metrics.ReadTimeout = f.headerTimeout, f.readTimeout
	metrics.WriteTimeout, metrics.IdleTimeout = f.writeTimeout, f.idleTimeout
	telemetry = metrics
	metrics.Pprof = false
	if !f.app.Given("web.listen-address") {
		metrics.Addresses, metrics.AddressFlag = []string{net.JoinHostPort(f.host, strconv.Itoa(f.port))}, "--port"
	}
	telemetry.Addresses, telemetry.AddressFlag = []string{net.JoinHostPort(f.telemetryHost, strconv.Itoa(f.telemetryPort))}, "--telemetry-port"
	telemetry.SystemdSocket = false
	telemetry.HeaderTimeout, telemetry.ReadTimeout, telemetry.WriteTimeout, telemetry.IdleTimeout = 0, 0, 0, 0
	return metrics, telemetry
}

// load is what the flags say of what can change while the program runs, with the
// files to watch.
func (f *flags) load() (stateagent.Settings, []stateagent.File, error) {
	s := f.settings
	s.Resources = f.resources
	switch {
	case f.customResourcesOnly:
		s.Resources = []string{}
	case len(s.Resources) == 0 && (s.Node != "" || s.UnscheduledPods):
		s.Resources = []string{"pods"}
	}
	s.Namespaces, s.NamespacesDenied = f.namespaces, f.namespacesDenied
	s.LabelSelectors = f.labelSelectors
	s.MetricAllow, s.MetricDeny, s.MetricOptIn = f.allow, f.deny, f.optIn
	s.Labels, s.Annotations, s.PodLabels = f.labels, f.annotations, f.podLabels
	s.CustomResources = f.customResources
	files := f.files()
	if f.customResourcesFile != "" {
		text, err := stateagent.ReadFile(f.customResourcesFile)
		if err != nil && !(f.withoutCustomFile && isAbsent(err)) {
			return s, files, fmt.Errorf("--custom-resource-state-config-file: %w", &stateagent.FileError{Name: f.customResourcesFile, Err: err})
		}
		s.CustomResources, s.CustomResourcesFile = string(text), f.customResourcesFile
	}
	return s, files, nil
}

// files are those that settings come from.
func (f *flags) files() []stateagent.File {
	var files []stateagent.File
	for _, file := range []stateagent.File{
		{Type: "config", Name: f.config},
		{Type: "customresourceconfig", Name: f.customResourcesFile},
		{Type: "kubeconfig", Name: f.settings.Kubeconfig},
	} {
		if file.Name != "" {
			files = append(files, file)
		}
	}
	return files
}
