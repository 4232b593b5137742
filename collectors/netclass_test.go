package collectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// netclassTree is an interface that is up, one that is down and unreadable in
// part as such are, a file that is no interface and one that is gone.
func netclassTree() map[string]string {
	files := map[string]string{
		"sys/class/net/bonding_masters": "bond0\n",
		"sys/class/net/gone":            "-> ../../devices/gone/net/gone",
		"sys/class/net/eth0":            "-> ../../devices/virtio0/net/eth0",
	}
	for name, text := range map[string]string{
		"addr_assign_type": "3", "address": "01:02:03:0a:0b:0c", "broadcast": "ff:ff:ff:ff:ff:ff", "carrier": "1",
		"carrier_changes": "5", "carrier_up_count": "3", "carrier_down_count": "2", "dev_id": "0x2a", "dormant": "1",
		"duplex": "full", "flags": "0x1303", "ifalias": "to the rack", "ifindex": "2", "iflink": "7", "link_mode": "1",
		"mtu": "1500", "name_assign_type": "2", "netdev_group": "4", "operstate": "up", "speed": "1000",
		"tx_queue_len": "1000", "type": "1", "addr_len": "6", "uevent": "INTERFACE=eth0",
	} {
		files["sys/devices/virtio0/net/eth0/"+name] = text + "\n"
	}
	for name, text := range map[string]string{
		"address": "", "flags": "0x82", "ifindex": "3", "mtu": "none", "operstate": "down", "speed": "-1", "type": "65534",
	} {
		files["sys/class/net/tun0/"+name] = text + "\n"
	}
	return files
}

const netclassWant = `# TYPE node_network_up gauge
node_network_up{device="eth0"} 1
node_network_up{device="tun0"} 0
# TYPE node_network_info gauge
node_network_info{address="01:02:03:0a:0b:0c",adminstate="up",broadcast="ff:ff:ff:ff:ff:ff",device="eth0",duplex="full",ifalias="to the rack",operstate="up"} 1
node_network_info{address="",adminstate="down",broadcast="",device="tun0",duplex="",ifalias="",operstate="down"} 1
# TYPE node_network_address_assign_type gauge
node_network_address_assign_type{device="eth0"} 3
# TYPE node_network_carrier gauge
node_network_carrier{device="eth0"} 1
# TYPE node_network_carrier_changes_total counter
node_network_carrier_changes_total{device="eth0"} 5
# TYPE node_network_carrier_up_changes_total counter
node_network_carrier_up_changes_total{device="eth0"} 3
# TYPE node_network_carrier_down_changes_total counter
node_network_carrier_down_changes_total{device="eth0"} 2
# TYPE node_network_device_id gauge
node_network_device_id{device="eth0"} 42
# TYPE node_network_dormant gauge
node_network_dormant{device="eth0"} 1
# TYPE node_network_flags gauge
node_network_flags{device="eth0"} 4867
node_network_flags{device="tun0"} 130
# TYPE node_network_iface_id gauge
node_network_iface_id{device="eth0"} 2
node_network_iface_id{device="tun0"} 3
# TYPE node_network_iface_link gauge
node_network_iface_link{device="eth0"} 7
# TYPE node_network_iface_link_mode gauge
node_network_iface_link_mode{device="eth0"} 1
# TYPE node_network_mtu_bytes gauge
node_network_mtu_bytes{device="eth0"} 1500
# TYPE node_network_name_assign_type gauge
node_network_name_assign_type{device="eth0"} 2
# TYPE node_network_net_dev_group gauge
node_network_net_dev_group{device="eth0"} 4
# TYPE node_network_speed_bytes gauge
node_network_speed_bytes{device="eth0"} 125000000
node_network_speed_bytes{device="tun0"} -125000
# TYPE node_network_transmit_queue_length gauge
node_network_transmit_queue_length{device="eth0"} 1000
# TYPE node_network_protocol_type gauge
node_network_protocol_type{device="eth0"} 1
node_network_protocol_type{device="tun0"} 65534
`

func TestNetclassFiles(t *testing.T) {
	cfg := on(tree(t, netclassTree()))
	c := make1(t, "netclass", cfg)
	same(t, render(t, c), netclassWant)
	same(t, render(t, c), netclassWant) // by the open files

	cfg.Netclass = NetclassConfig{IgnoredDevices: "^eth", IgnoreInvalidSpeed: true}
	v := values(t, render(t, make1(t, "netclass", cfg)))
	if _, speed := v[`node_network_speed_bytes{device="tun0"}`]; speed || len(v) != 5 {
		t.Errorf("without eth0 and unknown speeds: %v", v)
	}
}

func TestNetclassFilesChange(t *testing.T) {
	fs := tree(t, netclassTree())
	c := make1(t, "netclass", on(fs))
	class := fs.SysPath("class/net")
	render(t, c)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Two interfaces swap their names, as udev may have them do.
	do(os.Rename(class+"/eth0", class+"/x"))
	do(os.Rename(class+"/tun0", class+"/eth0"))
	do(os.Rename(class+"/x", class+"/tun0"))
	v := values(t, render(t, c))
	if v[`node_network_iface_id{device="eth0"}`] != 3 || v[`node_network_speed_bytes{device="tun0"}`] != 1.25e8 {
		t.Errorf("after the swap: %v", v)
	}
	do(os.Remove(class + "/tun0"))
	v = values(t, render(t, c))
	if _, there := v[`node_network_up{device="tun0"}`]; there || v[`node_network_iface_id{device="eth0"}`] != 3 {
		t.Errorf("after one went: %v", v)
	}
	if held := c.(*netclass).sysfs.held; len(held) != 2 { // eth0, and the link that leads nowhere
		t.Errorf("the files of %d interfaces are held", len(held))
	}
	do(os.RemoveAll(class))
	if _, err := renderErr(c); !errors.Is(err, ErrNoData) {
		t.Errorf("without the folder: %v", err)
	}
}

// netclassBySysfs is what the files say, on a live host.
func netclassBySysfs(t *testing.T, cfg Config) map[string]float64 {
	t.Helper()
	c := make1(t, "netclass", cfg).(*netclass)
	c.netlink = nil
	defer c.sysfs.close()
	return values(t, render(t, c))
}

// agree compares netlink's view with the files: both say the same, at least at
// some time.
func agree(t *testing.T, what string, cfg Config) {
	t.Helper()
	c := make1(t, "netclass", cfg).(*netclass)
	var got, want map[string]float64
	for range 5 {
		want = netclassBySysfs(t, cfg)
		got = values(t, render(t, c))
		if len(c.sysfs.held) > 0 {
			t.Fatalf("%s: netlink was not used", what)
		}
		if maps.Equal(got, want) {
			return
		}
	}
	for series, v := range want {
		if g, ok := got[series]; !ok || g != v {
			t.Errorf("%s: sysfs says %s %v, netlink %v (%v)", what, series, v, g, ok)
		}
	}
	for series, v := range got {
		if _, ok := want[series]; !ok {
			t.Errorf("%s: netlink says %s %v, sysfs nothing", what, series, v)
		}
	}
}

func TestNetclassLive(t *testing.T) {
	if !hostfs.Default.Live() {
		t.Skip("no sysfs here")
	}
	agree(t, "this host", on(hostfs.Default))
}

// ownNetwork runs a test in a network namespace and a mount namespace of its own,
// with a host that shows it.
func ownNetwork(t *testing.T, test func(t *testing.T, host hostfs.FS)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8), to make interfaces")
	}
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// What the first thread is in, /proc/self shows to all. While it is held
		// here, the test proper runs on another.
		defer runtime.UnlockOSThread()
		t.Run("elsewhere", func(t *testing.T) { ownNetwork(t, test) })
		return
	}
	// Never unlocked: the thread ends with the test.
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		t.Skip("no network namespace can be made here: ", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skip("no mount namespace can be made here: ", err)
	}
	sys := t.TempDir()
	if err := unix.Mount("sysfs", sys, "sysfs", 0, ""); err != nil {
		t.Skip("sysfs cannot be mounted here: ", err)
	}
	defer unix.Unmount(sys, unix.MNT_DETACH)
	test(t, hostfs.FS{Proc: "/proc/thread-self", Sys: sys, Root: "/", Udev: "/run/udev/data"})
}

// ip runs ip(8); it tells whether that worked.
func ip(t *testing.T, args string) bool {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Logf("ip %s: %v: %s", args, err, out)
	}
	return err == nil
}

// TestNetclassInterfaces compares netlink with sysfs over interfaces of all kinds
// that the kernel here can make.
func TestNetclassInterfaces(t *testing.T) { ownNetwork(t, testNetclassInterfaces) }

func testNetclassInterfaces(t *testing.T, host hostfs.FS) {
	cfg := on(host)
	agree(t, "only lo", cfg)
	made := 0
	for _, step := range []string{
		"link set lo up",
		"link add va type veth peer name vb",
		"link set va up",
		"link set vb up",
		"link set vb down",
		"link add br0 type bridge",
		"link set va master br0", // makes va promiscuous
		"link set br0 up",
		"link set vb up",
		"link set dev vb alias to-the-rack-in-the-cellar",
		"link set va promisc on",
		"link set vb allmulticast on",
		"link set vb multicast off",
		"link set vb group 7",
		"link set vb mtu 9000",
		"link set vb txqueuelen 50",
		"link set vb down",
		"link set vb address 02:00:00:00:00:99",
		"link set vb name uplink",
		"link set uplink up",
		"link add link uplink name mv0 type macvlan",
		"link set mv0 up",
		"link add dummy0 type dummy",
		"link set dummy0 up",
		"link add link uplink name vlan5 type vlan id 5",
		"link set vlan5 up",
		"tuntap add dev tun0 mode tun",
		"link set tun0 up",
		"link add sit1 type sit remote 127.0.0.2",
		"link set uplink mode dormant",
		"link property add dev uplink altname a-second-name",
		"link set uplink down",
		"link del mv0",
		"link del br0",
	} {
		if ip(t, step) {
			made++
			agree(t, "ip "+step, cfg)
		}
	}
	if made < 5 {
		t.Skip("the kernel here makes hardly any interfaces")
	}

	// The counters, one by one, with something in them.
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		conn.Write([]byte("discard")) // where nobody listens
	}
	checkDetailed(t, cfg)
	if v := values(t, render(t, make1(t, "netdev", cfg))); v[`node_network_transmit_packets_total{device="lo"}`] == 0 {
		t.Error("lo sent nothing")
	}
}

// Where sysfs shows another network namespace, sysfs is right.
func TestNetclassOtherNamespace(t *testing.T) {
	want := netclassBySysfs(t, on(hostfs.Default))
	ownNetwork(t, func(t *testing.T, host hostfs.FS) {
		if len(want) == len(netclassBySysfs(t, on(host))) {
			t.Skip("this host has no interface but lo")
		}
		host.Sys = hostfs.Default.Sys
		c := make1(t, "netclass", on(host)).(*netclass)
		clock := time.Now()
		c.now = func() time.Time { return clock }
		for range netclassOddities {
			if !c.again.IsZero() {
				t.Error("netlink was given up too early")
			}
			if got := values(t, render(t, c)); !maps.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		}
		if !c.again.After(clock) {
			t.Error("netlink was not given up")
		}
		if got := values(t, render(t, c)); !maps.Equal(got, want) {
			t.Errorf("after giving up: got %v\nwant %v", got, want)
		}
		clock = clock.Add(2 * netclassRetry)
		c.cfg.Netlink, c.netlink.asIs = true, true // told to use it anyway
		if got := values(t, render(t, c)); len(got) >= len(want) {
			t.Errorf("by netlink: %v", got)
		}
	})
}

// Views that differ, each time otherwise, are those of a host on which interfaces
// come and go: netlink is not given up for that.
func TestNetclassOddities(t *testing.T) {
	ownNetwork(t, func(t *testing.T, host hostfs.FS) {
		c := make1(t, "netclass", on(host)).(*netclass)
		c.netlink.host = tree(t, map[string]string{"sys/class/net/veth0/ifindex": "1000\n"})
		listed := c.netlink.host.SysPath("class/net") + "/"
		for i := range 3 * netclassOddities {
			render(t, c)
			if !c.again.IsZero() {
				t.Fatalf("netlink was given up after %d scrapes", i+1)
			}
			if err := os.Rename(fmt.Sprint(listed, "veth", i), fmt.Sprint(listed, "veth", i+1)); err != nil {
				t.Fatal(err)
			}
		}
		for range netclassOddities {
			render(t, c)
		}
		if c.again.IsZero() {
			t.Error("netlink was not given up, though nothing changed")
		}
	})
}

// While interfaces come and go, no scrape fails and none loses the others.
func TestNetclassChurn(t *testing.T) { ownNetwork(t, testNetclassChurn) }

func testNetclassChurn(t *testing.T, host hostfs.FS) {
	cfg := on(host)
	if !ip(t, "link set lo up") || !ip(t, "link add stays type veth peer name stays2") {
		t.Skip("no veth here")
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	script := exec.Command("sh", "-c", "while :; do ip link add v1 type veth peer name v2; ip link del v1; done")
	if err := script.Start(); err != nil { // of this thread, so in this network
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		<-stop
		script.Process.Kill()
		script.Wait()
	}()
	defer func() {
		close(stop)
		<-done
	}()
	c, d := make1(t, "netclass", cfg), make1(t, "netdev", cfg)
	for range 1000 {
		v := values(t, render(t, c))
		if v[`node_network_mtu_bytes{device="stays"}`] != 1500 || v[`node_network_mtu_bytes{device="lo"}`] != 65536 {
			t.Fatalf("an interface that stays is missing: %v", v)
		}
		v = values(t, render(t, d))
		if _, ok := v[`node_network_receive_bytes_total{device="stays"}`]; !ok {
			t.Fatalf("an interface that stays is missing: %v", v)
		}
	}
}

// With --collector.netclass.netlink: other names, netlink's own view and the
// counters, which give way to netdev's.
func TestNetclassNetlink(t *testing.T) { ownNetwork(t, testNetclassNetlink) }

func testNetclassNetlink(t *testing.T, host hostfs.FS) {
	cfg := on(host)
	if !ip(t, "link add va type veth peer name vb") || !ip(t, "link property add dev va altname other") {
		t.Skip("no veth with another name here")
	}
	ip(t, "link set va up")
	cfg.Netclass.Netlink, cfg.Netclass.WithStats = true, true
	v := values(t, render(t, make1(t, "netclass", cfg)))
	for series, want := range map[string]float64{
		`node_network_altnames_info{altname="other",device="va"}`:   1,
		`node_network_carrier{device="vb"}`:                         0, // down: not in sysfs
		`node_network_dormant{device="va"}`:                         0,
		`node_network_speed_bytes{device="va"}`:                     1.25e9,
		`node_network_flags{device="va"}`:                           unix.IFF_UP | unix.IFF_BROADCAST | unix.IFF_MULTICAST,
		`node_network_receive_length_errors_total{device="vb"}`:     0,
		`node_network_receive_nohandler_total{device="va"}`:         0,
		`node_network_iface_link{device="va"}`:                      v[`node_network_iface_id{device="vb"}`],
		`node_network_address_assign_type{device="va"}`:             1,
		`node_network_transmit_queue_length{device="va"}`:           1000,
		`node_network_carrier_changes_total{device="va"}`:           v[`node_network_carrier_changes_total{device="va"}`],
		`node_network_transmit_heartbeat_errors_total{device="lo"}`: 0,
		`node_network_name_assign_type{device="va"}`:                3,
		`node_network_device_id{device="va"}`:                       0,
		`node_network_net_dev_group{device="va"}`:                   0,
		`node_network_multicast_total{device="va"}`:                 0,
		`node_network_collisions_total{device="va"}`:                0,
		`node_network_transmit_carrier_errors_total{device="va"}`:   0,
		`node_network_receive_missed_errors_total{device="va"}`:     0,
		`node_network_protocol_type{device="lo"}`:                   772,
		`node_network_up{device="va"}`:                              0,
		`node_network_mtu_bytes{device="lo"}`:                       65536,
		`node_network_iface_link_mode{device="lo"}`:                 0,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s: %v (%v), want %v", series, got, ok, want)
		}
	}
	if n, ok := v[`node_network_speed_bytes{device="lo"}`]; ok {
		t.Errorf("lo has a speed: %v", n)
	}

	// Both collectors in one scrape, on this thread.
	units, err := build(cfg, []string{"netclass", "netdev"})
	if err != nil {
		t.Fatal(err)
	}
	p := &pass{units: units, outcome: make([]outcome, len(units))}
	for i, u := range units {
		p.outcome[i].w = &expo.Writer{}
		if err := u.collector.Collect(t.Context(), p.outcome[i].w); err != nil {
			t.Fatal(err)
		}
	}
	p.settleForeign(&Set{log: slog.New(slog.DiscardHandler)})
	var both strings.Builder
	for i := range units {
		both.Write(p.outcome[i].w.Bytes())
	}
	values(t, both.String()) // fails on a series that is there twice
	if n := strings.Count(both.String(), "# TYPE node_network_receive_bytes_total "); n != 1 {
		t.Errorf("%d families of received bytes", n)
	}
	if !strings.Contains(both.String(), "\nnode_network_receive_length_errors_total{") {
		t.Error("the counters that netdev has not are missing")
	}
}

func TestNetclassBad(t *testing.T) {
	cfg := on(tree(t, nil))
	if _, err := renderErr(make1(t, "netclass", cfg)); !errors.Is(err, ErrNoData) {
		t.Errorf("no sysfs: %v", err)
	}
	cfg.Netclass.IgnoredDevices = "("
	if _, err := build(cfg, []string{"netclass"}); err == nil {
		t.Error("a bad pattern: accepted")
	}
}

func TestParseSysInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0\n": 0, "-1\n": -1, "0x1003\n": 0x1003, "0XfF": 255, "65534": 65534, "0x7fffffffffffffff": 1<<63 - 1,
	} {
		if got, err := parseSysInt([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "\n", "0x", "0xg", "x1", "1 2", "0x8000000000000000", "9223372036854775808", "none", "0x1:"} {
		if got, err := parseSysInt([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func FuzzSysInt(f *testing.F) {
	f.Add([]byte("0x1003\n"))
	f.Add([]byte("-1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseSysInt(b)
		if err != nil {
			return
		}
		text := strings.ToLower(strings.Trim(string(b), " \t\r\n"))
		base := 10
		if strings.HasPrefix(text, "0x") {
			text, base = text[2:], 16
		}
		if want, err := strconv.ParseInt(text, base, 64); err != nil || got != want {
			t.Errorf("%q: %d, want %d, %v", b, got, want, err)
		}
	})
}

func BenchmarkNetclassFiles(b *testing.B) {
	c := make1(b, "netclass", DefaultConfig()).(*netclass)
	c.netlink = nil
	benchmarkCollect(b, c)
}

// Drivers are asked for their modes when an interface changed its state, and else
// each minute.
func TestNetclassAsksForModes(t *testing.T) { ownNetwork(t, testNetclassAsksForModes) }

func testNetclassAsksForModes(t *testing.T, host hostfs.FS) {
	if !ip(t, "link add va type veth peer name vb") {
		t.Skip("no veth here")
	}
	ip(t, "link set vb up")
	ip(t, "link set va up")
	n := newNetclassNetlink(host, newLinks(), &Filter{}, nil, true)
	now := time.Now()
	n.now = func() time.Time { return now }
	speed := func() (mbits int64) {
		t.Helper()
		table, err := n.links.take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer table.release()
		interfaces, err := n.read(table.links)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range interfaces {
			if k.name == "va" {
				return k.v[netSpeed] / 125_000
			}
		}
		t.Fatal("va is missing")
		return 0
	}
	const real, kept = 10_000, 4711
	expect := func(what string, want int64) {
		t.Helper()
		if got := speed(); got != want {
			t.Errorf("%s: %d Mbit/s, want %d", what, got, want)
		}
		for i := range n.modes {
			n.modes[i].Speed = kept
		}
	}
	expect("at first", real)
	expect("nothing changed", kept)
	ip(t, "link set vb down")
	expect("the carrier went", real)
	now = now.Add(modesAge - time.Second)
	expect("before a minute", kept)
	now = now.Add(time.Second)
	expect("after a minute", real)
}
