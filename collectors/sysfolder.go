package collectors

// What the collectors of storage share: a device is a folder of sysfs and each
// thing known of it a file in there (kernel: Documentation/filesystems/sysfs.rst).
// Drivers differ in which files they make; what is not there is not told.

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// sysFolder reads the files of one device.
type sysFolder struct {
	path    string
	missing bool  // a file was not there
	err     error // the first other thing that went wrong
}

// read is the text of a file without the white space around it; nil where there
// is no such file or the driver has nothing to say in it.
func (f *sysFolder) read(name string) []byte {
	b, err := hostfs.Read(f.path + "/" + name)
	switch {
	case err == nil:
		return bytes.TrimSpace(b)
	case hostfs.Gone(err):
		f.missing = true
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODATA),
		errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EBUSY):
	case f.err == nil:
		f.err = err
	}
	return nil
}

// text is what a file says, "" where it says nothing.
func (f *sysFolder) text(name string) string { return string(f.read(name)) }

// number is the number in a file, decimal or 0x and hexadecimal, or NaN where
// there is none.
func (f *sysFolder) number(name string) float64 {
	b := f.read(name)
	if len(b) == 0 {
		return math.NaN()
	}
	n, err := parseSysUint(b)
	if err != nil {
		f.fail(name, err)
		return math.NaN()
	}
	return float64(n)
}

// fail keeps what is wrong with the text of a file.
func (f *sysFolder) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s/%s: %w", f.path, name, err)
	}
}

// there tells whether the device still is, if anything made that doubtful.
func (f *sysFolder) there() bool {
	return !f.missing || unix.Faccessat(unix.AT_FDCWD, f.path, unix.F_OK, 0) == nil
}

// parseSysUint reads the number of a sysfs file.
func parseSysUint(b []byte) (uint64, error) {
	hex, ok := bytes.CutPrefix(b, []byte("0x"))
	if !ok {
		return hostfs.Uint(b)
	}
	n, err := strconv.ParseUint(string(hex), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a hexadecimal number", b)
	}
	return n, nil
}

// tell writes a sample, unless the device does not tell that number.
func tell(w *expo.Writer, f *expo.Family, v float64, labels ...string) {
	if !math.IsNaN(v) {
		w.Sample(f, v, labels...)
	}
}

// numbered tells whether name is the prefix and a number after it: nvme0, st1.
func numbered(name, prefix string) bool {
	n, ok := strings.CutPrefix(name, prefix)
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// faults gathers what went wrong with single devices, to be told after the others
// are written: the first few, and how many more.
type faults struct {
	first []error
	more  int
}

const maxFaults = 4

// add takes an error, unless it is none or says that the device is merely gone.
func (f *faults) add(err error) {
	switch {
	case err == nil || hostfs.Gone(err):
	case len(f.first) < maxFaults:
		f.first = append(f.first, err)
	default:
		f.more++
	}
}

// err is nil if nothing went wrong.
func (f *faults) err() error {
	if f.more > 0 {
		return fmt.Errorf("%w\nand %d more", errors.Join(f.first...), f.more)
	}
	return errors.Join(f.first...)
}

// briefError is an error of a library that quotes a file whole.
type briefError struct{ err error }

// brief bounds what an error says.
func brief(err error) error { return briefError{err} }

func (e briefError) Error() string { return fmt.Sprintf("%.300s", e.err.Error()) }

func (e briefError) Unwrap() error { return e.err }
