package collectors

// DRBD devices, from /proc/drbd (DRBD 8.4 user's guide, "Checking DRBD status";
// drivers/block/drbd/drbd_proc.c). A device is its number and then words key:value,
// sizes in KiB, a state of this node and the other's with a slash between:
//
//	 1: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
//	    ns:17324442 nr:10961011 dw:28263521 dr:118696670 al:1100 bm:221 lo:0 pe:0 ua:0 ap:0 ep:1 wo:d oos:0

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

const drbdKiB = 1024 // bytes

// drbdFamilies are the numbers of a device, by key, and their units.
var drbdFamilies = [...]struct {
	key    string
	family *expo.Family
	unit   float64
}{
	{"al", expo.Counter("node_drbd_activitylog_writes_total", "Writes to the activity log.", "device"), 1},
	{"ap", expo.Gauge("node_drbd_application_pending", "Requests of applications that are not answered yet.", "device"), 1},
	{"bm", expo.Counter("node_drbd_bitmap_writes_total", "Writes to the bitmap.", "device"), 1},
	{"dr", expo.Counter("node_drbd_disk_read_bytes_total", "Bytes read from the local disk.", "device"), drbdKiB},
	{"dw", expo.Counter("node_drbd_disk_written_bytes_total", "Bytes written to the local disk.", "device"), drbdKiB},
	{"ep", expo.Gauge("node_drbd_epochs", "Epochs of writes that are not closed yet.", "device"), 1},
	{"lo", expo.Gauge("node_drbd_local_pending", "Requests to the local disk that are not answered yet.", "device"), 1},
	{"nr", expo.Counter("node_drbd_network_received_bytes_total", "Bytes received from the other node.", "device"), drbdKiB},
	{"ns", expo.Counter("node_drbd_network_sent_bytes_total", "Bytes sent to the other node.", "device"), drbdKiB},
	{"oos", expo.Gauge("node_drbd_out_of_sync_bytes", "Bytes known to differ between the nodes.", "device"), drbdKiB},
	{"pe", expo.Gauge("node_drbd_remote_pending", "Requests to the other node that it has not answered yet.", "device"), 1},
	{"ua", expo.Gauge("node_drbd_remote_unacknowledged", "Requests of the other node that are not answered yet.", "device"), 1},
}

var (
	drbdPrimary   = expo.Gauge("node_drbd_node_role_is_primary", "Whether the node is the primary one.", "device", "node")
	drbdUpToDate  = expo.Gauge("node_drbd_disk_state_is_up_to_date", "Whether the disk of the node is up to date.", "device", "node")
	drbdConnected = expo.Gauge("node_drbd_connected", "Whether the other node is connected.", "device")
)

type drbd struct{ file *hostfs.File }

func newDRBD(c Config) (Collector, error) { return drbd{c.FS.ProcFile("drbd")}, nil }

// Collect implements Collector.
func (d drbd) Collect(_ context.Context, w *expo.Writer) error {
	b, err := d.file.Read()
	if err != nil {
		return absent(err)
	}
	devices, err := parseDRBD(b)
	if err != nil {
		return fmt.Errorf("%s: %w", d.file.Path(), err)
	}
	for i, f := range drbdFamilies {
		for _, v := range devices {
			if v.told[i] {
				w.Sample(f.family, float64(v.n[i])*f.unit, v.name)
			}
		}
	}
	drbdPair(w, drbdPrimary, devices, "Primary", func(v *drbdDevice) []byte { return v.role })
	drbdPair(w, drbdUpToDate, devices, "UpToDate", func(v *drbdDevice) []byte { return v.disk })
	for _, v := range devices {
		if v.connection != nil {
			w.Sample(drbdConnected, drbdIs(v.connection, "Connected"), v.name)
		}
	}
	return nil
}

// drbdPair writes whether each of the two nodes is in the good state.
func drbdPair(w *expo.Writer, f *expo.Family, devices []drbdDevice, good string, state func(*drbdDevice) []byte) {
	for i := range devices {
		if local, remote, ok := bytes.Cut(state(&devices[i]), []byte("/")); ok {
			w.Sample(f, drbdIs(local, good), devices[i].name, "local")
			w.Sample(f, drbdIs(remote, good), devices[i].name, "remote")
		}
	}
}

func drbdIs(state []byte, good string) float64 {
	if string(state) == good {
		return 1
	}
	return 0
}

type drbdDevice struct {
	name                   string // "drbd1"
	connection, role, disk []byte // nil where not told; the latter two of both nodes
	n                      [len(drbdFamilies)]uint64
	told                   [len(drbdFamilies)]bool
}

// parseDRBD reads the devices. Words that are not known are passed over: later
// versions add some.
func parseDRBD(b []byte) ([]drbdDevice, error) {
	var devices []drbdDevice
	seen := make(map[uint64]bool)
	for len(b) > 0 {
		var word []byte
		if word, b = hostfs.NextField(b); len(word) == 0 {
			break
		}
		key, value, ok := bytes.Cut(word, []byte(":"))
		if !ok {
			continue
		}
		if id, err := deviceOf(key, value); err == nil {
			if seen[id] {
				return nil, fmt.Errorf("device %d is there twice", id)
			}
			seen[id] = true
			devices = append(devices, drbdDevice{name: fmt.Sprint("drbd", id)})
			continue
		}
		if len(devices) == 0 {
			continue // the version's lines
		}
		if err := devices[len(devices)-1].set(string(key), value); err != nil {
			return nil, fmt.Errorf("%s: %.200q: %w", devices[len(devices)-1].name, word, err)
		}
	}
	return devices, nil
}

var errNoDevice = errors.New("not the number of a device")

// deviceOf is the number that begins a device: "1:", with nothing behind the colon.
func deviceOf(key, value []byte) (uint64, error) {
	if len(value) > 0 {
		return 0, errNoDevice
	}
	return hostfs.Uint(key)
}

func (d *drbdDevice) set(key string, value []byte) (err error) {
	switch key {
	case "cs":
		d.connection = value
	case "ro":
		d.role = value
	case "ds":
		d.disk = value
	default:
		for i, f := range drbdFamilies {
			if f.key == key {
				d.n[i], err = hostfs.Uint(value)
				d.told[i] = err == nil
			}
		}
	}
	return err
}
