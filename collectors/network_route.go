package collectors

// Unicast routes of all tables, IPv4 and IPv6, from one dump of rtnetlink
// (RTM_GETROUTE). A route with several next hops counts once for each.

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

var (
	networkRouteInfo = expo.Gauge("node_network_route_info", "A way that a route leads; always 1.",
		"device", "src", "dest", "gw", "priority", "proto", "weight")
	networkRoutes = expo.Gauge("node_network_routes", "Routes by interface; one with several next hops counts for each.", "device")
)

// routeProtocols are the names of who made a route (linux/rtnetlink.h).
var routeProtocols = map[uint8]string{
	0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt",
	11: "zebra", 12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 42: "babel",
	186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
}

type networkRoute struct {
	links *links
	route netlink.Route
	paths []netlink.Path

	scrape  uint64
	known   map[netlink.Path]*routeLabels
	labels  map[[7]string]*routeLabels // those of known: several paths may look the same
	devices []routeDevice
	byIndex map[int32]int // places in devices
}

// routeLabels are the label values of a path.
type routeLabels struct {
	values [7]string
	scrape uint64 // the last in which they were written
}

type routeDevice struct {
	name  string
	count uint64
}

func newNetworkRoute(c Config) (Collector, error) {
	return &networkRoute{links: c.linkSource(), known: make(map[netlink.Path]*routeLabels), labels: make(map[[7]string]*routeLabels), byIndex: make(map[int32]int)}, nil
}

// Collect implements Collector.
func (n *networkRoute) Collect(ctx context.Context, w *expo.Writer) error {
	var err error
	if n.paths, err = n.route.Paths(n.paths); err != nil {
		return fmt.Errorf("list of routes: %w", err)
	}
	table, err := n.links.take(ctx)
	if err != nil {
		return err
	}
	n.name(table.links)
	table.release()
	n.write(w)
	return nil
}

// write tells of the paths, once the interfaces have their names.
func (n *networkRoute) write(w *expo.Writer) {
	n.scrape++
	if len(n.known) > 2*len(n.paths)+64 {
		clear(n.known) // routes come and go
		clear(n.labels)
	}
	for _, p := range n.paths {
		device, there := n.byIndex[p.Index]
		if !there {
			continue // of an interface that vanished, or came, after the other list was made
		}
		n.devices[device].count++
		l := n.known[p]
		if l == nil || l.values[0] != n.devices[device].name {
			l = n.labelled(pathLabels(n.devices[device].name, p))
			n.known[p] = l
		}
		if l.scrape != n.scrape { // else there is such a route in another table
			l.scrape = n.scrape
			w.Uint(networkRouteInfo, 1, l.values[:]...)
		}
	}
	for _, d := range n.devices {
		if d.count > 0 {
			w.Uint(networkRoutes, d.count, d.name)
		}
	}
}

// labelled are the labels with these values, the same for all paths that have them.
func (n *networkRoute) labelled(values [7]string) *routeLabels {
	l := n.labels[values]
	if l == nil {
		l = &routeLabels{values: values}
		n.labels[values] = l
	}
	return l
}

// name takes over the interfaces' names. The first place is for routes without one.
func (n *networkRoute) name(links []netlink.Link) {
	clear(n.byIndex)
	const none = 0 // the index that routes without an interface have
	n.byIndex[none] = 0
	n.devices = append(n.devices[:0], routeDevice{})
	for i := range links {
		n.byIndex[links[i].Index] = len(n.devices)
		n.devices = append(n.devices, routeDevice{name: links[i].Name})
	}
}

func pathLabels(device string, p netlink.Path) [7]string {
	destination, weight := "default", ""
	if p.Destination.IsValid() && p.Destination.Bits() > 0 {
		destination = p.Destination.String()
	}
	if p.Weight > 0 {
		weight = strconv.Itoa(int(p.Weight))
	}
	protocol, ok := routeProtocols[p.Protocol]
	if !ok {
		protocol = "unknown"
	}
	return [7]string{device, addrLabel(p.Source), destination, addrLabel(p.Gateway), strconv.FormatUint(uint64(p.Priority), 10), protocol, weight}
}

// addrLabel is an address, empty where there is none.
func addrLabel(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
