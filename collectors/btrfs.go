package collectors

// Btrfs file systems, from /sys/fs/btrfs/UUID (kernel: fs/btrfs/sysfs.c,
// Documentation/filesystems/btrfs.rst) and, for what sysfs lacks of their devices,
// from the file systems themselves: see btrfs_ioctl.go.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	btrfsfs "github.com/prometheus/procfs/btrfs"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	btrfsInfo          = expo.Gauge("node_btrfs_info", "A file system and its label; always 1.", "uuid", "label")
	btrfsReserve       = expo.Gauge("node_btrfs_global_rsv_size_bytes", "Size of the reserve for metadata.", "uuid")
	btrfsCommits       = expo.Counter("node_btrfs_commits_total", "Commits.", "uuid")
	btrfsLastCommit    = expo.Gauge("node_btrfs_last_commit_seconds", "Time that the last commit took.", "uuid")
	btrfsMaxCommit     = expo.Gauge("node_btrfs_max_commit_seconds", "Time that the longest commit took.", "uuid")
	btrfsCommitSeconds = expo.Counter("node_btrfs_commit_seconds_total", "Time that all commits took.", "uuid")
	btrfsReserved      = expo.Gauge("node_btrfs_reserved_bytes", "Space reserved for a kind of block group.", "uuid", "block_group_type")
	btrfsUsed          = expo.Gauge("node_btrfs_used_bytes", "Space in use, by kind of block group and layout.", "uuid", "block_group_type", "mode")
	btrfsSize          = expo.Gauge("node_btrfs_size_bytes", "Space allocated, by kind of block group and layout.", "uuid", "block_group_type", "mode")
	btrfsRatio         = expo.Gauge("node_btrfs_allocation_ratio", "Bytes on the devices for each byte of data, by kind of block group and layout.", "uuid", "block_group_type", "mode")
	btrfsDevice        = expo.Gauge("node_btrfs_device_size_bytes", "Size of a device of the file system.", "uuid", "device")
	btrfsDeviceSize    = expo.Gauge("node_btrfs_device_size_bytes", "Size of a device of the file system, where that can be asked itself.", "uuid", "device", "btrfs_dev_uuid")
	btrfsDeviceUnused  = expo.Gauge("node_btrfs_device_unused_bytes", "Space of the device that is not allocated.", "uuid", "device", "btrfs_dev_uuid")
	btrfsDeviceErrors  = expo.Counter("node_btrfs_device_errors_total", "Errors of the device, by kind.", "uuid", "type", "device", "btrfs_dev_uuid")
)

type btrfs struct {
	dir  string
	host hostfs.FS
	live bool
}

func newBtrfs(c Config) (Collector, error) {
	return btrfs{c.FS.SysPath("fs/btrfs"), c.FS, c.FS.Live()}, nil
}

// btrfsStats is a file system: what sysfs says of it, and what it says of its
// devices itself, if anything.
type btrfsStats struct {
	*btrfsfs.Stats
	groups  []btrfsGroup
	devices []btrfsDev
}

// btrfsGroup is a kind of block group.
type btrfsGroup struct {
	kind string
	*btrfsfs.AllocationStats
	layouts []string
}

// Collect implements Collector.
func (b btrfs) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(b.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var failed faults
	var all []btrfsStats
	var devices map[string][]btrfsDev
	for _, name := range names {
		if !strings.Contains(name, "-") {
			continue // features, common to all
		}
		s, err := btrfsfs.GetStats(b.dir + "/" + name)
		if err != nil {
			failed.add(fmt.Errorf("%s/%s: %w", b.dir, name, err))
			continue
		}
		if s.UUID == "" {
			s.UUID = name
		}
		if devices == nil && b.live {
			devices = btrfsDevices(b.host, &failed)
		}
		all = append(all, btrfsStats{s, btrfsGroups(s), devices[name]})
	}
	for _, s := range all {
		w.Sample(btrfsInfo, 1, s.UUID, s.Label)
	}
	for _, s := range all {
		w.Uint(btrfsReserve, s.Allocation.GlobalRsvSize, s.UUID)
	}
	writeBtrfsCommits(w, all)
	writeBtrfsGroups(w, all)
	writeBtrfsDevices(w, all)
	return failed.err()
}

func writeBtrfsCommits(w *expo.Writer, all []btrfsStats) {
	for _, s := range all {
		w.Uint(btrfsCommits, s.CommitStats.Commits, s.UUID)
	}
	for _, s := range all {
		w.Sample(btrfsLastCommit, float64(s.CommitStats.LastCommitMs)/1000, s.UUID)
	}
	for _, s := range all {
		w.Sample(btrfsMaxCommit, float64(s.CommitStats.MaxCommitMs)/1000, s.UUID)
	}
	for _, s := range all {
		w.Sample(btrfsCommitSeconds, float64(s.CommitStats.TotalCommitMs)/1000, s.UUID)
	}
}

func btrfsGroups(s *btrfsfs.Stats) (groups []btrfsGroup) {
	a := s.Allocation
	for _, g := range [...]btrfsGroup{{kind: "data", AllocationStats: a.Data}, {kind: "metadata", AllocationStats: a.Metadata}, {kind: "system", AllocationStats: a.System}} {
		if g.AllocationStats != nil {
			g.layouts = slices.Sorted(maps.Keys(g.Layouts))
			groups = append(groups, g)
		}
	}
	return groups
}

func writeBtrfsGroups(w *expo.Writer, all []btrfsStats) {
	for _, s := range all {
		for _, g := range s.groups {
			w.Uint(btrfsReserved, g.ReservedBytes, s.UUID, g.kind)
		}
	}
	for _, f := range [...]struct {
		family *expo.Family
		of     func(*btrfsfs.LayoutUsage) float64
	}{
		{btrfsUsed, func(u *btrfsfs.LayoutUsage) float64 { return float64(u.UsedBytes) }},
		{btrfsSize, func(u *btrfsfs.LayoutUsage) float64 { return float64(u.TotalBytes) }},
		{btrfsRatio, func(u *btrfsfs.LayoutUsage) float64 { return u.Ratio }},
	} {
		for _, s := range all {
			for _, g := range s.groups {
				for _, mode := range g.layouts {
					w.Sample(f.family, f.of(g.Layouts[mode]), s.UUID, g.kind, mode)
				}
			}
		}
	}
}

func writeBtrfsDevices(w *expo.Writer, all []btrfsStats) {
	sizes := btrfsDevice // the two differ in their labels only: one header is enough
	for _, s := range all {
		if len(s.devices) > 0 {
			sizes = btrfsDeviceSize
		}
	}
	for _, s := range all {
		if len(s.devices) == 0 {
			for _, name := range slices.Sorted(maps.Keys(s.Devices)) {
				labels := []string{s.UUID, name, ""}
				w.Uint(sizes, s.Devices[name].Size, labels[:len(sizes.Labels())]...)
			}
		}
		for _, d := range s.devices {
			w.Uint(sizes, d.size, s.UUID, d.name, d.uuid)
		}
	}
	for _, s := range all {
		for _, d := range s.devices {
			w.Uint(btrfsDeviceUnused, d.size-min(d.used, d.size), s.UUID, d.name, d.uuid)
		}
	}
	for _, s := range all {
		for _, d := range s.devices {
			for i, kind := range btrfsErrorKinds {
				w.Uint(btrfsDeviceErrors, d.errors[i], s.UUID, kind, d.name, d.uuid)
			}
		}
	}
}
