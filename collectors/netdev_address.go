package collectors

// The IP addresses of the interfaces, from rtnetlink (RTM_GETADDR, rtnetlink(7)).

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

var netdevAddress = expo.Gauge("node_network_address_info", "An IP address of the interface; always 1.", "address", "device", "netmask", "scope")

type addressReader struct {
	route netlink.Route
	addrs []netlink.Addr
	texts []addressText // of addrs, by place
}

// addressText is an address as the labels say it.
type addressText struct {
	of                   netip.Prefix
	address, bits, scope string
}

// write writes the addresses of the interfaces to be kept.
func (a *addressReader) write(w *expo.Writer, links []netlink.Link, keep func(name string) bool) error {
	var err error
	if a.addrs, err = a.route.Addrs(a.addrs); err != nil {
		return fmt.Errorf("list of addresses: %w", err)
	}
	a.texts = slices.Grow(a.texts[:0], len(a.addrs))[:len(a.addrs)]
	at := 0 // in links: addresses of one interface come together
	for i, addr := range a.addrs {
		if at = linkAt(links, at, addr.Index); at == len(links) || !keep(links[at].Name) {
			continue
		}
		t := &a.texts[i]
		if t.of != addr.Prefix {
			ip := addr.Prefix.Addr()
			*t = addressText{addr.Prefix, ip.Unmap().String(), strconv.Itoa(addr.Prefix.Bits()), scopeOf(ip)}
		}
		w.Uint(netdevAddress, 1, t.address, links[at].Name, t.bits, t.scope)
	}
	return nil
}

// linkAt is the place of an interface, which is looked for from a place on, and
// len(links) if it is not there: it came or went meanwhile.
func linkAt(links []netlink.Link, from int, index int32) int {
	for i := range links {
		if at := (from + i) % len(links); links[at].Index == index {
			return at
		}
	}
	return len(links)
}

// scopeOf names how far an address reaches.
func scopeOf(ip netip.Addr) string {
	switch {
	case ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast():
		return "link-local"
	case ip.IsInterfaceLocalMulticast():
		return "interface-local"
	case ip.IsGlobalUnicast():
		return "global"
	}
	return ""
}
