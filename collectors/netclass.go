package collectors

// State and properties of the network interfaces, as in the files of
// /sys/class/net/IFACE (kernel: Documentation/ABI/testing/sysfs-class-net). On a
// live host they come from rtnetlink and ethtool's netlink instead, in one question
// each for all interfaces: see netclass_netlink.go and docs/design/netlink.md. From
// the files themselves (netclass_sysfs.go) only where those are of another host or
// network namespace.

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

var (
	netclassUp = expo.Gauge("node_network_up", "Whether the interface's operational state is up.", "device")

	netclassInfo = expo.Gauge("node_network_info", "What of the interface is no number; always 1.",
		"address", "adminstate", "broadcast", "device", "duplex", "ifalias", "operstate")
	netclassAltnames = expo.Gauge("node_network_altnames_info", "Another name of the interface; always 1.", "altname", "device")
)

// Places in netclassFields.
const (
	netAddressAssign = iota
	netCarrier
	netCarrierChanges
	netCarrierUp
	netCarrierDown
	netDeviceID
	netDormant
	netFlags
	netIndex
	netLower
	netLinkMode
	netMTU
	netNameAssign
	netGroup
	netSpeed
	netQueueLength
	netType
	netFieldCount
)

// netclassFields are the numbers of an interface and the file that each is in.
var netclassFields = [netFieldCount]struct {
	family *expo.Family
	file   string
}{
	netAddressAssign:  {expo.Gauge("node_network_address_assign_type", "Where the hardware address is from: 0 the device, 1 chance, 2 another interface, 3 set by hand.", "device"), "addr_assign_type"},
	netCarrier:        {expo.Gauge("node_network_carrier", "Whether the interface has a carrier. Not there while it is down.", "device"), "carrier"},
	netCarrierChanges: {expo.Counter("node_network_carrier_changes_total", "How often the carrier came or went.", "device"), "carrier_changes"},
	netCarrierUp:      {expo.Counter("node_network_carrier_up_changes_total", "How often the carrier came.", "device"), "carrier_up_count"},
	netCarrierDown:    {expo.Counter("node_network_carrier_down_changes_total", "How often the carrier went.", "device"), "carrier_down_count"},
	netDeviceID:       {expo.Gauge("node_network_device_id", "Tells apart interfaces that share one hardware address.", "device"), "dev_id"},
	netDormant:        {expo.Gauge("node_network_dormant", "Whether the interface waits for something outside (IEEE 802.1X) before it passes packets. Not there while it is down.", "device"), "dormant"},
	netFlags:          {expo.Gauge("node_network_flags", "The interface's flags (IFF_UP is 1, IFF_BROADCAST is 2 ...) as a number.", "device"), "flags"},
	netIndex:          {expo.Gauge("node_network_iface_id", "The interface's index.", "device"), "ifindex"},
	netLower:          {expo.Gauge("node_network_iface_link", "Index of the interface below this one, its own where there is none.", "device"), "iflink"},
	netLinkMode:       {expo.Gauge("node_network_iface_link_mode", "Who decides that the interface passes packets: 0 its driver, 1 a program.", "device"), "link_mode"},
	netMTU:            {expo.Gauge("node_network_mtu_bytes", "The largest packet.", "device"), "mtu"},
	netNameAssign:     {expo.Gauge("node_network_name_assign_type", "Where the name is from: 1 the kernel, by counting; 2 the kernel, predictably; 3 a program; 4 it was renamed.", "device"), "name_assign_type"},
	netGroup:          {expo.Gauge("node_network_net_dev_group", "The group that the interface was put into.", "device"), "netdev_group"},
	netSpeed:          {expo.Gauge("node_network_speed_bytes", "Speed of the link in bytes per second; negative where the driver does not know it. Not there while the interface is down.", "device"), "speed"},
	netQueueLength:    {expo.Gauge("node_network_transmit_queue_length", "How many packets the transmit queue holds.", "device"), "tx_queue_len"},
	netType:           {expo.Gauge("node_network_protocol_type", "Kind of hardware, an ARPHRD number: 1 is Ethernet, 772 the loopback.", "device"), "type"},
}

// DefaultNetclassIgnoredDevices ignores none.
const DefaultNetclassIgnoredDevices = "^$"

// NetclassConfig configures the netclass collector.
type NetclassConfig struct {
	IgnoredDevices     string // leave out interfaces that match
	IgnoreInvalidSpeed bool   // no speed where the driver does not know it
	Netlink            bool   // what netlink says, also where sysfs would say something else
	WithStats          bool   // with Netlink: also the counters of netdev's detailed set
}

// netInterface is what is told of one interface.
type netInterface struct {
	name, address, broadcast, duplex, operstate, alias string

	v    [netFieldCount]int64
	has  uint32        // which of v are there, bit by number
	link *netlink.Link // nil if it was read from files
}

func (i *netInterface) set(field int, v int64) {
	i.v[field] = v
	i.has |= 1 << field
}

// setSpeed takes Mbit/s.
func (i *netInterface) setSpeed(v int64) { i.set(netSpeed, v*1000*1000/8) }

// adminState is whether the interface was switched on.
func (i *netInterface) adminState() string {
	switch {
	case i.has&(1<<netFlags) == 0:
		return "unknown"
	case i.v[netFlags]&unix.IFF_UP != 0:
		return "up"
	}
	return "down"
}

type netclass struct {
	cfg     NetclassConfig
	log     *slog.Logger
	netlink *netclassNetlink // nil: captured files
	sysfs   *netclassSysfs
	counted []netdevRow

	odd     int    // how often in a row netlink could not be used, while nothing changed
	oddView uint64 // what was seen then
	again   time.Time
	now     func() time.Time
}

// After so many scrapes in which netlink's view was not that of sysfs though neither
// changed, netlink is left alone for a while: this is another network namespace.
// While interfaces come and go the views differ for moments, each time otherwise.
const (
	netclassOddities = 3
	netclassRetry    = time.Minute
)

func newNetclass(c Config) (Collector, error) {
	filter, err := NewFilter("", c.Netclass.IgnoredDevices)
	if err != nil {
		return nil, err
	}
	virtual, err := c.virtual()
	if err != nil {
		return nil, err
	}
	n := &netclass{cfg: c.Netclass, log: c.Log, sysfs: newNetclassSysfs(c.FS, filter, virtual), now: time.Now}
	if c.FS.Live() {
		n.netlink = newNetclassNetlink(c.FS, c.linkSource(), filter, virtual, c.Netclass.Netlink)
	}
	if c.Netclass.Netlink && c.Netclass.WithStats {
		n.counted = netdevRowsOf(netdevDetailed)
		return netclassWithStats{n}, nil
	}
	return n, nil
}

// netclassWithStats has families that netdev may have too; they give way to
// netdev's.
type netclassWithStats struct{ *netclass }

func (netclassWithStats) foreign() {}

// Collect implements Collector.
func (n *netclass) Collect(ctx context.Context, w *expo.Writer) error {
	if n.netlink == nil || n.now().Before(n.again) {
		return n.collectFiles(w)
	}
	table, err := n.netlink.links.take(ctx)
	var view uint64
	if err == nil {
		defer table.release()
		var interfaces []netInterface
		if interfaces, err = n.netlink.read(table.links); err == nil {
			n.odd = 0
			n.sysfs.close()
			n.write(w, interfaces)
			return nil
		}
		view = n.netlink.view(table.links)
	}
	if n.cfg.Netlink || ctx.Err() != nil {
		return err
	}
	if view != n.oddView {
		n.odd, n.oddView = 0, view
	}
	if n.odd++; n.odd >= netclassOddities {
		if n.again.IsZero() {
			n.log.Warn("Interfaces are read from sysfs file by file", "reason", err)
		}
		n.odd, n.again = 0, n.now().Add(netclassRetry)
	}
	return n.collectFiles(w)
}

func (n *netclass) collectFiles(w *expo.Writer) error {
	interfaces, err := n.sysfs.read()
	if err != nil {
		return err
	}
	n.write(w, interfaces)
	return nil
}

func (n *netclass) write(w *expo.Writer, interfaces []netInterface) {
	for i := range interfaces {
		var up uint64
		if interfaces[i].operstate == "up" {
			up = 1
		}
		w.Uint(netclassUp, up, interfaces[i].name)
	}
	for i := range interfaces {
		k := &interfaces[i]
		w.Uint(netclassInfo, 1, k.address, k.adminState(), k.broadcast, k.name, k.duplex, strings.TrimSpace(k.alias), k.operstate)
	}
	for field, f := range netclassFields {
		for i := range interfaces {
			k := &interfaces[i]
			if k.has&(1<<field) == 0 || field == netSpeed && k.v[field] < 0 && (n.cfg.IgnoreInvalidSpeed || n.cfg.Netlink) {
				continue
			}
			w.Sample(f.family, float64(k.v[field]), k.name)
		}
	}
	if !n.cfg.Netlink {
		return
	}
	for i := range interfaces {
		if l := interfaces[i].link; l != nil {
			for _, other := range l.AltNames {
				w.Uint(netclassAltnames, 1, other, l.Name)
			}
		}
	}
	for _, r := range n.counted {
		for i := range interfaces {
			if l := interfaces[i].link; l != nil && l.Has(unix.IFLA_STATS64) {
				w.Uint(r.family, l.Stats[r.of[0]], l.Name)
			}
		}
	}
}
