package collectors

// Entries of the IPv4 neighbour table by interface, from one dump of rtnetlink
// (RTM_GETNEIGH), or from /proc/net/arp (kernel: net/ipv4/arp.c), whose last word
// is the interface:
//
//	IP address       HW type     Flags       HW address            Mask     Device
//	192.168.1.1      0x1         0x2         02:fc:00:00:00:fe     *        eth0

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

var arpEntries = expo.Gauge("node_arp_entries", "IPv4 neighbours that are known or being looked for.", "device")

// ARPConfig configures the arp collector. Both patterns may be given.
type ARPConfig struct {
	DeviceInclude string // keep only interfaces that match
	DeviceExclude string // leave out interfaces that match
	Netlink       bool   // ask rtnetlink and not /proc/net/arp
}

type arp struct {
	filter *Filter
	links  *links       // of rtnetlink
	file   *hostfs.File // nil: rtnetlink is asked
	names  hostfs.Interner

	route   netlink.Route
	indexes map[int32]uint32 // rtnetlink's counts
	counts  map[string]uint32
	devices []string // the keys of counts, sorted
}

func newARP(c Config) (Collector, error) {
	filter, err := NewFilter(c.ARP.DeviceInclude, c.ARP.DeviceExclude)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	a := &arp{filter: filter, links: c.linkSource(), indexes: make(map[int32]uint32), counts: make(map[string]uint32)}
	// A captured tree without the file: node_exporter's numbers are the live kernel's then.
	if !c.ARP.Netlink || !c.FS.Live() && exists(c.FS.ProcPath("net/arp")) {
		a.file = c.FS.ProcFile("net/arp")
	}
	return a, nil
}

// Collect implements Collector.
func (a *arp) Collect(ctx context.Context, w *expo.Writer) error {
	clear(a.counts)
	var err error
	if a.file != nil {
		err = a.fromFile()
	} else {
		err = a.fromNetlink(ctx)
	}
	if err != nil {
		return err
	}
	a.devices = slices.AppendSeq(a.devices[:0], maps.Keys(a.counts))
	slices.Sort(a.devices)
	for _, device := range a.devices {
		if a.filter.Keep(device) {
			w.Uint(arpEntries, uint64(a.counts[device]), device)
		}
	}
	return nil
}

// fromNetlink counts what the kernel lists. An entry of an interface that is gone
// by now is left out.
func (a *arp) fromNetlink(ctx context.Context) error {
	if err := a.route.Neighbours(a.indexes); err != nil {
		return fmt.Errorf("list of neighbours: %w", err)
	}
	if len(a.indexes) == 0 {
		return nil
	}
	table, err := a.links.take(ctx)
	if err != nil {
		return err
	}
	defer table.release()
	for i := range table.links {
		if n := a.indexes[table.links[i].Index]; n > 0 {
			a.counts[arpDevice(table.links[i].Name)] += n
		}
	}
	return nil
}

func (a *arp) fromFile() error {
	b, err := a.file.Read()
	if err != nil {
		return absent(err)
	}
	_, b = hostfs.NextLine(b) // the header
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		// The hardware address can be empty, so the columns cannot be counted.
		device := line[bytes.LastIndexAny(line, " \t")+1:]
		if len(device) == len(line) {
			return fmt.Errorf("%s: want a neighbour and its device in %.100q", a.file.Path(), line)
		}
		a.counts[arpDevice(a.names.String(device))]++
	}
	return nil
}

// arpDevice is a device as a label tells it: those whose names are not UTF-8, which
// the kernel allows, may look the same and are counted together then.
func arpDevice(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}
