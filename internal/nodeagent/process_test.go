package nodeagent

import (
	"math"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"

	"watchpost/internal/expo"
)

// What client_golang's collector says of this process, ours says too.
func TestProcessEqualsClientGolang(t *testing.T) {
	var w expo.Writer
	if err := newProcess().write(&w); err != nil {
		t.Fatal(err)
	}
	ours := make(map[string]float64)
	types := make(map[string]string)
	for s := expo.NewScanner(w.Bytes()); s.Next(); {
		switch l := s.Line(); l.Kind {
		case expo.Sample:
			v, err := l.Float()
			if err != nil {
				t.Fatal(err)
			}
			ours[string(l.Name)] = v
		case expo.TypeLine:
			types[string(l.Name)] = string(l.Value)
		}
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{}))
	families, err := reg.Gather()
	if err != nil || len(families) != len(ours) {
		t.Fatalf("%d families, ours %d, %v", len(families), len(ours), err)
	}
	// How far the two may be apart, measured a moment apart.
	near := map[string]float64{
		"process_cpu_seconds_total": 1, "process_resident_memory_bytes": 64 << 20, "process_virtual_memory_bytes": 1 << 30,
		"process_open_fds": 2, "process_network_receive_bytes_total": 1 << 30, "process_network_transmit_bytes_total": 1 << 30,
		"process_start_time_seconds": 0.001,
	}
	for _, f := range families {
		name := f.GetName()
		want := f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		got, ok := ours[name]
		if !ok || math.Abs(got-want) > near[name] {
			t.Errorf("%s is %v (there: %t), client_golang says %v", name, got, ok, want)
		}
		if kind := map[string]string{"COUNTER": "counter", "GAUGE": "gauge"}[f.GetType().String()]; types[name] != kind {
			t.Errorf("%s is a %s, want %s", name, types[name], kind)
		}
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

func BenchmarkProcess(b *testing.B) {
	p := newProcess()
	var w expo.Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset(expo.Text)
		if err := p.write(&w); err != nil {
			b.Fatal(err)
		}
	}
}
