package expo

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func TestParseLine(t *testing.T) {
	for _, tc := range []struct {
		in      string
		kind    Kind
		name    string
		labels  string
		value   string
		rest    string
		problem string
	}{
		{in: "", kind: Comment},
		{in: "# a comment", kind: Comment},
		{in: "# HELP a_b some text", kind: Help, name: "a_b", value: "some text"},
		{in: "#\tTYPE  a_b\tgauge", kind: TypeLine, name: "a_b", value: "gauge"},
		{in: "# UNIT a_seconds seconds", kind: Unit, name: "a_seconds", value: "seconds"},
		{in: `# TYPE "a.b" gauge`, kind: TypeLine, name: "a.b", value: "gauge"},
		{in: "# EOF", kind: End},
		{in: "# TYPE", kind: Comment},
		{in: `# TYPE "a`, problem: "no closing quote"},
		{in: "a 1", kind: Sample, name: "a", value: "1"},
		{in: "a{} 1 1700\r", kind: Sample, name: "a", value: "1", rest: "1700"},
		{in: `a {b="}\"",c="d"} NaN`, kind: Sample, name: "a", labels: `b="}\"",c="d"`, value: "NaN"},
		{in: `a{b="\\"} 1 2 # {t="x"} 3`, kind: Sample, name: "a", labels: `b="\\"`, value: "1", rest: `2 # {t="x"} 3`},
		{in: `{"a.b",c="d"} 1`, kind: Sample, name: "a.b", labels: `"a.b",c="d"`, value: "1"},
		{in: `a{b="c" 1`, kind: Sample, problem: "no closing brace"},
		{in: `a{b="c} 1`, kind: Sample, problem: "no closing brace"},
		{in: "a", kind: Sample, problem: "no value"},
		{in: "1a 1", kind: Sample, problem: "no metric name"},
		{in: "{} 1", kind: Sample, problem: "no metric name"},
	} {
		l, problem := ParseLine([]byte(tc.in))
		if problem != tc.problem {
			t.Errorf("%q: problem %q, want %q", tc.in, problem, tc.problem)
			continue
		}
		if problem != "" {
			continue
		}
		if l.Kind != tc.kind || string(l.Name) != tc.name || string(l.Labels) != tc.labels || string(l.Value) != tc.value || string(l.Rest) != tc.rest {
			t.Errorf("%q: got %d %q {%s} %q %q", tc.in, l.Kind, l.Name, l.Labels, l.Value, l.Rest)
		}
	}
}

func TestScannerQuotesTheBadLine(t *testing.T) {
	s := NewScanner([]byte("a 1\nb{ 2\nc 3\n"))
	n := 0
	for s.Next() {
		n++
	}
	if err := s.Err(); n != 1 || err == nil || err.Error() != `line 2: no closing brace in "b{ 2"` {
		t.Errorf("%d lines, error %v", n, err)
	}
	s = NewScanner([]byte(strings.Repeat("x", 500)))
	if s.Next() || len(s.Err().Error()) > 200 {
		t.Errorf("a long line is not cut: %v", s.Err())
	}
}

func TestLineLabels(t *testing.T) {
	l, _ := ParseLine([]byte(`{"m", a = "1" , "b c"="x\n\"\\" } 2.5`))
	for name, want := range map[string]string{"a": "1", "b c": "x\n\"\\"} {
		if got, ok := l.Label(name); !ok || got != want {
			t.Errorf("label %q is %q, %t", name, got, ok)
		}
	}
	if _, ok := l.Label("none"); ok {
		t.Error("a label that is not there was found")
	}
	if v, err := l.Float(); v != 2.5 || err != nil {
		t.Errorf("value %v, %v", v, err)
	}
	bad, _ := ParseLine([]byte("m one"))
	if _, err := bad.Float(); err == nil || !strings.Contains(err.Error(), `"one"`) {
		t.Errorf("error %v does not quote the value", err)
	}
}

// point is a sample as a parser reads it.
type point struct {
	labels string
	value  uint64 // the bits, so that NaN equals itself
}

// prometheusReads parses text as a scrape does.
func prometheusReads(text []byte, contentType string) ([]point, error) {
	p, err := textparse.New(text, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	var points []point
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return nil, err
		}
		if entry == textparse.EntrySeries {
			_, _, v := p.Series()
			var l labels.Labels
			p.Labels(&l)
			points = append(points, point{l.String(), math.Float64bits(v)})
		}
	}
}

// FuzzWriter: whatever is put in, Prometheus' own parser reads back the same.
func FuzzWriter(f *testing.F) {
	f.Add("help", "value", uint64(0x3ff8000000000000))
	f.Add("a\\\n\"b", "\xff\\\n\"}", uint64(0x7ff8000000000001))
	f.Add("", "", uint64(0x7ff0000000000000))
	f.Add("\x00", "é\r\u2028", uint64(1))
	f.Fuzz(func(t *testing.T, help, value string, bits uint64) {
		v := math.Float64frombits(bits)
		if math.IsNaN(v) {
			v = math.NaN() // the formats know one NaN
		}
		family := Counter("a_total", help, "l")
		constant, err := ConstLabels(map[string]string{"k": value})
		if err != nil {
			t.Fatal(err)
		}
		valid := strings.ToValidUTF8(value, "\uFFFD")
		if strings.Contains(valid, "\uFFFD") { // runs of bad bytes become one or several
			valid = string([]rune(value))
		}
		want := point{labels.FromStrings("__name__", "a_total", "l", valid, "k", valid).String(), math.Float64bits(v)}
		for _, format := range []Format{Text, OpenMetrics} {
			var w Writer
			w.SetConstLabels(constant)
			w.Reset(format)
			w.Sample(family, v, value)
			w.SampleAt(family, v, 1700000000123, value)
			text := w.Bytes()
			if format == OpenMetrics {
				text = append(text, EOF...)
			}
			got, err := prometheusReads(text, format.ContentType())
			if err != nil {
				t.Fatalf("%s: %v in %q", format, err, text)
			}
			if len(got) != 2 || got[0] != want || got[1] != want {
				t.Fatalf("%s: got %v, want twice %v", format, got, want)
			}
		}
	})
}

// readAlike is what Prometheus' parser reads of a text, and whether it is one that
// the scanner is to read alike: the scanner is more lenient in what a label may say.
func readAlike(text string) ([]point, bool) {
	switch {
	case strings.Contains(text, "\x00"):
		return nil, false // the end of the text, for Prometheus' parser
	case strings.HasPrefix(text, " "), strings.HasPrefix(text, "\t"), strings.Contains(text, "\n "), strings.Contains(text, "\n\t"):
		return nil, false // Prometheus' parser takes a blank before a name for a part of it
	}
	for line := range strings.Lines(text) {
		if strings.Count(line, `"`)%2 == 1 {
			return nil, false // a newline within quotes, which the format forbids and its parser reads
		}
	}
	points, err := prometheusReads([]byte(text), "text/plain; version=0.0.4")
	return points, err == nil
}

// FuzzScanner: never a panic, and what Prometheus' parser reads we read alike.
func FuzzScanner(f *testing.F) {
	f.Add("# HELP a b\n# TYPE a counter\na{b=\"c\"} 1 2\na NaN\n")
	f.Add("{\"a.b\",c=\"d\\\"}\"} 1\n")
	f.Add("a{b=\"c\",} +Inf\n\n# EOF\n")
	f.Fuzz(func(t *testing.T, text string) {
		var got []point
		s := NewScanner([]byte(text))
		for s.Next() {
			l := s.Line()
			if l.Kind != Sample {
				continue
			}
			v, err := l.Float()
			if err != nil {
				continue
			}
			b := labels.NewScratchBuilder(4)
			b.Add("__name__", Unescape(l.Name))
			for k, v := range l.Pairs {
				b.Add(Unescape(k), Unescape(v))
			}
			b.Sort()
			got = append(got, point{b.Labels().String(), math.Float64bits(v)})
		}
		want, ok := readAlike(text)
		if !ok {
			return
		}
		if s.Err() != nil {
			t.Fatalf("Prometheus reads %q, the scanner says %v", text, s.Err())
		}
		if len(got) != len(want) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
		for i := range got {
			if got[i].labels != want[i].labels || got[i].value != want[i].value && !math.IsNaN(math.Float64frombits(want[i].value)) {
				t.Errorf("%q: sample %d is %v, want %v", text, i, got[i], want[i])
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	text := sampleText(5000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for s := NewScanner(text); s.Next(); {
		}
	}
}

// FuzzFamilyNames: the names of a text that can be scanned are those of its TYPE
// lines.
func FuzzFamilyNames(f *testing.F) {
	f.Add([]byte("# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n"))
	f.Add([]byte("a 1\n# TYPE \n# TYPE  x y\n# TYPE"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got []string
		for name := range FamilyNames(text) {
			got = append(got, string(name))
		}
		var want []string
		for line := range strings.SplitSeq(string(text), "\n") {
			if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
				name, _, _ := strings.Cut(rest, " ")
				want = append(want, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	})
}

// FuzzAppendLabelled: of what Prometheus' parser reads, it reads as many samples
// when labels were put on them, each with those labels.
func FuzzAppendLabelled(f *testing.F) {
	f.Add("# TYPE a counter\na{b=\"c\"} 1 2\na NaN\n")
	f.Add("{\"a.b\",c=\"d\"} 1\na{} 2\na{b=\"\\\"}\",} 3\na{k=\"own\"} 4\n")
	f.Add("c{\x00\xff\"c\"} 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		extra, err := ConstLabels(map[string]string{"k": "v\"\n"})
		if err != nil {
			t.Fatal(err)
		}
		var w Writer
		w.SetConstLabels(extra)
		w.Reset(Text)
		failed := w.AppendLabelled([]byte(text)) != nil
		want, ok := readAlike(text)
		if failed || !ok {
			return
		}
		got, err := prometheusReads(w.Bytes(), "text/plain; version=0.0.4")
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q becomes %q: %d samples, want %d, %v", text, w.Bytes(), len(got), len(want), err)
		}
		for i := range got {
			if got[i].value != want[i].value || !strings.Contains(got[i].labels, "k=") {
				t.Errorf("%q: %v became %v", text, want[i], got[i])
			}
		}
	})
}

// FuzzNegotiate: any header is answered, and with what is spoken here.
func FuzzNegotiate(f *testing.F) {
	f.Add("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1", "gzip, zstd;q=0.9")
	f.Add("text/*;q=NaN", "*;q=-1,identity;q=0x1p-2")
	f.Fuzz(func(t *testing.T, accept, encoding string) {
		if got := Negotiate(accept); got == OpenMetrics && !strings.Contains(strings.ToLower(accept), "openmetrics") {
			t.Errorf("%q: %s", accept, got)
		}
		switch e := NegotiateEncoding(encoding); {
		case e == Zstd && !strings.Contains(strings.ToLower(encoding), "zstd"), e == Gzip && !strings.ContainsAny(encoding, "*pP"):
			t.Errorf("%q: %s", encoding, e)
		}
		if q := quality(accept); !(q >= 0 && q <= 1) {
			t.Errorf("weight %q is %v", accept, q)
		}
	})
}

// FuzzCleanName: whatever comes in is the name of a metric afterwards.
func FuzzCleanName(f *testing.F) {
	f.Add("rx bytes")
	f.Add("0\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if name := "node_" + CleanName(s); !ValidName(name) {
			t.Errorf("%q becomes %q", s, name)
		}
	})
}
