package netlink

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Route asks rtnetlink. The zero value is ready for use; it is not safe for
// concurrent use.
type Route struct{ socket }

// Close gives the socket back. The next question opens another.
func (r *Route) Close() { r.close() }

// Link is a network interface as RTM_NEWLINK describes it (struct ifinfomsg and
// the IFLA_ attributes of linux/if_link.h).
type Link struct {
	Index     int32
	Type      uint16 // ARPHRD_
	Flags     uint32 // IFF_, as userland sees them: see Link.DeviceFlags
	Name      string
	AltNames  []string
	Alias     string
	Address   string // of the link layer, as aa:bb:..; empty where it has none
	Broadcast string
	Kind      string // of driver, as ip-link(8) names it: veth, bridge ...; hardware has none

	MTU         uint32 // bytes
	TxQueueLen  uint32 // packets
	Group       uint32
	Lower       int32 // index of the interface below; its own where there is none
	Master      int32 // index of the bridge or bond that it is a port of; 0 for none
	OperState   uint8 // RFC 2863: see OperStates
	LinkMode    uint8
	Carrier     uint8
	Promiscuity uint32
	AllMulti    uint32

	CarrierChanges uint32
	CarrierUp      uint32
	CarrierDown    uint32

	Stats Stats

	has uint64 // the attributes that came, bit by number
}

// OperStates are the names of Link.OperState, as sysfs says them.
var OperStates = [...]string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}

// Stats are the counters of struct rtnl_link_stats64, in its order.
type Stats [StatCount]uint64

// Places in Stats.
const (
	RxPackets = iota
	TxPackets
	RxBytes
	TxBytes
	RxErrors
	TxErrors
	RxDropped
	TxDropped
	Multicast
	Collisions
	RxLengthErrors
	RxOverErrors
	RxCRCErrors
	RxFrameErrors
	RxFIFOErrors
	RxMissedErrors
	TxAbortedErrors
	TxCarrierErrors
	TxFIFOErrors
	TxHeartbeatErrors
	TxWindowErrors
	RxCompressed
	TxCompressed
	RxNoHandler
	StatCount
)

// Has tells whether the kernel gave an attribute, IFLA_ something below 64.
func (l *Link) Has(attribute uint16) bool { return attribute < 64 && l.has&(1<<attribute) != 0 }

// DeviceFlags are the flags that the kernel keeps of the device and sysfs shows
// (dev->flags). Link.Flags differ: RUNNING, LOWER_UP and DORMANT are added to
// them, and of PROMISC and ALLMULTI they hold what was asked for by hand, not
// what is in force. It needs IFLA_ALLMULTI, which kernels before 6.0 lack.
func (l *Link) DeviceFlags() uint32 {
	const derived = unix.IFF_RUNNING | unix.IFF_LOWER_UP | unix.IFF_DORMANT | unix.IFF_PROMISC | unix.IFF_ALLMULTI
	f := l.Flags &^ derived
	if l.Promiscuity > 0 {
		f |= unix.IFF_PROMISC
	}
	if l.AllMulti > 0 {
		f |= unix.IFF_ALLMULTI
	}
	return f
}

// Links lists the interfaces of the network namespace. It writes over the
// elements of into and reuses their strings; where those say what they said the
// last time, nothing is allocated.
func (r *Route) Links(into []Link) ([]Link, error) {
	n := 0
	whole, err := r.table(unix.NETLINK_ROUTE, unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func() { n = 0 }, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWLINK {
			return nil
		}
		if n == mostItems {
			return errTooMany
		}
		into = slot(into, n)
		n++
		return parseLink(body, &into[n-1])
	})
	switch {
	case err != nil:
		return into[:0], err
	case !whole: // interfaces come and go all the time: better a blurred view than none
		return uniqueLinks(into[:n]), nil
	}
	return into[:n], nil
}

// uniqueLinks drops what an interrupted dump may have said twice.
func uniqueLinks(links []Link) []Link {
	slices.SortStableFunc(links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(links, func(a, b Link) bool { return a.Name == b.Name })
}

// slot makes room for the element n of s, keeping an old element that is there.
func slot[T any](s []T, n int) []T {
	if n < cap(s) {
		return s[:max(n+1, len(s))]
	}
	var zero T
	return append(s[:n], zero)
}

// parseLink reads the body of an RTM_NEWLINK message into l, whose strings it
// keeps where they are the same.
func parseLink(b []byte, l *Link) error {
	if len(b) < unix.SizeofIfInfomsg {
		return fmt.Errorf("netlink: link of %d bytes", len(b))
	}
	old := *l
	*l = Link{Type: native.Uint16(b[2:]), Index: int32(native.Uint32(b[4:])), Flags: native.Uint32(b[8:]), AltNames: old.AltNames[:0]}
	l.Lower = l.Index
	for rest := b[unix.SizeofIfInfomsg:]; len(rest) > 0; {
		var a attr
		var err error
		if a, rest, err = nextAttr(rest); err != nil {
			return err
		}
		if a.typ < 64 {
			l.has |= 1 << a.typ
		}
		switch a.typ {
		case unix.IFLA_IFNAME:
			l.Name = reuse(old.Name, a.text())
		case unix.IFLA_IFALIAS:
			l.Alias = reuse(old.Alias, a.text())
		case unix.IFLA_ADDRESS:
			l.Address = hardwareAddress(old.Address, a.value)
		case unix.IFLA_BROADCAST:
			l.Broadcast = hardwareAddress(old.Broadcast, a.value)
		case unix.IFLA_PROP_LIST:
			if l.AltNames, err = parseAltNames(a.value, old.AltNames); err != nil {
				return err
			}
		case unix.IFLA_LINKINFO:
			if l.Kind, err = parseKind(a.value, old.Kind); err != nil {
				return err
			}
		case unix.IFLA_STATS64:
			l.Stats = parseStats(a.value)
		case unix.IFLA_MTU:
			l.MTU = a.uint32()
		case unix.IFLA_TXQLEN:
			l.TxQueueLen = a.uint32()
		case unix.IFLA_GROUP:
			l.Group = a.uint32()
		case unix.IFLA_LINK:
			l.Lower = int32(a.uint32())
		case unix.IFLA_MASTER:
			l.Master = int32(a.uint32())
		case unix.IFLA_OPERSTATE:
			l.OperState = a.uint8()
		case unix.IFLA_LINKMODE:
			l.LinkMode = a.uint8()
		case unix.IFLA_CARRIER:
			l.Carrier = a.uint8()
		case unix.IFLA_PROMISCUITY:
			l.Promiscuity = a.uint32()
		case unix.IFLA_ALLMULTI:
			l.AllMulti = a.uint32()
		case unix.IFLA_CARRIER_CHANGES:
			l.CarrierChanges = a.uint32()
		case unix.IFLA_CARRIER_UP_COUNT:
			l.CarrierUp = a.uint32()
		case unix.IFLA_CARRIER_DOWN_COUNT:
			l.CarrierDown = a.uint32()
		}
	}
	if l.Name == "" {
		return fmt.Errorf("netlink: link %d has no name", l.Index)
	}
	return nil
}

// parseKind reads what the driver says of a link, of which the kind is wanted.
func parseKind(b []byte, old string) (string, error) {
	for len(b) > 0 {
		a, rest, err := nextAttr(b)
		if err != nil {
			return "", err
		}
		if a.typ == unix.IFLA_INFO_KIND {
			return reuse(old, a.text()), nil
		}
		b = rest
	}
	return "", nil
}

// parseAltNames reads the list of properties, of which only names exist so far.
// It writes over old.
func parseAltNames(b []byte, old []string) ([]string, error) {
	names := old[:0]
	for len(b) > 0 {
		a, rest, err := nextAttr(b)
		if err != nil {
			return names, err
		}
		b = rest
		if a.typ != unix.IFLA_ALT_IFNAME || len(a.text()) == 0 {
			continue
		}
		names = slot(names, len(names))
		last := &names[len(names)-1]
		*last = reuse(*last, a.text())
	}
	return names, nil
}

// parseStats reads what the kernel has of the counters: its struct grew over time.
func parseStats(b []byte) (s Stats) {
	for i := range s {
		if len(b) < 8*(i+1) {
			break
		}
		s[i] = native.Uint64(b[8*i:])
	}
	return s
}

// hardwareAddress writes an address as the kernel does: hex digits and colons.
func hardwareAddress(old string, b []byte) string {
	const digits = "0123456789abcdef"
	const most = 32 // MAX_ADDR_LEN
	var text [3 * most]byte
	b = b[:min(len(b), most)]
	for i, c := range b {
		text[3*i], text[3*i+1], text[3*i+2] = digits[c>>4], digits[c&15], ':'
	}
	return reuse(old, text[:max(3*len(b)-1, 0)])
}
