package main

import (
	"strings"
	"testing"
	"time"
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
