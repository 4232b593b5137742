package collectors

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

// promFile is a text file as it was read last. It is not changed afterwards.
type promFile struct {
	path     string
	stat     unix.Stat_t // taken before it was read
	sure     bool        // whether a change since would have altered stat
	over     bool        // whether it was left out because all files together are too large
	err      error       // why it cannot be used
	families map[string]*dto.MetricFamily
}

// settleTime is the time within which a file system may give two changes one
// stamp: a file that young is read again.
const settleTime = 2 * time.Second

// refresh reads the files that are new or changed, forgets those that are gone
// and tells whether there were any such.
func (t *textfile) refresh(paths []string) (changed bool) {
	known := make(map[string]*promFile, len(t.files))
	for _, f := range t.files {
		known[f.path] = f
	}
	changed = t.files == nil
	t.files = make([]*promFile, 0, len(paths))
	left := int64(maxTextfiles)
	for _, path := range paths {
		f := t.read(path, known[path], left)
		if f == nil {
			continue
		}
		changed = changed || f != known[path]
		delete(known, path)
		if !f.over {
			left -= f.stat.Size
		}
		t.files = append(t.files, f)
	}
	return changed || len(known) > 0
}

// read reads a file, or returns it as it is known if it did not change. It is nil
// if the file was removed since its folder was listed.
func (t *textfile) read(path string, known *promFile, left int64) *promFile {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
			return nil
		}
		f := &promFile{path: path, err: &fs.PathError{Op: "stat", Path: path, Err: err}} // such as a link to nothing
		if known != nil && known.err != nil && known.err.Error() == f.err.Error() {
			return known
		}
		return f
	}
	over := st.Size > left
	if known != nil && known.sure && known.over == over && sameFile(&known.stat, &st) {
		return known
	}
	f := &promFile{path: path, stat: st, over: over}
	f.sure = t.now().Sub(time.Unix(st.Ctim.Unix())) > settleTime
	if over {
		f.err = fmt.Errorf("all text files together are larger than %d MiB", maxTextfiles>>20)
		return f
	}
	b, err := hostfs.Read(path)
	if err == nil {
		f.families, err = parsePromFile(b)
	}
	f.err = err
	return f
}

// sameFile compares what a change alters. The time of change (ctime) cannot be
// set back as that of modification can.
func sameFile(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// maxTextLabels bounds the labels of a sample, whose number the parser's time
// grows with the square of: a line of 100 kB would take it five seconds.
const maxTextLabels = 128

// parsePromFile reads the text of a file. Timestamps are refused, as node_exporter
// refuses them: what is read at each scrape is a statement about now.
func parsePromFile(b []byte) (map[string]*dto.MetricFamily, error) {
	n := 0
	for line := range bytes.Lines(b) {
		if n++; bytes.Count(line, []byte("=")) > maxTextLabels && bytes.TrimLeft(line, " \t")[0] != '#' {
			return nil, fmt.Errorf("line %d: more than %d labels in %.100q", n, maxTextLabels, line)
		}
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for name, f := range families {
		if textfileFamilies[name] {
			return nil, fmt.Errorf("%s is what this collector says itself", name)
		}
		for _, m := range f.Metric {
			if m.TimestampMs != nil {
				return nil, fmt.Errorf("%s has a timestamp, %d; metrics in text files must not", name, *m.TimestampMs)
			}
			if m.Histogram != nil {
				m.Histogram.Bucket = distinct(m.Histogram.Bucket, (*dto.Bucket).GetUpperBound)
			}
			if m.Summary != nil {
				m.Summary.Quantile = distinct(m.Summary.Quantile, (*dto.Quantile).GetQuantile)
			}
		}
		fillLabels(f)
	}
	return families, nil
}

// distinct sorts the parts of a histogram or summary and keeps one of each bound.
func distinct[T any](parts []T, bound func(T) float64) []T {
	slices.SortStableFunc(parts, func(a, b T) int { return cmp.Compare(bound(a), bound(b)) })
	return slices.CompactFunc(parts, func(a, b T) bool { return bound(a) == bound(b) })
}

// fillLabels gives every metric of a family the same label names, as node_exporter
// does: where one is missing its value is empty, which means the same. It leaves a
// family alone that has absurdly many.
func fillLabels(f *dto.MetricFamily) {
	const most = 64
	var all []string
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if !slices.Contains(all, l.GetName()) {
				all = append(all, l.GetName())
			}
			if len(all) > most {
				return
			}
		}
	}
	for _, m := range f.Metric {
		if len(m.Label) == len(all) {
			continue
		}
		for _, name := range all {
			if !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name }) {
				m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: new("")})
			}
		}
	}
}
