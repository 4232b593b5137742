package containers

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/testkubelet"
)

// sample is the captured text of a kubelet, where it is at hand.
func sample(tb testing.TB) string {
	tb.Helper()
	b, err := os.ReadFile("../../../shared/samples/kubelet/cadvisor.txt")
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skip("the captured text is not here: ../shared/samples/kubelet/cadvisor.txt")
	}
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func newFilter(tb testing.TB, rules Rules, pods Pods, source ...string) *Filter {
	tb.Helper()
	f, err := NewFilter(rules, pods, source...)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// copied is what Copy makes of a text.
func copied(f *Filter, format expo.Format, text string) (string, error) {
	var out strings.Builder
	err := f.Copy(&out, strings.NewReader(text), format, 1<<30)
	return out.String(), err
}

// filtered is a whole text after a filter.
func filtered(tb testing.TB, f *Filter, text string) string {
	tb.Helper()
	out, err := copied(f, expo.Text, text)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// rulesOf reads rules as a file has them.
func rulesOf(tb testing.TB, text string) Rules {
	tb.Helper()
	r, err := ParseRules("rules.yml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// podsOf gives the pods of a text labels, by namespace/name.
type podsOf map[string]*PodLabels

func (p podsOf) Labels(namespace, name []byte) *PodLabels {
	var key [128]byte
	return p[string(append(append(append(key[:0], namespace...), '/'), name...))]
}

func (p podsOf) Adds(label string) bool { return label == "pod_ip" || label == "label_app" }

func countSamples(text string) (n int) {
	for line := range strings.Lines(text) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}

func TestSampleProfiles(t *testing.T) {
	text := sample(t)
	for profile, want := range map[string]int{"none": 793, "default": 653, "lean": 309} {
		out := filtered(t, newFilter(t, Rules{Profile: profile}, nil), text)
		if n := countSamples(out); n != want {
			t.Errorf("%s keeps %d series, want %d", profile, n, want)
		}
		if profile == "none" && out != text {
			t.Error("none does not pass the text on as it is")
		}
	}
}

// TestFilter: rules, a text, and what is left of it.
func TestFilter(t *testing.T) {
	pods := podsOf{"shop/web": NewPodLabels("pod_ip", "10.0.0.7"), "shop/db": NewPodLabels("pod_ip", "10.0.0.8", "label_app", `a"b`)}
	for name, tc := range map[string]struct {
		rules, in, want string
	}{
		"as it is":          {"", "# HELP a x\n# TYPE a counter\na{b=\"c\"} 1 1700000000000\na 2\n", "# HELP a x\n# TYPE a counter\na{b=\"c\",node=\"n\"} 1 1700000000000\na{node=\"n\"} 2\n"},
		"empty braces":      {"", "a{} 1\n", "a{node=\"n\"} 1\n"},
		"odd spacing":       {"", "  a { b = \"c\" , } \t 1  17 \r\na{b=\"c\"}1\na\t2\na{b=\"c\"d=\"e\"} 3\n", "a{b=\"c\",node=\"n\"} 1 17\na{b=\"c\",node=\"n\"} 1\na{node=\"n\"} 2\na{b=\"c\",d=\"e\",node=\"n\"} 3\n"},
		"no newline":        {"", "a 1\na 2", "a{node=\"n\"} 1\na{node=\"n\"} 2\n"},
		"crlf":              {"", "# TYPE a gauge\r\na 1\r\n", "# TYPE a gauge\na{node=\"n\"} 1\n"},
		"escapes":           {"", `a{b="\\",c="x\"} 1",d="\n"} 1` + "\n", `a{b="\\",c="x\"} 1",d="\n",node="n"} 1` + "\n"},
		"beyond ASCII":      {"", "a{b=\"é\ttab\"} 1\n", "a{b=\"é\ttab\",node=\"n\"} 1\n"},
		"quoted names":      {"series: [{drop: b.c}]", "{\"a.b\",\"l.x\"=\"1\"} 1\n{\"b.c\"} 2\n{\"a.b\"} 3\n{\"plain\"} 4\n", "{\"a.b\",\"l.x\"=\"1\",node=\"n\"} 1\n{\"a.b\",node=\"n\"} 3\n{\"plain\",node=\"n\"} 4\n"},
		"odd values":        {"", "a NaN\na +Inf\na -1.5e-07\na 1e400000\n", ""},
		"comments":          {"", "# nothing\n\n# HELP a\n#TYPE a odd\na 1\n", "# HELP a \na{node=\"n\"} 1\n"},
		"family without":    {"series: [{drop: a}]", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE c gauge\n", "# TYPE b gauge\nb{node=\"n\"} 1\n# TYPE c gauge\n"},
		"parts of a family": {"series: [{drop: a_bucket}]", "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n", "# TYPE a histogram\na_sum{node=\"n\"} 1\na_count{node=\"n\"} 1\n"},
		"a stranger":        {"series: [{drop: a}]", "# TYPE a gauge\na 1\nb 1\n", "b{node=\"n\"} 1\n"},
		"first rule":        {"series: [{keep: ab*}, {drop: 'a.*'}, {keep: b}, {drop: '*'}]", "abc 1\na 1\nb 1\nc 1\n", "abc{node=\"n\"} 1\nb{node=\"n\"} 1\n"},
		"one of a glob":     {"series: [{drop: 'a?c'}]", "abc 1\nac 1\n", "ac{node=\"n\"} 1\n"},
		"where":             {`series: [{drop: "*", where: {b: "x|y.*", c: ""}}]`, "a{b=\"x\"} 1\na{b=\"yz\",c=\"\"} 1\na{b=\"yz\",c=\"1\"} 1\na{b=\"xx\"} 1\na{b=\"x\"} 1\n", "a{b=\"yz\",c=\"1\",node=\"n\"} 1\na{b=\"xx\",node=\"n\"} 1\n"},
		"escaped value":     {`series: [{drop: "*", where: {b: 'x"'}}]`, `a{b="x\""} 1` + "\n" + `a{b="x"} 1` + "\n", `a{b="x",node="n"} 1` + "\n"},
		"value":             {"series: [{drop: a, value: 0}, {drop: b, value: NaN}]", "a 0\na 0.0\na -0\na 10\na 0.5\nb NaN\nb 0\nc 0\n", "a{node=\"n\"} 10\na{node=\"n\"} 0.5\nb{node=\"n\"} 0\nc{node=\"n\"} 0\n"},
		"drop labels":       {"label-rules: [{metric: a, drop: [x, y]}]", "a{x=\"1\",z=\"2\"} 1\na{x=\"1\"} 1\nb{x=\"1\"} 1\n", "a{z=\"2\",node=\"n\"} 1\na{node=\"n\"} 1\nb{x=\"1\",node=\"n\"} 1\n"},
		"keep labels":       {"label-rules: [{keep: z}]", "a{x=\"1\",z=\"2\"} 1\n", "a{z=\"2\",node=\"n\"} 1\n"},
		"rename labels":     {"label-rules: [{rename: {x: y, y: z}}]", "a{x=\"1\",y=\"2\",z=\"3\"} 1\na{y=\"2\"} 1\n", "a{y=\"1\",z=\"2\",node=\"n\"} 1\na{z=\"2\",node=\"n\"} 1\n"},
		"rules in turn":     {"label-rules: [{rename: {x: y}}, {drop: y}]", "a{x=\"1\"} 1\n", "a{node=\"n\"} 1\n"},
		"the first wins":    {"label-rules: [{drop: x}]", "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\",e=\"\"} 2\na{x=\"2\",y=\"1\"} 2\nb{x=\"1\"} 3\n", "# TYPE a gauge\na{node=\"n\"} 1\na{y=\"1\",node=\"n\"} 2\nb{node=\"n\"} 3\n"},
		"sums":              {"label-rules: [{metric: a, drop: x, sum: true}]", "# TYPE a gauge\na{x=\"1\"} 1 17\na{x=\"2\"} 2.5 18\na{x=\"2\",y=\"1\"} 2\n# TYPE b gauge\nb 1\n", "# TYPE a gauge\na{node=\"n\"} 3.5\na{y=\"1\",node=\"n\"} 2\n# TYPE b gauge\nb{node=\"n\"} 1\n"},
		"sums at the end":   {"label-rules: [{drop: x, sum: true}]", "a{x=\"1\"} 1\na{x=\"2\"} 2\nb{x=\"2\"} 2", "a{node=\"n\"} 3\nb{node=\"n\"} 2\n"},
		"drop times":        {"timestamps: drop", "a 1 17\na{b=\"c\"} 2\n", "a{node=\"n\"} 1\na{b=\"c\",node=\"n\"} 2\n"},
		"honour times":      {"timestamps: honour\nmax-age: 1m", "# TYPE a gauge\na 1 1700000000000\n# TYPE b gauge\nb{x=\"1\"} 1 1699999940000\nb{x=\"2\"} 2 1699999939999\nb 3\n", "# TYPE a gauge\na{node=\"n\"} 1 1700000000000\n# TYPE b gauge\nb{x=\"1\",node=\"n\"} 1 1699999940000\nb{node=\"n\"} 3\n"},
		"pods":              {"", "a{namespace=\"shop\",pod=\"web\"} 1\na{namespace=\"shop\",pod=\"db\"} 1\na{namespace=\"x\",pod=\"web\"} 1\na{namespace=\"\",pod=\"\"} 1\n", "a{namespace=\"shop\",pod=\"web\",node=\"n\",pod_ip=\"10.0.0.7\"} 1\na{namespace=\"shop\",pod=\"db\",node=\"n\",pod_ip=\"10.0.0.8\",label_app=\"a\\\"b\"} 1\na{namespace=\"x\",pod=\"web\",node=\"n\"} 1\na{namespace=\"\",pod=\"\",node=\"n\"} 1\n"},
		"pod label dropped": {"label-rules: [{drop: pod}]", "a{namespace=\"shop\",pod=\"web\"} 1\n", "a{namespace=\"shop\",node=\"n\",pod_ip=\"10.0.0.7\"} 1\n"},
		"labels that clash": {"", "a{node=\"x\",exported_node=\"y\"} 1\na{node=\"\"} 1\na{pod_ip=\"1\"} 1\na{pod_ip=\"1\",namespace=\"shop\",pod=\"web\"} 1\n",
			"a{exported_exported_node=\"x\",exported_node=\"y\",node=\"n\"} 1\na{node=\"n\"} 1\na{pod_ip=\"1\",node=\"n\"} 1\na{exported_pod_ip=\"1\",namespace=\"shop\",pod=\"web\",node=\"n\",pod_ip=\"10.0.0.7\"} 1\n"},
		"static labels": {"labels: {cluster: 'a\"b', empty: ''}", "a 1\n", "a{cluster=\"a\\\"b\",node=\"n\"} 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFilter(t, rulesOf(t, tc.rules), pods, "node", "n")
			f.now = func() time.Time { return time.UnixMilli(1700000000000) }
			for range 2 { // nothing of a text is left for the next
				got, err := copied(f, expo.Text, tc.in)
				if name == "odd values" { // the last line is no number for a parser
					if err == nil || !strings.Contains(err.Error(), `line 4: a value that is not a number in "a 1e400000"`) {
						t.Errorf("got error %v", err)
					}
					tc.want = "a{node=\"n\"} NaN\na{node=\"n\"} +Inf\na{node=\"n\"} -1.5e-07\n"
				} else if err != nil {
					t.Error(err)
				}
				if got != tc.want {
					t.Errorf("got\n%swant\n%s", got, tc.want)
				}
			}
		})
	}
}

func TestOpenMetrics(t *testing.T) {
	f := newFilter(t, Rules{Timestamps: Drop}, nil, "node", "n")
	in := "# TYPE a counter\n# UNIT a \n# HELP a x\na_total{b=\"c\"} 1 1700000000.5 # {trace_id=\"x\"} 0.5 1700000000.1\na_total 2 # {} 1\n# EOF\n"
	want := "# TYPE a counter\n# UNIT a \n# HELP a x\na_total{b=\"c\",node=\"n\"} 1 # {trace_id=\"x\"} 0.5 1700000000.1\na_total{node=\"n\"} 2 # {} 1\n"
	got, err := copied(f, expo.OpenMetrics, in)
	if err != nil || got != want || !f.Ended() {
		t.Errorf("got %v\n%swant\n%s", err, got, want)
	}
	f = newFilter(t, Rules{Timestamps: Honour}, nil)
	f.now = func() time.Time { return time.Unix(1700000000, 0) }
	got, err = copied(f, expo.OpenMetrics, "a 1 1699999700.0\na{b=\"c\"} 1 1699999699.9\n# EOF\n")
	if err != nil || got != "a 1 1699999700.0\n" || f.Stale != 1 {
		t.Errorf("got %v, %d stale\n%s", err, f.Stale, got)
	}
	for in, want := range map[string]string{
		"a 1\n":                        "after line 1: the text ends without # EOF: it was cut",
		"a 1\n# EOF\na 2\n":            `line 3: text behind # EOF in "a 2"`,
		"a 1 # {b=c} 1\n# EOF\n":       "line 1: an exemplar that cannot be read",
		"a 1 # {b=\"c\"} x\n# EOF\n":   "line 1: an exemplar that cannot be read",
		"a 1 # {b=\"c\"d=\"\"} 1\n":    "line 1: an exemplar that cannot be read",
		"a 1 NaN\n# EOF\n":             "line 1: a timestamp that is not a number",
		"# UNIT a_bytes bits\n# EOF\n": "line 1: a unit that does not end the name",
		"# TYPE a untyped\n# EOF\n":    "line 1: no type of a metric",
	} {
		if _, err := copied(f, expo.OpenMetrics, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %s", in, err, want)
		}
	}
}

func TestBadLines(t *testing.T) {
	f := newFilter(t, Rules{}, nil)
	for line, want := range map[string]string{
		`a{b="c" 1`:                "no label name",
		`a{b="c`:                   "no quote after a label value",
		`a{b="c"`:                  "no closing brace",
		`a{b=c} 1`:                 "no quote before a label value",
		`a{1b="c"} 1`:              "no label name",
		`a{b} 1`:                   "no = after a label name",
		`a{"b"} 1`:                 "two metric names",
		`{b="c"} 1`:                "no metric name",
		`a{b="c",b="d"} 1`:         "a label twice",
		`1a 1`:                     "no metric name",
		`a`:                        "no value",
		`a{}`:                      "no value",
		`a x`:                      "a value that is not a number",
		`a 0x1p-2`:                 "a value that is not a number",
		`a 1 -17`:                  "a timestamp that is not a whole number",
		`a 1 1.5`:                  "a timestamp that is not a whole number",
		`a 1 99999999999999999999`: "a timestamp that is not a whole number",
		`a 1 17 18`:                "text behind the value",
		`a 1 # {} 1`:               "text behind the value",
		"a{b=\"\xff\"} 1":          "text that is not UTF-8",
		"a 1\x00":                  "a zero byte",
		"# HELP a \xff":            "text that is not UTF-8",
		"# TYPE a b":               "no type of a metric",
		"# TYPE a{} gauge":         "no metric name",
		"<!DOCTYPE html>":          "no metric name",
	} {
		out, err := copied(f, expo.Text, "ok 1\n"+line+"\nok 2\n")
		if err == nil || !strings.HasPrefix(err.Error(), "line 2: "+want+" in ") {
			t.Errorf("%q: got error %v, want %s", line, err, want)
		}
		if out != "ok 1\n" {
			t.Errorf("%q: before it %q was passed on", line, out)
		}
	}
}

func TestCounts(t *testing.T) {
	r := rulesOf(t, "profile: lean\nseries: [{drop: a}, {drop: b, where: {x: 1}}, {keep: b, where: {y: 1}}, {keep: d}]\nlabel-rules: [{drop: y}]")
	f := newFilter(t, r, podsOf{}, "node", "n")
	in := "a 1\na 2\nb{x=\"1\"} 1\nb{x=\"2\"} 1\nb{x=\"2\",y=\"1\"} 1\ncontainer_spec_x 1\nd 1\nc{pod=\"p\",namespace=\"q\"} 1\n"
	out := filtered(t, f, in)
	if got := f.Counts; got.SeriesIn != 8 || got.SeriesOut != 3 || got.BytesIn != uint64(len(in)) || got.BytesOut != uint64(len(out)) || got.PodUnknown != 1 || got.Clashes != 1 {
		t.Errorf("got %+v", got)
	}
	want := make([]RuleCount, 12)
	want[0], want[1], want[2], want[3] = RuleCount{2, 8}, RuleCount{1, 11}, RuleCount{1, 17}, RuleCount{1, 4}
	want[10] = RuleCount{1, 19}
	if !slices.Equal(f.ByRule, want) {
		t.Errorf("by rule %v, want %v", f.ByRule, want)
	}
	if a := f.Asked(); len(a) != len(want) || a[0] != (Asked{"rules.yml:2", false}) || a[2] != (Asked{"rules.yml:2", true}) || a[10].Origin != "profile lean, rule 7" {
		t.Errorf("rules %v", a)
	}
}

// TestCopy: the same comes out however the text comes in.
func TestCopy(t *testing.T) {
	text := testkubelet.NewNode(3).Text()
	f := newFilter(t, Rules{Profile: "default"}, nil, "node", "n")
	want := filtered(t, f, text)
	for name, r := range map[string]io.Reader{
		"by the byte":    iotest.OneByteReader(strings.NewReader(text)),
		"in halves":      iotest.HalfReader(strings.NewReader(text)),
		"with its end":   iotest.DataErrReader(strings.NewReader(text)),
		"without an end": strings.NewReader(strings.TrimSuffix(text, "\n")),
	} {
		var out bytes.Buffer
		if err := f.Copy(&out, r, expo.Text, int64(len(text))); err != nil || out.String() != want {
			t.Errorf("%s: %v, %d bytes, want %d", name, err, out.Len(), len(want))
		}
	}
}

// endless gives the same text again and again.
type endless struct{ text string }

func (e endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	return n, nil
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// largest keeps the size of the largest write, and nothing else.
type largest struct{ n, all int }

func (l *largest) Write(p []byte) (int, error) {
	l.n, l.all = max(l.n, len(p)), l.all+len(p)
	return len(p), nil
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestCopyErrors(t *testing.T) {
	f := newFilter(t, Rules{}, nil, "node", "n")
	var out bytes.Buffer
	cut := errors.New("connection reset")
	err := f.Copy(&out, io.MultiReader(strings.NewReader("a 1\na 2\na 3"), iotest.ErrReader(cut)), expo.Text, 1000)
	if !errors.Is(err, cut) || !strings.Contains(err.Error(), "after line 2") || out.String() != "a{node=\"n\"} 1\na{node=\"n\"} 2\n" {
		t.Errorf("cut: %v, %q", err, out.String())
	}
	out.Reset()
	if err = f.Copy(&out, strings.NewReader("a 1\na 2\na 3\n"), expo.Text, 11); !errors.Is(err, ErrTooLarge) || out.String() != "a{node=\"n\"} 1\na{node=\"n\"} 2\n" {
		t.Errorf("too large: %v, %q", err, out.String())
	}
	if err = f.Copy(&out, strings.NewReader("a 1\na 2\na 3\n"), expo.Text, 12); err != nil {
		t.Errorf("as large as it may be: %v", err)
	}
	out.Reset()
	if err = f.Copy(&out, io.MultiReader(strings.NewReader("a 1\n"), endless{"x"}), expo.Text, 1<<40); err == nil || !strings.Contains(err.Error(), "line 2: longer than 1048576 bytes") || out.String() != "a{node=\"n\"} 1\n" {
		t.Errorf("a long line: %v, %q", err, out.String())
	}
	if cap(f.in) > chunk {
		t.Errorf("%d bytes are kept of a long line", cap(f.in))
	}
	long := "a{b=\"" + strings.Repeat("x", maxLine-100) + "\"} 1\n"
	if got := filtered(t, f, long); len(got) != len(long)+len(`,node="n"`) {
		t.Errorf("a line of %d bytes becomes one of %d", len(long), len(got))
	}
	if err = f.Copy(&out, idle{}, expo.Text, 10); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("idle: %v", err)
	}
	if err = f.Copy(full{}, endless{"a 1\n"}, expo.Text, 1<<40); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("full: %v", err)
	}
	// Short lines that become long ones are written as they come.
	f = newFilter(t, Rules{}, nil, "node", strings.Repeat("n", 1000))
	var l largest
	if err = f.Copy(&l, endless{"a 1\n"}, expo.Text, 1<<20); !errors.Is(err, ErrTooLarge) || l.n > 2*part || cap(f.out) > 2*part {
		t.Errorf("%v; at most %d bytes at a time, %d of memory", err, l.n, cap(f.out))
	}
	if want := (1 << 18) * (1000 + len("a{node=\"\"} 1\n")); l.all != want {
		t.Errorf("%d bytes, want %d", l.all, want)
	}
}

// TestBoundedMemory: names and labels without end do not add up.
func TestBoundedMemory(t *testing.T) {
	f := newFilter(t, Rules{}, nil)
	var b strings.Builder
	for i := range 200_000 {
		b.WriteString("m" + strings.Repeat("x", i%50) + "_" + time.Duration(i).String()[:1])
		b.WriteString("{l" + strings.ReplaceAll(time.Duration(i*7919).String(), ".", "_") + "=\"1\"} 1\n")
	}
	text := strings.Map(func(r rune) rune {
		if r == 'µ' {
			return 'u'
		}
		return r
	}, b.String())
	if out := filtered(t, f, text); out != text {
		t.Error("the text is not passed on as it is")
	}
	if f.cached > maxCached {
		t.Errorf("%d bytes are remembered", f.cached)
	}
	for _, v := range f.verdicts {
		if len(v.shapes) > maxShapes {
			t.Fatalf("%d shapes", len(v.shapes))
		}
	}
}

func TestTooManyMerged(t *testing.T) {
	f := newFilter(t, rulesOf(t, "label-rules: [{drop: x}]"), nil)
	for i := range maxMerged {
		if _, problem := f.family.merged.again(uint64(i)); problem != "" {
			t.Fatal(i, problem)
		}
	}
	if _, problem := f.family.merged.again(maxMerged); problem == "" {
		t.Error("no end")
	}
}

func TestNewFilterErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		rules  Rules
		source []string
		want   string
	}{
		"name":    {Rules{}, []string{"a-b", "1"}, `"a-b" is not the name of a label`},
		"twice":   {Rules{Static: map[string]string{"node": "x"}}, []string{"node", "1"}, "label node is given twice"},
		"by pods": {Rules{}, []string{"pod_ip", "1"}, "label pod_ip is given twice"},
		"profile": {Rules{Profile: "x"}, nil, `no profile is called "x": there are default, lean, none`},
	} {
		if _, err := NewFilter(tc.rules, podsOf{}, tc.source...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

func TestPodRules(t *testing.T) {
	r := PodRules{Labels: []string{"app.kubernetes.io/*"}, Annotations: []string{"team"}}
	l := r.Render(map[string]string{"app.kubernetes.io/name": "x", "tier": "1"}, map[string]string{"team": "a"}, "pod_ip", "10.0.0.1", "node", "")
	if want := `,pod_ip="10.0.0.1",label_app_kubernetes_io_name="x",annotation_team="a"`; string(l.text) != want {
		t.Errorf("got %s, want %s", l.text, want)
	}
	if !r.Adds("label_x") || !r.Adds("annotation_x") || r.Adds("pod_ip") || (PodRules{}).Adds("label_x") {
		t.Error("Adds")
	}
}
