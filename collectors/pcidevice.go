package collectors

// PCI devices, from /sys/bus/pci/devices (kernel:
// Documentation/ABI/testing/sysfs-bus-pci): a link for each device, whose target
// tells the bridge that it is behind.
//
//	0000:01:00.0 -> ../../../devices/pci0000:00/0000:00:02.1/0000:01:00.0
//	0000:01:00.0/vendor:               0xc0a9
//	0000:01:00.0/current_link_speed:   8.0 GT/s PCIe
//	0000:01:00.0/power_state:          D0

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// PCIDeviceConfig configures the pcidevice collector.
type PCIDeviceConfig struct {
	Names   bool   // put the names of vendor, device and class beside their numbers
	IDsFile string // the database of names, pci.ids; empty is where distributions have it
}

var (
	pciInfo = expo.Gauge("node_pcidevice_info", "What a PCI device is and which bridge it is behind, * without one; always 1.",
		"segment", "bus", "device", "function", "parent_segment", "parent_bus", "parent_device", "parent_function",
		"class_id", "vendor_id", "device_id", "subsystem_vendor_id", "subsystem_device_id", "revision")
	pciInfoNamed  = pciInfo.With("vendor_name", "device_name", "subsystem_vendor_name", "subsystem_device_name", "class_name")
	pciPowerState = expo.Gauge("node_pcidevice_power_state", "Which of the power states a PCI device is in: 1, the others 0.", "segment", "bus", "device", "function", "state")
)

// pciPowerStates are the states that the kernel knows, drivers/pci/pci.c.
var pciPowerStates = [...]string{"D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"}

// pciAttributes are the numbers of a device. What a device does not tell has a
// value too, as in node_exporter; only an unknown NUMA node has no sample.
var pciAttributes = [...]struct {
	file   string
	family *expo.Family
	fixed  bool // by hardware: read when the device is listed
	parse  func(string) (float64, bool)
	none   float64 // where the device does not tell
}{
	{"max_link_speed", expo.Gauge("node_pcidevice_max_link_transfers_per_second", "The fastest that a device's link can be, -1 where it has none.", "segment", "bus", "device", "function"), true, parsePCISpeed, -1},
	{"max_link_width", expo.Gauge("node_pcidevice_max_link_width", "The most lanes that a device's link can have, -1 where it has none.", "segment", "bus", "device", "function"), true, parsePCINumber, -1},
	{"current_link_speed", expo.Gauge("node_pcidevice_current_link_transfers_per_second", "How fast a device's link is, -1 where it has none.", "segment", "bus", "device", "function"), false, parsePCISpeed, -1},
	{"current_link_width", expo.Gauge("node_pcidevice_current_link_width", "How many lanes a device's link has, -1 where it has none.", "segment", "bus", "device", "function"), false, parsePCINumber, -1},
	{"d3cold_allowed", expo.Gauge("node_pcidevice_d3cold_allowed", "Whether a device may be switched off altogether.", "segment", "bus", "device", "function"), false, parsePCINumber, 0},
	{"sriov_drivers_autoprobe", expo.Gauge("node_pcidevice_sriov_drivers_autoprobe", "Whether drivers take a device's virtual functions by themselves.", "segment", "bus", "device", "function"), false, parsePCINumber, 0},
	{"sriov_numvfs", expo.Gauge("node_pcidevice_sriov_numvfs", "How many virtual functions of a device are on.", "segment", "bus", "device", "function"), false, parsePCINumber, 0},
	{"sriov_totalvfs", expo.Gauge("node_pcidevice_sriov_totalvfs", "How many virtual functions a device can have.", "segment", "bus", "device", "function"), true, parsePCINumber, 0},
	{"sriov_vf_total_msix", expo.Gauge("node_pcidevice_sriov_vf_total_msix", "How many interrupt vectors a device's virtual functions share.", "segment", "bus", "device", "function"), true, parsePCINumber, 0},
	{"numa_node", expo.Gauge("node_pcidevice_numa_node", "The NUMA node that a device belongs to.", "segment", "bus", "device", "function"), true, parsePCINumber, math.NaN()},
}

type pciDevices struct {
	listing
	host    hostfs.FS
	cfg     PCIDeviceConfig
	unlist  error // what the last listing said
	unnamed error // and reading the names
	devices []pciDevice
	names   map[string]string // by key, see pciKeys
}

type pciDevice struct {
	at     []string // segment, bus, device, function
	ids    pciIDs
	info   []string // labels of pciInfo or pciInfoNamed
	files  [len(pciAttributes)]*hostfs.File
	values [len(pciAttributes)]float64
	power  *hostfs.File
	states [len(pciPowerStates)][]string // labels of pciPowerState
}

func newPCIDevice(c Config) (Collector, error) {
	return &pciDevices{listing: listing{now: time.Now}, host: c.FS, cfg: c.PCIDevice}, nil
}

// Collect implements Collector.
func (p *pciDevices) Collect(_ context.Context, w *expo.Writer) error {
	if p.due() {
		p.unlist = p.list()
	}
	if p.unlist != nil {
		return absent(p.unlist)
	}
	info := pciInfo
	if p.cfg.Names {
		info = pciInfoNamed
	}
	for i := range p.devices {
		w.Sample(info, 1, p.devices[i].info...)
	}
	var failed failures
	if p.unnamed != nil {
		failed.add(p.unnamed)
	}
	for n, a := range pciAttributes {
		for i := range p.devices {
			d := &p.devices[i]
			if !a.fixed {
				d.values[n] = p.value(d.files[n], a.parse, a.none, &failed)
			}
			if v := d.values[n]; v == v {
				w.Sample(a.family, v, d.at...)
			}
		}
	}
	for i := range p.devices {
		p.writePower(w, &p.devices[i], &failed)
	}
	return failed.err()
}

// value reads a number, or none where it is not told.
func (p *pciDevices) value(f *hostfs.File, parse func(string) (float64, bool), none float64, failed *failures) float64 {
	text := p.text(f, failed)
	if v, ok := parse(text); ok {
		return v
	} else if text != "" && !strings.HasPrefix(text, "Unknown") {
		failed.add(fmt.Errorf("%s: cannot make sense of %.40q", f.Path(), text))
	}
	return none
}

// text reads a file. They are not held open: hosts have hundreds of devices.
func (p *pciDevices) text(f *hostfs.File, failed *failures) string {
	b, err := f.Read()
	f.Close()
	if err != nil {
		if !noValue(err) && !hostfs.Gone(err) {
			failed.add(err)
		}
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (p *pciDevices) writePower(w *expo.Writer, d *pciDevice, failed *failures) {
	now := p.text(d.power, failed)
	if now == "" {
		return
	}
	for i, state := range pciPowerStates {
		on := 0.0
		if state == now {
			on = 1
		}
		w.Sample(pciPowerState, on, d.states[i]...)
	}
}

func (p *pciDevices) list() error {
	dir := p.host.SysPath("bus/pci/devices")
	links, err := hostfs.ReadDirNames(dir)
	if err != nil {
		return err
	}
	p.devices = p.devices[:0]
	for _, link := range links {
		if d, ok := p.listDevice(dir + "/" + link); ok {
			p.devices = append(p.devices, d)
		}
	}
	if p.cfg.Names {
		p.unnamed = p.nameDevices()
	}
	return nil
}

// listDevice is the device at a link. ok is false where it went meanwhile.
func (p *pciDevices) listDevice(path string) (d pciDevice, ok bool) {
	target, err := os.Readlink(path)
	if err != nil {
		return d, false
	}
	if d.at, ok = pciAddress(filepath.Base(target)); !ok {
		return d, false
	}
	parent, ok := pciAddress(filepath.Base(filepath.Dir(target)))
	if !ok {
		parent = []string{"*", "*", "*", "*"} // behind the root: pci0000:00
	}
	d.ids = pciIDs{
		class: readPCIID(path+"/class", 6), vendor: readPCIID(path+"/vendor", 4), device: readPCIID(path+"/device", 4),
		subVendor: readPCIID(path+"/subsystem_vendor", 4), subDevice: readPCIID(path+"/subsystem_device", 4),
	}
	d.info = append(append([]string{}, d.at...), parent...)
	d.info = append(d.info, "0x"+d.ids.class, "0x"+d.ids.vendor, "0x"+d.ids.device, "0x"+d.ids.subVendor, "0x"+d.ids.subDevice, "0x"+readPCIID(path+"/revision", 2))
	for n, a := range pciAttributes {
		d.files[n] = hostfs.NewFile(path + "/" + a.file)
		if a.fixed {
			d.values[n] = p.value(d.files[n], a.parse, a.none, &failures{})
		}
	}
	if node := &d.values[len(pciAttributes)-1]; *node == -1 {
		*node = math.NaN() // the kernel's word for unknown
	}
	d.power = hostfs.NewFile(path + "/power_state")
	for i, state := range pciPowerStates {
		d.states[i] = append(append([]string{}, d.at...), state)
	}
	return d, true
}

// pciAddress takes segment:bus:device.function apart.
func pciAddress(s string) (parts []string, ok bool) {
	parts = strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '.' })
	if len(parts) != 4 || strings.Count(s, ":") != 2 || strings.Count(s, ".") != 1 {
		return nil, false
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 16, 32); err != nil {
			return nil, false
		}
	}
	return parts, true
}

// readPCIID reads a number such as 0x8086 as so many hexadecimal digits, zeroes
// where it is not told.
func readPCIID(path string, digits int) string {
	text, _ := hostfs.ReadTrimmed(path)
	n, _ := strconv.ParseUint(text, 0, 32)
	return fmt.Sprintf("%0*x", digits, n)
}

// parsePCISpeed is a speed such as "8.0 GT/s PCIe", in transfers a second.
func parsePCISpeed(text string) (float64, bool) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(number, 64)
	return n * 1e9, err == nil && n >= 0 && n < 1e6 && strings.HasPrefix(unit, "GT/s")
}

func parsePCINumber(text string) (float64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return float64(n), err == nil
}
