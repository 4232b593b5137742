package main

// What the fake targets show: a page of a host and of its containers, as
// node_exporter and a kubelet would answer, whose values move as theirs do.

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// motion is how a value changes.
type motion int

const (
	still    motion = iota // most values of a host: sizes, limits, counters of what never happens
	whole                  // a counter of bytes or events
	seconds                // a counter of time, in hundredths
	level                  // a gauge in bytes, by pages
	fraction               // a gauge such as a load or a temperature
)

// family is a metric of the page: one series for each of its label sets.
type family struct {
	name, kind, help string
	motions          []motion // of its series, in turn
}

// group is a thing of the host and the families that each of them has.
type group struct {
	families []family
	labels   func(seed uint64, n int) string // of the n-th such thing
	count    int                             // of them on each target; 0 is as many as the page needs
}

// The kinds of a family.
const (
	counter = "counter"
	gauge   = "gauge"
)

// named makes families of one kind that differ by the middle of their name.
func named(prefix, suffix, kind, about string, ms []motion, names ...string) []family {
	var fs []family
	for i, n := range names {
		fs = append(fs, family{prefix + n + suffix, kind, fmt.Sprintf("%s: %s, as the kernel counts it.", about, n), ms[i%len(ms) : i%len(ms)+1]})
	}
	return fs
}

// groups is the page from top to bottom. The last group fills it up.
func groups() []group {
	one := func(uint64, int) string { return "" }
	device := func(format string) func(uint64, int) string {
		return func(_ uint64, n int) string { return fmt.Sprintf(format, n) }
	}
	modes := []string{"idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"}
	return []group{
		{families: []family{{"node_cpu_seconds_total", counter, "Seconds each processor spent in each mode.", []motion{seconds, seconds, still, still, seconds, still, seconds, seconds}}},
			labels: func(_ uint64, n int) string { return fmt.Sprintf(`cpu="%d",mode="%s"`, n/8, modes[n%8]) }, count: 64},
		{families: named("node_memory_", "_bytes", gauge, "Memory", []motion{level, still, level, still},
			"MemTotal", "HugePages", "MemFree", "Hugetlb", "MemAvailable", "SwapTotal", "Buffers", "SwapFree", "Cached", "SwapCached", "Active", "Unevictable",
			"Inactive", "Mlocked", "Active_anon", "NFS_Unstable", "Inactive_anon", "Bounce", "Active_file", "WritebackTmp", "Inactive_file", "CommitLimit",
			"Dirty", "VmallocTotal", "Writeback", "HardwareCorrupted", "AnonPages", "AnonHugePages", "Mapped", "ShmemHugePages", "Shmem", "ShmemPmdMapped",
			"Slab", "FileHugePages", "KernelStack", "FilePmdMapped", "PageTables", "CmaTotal", "Committed_AS", "CmaFree"), labels: one, count: 1},
		{families: append(named("node_vmstat_", "", "untyped", "Virtual memory", []motion{whole, still}, "pgfault", "oom_kill", "pgpgin", "pswpin", "pgpgout", "pswpout"),
			named("node_load", "", gauge, "Load", []motion{fraction}, "1", "5", "15")...), labels: one, count: 1},
		{families: named("node_netstat_", "", "untyped", "Protocols", []motion{whole, still, still}, "Ip_Forwarding", "IpExt_InOctets", "IpExt_OutOctets",
			"Tcp_InSegs", "Tcp_ActiveOpens", "Tcp_PassiveOpens", "Tcp_OutSegs", "Tcp_InErrs", "Tcp_OutRsts", "Tcp_RetransSegs", "TcpExt_ListenDrops", "TcpExt_ListenOverflows",
			"Udp_InDatagrams", "Udp_InErrors", "Udp_NoPorts", "Udp_OutDatagrams", "Udp_RcvbufErrors", "Udp_SndbufErrors"), labels: one, count: 1},
		{families: named("node_filesystem_", "", gauge, "File systems", []motion{level, still, still}, "avail_bytes", "size_bytes", "readonly",
			"free_bytes", "device_error", "files", "files_free"), labels: device(`device="/dev/mapper/vg-data%[1]d",fstype="ext4",mountpoint="/srv/data%[1]d"`), count: 6},
		{families: append(named("node_network_", "_total", counter, "Interfaces", []motion{whole, whole, still, still, still}, "receive_bytes", "receive_packets", "receive_errs",
			"receive_drop", "receive_fifo", "transmit_bytes", "transmit_packets", "transmit_errs", "transmit_drop", "transmit_fifo", "carrier_changes"),
			named("node_network_", "", gauge, "Interfaces", []motion{still}, "up", "mtu_bytes", "speed_bytes", "flags", "carrier", "iface_id")...),
			labels: device(`device="eth%d"`), count: 5},
		{families: named("node_disk_", "", counter, "Disks", []motion{whole, seconds, whole, seconds, still}, "reads_completed_total", "read_time_seconds_total",
			"read_bytes_total", "io_time_seconds_total", "reads_merged_total", "writes_completed_total", "write_time_seconds_total", "written_bytes_total",
			"io_time_weighted_seconds_total", "discards_completed_total"), labels: device(`device="nvme%dn1"`), count: 4},
		{families: named("", "", counter, "Pressure", []motion{seconds}, "node_pressure_cpu_waiting_seconds_total", "node_pressure_io_stalled_seconds_total",
			"node_pressure_io_waiting_seconds_total", "node_pressure_memory_stalled_seconds_total", "node_pressure_memory_waiting_seconds_total"), labels: one, count: 1},
		{families: []family{{"node_hwmon_temp_celsius", gauge, "Temperatures of sensors.", []motion{fraction}}}, labels: device(`chip="platform_coretemp_0",sensor="temp%d"`), count: 6},
		{families: []family{{"node_scrape_collector_success", gauge, "Whether a collector worked.", []motion{still}}}, labels: device(`collector="part%d"`), count: 40},
		{families: append(named("go_", "", gauge, "The agent itself", []motion{level, fraction}, "memstats_heap_inuse_bytes", "goroutines", "memstats_heap_alloc_bytes", "threads"),
			named("process_", "", gauge, "The agent itself", []motion{seconds, level, still}, "cpu_seconds_total", "resident_memory_bytes", "start_time_seconds", "open_fds", "virtual_memory_bytes", "max_fds")...), labels: one, count: 1},
		{families: append(named("container_", "_total", counter, "Containers", []motion{seconds, still, whole, seconds, still, still}, "cpu_usage_seconds", "cpu_cfs_throttled_periods",
			"network_receive_bytes", "cpu_user_seconds", "oom_events", "fs_writes"),
			named("container_", "", gauge, "Containers", []motion{level, level, still, still}, "memory_working_set_bytes", "memory_rss", "spec_memory_limit_bytes",
				"spec_cpu_quota", "memory_usage_bytes", "memory_cache", "start_time_seconds", "spec_cpu_shares", "threads", "sockets", "processes", "ulimits_soft")...),
			labels: containerLabels},
	}
}

// containerLabels are long, as a kubelet's are.
func containerLabels(seed uint64, n int) string {
	id := mix(seed + uint64(n))
	return fmt.Sprintf(`container="app",id="/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%016x.slice/cri-containerd-%016x%016x.scope",`+
		`image="registry.example.com/team%d/app:1.%d",name="%016x%016x",namespace="team%d",pod="app-%d-%x"`,
		id, mix(id), mix(id+1), n%7, n%5, mix(id), mix(id+1), n%7, n%20, id%0xffffff)
}

// series is one line of the page without its value.
type series struct {
	text   string // name, labels and a blank
	motion motion
	seed   uint64
}

// page is what one target shows. It is not changed once it is made.
type page struct {
	parts []part
}

// part is a family with its series on this page.
type part struct {
	name   string
	head   string // the lines HELP and TYPE
	series []series
}

// newPage makes the page of the target of that number, with exactly n series.
func newPage(target, n int) *page {
	seed := mix(uint64(target))
	p := &page{}
	for _, g := range groups() {
		for i, f := range g.families {
			share := g.count
			if share == 0 {
				share = n / (len(g.families) - i) // of what is left, so that nothing is in the end
			}
			if share = min(share, n); share == 0 {
				continue
			}
			n -= share
			p.parts = append(p.parts, newPart(f, g.labels, seed, share))
		}
	}
	return p
}

func newPart(f family, labels func(uint64, int) string, seed uint64, count int) part {
	p := part{name: f.name, head: fmt.Sprintf("# HELP %[1]s %[3]s\n# TYPE %[1]s %[2]s\n", f.name, f.kind, f.help)}
	h := fnv.New64a()
	h.Write([]byte(f.name))
	own := seed ^ h.Sum64()
	for i := range count {
		text := f.name + " "
		if l := labels(seed, i); l != "" {
			text = f.name + "{" + l + "} "
		}
		p.series = append(p.series, series{text, f.motions[i%len(f.motions)], mix(own + uint64(i))})
	}
	return p
}

// append writes the page as it is at now after buf, in the text format.
func (p *page) append(buf []byte, now time.Time) []byte {
	t := float64(now.UnixMilli()) / 1000
	for i := range p.parts {
		buf = append(buf, p.parts[i].head...)
		for j := range p.parts[i].series {
			s := &p.parts[i].series[j]
			buf = append(buf, s.text...)
			buf = strconv.AppendFloat(buf, s.value(t), 'g', -1, 64)
			buf = append(buf, '\n')
		}
	}
	return buf
}

// value is the series' value at t, in seconds since 1970. It depends on nothing else,
// so that whoever asks at the same time sees the same.
func (s *series) value(t float64) float64 {
	a := float64(s.seed&0xffff) / 0xffff     // 0..1, three numbers that tell the series apart
	b := float64(s.seed>>16&0xffff) / 0xffff //
	c := float64(s.seed>>32&0xffff) / 0xffff //
	// Time that runs unevenly, and always forward: 0.6 and 0.3 are less than one.
	busy := t - born + 6*math.Sin(t/(10+5*a)) + 12*math.Sin(t/(40+60*b)+6*c)
	switch s.motion {
	case whole:
		return math.Floor(busy * math.Pow(10, 6*c)) // from one to a million a second
	case seconds:
		return math.Floor(busy*c*100) / 100
	case level:
		return 4096 * math.Floor(1e6*b*(1.2+math.Sin(busy/(60+300*a))))
	case fraction:
		return math.Floor(100*(1+20*b)*(1.2+math.Sin(busy/(30+100*a)))) / 100
	}
	return float64(s.seed >> 40 * (s.seed >> 63)) // the half of them 0
}

// born is when all counters began: 2026-11-01, in seconds since 1970.
const born = 1_793_491_200

// mix spreads the bits of x (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
