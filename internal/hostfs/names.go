package hostfs

import (
	"bytes"
	"encoding/binary"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Lister goes through the names of folders that hold many, as /proc does, without
// making strings of them. It is not safe for concurrent use, nor for a folder
// within a folder: take another one for that. The zero Lister is ready for use.
type Lister struct{ buf []byte }

// The layout of struct linux_dirent64, getdents64(2).
const (
	direntLength = 16 // offset of the record's length, 16 bits
	direntName   = 19 // offset of the name, which a NUL ends
)

// Each calls f with each name in a folder, in the folder's order, until f returns
// false. The bytes are valid during the call. The error names the folder.
func (l *Lister) Each(path string, f func(name []byte) bool) error {
	fd, err := open(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if l.buf == nil {
		l.buf = make([]byte, 1<<15)
	}
	for {
		n, err := unix.Getdents(fd, l.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "readdir", Path: path, Err: err}
		}
		if n == 0 {
			return nil
		}
		for b := l.buf[:n]; len(b) > direntName; {
			length := int(binary.NativeEndian.Uint16(b[direntLength:]))
			if length <= direntName || length > len(b) {
				return &fs.PathError{Op: "readdir", Path: path, Err: unix.EIO}
			}
			name, _, _ := bytes.Cut(b[direntName:length], []byte{0})
			b = b[length:]
			if string(name) != "." && string(name) != ".." && !f(name) {
				return nil
			}
		}
	}
}

// ReadInto is Read into a buffer, which it grows where it must: for the same
// file of many folders. The bytes are those of the buffer.
func ReadInto(path string, buf []byte) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return buf[:0], err
	}
	defer unix.Close(fd)
	b, err := readAll(fd, path, buf, 0)
	if err != nil {
		return buf[:0], err
	}
	return b, nil
}
