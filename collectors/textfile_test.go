package collectors

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// folder makes a folder of files and a textfile collector for it, which logs to
// the buffer and to which every file is old.
func folder(t testing.TB, files map[string]string) (dir string, c *textfile, log *bytes.Buffer) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text, strings.HasSuffix(name, "/"))
	}
	c, log = textfileOf(t, dir)
	return dir, c, log
}

func textfileOf(t testing.TB, patterns ...string) (*textfile, *bytes.Buffer) {
	var log bytes.Buffer
	cfg := on(hostfs.Default)
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Textfile.Directories = patterns
	c := make1(t, "textfile", cfg).(*textfile)
	c.now = func() time.Time { return time.Now().Add(time.Hour) }
	return c, &log
}

var mtimeLine = regexp.MustCompile(`(?m)^(node_textfile_mtime_seconds\{.*\}) \d+$`)

// told is what the collector says, with its own folder as DIR and times as T.
func told(t testing.TB, c *textfile, dir string) string {
	t.Helper()
	text := strings.ReplaceAll(render(t, c), dir, "DIR")
	return mtimeLine.ReplaceAllString(text, "$1 T")
}

const (
	mtimeType = "# TYPE node_textfile_mtime_seconds gauge\n"
	fineLine  = "# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error 0\n"
	wrongLine = "# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error 1\n"
)

func mtimeOf(names ...string) string {
	s := mtimeType
	for _, n := range names {
		s += fmt.Sprintf("node_textfile_mtime_seconds{file=\"DIR/%s\"} T\n", n)
	}
	return s
}

func TestTextfile(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, fineLine},
		{"other files", map[string]string{"a.txt": "x 1", "b.prom.tmp": "y 2", "sub/c.prom": "z 3"}, fineLine},
		{"an empty file", map[string]string{"a.prom": "\n"}, mtimeOf("a.prom") + fineLine},
		{"two files", map[string]string{
			"b.prom": "# HELP up Is up.\n# TYPE up gauge\nup{of=\"b\"} 0\n",
			"a.prom": "# HELP up Is up.\n# TYPE up gauge\nup{of=\"a\"} 1\nplain 2.5\n",
		}, "# TYPE plain untyped\nplain 2.5\n# TYPE up gauge\nup{of=\"a\"} 1\nup{of=\"b\"} 0\n" + mtimeOf("a.prom", "b.prom") + fineLine},
		{"labels that not all have", map[string]string{"a.prom": "# TYPE n counter\nn{a=\"1\"} 1\nn{b=\"2\"} 2\nn 3\n"},
			"# TYPE n counter\nn{a=\"\",b=\"\"} 3\nn{a=\"\",b=\"2\"} 2\nn{a=\"1\",b=\"\"} 1\n" + mtimeOf("a.prom") + fineLine},
		{"histogram and summary", map[string]string{"a.prom": `# TYPE h histogram
h_bucket{le="2"} 3
h_bucket{le="1"} 2
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 4
h_sum 9.5
h_count 4
# TYPE s summary
s{quantile="0.5"} 1e-06
s_sum 8
s_count 3
`}, `# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="2"} 3
h_bucket{le="+Inf"} 4
h_sum 9.5
h_count 4
# TYPE s summary
s{quantile="0.5"} 1e-06
s_sum 8
s_count 3
` + mtimeOf("a.prom") + fineLine},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, c, _ := folder(t, tc.files)
			same(t, told(t, c, dir), tc.want)
			same(t, told(t, c, dir), tc.want) // the same again, from memory
		})
	}
}

func TestTextfileHelp(t *testing.T) {
	for _, tc := range []struct{ name, a, b, want string }{
		{"none", "n{f=\"a\"} 1\n", "n{f=\"b\"} 1\n", "# HELP n Metric read from DIR/a.prom, DIR/b.prom\n"},
		{"the first knows", "# HELP n Known.\nn{f=\"a\"} 1\n", "n{f=\"b\"} 1\n", "# HELP n Known.\n"},
		{"the second knows", "n{f=\"a\"} 1\n", "# HELP n Known.\nn{f=\"b\"} 1\n", "# HELP n Known.\n"},
	} {
		dir, c, _ := folder(t, map[string]string{"a.prom": tc.a, "b.prom": tc.b})
		var w expo.Writer
		if err := c.Collect(context.Background(), &w); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(w.Bytes()), dir, "DIR")
		if want := tc.want + "# TYPE n untyped\nn{f=\"a\"} 1\nn{f=\"b\"} 1\n"; !strings.HasPrefix(text, want) || !strings.Contains(text, "error 0\n") {
			t.Errorf("%s: got\n%s", tc.name, text)
		}
	}
}

// A file that cannot be used is named in the log, once, and costs the others nothing.
func TestTextfileOneBad(t *testing.T) {
	good := "# TYPE good gauge\ngood 1\n"
	for _, tc := range []struct {
		name, bad string
		log       string
		read      bool   // whether b.prom counts as read
		kept      string // what is kept of it
	}{
		{"not metrics", "what is this\n", "line 1", false, ""},
		{"half a file", "fine 1\n# TYPE bad gauge\nbad{a=\"", "line 3", false, ""},
		{"a timestamp", "fine 1\nbad 1 1441205977284\n", "bad has a timestamp, 1441205977284", false, ""},
		{"more labels than any", "fine 1\nbad{" + strings.Repeat("l=\"\",", 200) + "} 1\n", "line 2: more than 128 labels", false, ""},
		{"our own name", "node_textfile_scrape_error 5\n", "what this collector says itself", false, ""},
		{"a name of any characters", "{\"a.b\"} 1\n", "invalid metric name", false, ""},
		{"another type", "# TYPE good counter\ngood{b=\"\"} 2\nfine 1\n", "has type COUNTER but should have GAUGE", true, "# TYPE fine untyped\nfine 1\n"},
		{"another help", "# HELP good Other.\n# TYPE good gauge\ngood{b=\"x\"} 2\nfine 1\n", `has help \"Other.\" but should have`, true, "# TYPE fine untyped\nfine 1\n"},
		{"the same series", "# TYPE good gauge\ngood 2\ngood 3\nfine 1\n", "before with the same name and label values; and 1 more", true, "# TYPE fine untyped\nfine 1\n"},
		{"a part of a histogram", "good_h_count 3\nfine 1\n", "collides", true, "# TYPE fine untyped\nfine 1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := "# HELP good Good.\n" + good
			want := tc.kept + good
			if tc.log == "collides" {
				a += "# TYPE good_h histogram\ngood_h_bucket{le=\"+Inf\"} 1\ngood_h_sum 1\ngood_h_count 1\n"
				want += "# TYPE good_h histogram\ngood_h_bucket{le=\"+Inf\"} 1\ngood_h_sum 1\ngood_h_count 1\n"
			}
			dir, c, log := folder(t, map[string]string{"a.prom": a, "b.prom": tc.bad, "c.prom": "last 1\n"})
			names := []string{"a.prom", "c.prom"}
			if tc.read {
				names = []string{"a.prom", "b.prom", "c.prom"}
			}
			want += "# TYPE last untyped\nlast 1\n" + mtimeOf(names...) + wrongLine
			for range 3 {
				same(t, told(t, c, dir), want)
			}
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "b.prom") || !strings.Contains(log.String(), tc.log) {
				t.Errorf("the log says\n%s", log)
			}
			// Mended, it is read again and the log says so.
			rename(t, dir, "b.prom", "fine 1\n")
			if text := told(t, c, dir); !strings.Contains(text, "\nfine 1\n") && !strings.HasPrefix(text, "# TYPE fine untyped\nfine 1\n") || !strings.HasSuffix(text, fineLine) {
				t.Errorf("mended, it says\n%s", text)
			}
			if !strings.Contains(log.String(), "well again") {
				t.Errorf("the log says\n%s", log)
			}
		})
	}
}

// rename writes a file as its writers should.
func rename(t testing.TB, dir, name, text string) {
	t.Helper()
	write(t, filepath.Join(dir, name+".new"), text, false)
	if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// What is no file of text is refused and does not block.
func TestTextfileOddFiles(t *testing.T) {
	dir, c, log := folder(t, map[string]string{"dir.prom/": "", "link.prom": "-> nowhere", "good.prom": "good 1\n", "loop.prom": "-> loop.prom", "zero.prom": "-> /dev/zero"})
	if err := unix.Mkfifo(filepath.Join(dir, "fifo.prom"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := "# TYPE good untyped\ngood 1\n" + mtimeOf("good.prom") + wrongLine
	for range 2 {
		same(t, told(t, c, dir), want)
	}
	if n := strings.Count(log.String(), "\n"); n != 5 {
		t.Errorf("want 5 complaints, each once:\n%s", log)
	}
	if merged := c.refresh([]string{filepath.Join(dir, "dir.prom"), filepath.Join(dir, "fifo.prom"), filepath.Join(dir, "good.prom"), filepath.Join(dir, "link.prom"), filepath.Join(dir, "loop.prom"), filepath.Join(dir, "zero.prom")}); merged {
		t.Error("bad files that do not change count as changed")
	}
}

func TestTextfileTooLarge(t *testing.T) {
	dir, c, log := folder(t, map[string]string{"a.prom": "a 1\n", "b.prom": "", "c.prom": "c 1\n"})
	if err := os.Truncate(filepath.Join(dir, "b.prom"), maxTextfiles); err != nil { // a hole, which takes no space
		t.Fatal(err)
	}
	want := "# TYPE a untyped\na 1\n# TYPE c untyped\nc 1\n" + mtimeOf("a.prom", "c.prom") + wrongLine
	same(t, told(t, c, dir), want)
	same(t, told(t, c, dir), want)
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "8 MiB") {
		t.Errorf("the log says\n%s", log)
	}
	rename(t, dir, "b.prom", "b 1\n")
	if text := told(t, c, dir); !strings.Contains(text, "\nb 1\n") || !strings.HasSuffix(text, fineLine) {
		t.Errorf("made smaller, it says\n%s", text)
	}
}

func TestTextfileChanges(t *testing.T) {
	dir, c, _ := folder(t, map[string]string{"a.prom": "a 1\n", "b.prom": "b 1\n"})
	told(t, c, dir)
	kept := c.files[1]
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"nothing changes", func() {}, "# TYPE a untyped\na 1\n# TYPE b untyped\nb 1\n" + mtimeOf("a.prom", "b.prom")},
		{"renamed into place, same size", func() { rename(t, dir, "a.prom", "a 2\n") }, "# TYPE a untyped\na 2\n# TYPE b untyped\nb 1\n" + mtimeOf("a.prom", "b.prom")},
		{"written in place", func() { write(t, filepath.Join(dir, "a.prom"), "a 33\n", false) }, "# TYPE a untyped\na 33\n# TYPE b untyped\nb 1\n" + mtimeOf("a.prom", "b.prom")},
		{"added", func() { rename(t, dir, "0.prom", "z 4\n") }, "# TYPE a untyped\na 33\n# TYPE b untyped\nb 1\n# TYPE z untyped\nz 4\n" + mtimeOf("0.prom", "a.prom", "b.prom")},
		{"removed", func() { os.Remove(filepath.Join(dir, "a.prom")) }, "# TYPE b untyped\nb 1\n# TYPE z untyped\nz 4\n" + mtimeOf("0.prom", "b.prom")},
	} {
		step.do()
		if got, want := told(t, c, dir), step.want+fineLine; got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", step.name, got, want)
		}
	}
	if c.files[1] != kept {
		t.Error("b.prom, which never changed, was read again")
	}

	// A file so young that a change might keep its stamps is read again.
	c.now = time.Now
	rename(t, dir, "b.prom", "b 2\n")
	told(t, c, dir)
	young := c.files[1]
	told(t, c, dir)
	if c.files[1] == young {
		t.Error("b.prom, just written, was not read again")
	}

	// A file that is removed between being listed and being read is just not there.
	if c.refresh([]string{filepath.Join(dir, "gone.prom")}); len(c.files) != 0 {
		t.Errorf("files: %v", c.files[0])
	}
}

func TestTextfileFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x1/a.prom", "x2/a.prom", "y/a.prom"} {
		write(t, filepath.Join(dir, name), fmt.Sprintf("n{of=%q} 1\n", name), false)
	}
	c, _ := textfileOf(t, filepath.Join(dir, "y"), filepath.Join(dir, "x*"), filepath.Join(dir, "y")+"/", "")
	same(t, told(t, c, dir), `# TYPE n untyped
n{of="x1/a.prom"} 1
n{of="x2/a.prom"} 1
n{of="y/a.prom"} 1
`+mtimeOf("y/a.prom", "x1/a.prom", "x2/a.prom")+fineLine)

	c, log := textfileOf(t, filepath.Join(dir, "none"), filepath.Join(dir, "no*"), filepath.Join(dir, "y/a.prom"), filepath.Join(dir, "x1"))
	for range 2 {
		same(t, told(t, c, dir), "# TYPE n untyped\nn{of=\"x1/a.prom\"} 1\n"+mtimeOf("x1/a.prom")+wrongLine)
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("want 3 complaints:\n%s", log)
	}
	write(t, filepath.Join(dir, "none/b.prom"), "b 1\n", false)
	if text := told(t, c, dir); !strings.Contains(text, "\nn{of") || !strings.Contains(text, "b 1\n") {
		t.Errorf("the folder made, it says\n%s", text)
	}
}

// OpenMetrics has its own rules for counters; constant labels come in any format.
func TestTextfileFormats(t *testing.T) {
	_, c, _ := folder(t, map[string]string{"a.prom": "# HELP n_total A \"help\".\n# TYPE n_total counter\nn_total 5\n# TYPE odd counter\nodd{node=\"own\"} 1\n"})
	labels, err := expo.ConstLabels(map[string]string{"node": "n1", "cluster": "c"})
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[expo.Format]string{
		expo.Text: `# HELP n_total A "help".
# TYPE n_total counter
n_total{cluster="c",node="n1"} 5
# HELP odd Metric read from `,
		expo.OpenMetrics: `# HELP n A \"help\".
# TYPE n counter
n_total{cluster="c",node="n1"} 5.0
# HELP odd Metric read from `,
	} {
		var w expo.Writer
		w.SetConstLabels(labels)
		w.Reset(format)
		if err := c.Collect(context.Background(), &w); err != nil {
			t.Fatal(err)
		}
		text := string(w.Bytes())
		if !strings.HasPrefix(text, want) || !strings.Contains(text, "\nodd{node=\"own\",cluster=\"c\"} 1") || strings.Contains(text, "EOF") ||
			!strings.Contains(text, "\nnode_textfile_scrape_error{cluster=\"c\",node=\"n1\"} 0\n") {
			t.Errorf("%s: got\n%s", format, text)
		}
	}
}

// A name that another collector has gives way, wherever it stands.
func TestTextfileForeign(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.prom"), "node_load1 7\nmine 1\nnode_scrape_collector_success{collector=\"x\"} 1\n", false)
	cfg := on(tree(t, map[string]string{"proc/loadavg": "0.21 0.37 0.39 1/719 19737\n"}))
	cfg.Textfile.Directories = []string{dir}
	set, err := NewSet(cfg, []string{"loadavg", "textfile"}, expo.Labels{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := set.Scrape(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Release()
	var text []byte
	for b := range res.Segments {
		text = append(text, b...)
	}
	v := values(t, string(text))
	if len(readFamilies(t, text)["node_scrape_collector_success"].series) != 2 {
		t.Error("the scrape's own family is not as it was")
	}
	if v["node_load1"] != 0.21 || v["mine"] != 1 || v[`node_scrape_collector_success{collector="textfile"}`] != 0 {
		t.Errorf("says\n%s", text)
	}
}

func BenchmarkTextfile(b *testing.B) {
	files := make(map[string]string)
	for i := range 10 {
		var text strings.Builder
		for j := range 50 {
			fmt.Fprintf(&text, "# HELP m%d_%d A metric.\n# TYPE m%d_%d gauge\nm%d_%d{device=\"sda\"} %d\n", i, j, i, j, i, j, j)
		}
		files[fmt.Sprintf("%d.prom", i)] = text.String()
	}
	_, c, _ := folder(b, files)
	benchmarkCollect(b, c)
}

// Whatever is accepted can be read back, in either format.
func FuzzTextfile(f *testing.F) {
	for _, s := range []string{
		"# HELP up Is up.\n# TYPE up gauge\nup{of=\"b\\\\\\\"\\n\"} 0\n", "n{a=\"1\"} 1\nn{b=\"2\"} 2\nn 3\n", "a 1 5\n", "{\"a.b\"} 1\n",
		"# TYPE h histogram\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"1\"} 2.5\nh_count 4\n# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 8\n",
		"x NaN\ny -Inf\nz 0x1p-2\n", "# TYPE x counter\nx_total 1\nx 1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		families, err := parsePromFile(b)
		if err != nil {
			return
		}
		merged, _ := mergeTextfiles([]*promFile{{path: "a.prom", families: families}})
		for _, format := range []expo.Format{expo.Text, expo.OpenMetrics} {
			text, err := renderFamilies(merged, format)
			if err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			var w expo.Writer
			w.Reset(format)
			if err := w.AppendLabelled(text); err != nil {
				t.Fatalf("%q: %s %q: %v", b, format, text, err)
			}
			if err := parseAsPrometheus(text, format); err != nil {
				t.Fatalf("%q: %s %q: %v", b, format, text, err)
			}
			if format == expo.Text {
				again, err := parsePromFile(text)
				if err != nil || len(again) != len(merged) {
					t.Fatalf("%q: said %q: %d families of %d, %v", b, text, len(again), len(merged), err)
				}
			}
		}
	})
}

// parseAsPrometheus reads text as a scrape does.
func parseAsPrometheus(text []byte, format expo.Format) error {
	if format == expo.OpenMetrics {
		text = append(slices.Clone(text), expo.EOF...)
	}
	p, err := textparse.New(text, format.ContentType(), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for err == nil {
		_, err = p.Next()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// A file that cannot be used fails nothing, but `check` tells of it.
func TestTextfileCheck(t *testing.T) {
	fs := tree(t, map[string]string{"text/good.prom": "a 1\n", "text/bad.prom": "b one\n"})
	cfg := on(fs)
	cfg.Textfile.Directories = []string{fs.RootPath("text"), fs.RootPath("absent")}
	s, err := NewSet(cfg, []string{"textfile"}, expo.Labels{})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Check(t.Context(), time.Minute)[0]
	if r.Series < 2 || r.Err == nil || !strings.Contains(r.Err.Error(), fs.RootPath("text/bad.prom")) || !strings.Contains(r.Err.Error(), fs.RootPath("absent")) {
		t.Errorf("%+v", r)
	}
}
