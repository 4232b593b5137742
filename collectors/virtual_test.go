package collectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

// devicesOf are the interfaces of which a collector tells.
func devicesOf(t *testing.T, c Collector) []string {
	t.Helper()
	seen := make(map[string]bool)
	for series := range values(t, render(t, c)) {
		_, rest, _ := strings.Cut(series, `device="`)
		name, _, _ := strings.Cut(rest, `"`)
		seen[name] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestVirtualByNetlink(t *testing.T) {
	links := []netlink.Link{
		{Index: 1, Name: "lo"},
		{Index: 2, Name: "eth0", Master: 10},
		{Index: 3, Name: "eth1"},
		{Index: 4, Name: "veth1a2b3c", Kind: "veth", Master: 11},
		{Index: 5, Name: "cali0123456789a", Kind: "veth"},
		{Index: 6, Name: "podlink", Kind: "veth", Master: 10},
		{Index: 7, Name: "lxc_health", Kind: "netkit"},
		{Index: 10, Name: "br0", Kind: "bridge"}, // the host's own: eth0 is its port
		{Index: 11, Name: "docker0", Kind: "bridge"},
		{Index: 12, Name: "internal", Kind: "bridge"}, // no port at all
		{Index: 13, Name: "br-0123456789ab", Kind: "bridge"},
		{Index: 14, Name: "br-ex", Kind: "openvswitch"},
		{Index: 15, Name: "cni0", Kind: "bridge"},
		{Index: 16, Name: "vlan7", Kind: "vlan", Lower: 3, Master: 17},
		{Index: 17, Name: "br7", Kind: "bridge"},
		{Index: 18, Name: "eth2", Master: 15}, // of a bridge that is a container program's by name
		{Index: 20, Name: "bond0", Kind: "bond"},
		{Index: 21, Name: "flannel.1", Kind: "vxlan"},
		{Index: 22, Name: "overlay", Kind: "geneve"},
		{Index: 23, Name: "tunl0", Kind: "ipip"},
		{Index: 24, Name: "to-berlin", Kind: "gre"},
		{Index: 25, Name: "wg0", Kind: "wireguard"},
		{Index: 26, Name: "vnet3", Kind: "tun"},
		{Index: 27, Name: "kube-ipvs0", Kind: "dummy"},
		{Index: 28, Name: "ifb0", Kind: "ifb"},
		{Index: 29, Name: "cilium_host", Kind: "veth"},
		{Index: 30, Name: "caliber0"}, // by its name alone
	}
	var cfg Config
	if none, err := cfg.virtual(); err != nil || none != nil || !none.keep("veth0") {
		t.Errorf("unless asked for: %v, %v", none, err)
	}
	cfg.Net.IgnoreVirtual = true
	v, err := cfg.virtual()
	if err != nil {
		t.Fatal(err)
	}
	v.look(links)
	var kept []string
	for _, l := range links {
		if v.keep(l.Name) {
			kept = append(kept, l.Name)
		}
	}
	want := "lo eth0 eth1 br0 br-ex vlan7 br7 eth2 bond0 to-berlin wg0 vnet3"
	if got := strings.Join(kept, " "); got != want {
		t.Errorf("kept %s\nwant %s", got, want)
	}
	if n := testing.AllocsPerRun(10, func() { v.look(links) }); n != 0 {
		t.Errorf("%v allocations to look again", n)
	}
}

// virtualTree is a host of which there are only files.
func virtualTree(t *testing.T) hostfs.FS {
	files := map[string]string{"sys/class/net/bonding_masters": "bond0\n"}
	netdev := "Inter-|\n face |\n"
	add := func(name string, more ...string) {
		dir := "sys/class/net/" + name + "/"
		files[dir+"ifindex"] = fmt.Sprintln(len(files))
		files[dir+"type"] = "1\n"
		files[dir+"flags"] = "0x1003\n"
		files[dir+"uevent"] = "INTERFACE=" + name + "\n"
		for _, m := range more {
			file, text, _ := strings.Cut(m, "=")
			files[dir+file] = text + "\n"
		}
		if files[dir+"iflink"] == "" {
			files[dir+"iflink"] = files[dir+"ifindex"]
		}
		netdev += name + ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
	}
	add("lo", "type=772")
	add("eth0", "device/vendor=0x1af4", "master/ifindex=999")
	add("br0", "uevent=INTERFACE=br0\nDEVTYPE=bridge", "ifindex=999", "iflink=999")
	add("internal", "uevent=DEVTYPE=bridge\nINTERFACE=internal")
	add("pod1", "iflink=2", "master/ifindex=999")
	add("vlan5", "iflink=3", "lower_eth0/ifindex=3", "uevent=DEVTYPE=vlan")
	add("mv0", "iflink=3", "lower_eth0/ifindex=3")
	add("overlay", "uevent=DEVTYPE=vxlan")
	add("dummy7", "flags=0x82")
	add("tap0", "tun_flags=0x1002", "iflink=0")
	add("sit1", "type=776", "iflink=3")
	add("nlmon0", "type=824")
	add("cilium_wg0", "type=65534", "uevent=DEVTYPE=wireguard")
	add("bare", "ifindex=", "type=", "flags=", "iflink=", "operstate=up")              // of which nothing is known
	files["proc/net/dev"] = netdev + "veth9: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n" // not in sysfs
	return tree(t, files)
}

func TestVirtualByFiles(t *testing.T) {
	cfg := on(virtualTree(t))
	if all := devicesOf(t, make1(t, "netdev", cfg)); len(all) != 15 {
		t.Errorf("of all: %q", all)
	}
	cfg.Net.IgnoreVirtual = true
	want := "bare br0 eth0 lo mv0 sit1 tap0 vlan5"
	for _, name := range []string{"netdev", "netclass"} {
		c := make1(t, name, cfg)
		for range 2 { // the second time the kinds are known
			if got := strings.Join(devicesOf(t, c), " "); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	// The other filters hold as well.
	cfg.Netdev.DeviceExclude = "^(lo|tap)"
	if got := strings.Join(devicesOf(t, make1(t, "netdev", cfg)), " "); got != "bare br0 eth0 mv0 sit1 vlan5" {
		t.Errorf("with a pattern: %s", got)
	}
}

// On a live host netlink and files leave out the same, of every kind of interface
// that the kernel here can make.
func TestVirtualLive(t *testing.T) { ownNetwork(t, testVirtualLive) }

func testVirtualLive(t *testing.T, host hostfs.FS) {
	cfg := on(host)
	cfg.Net.IgnoreVirtual = true
	byFile := cfg
	byFile.Netdev.Netlink = false
	made := 0
	for _, step := range []string{
		"link add va type veth peer name vb",
		"link add br0 type bridge",
		"link set va master br0",
		"tuntap add dev tap0 mode tap",
		"link set tap0 master br0", // br0 is the host's own now
		"link add br1 type bridge",
		"link set vb master br1",
		"link add docker0 type bridge",
		"link add vx0 type vxlan id 4 dstport 4789",
		"link add ov0 type geneve id 4 remote 192.0.2.1",
		"link add du0 type dummy",
		"link add if7 type ifb",
		"link add nk0 type netkit",
		"link add nm0 type nlmon",
		"link add bo0 type bond",
		"link add link tap0 name vl5 type vlan id 5",
		"link add link tap0 name mv0 type macvlan",
		"link add link tap0 name iv0 type ipvlan",
		"link add ip7 type ipip remote 192.0.2.1 local 192.0.2.2",
		"link add gt0 type gretap remote 192.0.2.1 local 192.0.2.2",
		"link add wg0 type wireguard",
		"link set tap0 nomaster", // br0 is so no more
		"link del va",
	} {
		if !ip(t, step) {
			continue
		}
		made++
		agree(t, "ip "+step, cfg)
		got := devicesOf(t, make1(t, "netdev", cfg))
		if want := devicesOf(t, make1(t, "netclass", cfg)); !slices.Equal(got, want) {
			t.Errorf("ip %s: netdev %q, netclass %q", step, got, want)
		}
		if files := devicesOf(t, make1(t, "netdev", byFile)); !slices.Equal(got, files) {
			t.Errorf("ip %s: by netlink %q, by file %q", step, got, files)
		}
		for _, name := range []string{"va", "vb", "br1", "docker0", "vx0", "ov0", "du0", "if7", "nk0", "nm0"} {
			if slices.Contains(got, name) {
				t.Errorf("ip %s: %s is told of", step, name)
			}
		}
		if has := exists(host.SysPath("class/net/tap0/master")); has != slices.Contains(got, "br0") {
			t.Errorf("ip %s: the tap is its port: %v; told of: %q", step, has, got)
		}
		if !slices.Contains(got, "lo") {
			t.Errorf("ip %s: lo is left out", step)
		}
	}
	if made < 3 {
		t.Skip("the kernel here makes hardly any interfaces")
	}
}

func FuzzDeviceType(f *testing.F) {
	f.Add("DEVTYPE=bridge\nINTERFACE=br0\nIFINDEX=4\n")
	f.Add("INTERFACE=DEVTYPE=x\n")
	f.Add("DEVTYPE=")
	f.Fuzz(func(t *testing.T, text string) {
		kind := deviceType([]byte(text))
		if strings.Contains(kind, "\n") || kind != "" && !strings.Contains(text, "DEVTYPE="+kind) {
			t.Errorf("%q of %q", kind, text)
		}
	})
}

// What it costs to decide, on this host's interfaces.
func BenchmarkVirtual(b *testing.B) {
	cfg := DefaultConfig()
	cfg.Net.IgnoreVirtual = true
	benchmarkCollect(b, make1(b, "netdev", cfg))
}
