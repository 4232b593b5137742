package collectors

// Watchdog timers, from /sys/class/watchdog (kernel:
// Documentation/ABI/testing/sysfs-class-watchdog): a folder for each, in which a
// driver has the files that it supports.
//
//	watchdog0/identity:   Software Watchdog
//	watchdog0/timeout:    60

import (
	"context"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var watchdogInfo = expo.Gauge("node_watchdog_info", "What a watchdog timer is and what state it is in; always 1.",
	"identity", "name", "options", "pretimeout_governor", "state", "status")

// watchdogTexts are the files of the labels of watchdogInfo, but for the name.
var watchdogTexts = [...]string{"identity", "options", "pretimeout_governor", "state", "status"}

var watchdogAttributes = []attribute{
	{"bootstatus", expo.Gauge("node_watchdog_bootstatus", "Status of the device at boot, as bits: why the machine was restarted.", "name"), conversion{}},
	{"fw_version", expo.Gauge("node_watchdog_fw_version", "Version of the watchdog's firmware.", "name"), conversion{}},
	{"nowayout", expo.Gauge("node_watchdog_nowayout", "Whether the watchdog cannot be stopped once it was started.", "name"), conversion{}},
	{"timeleft", expo.Gauge("node_watchdog_timeleft_seconds", "Time left before the watchdog restarts the machine.", "name"), conversion{}},
	{"timeout", expo.Gauge("node_watchdog_timeout_seconds", "Time without a sign of life after which the watchdog restarts the machine.", "name"), conversion{}},
	{"pretimeout", expo.Gauge("node_watchdog_pretimeout_seconds", "Time before the restart at which the watchdog gives warning.", "name"), conversion{}},
	{"access_cs0", expo.Gauge("node_watchdog_access_cs0", "Whether the watchdog booted the machine from its other chip select.", "name"), conversion{}},
}

type watchdog struct {
	deviceClass
	dir   string
	infos []textRow
}

func newWatchdog(c Config) (Collector, error) {
	d := &watchdog{deviceClass: newDeviceClass(watchdogAttributes), dir: c.FS.SysPath("class/watchdog")}
	d.list = d.listDevices
	return d, nil
}

// Collect implements Collector.
func (d *watchdog) Collect(_ context.Context, w *expo.Writer) error {
	if err := d.refresh(); err != nil {
		return absent(err)
	}
	var failed failures
	for i := range d.infos {
		r := &d.infos[i]
		if r.read(&failed) {
			w.Sample(watchdogInfo, 1, r.texts[0], r.device, r.texts[1], r.texts[2], r.texts[3], r.texts[4])
		} else {
			d.stale = true
		}
	}
	d.write(w, &failed)
	return failed.err()
}

func (d *watchdog) listDevices() error {
	for i := range d.infos {
		d.infos[i].close()
	}
	d.infos = d.infos[:0]
	names, err := hostfs.ReadDirNames(d.dir)
	for _, name := range names {
		d.add(d.dir+"/"+name, name)
		d.infos = append(d.infos, newTextRow(d.dir, name, watchdogTexts[:]))
	}
	return err
}
