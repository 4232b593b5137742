package netlink

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Path is one way that a unicast route leads: a route to several next hops has
// one for each.
type Path struct {
	Index       int32        // of the interface; 0 where the route names none
	Destination netip.Prefix // not valid for the default route
	Source      netip.Addr   // preferred; not valid where the route has none
	Gateway     netip.Addr   // not valid where the destination is on the link
	Priority    uint32       // the lower the better; "metric" to users
	Protocol    uint8        // RTPROT_: who made the route
	Weight      uint16       // among several next hops, from 1 on; 0 where there is one only
}

// Paths lists the unicast routes of all tables, of IPv4 and IPv6. It writes over
// the elements of into.
func (r *Route) Paths(into []Path) ([]Path, error) {
	_, err := r.table(unix.NETLINK_ROUTE, unix.RTM_GETROUTE, make([]byte, unix.SizeofRtMsg), func() { into = into[:0] }, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWROUTE {
			return nil
		}
		var err error
		if into, err = appendPaths(into, body); err == nil && len(into) > mostItems {
			err = errTooMany
		}
		return err
	})
	if err != nil {
		return into[:0], err
	}
	return into, nil
}

// appendPaths reads the body of an RTM_NEWROUTE message: struct rtmsg and the
// RTA_ attributes. Routes of other types than unicast are passed over.
func appendPaths(into []Path, b []byte) ([]Path, error) {
	if len(b) < unix.SizeofRtMsg {
		return into, fmt.Errorf("netlink: route of %d bytes", len(b))
	}
	bits, protocol, typ := int(b[1]), b[5], b[7]
	if typ != unix.RTN_UNICAST {
		return into, nil
	}
	p := Path{Protocol: protocol}
	var hops []byte
	for rest := b[unix.SizeofRtMsg:]; len(rest) > 0; {
		var a attr
		var err error
		if a, rest, err = nextAttr(rest); err != nil {
			return into, err
		}
		switch a.typ {
		case unix.RTA_DST:
			dst, _ := netip.AddrFromSlice(a.value)
			if p.Destination = netip.PrefixFrom(dst, bits); !p.Destination.IsValid() {
				return into, fmt.Errorf("netlink: route to %x/%d", a.value, bits)
			}
		case unix.RTA_PREFSRC:
			p.Source, _ = netip.AddrFromSlice(a.value)
		case unix.RTA_GATEWAY:
			p.Gateway, _ = netip.AddrFromSlice(a.value)
		case unix.RTA_VIA:
			p.Gateway = viaAddr(a.value)
		case unix.RTA_OIF:
			p.Index = int32(a.uint32())
		case unix.RTA_PRIORITY:
			p.Priority = a.uint32()
		case unix.RTA_MULTIPATH:
			hops = a.value
		}
	}
	if len(hops) == 0 {
		return append(into, p), nil
	}
	return appendHops(into, p, hops)
}

// appendHops reads a list of struct rtnexthop, each with attributes of its own.
func appendHops(into []Path, p Path, b []byte) ([]Path, error) {
	for len(b) > 0 {
		if len(b) < unix.SizeofRtNexthop {
			return into, fmt.Errorf("netlink: next hop of %d bytes", len(b))
		}
		n := int(native.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			return into, fmt.Errorf("netlink: next hop of length %d in %d bytes", n, len(b))
		}
		hop := p
		hop.Weight, hop.Index = uint16(b[3])+1, int32(native.Uint32(b[4:]))
		for rest := b[unix.SizeofRtNexthop:n]; len(rest) > 0; {
			var a attr
			var err error
			if a, rest, err = nextAttr(rest); err != nil {
				return into, err
			}
			switch a.typ {
			case unix.RTA_GATEWAY:
				hop.Gateway, _ = netip.AddrFromSlice(a.value)
			case unix.RTA_VIA:
				hop.Gateway = viaAddr(a.value)
			}
		}
		into = append(into, hop)
		b = b[min(align(n), len(b)):]
	}
	return into, nil
}

// viaAddr is the address of struct rtvia: a gateway of another family than the
// route, such as IPv4 by way of an IPv6 router (RFC 5549).
func viaAddr(b []byte) netip.Addr {
	const familyLen = 2
	if len(b) < familyLen {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(b[familyLen:])
	return a
}
