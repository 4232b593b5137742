package collectors

// What network drivers tell of themselves and count under names of their own, by
// the ioctl SIOCETHTOOL (linux/ethtool.h); what `ethtool`, `ethtool -i` and
// `ethtool -S` show. The kernel asks the driver under a lock of the interface, so
// this costs more than other collectors.

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

var ethtoolInfo = expo.Gauge("node_ethtool_info", "The driver and its device; always 1.",
	"bus_info", "device", "driver", "expansion_rom_version", "firmware_version", "version")

// ethtoolNamed are statistics that have families of a name of their own.
var ethtoolNamed = map[string]*expo.Family{
	"rx_bytes":   expo.Untyped("node_ethtool_received_bytes_total", "Bytes received, as the driver counts them.", "device"),
	"rx_dropped": expo.Untyped("node_ethtool_received_dropped_total", "Packets received and dropped, as the driver counts them.", "device"),
	"rx_errors":  expo.Untyped("node_ethtool_received_errors_total", "Packets received with errors, as the driver counts them.", "device"),
	"rx_packets": expo.Untyped("node_ethtool_received_packets_total", "Packets received, as the driver counts them.", "device"),
	"tx_bytes":   expo.Untyped("node_ethtool_transmitted_bytes_total", "Bytes sent, as the driver counts them.", "device"),
	"tx_errors":  expo.Untyped("node_ethtool_transmitted_errors_total", "Packets not sent because of errors, as the driver counts them.", "device"),
	"tx_packets": expo.Untyped("node_ethtool_transmitted_packets_total", "Packets sent, as the driver counts them.", "device"),
}

// ethtoolUsual are names that many drivers have in common.
var ethtoolUsual = []*expo.Family{
	expo.Untyped("node_ethtool_align_errors", "Frames received that were not aligned to whole bytes.", "device"),
	expo.Untyped("node_ethtool_port_received_dropped", "Packets received that the port dropped.", "device"),
	expo.Untyped("node_ethtool_received_broadcast", "Broadcasts received.", "device"),
	expo.Untyped("node_ethtool_received_missed", "Packets missed for want of room in the device.", "device"),
	expo.Untyped("node_ethtool_received_multicast", "Multicasts received.", "device"),
	expo.Untyped("node_ethtool_received_unicast", "Unicasts received.", "device"),
	expo.Untyped("node_ethtool_transmitted_aborted", "Packets whose sending was aborted.", "device"),
	expo.Untyped("node_ethtool_transmitted_multi_collisions", "Packets sent after several collisions.", "device"),
	expo.Untyped("node_ethtool_transmitted_single_collisions", "Packets sent after one collision.", "device"),
	expo.Untyped("node_ethtool_transmitted_underrun", "Packets not sent because data came too late.", "device"),
}

// DefaultEthtoolMetricsInclude keeps every statistic.
const DefaultEthtoolMetricsInclude = ".*"

// EthtoolConfig configures the ethtool collector. Both patterns for interfaces may be given.
type EthtoolConfig struct {
	DeviceInclude  string // keep only interfaces that match
	DeviceExclude  string // leave out interfaces that match
	MetricsInclude string // keep only statistics whose names match
}

type ethtool struct {
	filter   *Filter
	links    *links
	drivers  netlink.Drivers
	names    kernelNames // by the driver's name
	devices  []*ethtoolDevice
	families []ethtoolFamily
}

// ethtoolDevice is an interface with what its driver said last.
type ethtoolDevice struct {
	name     string
	index    int32
	present  bool // in this scrape
	settings *netlink.LinkSettings
	hasInfo  bool
	info     netlink.DriverInfo
	names    []string // of the statistics
	values   []uint64 // empty where they could not be read
}

// ethtoolFamily is a family and where its numbers are.
type ethtoolFamily struct {
	family *expo.Family
	at     []ethtoolStat
}

type ethtoolStat struct {
	device *ethtoolDevice
	place  int
}

// ethtoolReceived and ethtoolSent are abbreviations that are written out.
var (
	ethtoolReceived = regexp.MustCompile(`(^|_)rx(_|$)`)
	ethtoolSent     = regexp.MustCompile(`(^|_)tx(_|$)`)
)

func newEthtool(c Config) (Collector, error) {
	filter, err := NewFilter(c.Ethtool.DeviceInclude, c.Ethtool.DeviceExclude)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	stats, err := NewFilter(c.Ethtool.MetricsInclude, "")
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &ethtool{filter: filter, links: c.linkSource(), names: kernelNames{family: func(stat string) *expo.Family {
		clean := ethtoolClean(stat)
		if !stats.Keep(clean) {
			return nil
		}
		if f := ethtoolNamed[clean]; f != nil {
			return f
		}
		name := "node_ethtool_" + ethtoolName(clean)
		if f := pickFamily(ethtoolUsual, name); f != nil {
			return f
		}
		return expo.Untyped(name, "Statistic "+clean+" of the interface's driver.", "device")
	}}}, nil
}

// ethtoolClean is a name with underscores for what a metric's name cannot hold.
func ethtoolClean(stat string) string {
	return strings.TrimPrefix(expo.CleanName("x"+stat), "x") // a digit may come first here
}

// ethtoolName is the name of a statistic as a part of a metric's name.
func ethtoolName(clean string) string {
	name := strings.TrimLeft(strings.ToLower(clean), "_")
	name = ethtoolReceived.ReplaceAllString(name, "${1}received${2}")
	return ethtoolSent.ReplaceAllString(name, "${1}transmitted${2}")
}

// Collect implements Collector. A driver that fails does not cost the others.
func (e *ethtool) Collect(ctx context.Context, w *expo.Writer) error {
	changed, err := e.list(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, d := range e.devices {
		c, err := d.read(&e.drivers)
		changed = changed || c
		if err != nil {
			failed = append(failed, err)
		}
	}
	if changed {
		e.arrange()
	}
	e.writeSettings(w)
	for _, d := range e.devices {
		if d.hasInfo {
			w.Uint(ethtoolInfo, 1, d.info.Bus, d.name, d.info.Driver, d.info.ExpansionROM, d.info.Firmware, d.info.Version)
		}
	}
	for _, f := range e.families {
		for _, s := range f.at {
			if s.place < len(s.device.values) {
				w.Uint(f.family, s.device.values[s.place], s.device.name)
			}
		}
	}
	return errors.Join(failed...)
}

// list finds the interfaces, keeping those that it knows. It tells whether they
// are others than before.
func (e *ethtool) list(ctx context.Context) (changed bool, err error) {
	table, err := e.links.take(ctx)
	if err != nil {
		return false, err
	}
	defer table.release()
	byIndex := make(map[int32]*ethtoolDevice, len(e.devices))
	for _, d := range e.devices {
		d.present = false
		byIndex[d.index] = d
	}
	for i := range table.links {
		l := &table.links[i]
		if !e.filter.Keep(l.Name) {
			continue
		}
		if d := byIndex[l.Index]; d != nil && d.name == l.Name {
			d.present = true
			continue
		}
		e.devices = append(e.devices, &ethtoolDevice{name: l.Name, index: l.Index, present: true})
		changed = true
	}
	before := len(e.devices)
	e.devices = slices.DeleteFunc(e.devices, func(d *ethtoolDevice) bool { return !d.present })
	return changed || len(e.devices) != before, nil
}

// read asks the driver of everything. It tells whether the statistics are others
// than before. What the driver does not tell is not an error.
func (d *ethtoolDevice) read(drivers *netlink.Drivers) (changed bool, err error) {
	var failed []error
	check := func(err error) bool {
		if err != nil && !untold(err) {
			failed = append(failed, err)
		}
		return err == nil
	}
	settings, err := drivers.Settings(d.name)
	if d.settings = nil; check(err) {
		d.settings = &settings
	}
	d.values = d.values[:0]
	if d.hasInfo = check(drivers.Info(d.name, &d.info)); !d.hasInfo || d.info.Stats == 0 {
		changed = len(d.names) > 0
		d.names = nil
		return changed, errors.Join(failed...)
	}
	if len(d.names) != d.info.Stats {
		changed = true
		d.names, err = drivers.StatNames(d.name, d.info.Stats)
		if !check(err) {
			return changed, errors.Join(failed...)
		}
	}
	if d.values, err = drivers.Stats(d.name, len(d.names), d.values); !check(err) {
		d.values, d.names, changed = d.values[:0], nil, true // whatever it was, begin anew
	}
	return changed, errors.Join(failed...)
}

// untold tells of errors that say that the driver has no such thing, or that the
// interface is gone by now.
func untold(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, netlink.ErrStatsChanged)
}

// arrange puts the statistics of all interfaces in the order of the families. Of
// statistics of one interface whose names become the same, none is shown.
func (e *ethtool) arrange() {
	e.families = e.families[:0]
	places := make(map[string]int) // of families, by name
	for _, d := range e.devices {
		said := make(map[string]int)
		for _, stat := range d.names {
			if e.names.get([]byte(stat)) != nil {
				said[ethtoolName(ethtoolClean(stat))]++
			}
		}
		for place, stat := range d.names {
			if name := ethtoolName(ethtoolClean(stat)); name == "" || said[name] > 1 {
				continue
			}
			family := e.names.get([]byte(stat))
			if family == nil {
				continue
			}
			i, ok := places[family.Name()]
			if !ok {
				i = len(e.families)
				places[family.Name()] = i
				e.families = append(e.families, ethtoolFamily{family: family})
			}
			e.families[i].at = append(e.families[i].at, ethtoolStat{d, place})
		}
	}
}
