package collectors

// SCSI tape drives, from /sys/class/scsi_tape/st*/stats (kernel:
// Documentation/scsi/st.rst, "Sysfs and Statistics for Tape Devices"): a file for
// each number, times in nanoseconds. The names st0l, nst0 and so on beside st0 are
// the same drive in other modes.

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

const tapeTick = 1e-9 // seconds

// tapeFamilies are the files of stats and their units.
var tapeFamilies = [...]struct {
	file   string
	family *expo.Family
	unit   float64
}{
	{"in_flight", expo.Gauge("node_tape_io_now", "Requests given to the drive and not finished.", "device"), 1},
	{"other_cnt", expo.Counter("node_tape_io_others_total", "Requests other than reads and writes, such as winding.", "device"), 1},
	{"io_ns", expo.Counter("node_tape_io_time_seconds_total", "Time spent waiting for the drive, movements of the tape included.", "device"), tapeTick},
	{"read_byte_cnt", expo.Counter("node_tape_read_bytes_total", "Bytes read.", "device"), 1},
	{"read_ns", expo.Counter("node_tape_read_time_seconds_total", "Time spent waiting for reads.", "device"), tapeTick},
	{"read_cnt", expo.Counter("node_tape_reads_completed_total", "Reads issued.", "device"), 1},
	{"resid_cnt", expo.Counter("node_tape_residual_total", "Reads and writes that moved fewer bytes than were asked for.", "device"), 1},
	{"write_ns", expo.Counter("node_tape_write_time_seconds_total", "Time spent waiting for writes.", "device"), tapeTick},
	{"write_cnt", expo.Counter("node_tape_writes_completed_total", "Writes issued.", "device"), 1},
	{"write_byte_cnt", expo.Counter("node_tape_written_bytes_total", "Bytes written.", "device"), 1},
}

// DefaultTapestatsIgnoredDevices leaves no drive out.
const DefaultTapestatsIgnoredDevices = "^$"

// TapestatsConfig configures the tapestats collector.
type TapestatsConfig struct {
	IgnoredDevices string // leave out drives that match
}

type tapestats struct {
	class  string
	filter *Filter
}

func newTapestats(c Config) (Collector, error) {
	filter, err := NewFilter("", c.Tapestats.IgnoredDevices)
	if err != nil {
		return nil, fmt.Errorf("collector.tapestats.ignored-devices: %w", err)
	}
	return tapestats{c.FS.SysPath("class/scsi_tape"), filter}, nil
}

// Collect implements Collector.
func (t tapestats) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(t.class)
	if err != nil {
		return absent(err)
	}
	var failed faults
	var drives []tape
	for _, name := range names {
		if !numbered(name, "st") || !t.filter.Keep(name) {
			continue
		}
		d := sysFolder{path: t.class + "/" + name + "/stats"}
		k := tape{name: name}
		for i, f := range tapeFamilies {
			k.v[i] = d.number(f.file) * f.unit
		}
		failed.add(d.err)
		drives = append(drives, k)
	}
	for i, f := range tapeFamilies {
		for _, k := range drives {
			tell(w, f.family, k.v[i], k.name)
		}
	}
	return failed.err()
}

// tape is a drive and its numbers, NaN where it does not tell one.
type tape struct {
	name string
	v    [len(tapeFamilies)]float64
}
