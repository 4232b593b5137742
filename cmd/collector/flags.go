package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/grafana/regexp"
	"github.com/prometheus/common/model"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/hostfs"
	"watchpost/internal/promstack"
	"watchpost/internal/serve"
)

// flags is the command line. Flags that Prometheus has keep their names and
// meanings; the differences are in docs/compat.md.
type flags struct {
	app         *cli.App
	checkConfig string  // the name of that command
	checkFile   *string // its argument
	printConfig string  // the name of that command
	tools       []tool

	configFile *string
	configAdd  *[]string
	autoReload *bool
	reloadEach model.Duration
	standalone *bool
	nodeListen *string
	host       hostfs.FS

	dataDir                 *string
	retention, oldRetention model.Duration
	retentionSize           units.Base2Bytes
	minBlock, maxBlock      model.Duration
	walCompress             *bool
	walCompression          *string
	noLock                  *bool

	readTimeout   model.Duration
	maxConns      *int
	lifecycle     *bool
	admin         *bool
	writeReceiver *bool
	otlpReceiver  *bool
	externalURL   *string
	routePrefix   *string
	origins       *string

	queryTimeout, lookback         model.Duration
	queryConcurrency, querySamples *int

	outageTolerance, gracePeriod, resendDelay model.Duration
	alertQueue                                *int

	flushDeadline                           model.Duration
	readSamples, readConcurrency, readFrame *int

	agent       agentFlags
	rare        rareFlags
	cluster     clusterFlags
	shard       shardFlags
	extraLabels *[]string
	probe       probeFlags
	push        pushFlags

	discoveryInterval model.Duration
	features          *[]string
	autoMemory        *bool
	memoryRatio       *float64
}

func newFlags() *flags {
	app := cli.New("collector", "Scrapes, keeps, answers and shows metrics. Reads an unchanged prometheus.yml.", ":9090")
	app.Command("serve", "Run the collector. This is what happens when no command is given.").Default()
	checks := app.Command("check", "Check a file, without running anything.")
	check := checks.Command("config", "Check a prometheus.yml and the files it names.")
	f := &flags{
		app:         app,
		checkConfig: check.FullCommand(),
		checkFile:   check.Arg("file", "The prometheus.yml.").Required().String(),
		printConfig: app.Command("config", "Print the configuration that would run with the flags given.").FullCommand(),
		host:        hostfs.Default,
	}
	f.tools = tools(app, checks)
	f.configFile = app.Flag("config.file", "The prometheus.yml to run. Without it the collector watches itself and this host's agent; see the command config.").PlaceHolder("FILE").String()
	f.configAdd = app.Flag("config.add", "File, or pattern of files, in the same format: its sections are added to the configuration, which may be the built-in one: rules, remote_write, more jobs. Repeatable.").PlaceHolder("FILE").Strings()
	f.autoReload = app.Flag("config.auto-reload", "Reload when the file, or a scrape or rule file that it names, changes.").Bool()
	f.duration("config.auto-reload-interval", "How often to look for changes.", "30s", &f.reloadEach)
	f.standalone = app.Flag("standalone", "Be this host's node-agent too, in the same process.").Bool()
	f.nodeListen = app.Flag("standalone.node-address", "Where node-agent's metrics are served with --standalone.").Default(":9100").String()
	app.Flag("path.procfs", "Where procfs is mounted, for --standalone.").Default(f.host.Proc).StringVar(&f.host.Proc)
	app.Flag("path.sysfs", "Where sysfs is mounted, for --standalone.").Default(f.host.Sys).StringVar(&f.host.Sys)
	app.Flag("path.rootfs", "Where the host's root file system is mounted, for --standalone.").Default(f.host.Root).StringVar(&f.host.Root)
	f.cluster.declare(app)
	f.shard.declare(app)
	f.extraLabels = app.Flag("external-label", "Label NAME=VALUE of all that leaves the collector by remote write, federation and alerts, as external_labels in the file, before which it counts: replica=a tells one of a pair. Repeatable.").PlaceHolder("NAME=VALUE").Strings()
	f.storageFlags()
	f.agentFlags()
	f.rareFlags()
	f.webFlags()
	f.queryFlags()
	f.probe.declare(app)
	f.push.declare(app)
	f.features = app.Flag("enable-feature", "Experimental features of Prometheus, separated by commas: "+strings.Join(featureNames(), ", ")+". Repeatable.").Strings()
	f.autoMemory = app.Flag("auto-gomemlimit", "Collect garbage harder near the memory limit of the container or host.").Default("true").Bool()
	f.memoryRatio = app.Flag("auto-gomemlimit.ratio", "From which share of that limit.").Default("0.9").Float64()
	for _, name := range ignored {
		app.Flag(name, "Has no effect.").Hidden().String()
	}
	app.Flag("auto-gomaxprocs", "Has no effect: the Go runtime follows the container's limit by itself.").Hidden().Default("true").Bool()
	return f
}

// ignored are flags of Prometheus that are given in many manifests and have no
// meaning here: they are about its own pages.
var ignored = []string{"web.console.templates", "web.console.libraries", "web.page-title", "web.user-assets"}

// duration declares a flag in Prometheus' notation, such as 15d.
func (f *flags) duration(name, help, def string, to *model.Duration) *kingpin.FlagClause {
	c := f.app.Flag(name, help)
	if def != "" {
		c.Default(def)
	}
	c.SetValue(to)
	return c
}

func (f *flags) storageFlags() {
	f.dataDir = f.app.Flag("storage.tsdb.path", "Folder of the samples.").Default("data/").String()
	f.duration("storage.tsdb.retention.time", "How long samples are kept; 15d where no limit is given at all.", "", &f.retention)
	f.duration("storage.tsdb.retention", "Older name of --storage.tsdb.retention.time.", "", &f.oldRetention).Hidden()
	f.app.Flag("storage.tsdb.retention.size", "Size of all blocks at which the oldest go, such as 512MB.").BytesVar(&f.retentionSize)
	f.duration("storage.tsdb.min-block-duration", "Age at which samples become a block.", "2h", &f.minBlock).Hidden()
	f.duration("storage.tsdb.max-block-duration", "Longest block; a tenth of the retention unless given.", "", &f.maxBlock).Hidden()
	f.walCompress = f.app.Flag("storage.tsdb.wal-compression", "Compress the log of new samples.").Hidden().Default("true").Bool()
	f.walCompression = f.app.Flag("storage.tsdb.wal-compression-type", "How the log of new samples is compressed.").Hidden().Default("snappy").Enum("snappy", "zstd")
	f.noLock = f.app.Flag("storage.tsdb.no-lockfile", "Do not keep a second process out of the folder.").Bool()
	f.duration("storage.remote.flush-deadline", "How long a stop may take to send what remote write has queued.", "1m", &f.flushDeadline)
	f.readSamples = f.app.Flag("storage.remote.read-sample-limit", "Samples in one answer to a remote read; 0 is no bound.").Default("50000000").Int()
	f.readConcurrency = f.app.Flag("storage.remote.read-concurrent-limit", "Remote reads at the same time; 0 is no bound.").Default("10").Int()
	f.readFrame = f.app.Flag("storage.remote.read-max-bytes-in-frame", "Bytes in one frame of a streamed remote read.").Default("1048576").Int()
}

func (f *flags) webFlags() {
	f.duration("web.read-timeout", "How long the reading of a request may take, and a connection be idle; 30s and 5m unless given.", "", &f.readTimeout)
	f.maxConns = f.app.Flag("web.max-connections", "Open connections of each address; further ones wait.").Default("512").Int()
	f.lifecycle = f.app.Flag("web.enable-lifecycle", "Allow POST to /-/reload and /-/quit. SIGHUP reloads in any case.").Bool()
	f.admin = f.app.Flag("web.enable-admin-api", "Allow deleting series and making snapshots by HTTP.").Bool()
	f.writeReceiver = f.app.Flag("web.enable-remote-write-receiver", "Take samples by remote write, at /api/v1/write.").Bool()
	f.otlpReceiver = f.app.Flag("web.enable-otlp-receiver", "Take metrics by OTLP, at /api/v1/otlp/v1/metrics.").Bool()
	f.externalURL = f.app.Flag("web.external-url", "How others reach the collector; for links in alerts. Its path comes before all paths served.").PlaceHolder("URL").String()
	f.routePrefix = f.app.Flag("web.route-prefix", "What comes before all paths served, where a proxy removes the path of the external URL.").PlaceHolder("PATH").String()
	f.origins = f.app.Flag("web.cors.origin", "Which other web origins may read the API: a regular expression for the whole of it. None unless given.").PlaceHolder("REGEX").String()
}

func (f *flags) queryFlags() {
	f.duration("query.timeout", "The longest that a query may take.", "2m", &f.queryTimeout)
	f.queryConcurrency = f.app.Flag("query.max-concurrency", "Queries worked on at the same time; others wait.").Default("20").Int()
	f.querySamples = f.app.Flag("query.max-samples", "Samples that one query may hold in memory.").Default("50000000").Int()
	f.duration("query.lookback-delta", "Age at which a sample is no longer the current one.", "5m", &f.lookback)
	f.duration("rules.alert.for-outage-tolerance", "The longest pause after which pending alerts are taken up again.", "1h", &f.outageTolerance)
	f.duration("rules.alert.for-grace-period", "The least time from such a pause to the alert.", "10m", &f.gracePeriod)
	f.duration("rules.alert.resend-delay", "The least time between two deliveries of one alert.", "1m", &f.resendDelay)
	f.alertQueue = f.app.Flag("alertmanager.notification-queue-capacity", "Notifications waiting for an Alertmanager.").Default("10000").Int()
	f.duration("scrape.discovery-reload-interval", "The least time between two takings over of found targets.", "5s", &f.discoveryInterval).Hidden()
}

// options is what the flags say, checked as far as flags alone allow.
type options struct {
	engine      promstack.Config
	web         serve.Config
	prefix      string        // of all paths served: "" or "/path"
	lifecycle   bool          // reload and quit by HTTP
	reloadEach  time.Duration // how often to look for changed files; 0 is never
	memoryShare float64       // of the memory limit; 0 is to leave it alone
	memoryEach  time.Duration // how often it is looked up; 0 is once
	node        *nodeOptions
	cluster     *cluster // of the built-in configuration; nil on a host
	hostname    string   // of this machine or pod
	pod         string   // whose StatefulSet says which shard this is; "" is none
	namespace   string   // of the pod
	gateway     gatewayOptions
}

// nodeOptions are for the node-agent in this process.
type nodeOptions struct {
	host hostfs.FS
	web  serve.Config
}

func (f *flags) options(log *slog.Logger) (options, error) {
	for _, n := range []struct {
		flag  string
		value *int
		least int
	}{
		{"query.max-concurrency", f.queryConcurrency, 1},
		{"query.max-samples", f.querySamples, 1},
		{"web.max-connections", f.maxConns, 1},
		{"alertmanager.notification-queue-capacity", f.alertQueue, 1},
		{"storage.remote.read-sample-limit", f.readSamples, 0},
		{"storage.remote.read-concurrent-limit", f.readConcurrency, 0},
		{"storage.remote.read-max-bytes-in-frame", f.readFrame, 0},
	} {
		if *n.value < n.least {
			return options{}, fmt.Errorf("--%s %d must be at least %d", n.flag, *n.value, n.least)
		}
	}
	if *f.memoryRatio <= 0 || *f.memoryRatio > 1 {
		return options{}, fmt.Errorf("--auto-gomemlimit.ratio %g must be above 0 and at most 1", *f.memoryRatio)
	}
	o := options{web: f.app.Server(log), lifecycle: *f.lifecycle}
	// An answer may take as long as its query, and then some for sending.
	o.web.WriteTimeout = max(serve.WriteTimeout, time.Duration(f.queryTimeout)+serve.WriteTimeout/2)
	o.web.MaxConns = *f.maxConns
	if f.readTimeout > 0 {
		o.web.ReadTimeout, o.web.IdleTimeout = time.Duration(f.readTimeout), time.Duration(f.readTimeout)
	}
	for _, name := range ignored {
		if f.app.Given(name) {
			log.Warn("A flag of Prometheus has no effect here", "flag", "--"+name)
		}
	}
	if *f.autoReload || namesFeature(*f.features, "auto-reload-config") {
		o.reloadEach = max(time.Second, time.Duration(f.reloadEach))
	}
	if *f.autoMemory {
		o.memoryShare, o.memoryEach = *f.memoryRatio, time.Duration(f.rare.memoryEach)
	}
	if *f.standalone {
		o.node = &nodeOptions{host: f.host, web: f.app.Server(log)}
		o.node.web.Program, o.node.web.Addresses, o.node.web.SystemdSocket = "node-agent", []string{*f.nodeListen}, false
		o.node.web.AddressFlag = "--standalone.node-address"
	}
	if err := f.gateways(&o, log); err != nil {
		return options{}, err
	}
	external, err := externalURL(*f.externalURL, o.web.Addresses)
	if err != nil {
		return options{}, fmt.Errorf("--web.external-url %q: %w", *f.externalURL, err)
	}
	o.prefix = prefix(external.Path)
	if *f.routePrefix != "" {
		o.prefix = prefix(*f.routePrefix)
	}
	if o.engine, err = f.engine(external, log); err != nil {
		return options{}, err
	}
	if err := f.source(&o); err != nil {
		return options{}, err
	}
	return o, nil
}

// source says which configuration runs, and what is added to it.
func (f *flags) source(o *options) (err error) {
	if o.hostname, err = os.Hostname(); err != nil {
		return err
	}
	c, err := f.cluster.options()
	if err != nil {
		return err
	}
	if inCluster() && o.node == nil {
		o.cluster = &c
	}
	text, err := builtIn(*o)
	if err != nil {
		return err
	}
	o.engine.Source = promstack.Source{File: *f.configFile, Text: text, Add: *f.configAdd}
	if o.engine.Source.Labels, err = parseLabels(*f.extraLabels); err != nil {
		return err
	}
	return f.shard.apply(o)
}

// parseLabels reads NAME=VALUE.
func parseLabels(items []string) (map[string]string, error) {
	labels := make(map[string]string)
	for _, item := range items {
		name, value, found := strings.Cut(item, "=")
		if !found || !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, "__") {
			return nil, fmt.Errorf("--external-label %q: want NAME=VALUE", item)
		}
		if _, twice := labels[name]; twice {
			return nil, fmt.Errorf("--external-label %q: the label %s is given twice", item, name)
		}
		labels[name] = value
	}
	return labels, nil
}

// engine is the part of the engine.
func (f *flags) engine(external *url.URL, log *slog.Logger) (promstack.Config, error) {
	retention := f.retention
	if retention == 0 {
		retention = f.oldRetention
	}
	compression := *f.walCompression
	if !*f.walCompress {
		compression = "none"
	}
	c := promstack.Config{
		Storage: promstack.StorageConfig{
			Dir:            *f.dataDir,
			Retention:      time.Duration(retention),
			RetentionBytes: int64(f.retentionSize),
			MinBlock:       time.Duration(f.minBlock),
			MaxBlock:       time.Duration(f.maxBlock),
			WALCompression: compression,
			NoLockFile:     *f.noLock,
		},
		Query: promstack.QueryConfig{
			Timeout:        time.Duration(f.queryTimeout),
			MaxConcurrency: *f.queryConcurrency,
			MaxSamples:     *f.querySamples,
			Lookback:       time.Duration(f.lookback),
		},
		Alerts: promstack.AlertsConfig{
			OutageTolerance: orLeast(f.outageTolerance),
			GracePeriod:     orLeast(f.gracePeriod),
			ResendDelay:     orLeast(f.resendDelay),
			QueueCapacity:   *f.alertQueue,
		},
		Remote: promstack.RemoteConfig{FlushDeadline: orLeast(f.flushDeadline)},
		API: promstack.APIConfig{
			ExternalURL:         external,
			Flags:               f.values(),
			Admin:               *f.admin,
			RemoteWriteReceiver: *f.writeReceiver,
			OTLPReceiver:        *f.otlpReceiver,
			ReadSampleLimit:     cmp.Or(*f.readSamples, math.MaxInt),
			ReadConcurrency:     cmp.Or(*f.readConcurrency, math.MaxInt32),
			ReadFrameBytes:      cmp.Or(*f.readFrame, 1),
		},
		DiscoveryInterval: time.Duration(f.discoveryInterval),
		Log:               log,
	}
	var err error
	if c.Agent, err = f.agentConfig(); err != nil {
		return c, err
	}
	c.API.ListenAddress, _ = localTarget(f.app.Server(log).Addresses)
	if *f.origins != "" {
		if c.API.Origins, err = regexp.Compile("^(?:" + *f.origins + ")$"); err != nil {
			return c, fmt.Errorf("--web.cors.origin: %w", err)
		}
	}
	if err := f.rare.apply(&c, log); err != nil {
		return c, err
	}
	return c, enableFeatures(*f.features, &c, log)
}

// orLeast is a duration for the engine, to which 0 would mean its default and not what it
// means on the command line: no time at all.
func orLeast(d model.Duration) time.Duration { return max(time.Duration(d), 1) }

// values are all flags as text.
func (f *flags) values() map[string]string {
	vs := make(map[string]string)
	for _, flag := range f.app.Model().Flags {
		if !flag.Hidden && flag.Name != "help" && flag.Name != "version" {
			vs[flag.Name] = flag.Value.String()
		}
	}
	return vs
}

// tune applies the runtime section of a configuration.
func (f *flags) tune(g *garbage, log *slog.Logger) func(gcPercent int, logLevel string) {
	return func(gcPercent int, logLevel string) {
		g.tune(gcPercent)
		if err := f.app.SetLevel(logLevel); err != nil {
			log.Warn("The log level stays", "err", err)
		}
	}
}

// externalURL is the URL given, or one made of the host's name and the port of
// the first address.
func externalURL(given string, addresses []string) (*url.URL, error) {
	if given == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		if target, ok := localTarget(addresses); ok {
			_, port, _ := net.SplitHostPort(target)
			host = net.JoinHostPort(host, port)
		}
		return &url.URL{Scheme: "http", Host: host}, nil
	}
	u, err := url.Parse(given)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("want http://host/path or https://host/path")
	}
	u.Path = prefix(u.Path)
	return u, nil
}

// prefix brings a path into the form "/path", the root into "".
func prefix(path string) string {
	if path = strings.Trim(path, "/"); path != "" {
		path = "/" + path
	}
	return path
}
