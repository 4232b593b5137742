package collectors

// What becomes of each text file, for those who look after the scripts that write
// them: told only when asked for, as node_exporter has nothing of it.

import (
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"watchpost/internal/expo"
)

var (
	textfileFileError  = expo.Gauge("node_textfile_file_error", "Whether a text file, or a folder of them, could not be used in full: 1, or 0. The log says why.", "file")
	textfileDuplicates = expo.Gauge("node_textfile_duplicate_series", "How many series of a text file are left out because an earlier file, or the same, has them.", "file")
	textfileAge        = expo.Gauge("node_textfile_file_age_seconds", "Time since a text file was last changed, also of one that could not be used.", "file")
)

// textfileFamilies are the names that this collector keeps for itself.
var textfileFamilies = map[string]bool{
	textfileMtime.Name(): true, textfileError.Name(): true,
	textfileFileError.Name(): true, textfileDuplicates.Name(): true, textfileAge.Name(): true,
}

// writeFiles tells of each file, and of the folders that could not be listed.
func (t *textfile) writeFiles(w *expo.Writer, failures []textFailure) {
	failed := make(map[string]bool, len(failures))
	for _, f := range failures {
		failed[f.path] = true
	}
	for _, f := range t.files {
		var problem uint64
		if failed[f.path] {
			problem = 1
			delete(failed, f.path)
		}
		w.Uint(textfileFileError, problem, f.path)
	}
	for _, f := range failures {
		if failed[f.path] { // a folder
			delete(failed, f.path)
			w.Uint(textfileFileError, 1, f.path)
		}
	}
	for _, f := range t.files {
		w.Uint(textfileDuplicates, uint64(t.duplicates[f.path]), f.path)
	}
	now := t.now()
	for _, f := range t.files {
		if f.stat.Ino != 0 { // else it could not even be asked
			w.Sample(textfileAge, now.Sub(time.Unix(f.stat.Mtim.Unix())).Seconds(), f.path)
		}
	}
}

// duplicateSeries counts in each file the series that are left out of merged,
// which were put together of all files, though merged has a series of their name
// and labels.
func duplicateSeries(files []*promFile, merged []*dto.MetricFamily) map[string]int {
	kept := make(map[*dto.Metric]bool)
	byName := make(map[string]*dto.MetricFamily)
	for _, family := range merged {
		byName[family.GetName()] = family
		for _, m := range family.Metric {
			kept[m] = true
		}
	}
	known := make(map[string]map[string]bool) // by family: the labels of what is kept
	count := make(map[string]int)
	for _, f := range files {
		for name, family := range f.families {
			for _, m := range family.Metric {
				if kept[m] || byName[name] == nil {
					continue
				}
				if known[name] == nil {
					known[name] = make(map[string]bool)
					for _, k := range byName[name].Metric {
						known[name][labelKey(k)] = true
					}
				}
				if known[name][labelKey(m)] {
					count[f.path]++
				}
			}
		}
	}
	return count
}

// labelKey tells the labels of one metric from those of another of its family.
func labelKey(m *dto.Metric) string {
	pairs := make([]string, len(m.Label))
	for i, l := range m.Label {
		pairs[i] = l.GetName() + "=" + strconv.Quote(l.GetValue())
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}
