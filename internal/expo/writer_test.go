package expo

import (
	"math"
	"strings"
	"testing"
)

var (
	cpuSeconds = Counter("cpu_seconds_total", "Time by mode.", "cpu", "mode")
	load1      = Gauge("load1", `A "quoted" \ help`+"\nof two lines.")
	odd        = Untyped("odd", "Of no known type.", "name")
	oddCounter = Counter("events", "A counter without its suffix.")
)

func TestWriter(t *testing.T) {
	write := func(w *Writer) {
		w.Sample(cpuSeconds, 1.5, "0", "user")
		w.Sample(cpuSeconds, 1e9, "0", "idle")
		w.Sample(load1, math.Inf(1))
		w.Sample(odd, math.NaN(), "a\\b\"c\nd é \xff")
		w.Uint(oddCounter, math.MaxUint64)
		w.SampleAt(load1, math.Inf(-1), 1700000000123)
	}
	for _, tc := range []struct {
		format Format
		want   string
	}{
		{Text, `# HELP cpu_seconds_total Time by mode.
# TYPE cpu_seconds_total counter
cpu_seconds_total{cpu="0",mode="user"} 1.5
cpu_seconds_total{cpu="0",mode="idle"} 1000000000
# HELP load1 A "quoted" \\ help\nof two lines.
# TYPE load1 gauge
load1 +Inf
# HELP odd Of no known type.
# TYPE odd untyped
odd{name="a\\b\"c\nd é ` + "\uFFFD" + `"} NaN
# HELP events A counter without its suffix.
# TYPE events counter
events 18446744073709551615
# HELP load1 A "quoted" \\ help\nof two lines.
# TYPE load1 gauge
load1 -Inf 1700000000123
`},
		{OpenMetrics, `# HELP cpu_seconds Time by mode.
# TYPE cpu_seconds counter
cpu_seconds_total{cpu="0",mode="user"} 1.5
cpu_seconds_total{cpu="0",mode="idle"} 1000000000
# HELP load1 A \"quoted\" \\ help\nof two lines.
# TYPE load1 gauge
load1 +Inf
# HELP odd Of no known type.
# TYPE odd unknown
odd{name="a\\b\"c\nd é ` + "\uFFFD" + `"} NaN
# HELP events A counter without its suffix.
# TYPE events unknown
events 18446744073709551615
# HELP load1 A \"quoted\" \\ help\nof two lines.
# TYPE load1 gauge
load1 -Inf 1700000000.123
`},
	} {
		var w Writer
		w.Reset(tc.format)
		write(&w)
		if got := string(w.Bytes()); got != tc.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tc.format, got, tc.want)
		}
	}
}

// A counter beside a gauge of its short name keeps its own in both formats.
func TestWholeName(t *testing.T) {
	whole := Counter("a_bytes_total", "All of it.").Whole()
	for format, want := range map[Format]string{
		Text:        "# HELP a_bytes_total All of it.\n# TYPE a_bytes_total counter\na_bytes_total 1\n",
		OpenMetrics: "# HELP a_bytes_total All of it.\n# TYPE a_bytes_total unknown\na_bytes_total 1\n",
	} {
		var w Writer
		w.Reset(format)
		w.Sample(whole, 1)
		if got := string(w.Bytes()); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", format, got, want)
		}
	}
}

// A summary in both formats, with constant labels.
func TestSummary(t *testing.T) {
	l, err := ConstLabels(map[string]string{"node": "n"})
	if err != nil {
		t.Fatal(err)
	}
	var w Writer
	w.SetConstLabels(l)
	pauses := Summary("pauses_seconds", "Pauses.")
	w.Summary(pauses, []Quantile{{0, 0.5}, {1, 2}}, 2.5, 2)
	w.Sample(load1, 1)
	want := `# HELP pauses_seconds Pauses.
# TYPE pauses_seconds summary
pauses_seconds{node="n",quantile="0"} 0.5
pauses_seconds{node="n",quantile="1"} 2
pauses_seconds_sum{node="n"} 2.5
pauses_seconds_count{node="n"} 2
`
	if got := string(w.Bytes()); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.Reset(OpenMetrics)
	w.Summary(pauses, []Quantile{{0, 0.5}}, 0.5, 1)
	if got := string(w.Bytes()); !strings.Contains(got, `{node="n",quantile="0.0"} 0.5`) {
		t.Errorf("OpenMetrics: got\n%s", got)
	}
}

func TestConstLabels(t *testing.T) {
	l, err := ConstLabels(map[string]string{"node": `n"1`, "cpu": "all", "cluster": "c"})
	if err != nil {
		t.Fatal(err)
	}
	var w Writer
	w.SetConstLabels(l)
	w.Sample(cpuSeconds, 1, "0", "user") // its own label cpu is the one kept
	w.Sample(load1, 2)
	w.Reset(Text)
	w.Sample(load1, 3)
	want := `# HELP load1 A "quoted" \\ help\nof two lines.
# TYPE load1 gauge
load1{cluster="c",cpu="all",node="n\"1"} 3
`
	if got := string(w.Bytes()); got != want {
		t.Errorf("after Reset: got\n%s\nwant\n%s", got, want)
	}
	w.Reset(Text)
	w.Sample(cpuSeconds, 1, "0", "user")
	if got := string(w.Bytes()); !strings.Contains(got, `cpu_seconds_total{cluster="c",node="n\"1",cpu="0",mode="user"} 1`) {
		t.Errorf("got\n%s", got)
	}
	for _, bad := range []string{"", "a-b", "a:b", "__name__", "1a"} {
		if _, err := ConstLabels(map[string]string{bad: "x"}); err == nil || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("%q: error %v does not quote the name", bad, err)
		}
	}
}

func TestAppendLabelled(t *testing.T) {
	const text = `# HELP up A {help} text.
# TYPE up gauge
up 1
up{} 2
up{a="1",} 3 1700000000123
up{node="own",a="b\",c\\"} 4 # {trace="x"} 5
{"up.time", a="x"} +Inf
{"up.time"} NaN
`
	var w Writer
	if err := w.AppendLabelled([]byte(text)); err != nil || string(w.Bytes()) != text {
		t.Errorf("without labels: %v\n%s", err, w.Bytes())
	}
	l, err := ConstLabels(map[string]string{"node": `n"1`, "cluster": "c"})
	if err != nil {
		t.Fatal(err)
	}
	w.Reset(Text)
	w.SetConstLabels(l)
	want := `# HELP up A {help} text.
# TYPE up gauge
up{cluster="c",node="n\"1"} 1
up{cluster="c",node="n\"1"} 2
up{a="1",cluster="c",node="n\"1"} 3 1700000000123
up{node="own",a="b\",c\\",cluster="c"} 4 # {trace="x"} 5
{"up.time", a="x",cluster="c",node="n\"1"} +Inf
{"up.time",cluster="c",node="n\"1"} NaN
`
	if err := w.AppendLabelled([]byte(text)); err != nil || string(w.Bytes()) != want {
		t.Errorf("got %v\n%s", err, w.Bytes())
	}
	if err := w.AppendLabelled([]byte("up 1\nup\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line without value: %v", err)
	}
}

func TestAppendFloat(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "-0"}, {1, "1"}, {-12, "-12"}, {1e15, "1000000000000000"},
		{1<<53 - 1, "9007199254740991"}, {1 << 53, "9.007199254740992e+15"}, {0.1, "0.1"}, {1e-9, "1e-09"},
		{math.MaxFloat64, "1.7976931348623157e+308"}, {math.NaN(), "NaN"}, {math.Inf(1), "+Inf"}, {math.Inf(-1), "-Inf"},
	} {
		if got := string(AppendFloat(nil, tc.v)); got != tc.want {
			t.Errorf("AppendFloat(%v) = %s, want %s", tc.v, got, tc.want)
		}
	}
}

func TestTruncateAndAppend(t *testing.T) {
	var w Writer
	w.Sample(load1, 1)
	keep := len(w.Bytes())
	w.Sample(oddCounter, 2)
	w.Truncate(keep)
	w.Append([]byte("foreign 1\n"))
	w.Sample(load1, 3) // its header again, since text of others came between
	if got := string(w.Bytes()); strings.Contains(got, "events") || strings.Count(got, "# TYPE load1") != 2 || !strings.Contains(got, "foreign 1\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestFamilyRefusesBadNames(t *testing.T) {
	for _, f := range []func(){
		func() { Gauge("a b", "h") },
		func() { Gauge("", "h") },
		func() { Gauge("a", "h", "b:c") },
		func() { Gauge("a", "h", "b", "b") },
		func() { var w Writer; w.Sample(load1, 1, "too", "many") },
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.HasPrefix(p, "BUG: ") {
					t.Errorf("panic %q", p)
				}
			}()
			f()
		}()
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{"ok_1": "ok_1", "rx-bytes.total": "rx_bytes_total", "1st": "_1st", "": "_", "ü": "__"} {
		if got := CleanName(in); got != want || !ValidName(got) {
			t.Errorf("CleanName(%q) = %q, want %q", in, got, want)
		}
	}
}

// Series of one family may have different labels; they share its header.
func TestWith(t *testing.T) {
	var w Writer
	info := Gauge("info", "What it is.", "device")
	w.Uint(info, 1, "a")
	w.Uint(info.With("maker"), 1, "b", "x")
	w.Uint(info, 1, "c")
	want := "# HELP info What it is.\n# TYPE info gauge\ninfo{device=\"a\"} 1\ninfo{device=\"b\",maker=\"x\"} 1\ninfo{device=\"c\"} 1\n"
	if got := string(w.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The steady state of a scrape: a Writer that has seen its size.
func BenchmarkSample(b *testing.B) { benchmarkSample(b, 123456) }

// The same with values that have a fraction, where strconv does most of the work.
func BenchmarkSampleFraction(b *testing.B) { benchmarkSample(b, 123456.78) }

func benchmarkSample(b *testing.B, v float64) {
	var w Writer
	b.ReportAllocs()
	fill := func() {
		w.Reset(Text)
		for _, cpu := range [...]string{"0", "1", "2", "3", "4", "5", "6", "7"} {
			for _, mode := range [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"} {
				w.Sample(cpuSeconds, v, cpu, mode)
			}
		}
	}
	fill()
	b.SetBytes(int64(len(w.Bytes())))
	for b.Loop() {
		fill()
	}
	b.ReportMetric(64, "samples/op")
}
