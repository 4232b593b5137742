package kube

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"watchpost/internal/expo"
	"watchpost/internal/testkit"
	"watchpost/internal/testkube"
)

// The objects of testdata/objects, a railway that sells tickets, are for every
// resource of the table and, apart from the few below, every family of it.
const (
	objectsFolder = "testdata/objects"
	storedFile    = "testdata/stored.jsonl"
	expectedFile  = "testdata/expected.txt"
)

// unsaid are the families that no object of the folder has a sample of, and why: none.
var unsaid = map[string]string{}

// TestObjectsStoredGolden loads the objects into a real API server; what it makes of
// them is storedFile, one object a line.
func TestObjectsStoredGolden(t *testing.T) {
	c := testkube.Start(t, testkube.Options{})
	folder := os.DirFS(objectsFolder)
	c.Load(t, folder)
	objects, err := testkube.ReadObjects(folder)
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{} // those that the API server has made itself are left out
	for _, o := range objects {
		ours[o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName()] = true
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, r := range resources {
		list, err := client.Resource(r.version.WithResource(r.name)).List(t.Context(), v1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(list.Items, func(a, b unstructured.Unstructured) int {
			return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
		})
		found := 0
		for i := range list.Items {
			if o := &list.Items[i]; ours[o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName()] {
				out.WriteString(settled(t, o) + "\n")
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s has none of %s", objectsFolder, r.name)
		}
	}
	testkit.Golden(t, storedFile, out.Bytes())
}

// moment is a time in an object, to the second as the API server gives them.
var moment = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)

// settled is an object as JSON, with an identity, a revision and times that follow
// from its name instead of those that the API server gave it.
func settled(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	h := fnv.New64a()
	fmt.Fprint(h, o.GetKind(), "/", o.GetNamespace(), "/", o.GetName())
	n := h.Sum64()
	uid, created := string(o.GetUID()), o.GetCreationTimestamp()
	o.SetResourceVersion(strconv.FormatUint(n%1_000_000, 10))
	o.SetManagedFields(nil)
	b, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), uid, fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(n), uint16(n>>32), n>>16))
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n%(30*24*3600)) * time.Second)
	return moment.ReplaceAllStringFunc(text, func(quoted string) string {
		given, err := time.Parse(`"`+time.RFC3339+`"`, quoted)
		if err == nil && given.Sub(created.Time).Abs() < 10*time.Minute {
			return at.Format(`"` + time.RFC3339 + `"`)
		}
		return quoted
	})
}

// TestObjectsGolden renders the stored objects with everything on.
func TestObjectsGolden(t *testing.T) {
	objects := storedObjects(t)
	everything := map[string][]string{"*": {"*"}}
	options := Options{Labels: everything, Annotations: everything, Keep: func(string, bool) bool { return true }}
	var text []byte
	for _, r := range resources {
		n := newRenderer(r, options)
		samples := make([][]string, len(n.chosen))
		var out rendering
		for _, raw := range objects[r.kind] {
			n.render(decodeSample(t, r, raw), &out)
			for i := range n.chosen {
				for line := range strings.Lines(string(out.of(i))) {
					samples[i] = append(samples[i], line)
				}
			}
		}
		for i, f := range n.chosen {
			text = f.AppendHeader(text, expo.Text)
			slices.Sort(samples[i])
			for _, line := range samples[i] {
				text = append(text, line...)
			}
			reason, listed := unsaid[f.Name()]
			if said := len(samples[i]) > 0; said == listed {
				t.Errorf("%s: %d samples, and it is in the list of those without: %t %s", f.Name(), len(samples[i]), listed, reason)
			}
		}
	}
	once(t, text)
	testkit.Golden(t, expectedFile, text)
}

// once holds that no series is there twice.
func once(t *testing.T, text []byte) {
	t.Helper()
	seen := map[string]bool{}
	s := expo.NewScanner(text)
	for s.Next() {
		if l := s.Line(); l.Kind == expo.Sample {
			series := string(l.Name) + "{" + string(l.Labels) + "}"
			if seen[series] {
				t.Errorf("twice: %s", series)
			}
			seen[series] = true
		}
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

// storedObjects are the lines of storedFile by kind.
func storedObjects(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(storedFile))
	if err != nil {
		t.Fatalf("%v; `make golden` writes it", err)
	}
	objects := map[string][]json.RawMessage{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Buffer(nil, len(text)+1); lines.Scan(); {
		raw := slices.Clone(lines.Bytes())
		var is v1.TypeMeta
		if err := json.Unmarshal(raw, &is); err != nil {
			t.Fatal(err)
		}
		objects[is.Kind] = append(objects[is.Kind], raw)
	}
	return objects
}
