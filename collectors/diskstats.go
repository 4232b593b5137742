package collectors

// Block devices, from /proc/diskstats (kernel: Documentation/admin-guide/iostats.rst).
// After major, minor and name come up to 17 numbers; the last six joined with
// Linux 4.18 (discards) and 5.5 (flushes). Times are in milliseconds, sizes in
// sectors of 512 bytes whatever the device:
//
//	8 0 sda 126552 141 1657779 14 11822 1895 172905 1007 0 10730 17070 18851 0 125173784 11130 1555 1944
//
// What a device is comes from udev's database: see diskstats_info.go.

import (
	"context"
	"fmt"
	"math"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

const (
	diskSector = 512   // bytes
	diskTick   = 0.001 // seconds
)

// diskFamilies are the numbers of a line, in its order, and their units.
var diskFamilies = [diskColumns]struct {
	family *expo.Family
	unit   float64
}{
	{expo.Counter("node_disk_reads_completed_total", "Reads that succeeded.", "device"), 1},
	{expo.Counter("node_disk_reads_merged_total", "Reads that were merged with a neighbouring one before they were queued.", "device"), 1},
	{expo.Counter("node_disk_read_bytes_total", "Bytes read.", "device"), diskSector},
	{expo.Counter("node_disk_read_time_seconds_total", "Time that all reads took, those at the same time added up.", "device"), diskTick},
	{expo.Counter("node_disk_writes_completed_total", "Writes that succeeded.", "device"), 1},
	{expo.Counter("node_disk_writes_merged_total", "Writes that were merged with a neighbouring one before they were queued.", "device"), 1},
	{expo.Counter("node_disk_written_bytes_total", "Bytes written.", "device"), diskSector},
	{expo.Counter("node_disk_write_time_seconds_total", "Time that all writes took, those at the same time added up.", "device"), diskTick},
	{expo.Gauge("node_disk_io_now", "Requests given to the driver and not finished.", "device"), 1},
	{expo.Counter("node_disk_io_time_seconds_total", "Time during which at least one request was unfinished.", "device"), diskTick},
	{expo.Counter("node_disk_io_time_weighted_seconds_total", "Time during which requests were unfinished, multiplied by their number.", "device"), diskTick},
	{expo.Counter("node_disk_discards_completed_total", "Discards that succeeded.", "device"), 1},
	{expo.Counter("node_disk_discards_merged_total", "Discards that were merged with a neighbouring one before they were queued.", "device"), 1},
	{expo.Counter("node_disk_discarded_sectors_total", "Sectors of 512 bytes discarded.", "device"), 1},
	{expo.Counter("node_disk_discard_time_seconds_total", "Time that all discards took, those at the same time added up.", "device"), diskTick},
	{expo.Counter("node_disk_flush_requests_total", "Flushes that succeeded. Partitions do not count them.", "device"), 1},
	{expo.Counter("node_disk_flush_requests_time_seconds_total", "Time that all flushes took, those at the same time added up.", "device"), diskTick},
}

const (
	diskColumns    = 17
	minDiskColumns = 11 // what every kernel since 2.6.25 writes
)

// DefaultDiskstatsDeviceExclude leaves out RAM disks, loop devices, floppies and partitions.
const DefaultDiskstatsDeviceExclude = `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`

// DiskstatsConfig configures the diskstats collector. Only one of the patterns
// may be given.
type DiskstatsConfig struct {
	DeviceInclude string // keep only devices that match
	DeviceExclude string // leave out devices that match
}

// diskInfoAge is after how long a device is described anew even if nothing told
// that it changed.
const diskInfoAge = 5 * time.Minute

type diskstats struct {
	filter *Filter
	file   *hostfs.File
	names  hostfs.Interner
	disks  []disk // as last read

	host    hostfs.FS
	udev    *hostfs.Folder
	infos   []diskInfo // of disks, by place, as of
	infosAt time.Time
	now     func() time.Time
}

func newDiskstats(c Config) (Collector, error) {
	filter, err := NewEitherFilter("collector.diskstats.device", c.Diskstats.DeviceInclude, c.Diskstats.DeviceExclude)
	if err != nil {
		return nil, err
	}
	return &diskstats{
		filter: filter, file: c.FS.ProcFile("diskstats").Lines(512),
		host: c.FS, udev: hostfs.NewFolder(c.FS.Udev), now: time.Now,
	}, nil
}

// Collect implements Collector.
func (d *diskstats) Collect(_ context.Context, w *expo.Writer) error {
	b, err := d.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := d.parse(b); err != nil {
		return fmt.Errorf("%s: %w", d.file.Path(), err)
	}
	d.describe()
	writeDiskInfo(w, d.infos)
	for i, f := range diskFamilies {
		for j := range d.disks {
			if k := &d.disks[j]; i < k.columns {
				w.Sample(f.family, float64(k.v[i])*f.unit, k.name)
			}
		}
	}
	return nil
}

// describe brings infos up to date: when other devices are there than the last
// time, when udev learnt something, and every few minutes.
func (d *diskstats) describe() {
	changed := d.udev.Changed() || d.now().Sub(d.infosAt) >= diskInfoAge || len(d.infos) != len(d.disks)
	for i := 0; i < len(d.infos) && !changed; i++ {
		changed = d.infos[i].diskID != d.disks[i].diskID
	}
	if !changed {
		return
	}
	d.infos = d.infos[:0]
	for i := range d.disks {
		d.infos = append(d.infos, readDiskInfo(d.host, d.disks[i].diskID))
	}
	d.infosAt = d.now()
}

// diskID tells one device from another.
type diskID struct {
	name         string // "sda", "cciss/c0d0"
	major, minor uint32
}

// disk is a line of /proc/diskstats.
type disk struct {
	diskID
	v       [diskColumns]uint64
	columns int // how many of v are there
}

// parse reads the file into d.disks: those that the filter keeps.
func (d *diskstats) parse(b []byte) error {
	d.disks = d.disks[:0]
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if len(line) == 0 {
			continue
		}
		var k disk
		name, err := k.parse(line)
		if err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		if k.name = d.names.String(name); d.filter.Keep(k.name) {
			d.disks = append(d.disks, k)
		}
	}
	return nil
}

// parse reads a line, but for the name, which it returns. Numbers that later
// kernels may add are left alone.
func (k *disk) parse(line []byte) (name []byte, err error) {
	major, rest := hostfs.NextField(line)
	minor, rest := hostfs.NextField(rest)
	name, rest = hostfs.NextField(rest)
	if k.major, err = deviceNumber(major); err != nil {
		return nil, err
	}
	if k.minor, err = deviceNumber(minor); err != nil {
		return nil, err
	}
	for k.columns < diskColumns {
		var f []byte
		if f, rest = hostfs.NextField(rest); len(f) == 0 {
			break
		}
		if k.v[k.columns], err = hostfs.Uint(f); err != nil {
			return nil, err
		}
		k.columns++
	}
	if k.columns < minDiskColumns {
		return nil, fmt.Errorf("%d numbers, want at least %d", k.columns, minDiskColumns)
	}
	return name, nil
}

func deviceNumber(b []byte) (uint32, error) {
	n, err := hostfs.Uint(b)
	if err == nil && n > math.MaxUint32 {
		err = fmt.Errorf("%.200q is not a device number", b)
	}
	return uint32(n), err
}
