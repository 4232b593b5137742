package netlink

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Qdisc is a queueing discipline as RTM_NEWQDISC describes it (struct tcmsg and
// the TCA_ attributes of linux/rtnetlink.h, counters of linux/gen_stats.h).
type Qdisc struct {
	Index  int32  // of the interface
	Parent uint32 // RootParent at the root of an interface
	Kind   string

	Bytes, Packets uint64 // sent

	Length     uint32 // packets in the queue
	Backlog    uint32 // bytes in the queue
	Drops      uint32
	Requeues   uint32
	Overlimits uint32
}

// RootParent is the parent of a discipline at the root (TC_H_ROOT).
const RootParent = 0xffffffff

// The attributes inside of TCA_STATS2.
const (
	statsBasic     = 1 // TCA_STATS_BASIC: struct gnet_stats_basic
	statsQueue     = 3 // TCA_STATS_QUEUE: struct gnet_stats_queue
	statsPackets64 = 8 // TCA_STATS_PKT64
)

const tcMsgLen = 20 // struct tcmsg

// Qdiscs lists the queueing disciplines of all interfaces. It writes over the
// elements of into and reuses their strings.
func (r *Route) Qdiscs(into []Qdisc) ([]Qdisc, error) {
	n := 0
	_, err := r.table(unix.NETLINK_ROUTE, unix.RTM_GETQDISC, make([]byte, tcMsgLen), func() { n = 0 }, func(typ uint16, body []byte) error {
		if typ != unix.RTM_NEWQDISC {
			return nil
		}
		if n == mostItems {
			return errTooMany
		}
		into = slot(into, n)
		n++
		return parseQdisc(body, &into[n-1])
	})
	if err != nil {
		return into[:0], err
	}
	return into[:n], nil
}

// parseQdisc reads the body of an RTM_NEWQDISC message into q, whose string it
// keeps where it is the same.
func parseQdisc(b []byte, q *Qdisc) error {
	if len(b) < tcMsgLen {
		return fmt.Errorf("netlink: queueing discipline of %d bytes", len(b))
	}
	old := q.Kind
	*q = Qdisc{Index: int32(native.Uint32(b[4:])), Parent: native.Uint32(b[12:])}
	for rest := b[tcMsgLen:]; len(rest) > 0; {
		var a attr
		var err error
		if a, rest, err = nextAttr(rest); err != nil {
			return err
		}
		switch a.typ {
		case unix.TCA_KIND:
			q.Kind = reuse(old, a.text())
		case unix.TCA_STATS2:
			if err := q.parseStats(a.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *Qdisc) parseStats(b []byte) error {
	for len(b) > 0 {
		var a attr
		var err error
		if a, b, err = nextAttr(b); err != nil {
			return err
		}
		v := a.value
		switch {
		case a.typ == statsBasic && len(v) >= 12:
			q.Bytes = native.Uint64(v)
			q.Packets = max(q.Packets, uint64(native.Uint32(v[8:])))
		case a.typ == statsPackets64 && len(v) >= 8: // given once 32 bits do not suffice
			q.Packets = native.Uint64(v)
		case a.typ == statsQueue && len(v) >= 20:
			q.Length, q.Backlog, q.Drops = native.Uint32(v), native.Uint32(v[4:]), native.Uint32(v[8:])
			q.Requeues, q.Overlimits = native.Uint32(v[12:]), native.Uint32(v[16:])
		}
	}
	return nil
}
