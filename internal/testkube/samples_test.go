package testkube

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// samples is a folder of objects and what an API server of the same version made of
// them when kubectl had loaded them. It is beside the repository, not in it.
const samples = "../../../shared/samples/state/"

// TestSamples holds that Load leaves in the cluster what kubectl create, replace
// --subresource=status and delete leave there.
func TestSamples(t *testing.T) {
	stored, err := os.ReadFile(samples + "stored.jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there", samples)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := Start(t, Options{})
	folder := os.DirFS(samples + "objects")
	c.Load(t, folder)
	objects, err := ReadObjects(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(stored))
	for lines.Buffer(nil, len(stored)); lines.Scan(); {
		var o unstructured.Unstructured
		if err := json.Unmarshal(lines.Bytes(), &o.Object); err != nil {
			t.Fatal(err)
		}
		want[id(&o)] = stable(t, &o)
	}
	l, err := newLoader(c)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, o := range objects {
		r, err := l.resource(o.Unstructured)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Get(t.Context(), o.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		expected, found := want[id(o.Unstructured)]
		if !found {
			continue // of a kind that was not kept
		}
		compared++
		if text := stable(t, got); text != expected {
			t.Errorf("%s is stored as\n%s\nkubectl had it stored as\n%s", o, text, expected)
		}
	}
	if compared < 100 {
		t.Errorf("%d objects compared, want at least 100 of %d", compared, len(objects))
	}
}

// id tells an object from all others.
func id(o *unstructured.Unstructured) string {
	return strings.Join([]string{o.GetKind(), o.GetNamespace(), o.GetName()}, "/")
}

// timestamp is a time in an object.
var timestamp = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)

// stable is an object as JSON without what differs between two loads: its uid,
// wherever it says it, its revision, and the times that the API server gave it, which
// are near that of its creation.
func stable(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	o = o.DeepCopy()
	uid, created := string(o.GetUID()), o.GetCreationTimestamp()
	o.SetResourceVersion("")
	o.SetManagedFields(nil)
	b, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), uid, "UID")
	return timestamp.ReplaceAllStringFunc(text, func(quoted string) string {
		at, err := time.Parse(`"`+time.RFC3339+`"`, quoted)
		if err == nil && at.Sub(created.Time).Abs() < 10*time.Minute {
			return `"LOAD"`
		}
		return quoted
	})
}
