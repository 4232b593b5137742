package kube

import (
	"reflect"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"watchpost/internal/expo"
)

// FuzzRender fills an object of one of the resources with arbitrary text and numbers,
// in every field there is: what is rendered reads back, with the object's own
// labels as they were, no label twice in a sample and no series twice.
func FuzzRender(f *testing.F) {
	for i := range resources {
		f.Add(uint8(i), "web-1", `"} 1`, "Ready", "True", "nvidia.com/gpu", int64(300))
		f.Add(uint8(i), "\\", "\n", "\xff", "DisruptionTarget", "cpu", int64(-1))
		f.Add(uint8(i), "", "10.0.0.1", "PodScheduled", "False", "hugepages-2Mi", int64(1)<<62)
		f.Add(uint8(i), "a_b", "a-b", "a.b", "Always", "0 0 13 * 5", int64(0))
	}
	scheme, err := newScheme()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d, e string, n int64) {
		r := resources[int(which)%len(resources)]
		fill := filler{texts: []string{a, b, c, d, e}, n: n}
		renderFilled(t, r, newFilled(t, scheme, r, &fill))
	})
}

// newFilled is an object of a resource, filled.
func newFilled(t *testing.T, scheme *runtime.Scheme, r *resource, fill *filler) v1.Object {
	switch r.fetch {
	case fetchMetadata:
		o := &v1.PartialObjectMetadata{}
		fill.value(reflect.ValueOf(o).Elem(), 0)
		return o
	case fetchColumns:
		o := &row{columns: map[string]string{"Type": fill.text()}}
		fill.value(reflect.ValueOf(&o.ObjectMeta).Elem(), 0)
		return o
	}
	o, err := scheme.New(r.version.WithKind(r.kind))
	if err != nil {
		t.Fatal(err)
	}
	fill.value(reflect.ValueOf(o).Elem(), 0)
	return o.(v1.Object)
}

func renderFilled(t *testing.T, r *resource, o v1.Object) {
	every := map[string][]string{"*": {"*"}}
	n := newRenderer(r, Options{Labels: every, Annotations: every, PodLabels: []string{"*"}, Sidecars: true, Keep: func(string, bool) bool { return true }})
	var out rendering
	n.render(o, &out)
	if out.ends[len(out.ends)-1] != len(out.text) {
		t.Fatalf("%s: %d families end at %v of %d", r.name, len(n.chosen), out.ends, len(out.text))
	}
	identity := map[string]string{}
	for i, v := range n.values(o) {
		identity[r.labels[i]] = asUTF8(v)
	}
	seen := map[string]bool{}
	for i, f := range n.chosen {
		s := expo.NewScanner(out.of(i))
		for s.Next() {
			line := s.Line()
			if line.Kind != expo.Sample || string(line.Name) != f.Name() {
				t.Fatalf("%s: not a sample of %s: %q", r.name, f.Name(), line.Raw)
			}
			if _, err := line.Float(); err != nil {
				t.Fatal(err)
			}
			labels := map[string]string{}
			for name, value := range line.Pairs {
				if _, twice := labels[string(name)]; twice || !expo.ValidName(string(name)) {
					t.Fatalf("label %q twice, or no name: %s", name, line.Raw)
				}
				labels[string(name)] = expo.Unescape(value)
			}
			for name, want := range identity {
				if labels[name] != want {
					t.Fatalf("%s is %q, want %q: %s", name, labels[name], want, line.Raw)
				}
			}
			series := string(line.Name) + string(line.Labels)
			if seen[series] {
				t.Fatalf("twice: %s", line.Raw)
			}
			seen[series] = true
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
}

// asUTF8 is s with U+FFFD for each byte that is not UTF-8.
func asUTF8(s string) string { return string([]rune(s)) }

// filler gives out texts and numbers in turn.
type filler struct {
	texts []string
	n     int64
	given int
}

func (f *filler) text() string {
	f.given++
	return f.texts[f.given%len(f.texts)]
}

// maxDepth bounds types that hold themselves.
const maxDepth = 12

// value fills all that v holds: lists have three elements, deep ones one; maps up to two.
func (f *filler) value(v reflect.Value, depth int) {
	if depth > maxDepth || !v.CanSet() {
		return
	}
	f.given++
	number := f.n >> (f.given % 8)
	switch v.Interface().(type) {
	case v1.Time:
		v.Set(reflect.ValueOf(v1.Unix(number, 0)))
		return
	case v1.MicroTime:
		v.Set(reflect.ValueOf(v1.NewMicroTime(time.Unix(number, 0))))
		return
	case quantity.Quantity:
		v.Set(reflect.ValueOf(*quantity.NewMilliQuantity(number, quantity.DecimalSI)))
		return
	case core.PodTemplateSpec, core.EphemeralContainer, v1.ManagedFieldsEntry: // large, and nothing reads them
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.text())
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(number)
	case reflect.Uint8:
		v.SetUint(uint64(number) % 256)
	case reflect.Bool:
		v.SetBool(f.given%3 == 0)
	case reflect.Pointer:
		if f.given%5 > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.value(v.Elem(), depth+1)
		}
	case reflect.Slice:
		n := 3
		if depth > 5 {
			n = 1
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range v.Len() {
			f.value(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.value(key, depth+1)
			f.value(value, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.value(v.Field(i), depth+1)
		}
	}
}
