package collectors

// Counters of the network protocols, from /proc/net/netstat, snmp and snmp6 (RFC
// 2012 and its kin; kernel: net/ipv4/proc.c, net/ipv6/proc.c). The first two have
// pairs of lines, names and numbers:
//
//	Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens
//	Tcp: 1 200 120000 -1 3556
//
// and snmp6, absent where IPv6 is, has a name and a number on each line:
//
//	Udp6InDatagrams                  	0

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// DefaultNetstatFields are the fields shown unless told otherwise.
const DefaultNetstatFields = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)" +
	"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)" +
	"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)" +
	"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"

// NetstatConfig configures the netstat collector.
type NetstatConfig struct {
	Fields string // a regular expression: the fields to show, as Tcp_ActiveOpens
}

type netstat struct {
	pairs   [2]netstatPairs
	snmp6   *hostfs.File
	fields  kernelNames // by Tcp_ActiveOpens
	fields6 kernelNames // by Udp6InDatagrams, as snmp6 has it
}

func newNetstat(c Config) (Collector, error) {
	keep, err := NewFilter(c.Netstat.Fields, "")
	if err != nil {
		return nil, fmt.Errorf("fields: %w", err)
	}
	family := func(field string) *expo.Family {
		if !keep.Keep(field) {
			return nil
		}
		return netstatFamily(field)
	}
	return &netstat{
		pairs:  [2]netstatPairs{{file: c.FS.ProcFile("net/netstat")}, {file: c.FS.ProcFile("net/snmp")}},
		snmp6:  c.FS.ProcFile("net/snmp6").Lines(128),
		fields: kernelNames{family: family},
		fields6: kernelNames{family: func(key string) *expo.Family {
			protocol, field, ok := strings.Cut(key, "6")
			if !ok {
				return nil
			}
			return family(protocol + "6_" + field)
		}},
	}, nil
}

func netstatFamily(field string) *expo.Family {
	field = expo.CleanName(field)
	if f := pickFamily(netstatFamilies, "node_netstat_"+field); f != nil {
		return f
	}
	return expo.Untyped("node_netstat_"+field, "Field "+field+" of /proc/net/netstat, snmp or snmp6.")
}

// Collect implements Collector. A file that cannot be read does not cost the others.
func (n *netstat) Collect(_ context.Context, w *expo.Writer) error {
	var failed []error
	gone := 0
	read := func(file *hostfs.File, collect func(b []byte, w *expo.Writer) error) {
		b, err := file.Read()
		if hostfs.Gone(err) {
			gone++
			return
		}
		start := len(w.Bytes())
		if err == nil {
			err = collect(b, w)
		}
		if err != nil {
			w.Truncate(start)
			failed = append(failed, fmt.Errorf("%s: %w", file.Path(), err))
		}
	}
	for i := range n.pairs {
		read(n.pairs[i].file, func(b []byte, w *expo.Writer) error { return n.pairs[i].collect(b, w, &n.fields) })
	}
	read(n.snmp6, n.collect6)
	if gone == len(n.pairs)+1 {
		return fmt.Errorf("%w: no network protocols here", ErrNoData)
	}
	return errors.Join(failed...)
}

// netstatPairs is a file of pairs of lines.
type netstatPairs struct {
	file    *hostfs.File
	headers []netstatHeader // by the pair's place in the file
}

// netstatHeader is a line of names and what becomes of each. The same line comes
// again at nearly every reading: only IcmpMsg grows when a new type was seen.
type netstatHeader struct {
	line     string
	families []*expo.Family // nil: not shown
}

func (p *netstatPairs) collect(b []byte, w *expo.Writer, fields *kernelNames) error {
	for i := 0; len(b) > 0; {
		var names, numbers []byte
		names, b = hostfs.NextLine(b)
		if len(names) == 0 {
			continue
		}
		numbers, b = hostfs.NextLine(b)
		if i == len(p.headers) {
			p.headers = append(p.headers, netstatHeader{})
		}
		h := &p.headers[i]
		i++
		if h.line != string(names) {
			if err := h.parse(names, fields); err != nil {
				return err
			}
		}
		protocol, _, _ := bytes.Cut(names, []byte(":"))
		rest, ok := bytes.CutPrefix(numbers, protocol)
		if !ok || len(rest) == 0 || rest[0] != ':' {
			return fmt.Errorf("want the numbers of %s in %.100q", protocol, numbers)
		}
		if err := h.collect(rest[1:], w); err != nil {
			return fmt.Errorf("%s: %w", protocol, err)
		}
	}
	return nil
}

func (h *netstatHeader) parse(line []byte, fields *kernelNames) error {
	protocol, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(protocol) == 0 {
		return fmt.Errorf("want a protocol and a colon in %.100q", line)
	}
	h.line, h.families = string(line), nil
	for {
		var name []byte
		name, rest = hostfs.NextField(rest)
		if len(name) == 0 {
			return nil
		}
		h.families = append(h.families, fields.get(fmt.Appendf(nil, "%s_%s", protocol, name)))
	}
}

// collect writes the numbers that belong to the header's names.
func (h *netstatHeader) collect(numbers []byte, w *expo.Writer) error {
	for i, family := range h.families {
		var number []byte
		number, numbers = hostfs.NextField(numbers)
		if len(number) == 0 {
			return fmt.Errorf("want %d numbers, got %d", len(h.families), i)
		}
		if family != nil {
			if err := netstatSample(w, family, number); err != nil {
				return err
			}
		}
	}
	if extra, _ := hostfs.NextField(numbers); len(extra) > 0 {
		return fmt.Errorf("want %d numbers, got more", len(h.families))
	}
	return nil
}

func (n *netstat) collect6(b []byte, w *expo.Writer) error {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		name, rest := hostfs.NextField(line)
		if len(name) == 0 {
			continue
		}
		family := n.fields6.get(name)
		if family == nil {
			continue
		}
		number, _ := hostfs.NextField(rest)
		if err := netstatSample(w, family, number); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// netstatSample writes a number, of which few (Tcp_MaxConn) may be negative.
func netstatSample(w *expo.Writer, family *expo.Family, number []byte) error {
	if len(number) > 0 && number[0] == '-' {
		n, err := hostfs.Int(number)
		if err == nil {
			w.Sample(family, float64(n))
		}
		return err
	}
	n, err := hostfs.Uint(number)
	if err == nil {
		w.Uint(family, n)
	}
	return err
}

// netstatFamilies are those of the default fields; others are made when they are seen.
var netstatFamilies = []*expo.Family{
	expo.Untyped("node_netstat_Icmp6_InErrors", "ICMPv6 messages received that were malformed or had a wrong checksum."),
	expo.Untyped("node_netstat_Icmp6_InMsgs", "ICMPv6 messages received."),
	expo.Untyped("node_netstat_Icmp6_OutMsgs", "ICMPv6 messages sent."),
	expo.Untyped("node_netstat_Icmp_InErrors", "ICMP messages received that were malformed or had a wrong checksum."),
	expo.Untyped("node_netstat_Icmp_InMsgs", "ICMP messages received."),
	expo.Untyped("node_netstat_Icmp_OutMsgs", "ICMP messages sent."),
	expo.Untyped("node_netstat_Ip6_InOctets", "Bytes received in IPv6 packets."),
	expo.Untyped("node_netstat_Ip6_OutOctets", "Bytes sent in IPv6 packets."),
	expo.Untyped("node_netstat_IpExt_InOctets", "Bytes received in IPv4 packets."),
	expo.Untyped("node_netstat_IpExt_OutOctets", "Bytes sent in IPv4 packets."),
	expo.Untyped("node_netstat_Ip_Forwarding", "Whether the host forwards IPv4 packets: 1 does, 2 does not."),
	expo.Untyped("node_netstat_TcpExt_ListenDrops", "Connections that a listening socket lost for any reason."),
	expo.Untyped("node_netstat_TcpExt_ListenOverflows", "Connections that a listening socket lost because its queue was full."),
	expo.Untyped("node_netstat_TcpExt_SyncookiesFailed", "SYN cookies that came back wrong."),
	expo.Untyped("node_netstat_TcpExt_SyncookiesRecv", "SYN cookies that came back right."),
	expo.Untyped("node_netstat_TcpExt_SyncookiesSent", "SYN cookies sent because the queue of new connections was full."),
	expo.Untyped("node_netstat_TcpExt_TCPOFOQueue", "TCP segments that came out of order and were queued."),
	expo.Untyped("node_netstat_TcpExt_TCPRcvQDrop", "TCP segments dropped because the receive buffer was full."),
	expo.Untyped("node_netstat_TcpExt_TCPSynRetrans", "SYN and SYN+ACK segments sent again."),
	expo.Untyped("node_netstat_TcpExt_TCPTimeouts", "TCP timers that ran out before an answer came."),
	expo.Untyped("node_netstat_Tcp_ActiveOpens", "TCP connections that this host began."),
	expo.Untyped("node_netstat_Tcp_CurrEstab", "TCP connections that are established now, or about to close."),
	expo.Untyped("node_netstat_Tcp_InErrs", "TCP segments received with an error."),
	expo.Untyped("node_netstat_Tcp_InSegs", "TCP segments received."),
	expo.Untyped("node_netstat_Tcp_OutRsts", "TCP segments sent that reset a connection."),
	expo.Untyped("node_netstat_Tcp_OutSegs", "TCP segments sent, without those sent again."),
	expo.Untyped("node_netstat_Tcp_PassiveOpens", "TCP connections that others began."),
	expo.Untyped("node_netstat_Tcp_RetransSegs", "TCP segments sent again."),
	expo.Untyped("node_netstat_Udp6_InDatagrams", "UDP datagrams over IPv6 delivered to programs."),
	expo.Untyped("node_netstat_Udp6_InErrors", "UDP datagrams over IPv6 that could not be delivered, but for want of a port."),
	expo.Untyped("node_netstat_Udp6_NoPorts", "UDP datagrams over IPv6 to ports where nothing listens."),
	expo.Untyped("node_netstat_Udp6_OutDatagrams", "UDP datagrams over IPv6 sent."),
	expo.Untyped("node_netstat_Udp6_RcvbufErrors", "UDP datagrams over IPv6 dropped because the receive buffer was full."),
	expo.Untyped("node_netstat_Udp6_SndbufErrors", "UDP datagrams over IPv6 not sent because the send buffer was full."),
	expo.Untyped("node_netstat_UdpLite6_InErrors", "UDP-Lite datagrams over IPv6 that could not be delivered, but for want of a port."),
	expo.Untyped("node_netstat_UdpLite_InErrors", "UDP-Lite datagrams that could not be delivered, but for want of a port."),
	expo.Untyped("node_netstat_Udp_InDatagrams", "UDP datagrams delivered to programs."),
	expo.Untyped("node_netstat_Udp_InErrors", "UDP datagrams that could not be delivered, but for want of a port."),
	expo.Untyped("node_netstat_Udp_NoPorts", "UDP datagrams to ports where nothing listens."),
	expo.Untyped("node_netstat_Udp_OutDatagrams", "UDP datagrams sent."),
	expo.Untyped("node_netstat_Udp_RcvbufErrors", "UDP datagrams dropped because the receive buffer was full."),
	expo.Untyped("node_netstat_Udp_SndbufErrors", "UDP datagrams not sent because the send buffer was full."),
}
