package collectors

// Merging of equal pages, from /sys/kernel/mm/ksm (kernel:
// Documentation/admin-guide/mm/ksm.rst). Each file holds one number. general_profit
// (since Linux 6.1) is negative where the bookkeeping takes more than is saved.

import (
	"context"
	"errors"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// ksmFiles are the files and what one of their unit is in the family's.
var ksmFiles = []struct {
	name   string
	family *expo.Family
	unit   float64
}{
	{"full_scans", expo.Counter("node_ksmd_full_scans_total", "How often all mergeable memory has been scanned."), 1},
	{"general_profit", expo.Gauge("node_ksmd_general_profit_bytes", "Memory saved less what the bookkeeping takes; negative where merging does not pay."), 1},
	{"merge_across_nodes", expo.Gauge("node_ksmd_merge_across_nodes", "Whether pages of different NUMA nodes may be merged."), 1},
	{"pages_shared", expo.Gauge("node_ksmd_pages_shared", "Pages that others share: what is left of those merged."), 1},
	{"pages_sharing", expo.Gauge("node_ksmd_pages_sharing", "Further uses of the shared pages: how many pages are saved."), 1},
	{"pages_to_scan", expo.Gauge("node_ksmd_pages_to_scan", "Pages to scan before ksmd sleeps."), 1},
	{"pages_unshared", expo.Gauge("node_ksmd_pages_unshared", "Pages that are unique, though checked again and again."), 1},
	{"pages_volatile", expo.Gauge("node_ksmd_pages_volatile", "Pages that change too fast to be merged."), 1},
	{"run", expo.Gauge("node_ksmd_run", "What ksmd does: 0 nothing, 1 merges, 2 has been stopped and takes all merges back."), 1},
	{"sleep_millisecs", expo.Gauge("node_ksmd_sleep_seconds", "How long ksmd sleeps between scans."), 1e3},
}

type ksmd struct{ files []*hostfs.File } // by ksmFiles

func newKsmd(c Config) (Collector, error) {
	k := ksmd{}
	for _, f := range ksmFiles {
		k.files = append(k.files, c.FS.SysFile("kernel/mm/ksm/"+f.name))
	}
	return k, nil
}

// Collect implements Collector.
func (k ksmd) Collect(_ context.Context, w *expo.Writer) error {
	var failed, gone error
	said := false
	for i, f := range ksmFiles {
		n, err := readInt(k.files[i])
		switch {
		case err == nil:
			w.Sample(f.family, float64(n)/f.unit)
			said = true
		case hostfs.Gone(err): // older kernels have fewer
			gone = err
		default:
			failed = errors.Join(failed, err)
		}
	}
	if !said && failed == nil {
		return absent(gone)
	}
	return failed
}

// readInt is readUint for numbers that may be negative.
func readInt(f *hostfs.File) (int64, error) {
	b, err := f.Read()
	if err != nil {
		return 0, err
	}
	number, _ := hostfs.NextField(b)
	n, err := hostfs.Int(number)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return n, nil
}
