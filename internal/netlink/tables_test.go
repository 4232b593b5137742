package netlink

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// routeBody renders the body of an RTM_NEWROUTE message.
func routeBody(bits, protocol, typ byte, attributes ...[]byte) []byte {
	b := []byte{unix.AF_INET, bits, 0, 0, 254, protocol, 0, typ, 0, 0, 0, 0}
	for _, a := range attributes {
		b = append(b, a...)
	}
	return b
}

// hop renders a struct rtnexthop.
func hop(hops byte, index uint32, attributes ...[]byte) []byte {
	var tail []byte
	for _, a := range attributes {
		tail = append(tail, a...)
	}
	b := native.AppendUint16(nil, uint16(8+len(tail)))
	b = append(b, 0, hops)
	b = native.AppendUint32(b, index)
	return append(b, tail...)
}

func TestAppendPaths(t *testing.T) {
	ip := netip.MustParseAddr
	net10 := netip.MustParsePrefix("10.1.0.0/16")
	for _, c := range []struct {
		name string
		body []byte
		want []Path
	}{
		{"default", routeBody(0, 3, unix.RTN_UNICAST, attribute(unix.RTA_GATEWAY, 10, 0, 0, 1), attribute(unix.RTA_OIF, u32(2)...), attribute(unix.RTA_PRIORITY, u32(100)...)),
			[]Path{{Index: 2, Gateway: ip("10.0.0.1"), Priority: 100, Protocol: 3}}},
		{"on the link", routeBody(16, 2, unix.RTN_UNICAST, attribute(unix.RTA_DST, 10, 1, 0, 0), attribute(unix.RTA_PREFSRC, 10, 1, 0, 9), attribute(unix.RTA_OIF, u32(3)...)),
			[]Path{{Index: 3, Destination: net10, Source: ip("10.1.0.9"), Protocol: 2}}},
		{"two hops", routeBody(16, 186, unix.RTN_UNICAST, attribute(unix.RTA_DST, 10, 1, 0, 0), attribute(unix.RTA_MULTIPATH, append(
			hop(0, 5, attribute(unix.RTA_GATEWAY, 10, 0, 0, 5)),
			hop(9, 6, attribute(unix.RTA_VIA, append(native.AppendUint16(nil, unix.AF_INET6), ip("fe80::1").AsSlice()...)...))...)...)),
			[]Path{
				{Index: 5, Destination: net10, Gateway: ip("10.0.0.5"), Protocol: 186, Weight: 1},
				{Index: 6, Destination: net10, Gateway: ip("fe80::1"), Protocol: 186, Weight: 10},
			}},
		{"local", routeBody(32, 2, unix.RTN_LOCAL), nil},
	} {
		got, err := appendPaths(nil, c.body)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: got %+v, want %+v", c.name, got[i], c.want[i])
			}
		}
	}
	for name, bad := range map[string][]byte{
		"short":            {2, 0, 0},
		"long prefix":      routeBody(33, 2, unix.RTN_UNICAST, attribute(unix.RTA_DST, 10, 1, 0, 0)),
		"cut hop":          routeBody(0, 2, unix.RTN_UNICAST, attribute(unix.RTA_MULTIPATH, 20, 0, 0, 0, 1, 0, 0, 0)),
		"hop of no length": routeBody(0, 2, unix.RTN_UNICAST, attribute(unix.RTA_MULTIPATH, 0, 0, 0, 0, 1, 0, 0, 0)),
	} {
		if got, err := appendPaths(nil, bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// qdiscBody renders the body of an RTM_NEWQDISC message.
func qdiscBody(index, parent uint32, attributes ...[]byte) []byte {
	b := append([]byte{0, 0, 0, 0}, u32(index)...)
	b = append(append(append(b, u32(0x8001)...), u32(parent)...), u32(1)...)
	for _, a := range attributes {
		b = append(b, a...)
	}
	return b
}

func TestParseQdisc(t *testing.T) {
	basic := append(native.AppendUint64(nil, 1<<33), u32(7)...)
	var queue []byte
	for i := range uint32(5) {
		queue = append(queue, u32(100+i)...)
	}
	stats := append(attribute(statsBasic, basic...), attribute(statsQueue, queue...)...)
	body := qdiscBody(4, RootParent, attribute(unix.TCA_KIND, text("fq_codel")...), attribute(unix.TCA_STATS2|unix.NLA_F_NESTED, stats...))
	var q Qdisc
	if err := parseQdisc(body, &q); err != nil {
		t.Fatal(err)
	}
	want := Qdisc{Index: 4, Parent: RootParent, Kind: "fq_codel", Bytes: 1 << 33, Packets: 7, Length: 100, Backlog: 101, Drops: 102, Requeues: 103, Overlimits: 104}
	if q != want {
		t.Errorf("got %+v, want %+v", q, want)
	}
	stats = append(attribute(statsPackets64, native.AppendUint64(nil, 1<<34)...), attribute(statsBasic, basic...)...)
	if err := parseQdisc(qdiscBody(4, 1, attribute(unix.TCA_STATS2, stats...)), &q); err != nil || q.Packets != 1<<34 {
		t.Errorf("64 bits: %+v, %v", q, err)
	}
	if err := parseQdisc([]byte{1}, &q); err == nil {
		t.Error("a short one passes")
	}
}

func TestTCPAdd(t *testing.T) {
	var s TCPSockets
	b := make([]byte, diagMessageLen)
	b[1] = 1
	native.PutUint32(b[56:], 10)
	native.PutUint32(b[60:], 20)
	for range 2 {
		if err := s.add(b); err != nil {
			t.Fatal(err)
		}
	}
	if s.States[1] != 2 || s.Receive != 20 || s.Send != 40 {
		t.Errorf("%+v", s)
	}
	if b[1] = TCPStates; s.add(b) == nil || s.add(b[:20]) == nil {
		t.Error("a state that does not exist, or half a message, passes")
	}
}

func TestConntrackAdd(t *testing.T) {
	var s ConntrackStats
	body := append(append([]byte{0, 0, 0, 1}, attribute(ConntrackFound, 0, 0, 1, 0)...), attribute(ConntrackSearchRestart, 0, 0, 0, 5)...)
	for range 2 {
		if err := s.add(body); err != nil {
			t.Fatal(err)
		}
	}
	if want := (ConntrackStats{ConntrackFound: 512, ConntrackSearchRestart: 10}); s != want {
		t.Errorf("%v", s)
	}
	if s.add([]byte{0, 0, 0, 1, 9, 0}) == nil {
		t.Error("half an attribute passes")
	}
}

func FuzzTables(f *testing.F) {
	f.Add(routeBody(0, 3, unix.RTN_UNICAST, attribute(unix.RTA_GATEWAY, 10, 0, 0, 1)))
	f.Add(routeBody(0, 3, unix.RTN_UNICAST, attribute(unix.RTA_MULTIPATH, hop(0, 5)...)))
	f.Add(routeBody(0, 3, unix.RTN_UNICAST, attribute(unix.RTA_VIA, 10, 0, 32, 1, 2, 3)))
	f.Add(qdiscBody(4, 1, attribute(unix.TCA_STATS2, attribute(statsBasic, 1, 2, 3)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		paths, _ := appendPaths(nil, b)
		if len(paths) > len(b) {
			t.Errorf("%d paths of %d bytes", len(paths), len(b))
		}
		var q Qdisc
		parseQdisc(b, &q)
		var s TCPSockets
		s.add(b)
		var c ConntrackStats
		c.add(b)
		parseNeighbour(b)
	})
}

// What the live kernel says of a socket that the test opens.
func TestLiveTCP(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	var s Sockets
	defer s.Close()
	got, err := s.TCP(unix.AF_INET)
	if err != nil {
		t.Skip(err)
	}
	const established, listen = 1, 10
	if got.States[established] < 2 || got.States[listen] < 1 || got.Receive < 1000 {
		t.Errorf("%+v", got)
	}
	if n := testing.AllocsPerRun(20, func() { s.TCP(unix.AF_INET) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Every interface has a queueing discipline at its root or none; the routes are
// those of /proc/net/route.
func TestLiveTables(t *testing.T) {
	var r Route
	defer r.Close()
	qdiscs, err := r.Qdiscs(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range qdiscs {
		if q.Index <= 0 || q.Kind == "" {
			t.Errorf("%+v", q)
		}
	}
	if _, err := r.Paths(nil); err != nil {
		t.Error(err)
	}
	if err := r.Neighbours(map[int32]uint32{}); err != nil {
		t.Error(err)
	}
}

func TestLiveConntrack(t *testing.T) {
	var c Conntrack
	defer c.Close()
	if _, err := c.Stats(); err != nil {
		t.Skip(err)
	}
}

func TestLiveDrivers(t *testing.T) {
	names, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Skip(err)
	}
	var d Drivers
	defer d.Close()
	asked := 0
	for _, n := range names {
		var info DriverInfo
		if err := d.Info(n.Name(), &info); err != nil {
			continue
		}
		asked++
		if info.Driver == "" {
			t.Errorf("%s: %+v", n.Name(), info)
		}
		stats, err := d.StatNames(n.Name(), info.Stats)
		if info.Stats > 0 && (err != nil || stats[0] == "") {
			t.Errorf("%s: names %q, %v", n.Name(), stats, err)
		}
		if values, err := d.Stats(n.Name(), info.Stats, nil); info.Stats > 0 && (err != nil || len(values) != info.Stats) {
			t.Errorf("%s: %d values, %v", n.Name(), len(values), err)
		}
		s, err := d.Settings(n.Name())
		t.Logf("%s: %+v, settings %+v, %v", n.Name(), info, s, err)
	}
	if asked == 0 {
		t.Skip("no driver tells of itself here")
	}
}
