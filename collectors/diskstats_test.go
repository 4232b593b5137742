package collectors

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"watchpost/internal/hostfs"
)

const (
	diskOld  = "   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 1 9653880 82621804\n"
	diskNew  = " 259       0 nvme0n1 5 1 16 3 7 2 24 9 0 11 12 13 14 15 16 17 18\n"
	diskPart = "   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36\n"
)

const diskWant = `# TYPE node_disk_info gauge
node_disk_info{device="sda",major="8",minor="0",model="WDC_WD40EFRX",path="pci-0000:00:1f.2-ata-1",revision="82.00A82",rotational="1",serial="WD-1",wwn="0x50014ee2"} 1
node_disk_info{device="nvme0n1",major="259",minor="0",model="",path="",revision="",rotational="0",serial="",wwn=""} 1
# TYPE node_disk_filesystem_info gauge
node_disk_filesystem_info{device="sda",type="LVM2_member",usage="raid",uuid="c3C3uW",version="LVM2 001"} 1
# TYPE node_disk_ata_write_cache gauge
node_disk_ata_write_cache{device="sda"} 1
# TYPE node_disk_ata_rotation_rate_rpm gauge
node_disk_ata_rotation_rate_rpm{device="sda"} 5400
# TYPE node_disk_reads_completed_total counter
node_disk_reads_completed_total{device="sda"} 25354637
node_disk_reads_completed_total{device="nvme0n1"} 5
# TYPE node_disk_reads_merged_total counter
node_disk_reads_merged_total{device="sda"} 34367663
node_disk_reads_merged_total{device="nvme0n1"} 1
# TYPE node_disk_read_bytes_total counter
node_disk_read_bytes_total{device="sda"} 513713216512
node_disk_read_bytes_total{device="nvme0n1"} 8192
# TYPE node_disk_read_time_seconds_total counter
node_disk_read_time_seconds_total{device="sda"} 18492.372
node_disk_read_time_seconds_total{device="nvme0n1"} 0.003
# TYPE node_disk_writes_completed_total counter
node_disk_writes_completed_total{device="sda"} 28444756
node_disk_writes_completed_total{device="nvme0n1"} 7
# TYPE node_disk_writes_merged_total counter
node_disk_writes_merged_total{device="sda"} 11134226
node_disk_writes_merged_total{device="nvme0n1"} 2
# TYPE node_disk_written_bytes_total counter
node_disk_written_bytes_total{device="sda"} 258916880384
node_disk_written_bytes_total{device="nvme0n1"} 12288
# TYPE node_disk_write_time_seconds_total counter
node_disk_write_time_seconds_total{device="sda"} 63877.96
node_disk_write_time_seconds_total{device="nvme0n1"} 0.009000000000000001
# TYPE node_disk_io_now gauge
node_disk_io_now{device="sda"} 1
node_disk_io_now{device="nvme0n1"} 0
# TYPE node_disk_io_time_seconds_total counter
node_disk_io_time_seconds_total{device="sda"} 9653.880000000001
node_disk_io_time_seconds_total{device="nvme0n1"} 0.011
# TYPE node_disk_io_time_weighted_seconds_total counter
node_disk_io_time_weighted_seconds_total{device="sda"} 82621.804
node_disk_io_time_weighted_seconds_total{device="nvme0n1"} 0.012
# TYPE node_disk_discards_completed_total counter
node_disk_discards_completed_total{device="nvme0n1"} 13
# TYPE node_disk_discards_merged_total counter
node_disk_discards_merged_total{device="nvme0n1"} 14
# TYPE node_disk_discarded_sectors_total counter
node_disk_discarded_sectors_total{device="nvme0n1"} 15
# TYPE node_disk_discard_time_seconds_total counter
node_disk_discard_time_seconds_total{device="nvme0n1"} 0.016
# TYPE node_disk_flush_requests_total counter
node_disk_flush_requests_total{device="nvme0n1"} 17
# TYPE node_disk_flush_requests_time_seconds_total counter
node_disk_flush_requests_time_seconds_total{device="nvme0n1"} 0.018000000000000002
`

const udevSda = `S:disk/by-id/wwn-0x50014ee2
I:2310
E:ID_ATA=1
E:ID_ATA_WRITE_CACHE=1
E:ID_ATA_WRITE_CACHE_ENABLED=unknown
E:ID_ATA_ROTATION_RATE_RPM=5400
E:ID_MODEL=WDC_WD40EFRX
E:ID_PATH=pci-0000:00:1f.2-ata-1
E:ID_REVISION=82.00A82
E:ID_SERIAL=WDC_WD40EFRX_WD-1
E:ID_SERIAL_SHORT=WD-1
E:ID_WWN=0x50014ee2
E:ID_FS_TYPE=LVM2_member
E:ID_FS_USAGE=raid
E:ID_FS_UUID=c3C3uW
E:ID_FS_VERSION=LVM2 001
E:NOT A PROPERTY
`

func TestDiskstats(t *testing.T) {
	cfg := on(tree(t, map[string]string{
		"proc/diskstats":                     diskOld + diskPart + diskNew,
		"run/udev/data/b8:0":                 udevSda,
		"sys/block/sda/queue/rotational":     "1\n",
		"sys/block/nvme0n1/queue/rotational": "0\n",
	}))
	same(t, render(t, make1(t, "diskstats", cfg)), diskWant)
}

// seriesOf are the samples of one family.
func seriesOf(text, family string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, family+"{") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestDiskInfo(t *testing.T) {
	cfg := on(tree(t, map[string]string{
		"proc/diskstats": "253 1 dm-1 0 0 0 0 0 0 0 0 0 0 0\n252 0 vda 0 0 0 0 0 0 0 0 0 0 0\n" +
			"8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n8 17 sdb1 0 0 0 0 0 0 0 0 0 0 0\n104 0 cciss/c0d0 0 0 0 0 0 0 0 0 0 0 0\n",
		"run/udev/data/b253:1":                  "E:DM_NAME=system-root\nE:DM_UUID=LVM-1\nE:DM_VG_NAME=system\nE:DM_LV_NAME=root\nE:DM_LV_LAYER=cow\n",
		"run/udev/data/b252:0":                  "E:ID_SERIAL=vol-1\n",
		"run/udev/data/b8:16":                   "E:ID_SERIAL=long\nE:ID_SERIAL_SHORT=short\nE:SCSI_IDENT_SERIAL=label\n",
		"sys/devices/sdb/queue/rotational":      "1\n",
		"sys/devices/sdb/sdb1/partition":        "1\n",
		"sys/block/sdb":                         "-> ../devices/sdb",
		"sys/class/block/sdb1":                  "-> ../../devices/sdb/sdb1",
		"sys/block/cciss!c0d0/queue/rotational": "1\n",
	}))
	cfg.Diskstats.DeviceExclude = ""
	text := render(t, make1(t, "diskstats", cfg))
	same(t, seriesOf(text, "node_disk_info")+seriesOf(text, "node_disk_device_mapper_info"),
		`node_disk_info{device="dm-1",major="253",minor="1",model="",path="",revision="",rotational="0",serial="",wwn=""} 1
node_disk_info{device="vda",major="252",minor="0",model="",path="",revision="",rotational="0",serial="vol-1",wwn=""} 1
node_disk_info{device="sdb",major="8",minor="16",model="",path="",revision="",rotational="1",serial="label",wwn=""} 1
node_disk_info{device="sdb1",major="8",minor="17",model="",path="",revision="",rotational="1",serial="",wwn=""} 1
node_disk_info{device="cciss/c0d0",major="104",minor="0",model="",path="",revision="",rotational="1",serial="",wwn=""} 1
node_disk_device_mapper_info{device="dm-1",lv_layer="cow",lv_name="root",name="system-root",uuid="LVM-1",vg_name="system"} 1
`)
}

// What a device is, is read anew when udev learns something, when the device is
// another and when a while has passed.
func TestDiskInfoChanges(t *testing.T) {
	fs := tree(t, map[string]string{"proc/diskstats": diskOld, "run/udev/data/b8:0": "E:ID_MODEL=one\n"})
	back := time.Now().Add(-time.Hour)
	if err := os.Chtimes(fs.Udev, back, back); err != nil {
		t.Fatal(err)
	}
	c := make1(t, "diskstats", on(fs)).(*diskstats)
	clock := time.Now()
	c.now = func() time.Time { return clock }
	expect := func(what, model string) {
		t.Helper()
		if text := render(t, c); !strings.Contains(text, `model="`+model+`"`) {
			t.Errorf("%s: want model %q in\n%s", what, model, seriesOf(text, "node_disk_info"))
		}
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(fs.Root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", "one")
	put("run/udev/data/b8:0", "E:ID_MODEL=two\n") // in place: the folder does not tell
	expect("not looked at again", "one")
	clock = clock.Add(diskInfoAge)
	expect("after a while", "two")
	put("run/udev/data/.#b8:0", "E:ID_MODEL=three\n")
	if err := os.Rename(filepath.Join(fs.Udev, ".#b8:0"), filepath.Join(fs.Udev, "b8:0")); err != nil {
		t.Fatal(err)
	}
	expect("as udev writes it", "three")
	put("run/udev/data/b8:16", "E:ID_MODEL=four\n")
	if err := os.Chtimes(fs.Udev, back, back); err != nil {
		t.Fatal(err)
	}
	expect("still", "three")
	put("proc/diskstats", strings.Replace(diskOld, "8       0", "8 16", 1))
	expect("another device of that name", "four")
	put("proc/diskstats", "")
	if text := render(t, c); text != "" {
		t.Errorf("no device, but\n%s", text)
	}
}

func TestDiskstatsBad(t *testing.T) {
	for _, text := range []string{
		"8 0 sda 1 2 3\n", "x 0 sda 1 2 3 4 5 6 7 8 9 10 11\n", "8 99999999999 sda 1 2 3 4 5 6 7 8 9 10 11\n",
		"8 0 sda 1 2 3 4 5 6 7 8 9 10 -1\n", "8\n",
	} {
		out, err := renderErr(make1(t, "diskstats", on(tree(t, map[string]string{"proc/diskstats": diskNew + text}))))
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/diskstats: line "+strconv.Quote(strings.TrimSpace(text))) {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
	cfg := on(tree(t, nil))
	if _, err := renderErr(make1(t, "diskstats", cfg)); !errors.Is(err, ErrNoData) {
		t.Errorf("no file: %v", err)
	}
	cfg.Diskstats = DiskstatsConfig{DeviceInclude: "a", DeviceExclude: "b"}
	if _, err := newDiskstats(cfg); err == nil {
		t.Error("both patterns: accepted")
	}
}

// Every device of sysfs that is no partition is there and counts what its own
// stat file counts.
func TestDiskstatsLive(t *testing.T) {
	names, err := hostfs.ReadDirNames("/sys/block")
	if err != nil {
		t.Skip(err)
	}
	cfg := on(hostfs.Default)
	cfg.Diskstats.DeviceExclude = ""
	c := make1(t, "diskstats", cfg)
	before := make(map[string]float64)
	for _, name := range names {
		before[name] = sysfsReads(t, name)
	}
	v := values(t, render(t, c))
	for _, name := range names {
		reads, ok := v[`node_disk_reads_completed_total{device="`+strings.ReplaceAll(name, "!", "/")+`"}`]
		if after := sysfsReads(t, name); !ok || reads < before[name] || reads > after {
			t.Errorf("%s: %v reads, sysfs says %v to %v", name, reads, before[name], after)
		}
	}
}

func sysfsReads(t *testing.T, device string) float64 {
	t.Helper()
	b, err := os.ReadFile("/sys/block/" + device + "/stat")
	if err != nil {
		t.Skip(err)
	}
	n, err := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func FuzzDiskstats(f *testing.F) {
	f.Add([]byte(diskOld[1:]))
	f.Add([]byte(diskNew))
	f.Add([]byte("8 0 sda 1 2\n"))
	c, _ := newDiskstats(DefaultConfig())
	f.Fuzz(func(t *testing.T, b []byte) {
		var k disk
		name, err := k.parse(b)
		if d := c.(*diskstats); d.parse(b) == nil && len(d.disks) > bytes.Count(b, []byte("\n"))+1 {
			t.Errorf("%q: %d disks", b, len(d.disks))
		}
		if err != nil {
			return
		}
		words := strings.FieldsFunc(string(b), func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
		if len(words) < 3+k.columns || words[2] != string(name) || k.columns < minDiskColumns {
			t.Fatalf("%q: %+v", b, k)
		}
		for i := range k.columns {
			if n, err := strconv.ParseUint(words[3+i], 10, 64); err != nil || n != k.v[i] {
				t.Errorf("%q: number %d is %d", b, i, k.v[i])
			}
		}
	})
}

func FuzzUdev(f *testing.F) {
	f.Add([]byte(udevSda))
	f.Add([]byte("E:=\nE:A"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for k, v := range parseUdev(b) {
			if !strings.Contains(string(b), "E:"+k+"="+v) || strings.Contains(k+v, "\n") {
				t.Errorf("%q=%q is not in %q", k, v, b)
			}
		}
	})
}

func BenchmarkDiskstats(b *testing.B) {
	var text strings.Builder
	for i := range 40 {
		text.WriteString(strings.Replace(diskNew, "nvme0n1", "nvme"+strconv.Itoa(i)+"n1", 1))
	}
	fs := tree(b, map[string]string{"proc/diskstats": text.String(), "run/udev/data/": ""})
	back := time.Now().Add(-time.Hour)
	if err := os.Chtimes(fs.Udev, back, back); err != nil {
		b.Fatal(err)
	}
	benchmarkCollect(b, make1(b, "diskstats", on(fs)))
}
