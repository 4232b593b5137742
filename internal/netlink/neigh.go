package netlink

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Neighbours counts the entries of the IPv4 neighbour table, ARP's, by the index
// of their interface. It writes over into. What needs no resolving (NUD_NOARP:
// loopback, multicast, point-to-point) is left out, as /proc/net/arp does.
func (r *Route) Neighbours(into map[int32]uint32) error {
	var ask [unix.SizeofNdMsg]byte
	ask[0] = unix.AF_INET
	_, err := r.table(unix.NETLINK_ROUTE, unix.RTM_GETNEIGH, ask[:], func() { clear(into) }, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWNEIGH {
			return nil
		}
		index, state, err := parseNeighbour(body)
		if err == nil && state&unix.NUD_NOARP == 0 {
			into[index]++
		}
		return err
	})
	return err
}

// parseNeighbour reads the fixed part of an RTM_NEWNEIGH message, struct ndmsg.
func parseNeighbour(b []byte) (index int32, state uint16, err error) {
	if len(b) < unix.SizeofNdMsg {
		return 0, 0, fmt.Errorf("netlink: neighbour of %d bytes", len(b))
	}
	return int32(native.Uint32(b[4:])), native.Uint16(b[8:]), nil
}
