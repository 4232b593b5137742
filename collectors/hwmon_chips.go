package collectors

// Which chips there are and what they are called. The numbers of hwmon0, hwmon1
// follow the order in which modules were loaded, so a chip is named by the device
// that it belongs to: hwmon0/device -> ../../../coretemp.0 is platform_coretemp_0.
// Several chips of one device are told apart by the names that their drivers gave.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"watchpost/internal/hostfs"
)

// findHwmonChips finds the chips in a class folder.
func findHwmonChips(class string) ([]*hwmonChip, error) {
	folders, err := hostfs.ReadDirNames(class)
	if err != nil {
		return nil, err
	}
	var chips []*hwmonChip
	given := make(map[*hwmonChip]string) // what the driver wrote into the name file
	bases := make(map[string]int)        // how many chips have that name
	pairs := make(map[[2]string]int)     // and also that driver's name
	for _, folder := range folders {
		dir := class + "/" + folder
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			continue // a link to a device that is gone
		}
		name, _ := hostfs.ReadTrimmed(dir + "/name")
		c := &hwmonChip{dir: dir, human: cleanHwmon(name)}
		if c.name = deviceName(dir); c.name == "" {
			c.name = c.human
		}
		if c.name == "" {
			c.name = cleanHwmon(resolvedBase(dir))
		}
		given[c] = name
		bases[c.name]++
		pairs[[2]string{c.name, name}]++
		chips = append(chips, c)
	}
	for _, c := range chips {
		base := c.name
		if bases[base] < 2 {
			continue
		}
		suffix := c.human
		if suffix == "" || pairs[[2]string{base, given[c]}] > 1 {
			suffix = cleanHwmon(filepath.Base(c.dir))
		}
		c.name = base + "_" + suffix
	}
	return chips, nil
}

// deviceName is made of the device that a chip belongs to and of the bus or
// device that this one is on; "" where there is none.
func deviceName(dir string) string {
	device, err := filepath.EvalSymlinks(dir + "/device")
	if err != nil {
		return ""
	}
	on, name := cleanHwmon(filepath.Base(filepath.Dir(device))), cleanHwmon(filepath.Base(device))
	if on != "" && name != "" {
		return on + "_" + name
	}
	return name
}

// resolvedBase is the last part of where a folder really is.
func resolvedBase(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return filepath.Base(dir)
}

// listSensors finds the chip's sensors and opens their files. Drivers of before
// 2012 put them into the device's folder; a file that is in both is that one's.
func (c *hwmonChip) listSensors(keep func(sensor string) bool) {
	paths := make(map[[2]string]string) // by sensor and property
	var files []hwmonFile
	for _, dir := range []string{c.dir, c.dir + "/device"} {
		names, _ := hostfs.ReadDirNames(dir)
		for _, name := range names {
			kind, sensor, property, ok := parseHwmonName(name)
			path := dir + "/" + name
			if !ok || !readableFile(path) || !keep(sensor) {
				continue
			}
			key := [2]string{sensor, property}
			if _, twice := paths[key]; !twice {
				files = append(files, hwmonFile{sensor: sensor, kind: kind, property: property})
			}
			paths[key] = path
		}
	}
	slices.SortStableFunc(files, func(a, b hwmonFile) int { return strings.Compare(a.sensor, b.sensor) })
	for _, f := range files {
		path := paths[[2]string{f.sensor, f.property}]
		if f.property == "label" {
			if label, err := hostfs.Read(path); err == nil {
				c.labels = append(c.labels, hwmonLabel{f.sensor, strings.Trim(string(label), "\n")})
			}
			continue
		}
		if labelPath := paths[[2]string{f.sensor, "label"}]; f.kind == "freq" && labelPath != "" {
			f.label, _ = hostfs.ReadTrimmed(labelPath)
		}
		_, f.twice = paths[[2]string{f.sensor, ""}]
		f.file = hostfs.NewFile(path)
		c.files = append(c.files, f)
	}
	c.readings = make([]hwmonReading, len(c.files))
}

// readableFile tells whether anyone may read the file: some can only be written,
// such as temp1_reset_history.
func readableFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o444 != 0
}
