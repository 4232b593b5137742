package testkit

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// AddVeth makes a pair of veth interfaces that are up, in the network namespace of
// the thread, by rtnetlink(7).
func AddVeth(name, peer string) error {
	const vethInfoPeer = 1 // VETH_INFO_PEER of linux/veth.h
	named := func(name string, flags uint32) []byte {
		return append(linkHead(0, flags), netlinkAttr(unix.IFLA_IFNAME, cName(name))...)
	}
	pair := append(named(name, 0), netlinkAttr(unix.IFLA_LINKINFO,
		netlinkAttr(unix.IFLA_INFO_KIND, cName("veth")),
		netlinkAttr(unix.IFLA_INFO_DATA, netlinkAttr(vethInfoPeer, named(peer, 0))))...)
	if err := askKernel(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, pair); err != nil {
		return fmt.Errorf("making the veth interfaces %s and %s: %w", name, peer, err)
	}
	for _, n := range []string{name, peer} { // which cannot be up before they are a pair
		if err := askKernel(unix.RTM_NEWLINK, 0, named(n, unix.IFF_UP)); err != nil {
			return fmt.Errorf("interface %s up: %w", n, err)
		}
	}
	return nil
}

// DeleteLink removes an interface, and its peer if it has one.
func DeleteLink(name string) error {
	if err := askKernel(unix.RTM_DELLINK, 0, append(linkHead(0, 0), netlinkAttr(unix.IFLA_IFNAME, cName(name))...)); err != nil {
		return fmt.Errorf("removing the interface %s: %w", name, err)
	}
	return nil
}

func linkUp(index int32) error {
	if err := askKernel(unix.RTM_NEWLINK, 0, linkHead(index, unix.IFF_UP)); err != nil {
		return fmt.Errorf("interface %d up: %w", index, err)
	}
	return nil
}

// linkHead is a struct ifinfomsg that sets the flags given.
func linkHead(index int32, flags uint32) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, unix.AF_UNSPEC)
	b = ne.AppendUint32(b, uint32(index))
	b = ne.AppendUint32(b, flags)
	return ne.AppendUint32(b, flags) // the mask
}

// netlinkAttr is a struct rtattr, padded.
func netlinkAttr(kind uint16, parts ...[]byte) []byte {
	length := 4
	for _, p := range parts {
		length += len(p)
	}
	b := binary.NativeEndian.AppendUint16(nil, uint16(length))
	b = binary.NativeEndian.AppendUint16(b, kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func cName(s string) []byte { return append([]byte(s), 0) }

// askKernel sends one request and waits for its acknowledgement.
func askKernel(kind, flags uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = ne.AppendUint16(b, kind)
	b = ne.AppendUint16(b, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = append(ne.AppendUint64(b, 1), body...) // sequence number 1, from port 0
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || ne.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("an answer of %d bytes that is no acknowledgement", n)
	}
	if errno := -int32(ne.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}
