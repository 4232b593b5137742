package self

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"watchpost/internal/expo"
)

// said are the samples and types that a text holds. Of a summary it is the count.
func said(t *testing.T, text []byte) (values map[string]float64, types map[string]string) {
	t.Helper()
	values, types = make(map[string]float64), make(map[string]string)
	s := expo.NewScanner(text)
	for s.Next() {
		switch l := s.Line(); l.Kind {
		case expo.Sample:
			v, err := l.Float()
			if err != nil {
				t.Fatal(err)
			}
			values[strings.TrimSuffix(string(l.Name), "_count")] = v
		case expo.TypeLine:
			types[string(l.Name)] = string(l.Value)
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return values, types
}

// What client_golang's collectors say of this program, ours says too: the same
// families and types, and values that are near.
func TestEqualsClientGolang(t *testing.T) {
	runtime.GC()
	var w expo.Writer
	if err := New().Write(&w); err != nil {
		t.Fatal(err)
	}
	ours, types := said(t, w.Bytes())
	reg := prometheus.NewRegistry()
	reg.MustRegister(promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{}), promcollectors.NewGoCollector())
	families, err := reg.Gather()
	if err != nil || len(families) != len(types) {
		t.Fatalf("%d families, ours %d, %v", len(families), len(types), err)
	}
	for _, f := range families {
		name, m := f.GetName(), f.Metric[0]
		want := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetSummary().GetSampleCount())
		got, ok := ours[name]
		// Measured a moment apart, and client_golang's measuring takes memory itself.
		near := max(want/2, 64)
		switch {
		case strings.Contains(name, "_bytes"):
			near = max(near, 8<<20)
		case strings.HasPrefix(name, "go_memstats_"): // objects
			near = max(near, 100_000)
		}
		if !ok || math.Abs(got-want) > near {
			t.Errorf("%s is %v (there: %t), client_golang says %v", name, got, ok, want)
		}
		if kind := strings.ToLower(f.GetType().String()); types[name] != kind {
			t.Errorf("%s is a %s, want %s", name, types[name], kind)
		}
	}
}

// Both formats are read by client_golang's own parser.
func TestSummaryIsWhole(t *testing.T) {
	runtime.GC()
	labels, err := expo.ConstLabels(map[string]string{"node": "n1"})
	if err != nil {
		t.Fatal(err)
	}
	var w expo.Writer
	w.SetConstLabels(labels)
	if err := New().Write(&w); err != nil {
		t.Fatal(err)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(w.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	s := families["go_gc_duration_seconds"].GetMetric()[0]
	if n := len(s.GetSummary().GetQuantile()); n != gcQuantiles || s.GetSummary().GetSampleCount() == 0 || s.GetSummary().GetSampleSum() == 0 {
		t.Errorf("%d quantiles of %v", n, s)
	}
	if l := s.GetLabel(); len(l) != 1 || l[0].GetValue() != "n1" {
		t.Errorf("labels %v", l)
	}
}

func TestOpenFilesFollows(t *testing.T) {
	before, err := openFiles("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if after, err := openFiles("/proc/self/fd"); err != nil || after != before+5 {
		t.Errorf("%d, then %d, %v", before, after, err)
	}
}

func TestParseProcessStat(t *testing.T) {
	good := "1 (a) b (c) S 0 1 1 0 -1 4194560 1 2 3 4 100 23 7 8 20 0 9 0 555 1000000 250 18446744073709551615\n"
	if s, err := parseProcessStat([]byte(good)); err != nil || s != (processStat{123, 555, 1000000, 250}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "1 a S", "1 (a) S 0 1", "1 (a) S 0 1 1 0 -1 4194560 1 2 3 4 x 23 7 8 20 0 9 0 555 1000000 250"} {
		if s, err := parseProcessStat([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func FuzzParseProcess(f *testing.F) {
	f.Add([]byte("1 (a) S 0 1 1 0 -1 4194560 1 2 3 4 100 23 7 8 20 0 9 0 555 1000000 250 1"))
	f.Add([]byte("IpExt: InOctets OutOctets\nIpExt: 1 2\n\nbtime 5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseProcessStat(b); err != nil && s != (processStat{}) {
			t.Errorf("half read: %+v, %v", s, err)
		}
		parseIPOctets(b)
		if n, err := parseBootTime(b); err != nil && n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	m := New()
	var w expo.Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset(expo.Text)
		if err := m.Write(&w); err != nil {
			b.Fatal(err)
		}
	}
}
