package collectors

// Connection tracking: how many connections are known and may be, from
// /proc/sys/net/netfilter (kernel: Documentation/networking/nf_conntrack-sysctl.rst),
// and what was counted, from /proc/net/stat/nf_conntrack (see hexTable) or, where
// the kernel has no such file (CONFIG_NF_CONNTRACK_PROCFS is off), by ctnetlink.

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

var (
	conntrackEntries = expo.Gauge("node_nf_conntrack_entries", "Connections that are tracked now.")
	conntrackLimit   = expo.Gauge("node_nf_conntrack_entries_limit", "Connections that can be tracked.")
)

// conntrackStats are the families by the column of the file and the place in
// ctnetlink's answer. Kernels from 5.9 on show ignore as 0.
var conntrackStats = []struct {
	family *expo.Family
	column string
	place  int
}{
	{expo.Gauge("node_nf_conntrack_stat_found", "Searches that found a connection, since boot."), "found", netlink.ConntrackFound},
	{expo.Gauge("node_nf_conntrack_stat_invalid", "Packets that cannot be tracked, since boot."), "invalid", netlink.ConntrackInvalid},
	{expo.Gauge("node_nf_conntrack_stat_ignore", "Packets that belonged to a connection already, since boot."), "ignore", netlink.ConntrackIgnore},
	{expo.Gauge("node_nf_conntrack_stat_insert", "Connections inserted, since boot."), "insert", netlink.ConntrackInsert},
	{expo.Gauge("node_nf_conntrack_stat_insert_failed", "Connections that could not be inserted, mostly because they were there already, since boot."), "insert_failed", netlink.ConntrackInsertFailed},
	{expo.Gauge("node_nf_conntrack_stat_drop", "Packets dropped because their connection could not be tracked, since boot."), "drop", netlink.ConntrackDrop},
	{expo.Gauge("node_nf_conntrack_stat_early_drop", "Connections dropped to make room for others, since boot."), "early_drop", netlink.ConntrackEarlyDrop},
	{expo.Gauge("node_nf_conntrack_stat_search_restart", "Searches begun anew because the table was being resized, since boot."), "search_restart", netlink.ConntrackSearchRestart},
}

type conntrack struct {
	live        bool
	count, most *hostfs.File
	stat        *hostfs.File
	table       hexTable
	ask         netlink.Conntrack
}

func newConntrack(c Config) (Collector, error) {
	return &conntrack{
		live:  c.FS.Live(),
		count: c.FS.ProcFile("sys/net/netfilter/nf_conntrack_count").Lines(64),
		most:  c.FS.ProcFile("sys/net/netfilter/nf_conntrack_max").Lines(64),
		stat:  c.FS.ProcFile("net/stat/nf_conntrack").Lines(512),
	}, nil
}

// Collect implements Collector.
func (c *conntrack) Collect(_ context.Context, w *expo.Writer) error {
	count, err := readUint(c.count)
	if err != nil {
		return absent(err)
	}
	most, err := readUint(c.most)
	if err != nil {
		return absent(err)
	}
	w.Uint(conntrackEntries, count)
	w.Uint(conntrackLimit, most)

	b, err := c.stat.Read()
	switch {
	case hostfs.Gone(err):
		return c.collectNetlink(w)
	case err != nil:
		return err
	}
	if _, err := c.table.parse(b); err != nil {
		return fmt.Errorf("%s: %w", c.stat.Path(), err)
	}
	for _, s := range conntrackStats {
		w.Uint(s.family, c.table.sum(s.column))
	}
	return nil
}

// collectNetlink writes the statistics of a kernel that has no file for them. One
// that does not tell them by ctnetlink either has none.
func (c *conntrack) collectNetlink(w *expo.Writer) error {
	if !c.live {
		return nil
	}
	stats, err := c.ask.Stats()
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP):
		return nil
	case err != nil:
		return fmt.Errorf("statistics of connection tracking, which need CAP_NET_ADMIN without %s: %w", c.stat.Path(), err)
	}
	for _, s := range conntrackStats {
		w.Uint(s.family, stats[s.place])
	}
	return nil
}

// readUint reads a file of one number.
func readUint(f *hostfs.File) (uint64, error) {
	b, err := f.Read()
	if err != nil {
		return 0, err
	}
	field, _ := hostfs.NextField(b)
	n, err := hostfs.Uint(field)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return n, nil
}
