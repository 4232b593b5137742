package collectors

// What the firmware says of the machine, from /sys/class/dmi/id (kernel:
// Documentation/ABI/testing/sysfs-class-dmi), a file for each property. Serial
// numbers and the UUID are readable by root alone. It does not change while the
// machine runs, so it is read once.

import (
	"context"
	"errors"
	"io/fs"

	"watchpost/internal/expo"
)

var dmiInfo = expo.Gauge("node_dmi_info", "What the firmware says of the machine, as far as this process may read it; always 1.")

// dmiProperties are the labels, sorted, and the files they come from.
var dmiProperties = [...]struct{ label, file string }{
	{"bios_date", "bios_date"},
	{"bios_release", "bios_release"},
	{"bios_vendor", "bios_vendor"},
	{"bios_version", "bios_version"},
	{"board_asset_tag", "board_asset_tag"},
	{"board_name", "board_name"},
	{"board_serial", "board_serial"},
	{"board_vendor", "board_vendor"},
	{"board_version", "board_version"},
	{"chassis_asset_tag", "chassis_asset_tag"},
	{"chassis_serial", "chassis_serial"},
	{"chassis_vendor", "chassis_vendor"},
	{"chassis_version", "chassis_version"},
	{"product_family", "product_family"},
	{"product_name", "product_name"},
	{"product_serial", "product_serial"},
	{"product_sku", "product_sku"},
	{"product_uuid", "product_uuid"},
	{"product_version", "product_version"},
	{"system_vendor", "sys_vendor"},
}

type dmi struct {
	family *expo.Family
	values []string
}

func newDMI(c Config) (Collector, error) {
	d := &dmi{}
	var labels []string
	for _, p := range dmiProperties {
		v, err := c.FS.ReadSys("class/dmi/id/" + p.file)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
				c.Log.Warn("Property left out", "err", err)
			}
			continue
		}
		labels = append(labels, p.label)
		d.values = append(d.values, v)
	}
	d.family = dmiInfo.With(labels...)
	return d, nil
}

// Collect implements Collector.
func (d *dmi) Collect(_ context.Context, w *expo.Writer) error {
	if len(d.values) == 0 {
		return ErrNoData
	}
	w.Sample(d.family, 1, d.values...)
	return nil
}
