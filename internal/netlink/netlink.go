// Package netlink asks the kernel about its network: the interfaces, all of them
// in one dump of rtnetlink, their addresses, neighbours, routes and queueing
// disciplines; TCP sockets by state; what connection tracking counts; and what a
// driver knows, by ethtool's generic netlink and its older ioctl. It keeps its
// sockets and buffers, so that asking again allocates nothing; it only ever asks,
// never changes anything.
//
// The protocols: https://docs.kernel.org/userspace-api/netlink/intro.html,
// rtnetlink(7), sock_diag(7), https://docs.kernel.org/networking/ethtool-netlink.html.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Bounds on what is taken from the kernel.
const (
	firstBuffer   = 32 << 10 // the kernel fills no more than this when a message fits
	largestBuffer = 1 << 20  // a message beyond this is refused
	mostItems     = 1 << 16  // interfaces or addresses of one dump
	timeoutSec    = 5        // how long an answer is waited for
	dumpTries     = 4        // a dump that changes while it is read is begun anew so often
)

const (
	headerLen     = 16 // struct nlmsghdr
	attrHeaderLen = 4  // struct nlattr
)

var (
	errTruncated = errors.New("netlink: message is longer than what was received")
	errTooMany   = fmt.Errorf("netlink: more than %d items in one dump", mostItems)
)

var native = binary.NativeEndian

// socket is a netlink socket that stays open between requests. The zero value
// opens itself. It belongs to the network namespace of the thread that opened it.
type socket struct {
	fd   int // valid if open
	open bool
	seq  uint32
	req  []byte // being sent
	buf  []byte // received
}

// dial opens the socket if it is not open yet.
func (s *socket) dial(protocol int) error {
	if s.open {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return os.NewSyscallError("netlink socket", err)
	}
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: timeoutSec})
	if err == nil {
		// A connected socket gets messages from its peer alone: the kernel.
		err = unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		unix.Close(fd)
		return os.NewSyscallError("netlink socket", err)
	}
	s.fd, s.open = fd, true
	if s.buf == nil {
		s.buf = make([]byte, firstBuffer)
	}
	return nil
}

// close gives the socket back. What the kernel still had to say is dropped.
func (s *socket) close() {
	if s.open {
		unix.Close(s.fd)
		s.open = false
	}
}

// begin starts a request of one message in s.req and returns its place.
func (s *socket) begin(typ, flags uint16) int {
	s.seq++
	at := len(s.req)
	s.req = native.AppendUint32(s.req, 0) // length: see end
	s.req = native.AppendUint16(s.req, typ)
	s.req = native.AppendUint16(s.req, unix.NLM_F_REQUEST|flags)
	s.req = native.AppendUint32(s.req, s.seq)
	s.req = native.AppendUint32(s.req, 0) // port: the kernel knows
	return at
}

// end completes the message that began at a place.
func (s *socket) end(at int) {
	native.PutUint32(s.req[at:], uint32(len(s.req)-at))
}

// send sends what is in s.req.
func (s *socket) send() error {
	for {
		_, err := unix.Write(s.fd, s.req)
		if err != unix.EINTR {
			return os.NewSyscallError("netlink send", err)
		}
	}
}

// receive waits for the next datagram. It is valid until the next call.
func (s *socket) receive() ([]byte, error) {
	for {
		n, err := unix.Read(s.fd, s.buf)
		if err == nil {
			return s.buf[:n], nil
		}
		if err == unix.EAGAIN {
			return nil, fmt.Errorf("netlink receive: no answer within %d s", timeoutSec)
		}
		if err != unix.EINTR {
			return nil, os.NewSyscallError("netlink receive", err)
		}
	}
}

// grow makes room for larger datagrams, after one did not fit.
func (s *socket) grow() bool {
	if len(s.buf) >= largestBuffer {
		return false
	}
	s.buf = make([]byte, 2*len(s.buf))
	return true
}

// table asks for a dump, with a body, and calls begin and then each for every
// message of the answer. When a message did not fit, or the kernel's tables changed
// while they were read, it asks again: what came before begin counts for nothing.
// It tells whether the last answer was whole; if not, something may be missing or
// said twice. After an error the socket is closed: what is left in it belongs to
// nobody.
func (s *socket) table(protocol int, typ uint16, body []byte, begin func(), each func(typ uint16, body []byte) error) (whole bool, err error) {
	for try := 1; ; {
		if err := s.dial(protocol); err != nil {
			return false, err
		}
		s.req = s.req[:0]
		at := s.begin(typ, unix.NLM_F_DUMP)
		s.req = append(s.req, body...)
		s.end(at)
		begin()
		interrupted, err := s.dump(each)
		switch {
		case err == nil && (!interrupted || try == dumpTries):
			return !interrupted, nil
		case err == nil:
			try++
		default:
			s.close()
			if err != errTruncated || !s.grow() {
				return false, err
			}
		}
	}
}

// dump sends the request in s.req, which asks for a dump, and calls each for
// every message of the answer. It tells whether the kernel's tables changed
// meanwhile, so that something may be missing or said twice.
func (s *socket) dump(each func(typ uint16, body []byte) error) (interrupted bool, err error) {
	if err := s.send(); err != nil {
		return false, err
	}
	for {
		b, err := s.receive()
		if err != nil {
			return false, err
		}
		for len(b) > 0 {
			var m message
			if m, b, err = nextMessage(b); err != nil {
				return false, err
			}
			if m.seq != s.seq {
				continue // of a request that was given up
			}
			interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
			if m.typ == unix.NLMSG_DONE || m.typ == unix.NLMSG_ERROR {
				return interrupted, m.errno()
			}
			if err := each(m.typ, m.body); err != nil {
				return false, err
			}
		}
	}
}

// message is one netlink message.
type message struct {
	typ, flags uint16
	seq        uint32
	body       []byte
}

// nextMessage cuts the first message off a datagram.
func nextMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < headerLen {
		return m, nil, errTruncated
	}
	n := int(native.Uint32(b))
	if n < headerLen {
		return m, nil, fmt.Errorf("netlink: message of length %d", n)
	}
	if n > len(b) {
		return m, nil, errTruncated
	}
	m = message{typ: native.Uint16(b[4:]), flags: native.Uint16(b[6:]), seq: native.Uint32(b[8:]), body: b[headerLen:n]}
	return m, b[min(align(n), len(b)):], nil
}

// errno is the error that a DONE or ERROR message carries, nil for none.
func (m message) errno() error {
	if len(m.body) < 4 {
		return nil
	}
	if e := int32(native.Uint32(m.body)); e < 0 {
		return os.NewSyscallError("netlink request", unix.Errno(-e))
	}
	return nil
}

// attr is one attribute: its type without flags, and its value.
type attr struct {
	typ   uint16
	value []byte
}

// nextAttr cuts the first attribute off b.
func nextAttr(b []byte) (a attr, rest []byte, err error) {
	if len(b) < attrHeaderLen {
		return a, nil, fmt.Errorf("netlink: %d bytes where an attribute was expected", len(b))
	}
	n := int(native.Uint16(b))
	if n < attrHeaderLen || n > len(b) {
		return a, nil, fmt.Errorf("netlink: attribute of length %d in %d bytes", n, len(b))
	}
	const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
	a = attr{typ: native.Uint16(b[2:]) &^ flags, value: b[attrHeaderLen:n]}
	return a, b[min(align(n), len(b)):], nil
}

// uint32 is the value as a number, 0 where it is too short for one.
func (a attr) uint32() uint32 {
	if len(a.value) < 4 {
		return 0
	}
	return native.Uint32(a.value)
}

// uint8 is the value as a number of one byte.
func (a attr) uint8() uint8 {
	if len(a.value) < 1 {
		return 0
	}
	return a.value[0]
}

// text is the value up to its terminating zero.
func (a attr) text() []byte {
	for i, c := range a.value {
		if c == 0 {
			return a.value[:i]
		}
	}
	return a.value
}

// align rounds up to where the next header stands.
func align(n int) int { return (n + 3) &^ 3 }

// reuse makes a string of b, the old one if it says the same.
func reuse(old string, b []byte) string {
	if old == string(b) {
		return old
	}
	return string(b)
}
