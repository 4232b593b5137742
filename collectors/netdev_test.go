package collectors

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

const netdevText = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 435303245 1832522 0 0 0 0 0 0 435303245 1832522 0 0 0 0 0 0
  eth0:68210035552 520993275 1 2 3 4 5 6 9315587528 43451486 7 8 9 10 11 12
 vb:0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17
`

const netdevWant = `# TYPE node_network_receive_bytes_total counter
node_network_receive_bytes_total{device="eth0"} 68210035552
# TYPE node_network_receive_packets_total counter
node_network_receive_packets_total{device="eth0"} 520993275
# TYPE node_network_receive_errs_total counter
node_network_receive_errs_total{device="eth0"} 1
# TYPE node_network_receive_drop_total counter
node_network_receive_drop_total{device="eth0"} 2
# TYPE node_network_receive_fifo_total counter
node_network_receive_fifo_total{device="eth0"} 3
# TYPE node_network_receive_frame_total counter
node_network_receive_frame_total{device="eth0"} 4
# TYPE node_network_receive_compressed_total counter
node_network_receive_compressed_total{device="eth0"} 5
# TYPE node_network_receive_multicast_total counter
node_network_receive_multicast_total{device="eth0"} 6
# TYPE node_network_transmit_bytes_total counter
node_network_transmit_bytes_total{device="eth0"} 9315587528
# TYPE node_network_transmit_packets_total counter
node_network_transmit_packets_total{device="eth0"} 43451486
# TYPE node_network_transmit_errs_total counter
node_network_transmit_errs_total{device="eth0"} 7
# TYPE node_network_transmit_drop_total counter
node_network_transmit_drop_total{device="eth0"} 8
# TYPE node_network_transmit_fifo_total counter
node_network_transmit_fifo_total{device="eth0"} 9
# TYPE node_network_transmit_colls_total counter
node_network_transmit_colls_total{device="eth0"} 10
# TYPE node_network_transmit_carrier_total counter
node_network_transmit_carrier_total{device="eth0"} 11
# TYPE node_network_transmit_compressed_total counter
node_network_transmit_compressed_total{device="eth0"} 12
`

func TestNetdevFile(t *testing.T) {
	cfg := on(tree(t, map[string]string{"proc/net/dev": netdevText}))
	cfg.Netdev.DeviceInclude = "^eth"
	same(t, render(t, make1(t, "netdev", cfg)), netdevWant)

	cfg.Netdev = NetdevConfig{Netlink: true, DeviceExclude: "^eth"}
	v := values(t, render(t, make1(t, "netdev", cfg)))
	if len(v) != 2*16 || v[`node_network_transmit_compressed_total{device="vb:0"}`] != 16 || v[`node_network_receive_bytes_total{device="lo"}`] != 435303245 {
		t.Errorf("all but eth0: %v", v)
	}
}

func TestNetdevFileDetailed(t *testing.T) {
	cfg := on(tree(t, map[string]string{
		"proc/net/dev":                 netdevText,
		"sys/class/net/eth0/ifalias":   "to the \"rack\"\n",
		"sys/class/net/lo/ifalias":     "\n",
		"sys/class/net/vb:0/operstate": "up\n",
	}))
	cfg.Netdev = NetdevConfig{Detailed: true, LabelIfalias: true}
	v := values(t, render(t, make1(t, "netdev", cfg)))
	for series, want := range map[string]float64{
		`node_network_receive_errors_total{device="eth0",ifalias="to the \"rack\""}`:      1,
		`node_network_receive_dropped_total{device="eth0",ifalias="to the \"rack\""}`:     2,
		`node_network_receive_fifo_total{device="eth0",ifalias="to the \"rack\""}`:        3,
		`node_network_receive_frame_total{device="eth0",ifalias="to the \"rack\""}`:       4,
		`node_network_receive_multicast_total{device="eth0",ifalias="to the \"rack\""}`:   6,
		`node_network_transmit_errors_total{device="vb:0",ifalias=""}`:                    11,
		`node_network_transmit_dropped_total{device="vb:0",ifalias=""}`:                   12,
		`node_network_transmit_carrier_total{device="lo",ifalias=""}`:                     0,
		`node_network_transmit_colls_total{device="eth0",ifalias="to the \"rack\""}`:      10,
		`node_network_transmit_compressed_total{device="eth0",ifalias="to the \"rack\""}`: 12,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s: %v, want %v", series, got, want)
		}
	}
	if len(v) != 3*16 {
		t.Errorf("%d series: %v", len(v), v)
	}
}

func TestNetdevBad(t *testing.T) {
	head, _, _ := strings.Cut(netdevText, "    lo:")
	for _, line := range []string{"eth0 1 2 3", "eth0: 1 2 3", ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "a b: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0: 1 2 3 4 5 6 7 8 -9 10 11 12 13 14 15 16"} {
		out, err := renderErr(make1(t, "netdev", on(tree(t, map[string]string{"proc/net/dev": head + line + "\n"}))))
		if err == nil || out != "" || !strings.Contains(err.Error(), "net/dev: line "+strconv.Quote(line)) {
			t.Errorf("%q: error %v, said %q", line, err, out)
		}
	}
	cfg := on(tree(t, nil))
	cfg.Netdev.Netlink = false
	if _, err := renderErr(make1(t, "netdev", cfg)); !errors.Is(err, ErrNoData) {
		t.Errorf("no file: %v", err)
	}
	cfg.Netdev = NetdevConfig{DeviceInclude: "a", DeviceExclude: "b"}
	if _, err := newNetdev(cfg); err == nil {
		t.Error("both patterns: accepted")
	}
}

// The sums of several counters, and an interface without counters.
func TestNetdevSums(t *testing.T) {
	var l netlink.Link
	if l.Has(unix.IFLA_STATS64) {
		t.Fatal("an empty link has counters")
	}
	want := map[string]uint64{
		"node_network_receive_drop_total": 1<<netlink.RxDropped | 1<<netlink.RxMissedErrors,
		"node_network_receive_frame_total": 1<<netlink.RxFrameErrors | 1<<netlink.RxLengthErrors |
			1<<netlink.RxOverErrors | 1<<netlink.RxCRCErrors,
		"node_network_transmit_carrier_total": 1<<netlink.TxCarrierErrors | 1<<netlink.TxAbortedErrors |
			1<<netlink.TxWindowErrors | 1<<netlink.TxHeartbeatErrors,
		"node_network_receive_errs_total": 1 << netlink.RxErrors,
	}
	for _, set := range []netdevSet{netdevPlain, netdevDetailed} {
		var all uint64
		for _, r := range netdevRowsOf(set) {
			var sum uint64
			for _, place := range r.of {
				sum += 1 << place
			}
			if all&sum != 0 {
				t.Errorf("%s counts what another family counts", r.family.Name())
			}
			all |= sum
			if w, ok := want[r.family.Name()]; ok && sum != w {
				t.Errorf("%s: counters %b, want %b", r.family.Name(), sum, w)
			}
		}
		if all != 1<<netlink.StatCount-1 {
			t.Errorf("set %d leaves out some counters: %b", set, all)
		}
	}
	if n := len(netdevRowsOf(netdevPlain)); n != 17 {
		t.Errorf("%d families", n)
	}
}

// The two sources say the same, when nothing was counted between reading them.
func TestNetdevLive(t *testing.T) {
	cfg := on(hostfs.Default)
	byNetlink := make1(t, "netdev", cfg)
	cfg.Netdev.Netlink = false
	byFile := make1(t, "netdev", cfg)
	before := values(t, render(t, byFile))
	v := values(t, render(t, byNetlink))
	after := values(t, render(t, byFile))
	for series, n := range before {
		if got, ok := v[series]; !ok || got < n || got > after[series] {
			t.Errorf("%s: %v, /proc/net/dev says %v to %v", series, got, n, after[series])
		}
	}
	for series := range v {
		if _, ok := before[series]; !ok && !strings.HasPrefix(series, "node_network_receive_nohandler_total{") {
			t.Errorf("%s is not in /proc/net/dev", series)
		}
	}
}

// In the detailed set each counter is what sysfs has in a file of its own.
func TestNetdevLiveDetailed(t *testing.T) {
	if !hostfs.Default.Live() {
		t.Skip("no sysfs here")
	}
	checkDetailed(t, on(hostfs.Default))
}

// checkDetailed compares each counter with sysfs, read in between two readings.
func checkDetailed(t *testing.T, cfg Config) {
	t.Helper()
	cfg.Netdev.Detailed = true
	c := make1(t, "netdev", cfg)
	names := strings.NewReplacer("node_network_", "", "_total", "", "receive_", "rx_", "transmit_", "tx_")
	before := values(t, render(t, c))
	files := make(map[string]float64)
	for series := range before {
		name, labels, _ := strings.Cut(series, "{")
		b, err := os.ReadFile(filepath.Join(cfg.FS.Sys, "class/net", strings.Split(labels, `"`)[1], "statistics", names.Replace(name)))
		if err != nil {
			t.Errorf("%s: %v", series, err)
			continue
		}
		if files[series], err = strconv.ParseFloat(strings.TrimSpace(string(b)), 64); err != nil {
			t.Error(err)
		}
	}
	after := values(t, render(t, c))
	for series, n := range files {
		if n < before[series] || n > after[series] {
			t.Errorf("%s: %v to %v, sysfs says %v", series, before[series], after[series], n)
		}
	}
	if len(files) < 24 {
		t.Errorf("%d counters", len(files))
	}
}

func TestNetdevAddresses(t *testing.T) {
	cfg := on(hostfs.Default)
	cfg.Netdev.AddressInfo = true
	c := make1(t, "netdev", cfg)
	got := make(map[string]float64)
	for series, n := range values(t, render(t, c)) {
		if strings.HasPrefix(series, "node_network_address_info{") {
			got[series] = n
		}
	}
	want := make(map[string]float64)
	ifaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			ip, subnet, err := net.ParseCIDR(a.String())
			if err != nil {
				t.Fatal(err)
			}
			scope := "global"
			if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
				scope = "link-local"
			}
			bits, _ := subnet.Mask.Size()
			want[`node_network_address_info{address="`+ip.String()+`",device="`+i.Name+`",netmask="`+strconv.Itoa(bits)+`",scope="`+scope+`"}`] = 1
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func FuzzNetdev(f *testing.F) {
	for line := range strings.Lines(netdevText) {
		f.Add([]byte(strings.TrimSuffix(line, "\n")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var l netdevLine
		name, err := l.parse(b)
		if err != nil {
			return
		}
		at := strings.LastIndex(string(b), ":")
		words := strings.FieldsFunc(string(b[at+1:]), func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
		if strings.Trim(string(b[:at]), " \t\r\n") != string(name) || len(words) < len(netdevColumns) {
			t.Fatalf("%q: name %q", b, name)
		}
		for i, place := range netdevColumns {
			if n, err := strconv.ParseUint(words[i], 10, 64); err != nil || n != l.stats[place] {
				t.Errorf("%q: column %d is %d", b, i, l.stats[place])
			}
		}
	})
}

func BenchmarkNetdevFile(b *testing.B) {
	cfg := DefaultConfig()
	cfg.Netdev.Netlink = false
	benchmarkCollect(b, make1(b, "netdev", cfg))
}
