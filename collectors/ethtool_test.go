package collectors

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

func TestEthtoolName(t *testing.T) {
	for stat, want := range map[string]string{
		"rx_bytes": "received_bytes", "port.rx_dropped": "port_received_dropped", "tx": "transmitted", "txpackets": "txpackets",
		"RX Packets [0]": "received_packets__0_", "__odd": "odd", "0_tx_q": "0_transmitted_q", "a_rx_tx_b": "a_received_transmitted_b",
	} {
		if got := ethtoolName(ethtoolClean(stat)); got != want {
			t.Errorf("%s: got %s, want %s", stat, got, want)
		}
	}
}

// Two interfaces of different drivers: a family has the series of both; names that
// become the same are left out for the interface that has them.
func TestEthtoolArrange(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Ethtool.MetricsInclude = "^[^h]"
	c, err := newEthtool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e := c.(*ethtool)
	e.devices = []*ethtoolDevice{
		{name: "eth0", names: []string{"rx_bytes", "align_errors", "hidden", "odd.name", "odd-name", ""}, values: []uint64{1, 2, 3, 4, 5, 6}},
		{name: "eth1", names: []string{"odd_name", "rx_bytes"}, values: []uint64{7, 8}},
	}
	e.arrange()
	var w expo.Writer
	for _, f := range e.families {
		for _, s := range f.at {
			w.Uint(f.family, s.device.values[s.place], s.device.name)
		}
	}
	var kept strings.Builder
	for line := range strings.Lines(string(w.Bytes())) {
		if !strings.HasPrefix(line, "# HELP ") {
			kept.WriteString(line)
		}
	}
	same(t, kept.String(), `# TYPE node_ethtool_received_bytes_total untyped
node_ethtool_received_bytes_total{device="eth0"} 1
node_ethtool_received_bytes_total{device="eth1"} 8
# TYPE node_ethtool_align_errors untyped
node_ethtool_align_errors{device="eth0"} 2
# TYPE node_ethtool_odd_name untyped
node_ethtool_odd_name{device="eth1"} 7
`)
}

func TestEthtoolSettings(t *testing.T) {
	var s netlink.LinkSettings
	set := func(m *netlink.LinkModes, bits ...int) {
		for _, b := range bits {
			m[b/32] |= 1 << (b % 32)
		}
	}
	set(&s.Supported, unix.ETHTOOL_LINK_MODE_1000baseT_Full_BIT, unix.ETHTOOL_LINK_MODE_25000baseSR_Full_BIT, unix.ETHTOOL_LINK_MODE_Autoneg_BIT, unix.ETHTOOL_LINK_MODE_TP_BIT, unix.ETHTOOL_LINK_MODE_FIBRE_BIT)
	set(&s.Advertised, unix.ETHTOOL_LINK_MODE_10baseT_Half_BIT, unix.ETHTOOL_LINK_MODE_Asym_Pause_BIT)
	s.Autoneg = true
	e := &ethtool{devices: []*ethtoolDevice{{name: "eth0", settings: &s}, {name: "veth1"}}}
	var w expo.Writer
	e.writeSettings(&w)
	got := values(t, string(w.Bytes()))
	want := map[string]float64{
		`node_network_supported_speed_bytes{device="eth0",duplex="full",mode="1000baseT"}`:   125e6,
		`node_network_supported_speed_bytes{device="eth0",duplex="full",mode="25000baseSR"}`: 3125e6,
		`node_network_supported_port_info{device="eth0",type="TP"}`:                          1,
		`node_network_supported_port_info{device="eth0",type="FIBRE"}`:                       1,
		`node_network_autonegotiate_supported{device="eth0"}`:                                1,
		`node_network_pause_supported{device="eth0"}`:                                        0,
		`node_network_asymmetricpause_supported{device="eth0"}`:                              0,
		`node_network_advertised_speed_bytes{device="eth0",duplex="half",mode="10baseT"}`:    1.25e6,
		`node_network_autonegotiate_advertised{device="eth0"}`:                               0,
		`node_network_pause_advertised{device="eth0"}`:                                       0,
		`node_network_asymmetricpause_advertised{device="eth0"}`:                             1,
		`node_network_autonegotiate{device="eth0"}`:                                          1,
	}
	for series, v := range want {
		if got[series] != v {
			t.Errorf("%s is %v, want %v", series, got[series], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
}

// Each mode stands once in the table.
func TestEthtoolModes(t *testing.T) {
	bits, names := make(map[int]bool), make(map[string]bool)
	for _, m := range ethtoolModes {
		if bits[m.bit] || names[m.duplex+m.name] || m.bit >= 128 || m.speed < 10 {
			t.Errorf("%+v", m)
		}
		bits[m.bit], names[m.duplex+m.name] = true, true
	}
}

func TestEthtoolLive(t *testing.T) {
	if _, err := os.Stat("/sys/class/net/eth0/device/driver"); err != nil {
		t.Skip("no eth0 with a driver here")
	}
	c := make1(t, "ethtool", DefaultConfig())
	first, err := renderErr(c)
	if err != nil {
		t.Log(err)
	}
	second, _ := renderErr(c)
	if !strings.Contains(first, `node_ethtool_info{bus_info="`) || strings.Count(first, "\n") != strings.Count(second, "\n") {
		t.Errorf("first\n%s\nthen\n%s", first, second)
	}
	values(t, second)
}

func FuzzEthtoolName(f *testing.F) {
	f.Add("rx_bytes")
	f.Add("\x00tx rx")
	f.Fuzz(func(t *testing.T, stat string) {
		if name := "node_ethtool_" + ethtoolName(ethtoolClean(stat)); !expo.ValidName(name) {
			t.Errorf("%q becomes %q", stat, name)
		}
	})
}
