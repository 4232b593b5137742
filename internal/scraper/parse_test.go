package scraper

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// ours is a fresh reader.
func ours(text string, f format) *reader {
	r := &reader{scratch: labels.NewScratchBuilder(16), copies: copiesLabels()}
	r.reset([]byte(text), f)
	return r
}

// theirs is Prometheus' parser alone, in our clothes.
func theirs(text string, f format) *reader {
	r := &reader{}
	if f == openMetrics {
		r.lib = textparse.NewOpenMetricsParser([]byte(text), nil)
	} else {
		r.lib = textparse.NewPromParser([]byte(text), nil, false)
	}
	return r
}

// entries writes what a reader reads, an entry a line, up to the end or an error.
func entries(r *reader) []string {
	var all []string
	var l labels.Labels
	for {
		e, err := r.next()
		if err != nil {
			return append(all, "error "+err.Error())
		}
		switch e {
		case textparse.EntryType:
			name, t := r.kind()
			all = append(all, fmt.Sprintf("type %q %q", name, t))
		case textparse.EntryHelp:
			name, text := r.help()
			all = append(all, fmt.Sprintf("help %q %q", name, text))
		case textparse.EntryUnit:
			name, text := r.unit()
			all = append(all, fmt.Sprintf("unit %q %q", name, text))
		case textparse.EntrySeries:
			series, t, hasT, v := r.sampleLine()
			if !hasT {
				t = 0
			}
			r.labels(&l)
			all = append(all, fmt.Sprintf("sample %q %s %x %v %d", series, l.String(), math.Float64bits(v), hasT, t))
		case textparse.EntryComment:
		default:
			return append(all, fmt.Sprint("entry ", e))
		}
	}
}

func compare(t *testing.T, text string, f format) {
	t.Helper()
	got, want := entries(ours(text, f)), entries(theirs(text, f))
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("format %d, entry %d of %q:\n ours   %s\n theirs %s", f, i, text, g, w)
		}
	}
}

// texts are lines of both formats, ordinary, odd and wrong.
var texts = []string{
	"a 1\n", "a 1", "a 1\n\n\nb 2\n", "", "\n", " \n", "a\n", "a \n", "a 1 \n", "a 1\t\n", "a\t1\n", "a  1\n", " a 1\n", "a 1\r\n",
	"# HELP a text\n# TYPE a counter\na 1\n", "# HELP a \n", "# HELP a\n", "# HELP a  b \n", "# HELP a b\\\\c\\nd\\\"e\\x\n", "#HELP a b\n", "#  HELP a b\n", "#\tTYPE a gauge\n",
	"# HELPER a b\n", "# TYPE a gauge \n", "# TYPE a\n", "# TYPE a strange\na 1\n", "# TYPE a untyped\na 1\n", "# TYPE a unknown\na 1\n# EOF\n", "# TYPE a info\n", "# TYPE a stateset\n# EOF",
	"# TYPE a gaugehistogram\na 1\n# EOF\n", "# HELP \"a b\" c\n# TYPE \"a b\" gauge\n{\"a b\"} 1\n", "# HELP a \xff\n", "# HELP a:b c\n", "# HELP 1 c\n", "# HELP a\tb\n", "# HELP a \tb\n",
	"#\n", "# \n", "# a comment\n", "#comment", "# HELP a b", "# TYPE a counter", "# EOF", "# EOF\n", "# EOF\n\n", "# EOF\na 1\n", "# EOF x\n", "a 1\n# EOF\n", "a 1\n# EOF",
	"# UNIT a_seconds seconds\n# EOF\n", "# UNIT a seconds\n# EOF\n", "# UNIT aseconds seconds\n# EOF\n", "# UNIT a \n# EOF\n", "# UNIT _seconds seconds\n# EOF\n",
	`a{} 1` + "\n", `a{b="c"} 1` + "\n", `a{b="c",} 1` + "\n", `a{b="c", d="e"} 1` + "\n", `a{b="c" ,d="e"} 1` + "\n", `a{ b="c"} 1` + "\n", `a{b="c"}1` + "\n", `a {b="c"} 1` + "\n",
	`a{b="c"d="e"} 1` + "\n", `a{,b="c"} 1` + "\n", `a{b="c",,} 1` + "\n", `a{b = "c"} 1` + "\n", `a{b="\"\\\n\x"} 1` + "\n", `a{b="\\"} 1` + "\n", `a{b="\"} 1` + "\n", "a{b=\"c\nd\"} 1\n",
	"a{b=\"c\\\nd\"} 1\n", `a{b="ä€😀"} 1` + "\n", "a{b=\"\xff\"} 1\n", "a{b=\"\\\xff\"} 1\n", `a{b:c="d"} 1` + "\n", `a{1b="d"} 1` + "\n", `a{"b"="c"} 1` + "\n", `{"a.b",c="d"} 1` + "\n", `{"a.b"} 1` + "\n", `{c="d"} 1` + "\n",
	`a{b="c",b="d"} 1` + "\n", `a{__name__="b"} 1` + "\n", `a{b=""} 1` + "\n", `a{b="c"` + "\n", `a{b="c` + "\n", `a{b=c} 1` + "\n", `a{b} 1` + "\n", `a{` + "\n", `a{b="c"} ` + "\n", `a{b="c"}` + "\n",
	"a NaN\n", "a nan\n", "a +Inf\n", "a -Inf\n", "a Infinity\n", "a 1e3\n", "a 1E-3\n", "a +1\n", "a -1.5\n", "a .5\n", "a 5.\n", "a .\n", "a -\n", "a -.5e2\n", "a 0x1p-2\n", "a 0x10\n", "a 1_000\n", "a 1e400\n", "a --1\n",
	"a 123456789012345\n", "a 1234567890123456\n", "a 12345678901234567890\n", "a 0.1234567890123456789\n", "a 000000000000000000001\n", "a -0\n", "a 1.2.3\n", "a 1{ 2\n", "a 1{b} 2\n", "a 4.9e-324\n", "a 1.7976931348623157e308\n",
	"a 1 1700000000000\n", "a 1 -5\n", "a 1 1.5\n", "a 1 1.5\n# EOF\n", "a 1 -1.5\n# EOF\n", "a 1 NaN\n# EOF\n", "a 1 1e400\n# EOF\n", "a 1 123456789012345678\n", "a 1 1234567890123456789\n", "a 1 12345678901234567890123\n",
	"a 1 2 3\n", "a 1  2\n", "a 1  2\n# EOF\n", "a 1 2 \n", "a 1 2\t\n", "a 1 2x\n", "a 1 x\n", "a 1 \n# EOF\n", "a 1 #\n# EOF\n", "a 1 # b\n# EOF\n", "a 1 2 # b\n# EOF\n",
	`a 1 # {} 1` + "\n# EOF\n", `a 1 # {b="c"} 1` + "\n# EOF\n", `a 1 # {b="c"} 1 2` + "\n# EOF\n", `a 1 3 # {b="c"} 1 2` + "\n# EOF\n", `a 1 # {b="c"} 1 2 3` + "\n# EOF\n", `a 1 # {b="c"} NaN` + "\n# EOF\n", `a 1 # {b="c"} 1 NaN` + "\n# EOF\n",
	`a 1 # {b="c"}` + "\n# EOF\n", `a 1 # {b="c"} x` + "\n# EOF\n", `a 1 # {b="c"} 1 ` + "\n# EOF\n", `a 1 # {"b"="c"} 1` + "\n# EOF\n", `a 1 # {b="c",} 1` + "\n# EOF\n", `a 1 # {b="c", d="e"} 1` + "\n# EOF\n", `a 1 # {b="c"} 1`, `a 1 # {b="\xff"} 1` + "\n# EOF\n",
	"# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"+Inf\"} 1\na_bucket{le=\"x\"} 1\na_sum 1\n", "# TYPE a summary\na{quantile=\"1\",le=\"1\"} 1\n", "# TYPE a histogram\na_bucket{le=\"1\"} 1\n{\"b\",le=\"1\"} 1\n# EOF\n",
	"# TYPE a histogram\na_bucket{le=\"1\"} 1\n a_bucket{le=\"2\"} 1\n", "# TYPE a untyped\n# TYPE a histogram \n", "a 1\n\x00b 2\n", "a{b=\"\x00\"} 1\n", "# HELP a \x00b\n", "# TYPE a summary\n\n a{quantile=\"1\"} 2\n",
	"a 1\n\t\nb 2\n", "é 1\n", "a.b 1\n", "a-b 1\n", "1a 1\n", ":a 1\n", "_ 1\n", "a 1 # x\n", "a 1\n#", "# HELP a b\n# HELP a b", "# TYPE a counter\n# HELP", "A1 1\n",
}

func TestReaderLikeLibrary(t *testing.T) {
	for _, text := range texts {
		for _, f := range []format{plainText, openMetrics} {
			compare(t, text, f)
			compare(t, "before{b=\"c\"} 1\n"+text, f)
			compare(t, text+"# EOF\n", f)
		}
	}
}

// Ordinary text is read without the library.
func TestReaderAlone(t *testing.T) {
	for _, c := range []struct {
		text string
		f    format
	}{
		{"# HELP a b c\n# TYPE a histogram\n# a comment\n\na_bucket{le=\"1\"} 1 17\na{b=\"\\\"ä\", c=\"\",} -1.5e3\na NaN\n", plainText},
		{"# HELP a_bytes b \\\\\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1 1.5\na_bytes{b=\"c\"} 2 # {d=\"e\"} 1 2\n# EOF\n", openMetrics},
	} {
		r := ours(c.text, c.f)
		for {
			if _, err := r.next(); err != nil {
				break
			}
		}
		if r.lib != nil {
			t.Errorf("the library had to read %q from %q on", c.text, c.text[r.i:])
		}
		compare(t, c.text, c.f)
	}
}

func TestFloat(t *testing.T) {
	for _, s := range []string{"0", "-0", "1", "12.5", "0.1", "0.3", "123456789.012345", "999999999999999", "0.000000000000001", "9.99999999999999", "1e5", "+7"} {
		want, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := float([]byte(s)); !ok || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s is %v, not %v", s, got, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range texts {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Add(strings.Join(texts, ""), false)
	f.Fuzz(func(t *testing.T, text string, open bool) {
		form := plainText
		if open {
			form = openMetrics
		}
		compare(t, text, form)
	})
}

// page is an answer as node_exporter gives it.
func page() []byte {
	var b bytes.Buffer
	for i := range 40 {
		fmt.Fprintf(&b, "# HELP node_thing_%d_total Something that was counted.\n# TYPE node_thing_%d_total counter\n", i, i)
		for j := range 19 {
			fmt.Fprintf(&b, "node_thing_%d_total{cpu=\"%d\",mode=\"idle\",device=\"/dev/sda%d\"} %v\n", i, j, j%4, float64(i*j)*12.37)
		}
	}
	return b.Bytes()
}

func BenchmarkReader(b *testing.B) {
	text := page()
	r := ours("", plainText)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.reset(append(text, '\n')[:len(text)], plainText)
		for {
			if _, err := r.next(); err != nil {
				break
			}
		}
	}
}
