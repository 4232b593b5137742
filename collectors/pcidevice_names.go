package collectors

// Names of PCI devices, from the database pci.ids that distributions ship. An
// indented line belongs to the one above it that is indented less; two blanks
// part number and name:
//
//	8086  Intel Corporation
//		1521  I350 Gigabit Network Connection
//			8086 00a3  Ethernet Network Adapter I350-T4
//	C 01  Mass storage controller
//		08  Non-Volatile memory controller
//			02  NVM Express

import (
	"errors"
	"io/fs"
	"strings"

	"watchpost/internal/hostfs"
)

// pciIDsPlaces are where distributions have the database, below the root.
var pciIDsPlaces = [...]string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"}

// pciIDs are the numbers of a device, in hexadecimal digits.
type pciIDs struct{ class, vendor, device, subVendor, subDevice string }

// The keys by which names are looked up. A class has three, from fine to coarse.
func (i pciIDs) vendorKey() string    { return i.vendor }
func (i pciIDs) deviceKey() string    { return i.vendor + " " + i.device }
func (i pciIDs) subVendorKey() string { return i.subVendor }
func (i pciIDs) subDeviceKey() string {
	return i.vendor + " " + i.device + " " + i.subVendor + " " + i.subDevice
}
func (i pciIDs) classKeys() [3]string {
	return [3]string{"C " + i.class, "C " + i.class[:4], "C " + i.class[:2]}
}

// nameDevices puts the names behind the labels of each device; a number for what
// has no name. The database is read when there are devices not looked up before,
// and of it only their names are kept.
func (p *pciDevices) nameDevices() error {
	wanted := make(map[string]string)
	missing := false
	want := func(key string) {
		name, known := p.names[key]
		wanted[key] = name
		missing = missing || !known
	}
	for _, d := range p.devices {
		want(d.ids.vendorKey())
		want(d.ids.deviceKey())
		want(d.ids.subVendorKey())
		want(d.ids.subDeviceKey())
		for _, k := range d.ids.classKeys() {
			want(k)
		}
	}
	var err error
	if missing {
		var b []byte
		if b, err = p.readIDs(); err == nil {
			parsePCIIDs(b, wanted)
			p.names = wanted
		}
	}
	for i := range p.devices {
		d := &p.devices[i]
		name := func(key, number string) string {
			if n := wanted[key]; n != "" {
				return n
			}
			return number
		}
		class := "Unknown class (" + d.ids.class + ")"
		for _, k := range d.ids.classKeys() {
			if wanted[k] != "" {
				class = wanted[k]
				break
			}
		}
		d.info = append(d.info, name(d.ids.vendorKey(), d.ids.vendor), name(d.ids.deviceKey(), d.ids.device),
			name(d.ids.subVendorKey(), d.ids.subVendor), name(d.ids.subDeviceKey(), d.ids.subDevice), class)
	}
	return err
}

// readIDs reads the database. A host without one has numbers for names.
func (p *pciDevices) readIDs() ([]byte, error) {
	if p.cfg.IDsFile != "" {
		return hostfs.Read(p.cfg.IDsFile)
	}
	for _, place := range pciIDsPlaces {
		b, err := hostfs.Read(p.host.RootPath(place))
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return nil, nil
}

// parsePCIIDs fills in the names of the keys that are in wanted.
func parsePCIIDs(b []byte, wanted map[string]string) {
	var above [2]string // keys of the lines that those indented once and twice belong to
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		text := string(line)
		depth := 0
		for depth < 2 && strings.HasPrefix(text, "\t") {
			depth++
			text = text[1:]
		}
		number, name, ok := strings.Cut(text, "  ")
		if !ok || number == "" || number[0] == '#' {
			continue
		}
		key := strings.ToLower(strings.TrimSpace(number))
		switch isClass := strings.HasPrefix(number, "C "); {
		case depth == 0 && isClass:
			key = "C " + strings.TrimSpace(number[1:])
		case depth > 0 && strings.HasPrefix(above[depth-1], "C "):
			key = above[depth-1] + key
		case depth > 0:
			key = above[depth-1] + " " + key
		}
		if depth < 2 {
			above[depth] = key
		}
		if _, ok := wanted[key]; ok {
			wanted[key] = strings.TrimSpace(name)
		}
	}
}
