package netlink

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Addr is an IP address of an interface as RTM_NEWADDR describes it.
type Addr struct {
	Index  int32 // of the interface
	Prefix netip.Prefix
}

// Addrs lists the IP addresses of all interfaces of the network namespace. It
// writes over the elements of into.
func (r *Route) Addrs(into []Addr) ([]Addr, error) {
	_, err := r.table(unix.NETLINK_ROUTE, unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func() { into = into[:0] }, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWADDR {
			return nil
		}
		if len(into) == mostItems {
			return errTooMany
		}
		a, err := parseAddr(body)
		if a.Prefix.IsValid() {
			into = append(into, a)
		}
		return err
	})
	if err != nil {
		return into[:0], err
	}
	return into, nil
}

// parseAddr reads the body of an RTM_NEWADDR message. Of the two addresses of a
// point-to-point interface it takes the local one. An address of another family
// than IP is returned with an invalid prefix.
func parseAddr(b []byte) (Addr, error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return Addr{}, fmt.Errorf("netlink: address of %d bytes", len(b))
	}
	family, bits := b[0], int(b[1])
	a := Addr{Index: int32(native.Uint32(b[4:]))}
	var address, local netip.Addr
	for rest := b[unix.SizeofIfAddrmsg:]; len(rest) > 0; {
		var at attr
		var err error
		if at, rest, err = nextAttr(rest); err != nil {
			return a, err
		}
		switch at.typ {
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(at.value)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(at.value)
		}
	}
	if local.IsValid() {
		address = local
	}
	if family != unix.AF_INET && family != unix.AF_INET6 || !address.IsValid() {
		return a, nil
	}
	a.Prefix = netip.PrefixFrom(address, bits)
	if !a.Prefix.IsValid() {
		return a, fmt.Errorf("netlink: address %s with a prefix of %d bits", address, bits)
	}
	return a, nil
}
