package hostfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// File is a file that is read again and again. Its descriptor stays open and
// each read is a pread from the beginning, for which procfs and sysfs make their
// text anew: a quarter of the cost of opening it each time. A file that vanished
// and came back (a device unplugged, a module reloaded) is opened again.
//
// A File is not safe for concurrent use. The zero File is not usable; see NewFile.
type File struct {
	path string
	fd   int
	buf  []byte
	line int // see Lines; 0 is not known
}

// NewFile makes a File of a path. It is opened by the first Read, so a file that
// is absent now and appears later is found.
func NewFile(path string) *File { return &File{path: path, fd: -1} }

// ProcFile is a held file of procfs.
func (f FS) ProcFile(name string) *File { return NewFile(f.ProcPath(name)) }

// SysFile is a held file of sysfs.
func (f FS) SysFile(name string) *File { return NewFile(f.SysPath(name)) }

// Lines says that no line of the file has more than most bytes, and returns the
// File. The kernel writes as many lines into one answer as a page holds, so an
// answer that leaves room for another line is the last, and the read that would
// say so is left out. That read is not for nothing: procfs begins anew and adds
// up its counters or walks its tables once more.
func (f *File) Lines(most int) *File {
	f.line = most
	return f
}

// Path is the file's path.
func (f *File) Path() string { return f.path }

// Read reads the whole file. The bytes are valid until the next Read or Close.
// The error names the file and wraps the errno; see Gone.
func (f *File) Read() ([]byte, error) {
	held := f.fd >= 0
	b, err := f.read()
	if held && stale(err) { // what the descriptor stood for is gone: is there a new one?
		f.Close()
		b, err = f.read()
	}
	if err != nil && stale(err) {
		f.Close()
	}
	return b, err
}

func (f *File) read() ([]byte, error) {
	if f.fd < 0 {
		fd, err := open(f.path)
		if err != nil {
			return nil, err
		}
		f.fd = fd
	}
	b, err := readAll(f.fd, f.path, f.buf, f.line)
	if err == nil {
		f.buf = b
	}
	return b, err
}

// Close gives the descriptor back. A later Read opens the file again.
func (f *File) Close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// stale tells of errors by which a held descriptor says that its object is gone.
func stale(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) ||
		errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENXIO)
}
