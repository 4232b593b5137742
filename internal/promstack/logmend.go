package promstack

// Mending a log before it is read. The TSDB reads its log up to the first record that
// is damaged and removes all that comes after it, hours of samples; of a damaged
// checkpoint it makes an error that ends the start. Here what is damaged is cut out
// beforehand, where it lies, and the file as it was is set aside.
//
// The format (tsdb/docs/format/wal.md in Prometheus' sources): files of pages of 32 KiB;
// in each page fragments of records: one byte of type and compression, two of length,
// four of CRC-32C, the data; zeros up to the page's end. A record is one full fragment,
// or a first, some middle and a last one, and ends in the file it begins in.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

const (
	logPage   = 32 << 10
	logHeader = 7

	fragmentTerm   = 0
	fragmentFull   = 1
	fragmentFirst  = 2
	fragmentMiddle = 3
	fragmentLast   = 4

	fragmentTypes   = 1<<3 - 1
	fragmentUnknown = 0xe0 // bits of the first byte that mean nothing
	fragmentSnappy  = 1 << 3
	fragmentZstd    = 1 << 4
)

// unknownRecord is the first byte of a record that readers of the log pass over,
// since a later version might have written it.
const unknownRecord = 0xff

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logPatch is a stretch of a log file that is not to be read as it is.
type logPatch struct {
	offset int64
	length int
	filler bool // a record that means nothing; else zeros, to the end of the page
}

// scanLog finds what is damaged in a file of the log, and the first reason.
func scanLog(r io.Reader) (patches []logPatch, reason error, err error) {
	s := logScan{}
	page := make([]byte, logPage)
	for {
		n, err := io.ReadFull(r, page)
		if n > 0 {
			s.page(page[:n])
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if s.open != nil {
		s.cut(fmt.Errorf("at %d: a record without an end", s.open[0].offset))
	}
	return s.patches, s.reason, nil
}

// logScan is the state between two pages.
type logScan struct {
	at      int64      // offset of the page
	open    []logPatch // the fragments of a record that is not complete yet
	packed  byte       // how they are compressed
	patches []logPatch
	reason  error
}

// found notes the first reason.
func (s *logScan) found(reason error) {
	if s.reason == nil {
		s.reason = reason
	}
}

// cut gives up the record that is not complete.
func (s *logScan) cut(reason error) {
	s.found(reason)
	s.patches = append(s.patches, s.open...)
	s.open = nil
}

// rest gives up the rest of the page from i on, and with it the record it was part of.
func (s *logScan) rest(i int, reason error) {
	s.cut(reason)
	s.patches = append(s.patches, logPatch{offset: s.at + int64(i), length: logPage - i})
}

func (s *logScan) page(p []byte) {
	defer func() { s.at += logPage }()
	for i := 0; i < len(p); {
		head := p[i]
		if head == fragmentTerm {
			if j := slices.IndexFunc(p[i:], func(b byte) bool { return b != 0 }); j >= 0 {
				s.rest(i, fmt.Errorf("at %d: no zeros behind the last record of a page", s.at+int64(i+j)))
			} else if s.open != nil && len(p)-i >= logHeader {
				// A record that goes on in the next page fills this one, but for what is too
				// small for a fragment.
				s.cut(fmt.Errorf("at %d: zeros in a record", s.at+int64(i)))
			}
			return
		}
		kind, packed := head&fragmentTypes, head&(fragmentSnappy|fragmentZstd)
		switch {
		case kind == fragmentTerm || kind > fragmentLast || head&fragmentUnknown != 0:
			s.rest(i, fmt.Errorf("at %d: no record begins with %#x", s.at+int64(i), head))
			return
		case i+logHeader > len(p):
			s.rest(i, fmt.Errorf("at %d: a record without an end", s.at+int64(i)))
			return
		}
		length, sum := int(binary.BigEndian.Uint16(p[i+1:])), binary.BigEndian.Uint32(p[i+3:])
		if i+logHeader+length > len(p) {
			s.rest(i, fmt.Errorf("at %d: a record of %d bytes does not fit into its page", s.at+int64(i), length))
			return
		}
		part := logPatch{offset: s.at + int64(i), length: logHeader + length, filler: true}
		next := i + logHeader + length
		if got := crc32.Checksum(p[i+logHeader:next], castagnoli); got != sum {
			reason := fmt.Errorf("at %d: a record has the checksum %#x, not %#x", part.offset, got, sum)
			// Whether its length is right shows in what comes behind it.
			if !s.begins(p[next:]) {
				s.rest(i, reason)
				return
			}
			s.cut(reason)
			s.patches = append(s.patches, part)
			i = next
			continue
		}
		switch kind {
		case fragmentFull, fragmentFirst:
			if s.open != nil {
				s.cut(fmt.Errorf("at %d: a record begins before the one of %d ends", part.offset, s.open[0].offset))
			}
			if kind == fragmentFirst {
				s.open, s.packed = []logPatch{part}, packed
			}
		default:
			switch {
			case s.open == nil:
				s.found(fmt.Errorf("at %d: a part of a record without its beginning", part.offset))
				s.patches = append(s.patches, part)
			case kind == fragmentLast && packed == s.packed:
				s.open = nil
			default:
				s.open = append(s.open, part)
				if packed != s.packed {
					s.cut(fmt.Errorf("at %d: a record changes its compression", part.offset))
				}
			}
		}
		i = next
	}
}

// begins tells whether p, the rest of a page, begins as one may: with zeros to its
// end, with a sound fragment, or not at all.
func (s *logScan) begins(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if p[0] == fragmentTerm {
		return !slices.ContainsFunc(p, func(b byte) bool { return b != 0 })
	}
	if len(p) < logHeader {
		return false
	}
	length := int(binary.BigEndian.Uint16(p[1:]))
	return logHeader+length <= len(p) && crc32.Checksum(p[logHeader:logHeader+length], castagnoli) == binary.BigEndian.Uint32(p[3:])
}

// bytes are what takes the place of the stretch.
func (p logPatch) bytes() []byte {
	b := make([]byte, p.length)
	if !p.filler {
		return b
	}
	b[0] = fragmentFull
	data := b[logHeader:]
	if len(data) > 0 {
		data[0] = unknownRecord
	}
	binary.BigEndian.PutUint16(b[1:], uint16(len(data)))
	binary.BigEndian.PutUint32(b[3:], crc32.Checksum(data, castagnoli))
	return b
}

// mendFile cuts what is damaged out of one file of a log, and sets the file as it was
// aside.
func (a *aside) mendFile(kind, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	patches, reason, err := scanLog(f)
	if err != nil || reason == nil {
		return err
	}
	lost := 0
	for _, p := range patches {
		lost += p.length
	}
	reason = fmt.Errorf("%s: %w; cut out there: %d bytes in %d places", name, reason, lost, len(patches))
	// The name has a suffix that no reader of the folder takes for a file of the log.
	fresh := name + ".mended"
	if err := writePatched(fresh, f, patches); err != nil {
		os.Remove(fresh)
		return err
	}
	if err := a.link(kind, name, reason); err != nil {
		// No second names here: for a moment the file is not there at all.
		if err := a.move(kind, name, reason); err != nil {
			os.Remove(fresh)
			return err
		}
	}
	return os.Rename(fresh, name)
}

func writePatched(name string, from io.ReadSeeker, patches []logPatch) (err error) {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	to, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	for _, p := range patches {
		if _, err := to.WriteAt(p.bytes(), p.offset); err != nil {
			return err
		}
	}
	return to.Sync()
}

// logFiles are the numbered files of a folder, in order. A folder that is not there
// has none.
func logFiles(dir string) (numbers []int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && e.Type().IsRegular() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// mendFolder mends the files of a log from a number on. A number that is missing
// between two others would end the start: an empty file takes its place.
func (a *aside) mendFolder(kind, dir string, from int) error {
	numbers, err := logFiles(dir)
	if err != nil {
		return err
	}
	for i, n := range numbers {
		if i > 0 {
			for missing := numbers[i-1] + 1; missing < n; missing++ {
				name := wlog.SegmentName(dir, missing)
				a.log.Error("A file of the storage's log is missing; the others are read", "file", name)
				if err := os.WriteFile(name, nil, 0o666); err != nil {
					return err
				}
			}
		}
		if n < from {
			continue
		}
		if err := a.mendFile(kind, wlog.SegmentName(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// mendLogs mends all that the start is going to read of the logs of a data directory:
// the snapshot, the checkpoint, the log of samples and that of those out of order.
func (a *aside) mendLogs() error {
	from, err := a.checkSnapshot()
	if err != nil {
		return err
	}
	wal := filepath.Join(a.data, "wal")
	checkpoint, last, err := wlog.LastCheckpoint(wal)
	switch {
	case err == nil && last >= from: // else the start does not read it
		if err := a.mendFolder(asideCheckpoint, checkpoint, 0); err != nil {
			return err
		}
		from = last + 1
	case err != nil && !errors.Is(err, record.ErrNotFound) && !errors.Is(err, os.ErrNotExist):
		return err
	}
	return errors.Join(a.mendFolder(asideLog, wal, from), a.mendFolder(asideLog, filepath.Join(a.data, wlog.WblDirName), 0))
}

// checkSnapshot sets a snapshot of the memory aside that is damaged: the log has all
// that is in it. It returns the first file of the log that is read behind a sound one.
func (a *aside) checkSnapshot() (from int, err error) {
	for {
		dir, number, _, err := tsdb.LastChunkSnapshot(a.data)
		if errors.Is(err, record.ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		bad, err := damaged(dir)
		if err != nil {
			return 0, err
		}
		if bad == nil {
			return number, nil
		}
		if err := a.move(asideSnapshot, dir, bad); err != nil {
			return 0, err
		}
	}
}

// damaged says what is wrong with the files of a log in a folder.
func damaged(dir string) (reason, err error) {
	numbers, err := logFiles(dir)
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return fmt.Errorf("%s: is empty", dir), nil
	}
	for i, n := range numbers {
		name := wlog.SegmentName(dir, n)
		if n != i {
			return fmt.Errorf("%s: is missing", wlog.SegmentName(dir, i)), nil
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		_, reason, err := scanLog(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		if reason != nil {
			return fmt.Errorf("%s: %w", name, reason), nil
		}
	}
	return nil, nil
}

// removeMended removes what a start that was killed in the middle has left of mending.
func removeMended(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, "*.mended"))
	for _, name := range left {
		if _, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".mended")); err == nil {
			os.Remove(name)
		}
	}
}
