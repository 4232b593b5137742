package collectors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

func pciTree() map[string]string {
	const nvme = "sys/devices/pci0000:00/0000:00:02.1/0000:01:00.0/"
	return map[string]string{
		"sys/bus/pci/devices/0000:01:00.0": "-> ../../../devices/pci0000:00/0000:00:02.1/0000:01:00.0",
		"sys/bus/pci/devices/0000:00:02.1": "-> ../../../devices/pci0000:00/0000:00:02.1",
		"sys/bus/pci/devices/other":        "-> ../../../devices/other",
		nvme + "class":                     "0x010802\n", nvme + "vendor": "0xc0a9\n", nvme + "device": "0x540a\n",
		nvme + "subsystem_vendor": "0xc0a9\n", nvme + "subsystem_device": "0x5021\n", nvme + "revision": "0x01\n",
		nvme + "max_link_speed": "16.0 GT/s PCIe\n", nvme + "max_link_width": "4\n", nvme + "current_link_speed": "Unknown\n", nvme + "current_link_width": "4\n",
		nvme + "numa_node": "1\n", nvme + "power_state": "D3hot\n", nvme + "d3cold_allowed": "1\n", nvme + "sriov_totalvfs": "8\n",
		"sys/devices/pci0000:00/0000:00:02.1/class":     "0x060400\n",
		"sys/devices/pci0000:00/0000:00:02.1/vendor":    "0x1022\n",
		"sys/devices/pci0000:00/0000:00:02.1/numa_node": "-1\n",
		"usr/share/hwdata/pci.ids": "# list\n1022  Heron Silicon\nc0a9  Heron Storage\n\t540a  Marsh NVMe\n\t\tc0a9 5021  Marsh NVMe 1TB\n\t540b  Other\n" +
			"C 01  Mass storage\n\t08  Non-volatile memory\nC 06  Bridge\n\t04  PCI bridge\n\t\t00  Normal decode\n",
	}
}

func TestPCIDevice(t *testing.T) {
	host := tree(t, pciTree())
	c := make1(t, "pcidevice", on(host))
	text := render(t, c)
	for _, line := range []string{
		`node_pcidevice_info{segment="0000",bus="00",device="02",function="1",parent_segment="*",parent_bus="*",parent_device="*",parent_function="*",class_id="0x060400",vendor_id="0x1022",device_id="0x0000",subsystem_vendor_id="0x0000",subsystem_device_id="0x0000",revision="0x00"} 1`,
		`node_pcidevice_info{segment="0000",bus="01",device="00",function="0",parent_segment="0000",parent_bus="00",parent_device="02",parent_function="1",class_id="0x010802",vendor_id="0xc0a9",device_id="0x540a",subsystem_vendor_id="0xc0a9",subsystem_device_id="0x5021",revision="0x01"} 1`,
		`node_pcidevice_max_link_transfers_per_second{segment="0000",bus="01",device="00",function="0"} 16000000000`,
		`node_pcidevice_max_link_width{segment="0000",bus="00",device="02",function="1"} -1`,
		`node_pcidevice_current_link_transfers_per_second{segment="0000",bus="01",device="00",function="0"} -1`,
		`node_pcidevice_current_link_width{segment="0000",bus="01",device="00",function="0"} 4`,
		`node_pcidevice_d3cold_allowed{segment="0000",bus="01",device="00",function="0"} 1`,
		`node_pcidevice_sriov_totalvfs{segment="0000",bus="01",device="00",function="0"} 8`,
		`node_pcidevice_sriov_numvfs{segment="0000",bus="01",device="00",function="0"} 0`,
		`node_pcidevice_numa_node{segment="0000",bus="01",device="00",function="0"} 1`,
		`node_pcidevice_power_state{segment="0000",bus="01",device="00",function="0",state="D0"} 0`,
		`node_pcidevice_power_state{segment="0000",bus="01",device="00",function="0",state="D3hot"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if n := len(values(t, text)); n != 2+2*9+1+7 {
		t.Errorf("%d samples", n)
	}
	write(t, filepath.Join(host.Sys, "devices/pci0000:00/0000:00:02.1/0000:01:00.0/power_state"), "D0\n", false)
	if text := render(t, c); !strings.Contains(text, `state="D0"} 1`) {
		t.Error("the device woke, which is not told")
	}
}

func TestPCIDeviceNames(t *testing.T) {
	cfg := on(tree(t, pciTree()))
	cfg.PCIDevice.Names = true
	c := make1(t, "pcidevice", cfg).(*pciDevices)
	text := render(t, c)
	for _, labels := range []string{
		`vendor_name="Heron Silicon",device_name="0000",subsystem_vendor_name="0000",subsystem_device_name="0000",class_name="Normal decode"} 1`,
		`vendor_name="Heron Storage",device_name="Marsh NVMe",subsystem_vendor_name="Heron Storage",subsystem_device_name="Marsh NVMe 1TB",class_name="Non-volatile memory"} 1`,
	} {
		if !strings.Contains(text, labels+"\n") {
			t.Errorf("missing: %s in\n%s", labels, text)
		}
	}
	// The database is not read again for devices that were looked up.
	if err := os.Remove(filepath.Join(cfg.FS.Root, "usr/share/hwdata/pci.ids")); err != nil {
		t.Fatal(err)
	}
	c.last = c.last.Add(-listingAge)
	same(t, render(t, c), text)

	cfg.PCIDevice.IDsFile = filepath.Join(cfg.FS.Root, "none")
	numbers, err := renderErr(make1(t, "pcidevice", cfg))
	if err == nil || !strings.Contains(numbers, `class_name="Unknown class (010802)"`) {
		t.Errorf("without the database asked for: %v, said %s", err, numbers)
	}
}

func TestPCIDeviceBad(t *testing.T) {
	files := pciTree()
	files["sys/devices/pci0000:00/0000:00:02.1/0000:01:00.0/current_link_speed"] = "fast\n"
	text, err := renderErr(make1(t, "pcidevice", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "current_link_speed") || !strings.Contains(err.Error(), `"fast"`) || len(values(t, text)) != 28 {
		t.Errorf("%v, said %s", err, text)
	}
}

func TestPCIDeviceLive(t *testing.T) {
	links, err := os.ReadDir("/sys/bus/pci/devices")
	if err != nil || len(links) == 0 {
		t.Skip("no PCI devices here")
	}
	text := render(t, make1(t, "pcidevice", on(hostfs.Default)))
	if n := strings.Count(text, "\nnode_pcidevice_info{"); n != len(links) {
		t.Errorf("%d devices, want %d", n, len(links))
	}
}

func FuzzPCI(f *testing.F) {
	f.Add("0000:01:00.0", "8.0 GT/s PCIe", []byte(pciTree()["usr/share/hwdata/pci.ids"]))
	f.Add("10000:ff:1f.7", "Unknown", []byte("\t\t\nC \n\t  \n  \n"))
	f.Add(":::.", "1e99 GT/s", []byte("c0a9 x"))
	f.Fuzz(func(t *testing.T, address, speed string, ids []byte) {
		if parts, ok := pciAddress(address); ok && len(parts) != 4 {
			t.Errorf("%q: %q", address, parts)
		}
		if v, ok := parsePCISpeed(speed); ok && !(v >= 0 && v < 1e15) {
			t.Errorf("%q: %v", speed, v)
		}
		if v, ok := parsePCINumber(speed); ok && v != v {
			t.Errorf("%q: %v", speed, v)
		}
		wanted := map[string]string{"c0a9": "", "c0a9 540a": "", "C 0108": ""}
		parsePCIIDs(ids, wanted)
		if len(wanted) != 3 {
			t.Errorf("keys that nobody asked for: %v", wanted)
		}
	})
}
