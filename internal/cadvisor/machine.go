package cadvisor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	cgroupinfo "github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/fs"
	"github.com/google/cadvisor/lib/fs/btrfs"
	"github.com/google/cadvisor/lib/fs/nfs"
	"github.com/google/cadvisor/lib/fs/overlay"
	"github.com/google/cadvisor/lib/fs/tmpfs"
	"github.com/google/cadvisor/lib/fs/vfs"
	machineinfo "github.com/google/cadvisor/lib/machine"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/moby/sys/mountinfo"
)

// machine is what is known of this host. It is read now and then, never changed.
type machine struct {
	at      time.Time
	info    *model.MachineInfo
	fs      fs.FsInfo
	kernel  string
	system  string
	version model.VersionInfo
	unknown bool // it could not be read: nothing of info is set
}

// readMachine reads it. What was known stays where it cannot be read; cgroups are
// read without it, too.
func (h *Host) readMachine() error {
	rootfs, set := h.rootfs, h.set
	err := h.asking.do(h.patience, func() error {
		m, err := readMachine(rootfs, set)
		if err == nil {
			h.latest.Store(m)
		}
		return err
	})
	if m := h.latest.Load(); m != nil {
		h.machine = m
	} else {
		h.machine = &machine{info: new(model.MachineInfo), unknown: true}
	}
	return err
}

// readMachine is what this host is. File systems that were mounted since the last time
// are known from then on.
func readMachine(rootfs string, set cgroupinfo.MetricSet) (*machine, error) {
	m := &machine{at: time.Now(), kernel: machineinfo.KernelVersion(), system: machineinfo.ContainerOsVersion()}
	var err error
	if m.fs, err = fs.NewFsInfo(fs.Context{}); err != nil {
		return nil, fmt.Errorf("file systems: %w", err)
	}
	if m.info, err = machineinfo.Info(sysfs.NewRealSysFs(), m.fs, rootfs == "/"); err != nil {
		return nil, err
	}
	if !set.Has(cgroupinfo.CPUTopologyMetrics) {
		m.info.Topology = nil
	}
	return m, nil
}

// GetMachineInfo implements the library's MachineInfoFactory.
func (m *machine) GetMachineInfo() (*model.MachineInfo, error) { return m.info, nil }

// GetVersionInfo implements it too; nothing asks.
func (m *machine) GetVersionInfo() (*model.VersionInfo, error) { return &m.version, nil }

// DeviceName implements the library's DeviceNamer. A disk that nobody has named is
// called by its numbers, so that two of them are not the same series.
func (m *machine) DeviceName(major, minor uint64) (string, bool) {
	if name, ok := (*common.MachineInfoNamer)(m.info).DeviceName(major, minor); ok {
		return name, true
	}
	return strconv.FormatUint(major, 10) + ":" + strconv.FormatUint(minor, 10), true
}

// nameDisks names the disks of statistics, and puts them in order: the library has
// them from a map.
func (m *machine) nameDisks(s *model.DiskIoStats) {
	common.AssignDeviceNamesToDiskStats(m, s)
	for _, list := range [][]model.PerDiskStats{
		s.IoMerged, s.IoQueued, s.IoServiceBytes, s.IoServiceTime, s.IoServiced, s.IoTime, s.IoWaitTime, s.Sectors,
		s.IoCostUsage, s.IoCostWait, s.IoCostIndebt, s.IoCostIndelay,
	} {
		slices.SortFunc(list, func(a, b model.PerDiskStats) int {
			return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor))
		})
	}
}

// filesystems adds those of the host to its statistics.
func (m *machine) filesystems(stats *model.ContainerStats, set cgroupinfo.MetricSet) error {
	list, err := m.fs.GetGlobalFsInfo()
	if err != nil {
		return fmt.Errorf("file systems: %w", err)
	}
	if !set.Has(cgroupinfo.DiskUsageMetrics) {
		return nil
	}
	for _, f := range list {
		d := f.DiskStats
		s := model.FsStats{
			Device: f.Device, Type: f.Type.String(), Limit: f.Capacity, Usage: f.Capacity - f.Free, Available: f.Available,
			ReadsCompleted: d.ReadsCompleted, ReadsMerged: d.ReadsMerged, SectorsRead: d.SectorsRead, ReadTime: d.ReadTime,
			WritesCompleted: d.WritesCompleted, WritesMerged: d.WritesMerged, SectorsWritten: d.SectorsWritten, WriteTime: d.WriteTime,
			IoInProgress: d.IoInProgress, IoTime: d.IoTime, WeightedIoTime: d.WeightedIoTime,
		}
		if f.Inodes != nil && f.InodesFree != nil {
			s.HasInodes, s.Inodes, s.InodesFree = true, *f.Inodes, *f.InodesFree
		}
		stats.Filesystem = append(stats.Filesystem, s)
	}
	slices.SortFunc(stats.Filesystem, func(a, b model.FsStats) int { return cmp.Compare(a.Device, b.Device) })
	return nil
}

// registerFilesystems tells the library which file systems there are. Its own list is
// of the whole process: the second time it says that it has them.
func registerFilesystems() {
	for name, plugin := range map[string]fs.FsPlugin{
		"vfs": vfs.NewPlugin(), "overlay": overlay.NewPlugin(), "tmpfs": tmpfs.NewPlugin(), "btrfs": btrfs.NewPlugin(),
		"nfs": nfs.NewPlugin(), "zfs": zfs{},
	} {
		_ = fs.RegisterPlugin(name, plugin)
	}
}

// zfs reads ZFS by statfs. The library's way starts the program zfs for each data set.
type zfs struct{}

func (zfs) Name() string                 { return "zfs" }
func (zfs) CanHandle(fsType string) bool { return fsType == "zfs" }
func (zfs) Priority() int                { return 100 } // that of the library's

func (zfs) GetStats(_ string, p fs.PartitionInfo) (*fs.FsStats, error) {
	capacity, free, available, inodes, inodesFree, err := vfs.GetVfsStats(p.Mountpoint)
	if err != nil {
		return nil, err
	}
	return &fs.FsStats{Capacity: capacity, Free: free, Available: available, Inodes: &inodes, InodesFree: &inodesFree, Type: fs.ZFS}, nil
}

func (zfs) ProcessMount(m *mountinfo.Info) (bool, *mountinfo.Info, error) { return true, m, nil }
