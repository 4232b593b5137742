package collectors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filesTold is what the collector says of each file.
func filesTold(t *testing.T, c *textfile) map[string]float64 {
	t.Helper()
	v := values(t, render(t, c))
	for series := range v {
		if family, _, _ := strings.Cut(series, "{"); !textfileFamilies[family] || family == textfileMtime.Name() {
			delete(v, series)
		}
	}
	return v
}

// Each file's fate is told apart: one bad file is seen as such, and the others as well.
func TestTextfileFiles(t *testing.T) {
	dir, c, _ := folder(t, map[string]string{
		"a.prom": "# TYPE good gauge\ngood{n=\"1\"} 1\ngood{n=\"2\"} 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
		"b.prom": "# TYPE good gauge\ngood{n=\"2\"} 2\ngood{n=\"1\"} 2\ngood{n=\"3\"} 2\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 2\nh_count 2\n",
		"c.prom": "no metrics here\n",
		"d.prom": "# TYPE twice gauge\ntwice{a=\"1\",b=\"2\"} 1\ntwice{b=\"2\",a=\"1\"} 2\nlast 1\n",
		"e.prom": "# TYPE good counter\ngood{n=\"1\"} 3\ngood{n=\"9\"} 3\n",
		"f.prom": "-> nowhere",
		"g.prom": "fine 1\n",
	})
	c.perFile = true
	c.folders = append(c.folders, filepath.Join(dir, "missing"))
	now := time.Now()
	c.now = func() time.Time { return now }
	for _, name := range []string{"a", "b", "c", "d", "e", "g"} {
		if err := os.Chtimes(filepath.Join(dir, name+".prom"), now, now.Add(-90*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	file := func(family, name string) string { return family + `{file="` + filepath.Join(dir, name) + `"}` }
	want := map[string]float64{
		"node_textfile_scrape_error":                1,
		file("node_textfile_file_error", "missing"): 1,
	}
	for _, f := range []struct {
		name              string
		error, duplicates float64
		age               bool
	}{
		{"a.prom", 0, 0, true}, {"b.prom", 1, 3, true}, {"c.prom", 1, 0, true}, {"d.prom", 1, 1, true},
		{"e.prom", 1, 1, true}, {"f.prom", 1, 0, false}, {"g.prom", 0, 0, true},
	} {
		want[file("node_textfile_file_error", f.name)] = f.error
		want[file("node_textfile_duplicate_series", f.name)] = f.duplicates
		if f.age {
			want[file("node_textfile_file_age_seconds", f.name)] = 90
		}
	}
	for range 2 { // the second time from memory
		got := filesTold(t, c)
		for series, v := range want {
			if g, ok := got[series]; !ok || g < v || g >= v+1 {
				t.Errorf("%s: %v (%v), want %v", series, g, ok, v)
			}
		}
		for series := range got {
			if _, ok := want[series]; !ok {
				t.Errorf("%s is more than wanted", series)
			}
		}
	}

	// Mended, all is well.
	c.folders = c.folders[:1]
	for _, name := range []string{"b", "c", "d", "e", "f"} {
		rename(t, dir, name+".prom", "mended{of=\""+name+"\"} 1\n")
	}
	for series, v := range filesTold(t, c) {
		if family, _, _ := strings.Cut(series, "{"); family != textfileAge.Name() && v != 0 {
			t.Errorf("mended: %s %v", series, v)
		}
	}
}

// Unless it is asked for, nothing is told but what node_exporter tells.
func TestTextfileFilesOff(t *testing.T) {
	_, c, _ := folder(t, map[string]string{"a.prom": "x 1\n", "b.prom": "x 1\n"})
	if got := filesTold(t, c); len(got) != 1 || got["node_textfile_scrape_error"] != 1 {
		t.Errorf("%v", got)
	}
}
