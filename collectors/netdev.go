package collectors

// Traffic of the network interfaces, from rtnetlink's counters of 64 bits (struct
// rtnl_link_stats64 in linux/if_link.h), or from /proc/net/dev, which adds some of
// them up (kernel: net/core/net-procfs.c): see netdev_file.go.

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

// netdevSet is a set of families, by where the numbers are from and whether the
// detailed names are wanted.
type netdevSet uint8

const (
	netdevPlain        netdevSet = 1 << iota // the columns of /proc/net/dev, from rtnetlink
	netdevDetailed                           // the kernel's counters one by one
	netdevFile                               // the columns of /proc/net/dev, from there
	netdevFileDetailed                       // the same with some detailed names

	netdevAll = netdevPlain | netdevDetailed | netdevFile | netdevFileDetailed
)

// netdevRow is a family and the counters that are added up for it.
type netdevRow struct {
	family *expo.Family
	of     []int // places in netlink.Stats
	in     netdevSet
}

var netdevFamilies = []netdevRow{
	{expo.Counter("node_network_receive_bytes_total", "Bytes received.", "device"), []int{netlink.RxBytes}, netdevAll},
	{expo.Counter("node_network_receive_packets_total", "Packets received.", "device"), []int{netlink.RxPackets}, netdevAll},
	{expo.Counter("node_network_receive_errs_total", "Packets received with an error of any kind.", "device"), []int{netlink.RxErrors}, netdevPlain | netdevFile},
	{expo.Counter("node_network_receive_errors_total", "Packets received with an error of any kind.", "device"), []int{netlink.RxErrors}, netdevDetailed | netdevFileDetailed},
	{expo.Counter("node_network_receive_drop_total", "Packets received that were dropped, by the kernel or for want of room in the device.", "device"), []int{netlink.RxDropped, netlink.RxMissedErrors}, netdevPlain | netdevFile},
	{expo.Counter("node_network_receive_dropped_total", "Packets received that the kernel dropped.", "device"), []int{netlink.RxDropped}, netdevDetailed | netdevFileDetailed},
	{expo.Counter("node_network_receive_missed_errors_total", "Packets that the device dropped because the host had no buffer for them.", "device"), []int{netlink.RxMissedErrors}, netdevDetailed},
	{expo.Counter("node_network_receive_fifo_total", "Packets lost because the receiver's queue overran.", "device"), []int{netlink.RxFIFOErrors}, netdevPlain | netdevFile | netdevFileDetailed},
	{expo.Counter("node_network_receive_fifo_errors_total", "Packets lost because the receiver's queue overran.", "device"), []int{netlink.RxFIFOErrors}, netdevDetailed},
	{expo.Counter("node_network_receive_frame_total", "Packets received with a bad length, frame or checksum, or that overran the ring.", "device"), []int{netlink.RxFrameErrors, netlink.RxLengthErrors, netlink.RxOverErrors, netlink.RxCRCErrors}, netdevPlain | netdevFile | netdevFileDetailed},
	{expo.Counter("node_network_receive_frame_errors_total", "Packets received that were not aligned to whole bytes.", "device"), []int{netlink.RxFrameErrors}, netdevDetailed},
	{expo.Counter("node_network_receive_length_errors_total", "Packets received of an impossible length.", "device"), []int{netlink.RxLengthErrors}, netdevDetailed},
	{expo.Counter("node_network_receive_over_errors_total", "Packets that overran the receiver's ring.", "device"), []int{netlink.RxOverErrors}, netdevDetailed},
	{expo.Counter("node_network_receive_crc_errors_total", "Packets received with a wrong checksum.", "device"), []int{netlink.RxCRCErrors}, netdevDetailed},
	{expo.Counter("node_network_receive_compressed_total", "Compressed packets received (CSLIP, PPP).", "device"), []int{netlink.RxCompressed}, netdevAll},
	{expo.Counter("node_network_receive_multicast_total", "Multicast packets received.", "device"), []int{netlink.Multicast}, netdevPlain | netdevFile | netdevFileDetailed},
	{expo.Counter("node_network_multicast_total", "Multicast packets received.", "device"), []int{netlink.Multicast}, netdevDetailed},
	{expo.Counter("node_network_receive_nohandler_total", "Packets received on an inactive device, for which nobody was there.", "device"), []int{netlink.RxNoHandler}, netdevPlain | netdevDetailed},
	{expo.Counter("node_network_transmit_bytes_total", "Bytes sent.", "device"), []int{netlink.TxBytes}, netdevAll},
	{expo.Counter("node_network_transmit_packets_total", "Packets sent.", "device"), []int{netlink.TxPackets}, netdevAll},
	{expo.Counter("node_network_transmit_errs_total", "Packets not sent because of an error of any kind.", "device"), []int{netlink.TxErrors}, netdevPlain | netdevFile},
	{expo.Counter("node_network_transmit_errors_total", "Packets not sent because of an error of any kind.", "device"), []int{netlink.TxErrors}, netdevDetailed | netdevFileDetailed},
	{expo.Counter("node_network_transmit_drop_total", "Packets to send that were dropped.", "device"), []int{netlink.TxDropped}, netdevPlain | netdevFile},
	{expo.Counter("node_network_transmit_dropped_total", "Packets to send that were dropped.", "device"), []int{netlink.TxDropped}, netdevDetailed | netdevFileDetailed},
	{expo.Counter("node_network_transmit_fifo_total", "Packets lost because the sender's queue overran.", "device"), []int{netlink.TxFIFOErrors}, netdevPlain | netdevFile | netdevFileDetailed},
	{expo.Counter("node_network_transmit_fifo_errors_total", "Packets lost because the sender's queue overran.", "device"), []int{netlink.TxFIFOErrors}, netdevDetailed},
	{expo.Counter("node_network_transmit_colls_total", "Collisions while sending.", "device"), []int{netlink.Collisions}, netdevPlain | netdevFile | netdevFileDetailed},
	{expo.Counter("node_network_collisions_total", "Collisions while sending.", "device"), []int{netlink.Collisions}, netdevDetailed},
	{expo.Counter("node_network_transmit_carrier_total", "Packets not sent for want of a carrier, or aborted by the device.", "device"), []int{netlink.TxCarrierErrors, netlink.TxAbortedErrors, netlink.TxWindowErrors, netlink.TxHeartbeatErrors}, netdevPlain | netdevFile | netdevFileDetailed},
	{expo.Counter("node_network_transmit_carrier_errors_total", "Packets not sent for want of a carrier.", "device"), []int{netlink.TxCarrierErrors}, netdevDetailed},
	{expo.Counter("node_network_transmit_aborted_errors_total", "Packets whose sending was aborted.", "device"), []int{netlink.TxAbortedErrors}, netdevDetailed},
	{expo.Counter("node_network_transmit_heartbeat_errors_total", "Missing heartbeats of old Ethernet.", "device"), []int{netlink.TxHeartbeatErrors}, netdevDetailed},
	{expo.Counter("node_network_transmit_window_errors_total", "Collisions that came too late.", "device"), []int{netlink.TxWindowErrors}, netdevDetailed},
	{expo.Counter("node_network_transmit_compressed_total", "Compressed packets sent (CSLIP, PPP).", "device"), []int{netlink.TxCompressed}, netdevAll},
}

// NetdevConfig configures the netdev collector. Only one of the patterns may be given.
type NetdevConfig struct {
	DeviceInclude string // keep only interfaces that match
	DeviceExclude string // leave out interfaces that match
	AddressInfo   bool   // also the interfaces' addresses
	Detailed      bool   // the kernel's counters one by one
	Netlink       bool   // ask rtnetlink and not /proc/net/dev
	LabelIfalias  bool   // put the interface's alias on each series

	// Other network namespaces to tell of, by a label netns: names below /run/netns,
	// paths as /proc/1234/ns/net, or patterns (path.Match) of such.
	Netns []string
}

type netdev struct {
	cfg       NetdevConfig
	filter    *Filter
	virtual   *virtualLinks
	rows      []netdevRow
	links     *links
	file      *netdevFileReader // nil: rtnetlink is asked
	live      bool              // whether rtnetlink tells of the interfaces of file
	devices   []netDevice
	addresses addressReader
	netns     *netnsReader // nil: of no other namespace
}

// netDevice is an interface and what it counted.
type netDevice struct {
	labels [3]string // name, and of alias and namespace what is wanted
	stats  *netlink.Stats
}

func newNetdev(c Config) (Collector, error) {
	filter, err := NewEitherFilter("collector.netdev.device", c.Netdev.DeviceInclude, c.Netdev.DeviceExclude)
	if err != nil {
		return nil, err
	}
	virtual, err := c.virtual()
	if err != nil {
		return nil, err
	}
	n := &netdev{cfg: c.Netdev, filter: filter, virtual: virtual, links: c.linkSource(), live: c.FS.Live()}
	set := netdevPlain
	// A captured tree without the file: node_exporter's numbers are the live kernel's then.
	if !c.Netdev.Netlink || !c.FS.Live() && exists(c.FS.ProcPath("net/dev")) {
		n.file = newNetdevFile(c.FS)
		set = netdevFile
	}
	if c.Netdev.Detailed {
		set <<= 1 // the detailed set follows each
	}
	n.rows = netdevRowsOf(set)
	if c.Netdev.LabelIfalias {
		for i := range n.rows {
			n.rows[i].family = n.rows[i].family.With("ifalias")
		}
	}
	if len(c.Netdev.Netns) > 0 {
		if n.netns, err = newNetnsReader(c.FS, c.Netdev.Netns); err != nil {
			return nil, err
		}
		for i := range n.rows {
			n.rows[i].family = n.rows[i].family.With("netns")
		}
	}
	return n, nil
}

// netdevRowsOf are the families of a set.
func netdevRowsOf(set netdevSet) []netdevRow {
	var rows []netdevRow
	for _, r := range netdevFamilies {
		if r.in&set != 0 {
			rows = append(rows, r)
		}
	}
	return rows
}

// Collect implements Collector.
func (n *netdev) Collect(ctx context.Context, w *expo.Writer) error {
	n.devices = n.devices[:0]
	var table *linkTable
	if n.file == nil || n.cfg.AddressInfo || n.virtual != nil && n.live {
		var err error
		if table, err = n.links.take(ctx); err != nil {
			return err
		}
		defer table.release()
		n.virtual.look(table.links)
	}
	if n.file != nil {
		if err := n.fromFile(); err != nil {
			return err
		}
	} else {
		n.fromLinks(table.links)
	}
	labels := 1
	if n.cfg.LabelIfalias {
		labels++
	}
	var elsewhere error
	if n.netns != nil {
		labels++
		elsewhere = n.fromNetns(ctx)
	}
	for _, r := range n.rows {
		for i := range n.devices {
			d := &n.devices[i]
			var sum uint64
			for _, place := range r.of {
				sum += d.stats[place]
			}
			w.Uint(r.family, sum, d.labels[:labels]...)
		}
	}
	if n.cfg.AddressInfo {
		return errors.Join(n.addresses.write(w, table.links, n.keep), elsewhere)
	}
	return elsewhere
}

// add adds a device; netns is empty for those of this process' own namespace.
func (n *netdev) add(name, alias, netns string, stats *netlink.Stats) {
	d := netDevice{[3]string{name}, stats}
	at := 1
	if n.cfg.LabelIfalias {
		d.labels[at] = alias
		at++
	}
	if n.netns != nil {
		d.labels[at] = netns
	}
	n.devices = append(n.devices, d)
}

// fromNetns gathers the devices of other namespaces. Virtual ones are not left out
// there: a pod's own interface is one.
func (n *netdev) fromNetns(ctx context.Context) error {
	spaces, err := n.netns.read(ctx)
	for _, space := range spaces {
		for i := range space.links {
			if l := &space.links[i]; l.Has(unix.IFLA_STATS64) && n.filter.Keep(l.Name) {
				n.add(l.Name, strings.TrimSpace(l.Alias), space.label, &l.Stats)
			}
		}
	}
	return err
}

// keep tells whether an interface is shown.
func (n *netdev) keep(name string) bool { return n.filter.Keep(name) && n.virtual.keep(name) }

// fromLinks gathers the devices out of rtnetlink's answer.
func (n *netdev) fromLinks(links []netlink.Link) {
	for i := range links {
		if l := &links[i]; l.Has(unix.IFLA_STATS64) && n.keep(l.Name) {
			n.add(l.Name, strings.TrimSpace(l.Alias), "", &l.Stats)
		}
	}
}

// fromFile gathers the devices out of /proc/net/dev.
func (n *netdev) fromFile() error {
	lines, err := n.file.read()
	if err != nil {
		return err
	}
	if n.virtual != nil && !n.live {
		var names []string
		for i := range lines {
			names = append(names, lines[i].name)
		}
		n.virtual.lookAtFiles(names)
	}
	for i := range lines {
		l := &lines[i]
		if !n.keep(l.name) {
			continue
		}
		alias := ""
		if n.cfg.LabelIfalias {
			alias = n.file.alias(l.name)
		}
		n.add(l.name, alias, "", &l.stats)
	}
	return nil
}
