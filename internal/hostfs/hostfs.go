// Package hostfs is the host as seen from where its file systems are mounted:
// / on the host itself, /host/... in a container, a folder in a test. It is the
// only package that knows mount points.
package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// MaxFile is the largest file that is read, in bytes. The largest that a kernel
// makes (smaps, slabinfo, mountinfo of thousands of mounts) stay far below it.
const MaxFile = 16 << 20

// ErrTooLarge is a file of more than MaxFile bytes.
var ErrTooLarge = errors.New("larger than the 16 MiB that are read of one file")

// FS is a host. It is a value: where its parts are mounted.
type FS struct {
	Proc string // procfs, /proc
	Sys  string // sysfs, /sys
	Root string // the root file system, /
	Udev string // udev's database, /run/udev/data
}

// Default is the host that this process runs on.
var Default = FS{Proc: "/proc", Sys: "/sys", Root: "/", Udev: "/run/udev/data"}

// ProcPath, SysPath, RootPath and UdevPath are the paths to open for a name below
// the respective mount point.
func (f FS) ProcPath(name string) string { return filepath.Join(f.Proc, name) }

// SysPath is described at ProcPath.
func (f FS) SysPath(name string) string { return filepath.Join(f.Sys, name) }

// RootPath is described at ProcPath.
func (f FS) RootPath(name string) string { return filepath.Join(f.Root, name) }

// UdevPath is described at ProcPath.
func (f FS) UdevPath(name string) string { return filepath.Join(f.Udev, name) }

// StripRoot turns a path as this process sees it (/host/root/var) into the
// host's own (/var); a path that is not below Root is returned as it is.
func (f FS) StripRoot(path string) string {
	root := strings.TrimRight(f.Root, "/")
	if root == "" {
		return path
	}
	rest, ok := strings.CutPrefix(path, root)
	if !ok || rest != "" && rest[0] != '/' {
		return path
	}
	if rest == "" {
		return "/"
	}
	return rest
}

// Live tells whether both procfs and sysfs are a running kernel's, not captured
// files: then what the kernel says by other means (netlink, system calls) is of
// the same host.
func (f FS) Live() bool {
	return isFS(f.Proc, unix.PROC_SUPER_MAGIC) && isFS(f.Sys, unix.SYSFS_MAGIC)
}

func isFS(path string, magic int64) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == magic
}

// ReadProc reads a file of procfs whole. For what is read at every scrape, hold
// a File instead.
func (f FS) ReadProc(name string) ([]byte, error) { return Read(f.ProcPath(name)) }

// ReadSys reads a file of sysfs whole, without white space at its end.
func (f FS) ReadSys(name string) (string, error) { return ReadTrimmed(f.SysPath(name)) }

// ReadTrimmed reads a file of one value, without white space around it.
func ReadTrimmed(path string) (string, error) {
	b, err := Read(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// Read reads a file whole, up to MaxFile bytes. It uses plain system calls: for
// kernel files os.File adds a registration with the poller that cannot work.
// The error names the file and wraps the errno.
func Read(path string) ([]byte, error) { return readOnce(path, 0) }

// ReadNumber is Read of a file that holds a number or two and no more: it saves
// the read that would say so.
func ReadNumber(path string) ([]byte, error) { return readOnce(path, 64) }

func readOnce(path string, line int) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readAll(fd, path, make([]byte, 0, 512), line)
}

// open opens a file. O_NONBLOCK: a FIFO put where a file is expected must not block.
func open(path string) (int, error) { return openWith(path, unix.O_NONBLOCK) }

func openWith(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// seqPage is the least that the kernel reserves for the text of one read of a
// seq_file (Documentation/filesystems/seq_file.rst): a page.
const seqPage = 4096

// readAll reads the whole file from its beginning into buf, which it grows. With
// a line of more than 0 bytes, see File.Lines.
func readAll(fd int, path string, buf []byte, line int) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) > MaxFile {
			return nil, &fs.PathError{Op: "read", Path: path, Err: ErrTooLarge}
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, max(4096, cap(buf)))
		}
		room := cap(buf) - len(buf)
		n, err := unix.Pread(fd, buf[len(buf):cap(buf)], int64(len(buf)))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return buf, nil
		}
		buf = buf[:len(buf)+n]
		if line > 0 && n+line <= min(room, seqPage) {
			return buf, nil // another line would have been there too
		}
	}
}

// Gone tells whether err means that the thing read does not exist (any more):
// a file that is absent, a process that ended, a device that was removed.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOTDIR)
}

// ReadDirNames are the names in a folder, sorted. At most 65,536 are returned;
// a folder with more is an error. It uses plain system calls, as Read does.
func ReadDirNames(path string) ([]string, error) {
	fd, err := openWith(path, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	const most = 1 << 16
	var names []string
	for buf := make([]byte, 4096); len(names) < most; {
		n, err := unix.ReadDirent(fd, buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "readdirent", Path: path, Err: err}
		case n == 0:
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], most-len(names), names)
	}
	return nil, fmt.Errorf("%s: more than %d entries", path, most-1)
}
