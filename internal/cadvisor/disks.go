package cadvisor

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	cgroupinfo "github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/model"

	"watchpost/internal/expo"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// device writes a sample of a device, once: the root cgroup has some disks both by
// what the cgroup counts and as a file system.
func (s *samples) device(c *shown, name string, v float64) {
	if !slices.Contains(s.devices, name) {
		s.devices = append(s.devices, name)
		s.at(c, v, name)
	}
}

// disks writes what a cgroup's disks and, of the root, its file systems say.
func (s *samples) disks(c *shown, io []model.PerDiskStats, operation string, unit float64, get func(*model.FsStats) float64) {
	s.devices = s.devices[:0]
	for i := range io {
		s.device(c, io[i].Device, float64(io[i].Stats[operation])/unit)
	}
	if get == nil {
		return
	}
	for i := range c.stats.Filesystem {
		f := &c.stats.Filesystem[i]
		s.device(c, f.Device, get(f))
	}
}

func (t *table) disk() {
	usage := func(name, help string, get func(*model.FsStats) float64) {
		t.add(cgroupinfo.DiskUsageMetrics, gauge, name, help, func(s *samples, c *shown) { s.disks(c, nil, "", 1, get) }, "device")
	}
	usage("container_fs_inodes_free", "Free inodes of a file system.", func(f *model.FsStats) float64 { return float64(f.InodesFree) })
	usage("container_fs_inodes_total", "Inodes of a file system.", func(f *model.FsStats) float64 { return float64(f.Inodes) })
	usage("container_fs_limit_bytes", "Size of a file system in bytes.", func(f *model.FsStats) float64 { return float64(f.Limit) })
	usage("container_fs_usage_bytes", "Bytes of a file system that are in use.", func(f *model.FsStats) float64 { return float64(f.Usage) })

	type list func(*model.DiskIoStats) []model.PerDiskStats
	io := func(typ expo.Type, name, help string, from list, operation string, unit float64, get func(*model.FsStats) float64) {
		t.add(cgroupinfo.DiskIOMetrics, typ, name, help, func(s *samples, c *shown) {
			if d := c.stats.DiskIo; d != nil {
				s.disks(c, from(d), operation, unit, get)
			}
		}, "device")
	}
	// Units: the kernel counts time in nanoseconds, iocost in microseconds, and
	// /proc/diskstats, of which the library's file systems are, in milliseconds;
	// the library divides these by a billion as well, and so does the kubelet.
	const nano, micro, milli = 1e9, 1e6, 1e3
	bytes := func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoServiceBytes }
	serviced := func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoServiced }
	sectors := func(d *model.DiskIoStats) []model.PerDiskStats { return d.Sectors }
	merged := func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoMerged }
	busy := func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoServiceTime }
	io(counter, "container_fs_reads_bytes_total", "Bytes read.", bytes, "Read", 1, nil)
	io(counter, "container_fs_reads_total", "Reads that came to an end.", serviced, "Read", 1, func(f *model.FsStats) float64 { return float64(f.ReadsCompleted) })
	io(counter, "container_fs_sector_reads_total", "Sectors read.", sectors, "Read", 1, func(f *model.FsStats) float64 { return float64(f.SectorsRead) })
	io(counter, "container_fs_reads_merged_total", "Reads that were put together.", merged, "Read", 1, func(f *model.FsStats) float64 { return float64(f.ReadsMerged) })
	io(counter, "container_fs_read_seconds_total", "Time spent reading.", busy, "Read", nano, func(f *model.FsStats) float64 { return float64(f.ReadTime) / milli })
	io(counter, "container_fs_writes_bytes_total", "Bytes written.", bytes, "Write", 1, nil)
	io(counter, "container_fs_writes_total", "Writes that came to an end.", serviced, "Write", 1, func(f *model.FsStats) float64 { return float64(f.WritesCompleted) })
	io(counter, "container_fs_sector_writes_total", "Sectors written.", sectors, "Write", 1, func(f *model.FsStats) float64 { return float64(f.SectorsWritten) })
	io(counter, "container_fs_writes_merged_total", "Writes that were put together.", merged, "Write", 1, func(f *model.FsStats) float64 { return float64(f.WritesMerged) })
	io(counter, "container_fs_write_seconds_total", "Time spent writing.", busy, "Write", nano, func(f *model.FsStats) float64 { return float64(f.WriteTime) / milli })
	io(gauge, "container_fs_io_current", "Requests that are being worked on.", func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoQueued }, "Total", 1, func(f *model.FsStats) float64 { return float64(f.IoInProgress) })
	io(counter, "container_fs_io_time_seconds_total", "Time in which there were requests.", busy, "Total", nano, func(f *model.FsStats) float64 { return float64(f.IoTime) / milli })
	t.add(cgroupinfo.DiskIOMetrics, counter, "container_fs_io_time_weighted_seconds_total", "Time of all requests together.", func(s *samples, c *shown) {
		s.disks(c, nil, "", 1, func(f *model.FsStats) float64 { return float64(f.WeightedIoTime) / milli })
	}, "device")
	io(counter, "container_fs_io_cost_usage_seconds_total", "Time that iocost charged.", func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoCostUsage }, "Count", micro, nil)
	io(counter, "container_fs_io_cost_wait_seconds_total", "Time that requests waited for iocost.", func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoCostWait }, "Count", micro, nil)
	io(counter, "container_fs_io_cost_indebt_seconds_total", "Time in debt to iocost.", func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoCostIndebt }, "Count", micro, nil)
	io(counter, "container_fs_io_cost_indelay_seconds_total", "Time that processes were held back for their debt to iocost.", func(d *model.DiskIoStats) []model.PerDiskStats { return d.IoCostIndelay }, "Count", micro, nil)
	t.add(cgroupinfo.DiskIOMetrics, counter, "container_blkio_device_usage_total", "Bytes by device and operation.", func(s *samples, c *shown) {
		if c.stats.DiskIo == nil {
			return
		}
		for i := range c.stats.DiskIo.IoServiceBytes {
			d := &c.stats.DiskIo.IoServiceBytes[i]
			for _, operation := range sortedKeys(d.Stats) {
				s.at(c, float64(d.Stats[operation]), d.Device, strconv.FormatUint(d.Major, 10), strconv.FormatUint(d.Minor, 10), operation)
			}
		}
	}, "device", "major", "minor", "operation")
}

func (t *table) network() {
	add := func(name, help string, get func(*model.InterfaceStats) uint64) {
		t.add(cgroupinfo.NetworkUsageMetrics, counter, name, help, func(s *samples, c *shown) {
			if c.stats.Network == nil {
				return
			}
			for i := range c.stats.Network.Interfaces {
				n := &c.stats.Network.Interfaces[i]
				s.at(c, float64(get(n)), n.Name)
			}
		}, "interface")
	}
	add("container_network_receive_bytes_total", "Bytes received.", func(n *model.InterfaceStats) uint64 { return n.RxBytes })
	add("container_network_receive_packets_total", "Packets received.", func(n *model.InterfaceStats) uint64 { return n.RxPackets })
	add("container_network_receive_packets_dropped_total", "Packets that were received and dropped.", func(n *model.InterfaceStats) uint64 { return n.RxDropped })
	add("container_network_receive_errors_total", "Errors while receiving.", func(n *model.InterfaceStats) uint64 { return n.RxErrors })
	add("container_network_transmit_bytes_total", "Bytes sent.", func(n *model.InterfaceStats) uint64 { return n.TxBytes })
	add("container_network_transmit_packets_total", "Packets sent.", func(n *model.InterfaceStats) uint64 { return n.TxPackets })
	add("container_network_transmit_packets_dropped_total", "Packets that were dropped instead of sent.", func(n *model.InterfaceStats) uint64 { return n.TxDropped })
	add("container_network_transmit_errors_total", "Errors while sending.", func(n *model.InterfaceStats) uint64 { return n.TxErrors })

	// states is for families with a sample of each state of a protocol's sockets.
	states := func(set cgroupinfo.MetricKind, label, name, help string, each func(*model.NetworkStats, func(string, uint64))) {
		t.add(set, gauge, name, help, func(s *samples, c *shown) {
			if c.stats.Network != nil {
				each(c.stats.Network, func(state string, n uint64) { s.at(c, float64(n), state) })
			}
		}, label)
	}
	tcp := func(p *model.TcpStat, add func(string, uint64)) {
		add("close", p.Close)
		add("closewait", p.CloseWait)
		add("closing", p.Closing)
		add("established", p.Established)
		add("finwait1", p.FinWait1)
		add("finwait2", p.FinWait2)
		add("lastack", p.LastAck)
		add("listen", p.Listen)
		add("synrecv", p.SynRecv)
		add("synsent", p.SynSent)
		add("timewait", p.TimeWait)
	}
	udp := func(p *model.UdpStat, add func(string, uint64)) {
		add("dropped", p.Dropped)
		add("listen", p.Listen)
		add("rxqueued", p.RxQueued)
		add("txqueued", p.TxQueued)
	}
	const tcpSet, udpSet = cgroupinfo.NetworkTcpUsageMetrics, cgroupinfo.NetworkUdpUsageMetrics
	states(tcpSet, "tcp_state", "container_network_tcp_usage_total", "TCP connections by state.", func(n *model.NetworkStats, add func(string, uint64)) { tcp(&n.Tcp, add) })
	states(tcpSet, "tcp_state", "container_network_tcp6_usage_total", "TCP connections over IPv6 by state.", func(n *model.NetworkStats, add func(string, uint64)) { tcp(&n.Tcp6, add) })
	states(udpSet, "udp_state", "container_network_udp_usage_total", "UDP sockets, what waits in them, and what was dropped.", func(n *model.NetworkStats, add func(string, uint64)) { udp(&n.Udp, add) })
	states(udpSet, "udp_state", "container_network_udp6_usage_total", "UDP sockets over IPv6, what waits in them, and what was dropped.", func(n *model.NetworkStats, add func(string, uint64)) { udp(&n.Udp6, add) })
}
