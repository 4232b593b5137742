package collectors

// The queueing discipline at the root of each interface, from one dump of
// rtnetlink (RTM_GETQDISC); what `tc -s qdisc` shows.

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

// qdiscFamilies are the families and what they tell.
var qdiscFamilies = []struct {
	family *expo.Family
	value  func(*netlink.Qdisc) uint64
}{
	{expo.Counter("node_qdisc_bytes_total", "Bytes sent.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return q.Bytes }},
	{expo.Counter("node_qdisc_packets_total", "Packets sent.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return q.Packets }},
	{expo.Counter("node_qdisc_drops_total", "Packets dropped.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return uint64(q.Drops) }},
	{expo.Counter("node_qdisc_requeues_total", "Packets put back because the device could not take them.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return uint64(q.Requeues) }},
	{expo.Counter("node_qdisc_overlimits_total", "Packets that had to wait because of a limit.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return uint64(q.Overlimits) }},
	{expo.Gauge("node_qdisc_current_queue_length", "Packets in the queue.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return uint64(q.Length) }},
	{expo.Gauge("node_qdisc_backlog", "Bytes in the queue.", "device", "kind"), func(q *netlink.Qdisc) uint64 { return uint64(q.Backlog) }},
}

// QdiscConfig configures the qdisc collector. Only one of the patterns may be given.
type QdiscConfig struct {
	DeviceInclude string // keep only interfaces that match
	DeviceExclude string // leave out interfaces that match
	Fixtures      string // for tests: a folder whose results.json is read instead of asking the kernel
}

type qdisc struct {
	filter   *Filter
	fixtures string
	links    *links
	route    netlink.Route
	qdiscs   []netlink.Qdisc
	byIndex  map[int32]*netlink.Qdisc // the roots by their interface
	roots    []qdiscRoot
}

// qdiscRoot is the discipline of one interface.
type qdiscRoot struct {
	device string
	qdisc  *netlink.Qdisc
}

func newQdisc(c Config) (Collector, error) {
	filter, err := NewEitherFilter("collector.qdisc.device", c.Qdisc.DeviceInclude, c.Qdisc.DeviceExclude)
	if err != nil {
		return nil, err
	}
	return &qdisc{filter: filter, fixtures: c.Qdisc.Fixtures, links: c.linkSource(), byIndex: make(map[int32]*netlink.Qdisc)}, nil
}

// Collect implements Collector.
func (q *qdisc) Collect(ctx context.Context, w *expo.Writer) error {
	q.roots = q.roots[:0]
	var err error
	if q.fixtures != "" {
		err = q.fromFile(filepath.Join(q.fixtures, "results.json"))
	} else {
		err = q.fromKernel(ctx)
	}
	if err != nil {
		return err
	}
	for _, f := range qdiscFamilies {
		for _, r := range q.roots {
			w.Uint(f.family, f.value(r.qdisc), r.device, r.qdisc.Kind)
		}
	}
	return nil
}

// fromKernel gathers the disciplines. Those of an interface that is gone by now
// are left out.
func (q *qdisc) fromKernel(ctx context.Context) error {
	var err error
	if q.qdiscs, err = q.route.Qdiscs(q.qdiscs); err != nil {
		return fmt.Errorf("list of queueing disciplines: %w", err)
	}
	table, err := q.links.take(ctx)
	if err != nil {
		return err
	}
	defer table.release()
	clear(q.byIndex)
	for i := range q.qdiscs { // a list made while it changed can say the same twice
		if d := &q.qdiscs[i]; d.Kind != "" && (d.Parent == 0 || d.Parent == netlink.RootParent) {
			q.byIndex[d.Index] = d
		}
	}
	for i := range table.links {
		l := &table.links[i]
		if d := q.byIndex[l.Index]; d != nil && q.filter.Keep(l.Name) {
			q.roots = append(q.roots, qdiscRoot{l.Name, d})
		}
	}
	return nil
}

// qdiscResult is one element of results.json.
type qdiscResult struct {
	IfaceName                   string
	Parent                      uint32
	Kind                        string
	Bytes, Packets              uint64
	Drops, Requeues, Overlimits uint32
	Qlen, Backlog               uint32
}

func (q *qdisc) fromFile(path string) error {
	b, err := hostfs.Read(path)
	if err != nil {
		return err
	}
	var results []qdiscResult
	if err := json.Unmarshal(b, &results); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, r := range results {
		if r.Parent == 0 && q.filter.Keep(r.IfaceName) {
			q.roots = append(q.roots, qdiscRoot{r.IfaceName, &netlink.Qdisc{
				Kind: r.Kind, Bytes: r.Bytes, Packets: r.Packets, Drops: r.Drops, Requeues: r.Requeues,
				Overlimits: r.Overlimits, Length: r.Qlen, Backlog: r.Backlog,
			}})
		}
	}
	return nil
}
