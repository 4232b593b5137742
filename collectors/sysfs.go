package collectors

// What the collectors of hardware share. A class of devices is a folder of sysfs
// with a folder for each device, and in that a file for each value (kernel:
// Documentation/filesystems/sysfs.rst). Which devices and files there are is
// listed once and again every minute; the values are read at each scrape through
// descriptors that stay open.

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// attribute is a file that the devices of a class may have, and the family that
// its number belongs to.
type attribute struct {
	file   string // below the device's folder
	family *expo.Family
	in     conversion
}

// conversion turns a number of the kernel's into ours: n * times / per. As floats are
// rounded, the one or the other is chosen as node_exporter does. Zero stands for 1.
type conversion struct{ times, per float64 }

func (c conversion) of(n float64) float64 {
	if c.times != 0 {
		n *= c.times
	}
	if c.per != 0 {
		n /= c.per
	}
	return n
}

// maxHeld bounds the descriptors that one collector keeps open; files beyond it
// are opened and closed at each scrape. A host with that many sensors exists.
const maxHeld = 1024

// attributes are the values of a class: for each attribute the devices that have it.
type attributes struct {
	table  []attribute
	values [][]*attributeValue // by place in the table
	all    []*attributeValue
}

type attributeValue struct {
	file   *hostfs.File
	held   bool
	labels []string

	n   float64 // what was read last
	ok  bool
	err error
}

// clear forgets all devices.
func (a *attributes) clear() {
	for _, v := range a.all {
		v.file.Close()
	}
	a.values, a.all = make([][]*attributeValue, len(a.table)), a.all[:0]
}

// add takes the values that the device in folder dir has. Their samples get these labels.
func (a *attributes) add(dir string, labels ...string) {
	for i, at := range a.table {
		a.addFile(i, dir+"/"+at.file, labels)
	}
}

// addFile takes one file, if it is there, for the attribute at place i.
func (a *attributes) addFile(i int, path string, labels []string) {
	if exists(path) {
		v := &attributeValue{file: hostfs.NewFile(path), held: len(a.all) < maxHeld, labels: labels}
		a.values[i] = append(a.values[i], v)
		a.all = append(a.all, v)
	}
}

// write reads the values of all devices and writes them, one family after
// another. A value that cannot be read is left out; gone tells that a device vanished.
func (a *attributes) write(w *expo.Writer, failed *failures) (gone bool) {
	a.read()
	for i, values := range a.values {
		at := a.table[i]
		for _, v := range values {
			switch {
			case hostfs.Gone(v.err):
				gone = true
			case v.err != nil:
				failed.add(v.err)
			case v.ok:
				w.Sample(at.family, at.in.of(v.n), v.labels...)
			}
		}
	}
	return gone
}

const (
	readPatience = 10 * time.Millisecond // how long one goroutine reads before others help
	readHelpers  = 32
)

// read reads all values, as a rule one after another. Some drivers let their
// readers wait (cpufreq 20 ms a file on kernels before 5.18), and waiting is what
// goroutines can do side by side.
func (a *attributes) read() {
	begun := time.Now()
	for i, v := range a.all {
		if time.Since(begun) > readPatience && len(a.all)-i > 1 {
			readTogether(a.all[i:])
			return
		}
		v.read()
	}
}

func readTogether(values []*attributeValue) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(readHelpers, len(values)) {
		done.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(values)); i = next.Add(1) - 1 {
				values[i].read()
			}
		})
	}
	done.Wait()
}

func (v *attributeValue) read() {
	v.n, v.ok, v.err = readNumber(v.file)
	if !v.held {
		v.file.Close()
	}
}

// readNumber reads a file of one number. ok is false where the driver has none
// to tell: it says so by an error number or an empty text.
func readNumber(f *hostfs.File) (n float64, ok bool, err error) {
	b, err := f.Read()
	if noValue(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if n, ok, err = parseNumber(b); err != nil {
		err = fmt.Errorf("%s: %w", f.Path(), err)
	}
	return n, ok, err
}

// noValue tells whether an error of a read is a driver's way to say that it has
// no value at the moment or never has one.
func noValue(err error) bool {
	return errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINVAL) ||
		errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ETIMEDOUT)
}

// parseNumber reads the text of a sysfs file: a whole number, decimal or 0x and
// hexadecimal. ok is false where the text says that there is none: it is empty,
// N/A as some network adapters write, or <unknown> as cpufreq does.
func parseNumber(b []byte) (n float64, ok bool, err error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] == '<' || bytes.HasPrefix(b, []byte("N/A")) {
		return 0, false, nil
	}
	if b[0] == '-' {
		i, err := hostfs.Int(b)
		return float64(i), err == nil, err
	}
	if hex, is := bytes.CutPrefix(b, []byte("0x")); is {
		u, err := strconv.ParseUint(string(hex), 16, 64)
		if err != nil {
			return 0, false, fmt.Errorf("%.40q is not a hexadecimal number", b)
		}
		return float64(u), true, nil
	}
	u, err := hostfs.Uint(b)
	return float64(u), err == nil, err
}

// failures gathers what went wrong with single devices: the first few, and how
// many more. The zero value has none.
type failures struct {
	first []error
	more  int
}

// maxFailures bounds the length of a message.
const maxFailures = 4

func (f *failures) add(err error) {
	if len(f.first) < maxFailures {
		f.first = append(f.first, err)
	} else {
		f.more++
	}
}

// err is nil if nothing went wrong.
func (f *failures) err() error {
	if f.more > 0 {
		return fmt.Errorf("%w\nand %d more", errors.Join(f.first...), f.more)
	}
	return errors.Join(f.first...)
}

const (
	listingAge   = time.Minute      // how long a listing is taken for true
	listingRetry = 10 * time.Second // and how long where it was seen not to be
)

// listing tells when what devices there are is to be listed.
type listing struct {
	now   func() time.Time
	last  time.Time // zero: never
	stale bool      // something listed is gone
}

// due tells whether to list now, and takes it that it is done.
func (l *listing) due() bool {
	now := l.now()
	age := now.Sub(l.last)
	if !l.last.IsZero() && age >= 0 && age < listingAge && !(l.stale && age >= listingRetry) {
		return false
	}
	l.last, l.stale = now, false
	return true
}

// deviceClass is a class of devices whose values are all attributes.
type deviceClass struct {
	listing
	attributes
	list   func() error // fills the attributes anew
	unlist error        // what the last listing said
}

func newDeviceClass(table []attribute) deviceClass {
	return deviceClass{listing: listing{now: time.Now}, attributes: attributes{table: table}}
}

// refresh lists the devices if that is due. The error is the last listing's.
func (c *deviceClass) refresh() error {
	if c.due() {
		c.clear()
		c.unlist = c.list()
	}
	return c.unlist
}

// write writes the values of the devices. Where one is gone, the next listing comes sooner.
func (c *deviceClass) write(w *expo.Writer, failed *failures) {
	if c.attributes.write(w, failed) {
		c.stale = true
	}
}

// textRow is what some files of one device say in words, read again at each
// scrape: the labels of an info family.
type textRow struct {
	device string
	dir    string
	files  []*hostfs.File // nil where the device has no such file
	texts  []string       // by file; "" where there is none
}

func newTextRow(class, device string, files []string) textRow {
	r := textRow{device: device, dir: class + "/" + device}
	for _, name := range files {
		var f *hostfs.File
		if exists(r.dir + "/" + name) {
			f = hostfs.NewFile(r.dir + "/" + name)
		}
		r.files = append(r.files, f)
		r.texts = append(r.texts, "")
	}
	return r
}

// read reads the texts anew. It returns false where the device is gone.
func (r *textRow) read(failed *failures) bool {
	for i, f := range r.files {
		if f == nil {
			continue
		}
		b, err := f.Read()
		switch {
		case noValue(err), errors.Is(err, unix.ENODEV): // a battery without its driver's answer
			b = nil
		case hostfs.Gone(err):
			if !exists(r.dir) {
				return false
			}
			b = nil
		case err != nil:
			failed.add(err)
			b = nil
		}
		if b = bytes.TrimSpace(b); string(b) != r.texts[i] {
			r.texts[i] = string(b)
		}
	}
	return true
}

func (r *textRow) close() {
	for _, f := range r.files {
		if f != nil {
			f.Close()
		}
	}
}
