package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchpost/internal/expo"
	"watchpost/internal/testkit"
)

// TestSamples renders the objects of a cluster and compares what comes out with
// what kube-state-metrics said of them. Objects and text are of
// ../shared/samples/state, which is not part of the repository.
func TestSamples(t *testing.T) {
	objects := sampleObjects(t)

	var names []string
	unknown := maps.Clone(objects)
	for _, r := range resources {
		names = append(names, r.name)
		delete(unknown, r.version.WithKind(r.kind))
	}
	t.Run("resources", func(t *testing.T) {
		for kind := range unknown {
			t.Errorf("no resource in the table for %s", kind)
		}
		if !slices.IsSorted(names) {
			t.Errorf("the table is not in the order of names: %q", names)
		}
	})

	everything := map[string][]string{"*": {"*"}}
	for name, tc := range map[string]struct {
		file    string
		all     bool // also resources that are off
		options Options
	}{
		"default": {"expected-default.txt", false, Options{}},
		"all": {"expected-all.txt", true, Options{Labels: everything, Annotations: everything, Keep: func(name string, optIn bool) bool {
			return !optIn || name == "kube_pod_nodeselectors" || name == "kube_persistentvolume_csi_attributes"
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			want, all := readExposition(t, sampleFile(t, tc.file)), len(unknown) == 0
			for _, r := range resources {
				if !tc.all && !r.on {
					continue
				}
				compared := false
				t.Run(r.name, func(t *testing.T) {
					compared = true
					compareResource(t, r, tc.options, objects[r.version.WithKind(r.kind)], want)
				})
				all = all && compared // unless -run chose others
			}
			for _, f := range want.order { // each resource has taken its own away
				if all && len(want.families[f].samples) > 0 {
					t.Errorf("no resource in the table says %s", f)
				}
			}
		})
	}
}

// compareResource compares the families of a resource with those of an exposition,
// and takes them away from it.
func compareResource(t *testing.T, r *resource, o Options, objects []json.RawMessage, want *exposition) {
	if len(objects) == 0 {
		t.Fatalf("%s is nowhere in the samples", r.kind)
	}
	n := newRenderer(r, o)
	texts := make([][]byte, len(n.chosen))
	var out rendering
	for _, raw := range objects {
		n.render(decodeSample(t, r, raw), &out)
		for i := range n.chosen {
			texts[i] = append(texts[i], out.of(i)...)
		}
	}
	var text []byte
	for i, f := range n.chosen {
		text = append(f.AppendHeader(text, expo.Text), texts[i]...)
	}
	got := parseExposition(t, text)

	var lastAt int
	for _, name := range got.order {
		g, w := got.families[name], want.families[name]
		if w == nil {
			t.Errorf("%s is not among the families wanted", name)
			continue
		}
		if w.at < lastAt {
			t.Errorf("%s is out of order", name)
		}
		lastAt = w.at
		if g.typ != w.typ {
			t.Errorf("%s is a %s, want %s", name, g.typ, w.typ)
		}
		wanted := slices.Clone(w.samples)
		if r.name == "leases" && name == "kube_lease_renew_time" { // the API server's own is renewed every 10 s
			own := func(s sample) bool { return strings.HasPrefix(s.series, `{lease="apiserver-`) }
			if len(g.samples) != len(wanted) {
				t.Errorf("%s: %d samples, want %d", name, len(g.samples), len(wanted))
			}
			g.samples, wanted = slices.DeleteFunc(g.samples, own), slices.DeleteFunc(wanted, own)
		}
		if a, b := sampleText(wanted), sampleText(g.samples); a != b {
			t.Errorf("%s:\n%s", name, testkit.Diff(a, b))
		}
		w.samples = nil
	}
}

// exposition is a text taken apart.
type exposition struct {
	order    []string
	families map[string]*textFamily
}

type textFamily struct {
	at      int // place in the text
	typ     string
	samples []sample
}

type sample struct {
	series string // `{a="b"}`
	value  float64
}

func sampleText(samples []sample) string {
	slices.SortFunc(samples, func(a, b sample) int { return strings.Compare(a.series, b.series) })
	var b []byte
	for _, s := range samples {
		b = append(append(b, s.series...), ' ')
		b = append(expo.AppendFloat(b, s.value), '\n')
	}
	return string(b)
}

func readExposition(t *testing.T, path string) *exposition {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseExposition(t, text)
}

func parseExposition(t *testing.T, text []byte) *exposition {
	t.Helper()
	e := &exposition{families: map[string]*textFamily{}}
	s := expo.NewScanner(text)
	for s.Next() {
		switch line := s.Line(); line.Kind {
		case expo.TypeLine:
			name := string(line.Name)
			e.families[name] = &textFamily{at: len(e.order), typ: string(line.Value)}
			e.order = append(e.order, name)
		case expo.Sample:
			v, err := line.Float()
			if err != nil {
				t.Fatal(err)
			}
			f := e.families[string(line.Name)]
			if f == nil {
				t.Fatalf("sample without a TYPE line: %s", line.Raw)
			}
			f.samples = append(f.samples, sample{"{" + string(line.Labels) + "}", v})
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return e
}

// sampleFile is the path of a file of the samples.
func sampleFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "samples", "state", name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there", path)
	}
	return path
}

// sampleObjects are the objects of the samples, as the API server had them.
func sampleObjects(t *testing.T) map[schema.GroupVersionKind][]json.RawMessage {
	t.Helper()
	text, err := os.ReadFile(sampleFile(t, "stored.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	objects := map[schema.GroupVersionKind][]json.RawMessage{}
	for line := range bytes.Lines(text) {
		var is v1.TypeMeta
		if err := json.Unmarshal(line, &is); err != nil {
			t.Fatal(err)
		}
		kind := schema.FromAPIVersionAndKind(is.APIVersion, is.Kind)
		objects[kind] = append(objects[kind], line)
	}
	return objects
}

// decodeSample is an object as its resource is fetched.
func decodeSample(t *testing.T, r *resource, raw []byte) v1.Object {
	t.Helper()
	var o v1.Object
	switch r.fetch {
	case fetchMetadata:
		o = &v1.PartialObjectMetadata{}
	case fetchColumns:
		var secret struct {
			v1.ObjectMeta `json:"metadata"`
			Type          string `json:"type"`
		}
		if err := json.Unmarshal(raw, &secret); err != nil {
			t.Fatal(err)
		}
		return &row{ObjectMeta: secret.ObjectMeta, columns: map[string]string{"Type": secret.Type}}
	default:
		scheme, err := newScheme()
		if err != nil {
			t.Fatal(err)
		}
		typed, err := scheme.New(r.version.WithKind(r.kind))
		if err != nil {
			t.Fatal(err)
		}
		o = typed.(v1.Object)
	}
	if err := json.Unmarshal(raw, o); err != nil {
		t.Fatalf("%s: %v", r.kind, err)
	}
	return o
}
