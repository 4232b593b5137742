package collectors

// The mounts of a mount namespace, from mountinfo (kernel:
// Documentation/filesystems/proc.rst, section 3.5):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//	(1)(2)(3)   (4)   (5)      (6)      (7)   (8) (9)   (10)         (11)
//
// (1) mount, (2) the one that it is mounted in, (3) device, (4) the folder of the
// file system that is mounted, (5) where, (6) the mount's options, (7) any number
// of further fields, (8) a hyphen, (9) type, (10) source, (11) the file system's
// options. Blanks, tabs, newlines and backslashes are written as \ and three octal
// digits.

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

// mount is a line of mountinfo and, after it was asked, what statfs said.
type mount struct {
	id, parent     uint64
	major, minor   string
	root           string // of the file system, what is mounted
	point          string // where, as the host sees it
	path           string // where, as this process sees it
	fstype, source string
	readonly       bool
	covered        bool // by another mount in the same place
	prompt         bool // statfs of it cannot hang
	hidden         bool // another stands for it: see hideTwins

	job     *statJob // by which it is asked, unless prompt
	place   int      // in the job's paths
	stat    unix.Statfs_t
	problem string // why it could not be asked
}

// promptTypes are file systems whose statfs answers from memory, whatever becomes
// of their device. All that may ask somebody else are missing: networks, FUSE,
// overlay (which asks what it lies on) and types not known here.
var promptTypes = map[string]bool{
	"bcachefs": true, "btrfs": true, "exfat": true, "ext2": true, "ext3": true, "ext4": true, "f2fs": true,
	"hfs": true, "hfsplus": true, "iso9660": true, "jfs": true, "msdos": true, "nilfs2": true, "ntfs3": true,
	"reiserfs": true, "squashfs": true, "erofs": true, "udf": true, "vfat": true, "xfs": true,

	"devtmpfs": true, "hugetlbfs": true, "ramfs": true, "rootfs": true, "tmpfs": true,

	"binfmt_misc": true, "bpf": true, "cgroup": true, "cgroup2": true, "configfs": true, "debugfs": true,
	"devpts": true, "efivarfs": true, "fusectl": true, "mqueue": true, "nsfs": true, "proc": true, "pstore": true,
	"rpc_pipefs": true, "securityfs": true, "selinuxfs": true, "sysfs": true, "tracefs": true,
}

// parseMountinfo reads mountinfo. It also tells which mounts are covered and which
// are prompt.
func parseMountinfo(b []byte) ([]*mount, error) {
	var mounts []*mount
	byID := make(map[uint64]*mount)
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if len(line) == 0 {
			continue
		}
		m, err := parseMount(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %.200q: %w", line, err)
		}
		mounts = append(mounts, m)
		byID[m.id] = m
	}
	for _, m := range mounts {
		if under := byID[m.parent]; under != nil && under != m && under.point == m.point {
			under.covered = true
		}
		// The way to a mount leads through those that it is mounted in.
		m.prompt = true
		for at, steps := m, 0; at != nil && m.prompt; at, steps = byID[at.parent], steps+1 {
			m.prompt = promptTypes[at.fstype] && steps <= len(mounts)
			if at.parent == at.id {
				break
			}
		}
	}
	return mounts, nil
}

var errMountFields = errors.New("too few fields")

func parseMount(line string) (*mount, error) {
	f := strings.Split(line, " ") // a source can be empty
	hyphen := slices.Index(f, "-")
	if hyphen < 6 || len(f) < hyphen+4 {
		return nil, errMountFields
	}
	m := &mount{
		root: unescapeMount(f[3]), point: unescapeMount(f[4]),
		fstype: unescapeMount(f[hyphen+1]), source: unescapeMount(f[hyphen+2]),
		readonly: option(f[5], "ro") || option(f[hyphen+3], "ro") || option(f[hyphen+3], "emergency_ro"),
	}
	var err error
	if m.id, err = strconv.ParseUint(f[0], 10, 64); err != nil {
		return nil, fmt.Errorf("mount number: %w", err)
	}
	if m.parent, err = strconv.ParseUint(f[1], 10, 64); err != nil {
		return nil, fmt.Errorf("parent's number: %w", err)
	}
	var found bool
	if m.major, m.minor, found = strings.Cut(f[2], ":"); !found || !digits(m.major) || !digits(m.minor) {
		return nil, fmt.Errorf("device number %.200q", f[2])
	}
	return m, nil
}

// option tells whether a list of options has one.
func option(list, name string) bool {
	for o := range strings.SplitSeq(list, ",") {
		if o == name {
			return true
		}
	}
	return false
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// unescapeMount turns \ooo into what it stands for.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b = append(b, byte(v))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
