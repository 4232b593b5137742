package main

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"watchpost/internal/nodeagent"
	"watchpost/internal/testkit"
)

var silent = slog.New(slog.DiscardHandler)

// agentOf makes the agent that a command line asks for.
func agentOf(t *testing.T, args ...string) *nodeagent.Agent {
	t.Helper()
	f := newFlags()
	if _, err := f.app.Parse(args); err != nil {
		t.Fatal(err)
	}
	cfg, err := f.config(silent)
	if err != nil {
		t.Fatal(err)
	}
	a, err := nodeagent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// hostFlags make the agent read an unpacked tree instead of this host, with
// every option on that adds series.
func hostFlags(dir string) []string {
	return append([]string{
		"--path.procfs=" + dir + "/proc", "--path.sysfs=" + dir + "/sys", "--path.rootfs=" + dir, "--path.udev.data=" + dir + "/udev",
		"--collector.textfile.directory=" + dir + "/textfile", "--collector.textfile.file-metrics", "--collector.cpu.info", "--collector.cpu.info.flags-include=avx",
		"--collector.cpu.info.bugs-include=.", "--collector.stat.softirq", "--web.disable-exporter-metrics",
		"--collector.cpu_vulnerabilities", "--collector.drm", "--collector.pcidevice", "--collector.pcidevice.names",
	}, slices.Concat(networkHostFlags(dir), storageHostFlags(), systemHostFlags())...)
}

// volatile are the values that differ from run to run: clocks, this kernel's
// name, this build, the file system that the tree was unpacked on.
var volatile = regexp.MustCompile(`(?m)^((?:node_scrape_collector_duration_seconds|node_time_seconds|node_time_zone_offset_seconds|node_textfile_(?:mtime|file_age)_seconds|node_filesystem_(?:avail|free|size|purgeable)_bytes|node_filesystem_files(?:_free)?)(?:\{.*\})?|node_exporter_build_info).*$`)

// TestGolden is everything that the program says of a known host.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("../../collectors/testdata/*.txt")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	dir := testkit.Unpack(t, archives...)
	w := httptest.NewRecorder()
	agentOf(t, hostFlags(dir)...).Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	text := volatile.ReplaceAll(w.Body.Bytes(), []byte("$1 0"))
	text = bytes.ReplaceAll(text, []byte(dir), []byte("DIR"))
	testkit.Golden(t, filepath.Join("testdata", "metrics.txt"), text)
}

// TestFlagsOfNodeExporter: each flag of node_exporter that is the program's own
// or of a collector that is here, with the same default.
func TestFlagsOfNodeExporter(t *testing.T) {
	const table = "../../../shared/reference/node-flags.tsv"
	text, err := os.ReadFile(table)
	if err != nil {
		t.Skipf("%s is not here: nothing to compare with", table)
	}
	f := newFlags()
	have := make(map[string]string)
	for _, m := range f.app.Model().Flags {
		have[m.Name] = strings.Join(m.Default, ",")
	}
	compared := 0
	for line := range strings.Lines(string(text)) {
		cols := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(cols) < 4 || !strings.HasPrefix(cols[0], "--") {
			continue
		}
		name := strings.TrimPrefix(strings.Replace(cols[0], "[no-]", "", 1), "--")
		ours := slices.ContainsFunc(f.switches, func(s *collectorSwitch) bool { return s.name == cols[2] })
		if cols[2] != "global" && !ours {
			continue
		}
		compared++
		got, ok := have[name]
		if !ok {
			t.Errorf("--%s is missing", name)
			continue
		}
		if got != cols[1] && (got != "" || cols[1] != "false") && (cols[1] != "" || got != "false") {
			t.Errorf("--%s: default %q, want %q", name, got, cols[1])
		}
	}
	if compared < 30 {
		t.Errorf("only %d flags compared", compared)
	}
}

func TestCollectorSwitches(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--collector.disable-defaults"}, ""},
		{[]string{"--collector.disable-defaults", "--collector.loadavg", "--no-collector.stat"}, "loadavg"},
		{[]string{"--collector.uname", "--collector.loadavg", "--collector.disable-defaults"}, "loadavg,uname"},
	} {
		f := newFlags()
		if _, err := f.app.Parse(tc.args); err != nil {
			t.Fatal(err)
		}
		cfg, err := f.config(silent)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(cfg.Enabled, ","); got != tc.want {
			t.Errorf("%q: %s, want %s", tc.args, got, tc.want)
		}
	}
	f := newFlags()
	if _, err := f.app.Parse([]string{"--no-collector.loadavg"}); err != nil {
		t.Fatal(err)
	}
	cfg, err := f.config(silent)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(cfg.Enabled, "loadavg") || len(cfg.Enabled) != len(nodeagent.DefaultEnabled())-1 {
		t.Errorf("enabled: %q", cfg.Enabled)
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--nonsense"}, {"--log.level=loud"}, {"--web.max-requests=-1"}, {"--collector.timeout=0s"}, {"--runtime.gomaxprocs=0"},
		{"--web.telemetry-path=metrics"}, {"--external-label=a"}, {"--external-label=a-b=c"}, {"--collector.vmstat.fields=("},
		{"--collector.diskstats.device-include=a", "--collector.diskstats.device-exclude=b"},
		{"--collector.diskstats.ignored-devices=a", "--collector.diskstats.device-exclude=b"},
	} {
		f := newFlags()
		_, err := f.app.Parse(args)
		if err == nil {
			var cfg nodeagent.Config
			if cfg, err = f.config(silent); err == nil {
				_, err = nodeagent.New(cfg)
			}
		}
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one line", args, err)
		}
	}
}
