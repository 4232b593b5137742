package netlink

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Ethtool asks the generic netlink family "ethtool". The zero value is ready for
// use; it is not safe for concurrent use.
type Ethtool struct {
	socket
	family uint16 // its number here; 0 while it is not known
}

// Close gives the socket back. The next question opens another.
func (e *Ethtool) Close() { e.close() }

// ErrNoEthtool says that the kernel has no ethtool netlink: it is older than 5.6
// or was built without it.
var ErrNoEthtool = errors.New("netlink: the kernel has no ethtool family")

// Mode is the link mode of an interface (ETHTOOL_MSG_LINKMODES_GET).
type Mode struct {
	Known  bool  // whether the driver told
	Speed  int32 // Mbit/s; -1 where the driver does not know it
	Duplex uint8 // half is 0, full is 1; others are unknown
}

// inFlight is how many questions are asked at once: their answers must fit into
// the socket's receive buffer.
const inFlight = 32

// Modes asks the driver of each interface for its link mode. The result has one
// element for each index; it is written over into. Each interface is asked by
// itself and not all in a dump, because a dump wakes devices that sleep and ends
// at the first driver that fails. A driver that does not tell is not an error.
func (e *Ethtool) Modes(indexes []int32, into []Mode) ([]Mode, error) {
	into = into[:0]
	for range indexes {
		into = append(into, Mode{Speed: -1})
	}
	if len(indexes) == 0 {
		return into, nil
	}
	err := e.resolve()
	for from := 0; err == nil && from < len(indexes); from += inFlight {
		to := min(from+inFlight, len(indexes))
		err = e.modes(indexes[from:to], into[from:to])
	}
	if err != nil {
		e.close()
		return into[:0], err
	}
	return into, nil
}

// modes asks for at most inFlight interfaces.
func (e *Ethtool) modes(indexes []int32, into []Mode) error {
	e.req = e.req[:0]
	first := e.seq + 1
	for _, index := range indexes {
		at := e.begin(e.family, 0)
		e.req = append(e.req, unix.ETHTOOL_MSG_LINKMODES_GET, unix.ETHTOOL_GENL_VERSION, 0, 0)
		e.req = native.AppendUint16(e.req, attrHeaderLen+8+8)
		e.req = native.AppendUint16(e.req, unix.ETHTOOL_A_LINKMODES_HEADER|unix.NLA_F_NESTED)
		e.req = appendUint32Attr(e.req, unix.ETHTOOL_A_HEADER_DEV_INDEX, uint32(index))
		e.req = appendUint32Attr(e.req, unix.ETHTOOL_A_HEADER_FLAGS, unix.ETHTOOL_FLAG_COMPACT_BITSETS)
		e.end(at)
	}
	if err := e.send(); err != nil {
		return err
	}
	for answered := 0; answered < len(indexes); {
		b, err := e.receive()
		if err != nil {
			return err
		}
		for len(b) > 0 {
			var m message
			if m, b, err = nextMessage(b); err != nil {
				return err
			}
			i := int(m.seq - first) // the questions were numbered one after another
			if i < 0 || i >= len(indexes) {
				continue
			}
			answered++
			if m.typ != e.family {
				continue // an error: this driver does not tell
			}
			if err := parseMode(m.body, &into[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve opens the socket and finds the family's number.
func (e *Ethtool) resolve() error {
	if e.open {
		return nil
	}
	if err := e.dial(unix.NETLINK_GENERIC); err != nil {
		return err
	}
	e.req = e.req[:0]
	at := e.begin(unix.GENL_ID_CTRL, 0)
	e.req = append(e.req, unix.CTRL_CMD_GETFAMILY, 1, 0, 0)
	const name = unix.ETHTOOL_GENL_NAME + "\x00" // eight bytes: needs no padding
	e.req = native.AppendUint16(e.req, attrHeaderLen+uint16(len(name)))
	e.req = native.AppendUint16(e.req, unix.CTRL_ATTR_FAMILY_NAME)
	e.req = append(e.req, name...)
	e.end(at)
	if err := e.send(); err != nil {
		return err
	}
	for {
		b, err := e.receive()
		if err != nil {
			return err
		}
		m, _, err := nextMessage(b)
		if err != nil {
			return err
		}
		if m.seq != e.seq {
			continue
		}
		if m.typ == unix.NLMSG_ERROR {
			if err := m.errno(); !errors.Is(err, unix.ENOENT) {
				return err
			}
			return ErrNoEthtool
		}
		e.family, err = parseFamily(m.body)
		return err
	}
}

const genericHeaderLen = 4 // struct genlmsghdr

// parseFamily finds the number in an answer to CTRL_CMD_GETFAMILY.
func parseFamily(b []byte) (uint16, error) {
	if len(b) < genericHeaderLen {
		return 0, fmt.Errorf("netlink: generic message of %d bytes", len(b))
	}
	for rest := b[genericHeaderLen:]; len(rest) > 0; {
		var a attr
		var err error
		if a, rest, err = nextAttr(rest); err != nil {
			return 0, err
		}
		if a.typ == unix.CTRL_ATTR_FAMILY_ID && len(a.value) >= 2 {
			return native.Uint16(a.value), nil
		}
	}
	return 0, errors.New("netlink: a generic family without a number")
}

// parseMode reads the body of ETHTOOL_MSG_LINKMODES_GET_REPLY.
func parseMode(b []byte, m *Mode) error {
	if len(b) < genericHeaderLen {
		return fmt.Errorf("netlink: generic message of %d bytes", len(b))
	}
	for rest := b[genericHeaderLen:]; len(rest) > 0; {
		var a attr
		var err error
		if a, rest, err = nextAttr(rest); err != nil {
			return err
		}
		switch a.typ {
		case unix.ETHTOOL_A_LINKMODES_SPEED:
			m.Known, m.Speed = true, int32(a.uint32())
		case unix.ETHTOOL_A_LINKMODES_DUPLEX:
			m.Known, m.Duplex = true, a.uint8()
		}
	}
	return nil
}

func appendUint32Attr(b []byte, typ uint16, v uint32) []byte {
	b = native.AppendUint16(b, attrHeaderLen+4)
	b = native.AppendUint16(b, typ)
	return native.AppendUint32(b, v)
}
