package collectors

// The devices of mounted Btrfs file systems, which only the file system tells, by
// ioctl on its mount point (kernel: include/uapi/linux/btrfs.h). That needs no
// more than to open the mount point; only the counters of errors of a device are
// given to root alone by some kernels.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

// btrfsDev is a device of a file system. Sizes are in bytes.
type btrfsDev struct {
	name       string // "sda1"
	uuid       string // of the device, with dashes
	size, used uint64
	errors     [len(btrfsErrorKinds)]uint64
}

// btrfsErrorKinds are the kinds of errors in the order of enum btrfs_dev_stat_values.
var btrfsErrorKinds = [...]string{"write", "read", "flush", "corruption", "generation"}

// maxBtrfsDevice bounds the device numbers that are asked for.
const maxBtrfsDevice = 1 << 16

// btrfsDevices asks each mounted Btrfs for its devices. They are returned by the
// UUID of the file system, as it is written in /sys/fs/btrfs. A file system that
// cannot be opened or does not answer is not among them.
func btrfsDevices(host hostfs.FS, failed *faults) map[string][]btrfsDev {
	found := make(map[string][]btrfsDev)
	b, err := host.ReadProc("1/mountinfo")
	if err != nil {
		b, err = host.ReadProc("self/mountinfo")
	}
	if err != nil {
		failed.add(err)
		return found
	}
	mounts, err := parseMountinfo(b)
	failed.add(err)
	for _, m := range mounts {
		if m.fstype != "btrfs" || m.covered || !m.prompt {
			continue // the way to it may lead over a mount that is stuck
		}
		// What cannot be opened here may be open to us at another mount point.
		fd, err := unix.Open(host.RootPath(m.point), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		id, devices, err := askBtrfs(fd, found)
		unix.Close(fd)
		if err == nil && devices != nil {
			found[id] = devices
		}
	}
	return found
}

// The structures, as offsets into their bytes.
const (
	btrfsFsInfoSize = 1024 // struct btrfs_ioctl_fs_info_args: max_id, num_devices, fsid[16]
	btrfsDevInfoLen = 4096 // struct btrfs_ioctl_dev_info_args: devid, uuid[16], bytes_used, total_bytes, fsid[16] or unused, ..., path[1024] at the end
	btrfsDevPathLen = 1024
	btrfsStatsLen   = 1032 // struct btrfs_ioctl_get_dev_stats: devid, nr_items, flags, values[5]
)

// askBtrfs asks the file system that fd is open on. It returns no devices for one
// that is already known, as one that is mounted twice is.
func askBtrfs(fd int, known map[string][]btrfsDev) (id string, devices []btrfsDev, err error) {
	var info [btrfsFsInfoSize]byte
	if err := btrfsIoctl(fd, 2, 31, info[:]); err != nil {
		return "", nil, err
	}
	highest, count := binary.NativeEndian.Uint64(info[0:]), binary.NativeEndian.Uint64(info[8:])
	id = dashed(info[16:32])
	if known[id] != nil {
		return id, nil, nil
	}
	for n := uint64(0); n <= min(highest, maxBtrfsDevice) && uint64(len(devices)) < count; n++ {
		var dev [btrfsDevInfoLen]byte
		binary.NativeEndian.PutUint64(dev[0:], n)
		switch err := btrfsIoctl(fd, 3, 30, dev[:]); {
		case errors.Is(err, unix.ENODEV):
			continue // the numbers have gaps
		case err != nil:
			return "", nil, err
		}
		file, _, _ := strings.Cut(string(dev[btrfsDevInfoLen-btrfsDevPathLen:]), "\x00")
		d := btrfsDev{name: path.Base(file), uuid: dashed(dev[8:24]), used: binary.NativeEndian.Uint64(dev[24:]), size: binary.NativeEndian.Uint64(dev[32:])}
		var stats [btrfsStatsLen]byte
		binary.NativeEndian.PutUint64(stats[0:], n)
		binary.NativeEndian.PutUint64(stats[8:], uint64(len(d.errors)))
		if err := btrfsIoctl(fd, 3, 52, stats[:]); err != nil {
			return "", nil, err
		}
		for i := range d.errors {
			d.errors[i] = binary.NativeEndian.Uint64(stats[24+8*i:])
		}
		devices = append(devices, d)
	}
	return id, devices, nil
}

// dashed writes a UUID as /sys/fs/btrfs does.
func dashed(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// btrfsIoctl calls number nr of Btrfs' own, which is of the magic 0x94. The
// direction is 2 to read and 3 to write and read (include/uapi/asm-generic/ioctl.h);
// some machines have other bits for it.
func btrfsIoctl(fd int, direction, nr uintptr, arg []byte) error {
	request := direction<<30 | uintptr(len(arg))<<16 | 0x94<<8 | nr
	switch runtime.GOARCH {
	case "ppc64", "ppc64le", "mips", "mipsle", "mips64", "mips64le":
		// Three bits: 1 is none, 2 read, 4 write.
		request = map[uintptr]uintptr{2: 2, 3: 6}[direction]<<29 | uintptr(len(arg))<<16 | 0x94<<8 | nr
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg[0]))); errno != 0 {
		return errno
	}
	return nil
}
