package netlink

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// attribute renders one attribute, padded.
func attribute(typ uint16, value ...byte) []byte {
	b := native.AppendUint16(nil, uint16(attrHeaderLen+len(value)))
	b = native.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return native.AppendUint32(nil, v) }

func text(s string) []byte { return append([]byte(s), 0) }

// linkBody renders the body of an RTM_NEWLINK message.
func linkBody(typ uint16, index int32, flags uint32, attributes ...[]byte) []byte {
	b := []byte{unix.AF_UNSPEC, 0}
	b = native.AppendUint16(b, typ)
	b = native.AppendUint32(b, uint32(index))
	b = native.AppendUint32(b, flags)
	b = native.AppendUint32(b, 0)
	return append(b, bytes.Join(attributes, nil)...)
}

func vethBody() []byte {
	stats := make([]byte, 8*(StatCount+1)) // as newer kernels: one counter more
	for i := range StatCount {
		native.PutUint64(stats[8*i:], uint64(1000+i))
	}
	props := append(attribute(unix.IFLA_ALT_IFNAME, text("uplink")...), attribute(unix.IFLA_ALT_IFNAME, text("enp0s1")...)...)
	return linkBody(unix.ARPHRD_ETHER, 7, unix.IFF_UP|unix.IFF_RUNNING|unix.IFF_LOWER_UP|unix.IFF_BROADCAST,
		attribute(unix.IFLA_IFNAME, text("veth7")...),
		attribute(unix.IFLA_TXQLEN, u32(1000)...),
		attribute(unix.IFLA_OPERSTATE, 6),
		attribute(unix.IFLA_LINKMODE, 1),
		attribute(unix.IFLA_MTU, u32(1500)...),
		attribute(unix.IFLA_GROUP, u32(3)...),
		attribute(unix.IFLA_PROMISCUITY, u32(2)...),
		attribute(unix.IFLA_CARRIER, 1),
		attribute(unix.IFLA_CARRIER_CHANGES, u32(5)...),
		attribute(unix.IFLA_CARRIER_UP_COUNT, u32(3)...),
		attribute(unix.IFLA_CARRIER_DOWN_COUNT, u32(2)...),
		attribute(unix.IFLA_ADDRESS, 2, 0, 0xab, 0, 0, 1),
		attribute(unix.IFLA_BROADCAST, 255, 255, 255, 255, 255, 255),
		attribute(unix.IFLA_LINK, u32(9)...),
		attribute(unix.IFLA_MASTER, u32(4)...),
		attribute(unix.IFLA_LINKINFO, append(attribute(unix.IFLA_INFO_SLAVE_KIND, text("bridge")...), attribute(unix.IFLA_INFO_KIND, text("veth")...)...)...),
		attribute(unix.IFLA_IFALIAS, text("to the rack")...),
		attribute(unix.IFLA_STATS64, stats...),
		attribute(unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, props...),
		attribute(200, 1, 2, 3), // of a kernel to come
	)
}

func TestParseLink(t *testing.T) {
	var l Link
	if err := parseLink(vethBody(), &l); err != nil {
		t.Fatal(err)
	}
	has := l.has
	l.has = 0
	want := Link{
		Index: 7, Type: unix.ARPHRD_ETHER, Flags: unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP | unix.IFF_BROADCAST,
		Name: "veth7", AltNames: []string{"uplink", "enp0s1"}, Alias: "to the rack",
		Address: "02:00:ab:00:00:01", Broadcast: "ff:ff:ff:ff:ff:ff", Kind: "veth", Master: 4,
		MTU: 1500, TxQueueLen: 1000, Group: 3, Lower: 9, OperState: 6, LinkMode: 1, Carrier: 1, Promiscuity: 2,
		CarrierChanges: 5, CarrierUp: 3, CarrierDown: 2,
	}
	for i := range want.Stats {
		want.Stats[i] = uint64(1000 + i)
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got  %+v\nwant %+v", l, want)
	}
	l.has = has
	if !l.Has(unix.IFLA_CARRIER_DOWN_COUNT) || l.Has(unix.IFLA_ALLMULTI) || l.Has(200) {
		t.Errorf("Has is wrong: %b", l.has)
	}
	if got, want := l.DeviceFlags(), uint32(unix.IFF_UP|unix.IFF_BROADCAST|unix.IFF_PROMISC); got != want {
		t.Errorf("DeviceFlags: %#x, want %#x", got, want)
	}

	// Read over another link, nothing of that one is left.
	bare := linkBody(unix.ARPHRD_NONE, 3, 0, attribute(unix.IFLA_IFNAME, text("tun0")...))
	if err := parseLink(bare, &l); err != nil {
		t.Fatal(err)
	}
	want = Link{Index: 3, Lower: 3, Type: unix.ARPHRD_NONE, Name: "tun0", AltNames: []string{}, has: 1 << unix.IFLA_IFNAME}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got  %+v\nwant %+v", l, want)
	}
}

func TestParseLinkKeepsStrings(t *testing.T) {
	var l Link
	body := vethBody()
	if err := parseLink(body, &l); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { parseLink(body, &l) }); n != 0 {
		t.Errorf("%v allocations to read the same link again", n)
	}
}

func TestParseBad(t *testing.T) {
	name := attribute(unix.IFLA_IFNAME, text("x")...)
	for what, b := range map[string][]byte{
		"empty":           {},
		"short":           linkBody(0, 1, 0)[:15],
		"no name":         linkBody(0, 1, 0),
		"cut attribute":   linkBody(0, 1, 0, name, []byte{8, 0, 1}),
		"attribute of 3":  linkBody(0, 1, 0, name, []byte{3, 0, 1, 0}),
		"attribute of 99": linkBody(0, 1, 0, name, []byte{99, 0, 1, 0}),
		"cut kind":        linkBody(0, 1, 0, name, attribute(unix.IFLA_LINKINFO, 9, 0, 0)),
		"cut name list":   linkBody(0, 1, 0, name, attribute(unix.IFLA_PROP_LIST, 9, 0, 0)),
	} {
		if err := parseLink(b, &Link{}); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, err := parseAddr([]byte{unix.AF_INET, 24, 0}); err == nil {
		t.Error("short address: accepted")
	}
	if _, err := parseFamily([]byte{1, 2, 0, 0}); err == nil {
		t.Error("family without a number: accepted")
	}
	if err := parseMode([]byte{4}, &Mode{}); err == nil {
		t.Error("short mode: accepted")
	}
}

// addrBody renders the body of an RTM_NEWADDR message.
func addrBody(family, bits byte, index uint32, attributes ...[]byte) []byte {
	return append(native.AppendUint32([]byte{family, bits, 0, 0}, index), bytes.Join(attributes, nil)...)
}

func TestParseAddr(t *testing.T) {
	tests := []struct {
		name string
		body []byte
		want Addr
	}{
		{"IPv4", addrBody(unix.AF_INET, 24, 2, attribute(unix.IFA_ADDRESS, 10, 0, 0, 1), attribute(unix.IFA_LOCAL, 10, 0, 0, 1)),
			Addr{2, netip.MustParsePrefix("10.0.0.1/24")}},
		{"point to point", addrBody(unix.AF_INET, 32, 5, attribute(unix.IFA_ADDRESS, 10, 0, 0, 2), attribute(unix.IFA_LOCAL, 10, 0, 0, 1)),
			Addr{5, netip.MustParsePrefix("10.0.0.1/32")}},
		{"IPv6", addrBody(unix.AF_INET6, 64, 2, attribute(unix.IFA_ADDRESS, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
			Addr{2, netip.MustParsePrefix("fe80::1/64")}},
		{"another family", addrBody(unix.AF_PHONET, 0, 2, attribute(unix.IFA_LOCAL, 9)), Addr{Index: 2}},
	}
	for _, tt := range tests {
		if got, err := parseAddr(tt.body); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
	if _, err := parseAddr(addrBody(unix.AF_INET, 40, 2, attribute(unix.IFA_LOCAL, 10, 0, 0, 1))); err == nil {
		t.Error("40 bits of an IPv4 address: accepted")
	}
}

func TestParseMode(t *testing.T) {
	body := append([]byte{unix.ETHTOOL_MSG_LINKMODES_GET_REPLY, 1, 0, 0}, bytes.Join([][]byte{
		attribute(unix.ETHTOOL_A_LINKMODES_HEADER|unix.NLA_F_NESTED, attribute(unix.ETHTOOL_A_HEADER_DEV_INDEX, u32(2)...)...),
		attribute(unix.ETHTOOL_A_LINKMODES_SPEED, u32(0xffffffff)...),
		attribute(unix.ETHTOOL_A_LINKMODES_DUPLEX, 1),
	}, nil)...)
	var m Mode
	if err := parseMode(body, &m); err != nil || m != (Mode{Known: true, Speed: -1, Duplex: 1}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestUniqueLinks(t *testing.T) {
	got := uniqueLinks([]Link{{Index: 1, Name: "lo"}, {Index: 4, Name: "eth0"}, {Index: 2, Name: "a"}, {Index: 4, Name: "eth0"}})
	var names []string
	for _, l := range got {
		names = append(names, l.Name)
	}
	if want := []string{"a", "eth0", "lo"}; !reflect.DeepEqual(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

// messages renders netlink messages into one datagram.
func messages(ms ...message) []byte {
	var b []byte
	for _, m := range ms {
		b = native.AppendUint32(b, uint32(headerLen+len(m.body)))
		b = native.AppendUint16(b, m.typ)
		b = native.AppendUint16(b, m.flags)
		b = native.AppendUint32(b, m.seq)
		b = native.AppendUint32(b, 0)
		b = append(b, m.body...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

// fakeKernel is a Route whose socket ends in the test, which answers each
// request by its number with datagrams. Sequence numbers of 0 stand for the
// request's own.
func fakeKernel(t *testing.T, answers [][][]message) *Route {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &Route{socket{fd: fds[0], open: true, buf: make([]byte, 4096)}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for _, answer := range answers {
			n, err := unix.Read(fds[1], b)
			if err != nil || n < headerLen {
				return
			}
			seq := native.Uint32(b[8:])
			for _, ms := range answer {
				for i := range ms {
					if ms[i].seq == 0 {
						ms[i].seq = seq
					}
				}
				unix.Write(fds[1], messages(ms...))
			}
		}
	}()
	t.Cleanup(func() {
		r.Close()
		<-done
		unix.Close(fds[1])
	})
	return r
}

func newLink(name string, index int32, flags uint16) message {
	return message{typ: unix.RTM_NEWLINK, flags: unix.NLM_F_MULTI | flags, body: linkBody(0, index, 0, attribute(unix.IFLA_IFNAME, text(name)...))}
}

func TestDump(t *testing.T) {
	done := message{typ: unix.NLMSG_DONE, body: u32(0)}
	failed := message{typ: unix.NLMSG_ERROR, body: u32(uint32(0xffffffff - uint32(unix.EPERM) + 1))}
	stale := newLink("stale", 9, 0)
	stale.seq = 77
	tests := []struct {
		name    string
		answers [][][]message
		want    string // names
		err     string
	}{
		{"two datagrams", [][][]message{{{newLink("lo", 1, 0), newLink("a", 2, 0)}, {newLink("b", 3, 0), done}}}, "lo a b", ""},
		{"of an older request", [][][]message{{{stale, newLink("lo", 1, 0)}, {done}}}, "lo", ""},
		{"changed meanwhile", [][][]message{
			{{newLink("lo", 1, 0), newLink("gone", 2, unix.NLM_F_DUMP_INTR)}, {done}},
			{{newLink("lo", 1, 0)}, {done}},
		}, "lo", ""},
		{"changes all the time", [][][]message{
			{{newLink("lo", 1, unix.NLM_F_DUMP_INTR)}, {done}},
			{{newLink("lo", 1, unix.NLM_F_DUMP_INTR)}, {done}},
			{{newLink("lo", 1, unix.NLM_F_DUMP_INTR)}, {done}},
			{{newLink("a", 1, 0), newLink("lo", 2, 0), newLink("a", 3, unix.NLM_F_DUMP_INTR)}, {done}},
		}, "a lo", ""},
		{"refused", [][][]message{{{failed}}}, "", "netlink request: operation not permitted"},
		{"no link", [][][]message{{{message{typ: unix.RTM_NEWLINK, body: []byte{1}}}}}, "", "netlink: link of 1 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			links, err := fakeKernel(t, tt.answers).Links(nil)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, l := range links {
				names = append(names, l.Name)
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLiveLinks compares the dump with what net.Interfaces and sysfs say.
func TestLiveLinks(t *testing.T) {
	var r Route
	defer r.Close()
	links, err := r.Links(nil)
	if err != nil {
		t.Fatal(err)
	}
	ifaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]Link)
	for _, l := range links {
		byName[l.Name] = l
	}
	for _, i := range ifaces {
		l, ok := byName[i.Name]
		if !ok {
			t.Errorf("%s is missing", i.Name)
			continue
		}
		if int(l.Index) != i.Index || int(l.MTU) != i.MTU || (l.Address != i.HardwareAddr.String() && i.HardwareAddr != nil) {
			t.Errorf("%+v, but net.Interfaces says %+v", l, i)
		}
		if b, err := os.ReadFile(filepath.Join("/sys/class/net", i.Name, "flags")); err == nil {
			want, err := strconv.ParseUint(strings.TrimSpace(string(b)), 0, 32)
			if err != nil {
				t.Fatal(err)
			}
			if l.Has(unix.IFLA_ALLMULTI) && uint64(l.DeviceFlags()) != want {
				t.Errorf("%s: flags %#x, sysfs says %#x", i.Name, l.DeviceFlags(), want)
			}
		}
	}
	if n := testing.AllocsPerRun(20, func() { links, err = r.Links(links) }); n != 0 || err != nil {
		t.Errorf("asked again: %v allocations, %v", n, err)
	}
}

// TestGrow begins with a buffer into which no answer fits.
func TestGrow(t *testing.T) {
	r := Route{socket{buf: make([]byte, 64)}}
	defer r.Close()
	links, err := r.Links(nil)
	if err != nil || len(links) == 0 || len(r.buf) == 64 {
		t.Errorf("%d links by a buffer of %d bytes, %v", len(links), len(r.buf), err)
	}
}

func TestLiveAddrs(t *testing.T) {
	var r Route
	defer r.Close()
	addrs, err := r.Addrs(nil)
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[Addr]bool)
	for _, a := range addrs {
		have[a] = true
	}
	ifaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ifaces {
		as, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range as {
			if want := (Addr{int32(i.Index), netip.MustParsePrefix(a.String())}); !have[want] {
				t.Errorf("%v is missing in %v", want, addrs)
			}
		}
	}
}

// TestLiveModes compares with sysfs, which has no speed where the driver does not
// tell. Interfaces that are down have none there.
func TestLiveModes(t *testing.T) {
	var r Route
	defer r.Close()
	links, err := r.Links(nil)
	if err != nil {
		t.Fatal(err)
	}
	var indexes []int32
	for range 20 { // more questions than are in flight at once
		for _, l := range links {
			indexes = append(indexes, l.Index)
		}
	}
	var e Ethtool
	defer e.Close()
	modes, err := e.Modes(indexes, nil)
	if err == ErrNoEthtool {
		t.Skip("the kernel has no ethtool netlink")
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range modes {
		l := links[i%len(links)]
		b, err := os.ReadFile(filepath.Join("/sys/class/net", l.Name, "speed"))
		if l.Flags&unix.IFF_UP == 0 {
			continue
		}
		if (err == nil) != m.Known {
			t.Errorf("%s: %+v, but sysfs says %q, %v", l.Name, m, b, err)
		}
		if err == nil && strings.TrimSpace(string(b)) != strconv.Itoa(int(m.Speed)) {
			t.Errorf("%s: speed %d, sysfs says %s", l.Name, m.Speed, b)
		}
	}
	if modes, err = e.Modes([]int32{1 << 30, links[0].Index}, modes); err != nil || modes[0].Known {
		t.Errorf("an interface that does not exist: %+v, %v", modes, err)
	}
	if n := testing.AllocsPerRun(20, func() { modes, err = e.Modes(indexes, modes) }); n != 0 || err != nil {
		t.Errorf("asked again: %v allocations, %v", n, err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(messages(newLink("lo", 1, 0), message{typ: unix.NLMSG_DONE, body: u32(0)}))
	f.Add(messages(message{typ: unix.NLMSG_ERROR, body: u32(0xffffffff)}))
	f.Add([]byte{16, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for len(b) > 0 {
			m, rest, err := nextMessage(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			total += len(m.body)
			m.errno()
			b = rest
		}
	})
}

func FuzzLink(f *testing.F) {
	f.Add(vethBody())
	f.Add(linkBody(1, 2, 3, attribute(unix.IFLA_IFNAME, text("lo")...), attribute(unix.IFLA_STATS64, 1, 2, 3)))
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l, again Link
		if parseLink(b, &l) != nil {
			return
		}
		if l.Name == "" || strings.Contains(l.Name+l.Alias, "\x00") || len(l.Address) > 95 {
			t.Errorf("%+v", l)
		}
		again = l // read over itself: the same
		again.AltNames = append([]string(nil), l.AltNames...)
		if err := parseLink(b, &again); err != nil || len(again.AltNames) != len(l.AltNames) || again.Name != l.Name || again.Address != l.Address || again.Stats != l.Stats {
			t.Errorf("%+v and %+v, %v", l, again, err)
		}
	})
}

func FuzzAddr(f *testing.F) {
	f.Add(addrBody(unix.AF_INET, 24, 2, attribute(unix.IFA_LOCAL, 10, 0, 0, 1)))
	f.Add(addrBody(unix.AF_INET6, 200, 2, attribute(unix.IFA_ADDRESS, make([]byte, 16)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAddr(b)
		if err == nil && a.Prefix != (netip.Prefix{}) && !a.Prefix.IsValid() {
			t.Errorf("%+v", a)
		}
	})
}

func FuzzMode(f *testing.F) {
	f.Add(append([]byte{4, 1, 0, 0}, attribute(unix.ETHTOOL_A_LINKMODES_SPEED, u32(1000)...)...))
	f.Add([]byte{4, 1, 0, 0, 9, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := Mode{Speed: -1}
		if parseMode(b, &m) == nil && !m.Known && m != (Mode{Speed: -1}) {
			t.Errorf("%+v", m)
		}
		parseFamily(b)
	})
}

func BenchmarkLinks(b *testing.B) {
	var r Route
	defer r.Close()
	links, err := r.Links(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if links, err = r.Links(links); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(links)), "ns/link")
}

func BenchmarkParseLink(b *testing.B) {
	var l Link
	body := vethBody()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := parseLink(body, &l); err != nil {
			b.Fatal(err)
		}
	}
}
