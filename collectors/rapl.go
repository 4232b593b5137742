package collectors

// Energy that the processor's parts have used, from /sys/class/powercap (kernel:
// Documentation/power/powercap/powercap.rst): a folder for each zone that can be
// measured. Since Linux 5.10 energy_uj is readable by root alone.
//
//	intel-rapl:0/name:         package-0
//	intel-rapl:0/energy_uj:    240422366267
//	intel-rapl:0:0/name:       core
//
// The counter starts again from 0 when it reaches max_energy_range_uj.

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// raplJoules is the one family for all zones that RaplConfig.ZoneLabel asks for.
var raplJoules = expo.Counter("node_rapl_joules_total", "Energy used by a zone of the processor.", "index", "path", "rapl_zone")

// raplZones are the families of the zones that Intel's and AMD's processors have;
// those of others are made when they are seen.
var raplZones = [...]*expo.Family{
	expo.Counter("node_rapl_core_joules_total", "Energy used by the cores.", "index", "path"),
	expo.Counter("node_rapl_dram_joules_total", "Energy used by the memory.", "index", "path"),
	expo.Counter("node_rapl_package_joules_total", "Energy used by the whole processor package.", "index", "path"),
	expo.Counter("node_rapl_psys_joules_total", "Energy used by the whole platform.", "index", "path"),
	expo.Counter("node_rapl_uncore_joules_total", "Energy used by the package without its cores, for the most part graphics.", "index", "path"),
}

// RaplConfig configures the rapl collector.
type RaplConfig struct {
	ZoneLabel bool // one family with the zone in a label, rather than one for each zone
}

type rapl struct {
	deviceClass
	dir string
	cfg RaplConfig
}

func newRapl(c Config) (Collector, error) {
	r := &rapl{deviceClass: newDeviceClass(nil), dir: c.FS.SysPath("class/powercap"), cfg: c.Rapl}
	r.list = r.listZones
	return r, nil
}

// Collect implements Collector.
func (r *rapl) Collect(_ context.Context, w *expo.Writer) error {
	if err := r.refresh(); err != nil {
		return absent(err)
	}
	var failed failures
	r.write(w, &failed)
	return failed.err()
}

// listZones finds the zones. The families depend on what there is, so the table
// of attributes is made here too.
func (r *rapl) listZones() error {
	folders, err := hostfs.ReadDirNames(r.dir)
	if err != nil {
		return err
	}
	r.table, r.values = nil, nil
	used := make(map[string]int) // by name: the next index
	for _, folder := range folders {
		path := r.dir + "/" + folder
		name, err := hostfs.ReadTrimmed(path + "/name")
		if err != nil {
			continue // a control type such as intel-rapl itself, which has no name
		}
		zone, index := raplZone(name, used)
		if r.cfg.ZoneLabel {
			r.addZone(raplJoules, path, strconv.Itoa(index), path, zone)
		} else {
			r.addZone(raplFamily(zone), path, strconv.Itoa(index), path)
		}
	}
	return nil
}

func (r *rapl) addZone(f *expo.Family, path string, labels ...string) {
	i := slices.IndexFunc(r.table, func(a attribute) bool { return a.family.Name() == f.Name() })
	if i < 0 {
		i = len(r.table)
		r.table = append(r.table, attribute{"energy_uj", f, conversion{per: 1e6}})
		r.values = append(r.values, nil)
	}
	r.addFile(i, path+"/energy_uj", labels)
}

// raplZone is a zone's name and its index: package-1 is package 1; of names
// without a number the second has index 1.
func raplZone(name string, used map[string]int) (zone string, index int) {
	zone, number, ok := strings.Cut(name, "-")
	index, err := strconv.Atoi(number)
	if !ok || err != nil || strings.Contains(number, "-") {
		zone, index = name, used[name]
	}
	used[zone] = index + 1
	return zone, index
}

func raplFamily(zone string) *expo.Family {
	name := expo.CleanName(zone)
	for _, f := range raplZones {
		if f.Name() == "node_rapl_"+name+"_joules_total" {
			return f
		}
	}
	return expo.Counter("node_rapl_"+name+"_joules_total", "Energy used by the zone "+zone+".", "index", "path")
}
