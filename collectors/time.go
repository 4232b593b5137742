package collectors

// The clock and what the kernel takes its time from: sysfs has a folder for each
// device of clock sources (kernel: Documentation/ABI/testing/sysfs-devices-clocksource),
// in practice one, with the names to choose from and the one in use:
//
//	devices/system/clocksource/clocksource0/available_clocksource: tsc hpet acpi_pm
//	devices/system/clocksource/clocksource0/current_clocksource:   tsc
//
// The kernel itself leaves a source that proves unstable, so both are read each time.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	timeSeconds   = expo.Gauge("node_time_seconds", "The host's clock, in seconds since 1970.")
	timeZone      = expo.Gauge("node_time_zone_offset_seconds", "How far local time is ahead of UTC.", "time_zone")
	timeAvailable = expo.Gauge("node_time_clocksource_available_info", "Clock sources that the kernel can use; always 1.", "clocksource", "device")
	timeCurrent   = expo.Gauge("node_time_clocksource_current_info", "The clock source that the kernel uses; always 1.", "clocksource", "device")
)

// clockDevicesAge is how long the list of clock source devices is taken for true.
const clockDevicesAge = time.Minute

type clock struct {
	host    hostfs.FS
	now     func() time.Time
	devices []clockDevice
	listed  time.Time
	names   hostfs.Interner
	said    []string // by say, of the file at hand
}

// maxClockSources is far above the clock sources of any kernel, which has some five.
const maxClockSources = 64

// clockDevice is one folder of clock sources.
type clockDevice struct {
	number             string
	available, current *hostfs.File
}

func newTime(c Config) (Collector, error) { return &clock{host: c.FS, now: time.Now}, nil }

// Collect implements Collector.
func (c *clock) Collect(_ context.Context, w *expo.Writer) error {
	now := c.now()
	zone, offset := now.Zone()
	w.Sample(timeSeconds, float64(now.Unix())+float64(now.Nanosecond())/1e9)
	w.Sample(timeZone, float64(offset), zone)
	if age := now.Sub(c.listed); age < 0 || age >= clockDevicesAge {
		if err := c.list(); err != nil {
			return err
		}
		c.listed = now
	}
	var failed error
	for _, d := range c.devices {
		if err := c.say(w, timeAvailable, d.available, d.number); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	for _, d := range c.devices {
		if err := c.say(w, timeCurrent, d.current, d.number); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// say writes the names in a file, separated by blanks.
func (c *clock) say(w *expo.Writer, family *expo.Family, file *hostfs.File, device string) error {
	b, err := file.Read()
	if hostfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c.said = c.said[:0]
	for {
		var field []byte
		field, b = hostfs.NextField(b)
		if len(field) == 0 {
			return nil
		}
		name := c.names.String(field)
		if slices.Contains(c.said, name) {
			continue
		}
		if len(c.said) == maxClockSources {
			return fmt.Errorf("%s: more than %d clock sources", file.Path(), maxClockSources)
		}
		c.said = append(c.said, name)
		w.Sample(family, 1, name, device)
	}
}

// list finds the devices. Those that are known keep their files.
func (c *clock) list() error {
	dir := c.host.SysPath("devices/system/clocksource")
	names, err := hostfs.ReadDirNames(dir)
	if err != nil && !hostfs.Gone(err) {
		return err
	}
	var found []clockDevice
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "clocksource")
		if _, err := strconv.ParseUint(number, 10, 32); !ok || err != nil {
			continue
		}
		if i := slices.IndexFunc(c.devices, func(d clockDevice) bool { return d.number == number }); i >= 0 {
			found = append(found, c.devices[i])
			continue
		}
		found = append(found, clockDevice{number, hostfs.NewFile(dir + "/" + name + "/available_clocksource"), hostfs.NewFile(dir + "/" + name + "/current_clocksource")})
	}
	for _, d := range c.devices {
		if !slices.ContainsFunc(found, func(f clockDevice) bool { return f.number == d.number }) {
			d.available.Close()
			d.current.Close()
		}
	}
	c.devices = found
	return nil
}
