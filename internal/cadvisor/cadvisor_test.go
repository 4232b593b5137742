package cadvisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/google/cadvisor/lib/model"
	"github.com/opencontainers/cgroups"
	"github.com/prometheus/common/expfmt"
	commonmodel "github.com/prometheus/common/model"

	"watchpost/internal/expo"
)

var silent = slog.New(slog.DiscardHandler)

// host reads the cgroups of this machine; it skips where there are none.
func host(t testing.TB, change func(*Config)) *Host {
	t.Helper()
	cfg := Config{Log: silent}
	if change != nil {
		change(&cfg)
	}
	if mounts, err := libcontainer.GetCgroupSubsystems(nil); err != nil || len(mounts) == 0 {
		t.Skipf("no cgroups are mounted here: %v", err)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// textOf is what a host says.
func textOf(t testing.TB, h *Host) string {
	t.Helper()
	answer, err := h.Get(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	text, err := io.ReadAll(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The cgroups of this machine, as they are: the text is read by client_golang's parser,
// has the root and what else there is, and says the same twice.
func TestThisHost(t *testing.T) {
	h := host(t, nil)
	text := textOf(t, h)
	parser := expfmt.NewTextParser(commonmodel.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, name := range []string{"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_processes", "container_last_seen",
		"container_start_time_seconds", "container_spec_memory_limit_bytes", "machine_memory_bytes", "machine_cpu_cores", "cadvisor_version_info"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	if got := families["container_scrape_error"].GetMetric()[0].GetGauge().GetValue(); got != 0 {
		t.Errorf("container_scrape_error %g", got)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			continue
		}
		series, _, _ := strings.Cut(line, "} ")
		if seen[series] {
			t.Errorf("twice: %s", line)
		}
		seen[series] = true
	}
	if !strings.Contains(text, `container_memory_usage_bytes{container="",id="/",image="",name="",namespace="",pod=""} `) {
		t.Error("no root")
	}
	entries, err := os.ReadDir(h.mounts[slices.Sorted(mapsKeys(h.mounts))[0]])
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasSuffix(e.Name(), ".mount") && !strings.Contains(text, `id="/`+e.Name()+`"`) {
			t.Errorf("nothing of /%s", e.Name())
		}
	}
	if again := textOf(t, h); strings.Count(again, "\n") != strings.Count(text, "\n") {
		t.Errorf("%d lines, then %d", strings.Count(text, "\n"), strings.Count(again, "\n"))
	}
}

func mapsKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Many ask while it reads; none sees half of something. For the race detector.
func TestRun(t *testing.T) {
	h := host(t, func(c *Config) { c.Interval = time.Second })
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { h.Run(ctx) })
	for range 4 {
		all.Go(func() {
			for range 20 {
				if text := textOf(t, h); !strings.Contains(text, "machine_scrape_error 0\n") || !strings.HasSuffix(text, "\n") {
					t.Errorf("%q", text)
				}
				var w expo.Writer
				h.WriteOwn(&w)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	<-h.first
	stop()
	all.Wait()
	var w expo.Writer
	h.WriteOwn(&w)
	if !strings.Contains(string(w.Bytes()), `watchpost_proxy_cadvisor_cgroups{runtime="none"} `) {
		t.Errorf("%s", w.Bytes())
	}
}

// A cgroup that cannot be read, one whose reading panics, and one that hangs cost
// themselves; the error is shown and counted.
func TestBadCgroup(t *testing.T) {
	h := host(t, nil)
	h.readAll(t.Context(), false)
	lines := strings.Count(textOf(t, h), "\n")
	bad := func(name string, m cgroups.Manager) *cgroup {
		g := &cgroup{name: name, manager: m, paths: map[string]string{"cpu": t.TempDir()}}
		h.groups[name] = g
		return g
	}
	for _, c := range []struct {
		name string
		m    cgroups.Manager
		want string
	}{
		{"/broken", broken{err: errors.New("input/output error")}, "input/output error"},
		{"/odd", broken{panics: true}, "panicked"},
	} {
		g := bad(c.name, c.m)
		if err := h.readOne(t.Context(), c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if g.view.Load() != nil {
			t.Errorf("%s: there is a view", c.name)
		}
	}
	free := make(chan struct{})
	stuck := bad("/stuck", broken{err: errors.New("at last"), hangs: free})
	h.patience = 10 * time.Millisecond
	for _, want := range []string{"takes longer than 10ms", "not come to an end"} {
		if err := h.readOne(t.Context(), "/stuck"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	close(free)
	for stuck.busy.Load() {
		time.Sleep(time.Millisecond)
	}
	h.patience = readTimeout
	if err := h.readOne(t.Context(), "/stuck"); err == nil || !strings.Contains(err.Error(), "at last") {
		t.Error(err)
	}
	h.publish(true)
	text := textOf(t, h)
	if strings.Count(text, "\n") != lines || !strings.Contains(text, "container_scrape_error 1\n") {
		t.Errorf("%d lines, want %d, and the error:\n%s", strings.Count(text, "\n"), lines, text)
	}
}

// broken is a cgroup's manager that fails.
type broken struct {
	cgroups.Manager
	err    error
	panics bool
	hangs  chan struct{}
}

func (b broken) GetStats() (*cgroups.Stats, error) {
	if b.hangs != nil {
		<-b.hangs
	}
	if b.panics {
		panic("a controller without a name")
	}
	return nil, b.err
}

func (broken) Path(string) string          { return "" }
func (broken) GetPaths() map[string]string { return nil }

// A machine that cannot be read costs what is said of it, not the cgroups.
func TestUnknownMachine(t *testing.T) {
	h := host(t, nil)
	h.asking.busy.Store(true) // as if reading it hung since before
	h.readAll(t.Context(), false)
	text := textOf(t, h)
	if !strings.Contains(text, "machine_scrape_error 1\n") || !strings.Contains(text, `container_memory_rss{container="",id="/",`) || strings.Contains(text, "machine_memory_bytes") {
		t.Error(text)
	}
	h.asking.busy.Store(false)
	h.readAll(t.Context(), false)
	if text = textOf(t, h); !strings.Contains(text, "machine_scrape_error 0\n") || !strings.Contains(text, "machine_memory_bytes{") {
		t.Error(text)
	}
}

// What has not been read for long is left out, and the error is shown.
func TestStale(t *testing.T) {
	h := host(t, nil)
	h.readAll(t.Context(), false)
	h.now = func() time.Time { return time.Now().Add(keepFor*DefaultInterval + time.Second) }
	h.publish(false)
	if text := textOf(t, h); strings.Contains(text, "container_memory_rss{") || !strings.Contains(text, "container_scrape_error 1\n") {
		t.Error(text)
	}
}

// A cgroup that comes is shown, one that goes is not: a real one, which needs root.
func TestComesAndGoes(t *testing.T) {
	h := host(t, nil)
	mount := h.mounts["memory"] + h.mounts[""]
	name := fmt.Sprintf("/watchpost-test-%d", os.Getpid())
	dir := filepath.Join(mount, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no cgroup can be made: %v", err)
	}
	gone := false
	t.Cleanup(func() {
		if !gone {
			os.Remove(dir) // the test has failed: what is left is removed
		}
	})
	h.readAll(t.Context(), false)
	series := `container_memory_usage_bytes{container="",id="` + name + `",`
	if text := textOf(t, h); !strings.Contains(text, series) {
		t.Error("it is not there")
	}
	was := h.groups[name]
	was.container = &container{name: "old", pod: "p"}
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	h.readAll(t.Context(), false)
	if h.groups[name] == was || !strings.Contains(textOf(t, h), series) {
		t.Error("another of its name is taken for it")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	gone = true
	h.readAll(t.Context(), false)
	if text := textOf(t, h); strings.Contains(text, name) {
		t.Error("it is still there")
	}
}

func TestNewRefuses(t *testing.T) {
	host(t, nil) // or there are no cgroups
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Interval: time.Millisecond}, "too short"},
		{Config{Metrics: []string{"cpu", "gpu"}}, `no set of metrics "gpu": there are cpu, memory,`},
		{Config{Cgroups: []string{"system.slice"}}, "begins with a slash"},
		{Config{Containerd: "/s"}, "no namespace"},
	} {
		c.cfg.Log = silent
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

func TestContainerID(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	h := &Host{cfg: Config{Containerd: "/s", ContainerdNamespaces: []string{"k8s.io", "default"}}}
	for cgroup, want := range map[string]string{
		"/kubepods/besteffort/pod7a/" + id:                                    id,
		"/kubepods.slice/kubepods-pod7.slice/cri-containerd-" + id + ".scope": id,
		"/docker/" + id:                               id,
		"/system.slice/docker-" + id + ".scope":       id,
		"/machine.slice/crio-" + id + ".scope":        id,
		"/machine.slice/crio-conmon-" + id + ".scope": "",
		"/default/demo":                               "demo",
		"/k8s.io/x":                                   "x",
		"/default":                                    "",
		"/default/demo/child":                         "",
		"/system.slice/ssh.service":                   "",
		"/":                                           "",
		"/kubepods/besteffort/pod7a":                  "",
	} {
		if got := h.containerID(cgroup); got != want {
			t.Errorf("%s: %q, want %q", cgroup, got, want)
		}
	}
}

func TestWanted(t *testing.T) {
	h := &Host{cfg: Config{Cgroups: []string{"/system.slice", "/kubepods"}}}
	for cgroup, want := range map[string]bool{
		"/system.slice": true, "/system.slice/ssh.service": true, "/kubepods/burstable/pod1": true, "/user.slice": false,
		"/docker/" + strings.Repeat("a", 64): true,
	} {
		if h.wanted(cgroup) != want {
			t.Errorf("%s: %t", cgroup, !want)
		}
	}
}

func TestOOMKill(t *testing.T) {
	for text, want := range map[string]uint64{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n": 3,
		"low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n":    1,
		"oom_kill_disable 0\nunder_oom 0\n":             0,
		"oom_kill x\n":                                  0,
		"":                                              0,
		"oom_group_kill 4\noom_kill 18446744073709551615\n": 18446744073709551615,
	} {
		if got := oomKill(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// The labels of a pod's cgroups, with those of its containers known.
func TestShow(t *testing.T) {
	c := &container{runtime: "containerd", name: "id7", image: "i:1", pod: "p", namespace: "n", container: "c"}
	for _, want := range []struct {
		g    *cgroup
		pod  *container
		base [6]string
	}{
		{&cgroup{name: "/a/id7", container: c}, nil, [6]string{"c", "/a/id7", "i:1", "id7", "n", "p"}},
		{&cgroup{name: "/a"}, c, [6]string{"", "/a", "", "", "n", "p"}},
		{&cgroup{name: "/b"}, nil, [6]string{"", "/b", "", "", "", ""}},
	} {
		if got := show(want.g, &view{}, want.pod); got.base != want.base {
			t.Errorf("%q, want %q", got.base, want.base)
		}
	}
}

// Each family once, with a sample of everything: what the library's statistics become.
func TestFamilies(t *testing.T) {
	const at = 1700000000
	stats := &model.ContainerStats{
		Timestamp: time.Unix(at, 0), Cpu: &model.CpuStats{}, OOMEvents: 2,
		Memory: &model.MemoryStats{Usage: 100, WorkingSet: 90, RSS: 80},
		DiskIo: &model.DiskIoStats{
			IoServiceBytes: []model.PerDiskStats{{Device: "/dev/a", Major: 8, Minor: 1, Stats: map[string]uint64{"Read": 512, "Write": 1024}}},
			IoServiceTime:  []model.PerDiskStats{{Device: "/dev/a", Major: 8, Stats: map[string]uint64{"Read": 2_500_000_000}}},
			IoCostUsage:    []model.PerDiskStats{{Device: "/dev/a", Major: 8, Stats: map[string]uint64{"Count": 1_500_000}}},
		},
		Filesystem: []model.FsStats{{Device: "/dev/a", Limit: 1000, Usage: 10, ReadTime: 7, IoTime: 1500}, {Device: "/dev/b", Limit: 2000, ReadTime: 1500}},
		Network:    &model.NetworkStats{Interfaces: []model.InterfaceStats{{Name: "eth0", RxBytes: 5, TxErrors: 1}}},
		Processes:  &model.ProcessStats{ProcessCount: 3, ThreadsCurrent: 4, Ulimits: []model.UlimitSpec{{Name: "max_open_files", SoftLimit: -1}}},
		Hugetlb:    map[string]model.HugetlbStats{"2MB": {Usage: 4096}},
		Health:     model.Health{Status: "healthy"},
	}
	stats.Cpu.Usage.Total, stats.Cpu.Usage.User = 1_500_000_000, 1_000_000_000
	stats.Cpu.CFS.ThrottledTime = 250_000_000
	stats.Cpu.PSI.Some.Total = 2_000_000
	v := &view{stats: stats, ms: at * 1000, started: 11, created: 10}
	v.spec.HasCpu, v.spec.Cpu.Quota, v.spec.Cpu.Period, v.spec.Cpu.Limit = true, 50000, 100000, 512
	v.spec.HasMemory, v.spec.Memory.Limit, v.spec.Memory.SwapLimit = true, 1<<30, 1<<63
	h := &Host{now: func() time.Time { return time.Unix(at+5, 0) }, rows: families(sets(append(DefaultMetrics(), MoreMetrics()...)), true), pages: make(chan *page, 1)}
	m := &machine{kernel: "6.1", system: `Debian "12"`, info: &model.MachineInfo{NumCores: 2, MachineID: "m", BootID: "b", SystemUUID: "s",
		MemoryByType: map[string]*model.MemoryInfo{"DDR4": {Capacity: 99, DimmCount: 2}},
		Topology:     []model.Node{{Id: 1, Memory: 5, Distances: []uint64{10}, Cores: []model.Core{{Id: 3, Threads: []int{6, 7}, Caches: []model.Cache{{Size: 32, Type: "Data", Level: 1}}}}}}}}
	p := new(page)
	p.begin(h, []shown{{view: v, base: [6]string{"c", "/id", "i", "n", "ns", "p"}}}, m, false)
	text, err := io.ReadAll(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	const base = `container="c",id="/id",image="i",name="n",namespace="ns",pod="p"`
	for _, want := range []string{
		`container_cpu_usage_seconds_total{container="c",cpu="total",id="/id",image="i",name="n",namespace="ns",pod="p"} 1.5 1700000000000`,
		`container_cpu_user_seconds_total{` + base + `} 1 1700000000000`,
		`container_cpu_cfs_throttled_seconds_total{` + base + `} 0.25 1700000000000`,
		`container_memory_working_set_bytes{` + base + `} 90 1700000000000`,
		`container_memory_failures_total{container="c",failure_type="pgfault",id="/id",image="i",name="n",namespace="ns",pod="p",scope="hierarchy"} 0 1700000000000`,
		`container_fs_reads_bytes_total{container="c",device="/dev/a",id="/id",image="i",name="n",namespace="ns",pod="p"} 512 1700000000000`,
		`container_fs_read_seconds_total{container="c",device="/dev/a",id="/id",image="i",name="n",namespace="ns",pod="p"} 2.5 1700000000000`, // the cgroup's own, once
		`container_fs_read_seconds_total{container="c",device="/dev/b",id="/id",image="i",name="n",namespace="ns",pod="p"} 1.5 1700000000000`,
		`container_fs_io_cost_usage_seconds_total{container="c",device="/dev/a",id="/id",image="i",name="n",namespace="ns",pod="p"} 1.5 1700000000000`,
		`container_fs_limit_bytes{container="c",device="/dev/b",id="/id",image="i",name="n",namespace="ns",pod="p"} 2000 1700000000000`,
		`container_blkio_device_usage_total{container="c",device="/dev/a",id="/id",image="i",major="8",minor="1",name="n",namespace="ns",operation="Write",pod="p"} 1024 1700000000000`,
		`container_network_receive_bytes_total{container="c",id="/id",image="i",interface="eth0",name="n",namespace="ns",pod="p"} 5 1700000000000`,
		`container_network_tcp_usage_total{container="c",id="/id",image="i",name="n",namespace="ns",pod="p",tcp_state="listen"} 0 1700000000000`,
		`container_pressure_cpu_waiting_seconds_total{` + base + `} 2 1700000000000`,
		`container_hugetlb_usage_bytes{container="c",id="/id",image="i",name="n",namespace="ns",pagesize="2MB",pod="p"} 4096 1700000000000`,
		`container_ulimits_soft{container="c",id="/id",image="i",name="n",namespace="ns",pod="p",ulimit="max_open_files"} -1 1700000000000`,
		`container_oom_events_total{` + base + `} 2 1700000000000`,
		`container_health_state{` + base + `} 1 1700000000000`,
		`container_last_seen{` + base + `} 1700000005 1700000005000`,
		`container_start_time_seconds{` + base + `} 11`,
		`container_creation_time_seconds{` + base + `} 10`,
		`container_spec_cpu_quota{` + base + `} 50000`,
		`container_spec_cpu_shares{` + base + `} 512`,
		`container_spec_memory_limit_bytes{` + base + `} 1073741824`,
		`container_spec_memory_swap_limit_bytes{` + base + `} 0`,
		`cadvisor_version_info{cadvisorRevision="",cadvisorVersion="",dockerVersion="",kernelVersion="6.1",osVersion="Debian \"12\""} 1`,
		`machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 2`,
		`machine_dimm_capacity_bytes{boot_id="b",machine_id="m",system_uuid="s",type="DDR4"} 99`,
		`machine_cpu_cache_capacity_bytes{boot_id="b",core_id="3",level="1",machine_id="m",node_id="1",system_uuid="s",type="Data"} 32`,
		`machine_thread_siblings_count{boot_id="b",core_id="3",machine_id="m",node_id="1",system_uuid="s",thread_id="7"} 2`,
		`container_scrape_error 0`,
	} {
		if !strings.Contains(string(text), "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
	names := make(map[string]bool)
	last := ""
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if names[name] || name <= last {
				t.Errorf("%s is there again, or out of order", name)
			}
			names[name], last = true, name
		}
	}
	for _, r := range h.rows {
		if !names[r.of.Name()] && r.of.Name() != "machine_node_hugepages_count" && r.of.Name() != "container_memory_numa_pages" && !strings.Contains(r.of.Name(), "_io_cost_") {
			t.Errorf("nothing of %s", r.of.Name())
		}
	}
	for _, r := range families(sets(DefaultMetrics()), false) { // cgroups of version 1
		if strings.HasPrefix(r.of.Name(), "container_pressure") || strings.HasPrefix(r.of.Name(), "container_memory_events") {
			t.Errorf("%s is of version 2", r.of.Name())
		}
	}
}

// Names, types and labels are those of the reference: every family of the sets that
// can be asked for, and no other.
func TestReference(t *testing.T) {
	const file = "../../../shared/reference/container-metrics.tsv"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("%s is not here", file)
	}
	rows := make(map[string]*row)
	for _, r := range families(sets(append(DefaultMetrics(), MoreMetrics()...)), true) {
		rows[r.of.Name()] = r
	}
	odd := map[string]string{"hugetlb": "", "-": "", "oom_event": ""}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if f[0] == "metric" || strings.Contains(f[3], "kubelet /") || strings.Contains(f[0], "*") {
			continue
		}
		r := rows[f[0]]
		if _, known := odd[f[4]]; r == nil {
			if known || slices.Contains(append(DefaultMetrics(), MoreMetrics()...), f[4]) {
				t.Errorf("%s (%s) is missing", f[0], f[4])
			}
			continue
		}
		delete(rows, f[0])
		if typ := map[expo.Type]string{expo.TypeCounter: "counter", expo.TypeGauge: "gauge"}[r.of.Type()]; typ != f[1] {
			t.Errorf("%s is a %s, want %s", f[0], typ, f[1])
		}
		// The table has container_label_* where the kubelet does not have a set.
		var want []string
		for label := range strings.SplitSeq(f[2], ",") {
			switch {
			case label == "container_label_*":
				want = append(want, "pod", "namespace", "container")
			case label != "" && label != "container_env_*":
				want = append(want, label)
			}
		}
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(want, r.of.Labels()) {
			t.Errorf("%s has the labels %q, want %q", f[0], r.of.Labels(), want)
		}
	}
	for name := range rows {
		t.Errorf("%s is not in the reference", name)
	}
}

// The steady state allocates nothing for a sample.
func BenchmarkPage(b *testing.B) {
	h := &Host{now: time.Now, rows: families(sets(DefaultMetrics()), false), pages: make(chan *page, 1)}
	stats := &model.ContainerStats{Timestamp: time.Now(), Cpu: &model.CpuStats{}, Memory: &model.MemoryStats{}, Processes: &model.ProcessStats{}}
	views := make([]shown, 330) // of 110 pods
	for i := range views {
		id := fmt.Sprintf("/kubepods/burstable/pod%d/%064d", i/3, i)
		views[i] = shown{view: &view{stats: stats, ms: 1700000000000}, base: [6]string{"app", id, "registry.example/app:1", id[len(id)-64:], "team", "shop-" + id[:25]}}
	}
	m := &machine{info: &model.MachineInfo{}}
	p := new(page)
	b.ReportAllocs()
	size := int64(0)
	for b.Loop() {
		p.begin(h, views, m, false)
		n, err := io.Copy(io.Discard, p)
		if err != nil {
			b.Fatal(err)
		}
		size = n
	}
	b.SetBytes(size)
}
