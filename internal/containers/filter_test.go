package containers

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// sample is the captured text of a kubelet, where it is at hand.
func sample(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("../../../shared/samples/kubelet/cadvisor.txt")
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skip("the captured text is not here: ../shared/samples/kubelet/cadvisor.txt")
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// filtered is a whole text after a filter.
func filtered(tb testing.TB, f *Filter, text []byte) []byte {
	tb.Helper()
	f.Begin()
	out, taken, err := f.Append(nil, text)
	if err == nil {
		out, err = f.End(out, text[taken:])
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func newFilter(tb testing.TB, profile string, pods Pods, source ...string) *Filter {
	tb.Helper()
	rules, err := Profile(profile)
	if err != nil {
		tb.Fatal(err)
	}
	f, err := NewFilter(rules, pods, source...)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func countSamples(text []byte) (n int) {
	for line := range strings.Lines(string(text)) {
		if line[0] != '#' {
			n++
		}
	}
	return n
}

func TestSampleProfiles(t *testing.T) {
	text := sample(t)
	for profile, want := range map[string]int{"none": 793, "default": 653, "lean": 309} {
		out := filtered(t, newFilter(t, profile, nil), text)
		if n := countSamples(out); n != want {
			t.Errorf("%s keeps %d series, want %d", profile, n, want)
		}
		if profile == "none" && string(out) != string(text) {
			t.Error("none does not pass the text on as it is")
		}
	}
}

// podsOf gives the pods of a text addresses.
type podsOf map[string]*PodLabels

func (p podsOf) Labels(namespace, name []byte) *PodLabels { return p[string(name)] }
func (p podsOf) Adds(label string) bool                   { return label == "pod_ip" }

func BenchmarkSample(b *testing.B) {
	text := sample(b)
	pods := podsOf{}
	for _, name := range []string{"ne-8z6qm", "app-85545b4b8c-nm57r"} {
		pods[name] = NewPodLabels("pod_ip", "10.244.0.7")
	}
	for _, profile := range []string{"none", "default", "lean"} {
		b.Run(profile, func(b *testing.B) {
			f := newFilter(b, profile, pods, "node", "worker-1", "cluster", "prod")
			var out []byte
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				f.Begin()
				out, _, _ = f.Append(out[:0], text)
			}
		})
	}
}
