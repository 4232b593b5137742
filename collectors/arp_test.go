package collectors

import (
	"os"
	"strings"
	"testing"
)

const arpText = `IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         02:fc:00:00:00:fe     *        eth1
192.0.2.2        0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.3        0x308       0x2                               *        eth0
10.0.0.1         0x1         0x2         02:fc:00:00:00:01     *        veth3
`

func TestARP(t *testing.T) {
	const (
		header = "# TYPE node_arp_entries gauge\n"
		eth    = "node_arp_entries{device=\"eth0\"} 2\nnode_arp_entries{device=\"eth1\"} 1\n"
		veth   = "node_arp_entries{device=\"veth3\"} 1\n"
	)
	for name, c := range map[string]struct {
		cfg  ARPConfig
		want string
	}{
		"all":     {ARPConfig{}, header + eth + veth},
		"include": {ARPConfig{DeviceInclude: "^eth"}, header + eth},
		"exclude": {ARPConfig{DeviceExclude: "^eth"}, header + veth},
		"both":    {ARPConfig{DeviceInclude: "3", DeviceExclude: "eth0"}, header + veth},
		"netlink": {ARPConfig{Netlink: true}, header + eth + veth}, // of a captured host there is the file alone
	} {
		t.Run(name, func(t *testing.T) {
			cfg := on(tree(t, map[string]string{"proc/net/arp": arpText}))
			cfg.ARP = c.cfg
			same(t, render(t, make1(t, "arp", cfg)), c.want)
		})
	}
	refuses(t, "arp", "proc/net/arp", map[string]string{"one word": "IP address\n192.0.2.1\n"})
}

// Netlink and the file say the same of the live kernel.
func TestARPLive(t *testing.T) {
	b, err := os.ReadFile("/proc/net/arp")
	if err != nil || strings.Count(string(b), "\n") < 2 {
		t.Skip("no neighbours here")
	}
	cfg := DefaultConfig()
	byNetlink := make1(t, "arp", cfg)
	cfg.ARP.Netlink = false
	byFile := make1(t, "arp", cfg)
	for range 5 { // neighbours come and go
		if err = nil; render(t, byNetlink) == render(t, byFile) {
			return
		}
	}
	t.Errorf("netlink says\n%s\nthe file\n%s", render(t, byNetlink), render(t, byFile))
}

func FuzzARP(f *testing.F) {
	f.Add(arpText)
	f.Add("a\nb c\n")
	fs := tree(f, map[string]string{"proc/net/arp": arpText})
	c := make1(f, "arp", on(fs))
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(fs.ProcPath("net/arp"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if said, err := renderErr(c); err == nil {
			values(t, said)
		}
	})
}
