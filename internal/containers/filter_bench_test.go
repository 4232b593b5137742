package containers

import (
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"

	"watchpost/internal/expo"
	"watchpost/internal/testkubelet"
)

// userTime is how long the processor worked for this process, in seconds.
func userTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec) + float64(u.Utime.Usec)/1e6
}

// benchmark reports, beside the time that passed, bytes by the time of the
// processor, which does not depend on what else the machine does.
func benchmark(b *testing.B, name string, bytes int, run func()) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(bytes))
		b.ReportAllocs()
		run()
		begun := userTime(b)
		for b.Loop() {
			run()
		}
		b.ReportMetric(float64(b.N)*float64(bytes)/1e6/(userTime(b)-begun), "MB/cpu-s")
	})
}

// BenchmarkFilter: the text of a node with 110 pods, to which node, cluster and
// the pods' addresses are added. Nothing is allocated, neither for a line nor for
// the text.
func BenchmarkFilter(b *testing.B) {
	text := testkubelet.NewNode(110).Text()
	pods, _ := knownPods(b, text)
	copied := func(f *Filter) func() {
		r := new(strings.Reader)
		return func() {
			r.Reset(text)
			if err := f.Copy(io.Discard, r, expo.Text, int64(len(text))); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, profile := range []string{"none", "default", "lean"} {
		f := newFilter(b, Rules{Profile: profile}, pods, "node", "worker-1", "cluster", "prod")
		benchmark(b, profile, len(text), copied(f))
	}
	f := newFilter(b, Rules{Labels: []LabelRule{{Drop: []string{"id", "name"}}}, Profile: "default"}, pods, "node", "worker-1", "cluster", "prod")
	benchmark(b, "default-without-id-and-name", len(text), copied(f))
}

// BenchmarkPrometheus: the same text through Prometheus' parser and relabelling,
// rules of the profile and constant labels, without the lookup of pods.
func BenchmarkPrometheus(b *testing.B) {
	text := []byte(testkubelet.NewNode(110).Text())
	configs := append(relabelling(b, "default"), adding("node", "worker-1"), adding("cluster", "prod"), adding("pod_ip", "10.244.0.7"))
	benchmark(b, "parse-and-relabel", len(text), func() {
		p := textparse.NewPromParser(text, labels.NewSymbolTable(), false)
		builder := labels.NewBuilder(labels.EmptyLabels())
		for {
			entry, err := p.Next()
			if err != nil {
				break
			}
			if entry == textparse.EntrySeries {
				var l labels.Labels
				p.Labels(&l)
				builder.Reset(l)
				if relabel.ProcessBuilder(builder, configs...) {
					builder.Labels()
				}
			}
		}
	})
	benchmark(b, "expfmt-decode-and-encode", len(text), func() {
		families, err := decoded(string(text))
		if err != nil {
			b.Fatal(err)
		}
		for _, y := range families {
			if _, err := expfmt.MetricFamilyToText(io.Discard, y); err != nil {
				b.Fatal(err)
			}
		}
	})
}
