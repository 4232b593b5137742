package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"
)

// What operators pass to Prometheus in their manifests.
func TestPrometheusFlags(t *testing.T) {
	o, err := parse(t,
		"--storage.tsdb.path=/prometheus", "--storage.tsdb.retention=24h", "--storage.tsdb.retention.size=512MB",
		"--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h", "--no-storage.tsdb.wal-compression",
		"--web.console.templates=/c", "--web.console.libraries=/l", "--web.enable-lifecycle", "--web.enable-admin-api",
		"--web.external-url=https://metrics.example/prom", "--web.cors.origin=https?://a", "--query.timeout=5m",
		"--query.lookback-delta=3m", "--query.max-samples=7", "--enable-feature=exemplar-storage,native-histograms", "--enable-feature=zstd-scrape",
		"--storage.remote.flush-deadline=3s", "--rules.alert.resend-delay=2m")
	if err != nil {
		t.Fatal(err)
	}
	e := o.engine
	for name, c := range map[string]struct{ got, want any }{
		"dir":         {e.Storage.Dir, "/prometheus"},
		"retention":   {e.Storage.Retention, 24 * time.Hour},
		"size":        {e.Storage.RetentionBytes, int64(512 << 20)},
		"max block":   {e.Storage.MaxBlock, 2 * time.Hour},
		"compression": {e.Storage.WALCompression, "none"},
		"exemplars":   {e.Storage.Exemplars, true},
		"lifecycle":   {o.lifecycle, true},
		"admin":       {e.API.Admin, true},
		"external":    {e.API.ExternalURL.String(), "https://metrics.example/prom"},
		"prefix":      {o.prefix, "/prom"},
		"origin":      {e.API.Origins.MatchString("http://a") && !e.API.Origins.MatchString("http://ab"), true},
		"timeout":     {e.Query.Timeout, 5 * time.Minute},
		"answer":      {o.web.WriteTimeout > 5*time.Minute, true},
		"lookback":    {e.Query.Lookback, 3 * time.Minute},
		"samples":     {e.Query.MaxSamples, 7},
		"flush":       {e.Remote.FlushDeadline, 3 * time.Second},
		"resend":      {e.Alerts.ResendDelay, 2 * time.Minute},
		"shown":       {e.API.Flags["storage.tsdb.path"], "/prometheus"},
		"node":        {o.node == nil, true},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

func TestFlagsFromEnvironment(t *testing.T) {
	t.Setenv("COLLECTOR_STORAGE_TSDB_PATH", "/elsewhere")
	o, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.engine.Storage.Dir; got != "/elsewhere" {
		t.Errorf("got %s", got)
	}
}

func TestWrongFlags(t *testing.T) {
	for arg, want := range map[string]string{
		"--no-such-flag":                        "unknown long flag '--no-such-flag'",
		"--query.timeout=soon":                  `not a valid duration string: "soon"`,
		"--query.max-concurrency=0":             "--query.max-concurrency 0 must be at least 1",
		"--auto-gomemlimit.ratio=2":             "--auto-gomemlimit.ratio 2 must be above 0 and at most 1",
		"--web.external-url=host":               `--web.external-url "host": want http://host/path or https://host/path`,
		"--web.cors.origin=(":                   "--web.cors.origin: error parsing regexp",
		"--enable-feature=telepathy":            `--enable-feature "telepathy" is unknown; there are exemplar-storage,`,
		"--web.config.file=/no/such/file":       "--web.config.file /no/such/file: open /no/such/file: no such file or directory",
		"--agent":                               "--agent needs --config.file",
		"--storage.agent.path=a":                "--storage.agent.path needs --agent",
		"--storage.agent.wal-segment-size=1MB":  "--storage.agent.wal-segment-size needs --agent",
		"--storage.tsdb.wal-compression-type=x": "enum value must be one of snappy,zstd, got 'x'",
	} {
		if _, err := parse(t, arg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", arg, err, want)
		}
	}
}

func TestAgentFlags(t *testing.T) {
	o, err := parse(t, "--agent", "--config.file=x", "--storage.agent.path=/a", "--storage.agent.retention.max-time=1d", "--no-storage.agent.wal-compression", "--storage.remote.flush-deadline=1s")
	if err != nil {
		t.Fatal(err)
	}
	if a := o.engine.Agent; !a.Enabled || a.Dir != "/a" || a.MaxAge != 24*time.Hour || a.MinAge != 5*time.Minute || a.WALCompression != "none" {
		t.Errorf("%+v", a)
	}
	for _, wrong := range []string{"--storage.tsdb.path=a", "--query.timeout=1s", "--rules.alert.resend-delay=1s", "--alertmanager.notification-queue-capacity=7", "--storage.remote.read-sample-limit=1"} {
		name, _, _ := strings.Cut(wrong, "=")
		if _, err := parse(t, "--agent", "--config.file=x", wrong); err == nil || !strings.HasPrefix(err.Error(), name+" does not go with --agent") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	if _, err := parse(t, "--agent", "--config.file=x", "--storage.agent.wal-segment-size=1MB"); err == nil {
		t.Error("a segment of 1 MB is taken")
	}
}

// peerFlag is a line of testdata/prometheus-flags.txt.
type peerFlag struct{ name, value, reason string }

func peerFlags(t *testing.T) (all []peerFlag) {
	t.Helper()
	text, err := os.ReadFile("testdata/prometheus-flags.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		rest, reason, _ := strings.Cut(strings.TrimSpace(line), " ! ")
		name, value, _ := strings.Cut(rest, " ")
		if value == "-" || value == "false" { // which a switch is without a default
			value = ""
		}
		all = append(all, peerFlag{name, value, reason})
	}
	return all
}

// Every flag of Prometheus is taken, with its default, or the table has the reason.
func TestEveryFlagOfPrometheus(t *testing.T) {
	known := make(map[string]*kingpin.FlagModel)
	for _, f := range newFlags().app.Model().Flags {
		known[f.Name] = f
	}
	all := peerFlags(t)
	if len(all) < 70 {
		t.Fatalf("%d flags alone", len(all))
	}
	for _, p := range all {
		f := known[p.name]
		if f == nil {
			t.Errorf("--%s is not known", p.name)
			continue
		}
		if same := strings.Join(f.Default, ",") == p.value; same != (p.reason == "") {
			t.Errorf("--%s: default %q, there %q; reason %q", p.name, f.Default, p.value, p.reason)
		}
	}
}

// Every flag of Prometheus changes something of what the program is told to do, but for
// those that are known to change nothing.
func TestEveryFlagHasAnEffect(t *testing.T) {
	file := write(t, "file", "")
	values := map[string]string{ // where another value than the default cannot be made of that
		"config.file": file, "web.listen-address": "127.0.0.1:1", "web.config.file": write(t, "web.yml", "{}\n"), "web.external-url": "http://x/y",
		"web.route-prefix": "/x", "web.cors.origin": "x", "web.remote-write-receiver.accepted-protobuf-messages": "prometheus.WriteRequest",
		"storage.tsdb.path": "x", "storage.tsdb.wal-compression-type": "zstd", "storage.tsdb.delay-compact-file.path": "x",
		"storage.tsdb.max-block-duration": "1d", "storage.tsdb.max-block-chunk-segment-size": "2MB", "storage.tsdb.wal-segment-size": "20MB",
		"storage.tsdb.retention.time": "3d", "storage.tsdb.retention.size": "1GB", "storage.tsdb.delayed-compaction.max-percent": "7",
		"storage.agent.path": "x", "storage.agent.wal-segment-size": "20MB", "storage.agent.wal-compression-type": "zstd",
		"auto-gomemlimit.ratio": "0.5", "enable-feature": "exemplar-storage",
	}
	nothing := []string{
		"web.user-assets", "web.console.templates", "web.console.libraries", "web.page-title", // Prometheus' pages
		"auto-gomaxprocs",         // the runtime does it
		"log.level", "log.format", // for package cli
		"config.auto-reload-interval", "agent", // with another flag, below
	}
	told := func(args ...string) string {
		t.Helper()
		o, err := parse(t, args...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		o.engine.API.Flags = nil // has all of them
		text := fmt.Sprintf("%+v %v %v", o, o.engine.API.ExternalURL, o.engine.API.Origins)
		return regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(text, "") // addresses
	}
	agent := []string{"--agent", "--config.file=" + file}
	if first, again := told(agent...), told(agent...); first != again || first == told(agent[1:]...) {
		t.Fatal("the same flags are not told the same way, or others are")
	}
	for _, p := range peerFlags(t) {
		if slices.Contains(nothing, p.name) {
			continue
		}
		var base []string
		if strings.HasPrefix(p.name, "storage.agent.") {
			base = agent
		}
		without := told(base...)
		arg := "--" + p.name
		switch d, err := model.ParseDuration(p.value); {
		case values[p.name] != "":
			arg += "=" + values[p.name]
		case p.value == "true":
			arg = "--no-" + p.name
		case p.value == "" && newFlags().app.GetFlag(p.name).Model().IsBoolFlag():
		case p.value == "":
			arg += "=7m"
		case err == nil && p.value != "0":
			arg += "=" + (d + model.Duration(time.Minute)).String()
		default:
			n, err := strconv.ParseFloat(p.value, 64)
			if err != nil {
				t.Fatalf("what else than %q is for --%s?", p.value, p.name)
			}
			arg += fmt.Sprintf("=%.0f", n+1)
		}
		if told(append(base, arg)...) == without {
			t.Errorf("%s changes nothing", arg)
		}
	}
	if told("--config.auto-reload") == told("--config.auto-reload", "--config.auto-reload-interval=7s") {
		t.Error("--config.auto-reload-interval changes nothing")
	}
}

// Where 0 has a meaning it is not taken for a flag that was not given: the engine's
// configuration has 0 for its defaults.
func TestZeroIsNoDefault(t *testing.T) {
	o, err := parse(t, "--rules.alert.for-outage-tolerance=0s", "--rules.alert.for-grace-period=0s", "--rules.alert.resend-delay=0s", "--storage.remote.flush-deadline=0s",
		"--storage.remote.read-sample-limit=0", "--storage.remote.read-concurrent-limit=0", "--storage.remote.read-max-bytes-in-frame=0")
	if err != nil {
		t.Fatal(err)
	}
	a := o.engine.Alerts
	for name, d := range map[string]time.Duration{"tolerance": a.OutageTolerance, "grace": a.GracePeriod, "resend": a.ResendDelay, "flush": o.engine.Remote.FlushDeadline} {
		if d <= 0 || d > time.Microsecond {
			t.Errorf("%s: %s", name, d)
		}
	}
	if r := o.engine.API; r.ReadSampleLimit < 1<<40 || r.ReadConcurrency < 1<<30 || r.ReadFrameBytes != 1 {
		t.Errorf("%d samples, %d reads, %d bytes", r.ReadSampleLimit, r.ReadConcurrency, r.ReadFrameBytes)
	}
	if _, err := parse(t, "--storage.remote.read-concurrent-limit=-1"); err == nil {
		t.Error("-1 reads at a time are taken")
	}
}

// The table has all flags that the real program has; those that it hides it tells nobody.
func TestFlagTableIsWhole(t *testing.T) {
	prometheus := os.Getenv("WATCHPOST_PROMETHEUS")
	if prometheus == "" {
		t.Skip("WATCHPOST_PROMETHEUS names no program")
	}
	help, err := exec.Command(prometheus, "--help-long").Output()
	if err != nil {
		t.Fatal(err)
	}
	table := make(map[string]bool)
	for _, p := range peerFlags(t) {
		table[p.name] = true
	}
	found := 0
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-h, )?--(?:\[no-\])?([a-z.-]+[a-z])(?:[= \n]|$)`).FindAllStringSubmatch(string(help), -1) {
		if name := m[1]; name != "help" && name != "help-long" && name != "version" {
			found++
			if !table[name] {
				t.Errorf("--%s is not in the table", name)
			}
		}
	}
	if found < 50 {
		t.Errorf("%d flags in the help alone", found)
	}
}

// What the rare flags say arrives.
func TestRareFlags(t *testing.T) {
	o, err := parse(t, "--storage.tsdb.wal-segment-size=20MB", "--storage.tsdb.max-block-chunk-segment-size=2MB", "--storage.tsdb.head-chunks-write-queue-size=7",
		"--storage.tsdb.samples-per-chunk=60", "--no-storage.tsdb.allow-overlapping-compaction", "--storage.tsdb.delay-compact-file.path=/x.json",
		"--storage.tsdb.block-reload-interval=9s", "--storage.tsdb.delayed-compaction.max-percent=500", "--web.max-notifications-subscribers=3",
		"--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest", "--web.search.max-limit=5", "--rules.max-concurrent-evals=9",
		"--no-scrape.adjust-timestamps", "--alertmanager.notification-batch-size=8", "--no-alertmanager.drain-notification-queue-on-shutdown",
		"--auto-gomemlimit.refresh-interval=1m",
		"--enable-feature=concurrent-rule-eval,delayed-compaction,histograms-st-encoding,otlp-deltatocumulative,promql-delayed-name-removal",
		"--enable-feature=promql-per-step-stats,search-api,use-uncached-io,xor2-encoding,auto-reload-config")
	if err != nil {
		t.Fatal(err)
	}
	s, a := o.engine.Storage, o.engine.API
	for name, c := range map[string]struct{ got, want any }{
		"wal":       {s.SegmentBytes, 20 << 20},
		"chunks":    {s.ChunkFileBytes, int64(2 << 20)},
		"queue":     {s.WriteQueue, 7},
		"samples":   {s.SamplesPerChunk, 60},
		"overlaps":  {s.KeepOverlaps, true},
		"uploaded":  {s.UploadedFile, "/x.json"},
		"look":      {s.LookEach, 9 * time.Second},
		"percent":   {s.DelayPercent, 10},
		"features":  {s.Delayed && s.HistogramStart && s.UncachedIO && s.XOR2, true},
		"readers":   {a.NoteReaders, 3},
		"messages":  {strings.Join(a.WriteMessages, " "), "prometheus.WriteRequest"},
		"search":    {a.Search, true},
		"limit":     {a.SearchLimit, 5},
		"otlp":      {a.OTLPToCumulative, true},
		"rules":     {o.engine.Alerts.MaxConcurrentRules, int64(9)},
		"at once":   {o.engine.Alerts.ConcurrentRules, true},
		"batch":     {o.engine.Alerts.BatchSize, 8},
		"drop":      {o.engine.Alerts.DropAtStop, true},
		"tolerance": {o.engine.ScrapeTolerance, time.Duration(0)},
		"names":     {o.engine.Query.DelayedNameRemoval && o.engine.Query.PerStepStats, true},
		"memory":    {o.memoryEach, time.Minute},
		"reload":    {o.reloadEach, 30 * time.Second},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	for _, wrong := range [][]string{
		{"--storage.tsdb.wal-segment-size=1MB"}, {"--storage.tsdb.max-block-chunk-segment-size=1KB"}, {"--storage.tsdb.samples-per-chunk=0"},
		{"--storage.tsdb.head-chunks-write-queue-size=-1"}, {"--web.max-notifications-subscribers=0"}, {"--web.search.max-limit=-1"},
		{"--rules.max-concurrent-evals=0"}, {"--scrape.timestamp-tolerance=-1s"}, {"--alertmanager.notification-batch-size=0"},
		{"--web.remote-write-receiver.accepted-protobuf-messages=x"}, {"--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion"},
	} {
		if _, err := parse(t, wrong...); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}
