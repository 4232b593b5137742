package collectors

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// samples is where the project's shared material has a captured host and what
// node_exporter 1.12 says of it; a clone alone does not have it.
const samples = "../../shared/samples/node"

// metricOwners is the table of metrics and their collectors beside it.
const metricOwners = "../../shared/reference/node-metrics.tsv"

// notCompared are the families whose values are of the moment or of the host that
// the sample was made on. Each key is a regular expression for the whole name.
var notCompared = map[string]string{
	"node_textfile_mtime_seconds": "when the sample was unpacked",
	"node_time_.*":                "the clock of the host that runs it",
	"node_network_(receive|transmit)_(bytes|packets)_total": "node_exporter read them from the live kernel",
	"(go|process|promhttp)_.*":                              "of the program",
	"node_scrape_collector_.*":                              "of the run",
}

// corrected are the series that node_exporter has wrong, and what they are here.
// docs/compat.md has the reasons.
var corrected = map[string]float64{
	`node_bcache_btree_read_average_duration_seconds{uuid="deaddd54-c735-46d5-868e-f331c5fd7c74"}`: 0.001305,
	`node_drbd_network_received_bytes_total{device="drbd1"}`:                                       10961011 * 1024,
	`node_nvme_namespace_capacity_bytes{device="nvme0",nsid="1"}`:                                  3906250000 * 512,
	`node_nvme_namespace_size_bytes{device="nvme0",nsid="1"}`:                                      3906250000 * 512,
}

// TestSample: a captured host, read with the sample's flags, gives what
// node_exporter gave, for every collector that there is.
func TestSample(t *testing.T) {
	dir := unpackSample(t)
	owners := readOwners(t)
	flags := readSampleFlags(t, filepath.Join(dir, "flags.txt"))
	expected, err := os.ReadFile(filepath.Join(dir, "expected.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// Labels of node_rapl_* hold the path of sysfs, which node_exporter saw elsewhere.
	expected = bytes.ReplaceAll(expected, []byte(`path="collector/fixtures/sys/`), []byte(`path="sys/`))
	t.Chdir(filepath.Join(dir, "host")) // the flags name folders below it

	var names []string
	for _, r := range table {
		if enabled, given := flags.on[r.name]; enabled || !given && r.on {
			names = append(names, r.name)
		}
	}
	set, err := NewSet(flags.config(), names, expo.Labels{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := set.Scrape(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Release()
	var text []byte
	for b := range res.Segments {
		text = append(text, b...)
	}

	want, got := readFamilies(t, expected), readFamilies(t, text)
	for _, n := range names {
		if got["node_scrape_collector_success"].series[`collector="`+n+`"`] != 1 {
			t.Errorf("collector %s failed", n)
		}
	}
	compared := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !slices.ContainsFunc(owners(name), func(o string) bool { return slices.Contains(names, o) }) || among(notCompared, name) {
			continue
		}
		compared++
		compareFamily(t, name, want[name], got[name])
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, expected := want[name]; !expected && !among(notCompared, name) {
			t.Errorf("%s is more than node_exporter shows of this host", name)
		}
	}
	if t.Logf("%d families of %d collectors compared", compared, len(names)); compared < 5*len(names) {
		t.Error("too few to be true")
	}
}

// TestSampleTextfiles: folders of text files, each with what node_exporter says of it.
func TestSampleTextfiles(t *testing.T) {
	dir := filepath.Join(unpackSample(t), "host", "textfile")
	outs, err := filepath.Glob(filepath.Join(dir, "*.out"))
	if err != nil || len(outs) < 10 {
		t.Fatalf("%d expected outputs, %v", len(outs), err)
	}
	for _, out := range outs {
		name := strings.TrimSuffix(filepath.Base(out), ".out")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			cfg := DefaultConfig()
			cfg.Textfile.Directories = []string{filepath.Join(dir, strings.Replace(name, "glob_", "*_", 1))}
			want, got := readFamilies(t, b), readFamilies(t, []byte(render(t, make1(t, "textfile", cfg))))
			if len(got) != len(want) {
				t.Errorf("%d families, want %d", len(got), len(want))
			}
			for name := range want {
				if !among(notCompared, name) {
					compareFamily(t, name, want[name], got[name])
				}
			}
		})
	}
}

func among(patterns map[string]string, name string) bool {
	for p := range patterns {
		if regexp.MustCompile("^(?:" + p + ")$").MatchString(name) {
			return true
		}
	}
	return false
}

func compareFamily(t *testing.T, name string, want, got sampleFamily) {
	t.Helper()
	if got.series == nil {
		t.Errorf("%s is missing", name)
		return
	}
	if got.kind != want.kind {
		t.Errorf("%s is a %s, want a %s", name, got.kind, want.kind)
	}
	for _, labels := range slices.Sorted(maps.Keys(want.series)) {
		if v, ok := corrected[name+"{"+labels+"}"]; ok {
			want.series[labels] = v
		}
		if v, ok := got.series[labels]; !ok {
			t.Errorf("%s{%s} is missing", name, labels)
		} else if w := want.series[labels]; v != w && !(v != v && w != w) {
			t.Errorf("%s{%s} is %v, want %v", name, labels, v, w)
		}
	}
	for _, labels := range slices.Sorted(maps.Keys(got.series)) {
		if _, ok := want.series[labels]; !ok {
			t.Errorf("%s{%s} is not in the sample", name, labels)
		}
	}
}

// sampleFlags are the settings that the sample was made with.
type sampleFlags struct {
	on    map[string]bool // --[no-]collector.NAME
	value map[string]string
	all   map[string][]string // of flags that may be given several times
}

func readSampleFlags(t *testing.T, path string) sampleFlags {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := sampleFlags{make(map[string]bool), make(map[string]string), make(map[string][]string)}
	for _, flag := range strings.Fields(string(b)) {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		off, isOff := strings.CutPrefix(name, "no-collector.")
		switch bare := strings.TrimPrefix(name, "collector."); {
		case isOff:
			f.on[off] = false
		case hasValue:
			f.value[name] = value
			f.all[name] = append(f.all[name], value)
		case strings.Contains(bare, "."):
			f.value[name] = "true"
		default:
			f.on[bare] = true
		}
	}
	return f
}

// config is those of the flags that concern the collectors here.
func (f sampleFlags) config() Config {
	cfg := DefaultConfig()
	cfg.FS = hostfs.FS{Proc: f.value["path.procfs"], Sys: f.value["path.sysfs"], Root: f.value["path.rootfs"], Udev: f.value["path.udev.data"]}
	cfg.ARP.DeviceExclude = f.value["collector.arp.device-exclude"]
	if on, given := f.on["arp.netlink"]; given {
		cfg.ARP.Netlink = on
	}
	cfg.Bcache.PriorityStats = f.value["collector.bcache.priorityStats"] == "true"
	cfg.CPU.Info = f.value["collector.cpu.info"] == "true"
	cfg.CPU.BugsInclude = f.value["collector.cpu.info.bugs-include"]
	cfg.CPU.FlagsInclude = f.value["collector.cpu.info.flags-include"]
	cfg.Hwmon.ChipInclude = f.value["collector.hwmon.chip-include"]
	cfg.Netclass.IgnoreInvalidSpeed = f.value["collector.netclass.ignore-invalid-speed"] == "true"
	cfg.Netclass.IgnoredDevices = f.value["collector.netclass.ignored-devices"]
	cfg.Netdev.DeviceInclude = f.value["collector.netdev.device-include"]
	cfg.Qdisc.DeviceInclude = f.value["collector.qdisc.device-include"]
	cfg.Qdisc.Fixtures = f.value["collector.qdisc.fixtures"]
	cfg.Stat.Softirq = f.value["collector.stat.softirq"] == "true"
	cfg.Sysctl.Include = f.all["collector.sysctl.include"]
	cfg.Sysctl.IncludeInfo = f.all["collector.sysctl.include-info"]
	cfg.Sysctl.Include = f.all["collector.sysctl.include"]
	cfg.Sysctl.IncludeInfo = f.all["collector.sysctl.include-info"]
	cfg.Textfile.Directories = []string{f.value["collector.textfile.directory"]}
	cfg.Wifi.Fixtures = f.value["collector.wifi.fixtures"]
	return cfg
}

// readOwners tells which collectors have a metric. A * in the table's names stands
// for anything; a metric without the prefix node_ came from a text file.
func readOwners(t *testing.T) func(name string) []string {
	t.Helper()
	f, err := os.Open(metricOwners)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	exact := make(map[string][]string)
	patterns := make(map[*regexp.Regexp]string)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 4 {
			continue
		}
		name, owner := fields[0], fields[3]
		exact[name] = append(exact[name], owner)
		if strings.Contains(name, "*") {
			patterns[regexp.MustCompile("^"+strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, ".*")+"$")] = owner
		}
	}
	if len(exact) < 500 {
		t.Fatalf("only %d metrics in %s", len(exact), metricOwners)
	}
	return func(name string) (owners []string) {
		if o := exact[name]; o != nil {
			return o
		}
		if !strings.HasPrefix(name, "node_") {
			return []string{"textfile"}
		}
		for p, o := range patterns {
			if p.MatchString(name) {
				owners = append(owners, o)
			}
		}
		return owners
	}
}

// sampleFamily is a family with its series, by their sorted labels; before them
// stands what a histogram or summary has behind its name, such as _sum.
type sampleFamily struct {
	kind   string
	series map[string]float64
}

func readFamilies(t *testing.T, text []byte) map[string]sampleFamily {
	t.Helper()
	families := make(map[string]sampleFamily)
	family := ""
	sc := expo.NewScanner(text)
	for sc.Next() {
		switch l := sc.Line(); l.Kind {
		case expo.TypeLine:
			family = string(l.Name)
			if _, twice := families[family]; twice {
				t.Errorf("%s has two headers", family)
			}
			families[family] = sampleFamily{string(l.Value), make(map[string]float64)}
		case expo.Sample:
			var labels []string
			for k, v := range l.Pairs {
				labels = append(labels, string(k)+`="`+string(v)+`"`)
			}
			slices.Sort(labels)
			v, err := l.Float()
			if err != nil {
				t.Fatal(err)
			}
			suffix, ok := strings.CutPrefix(string(l.Name), family)
			series := families[family].series
			if !ok || series == nil {
				t.Fatalf("%s is not behind its TYPE line", l.Raw)
			}
			key := suffix + strings.Join(labels, ",")
			if _, twice := series[key]; twice {
				t.Errorf("%s{%s} is there twice", l.Name, key)
			}
			series[key] = v
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return families
}

// unpackSample is a folder with the sample's files and, in host, the captured host.
func unpackSample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"host.tar.gz", "flags.txt", "expected.txt"} {
		b, err := os.ReadFile(filepath.Join(samples, name))
		if errors.Is(err, os.ErrNotExist) {
			t.Skipf("no %s beside this clone", samples)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name == "host.tar.gz" {
			untar(t, bytes.NewReader(b), filepath.Join(dir, "host"))
		} else {
			write(t, filepath.Join(dir, name), string(b), false)
		}
	}
	return dir
}

// untar unpacks an archive into dir, and nothing outside of it.
func untar(t *testing.T, archive io.Reader, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	z, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	for entries := tar.NewReader(z); ; {
		h, err := entries.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Clean(h.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		case tar.TypeReg:
			var f *os.File
			if f, err = root.Create(name); err == nil {
				_, err = io.Copy(f, entries)
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
