package collectors

// Temperatures and what is done to lower them, from /sys/class/thermal (kernel:
// Documentation/driver-api/thermal/sysfs-api.rst):
//
//	thermal_zone0/temp:         44000      thousandths of a degree Celsius
//	thermal_zone0/type:         x86_pkg_temp
//	cooling_device0/cur_state:  0          -1: none, of intel_powerclamp
//	cooling_device0/max_state:  10

import (
	"context"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	thermalZoneAttributes = []attribute{
		{"temp", expo.Gauge("node_thermal_zone_temp", "Temperature of a thermal zone in degrees Celsius.", "type", "zone"), conversion{per: 1000}},
	}
	coolingDeviceAttributes = []attribute{
		{"cur_state", expo.Gauge("node_cooling_device_cur_state", "How much a cooling device does now, 0 is nothing.", "name", "type"), conversion{}},
		{"max_state", expo.Gauge("node_cooling_device_max_state", "The most that a cooling device can do.", "name", "type"), conversion{}},
	}
)

type thermalZone struct {
	deviceClass            // the zones
	cooling     attributes // the cooling devices
	dir         string
}

func newThermalZone(c Config) (Collector, error) {
	t := &thermalZone{
		deviceClass: newDeviceClass(thermalZoneAttributes),
		cooling:     attributes{table: coolingDeviceAttributes},
		dir:         c.FS.SysPath("class/thermal"),
	}
	t.list = t.listDevices
	return t, nil
}

// Collect implements Collector. A zone whose sensor cannot tell has no sample. A
// host without zones is no failure, as in node_exporter.
func (t *thermalZone) Collect(_ context.Context, w *expo.Writer) error {
	var failed failures
	if err := t.refresh(); err != nil {
		failed.add(err)
	}
	t.write(w, &failed)
	if t.cooling.write(w, &failed) {
		t.stale = true
	}
	return failed.err()
}

func (t *thermalZone) listDevices() error {
	t.cooling.clear()
	names, err := hostfs.ReadDirNames(t.dir)
	if hostfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		dir := t.dir + "/" + name
		kind, err := hostfs.ReadTrimmed(dir + "/type")
		if err != nil {
			continue // gone already, or not a device
		}
		if zone, ok := strings.CutPrefix(name, "thermal_zone"); ok {
			t.add(dir, kind, zone)
		} else if device, ok := strings.CutPrefix(name, "cooling_device"); ok {
			t.cooling.add(dir, device, kind)
		}
	}
	return nil
}
