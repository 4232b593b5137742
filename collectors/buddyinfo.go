package collectors

// Free memory by the size of its pieces, from /proc/buddyinfo (kernel:
// Documentation/filesystems/proc.rst, mm/vmstat.c). A line is one zone of one NUMA
// node; its n-th number, from 0, counts the free blocks of 2^n pages:
//
//	Node 0, zone   Normal   4381   1093    185   1530    567    102      4      0      0      0      0

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var buddyBlocks = expo.Gauge("node_buddyinfo_blocks", "Free blocks of 2^size pages.", "node", "size", "zone")

// maxBuddyOrders is above the number of sizes of any kernel: 11 as a rule, 14 with
// huge pages on arm64.
const maxBuddyOrders = 32

type buddyinfo struct {
	file  *hostfs.File
	names hostfs.Interner
}

func newBuddyinfo(c Config) (Collector, error) {
	return &buddyinfo{file: c.FS.ProcFile("buddyinfo")}, nil
}

// Collect implements Collector.
func (b *buddyinfo) Collect(_ context.Context, w *expo.Writer) error {
	text, err := b.file.Read()
	if err != nil {
		return absent(err)
	}
	start := len(w.Bytes())
	for len(text) > 0 {
		var line []byte
		if line, text = hostfs.NextLine(text); len(line) == 0 {
			continue
		}
		z, err := parseBuddyZone(line)
		if err != nil {
			w.Truncate(start)
			return fmt.Errorf("%s: line %.200q: %w", b.file.Path(), line, err)
		}
		node, zone := b.names.String(z.node), b.names.String(z.zone)
		for order, n := range z.free[:z.orders] {
			w.Uint(buddyBlocks, n, node, strconv.Itoa(order), zone)
		}
	}
	return nil
}

// buddyZone is a line of /proc/buddyinfo.
type buddyZone struct {
	node, zone []byte
	free       [maxBuddyOrders]uint64
	orders     int // how many of free are there
}

func parseBuddyZone(line []byte) (z buddyZone, err error) {
	z.node, z.zone, line, err = parseZoneHead(line)
	for err == nil {
		var f []byte
		if f, line = hostfs.NextField(line); len(f) == 0 {
			return z, nil
		}
		if z.orders == maxBuddyOrders {
			return buddyZone{}, fmt.Errorf("more than %d sizes", maxBuddyOrders)
		}
		if z.free[z.orders], err = hostfs.Uint(f); err == nil {
			z.orders++
		}
	}
	return buddyZone{}, err
}

// parseZoneHead reads `Node 0, zone   Normal`, with which the lines of
// /proc/buddyinfo and the sections of /proc/zoneinfo begin.
func parseZoneHead(line []byte) (node, zone, rest []byte, err error) {
	word, rest := hostfs.NextField(line)
	number, rest := hostfs.NextField(rest)
	second, rest := hostfs.NextField(rest)
	zone, rest = hostfs.NextField(rest)
	node, comma := bytes.CutSuffix(number, []byte(","))
	if string(word) != "Node" || !comma || string(second) != "zone" || len(zone) == 0 {
		return nil, nil, nil, fmt.Errorf("%.40q does not begin with a node and a zone", line)
	}
	if _, err := hostfs.Uint(node); err != nil {
		return nil, nil, nil, fmt.Errorf("node %w", err)
	}
	return node, zone, rest, nil
}
