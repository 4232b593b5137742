package collectors

// Multipath devices of the device mapper, from /sys/block/dm-* (kernel:
// Documentation/ABI/testing/sysfs-block-dm). Their UUID begins with mpath-, and
// the folder slaves holds the devices that are the paths:
//
//	/sys/block/dm-5/dm/uuid          mpath-3600508b1001c1234567890abcdef1234
//	/sys/block/dm-5/dm/name          mpatha
//	/sys/block/dm-5/slaves/sdi
//	/sys/block/sdi/device/state      running

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	dmmultipathInfo   = expo.Gauge("node_dmmultipath_device_info", "What the multipath device is; always 1.", "device", "sysfs_name", "uuid")
	dmmultipathActive = expo.Gauge("node_dmmultipath_device_active", "Whether the multipath device is at work: 1, or 0 while it is suspended.", "device", "sysfs_name")
	dmmultipathSize   = expo.Gauge("node_dmmultipath_device_size_bytes", "Size of the multipath device.", "device", "sysfs_name")
	dmmultipathPaths  = expo.Gauge("node_dmmultipath_device_paths", "Paths to the device.", "device", "sysfs_name")
	dmmultipathUp     = expo.Gauge("node_dmmultipath_device_paths_active", "Paths that work: SCSI devices running, NVMe devices live.", "device", "sysfs_name")
	dmmultipathDown   = expo.Gauge("node_dmmultipath_device_paths_failed", "Paths that do not work.", "device", "sysfs_name")
	dmmultipathState  = expo.Gauge("node_dmmultipath_path_state", "The state of the device that is a path; always 1.", "device", "path", "state")
)

// dmSector is the unit of sizes in /sys/block.
const dmSector = 512

type dmmultipath struct{ block string }

func newDMMultipath(c Config) (Collector, error) { return dmmultipath{c.FS.SysPath("block")}, nil }

// Collect implements Collector.
func (d dmmultipath) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(d.block)
	if err != nil {
		return absent(err)
	}
	var failed faults
	var devices []multipath
	for _, name := range names {
		if !strings.HasPrefix(name, "dm-") {
			continue
		}
		m, err := d.read(name)
		failed.add(err)
		if m != nil {
			devices = append(devices, *m)
		}
	}
	for _, m := range devices {
		w.Sample(dmmultipathInfo, 1, m.name, m.sysfs, m.uuid)
	}
	for _, m := range devices {
		tell(w, dmmultipathActive, m.active, m.name, m.sysfs)
	}
	for _, m := range devices {
		tell(w, dmmultipathSize, m.bytes, m.name, m.sysfs)
	}
	for _, m := range devices {
		w.Sample(dmmultipathPaths, float64(len(m.paths)), m.name, m.sysfs)
	}
	for _, m := range devices {
		w.Sample(dmmultipathUp, float64(m.up()), m.name, m.sysfs)
	}
	for _, m := range devices {
		w.Sample(dmmultipathDown, float64(len(m.paths)-m.up()), m.name, m.sysfs)
	}
	for _, m := range devices {
		for _, p := range m.paths {
			w.Sample(dmmultipathState, 1, m.name, p.device, p.state)
		}
	}
	return failed.err()
}

type multipath struct {
	name, sysfs, uuid string
	active, bytes     float64
	paths             []multipathPath
}

type multipathPath struct{ device, state string }

// up is how many paths work.
func (m *multipath) up() (n int) {
	for _, p := range m.paths {
		if p.state == "running" || p.state == "live" {
			n++
		}
	}
	return n
}

// read returns nil for a device that is not multipath, or gone.
func (d dmmultipath) read(name string) (*multipath, error) {
	dev := sysFolder{path: d.block + "/" + name}
	m := &multipath{sysfs: name, uuid: dev.text("dm/uuid")}
	if !strings.HasPrefix(m.uuid, "mpath-") {
		return nil, dev.err
	}
	m.name = dev.text("dm/name")
	m.active = 1 - dev.number("dm/suspended")
	m.bytes = dev.number("size") * dmSector
	slaves, err := hostfs.ReadDirNames(dev.path + "/slaves")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, s := range slaves {
		path := sysFolder{path: d.block + "/" + s}
		p := multipathPath{s, path.text("device/state")}
		if path.err != nil && dev.err == nil {
			dev.err = path.err
		}
		if path.there() { // a path without a state is one that does not work
			m.paths = append(m.paths, p)
		}
	}
	if !dev.there() {
		return nil, nil
	}
	return m, dev.err
}
