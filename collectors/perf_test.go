package collectors

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

func TestParsePerfCPUs(t *testing.T) {
	for _, tc := range []struct {
		list string
		want []uint64 // nil: refused
	}{
		{"0", []uint64{0}},
		{"3,1-2,2", []uint64{1, 2, 3}},
		{"1-10:5", []uint64{1, 6}},
		{"", nil}, {"a", nil}, {"2-1", nil}, {"1-", nil}, {"1:2", nil}, {"1-4:0", nil}, {"0-99999999", nil}, {"-1", nil},
	} {
		got, err := parsePerfCPUs(tc.list)
		if !slices.Equal(got, tc.want) || (err == nil) != (tc.want != nil) {
			t.Errorf("%q: %v, %v", tc.list, got, err)
		}
	}
}

func FuzzParsePerfCPUs(f *testing.F) {
	for _, s := range []string{"0", "1-3,7", "1-10:5", "-", ",", "0-65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 100 {
			return
		}
		if cpus, err := parsePerfCPUs(s); err == nil && (len(cpus) == 0 || len(cpus) > maxCPUs || !slices.IsSorted(cpus)) {
			t.Errorf("%q: %d CPUs", s, len(cpus))
		}
	})
}

// Names that mean nothing are refused before anything starts.
func TestPerfConfig(t *testing.T) {
	for _, bad := range []PerfConfig{
		{CPUs: "all"}, {Tracepoints: []string{"sched"}}, {Tracepoints: []string{"../x:y"}}, {Tracepoints: []string{"a_b:c", "a:b_c"}},
		{Hardware: []string{"CpuCycles", "Foo"}}, {Software: []string{"Foo"}}, {Cache: []string{"CpuCycles"}},
	} {
		cfg := on(hostfs.Default)
		cfg.Perf = bad
		if _, err := build(cfg, []string{"perf"}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	cfg := on(hostfs.Default)
	cfg.Perf = PerfConfig{NoHardware: true, NoCache: true, Software: []string{"PageFault", "MinorFault"}}
	if c := make1(t, "perf", cfg).(*perf); len(c.counters) != 2 || c.counters[1].name != "MinorFault" {
		t.Errorf("counters %v", c.counters)
	}
	if _, err := renderErr(make1(t, "perf", on(tree(t, nil)))); !errors.Is(err, ErrNoData) {
		t.Errorf("captured files: %v", err)
	}
}

// The kernel's counters on this host: page faults made here are counted.
func TestPerfLive(t *testing.T) {
	if !hostfs.Default.Live() {
		t.Skip("no procfs or sysfs here")
	}
	cfg := on(hostfs.Default)
	cfg.Perf = PerfConfig{NoHardware: true, NoCache: true}
	c := make1(t, "perf", cfg).(*perf)
	text, err := renderErr(c)
	if errors.Is(err, fs.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := parseCPUList(nil, online)
	if err != nil {
		t.Fatal(err)
	}
	before := values(t, text)
	if len(before) != len(perfSoftware)*len(cpus) {
		t.Errorf("%d samples on %d CPUs", len(before), len(cpus))
	}
	const pages = 500
	b, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	after := values(t, render(t, c))
	faults := 0.0
	for _, cpu := range cpus {
		series := `node_perf_page_faults_total{cpu="` + strconv.FormatUint(cpu, 10) + `"}`
		faults += after[series] - before[series]
	}
	if faults < pages {
		t.Errorf("%v page faults, want at least %d", faults, pages)
	}

	// A descriptor that fails, as when its CPU goes offline, is opened again later.
	unix.Close(c.open[0][0].fd)
	c.open[0][0].fd = -1
	if _, err := renderErr(c); err == nil || !strings.Contains(err.Error(), "node_perf_page_faults_total of CPU") {
		t.Errorf("a descriptor that is closed: %v", err)
	}
	c.last = c.last.Add(-listingRetry)
	if v := values(t, render(t, c)); len(v) != len(before) {
		t.Errorf("%d samples after it was opened again, want %d", len(v), len(before))
	}
}
