package collectors

// Metrics that others leave in files NAME.prom, in text format 0.0.4, for what no
// collector knows: the age of a backup, the state of a RAID controller. A writer
// makes the file under another name and renames it, so that no half is read.
//
// A file that cannot be used costs nothing else: it is logged once, its metrics
// are left out and node_textfile_scrape_error is 1. Reading one file is in
// textfile_read.go, putting them together in textfile_merge.go, telling of each one
// in textfile_files.go.

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	textfileMtime = expo.Gauge("node_textfile_mtime_seconds", "When a text file was last changed, in seconds since 1970; only of those that could be read.", "file")
	textfileError = expo.Gauge("node_textfile_scrape_error", "Whether a text file, a folder of them or a metric in them could not be used: 1, or 0.")
)

// TextfileConfig configures the textfile collector.
type TextfileConfig struct {
	Directories []string // folders of *.prom files, or patterns (path.Match) of such folders
	FileMetrics bool     // also what became of each file
}

// maxTextfiles bounds what is read of all files together, in bytes: some 80,000
// series, whose parts take ten times the memory of the text.
const maxTextfiles = 8 << 20

type textfile struct {
	folders []string
	perFile bool
	log     *slog.Logger
	now     func() time.Time

	files    []*promFile         // those that are there, in the order in which they count
	families []*dto.MetricFamily // of all files
	refused  []textFailure       // what could not be put together
	text     [2][]byte           // families, by expo.Format; nil: not rendered yet
	failed   []textFailure       // by the last Collect
	said     map[string]string   // failures that were logged, by path

	duplicates map[string]int // by path: series left out; only with perFile
}

// textFailure is a file, or a folder of files, that could not be used in full.
type textFailure struct {
	path string
	err  error
}

func newTextfile(c Config) (Collector, error) {
	return &textfile{folders: c.Textfile.Directories, perFile: c.Textfile.FileMetrics, log: c.Log, now: time.Now}, nil
}

// foreign says that others chose the names of these families.
func (t *textfile) foreign() {}

// Collect implements Collector.
func (t *textfile) Collect(_ context.Context, w *expo.Writer) error {
	paths, failures := t.list()
	if t.refresh(paths) {
		t.families, t.refused = mergeTextfiles(t.files)
		t.text = [2][]byte{}
		if t.perFile {
			t.duplicates = duplicateSeries(t.files, t.families)
		}
	}
	if t.text[w.Format()] == nil {
		var err error
		if t.text[w.Format()], err = renderFamilies(t.families, w.Format()); err != nil {
			return err
		}
	}
	if err := w.AppendLabelled(t.text[w.Format()]); err != nil {
		return err
	}
	for _, f := range t.files {
		if f.err != nil {
			failures = append(failures, textFailure{f.path, f.err})
			continue
		}
		w.Sample(textfileMtime, float64(f.stat.Mtim.Sec), f.path)
	}
	failures = append(failures, t.refused...)
	t.say(failures)
	t.failed = failures
	failed := 0.0
	if len(failures) > 0 {
		failed = 1
	}
	w.Sample(textfileError, failed)
	if t.perFile {
		t.writeFiles(w, failures)
	}
	return nil
}

// trouble implements troubled.
func (t *textfile) trouble() error {
	var all failures
	for _, f := range t.failed {
		err := f.err
		if !strings.Contains(err.Error(), f.path) {
			err = fmt.Errorf("%s: %w", f.path, err)
		}
		all.add(err)
	}
	return all.err()
}

// list finds the files: of each folder in turn, by name.
func (t *textfile) list() (paths []string, failures []textFailure) {
	var folders []string
	for _, pattern := range t.folders {
		if pattern == "" { // how node_exporter's flag says that there is none
			continue
		}
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 { // no pattern, or one that nothing matches: the error will tell
			found = []string{pattern}
		}
		for _, folder := range found {
			if folder = filepath.Clean(folder); !slices.Contains(folders, folder) {
				folders = append(folders, folder)
			}
		}
	}
	for _, folder := range folders {
		names, err := hostfs.ReadDirNames(folder)
		if err != nil {
			failures = append(failures, textFailure{folder, err})
			continue
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".prom") {
				paths = append(paths, filepath.Join(folder, name))
			}
		}
	}
	return paths, failures
}

// say logs failures when they are new and when they are over.
func (t *textfile) say(failures []textFailure) {
	if len(failures) == 0 && len(t.said) == 0 {
		return
	}
	now := make(map[string]string)
	for _, f := range failures {
		now[f.path] = f.err.Error()
		if t.said[f.path] != now[f.path] {
			t.log.Warn("Text file cannot be used", "path", f.path, "err", f.err)
		}
	}
	for path := range t.said {
		if _, still := now[path]; !still {
			t.log.Info("Text file is well again, or gone", "path", path)
		}
	}
	t.said = now
}
