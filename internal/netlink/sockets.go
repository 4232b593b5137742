package netlink

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Sockets asks about sockets (sock_diag(7)). The zero value is ready for use; it
// is not safe for concurrent use.
type Sockets struct{ socket }

// Close gives the socket back. The next question opens another.
func (s *Sockets) Close() { s.close() }

// TCPSockets are the TCP sockets of one address family.
type TCPSockets struct {
	States  [TCPStates]uint64 // how many are in each state, by its number
	Receive uint64            // bytes received that nobody has read; of those that listen, connections not accepted
	Send    uint64            // bytes sent and not acknowledged; of those that listen, how many connections may wait
}

// TCPStates is one more than the highest state (include/net/tcp_states.h):
// 1 is ESTABLISHED, 11 is CLOSING.
const TCPStates = 12

const (
	diagRequestLen = 56 // struct inet_diag_req_v2
	diagMessageLen = 72 // struct inet_diag_msg
)

// TCP counts the TCP sockets of a family, AF_INET or AF_INET6.
func (s *Sockets) TCP(family uint8) (TCPSockets, error) {
	var t TCPSockets
	var ask [diagRequestLen]byte
	ask[0], ask[1] = family, unix.IPPROTO_TCP
	native.PutUint32(ask[4:], 1<<TCPStates-1) // all states
	_, err := s.table(unix.NETLINK_SOCK_DIAG, unix.SOCK_DIAG_BY_FAMILY, ask[:], func() { t = TCPSockets{} }, func(typ uint16, body []byte) error {
		if typ != unix.SOCK_DIAG_BY_FAMILY {
			return nil
		}
		return t.add(body)
	})
	return t, err
}

// add reads the body of an answer, one socket.
func (t *TCPSockets) add(b []byte) error {
	if len(b) < diagMessageLen {
		return fmt.Errorf("netlink: TCP socket of %d bytes", len(b))
	}
	state := b[1]
	if int(state) >= len(t.States) {
		return fmt.Errorf("netlink: TCP socket in state %d", state)
	}
	t.States[state]++
	t.Receive += uint64(native.Uint32(b[56:]))
	t.Send += uint64(native.Uint32(b[60:]))
	return nil
}
