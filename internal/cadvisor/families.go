package cadvisor

import (
	"slices"
	"strconv"
	"strings"
	"time"

	cgroupinfo "github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/model"

	"watchpost/internal/expo"
)

// row is one family of the text: its metrics set, and how its samples are made.
type row struct {
	set cgroupinfo.MetricKind // "" is in all
	of  *expo.Family
	// each writes the samples of one cgroup, once those of the machine: one is nil.
	each func(*samples, *shown)
	once func(*samples)
	v2   bool // the kernel has it with cgroups of version 2 only

	places []int // where the family's own labels stand among its values, as they are declared
	base   []int // and where the base labels do
}

// samples writes those of one row.
type samples struct {
	w       *expo.Writer
	row     *row
	facts   *machine
	failed  bool
	now     time.Time
	base    []string // values of the base labels
	values  [maxLabels]string
	devices []string // written of this cgroup
}

const maxLabels = 12

// fill puts the labels of a sample in their order.
func (s *samples) fill(own []string) []string {
	r := s.row
	for i, at := range r.base {
		s.values[at] = s.base[i]
	}
	for i, at := range r.places {
		s.values[at] = own[i]
	}
	return s.values[:len(r.base)+len(r.places)]
}

// at writes a sample with the time it was measured.
func (s *samples) at(c *shown, v float64, own ...string) {
	s.w.SampleAt(s.row.of, v, c.ms, s.fill(own)...)
}

// plain writes a sample without a time.
func (s *samples) plain(v float64, own ...string) { s.w.Sample(s.row.of, v, s.fill(own)...) }

// newRow declares a family with labels beside the base ones. The order of labels is
// that of their names, as the kubelet writes them.
func newRow(set cgroupinfo.MetricKind, typ expo.Type, name, help string, base []string, own []string) *row {
	all := slices.Concat(base, own)
	slices.Sort(all)
	r := &row{set: set}
	for _, l := range base {
		r.base = append(r.base, slices.Index(all, l))
	}
	for _, l := range own {
		r.places = append(r.places, slices.Index(all, l))
	}
	if r.of = expo.Gauge(name, help, all...); typ == expo.TypeCounter {
		r.of = expo.Counter(name, help, all...)
	}
	return r
}

// table collects rows.
type table struct{ rows []*row }

func (t *table) add(set cgroupinfo.MetricKind, typ expo.Type, name, help string, each func(*samples, *shown), own ...string) *row {
	r := newRow(set, typ, name, help, baseLabels[:], own)
	r.each = each
	t.rows = append(t.rows, r)
	return r
}

// value is for families with one sample of each cgroup.
func (t *table) value(set cgroupinfo.MetricKind, typ expo.Type, name, help string, get func(*model.ContainerStats) float64) *row {
	return t.add(set, typ, name, help, func(s *samples, c *shown) { s.at(c, get(c.stats)) })
}

// spec is for what was set, not measured: it has no time.
func (t *table) spec(name, help string, get func(*shown) (float64, bool)) {
	t.add("", expo.TypeGauge, name, help, func(s *samples, c *shown) {
		if v, ok := get(c); ok {
			s.plain(v)
		}
	})
}

const (
	counter = expo.TypeCounter
	gauge   = expo.TypeGauge
)

// families are those of some sets, by name. Names, types and labels are those of the
// kubelet's page: metrics/prometheus.go of the library.
func families(set cgroupinfo.MetricSet, unified bool) []*row {
	t := new(table)
	t.about()
	t.cpu()
	t.memory()
	t.disk()
	t.network()
	t.processes()
	t.pressure()
	t.machine()
	rows := slices.DeleteFunc(t.rows, func(r *row) bool { return r.set != "" && !set.Has(r.set) || r.v2 && !unified })
	slices.SortFunc(rows, func(a, b *row) int { return strings.Compare(a.of.Name(), b.of.Name()) })
	return rows
}

// about is what a cgroup is, and what it was given.
func (t *table) about() {
	t.add("", gauge, "container_last_seen", "When this cgroup was there last, in seconds since the epoch.", func(s *samples, _ *shown) {
		s.w.SampleAt(s.row.of, float64(s.now.Unix()), s.now.UnixMilli(), s.fill(nil)...)
	})
	t.value("", gauge, "container_health_state", "What the health check of a container says: 1 is healthy, 0 not, -1 that it has none.", func(c *model.ContainerStats) float64 {
		switch c.Health.Status {
		case "healthy":
			return 1
		case "", "none":
			return -1
		}
		return 0
	})
	t.value(cgroupinfo.OOMMetrics, counter, "container_oom_events_total", "Processes that the kernel killed as the cgroup had no memory left.",
		func(c *model.ContainerStats) float64 { return float64(c.OOMEvents) })
	t.spec("container_start_time_seconds", "When the cgroup was made, in seconds since the epoch.", func(c *shown) (float64, bool) { return float64(c.started), true })
	t.spec("container_creation_time_seconds", "When the container was made, in seconds since the epoch.", func(c *shown) (float64, bool) { return float64(c.created), true })
	t.spec("container_spec_cpu_period", "Period of the CPU quota in microseconds.", func(c *shown) (float64, bool) { return float64(c.spec.Cpu.Period), c.spec.HasCpu })
	t.spec("container_spec_cpu_quota", "CPU quota in microseconds a period.", func(c *shown) (float64, bool) {
		return float64(c.spec.Cpu.Quota), c.spec.HasCpu && c.spec.Cpu.Quota != 0
	})
	t.spec("container_spec_cpu_shares", "Shares of the CPU, of which one CPU has 1024.", func(c *shown) (float64, bool) { return float64(c.spec.Cpu.Limit), c.spec.HasCpu })
	t.spec("container_spec_memory_limit_bytes", "Limit of memory in bytes; 0 is none.", func(c *shown) (float64, bool) { return limit(c.spec.Memory.Limit), c.spec.HasMemory })
	t.spec("container_spec_memory_reservation_limit_bytes", "Memory that is reserved in bytes; 0 is none.", func(c *shown) (float64, bool) {
		return limit(c.spec.Memory.Reservation), c.spec.HasMemory
	})
	t.spec("container_spec_memory_swap_limit_bytes", "Limit of memory with swap in bytes; 0 is none.", func(c *shown) (float64, bool) {
		return limit(c.spec.Memory.SwapLimit), c.spec.HasMemory
	})
}

// limit is one of memory: the kernel rounds "none" to a number near 2^63.
func limit(v uint64) float64 {
	if v > 1<<62 {
		return 0
	}
	return float64(v)
}

func seconds(nanoseconds uint64) float64 { return float64(nanoseconds) / 1e9 }
func fromMicro(v uint64) float64         { return float64(v) / 1e6 }

func (t *table) cpu() {
	const cpu = cgroupinfo.CpuUsageMetrics
	t.value(cpu, counter, "container_cpu_user_seconds_total", "Time on a CPU in user mode.", func(c *model.ContainerStats) float64 { return seconds(c.Cpu.Usage.User) })
	t.value(cpu, counter, "container_cpu_system_seconds_total", "Time on a CPU in the kernel.", func(c *model.ContainerStats) float64 { return seconds(c.Cpu.Usage.System) })
	t.add(cpu, counter, "container_cpu_usage_seconds_total", "Time on a CPU.", func(s *samples, c *shown) {
		u := &c.stats.Cpu.Usage
		if len(u.PerCpu) == 0 && u.Total > 0 {
			s.at(c, seconds(u.Total), "total")
		}
		for i, v := range u.PerCpu {
			if v > 0 {
				s.at(c, seconds(v), cpuName(i))
			}
		}
	}, "cpu")
	quota := func(name, help string, get func(*model.CpuCFS) float64) {
		t.add(cpu, counter, name, help, func(s *samples, c *shown) {
			if c.spec.Cpu.Quota != 0 {
				s.at(c, get(&c.stats.Cpu.CFS))
			}
		})
	}
	quota("container_cpu_cfs_periods_total", "Periods of the CPU quota that have passed.", func(c *model.CpuCFS) float64 { return float64(c.Periods) })
	quota("container_cpu_cfs_throttled_periods_total", "Periods in which the CPU quota was used up.", func(c *model.CpuCFS) float64 { return float64(c.ThrottledPeriods) })
	quota("container_cpu_cfs_throttled_seconds_total", "Time that processes waited as the CPU quota was used up.", func(c *model.CpuCFS) float64 { return seconds(c.ThrottledTime) })
	quota("container_cpu_cfs_burst_periods_total", "Periods with more CPU time than the quota.", func(c *model.CpuCFS) float64 { return float64(c.BurstsPeriods) })
	quota("container_cpu_cfs_burst_seconds_total", "CPU time above the quota.", func(c *model.CpuCFS) float64 { return seconds(c.BurstTime) })
	const sched = cgroupinfo.ProcessSchedulerMetrics
	t.value(sched, counter, "container_cpu_schedstat_run_seconds_total", "Time that processes ran on a CPU.", func(c *model.ContainerStats) float64 { return seconds(c.Cpu.Schedstat.RunTime) })
	t.value(sched, counter, "container_cpu_schedstat_runqueue_seconds_total", "Time that processes waited for a CPU.", func(c *model.ContainerStats) float64 { return seconds(c.Cpu.Schedstat.RunqueueTime) })
	t.value(sched, counter, "container_cpu_schedstat_run_periods_total", "How often processes were put on a CPU.", func(c *model.ContainerStats) float64 { return float64(c.Cpu.Schedstat.RunPeriods) })
}

// cpuName is how cAdvisor calls a CPU: cpu00, cpu117.
func cpuName(i int) string {
	if i < 10 {
		return "cpu0" + strconv.Itoa(i)
	}
	return "cpu" + strconv.Itoa(i)
}

func (t *table) memory() {
	get := func(typ expo.Type, name, help string, get func(*model.MemoryStats) uint64) *row {
		return t.value(cgroupinfo.MemoryUsageMetrics, typ, name, help, func(c *model.ContainerStats) float64 { return float64(get(c.Memory)) })
	}
	get(gauge, "container_memory_cache", "Page cache in bytes.", func(m *model.MemoryStats) uint64 { return m.Cache })
	get(gauge, "container_memory_rss", "Anonymous memory in bytes; not what ps calls RSS.", func(m *model.MemoryStats) uint64 { return m.RSS })
	get(gauge, "container_memory_kernel_usage", "Memory of the kernel in bytes.", func(m *model.MemoryStats) uint64 { return m.KernelUsage })
	get(gauge, "container_memory_mapped_file", "Files that are mapped into memory, in bytes.", func(m *model.MemoryStats) uint64 { return m.MappedFile })
	get(gauge, "container_memory_swap", "Swap in use in bytes.", func(m *model.MemoryStats) uint64 { return m.Swap })
	get(counter, "container_memory_failcnt", "How often the limit of memory was reached.", func(m *model.MemoryStats) uint64 { return m.Failcnt })
	get(gauge, "container_memory_usage_bytes", "Memory in use in bytes, with the page cache.", func(m *model.MemoryStats) uint64 { return m.Usage })
	get(gauge, "container_memory_max_usage_bytes", "The most memory that was in use, in bytes.", func(m *model.MemoryStats) uint64 { return m.MaxUsage })
	get(gauge, "container_memory_working_set_bytes", "Memory in use without files that were not used lately, in bytes.", func(m *model.MemoryStats) uint64 { return m.WorkingSet })
	get(gauge, "container_memory_total_active_file_bytes", "Page cache that was used lately, in bytes.", func(m *model.MemoryStats) uint64 { return m.TotalActiveFile })
	get(gauge, "container_memory_total_inactive_file_bytes", "Page cache that was not used lately, in bytes.", func(m *model.MemoryStats) uint64 { return m.TotalInactiveFile })
	t.add(cgroupinfo.MemoryUsageMetrics, counter, "container_memory_failures_total", "Page faults.", func(s *samples, c *shown) {
		m := c.stats.Memory
		s.at(c, float64(m.ContainerData.Pgfault), "pgfault", "container")
		s.at(c, float64(m.HierarchicalData.Pgfault), "pgfault", "hierarchy")
		s.at(c, float64(m.ContainerData.Pgmajfault), "pgmajfault", "container")
		s.at(c, float64(m.HierarchicalData.Pgmajfault), "pgmajfault", "hierarchy")
	}, "failure_type", "scope")
	for _, r := range []*row{
		get(counter, "container_memory_events_high_total", "How often processes were slowed down at memory.high.", func(m *model.MemoryStats) uint64 { return m.Events.High }),
		get(counter, "container_memory_events_max_total", "How often memory.max was reached.", func(m *model.MemoryStats) uint64 { return m.Events.Max }),
		get(gauge, "container_memory_file_dirty_bytes", "Page cache that is to be written, in bytes.", func(m *model.MemoryStats) uint64 { return m.FileDirty }),
		get(gauge, "container_memory_file_writeback_bytes", "Page cache that is being written, in bytes.", func(m *model.MemoryStats) uint64 { return m.FileWriteback }),
		get(counter, "container_memory_pgscan_total", "Pages looked at to find some to reclaim.", func(m *model.MemoryStats) uint64 { return m.Pgscan }),
		get(counter, "container_memory_pgsteal_total", "Pages that were reclaimed.", func(m *model.MemoryStats) uint64 { return m.Pgsteal }),
		get(counter, "container_memory_workingset_refault_file_total", "Pages of files that were needed again after they had been reclaimed.", func(m *model.MemoryStats) uint64 { return m.WorkingsetRefaultFile }),
		get(counter, "container_memory_workingset_refault_anon_total", "Anonymous pages that were needed again after they had been reclaimed.", func(m *model.MemoryStats) uint64 { return m.WorkingsetRefaultAnon }),
	} {
		r.v2 = true
	}
	t.value(cgroupinfo.CPUSetMetrics, gauge, "container_memory_migrate", "Whether pages move with the processes to other nodes of memory.",
		func(c *model.ContainerStats) float64 { return float64(c.CpuSet.MemoryMigrate) })
	t.value(cgroupinfo.ReferencedMemoryMetrics, gauge, "container_referenced_bytes", "Memory that was used since the last time it was marked, in bytes.",
		func(c *model.ContainerStats) float64 { return float64(c.ReferencedMemory) })
	t.add(cgroupinfo.MemoryNumaMetrics, gauge, "container_memory_numa_pages", "Pages in use by node of memory.", func(s *samples, c *shown) {
		numa := func(scope string, n *model.MemoryNumaStats) {
			for _, kind := range []struct {
				name  string
				pages map[uint8]uint64
			}{{"anon", n.Anon}, {"file", n.File}, {"unevictable", n.Unevictable}} {
				for _, node := range sortedKeys(kind.pages) {
					s.at(c, float64(kind.pages[node]), kind.name, scope, strconv.Itoa(int(node)))
				}
			}
		}
		numa("container", &c.stats.Memory.ContainerData.NumaStats)
		numa("hierarchy", &c.stats.Memory.HierarchicalData.NumaStats)
	}, "type", "scope", "node")
	huge := func(typ expo.Type, name, help string, get func(model.HugetlbStats) uint64) {
		t.add(cgroupinfo.HugetlbUsageMetrics, typ, name, help, func(s *samples, c *shown) {
			for _, size := range sortedKeys(c.stats.Hugetlb) {
				s.at(c, float64(get(c.stats.Hugetlb[size])), size)
			}
		}, "pagesize")
	}
	huge(counter, "container_hugetlb_failcnt", "How often the limit of huge pages was reached.", func(h model.HugetlbStats) uint64 { return h.Failcnt })
	huge(gauge, "container_hugetlb_usage_bytes", "Huge pages in use in bytes.", func(h model.HugetlbStats) uint64 { return h.Usage })
	huge(gauge, "container_hugetlb_max_usage_bytes", "The most huge pages that were in use, in bytes.", func(h model.HugetlbStats) uint64 { return h.MaxUsage })
}

func (t *table) processes() {
	get := func(name, help string, get func(*model.ProcessStats) uint64) {
		t.add(cgroupinfo.ProcessMetrics, gauge, name, help, func(s *samples, c *shown) {
			if p := c.stats.Processes; p != nil {
				s.at(c, float64(get(p)))
			}
		})
	}
	get("container_processes", "Processes.", func(p *model.ProcessStats) uint64 { return p.ProcessCount })
	get("container_file_descriptors", "Files that are open.", func(p *model.ProcessStats) uint64 { return p.FdCount })
	get("container_sockets", "Sockets that are open.", func(p *model.ProcessStats) uint64 { return p.SocketCount })
	get("container_threads", "Threads.", func(p *model.ProcessStats) uint64 { return p.ThreadsCurrent })
	get("container_threads_max", "Limit of threads; 0 is none.", func(p *model.ProcessStats) uint64 { return p.ThreadsMax })
	t.add(cgroupinfo.ProcessMetrics, gauge, "container_ulimits_soft", "Soft limits of a process of the container; -1 is none.", func(s *samples, c *shown) {
		if c.stats.Processes == nil {
			return
		}
		for _, u := range c.stats.Processes.Ulimits {
			s.at(c, float64(u.SoftLimit), u.Name)
		}
	}, "ulimit")
}

func (t *table) pressure() {
	add := func(name, help string, get func(*model.ContainerStats) uint64) {
		t.value(cgroupinfo.PressureMetrics, counter, name, help, func(c *model.ContainerStats) float64 { return fromMicro(get(c)) }).v2 = true
	}
	add("container_pressure_cpu_stalled_seconds_total", "Time in which all processes waited for a CPU.", func(c *model.ContainerStats) uint64 { return c.Cpu.PSI.Full.Total })
	add("container_pressure_cpu_waiting_seconds_total", "Time in which a process waited for a CPU.", func(c *model.ContainerStats) uint64 { return c.Cpu.PSI.Some.Total })
	add("container_pressure_memory_stalled_seconds_total", "Time in which all processes waited for memory.", func(c *model.ContainerStats) uint64 { return c.Memory.PSI.Full.Total })
	add("container_pressure_memory_waiting_seconds_total", "Time in which a process waited for memory.", func(c *model.ContainerStats) uint64 { return c.Memory.PSI.Some.Total })
	disk := func(name, help string, get func(*model.DiskIoStats) uint64) {
		t.add(cgroupinfo.PressureMetrics, counter, name, help, func(s *samples, c *shown) {
			if c.stats.DiskIo != nil {
				s.at(c, fromMicro(get(c.stats.DiskIo)))
			}
		}).v2 = true
	}
	disk("container_pressure_io_stalled_seconds_total", "Time in which all processes waited for a disk.", func(d *model.DiskIoStats) uint64 { return d.PSI.Full.Total })
	disk("container_pressure_io_waiting_seconds_total", "Time in which a process waited for a disk.", func(d *model.DiskIoStats) uint64 { return d.PSI.Some.Total })
}
