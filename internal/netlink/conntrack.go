package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Conntrack asks about connection tracking (ctnetlink), for which the kernel
// wants CAP_NET_ADMIN. The zero value is ready for use; it is not safe for
// concurrent use.
type Conntrack struct{ socket }

// Close gives the socket back. The next question opens another.
func (c *Conntrack) Close() { c.close() }

// ConntrackStats are counters of connection tracking, by the CTA_STATS_ number of
// linux/netfilter/nfnetlink_conntrack.h, of all processors together.
type ConntrackStats [ConntrackStatCount]uint64

// Places in ConntrackStats. Kernels stopped counting some of them; those stay 0.
const (
	ConntrackFound         = 2
	ConntrackInvalid       = 4
	ConntrackIgnore        = 5
	ConntrackInsert        = 8
	ConntrackInsertFailed  = 9
	ConntrackDrop          = 10
	ConntrackEarlyDrop     = 11
	ConntrackSearchRestart = 13
	ConntrackStatCount     = 16
)

const (
	ctGetStatsCPU = unix.NFNL_SUBSYS_CTNETLINK<<8 | 4 // IPCTNL_MSG_CT_GET_STATS_CPU
	nfGenMsgLen   = 4                                 // struct nfgenmsg
)

// Stats adds up what each processor counted.
func (c *Conntrack) Stats() (ConntrackStats, error) {
	var s ConntrackStats
	_, err := c.table(unix.NETLINK_NETFILTER, ctGetStatsCPU, make([]byte, nfGenMsgLen), func() { s = ConntrackStats{} }, func(typ uint16, body []byte) error {
		if typ != ctGetStatsCPU {
			return nil
		}
		return s.add(body)
	})
	return s, err
}

// add reads the body of an answer, one processor. The numbers are in network order.
func (s *ConntrackStats) add(b []byte) error {
	for rest := b[min(nfGenMsgLen, len(b)):]; len(rest) > 0; {
		var a attr
		var err error
		if a, rest, err = nextAttr(rest); err != nil {
			return err
		}
		if int(a.typ) < len(s) && len(a.value) >= 4 {
			s[a.typ] += uint64(binary.BigEndian.Uint32(a.value))
		}
	}
	return nil
}
