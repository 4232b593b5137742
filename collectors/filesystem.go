package collectors

// Space and inodes of the mounted file systems: the mounts from mountinfo, see
// filesystem_mounts.go, and statfs(2) of each, see filesystem_stat.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	filesystemError     = expo.Gauge("node_filesystem_device_error", "Whether the file system could not be asked; the label says why.", "device", "device_error", "fstype", "mountpoint")
	filesystemReadonly  = expo.Gauge("node_filesystem_readonly", "Whether nothing can be written, by the mount's options or the file system's.", "device", "device_error", "fstype", "mountpoint")
	filesystemSize      = expo.Gauge("node_filesystem_size_bytes", "Size.", "device", "device_error", "fstype", "mountpoint")
	filesystemFree      = expo.Gauge("node_filesystem_free_bytes", "Space that is free, what is reserved for root among it.", "device", "device_error", "fstype", "mountpoint")
	filesystemAvail     = expo.Gauge("node_filesystem_avail_bytes", "Space that users other than root can fill.", "device", "device_error", "fstype", "mountpoint")
	filesystemFiles     = expo.Gauge("node_filesystem_files", "How many inodes there can be.", "device", "device_error", "fstype", "mountpoint")
	filesystemFilesFree = expo.Gauge("node_filesystem_files_free", "How many inodes are free.", "device", "device_error", "fstype", "mountpoint")
	filesystemPurgeable = expo.Gauge("node_filesystem_purgeable_bytes", "Nothing that Linux knows: 0. It stands here for queries that add it up.", "device", "device_error", "fstype", "mountpoint")
	filesystemMount     = expo.Gauge("node_filesystem_mount_info", "The device number of what is mounted; always 1.", "device", "major", "minor", "mountpoint")
)

// Defaults of FilesystemConfig.
const (
	DefaultFilesystemMountPointsExclude = `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`
	DefaultFilesystemTypesExclude       = `^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$`
	DefaultFilesystemMountTimeout       = 5 * time.Second
	DefaultFilesystemWorkers            = 4
)

// FilesystemConfig configures the filesystem collector. Of each two patterns only
// one may be given.
type FilesystemConfig struct {
	MountPointsInclude, MountPointsExclude string
	TypesInclude, TypesExclude             string

	MountTimeout time.Duration // how long a mount may take to answer
	Workers      int           // how many that may be slow are asked at the same time

	Duplicates bool // show each mount of what is mounted in several places
}

type filesystem struct {
	points, types *Filter
	host          hostfs.FS
	ofInit        *hostfs.File // the host's mounts
	ofSelf        *hostfs.File // where those cannot be read: the process' own
	text          []byte       // of mounts
	mounts        []*mount     // that pass the filters
	duplicates    bool         // whether all are shown
	twins         [][]*mount   // of mounts, those of which one is shown
	statter       statter
}

func newFilesystem(c Config) (Collector, error) {
	f := c.Filesystem
	points, err := NewEitherFilter("collector.filesystem.mount-points", f.MountPointsInclude, f.MountPointsExclude)
	if err != nil {
		return nil, err
	}
	types, err := NewEitherFilter("collector.filesystem.fs-types", f.TypesInclude, f.TypesExclude)
	if err != nil {
		return nil, err
	}
	return &filesystem{
		points: points, types: types, host: c.FS,
		duplicates: f.Duplicates,
		ofInit:     c.FS.ProcFile("1/mountinfo"), ofSelf: c.FS.ProcFile("self/mountinfo"),
		statter: newStatter(f.MountTimeout, f.Workers, c.Log),
	}, nil
}

// Collect implements Collector.
func (f *filesystem) Collect(ctx context.Context, w *expo.Writer) error {
	if err := f.list(); err != nil {
		return err
	}
	f.statter.run(ctx, f.mounts)
	hideTwins(f.twins)
	for _, m := range f.mounts {
		if m.hidden {
			continue
		}
		var failed uint64
		if m.problem != "" {
			failed = 1
		}
		w.Uint(filesystemError, failed, m.source, m.problem, m.fstype, m.point)
	}
	for _, m := range f.mounts {
		if m.hidden {
			continue
		}
		var readonly uint64
		if m.readonly {
			readonly = 1
		}
		w.Uint(filesystemReadonly, readonly, m.source, m.problem, m.fstype, m.point)
	}
	for _, g := range [...]struct {
		family *expo.Family
		value  func(*mount) float64
	}{
		{filesystemSize, func(m *mount) float64 { return float64(m.stat.Blocks) * m.unit() }},
		{filesystemFree, func(m *mount) float64 { return float64(m.stat.Bfree) * m.unit() }},
		{filesystemAvail, func(m *mount) float64 { return float64(m.stat.Bavail) * m.unit() }},
		{filesystemFiles, func(m *mount) float64 { return float64(m.stat.Files) }},
		{filesystemFilesFree, func(m *mount) float64 { return float64(m.stat.Ffree) }},
		{filesystemPurgeable, func(*mount) float64 { return 0 }},
	} {
		for _, m := range f.mounts {
			if m.problem == "" && !m.hidden {
				w.Sample(g.family, g.value(m), m.source, m.problem, m.fstype, m.point)
			}
		}
	}
	for _, m := range f.mounts { // the hidden as well: it tells what is mounted where
		if m.problem == "" {
			w.Uint(filesystemMount, 1, m.source, m.major, m.minor, m.point)
		}
	}
	return nil
}

// unit is the size of the blocks that statfs counts in, in bytes: as for df(1)
// the fragment size, where a file system has one of its own.
func (m *mount) unit() float64 {
	if m.stat.Frsize > 0 {
		return float64(m.stat.Frsize)
	}
	return float64(m.stat.Bsize)
}

// list brings f.mounts up to date. The text is read each time: poll(2) on it tells
// of mounts that come and go, but not of a file system that went read-only.
func (f *filesystem) list() error {
	file := f.ofInit
	b, err := file.Read()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // proc mounted with hidepid
		file = f.ofSelf
		b, err = file.Read()
	}
	if err != nil {
		return absent(err)
	}
	if f.text != nil && bytes.Equal(b, f.text) {
		return nil
	}
	all, err := parseMountinfo(b)
	if err != nil {
		f.text = nil
		return fmt.Errorf("%s: %w", file.Path(), err)
	}
	f.text = append(f.text[:0], b...)
	f.mounts, f.twins = f.choose(all), nil
	if !f.duplicates {
		f.twins = twinsOf(f.mounts)
	}
	f.statter.arrange(f.mounts)
	return nil
}

// choose picks the mounts to be shown: those that the filters keep, and of several
// with the same labels the last.
func (f *filesystem) choose(all []*mount) []*mount {
	type labels struct{ source, fstype, point string }
	var kept []*mount
	place := make(map[labels]int)
	for _, m := range all {
		m.point = f.host.StripRoot(m.point)
		m.path = f.host.RootPath(m.point)
		if m.covered || !f.points.Keep(m.point) || !f.types.Keep(m.fstype) {
			continue
		}
		key := labels{m.source, m.fstype, m.point}
		if i, twice := place[key]; twice {
			kept[i] = m
			continue
		}
		place[key] = len(kept)
		kept = append(kept, m)
	}
	return kept
}
