package collectors

import (
	"bytes"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

func TestPathLabels(t *testing.T) {
	ip := netip.MustParseAddr
	for _, c := range []struct {
		path netlink.Path
		want string
	}{
		{netlink.Path{Gateway: ip("192.0.2.1"), Priority: 100, Protocol: 16}, "eth0||default|192.0.2.1|100|dhcp|"},
		{netlink.Path{Destination: netip.MustParsePrefix("::/0"), Gateway: ip("fe80::1"), Priority: 1024, Protocol: 9}, "eth0||default|fe80::1|1024|ra|"},
		{netlink.Path{Destination: netip.MustParsePrefix("10.1.0.0/16"), Source: ip("10.1.0.9"), Protocol: 2}, "eth0|10.1.0.9|10.1.0.0/16||0|kernel|"},
		{netlink.Path{Destination: netip.MustParsePrefix("fd00::/8"), Protocol: 77, Weight: 256}, "eth0||fd00::/8||0|unknown|256"},
	} {
		labels := pathLabels("eth0", c.path)
		if got := strings.Join(labels[:], "|"); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// Routes of interfaces that are not in the list, which was made a moment later or
// earlier, are left out; those that look the same are one.
func TestNetworkRouteVanishing(t *testing.T) {
	c, err := newNetworkRoute(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	n := c.(*networkRoute)
	linkLocal := netip.MustParsePrefix("fe80::/64")
	n.paths = []netlink.Path{
		{Index: 2, Destination: linkLocal, Priority: 256, Protocol: 2},
		{Index: 7, Destination: linkLocal, Priority: 256, Protocol: 2},
		{Index: 8, Destination: linkLocal, Priority: 256, Protocol: 2},
		{Index: 2, Protocol: 200},
		{Index: 2, Protocol: 201, Destination: netip.MustParsePrefix("::/0")},
		{Gateway: netip.MustParseAddr("192.0.2.1"), Protocol: 4}, // by a next hop object, say
	}
	for range 2 {
		var w expo.Writer
		n.name([]netlink.Link{{Index: 2, Name: "eth0"}})
		n.write(&w)
		got := values(t, string(w.Bytes()))
		want := map[string]float64{
			`node_network_route_info{device="eth0",src="",dest="fe80::/64",gw="",priority="256",proto="kernel",weight=""}`:  1,
			`node_network_route_info{device="eth0",src="",dest="default",gw="",priority="0",proto="unknown",weight=""}`:     1,
			`node_network_route_info{device="",src="",dest="default",gw="192.0.2.1",priority="0",proto="static",weight=""}`: 1,
			`node_network_routes{device="eth0"}`: 3,
			`node_network_routes{device=""}`:     1,
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	}
}

// The default route of /proc/net/route, with its interface, is there; the sums
// are those of the single ones.
func TestNetworkRouteLive(t *testing.T) {
	c := make1(t, "network_route", DefaultConfig())
	render(t, c)
	v := values(t, render(t, c)) // from what it remembers; values wants each series once
	routes, infos := 0.0, 0.0
	for series, n := range v {
		if strings.HasPrefix(series, "node_network_routes{") {
			routes += n
		} else {
			infos += n
		}
	}
	if routes < infos {
		t.Errorf("%v routes, %v told one by one", routes, infos)
	}
	b, err := os.ReadFile("/proc/net/route")
	if err != nil {
		t.Skip(err)
	}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" || f[3] != "0003" {
			continue
		}
		found := false
		for series := range v {
			found = found || strings.Contains(series, `device="`+f[0]+`"`) && strings.Contains(series, `dest="default"`)
		}
		if !found {
			t.Errorf("no default route by %s in %v", f[0], v)
		}
	}
}
