package collectors

// What the block devices of /proc/diskstats are: from udev's database, a file for
// each device with its properties in lines "E:KEY=VALUE" (systemd:
// src/libsystemd/sd-device, udevadm(8)), and from the request queue in sysfs
// (kernel: Documentation/ABI/stable/sysfs-block):
//
//	/run/udev/data/b8:0
//	E:ID_MODEL=TOSHIBA_KSDB4U86
//	E:ID_ATA_ROTATION_RATE_RPM=7200

import (
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	diskInfoFamily = expo.Gauge("node_disk_info", "What the device is, by udev and sysfs; always 1.",
		"device", "major", "minor", "model", "path", "revision", "rotational", "serial", "wwn")
	diskFilesystemInfo = expo.Gauge("node_disk_filesystem_info", "The file system, or the part of one, that the device holds; always 1.",
		"device", "type", "usage", "uuid", "version")
	diskMapperInfo = expo.Gauge("node_disk_device_mapper_info", "What the device mapper says of its device; always 1.",
		"device", "lv_layer", "lv_name", "name", "uuid", "vg_name")
)

// diskATA are properties of ATA devices, each a family.
var diskATA = [...]struct {
	family   *expo.Family
	property string
}{
	{expo.Gauge("node_disk_ata_write_cache", "Whether the ATA disk has a write cache.", "device"), "ID_ATA_WRITE_CACHE"},
	{expo.Gauge("node_disk_ata_write_cache_enabled", "Whether the write cache of the ATA disk is switched on.", "device"), "ID_ATA_WRITE_CACHE_ENABLED"},
	{expo.Gauge("node_disk_ata_rotation_rate_rpm", "Turns a minute of the ATA disk, 0 where it does not turn.", "device"), "ID_ATA_ROTATION_RATE_RPM"},
}

// diskInfo is what is known of a device besides its numbers: the values of the
// labels of the families above, nil where the device has no such thing.
type diskInfo struct {
	diskID
	info, filesystem, mapper []string
	ata                      [len(diskATA)]ataValue
}

type ataValue struct {
	v     float64
	there bool
}

func writeDiskInfo(w *expo.Writer, infos []diskInfo) {
	for i := range infos {
		w.Uint(diskInfoFamily, 1, infos[i].info...)
	}
	for i := range infos {
		if labels := infos[i].filesystem; labels != nil {
			w.Uint(diskFilesystemInfo, 1, labels...)
		}
	}
	for i := range infos {
		if labels := infos[i].mapper; labels != nil {
			w.Uint(diskMapperInfo, 1, labels...)
		}
	}
	for n, f := range diskATA {
		for i := range infos {
			if a := infos[i].ata[n]; a.there {
				w.Sample(f.family, a.v, infos[i].name)
			}
		}
	}
}

// readDiskInfo gathers what can be had; what cannot be read stays empty, as on a
// host without udev.
func readDiskInfo(host hostfs.FS, id diskID) diskInfo {
	major, minor := strconv.FormatUint(uint64(id.major), 10), strconv.FormatUint(uint64(id.minor), 10)
	b, _ := hostfs.Read(host.UdevPath("b" + major + ":" + minor))
	u := parseUdev(b)
	serial := u["SCSI_IDENT_SERIAL"] // what is printed on the disk
	if serial == "" {
		serial = u["ID_SERIAL_SHORT"]
	}
	if serial == "" {
		serial = u["ID_SERIAL"] // all that virtio disks have
	}
	k := diskInfo{diskID: id}
	k.info = []string{id.name, major, minor, u["ID_MODEL"], u["ID_PATH"], u["ID_REVISION"], rotational(host, id.name), serial, u["ID_WWN"]}
	if u["ID_FS_TYPE"] != "" {
		k.filesystem = []string{id.name, u["ID_FS_TYPE"], u["ID_FS_USAGE"], u["ID_FS_UUID"], u["ID_FS_VERSION"]}
	}
	if u["DM_NAME"] != "" {
		k.mapper = []string{id.name, u["DM_LV_LAYER"], u["DM_LV_NAME"], u["DM_NAME"], u["DM_UUID"], u["DM_VG_NAME"]}
	}
	for i, f := range diskATA {
		if v, err := strconv.ParseFloat(u[f.property], 64); err == nil && u["ID_ATA"] != "" {
			k.ata[i] = ataValue{v, true}
		}
	}
	return k
}

// rotational is "1" for a disk that turns and "0" for others, unknown ones among them.
func rotational(host hostfs.FS, device string) string {
	name := strings.ReplaceAll(device, "/", "!") // as sysfs writes a name like cciss/c0d0
	turns, err := host.ReadSys("block/" + name + "/queue/rotational")
	if err != nil { // a partition: its queue is that of its disk, the folder above
		turns, err = hostfs.ReadTrimmed(host.SysPath("class/block/"+name) + "/../queue/rotational")
	}
	if err != nil || turns != "1" {
		return "0"
	}
	return "1"
}

// parseUdev are the properties in a file of udev's database.
func parseUdev(b []byte) map[string]string {
	properties := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "E:"); ok { // others are links, tags, priorities
			if key, value, ok := strings.Cut(p, "="); ok {
				properties[key] = value
			}
		}
	}
	return properties
}
