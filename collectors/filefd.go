package collectors

// Open files, from /proc/sys/fs/file-nr (kernel: Documentation/admin-guide/sysctl/fs.rst):
// file handles allocated, allocated but unused (0 since Linux 2.6), and the limit.
//
//	1024	0	1631329

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	filefdAllocated = expo.Gauge("node_filefd_allocated", "File handles that the kernel has allocated.")
	filefdMaximum   = expo.Gauge("node_filefd_maximum", "File handles that the kernel will allocate at most, fs.file-max.")
)

type filefd struct{ file *hostfs.File }

func newFilefd(c Config) (Collector, error) {
	return filefd{c.FS.ProcFile("sys/fs/file-nr").Lines(128)}, nil
}

// Collect implements Collector.
func (f filefd) Collect(_ context.Context, w *expo.Writer) error {
	b, err := f.file.Read()
	if err != nil {
		return absent(err)
	}
	nr, err := parseFileNr(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.file.Path(), err)
	}
	w.Uint(filefdAllocated, nr.allocated)
	w.Uint(filefdMaximum, nr.maximum)
	return nil
}

type fileNr struct{ allocated, maximum uint64 }

func parseFileNr(b []byte) (fileNr, error) {
	var n [3]uint64
	rest, field := b, []byte(nil)
	for i := range n {
		var err error
		field, rest = hostfs.NextField(rest)
		if n[i], err = hostfs.Uint(field); err != nil {
			return fileNr{}, fmt.Errorf("want three numbers in %.200q: %w", b, err)
		}
	}
	return fileNr{allocated: n[0], maximum: n[2]}, nil
}
