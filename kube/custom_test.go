package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"watchpost/internal/expo"
	"watchpost/internal/testkit"
)

// customObject makes an object of YAML.
func customObject(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(b, &u.Object); err != nil { // numbers as the API's decoder has them
		t.Fatal(err)
	}
	return u
}

// customResource is the resource of an object, by a configuration.
func customResource(t testing.TB, config string, u *unstructured.Unstructured, log io.Writer) (*resource, *CustomStats) {
	t.Helper()
	c, err := ParseCustom([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	stats := NewCustomStats(slog.New(slog.NewTextHandler(log, nil)))
	gvk := u.GroupVersionKind()
	d := definition{group: gvk.Group, kind: gvk.Kind, plural: strings.ToLower(gvk.Kind) + "s", namespaced: u.GetNamespace() != ""}
	r := c.resourceOf(d, gvk.Version, stats)
	if r == nil {
		t.Fatalf("the configuration is not about %s", gvk)
	}
	return r, stats
}

// customFoo is the object of most cases.
const customFoo = `
apiVersion: example.org/v1
kind: Foo
metadata:
  name: one
  namespace: shop
  creationTimestamp: "2022-06-28T00:00:00Z"
  labels: {app: desk, tier/x: front}
  annotations: {note: "a \"b\""}
spec:
  replicas: 3
  ratio: 43.21
  paused: false
  version: v1.2
  cpu: 250m
  memory: 5Gi
  share: 28%
  wait: 1h30m
  refs: [two, three]
  order: [{id: 1, on: true}, {id: 3, on: false}]
status:
  phase: Pending
  active: {a: 1, b: 3}
  sub:
    a: {active: 1, ready: 2}
    b: {active: 3, ready: 4}
  conditions:
    - {type: Ready, status: "True", lastTransitionTime: "2022-06-28T00:00:10Z"}
    - {type: Stalled, status: Unknown}
`

// customCase is one metric of a configuration, and what it makes of customFoo.
// kube-state-metrics 2.18 says the same of each, but for those marked ours.
type customCase struct {
	name, metric string // the metric as YAML in one line, without name and help
	entry        string // what the entry has beside
	want         string // without the labels that all have
	faults       float64
	ours         bool
}

var customCases = []customCase{
	{name: "number", metric: `each: {type: Gauge, gauge: {path: [spec, replicas]}}`, want: `m{} 3`},
	{name: "type in any case", metric: `each: {type: gauge, gauge: {path: [spec, ratio]}}`, want: `m{} 43.21`},
	{name: "truth", metric: `each: {type: Gauge, gauge: {path: [spec, paused]}}`, want: `m{} 0`},
	{name: "time", metric: `each: {type: Gauge, gauge: {path: [metadata, creationTimestamp]}}`, want: `m{} 1656374400`},
	{name: "quantity", metric: `each: {type: Gauge, gauge: {path: [spec, cpu]}}`, want: `m{} 0.25`},
	{name: "binary quantity", metric: `each: {type: Gauge, gauge: {path: [spec, memory]}}`, want: `m{} 5368709120`},
	{name: "percentage", metric: `each: {type: Gauge, gauge: {path: [spec, share]}}`, want: `m{} 0.28`},
	{name: "duration", metric: `each: {type: Gauge, gauge: {path: [spec, wait], valueType: duration}}`, want: `m{} 5400`, ours: true},
	{name: "duration as a number", metric: `each: {type: Gauge, gauge: {path: [spec, wait]}}`, faults: 1},
	{name: "text", metric: `each: {type: Gauge, gauge: {path: [spec, version]}}`, faults: 1},
	{name: "nothing", metric: `each: {type: Gauge, gauge: {path: [spec, none]}}`, faults: 1},
	{name: "nothing is zero", metric: `each: {type: Gauge, gauge: {path: [spec, none], nilIsZero: true}}`, want: `m{} 0`},
	{name: "no valueFrom", metric: `each: {type: Gauge, gauge: {path: [spec, order], valueFrom: [none]}}`},
	{name: "index", metric: `each: {type: Gauge, gauge: {path: [spec, order, "0", on]}}`, want: `m{} 1`},
	{name: "index as a number", metric: `each: {type: Gauge, gauge: {path: [spec, order, 1, id]}}`, want: `m{} 3`},
	{name: "index from the end", metric: `each: {type: Gauge, gauge: {path: [spec, order, "-1", id]}}`, want: `m{} 3`},
	{name: "index behind the end", metric: `each: {type: Gauge, gauge: {path: [spec, order, "2"]}}`, faults: 1},
	{name: "filter by text", metric: `each: {type: Gauge, gauge: {path: [status, conditions, "[type=Ready]", status]}}`, want: `m{} 1`},
	{name: "filter by number", metric: `each: {type: Gauge, gauge: {path: [spec, order, "[id=3]", on]}}`, want: `m{} 0`},
	{name: "filter by truth", metric: `each: {type: Gauge, gauge: {path: [spec, order, "[on=true]", id]}}`, want: `m{} 1`},
	{name: "map", metric: `each: {type: Gauge, gauge: {path: [status, active], labelFromKey: type}}`, want: `
		m{type="a"} 1
		m{type="b"} 3`},
	{name: "map of maps", metric: `each: {type: Gauge, gauge: {path: [status, sub], labelFromKey: type, valueFrom: [ready], labelsFromPath: {active: [active]}}}`, want: `
		m{active="1",type="a"} 2
		m{active="3",type="b"} 4`},
	{name: "valueFrom names a field of the map", metric: `each: {type: Gauge, gauge: {path: [metadata], valueFrom: [creationTimestamp], labelsFromPath: {name: [name]}}}`,
		want: `m{name="one"} 1656374400`},
	{name: "list", metric: `each: {type: Gauge, gauge: {path: [status, conditions], valueFrom: [status], labelsFromPath: {type: [type]}}}`, want: `
		m{type="Ready"} 1
		m{type="Stalled"} 0`},
	{name: "list with a gap", metric: `each: {type: Gauge, gauge: {path: [status, conditions], valueFrom: [lastTransitionTime], labelsFromPath: {type: [type]}}}`,
		want: `m{type="Ready"} 1656374410`},
	{name: "same labels", metric: `each: {type: Gauge, gauge: {path: [spec, order], valueFrom: [id]}}`, want: `m{} 1`, faults: 1, ours: true},
	{name: "labels", entry: `commonLabels: {team: x, over: entry}, labelsFromPath: {name: [metadata, name], none: [spec, none]}`,
		metric: `commonLabels: {over: metric}, labelsFromPath: {app: [metadata, labels, app]}, each: {type: Gauge, gauge: {path: [spec, replicas]}}`,
		want:   `m{app="desk",name="one",over="metric",team="x"} 3`},
	{name: "stars", metric: `labelsFromPath: {"*": [metadata, labels], "note_*": [metadata, annotations], "*2": [metadata, annotations], app: [metadata, name]}, each: {type: Gauge, gauge: {path: [spec, replicas]}}`,
		want: `m{app="one",note="a \"b\"",note_note="a \"b\"",tier_x="front"} 3`},
	{name: "label of a map and of a number", metric: `labelsFromPath: {active: [status, active], ratio: [spec, ratio], "n-m": [spec, paused]}, each: {type: Gauge, gauge: {path: [spec, replicas]}}`,
		want: `m{active="map[a:1 b:3]",n_m="false",ratio="43.21"} 3`},
	{name: "label where the value is wanted", metric: `labelsFromPath: {app: [metadata, labels, app=desk], other: [metadata, labels, app=none]}, each: {type: Gauge, gauge: {path: [spec, replicas]}}`,
		want: `m{app="desk"} 3`},
	{name: "label behind the end", metric: `labelsFromPath: {id: [spec, order, "7", id], order: [spec, order, "7"]}, each: {type: Gauge, gauge: {path: [spec, replicas]}}`,
		want: `m{} 3`, faults: 1, ours: true},
	{name: "label with a digit first", metric: `labelsFromPath: {2nd: [metadata, name]}, each: {type: Gauge, gauge: {path: [spec, replicas]}}`,
		want: `m{_2nd="one"} 3`, ours: true},
	{name: "info", metric: `each: {type: Info, info: {labelsFromPath: {version: [spec, version]}}}`, want: `m{version="v1.2"} 1`},
	{name: "info of nothing", metric: `each: {type: Info, info: {path: [none], labelsFromPath: {version: [spec, version]}}}`},
	{name: "info without labels", metric: `each: {type: Info, info: {labelsFromPath: {version: [none]}}}`},
	{name: "info of a list", metric: `each: {type: Info, info: {path: [spec, refs], labelsFromPath: {ref: []}}}`, want: `
		m{ref="three"} 1
		m{ref="two"} 1`},
	{name: "info by keys", metric: `each: {type: Info, info: {path: [status, active], labelFromKey: type}}`, want: `
		m{type="a"} 1
		m{type="b"} 1`},
	{name: "info of the elements of a map", metric: `each: {type: Info, info: {path: [status, sub], labelsFromPath: {ready: [ready]}}}`, want: `
		m{ready="2"} 1
		m{ready="4"} 1`},
	{name: "states", metric: `each: {type: StateSet, stateSet: {labelName: phase, path: [status, phase], list: [Pending, Done]}}`, want: `
		m{phase="Done"} 0
		m{phase="Pending"} 1`},
	{name: "states of a list", metric: `each: {type: StateSet, stateSet: {labelName: status, path: [status, conditions], valueFrom: [status], labelsFromPath: {type: [type]}, list: ["True", Unknown]}}`, want: `
		m{status="True",type="Ready"} 1
		m{status="True",type="Stalled"} 0
		m{status="Unknown",type="Ready"} 0
		m{status="Unknown",type="Stalled"} 1`},
	{name: "states of nothing", metric: `each: {type: StateSet, stateSet: {labelName: phase, path: [spec, phase], list: [Pending]}}`, faults: 1},
	{name: "states of no status yet", metric: `each: {type: StateSet, stateSet: {labelName: phase, path: [status, none], list: [Pending]}}`},
	{name: "states of a number", metric: `each: {type: StateSet, stateSet: {labelName: phase, path: [spec, replicas], list: ["3"]}}`, faults: 1},
}

// config is the case as a whole configuration.
func (c customCase) config() string {
	entry := "groupVersionKind: {group: example.org, version: v1, kind: Foo}, metricNamePrefix: ''"
	if c.entry != "" {
		entry += ", " + c.entry
	}
	return "{kind: CustomResourceStateMetrics, spec: {resources: [{" + entry + ", metrics: [{name: m, help: h, " + c.metric + "}]}]}}"
}

// customWant puts the labels that all have among those of each wanted line.
func customWant(want string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(strings.TrimSpace(want), "\t", "")) {
		name, rest, ok := strings.Cut(line, "{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		pairs := []string{`customresource_group="example.org"`, `customresource_kind="Foo"`, `customresource_version="v1"`}
		if labels != "" {
			sc := expo.NewScanner([]byte(line))
			sc.Next()
			for n, v := range sc.Line().Pairs {
				pairs = append(pairs, fmt.Sprintf(`%s="%s"`, n, v))
			}
		}
		slices.Sort(pairs)
		fmt.Fprintf(&out, "%s{%s} %s\n", name, strings.Join(pairs, ","), strings.TrimSpace(value))
	}
	return out.String()
}

func TestCustom(t *testing.T) {
	for _, tc := range customCases {
		t.Run(tc.name, func(t *testing.T) {
			u := customObject(t, customFoo)
			r, stats := customResource(t, tc.config(), u, io.Discard)
			if got, want := rendered(r, Options{}, u), customWant(tc.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if n := customFaults(t, stats); n != tc.faults {
				t.Errorf("%v faults counted, want %v", n, tc.faults)
			}
		})
	}
}

// customFaults is how many faults were counted.
func customFaults(t testing.TB, stats *CustomStats) (n float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(stats.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "kube_state_metrics_custom_resource_state_errors_total" {
			for _, m := range f.Metric {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestCustomNames(t *testing.T) {
	const metric = "{name: m, each: {type: Gauge, gauge: {path: [spec, replicas]}}}"
	u := customObject(t, customFoo)
	for prefix, want := range map[string]string{"": "kube_customresource_m", "metricNamePrefix: my,": "my_m", "metricNamePrefix: ~,": "kube_customresource_m", `metricNamePrefix: "",`: "m"} {
		r, _ := customResource(t, "spec: {resources: [{groupVersionKind: {group: example.org}, "+prefix+" metrics: ["+metric+"]}]}", u, io.Discard)
		if got := r.families[0].Name(); got != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}

// Metrics of one name are one family, whichever entries they are of.
func TestCustomSameName(t *testing.T) {
	u := customObject(t, customFoo)
	r, stats := customResource(t, `
spec:
  resources:
    - groupVersionKind: {group: example.org, version: v1, kind: Foo}
      metricNamePrefix: ""
      metrics:
        - {name: m, help: first, commonLabels: {unit: core}, each: {type: Gauge, gauge: {path: [spec, cpu]}}}
        - {name: other, each: {type: Gauge, gauge: {path: [spec, replicas]}}}
        - {name: m, help: second, commonLabels: {unit: byte}, each: {type: Gauge, gauge: {path: [spec, memory]}}}
    - groupVersionKind: {group: example.org, version: v2}
      metrics: [{name: no, each: {type: Gauge, gauge: {path: [spec, replicas]}}}]
    - groupVersionKind: {group: example.org, kind: "*"}
      metricNamePrefix: ""
      metrics: [{name: m, each: {type: Gauge, gauge: {path: [spec, replicas]}}}]
`, u, io.Discard)
	want := customWant(`
		m{unit="byte"} 5368709120
		m{unit="core"} 0.25
		m{} 3
		other{} 3`)
	lines := strings.SplitAfter(rendered(r, Options{}, u), "\n")
	slices.Sort(lines)
	wanted := strings.SplitAfter(want, "\n")
	slices.Sort(wanted)
	if !slices.Equal(lines, wanted) {
		t.Errorf("got %q, want %q", lines, wanted)
	}
	if len(r.families) != 2 || customFaults(t, stats) != 0 {
		t.Errorf("%d families, %v faults", len(r.families), customFaults(t, stats))
	}
	if header := string(r.families[0].AppendHeader(nil, expo.Text)); header != "# HELP m first\n# TYPE m gauge\n" {
		t.Errorf("header %q", header)
	}
}

func TestCustomTrueOnly(t *testing.T) {
	u := customObject(t, customFoo)
	r, _ := customResource(t, customCase{metric: `each: {type: StateSet, stateSet: {labelName: phase, path: [status, phase], list: [Pending, Done]}}`}.config(), u, io.Discard)
	if got, want := rendered(r, Options{TrueOnly: true}, u), customWant(`m{phase="Pending"} 1`); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A fault is counted each time and logged once, by its metric and its reason.
func TestCustomFaults(t *testing.T) {
	u := customObject(t, customFoo)
	var log bytes.Buffer
	r, stats := customResource(t, `
spec:
  resources:
    - groupVersionKind: {group: example.org}
      metrics:
        - {name: bad, each: {type: Gauge, gauge: {path: [spec, version]}}}
        - {name: quiet, errorLogV: 5, each: {type: Gauge, gauge: {path: [none]}}}
        - {name: good, each: {type: Gauge, gauge: {path: [spec, replicas]}}}
`, u, &log)
	for range 3 {
		if got := rendered(r, Options{}, u); !strings.HasPrefix(got, "kube_customresource_good{") || strings.Count(got, "\n") != 1 {
			t.Errorf("got %q", got)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), `family=kube_customresource_bad reason=value namespace=shop name=one path="[spec, version]"`) {
		t.Errorf("logged %q", log.String())
	}
	for labels, want := range map[[3]string]float64{
		{"foos.v1.example.org", "kube_customresource_bad", "value"}:     3,
		{"foos.v1.example.org", "kube_customresource_quiet", "missing"}: 3,
	} {
		if n := testutil.ToFloat64(stats.errors.WithLabelValues(labels[:]...)); n != want {
			t.Errorf("%v: %v, want %v", labels, n, want)
		}
	}
}

// A panic costs the object's samples of the family that it is in.
func TestCustomPanic(t *testing.T) {
	u := customObject(t, customFoo)
	r, stats := customResource(t, customCases[0].config(), u, io.Discard)
	bad := &customFamily{Family: expo.Gauge("bad", ""), parts: []*customPart{{
		resource: "r", family: "bad", stats: stats, each: func(_ *customPart, s *customScratch, _ any) {
			s.begin()
			s.end(1)
			panic("a fault of the program")
		}}}}
	r.families = slices.Insert(r.families, 0, family{Family: bad.Family, write: bad.write})
	for range 2 {
		if got, want := rendered(r, Options{}, u), customWant(`m{} 3`); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := testutil.ToFloat64(stats.errors.WithLabelValues("r", "bad", "panic")); n != 2 {
		t.Errorf("%v panics counted, want 2", n)
	}
}

func TestCustomRefused(t *testing.T) {
	const head = "spec:\n  resources:\n    - groupVersionKind: {group: example.org, kind: Foo, version: v1}\n"
	metric := func(s string) string {
		return head + "      metrics:\n        - {name: good, each: {type: Info, info: {}}}\n        - {" + s + "}\n"
	}
	for name, tc := range map[string]struct{ config, want string }{
		"empty":            {"", "the configuration is empty"},
		"not yaml":         {"spec: [", "line 1: did not find expected node content"},
		"two documents":    {"spec: {}\n---\nspec: {}\n", "more than one YAML document"},
		"other kind":       {"kind: Deployment\nspec: {}", `kind is "Deployment"`},
		"wrong shape":      {metric("name: a, each: {type: Gauge, gauge: {path: {a: b}}}"), "line 6: cannot unmarshal !!map"},
		"no group":         {"spec:\n  resources:\n    - metrics: []\n", "line 3: spec.resources[0]: groupVersionKind.group has to be named"},
		"any group":        {"spec: {resources: [{groupVersionKind: {group: '*'}}]}", "spec.resources[0]: groupVersionKind.group has to be named"},
		"no name":          {metric("each: {type: Info, info: {}}"), `line 6: spec.resources[0].metrics[1]: name: "kube_customresource_"`},
		"bad name":         {metric("name: a-b, each: {type: Info, info: {}}"), `"kube_customresource_a-b" is no name for a metric`},
		"no type":          {metric("name: a"), `each.type: "" is none of Gauge, Info and StateSet`},
		"no gauge":         {metric("name: a, each: {type: Gauge}"), "the type is Gauge and there is no gauge"},
		"no info":          {metric("name: a, each: {type: Info}"), "the type is Info and there is no info"},
		"no state set":     {metric("name: a, each: {type: StateSet}"), "the type is StateSet and there is no stateSet"},
		"no state label":   {metric("name: a, each: {type: StateSet, stateSet: {list: [a]}}"), `labelName: ""`},
		"state twice":      {metric("name: a, each: {type: StateSet, stateSet: {labelName: l, list: [a, a]}}"), `"a" is in it twice`},
		"bad key label":    {metric("name: a, each: {type: Gauge, gauge: {labelFromKey: a-b}}"), `labelFromKey: "a-b"`},
		"bad common label": {metric("name: a, commonLabels: {a-b: c}, each: {type: Info, info: {}}"), `commonLabels: "a-b"`},
		"bad entry label":  {head + "      commonLabels: {0: c}\n", `line 3: spec.resources[0]: commonLabels: "0"`},
		"empty label":      {metric("name: a, labelsFromPath: {'': [c]}, each: {type: Info, info: {}}"), `"" is no name for a label`},
		"bad filter":       {metric("name: a, each: {type: Gauge, gauge: {path: ['[a]']}}"), `each: path: "[a]" is no filter`},
		"bad label filter": {metric("name: a, each: {type: Gauge, gauge: {labelsFromPath: {b: ['[a]']}}}"), `labelsFromPath: "b": "[a]" is no filter`},
		"bad value filter": {metric("name: a, each: {type: Gauge, gauge: {valueFrom: ['[]']}}"), `each: valueFrom: "[]" is no filter`},
		"bad value type":   {metric("name: a, each: {type: Gauge, gauge: {valueType: time}}"), `valueType: "time"`},
		"too long":         {strings.Repeat("#", maxCustom+1), "at most 4194304 are read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseCustom([]byte(tc.config))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "custom resources: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
		})
	}
}

// Fields that the format does not have are told and count for nothing.
func TestCustomUnknownFields(t *testing.T) {
	const text = `kind: CustomResourceStateMetrics
metadata: {name: widgets}
spec:
  resources:
    - groupVersionKind: {group: example.org, kind: Foo, version: v1}
      metricPrefix: x
      metrics:
        - {name: good, each: {type: Gauge, gauge: {path: [spec, replicas], valueform: [b]}}}
`
	c, err := ParseCustom([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.Unknown(), "; "), `line 2: "metadata"; line 6: "metricPrefix"; line 8: "valueform"`; got != want {
		t.Errorf("unknown: %s, want %s", got, want)
	}
	u := customObject(t, customFoo)
	r, _ := customResource(t, text, u, io.Discard)
	if got := rendered(r, Options{}, u); !strings.HasPrefix(got, "kube_customresource_good{") {
		t.Errorf("said: %s", got)
	}
	c, err = ParseCustom([]byte("spec: {resources: []}"))
	if err != nil || len(c.Unknown()) > 0 {
		t.Errorf("unknown: %q %v", c.Unknown(), err)
	}
	c, err = ParseCustom([]byte("spec: {}\n" + strings.Repeat("x: 1\n", 1)))
	if err != nil || len(c.Unknown()) != 1 {
		t.Errorf("unknown: %q %v", c.Unknown(), err)
	}
}

// The examples render the objects beside them without a fault, and have no field that
// the format does not have.
func TestCustomExamples(t *testing.T) {
	files, err := filepath.Glob("../docs/examples/custom-resources/*.objects.yaml")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".objects.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			config, err := os.ReadFile(name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			objects, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got, log bytes.Buffer
			written := map[string]bool{}
			for text := range strings.SplitSeq(string(objects), "\n---\n") {
				u := customObject(t, text)
				r, _ := customResource(t, string(config), u, &log)
				got.WriteString(rendered(r, Options{}, u))
				var out rendering
				n := newRenderer(r, Options{})
				n.render(u, &out)
				for i, f := range n.chosen {
					written[f.Name()] = written[f.Name()] || len(out.of(i)) > 0
				}
			}
			if log.Len() > 0 {
				t.Errorf("logged %s", log.String())
			}
			for family, ok := range written {
				if !ok {
					t.Errorf("no object has samples of %s", family)
				}
			}
			testkit.Golden(t, name+".metrics.txt", got.Bytes())
		})
	}
}

func TestCustomNumbers(t *testing.T) {
	for text, want := range map[string]float64{
		"TRUE": 1, "yes": 1, "No": 0, "unknown": 0, "2022-06-28T00:00:00Z": 1656374400, "2022-06-28T02:00:00.9+02:00": 1656374400,
		"1": 1, "-2.5": -2.5, "1e3": 1000, "100m": 0.1, "2k": 2000, "1Ki": 1024, "150%": 1.5, "0x10": math.NaN(), "1.5%": math.NaN(), "%": math.NaN(), "": math.NaN(), "NaN": math.NaN(),
		"-Inf": math.Inf(-1), "2022-06-28": math.NaN(),
	} {
		got, err := numberOf(text, false)
		if err != nil {
			got = math.NaN()
		}
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%q: %v (%v), want %v", text, got, err, want)
		}
	}
	if _, err := numberOf(nil, false); !errors.Is(err, errNil) {
		t.Errorf("of nil: %v", err)
	}
	if _, err := numberOf([]any{1}, true); err == nil {
		t.Error("a list is a number")
	}
}

func FuzzParseCustom(f *testing.F) {
	for _, tc := range customCases {
		f.Add([]byte(tc.config()))
	}
	files, _ := filepath.Glob("../docs/examples/custom-resources/*.yaml")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	u := customObject(f, customFoo)
	f.Fuzz(func(t *testing.T, config []byte) {
		c, err := ParseCustom(config)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		stats := NewCustomStats(slog.New(slog.DiscardHandler))
		for _, e := range c.entries { // what is accepted can be made into resources, and says what a parser reads
			d := definition{group: e.GroupVersionKind.Group, kind: e.GroupVersionKind.Kind, plural: "foos"}
			if r := c.resourceOf(d, e.GroupVersionKind.Version, stats); r != nil {
				checkCustomText(t, rendered(r, Options{}, u))
			}
		}
	})
}

// checkCustomText fails where the text is no exposition text, or has a series twice.
func checkCustomText(t *testing.T, text string) {
	t.Helper()
	seen := map[string]bool{}
	sc := expo.NewScanner([]byte(text))
	for sc.Next() {
		l := sc.Line()
		series := string(l.Name) + "{" + string(l.Labels) + "}"
		if seen[series] {
			t.Errorf("twice: %s", series)
		}
		seen[series] = true
		names := map[string]bool{}
		for name := range l.Pairs {
			if names[string(name)] || !validLabel(string(name)) {
				t.Errorf("label %q of %s", name, series)
			}
			names[string(name)] = true
		}
	}
	if err := sc.Err(); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

func FuzzCustomRender(f *testing.F) {
	foo, err := json.Marshal(customObject(f, customFoo).Object)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(foo, "status/sub", "ready", "active", byte(0))
	f.Add(foo, "status/conditions/[type=Ready]", "status", "type", byte(1))
	f.Add(foo, "spec/order/-1", "id=1", "", byte(2))
	f.Add([]byte(`{"a":[[],{"":{"__name__":null}},"x"]}`), "a/1", "", "", byte(3))
	f.Fuzz(func(t *testing.T, object []byte, at, from, label string, kind byte) {
		u := &unstructured.Unstructured{}
		if json.Unmarshal(object, &u.Object) != nil || u.Object == nil {
			return
		}
		split := func(s string) []string {
			if s == "" {
				return []string{}
			}
			return strings.Split(s, "/")
		}
		labels := map[string][]string{"l": split(label), "*": split(at), "p_*": split(label)}
		var m customMetric
		m.Name, m.LabelsFromPath = "m", labels
		m.Each.Type = []string{"Gauge", "Info", "StateSet"}[kind%3]
		meta := customMeta{Path: split(at), LabelsFromPath: labels}
		m.Each.Gauge = &customGauge{customMeta: meta, ValueFrom: split(from), LabelFromKey: "key"}
		m.Each.Gauge.NilIsZero = kind >= 128
		m.Each.Info = &customInfo{customMeta: meta, LabelFromKey: "key"}
		m.Each.StateSet = &customStateSet{customMeta: meta, ValueFrom: split(from), LabelName: "state", List: []string{"a", "b"}}
		e := customEntry{Metrics: []customMetric{m}}
		e.GroupVersionKind.Group = "g"
		if _, err := e.check(); err != nil {
			return
		}
		c := CustomConfig{entries: []customEntry{e}}
		stats := NewCustomStats(slog.New(slog.DiscardHandler))
		r := c.resourceOf(definition{group: "g"}, "v1", stats)
		checkCustomText(t, rendered(r, Options{}, u))
		for _, reason := range []string{"panic"} {
			if n := testutil.ToFloat64(stats.errors.WithLabelValues(".v1.g", "kube_customresource_m", reason)); n != 0 {
				t.Errorf("%v of %s", n, reason)
			}
		}
	})
}

func BenchmarkCustom(b *testing.B) {
	config, err := os.ReadFile("../docs/examples/custom-resources/cert-manager.yaml")
	if err != nil {
		b.Fatal(err)
	}
	objects, err := os.ReadFile("../docs/examples/custom-resources/cert-manager.objects.yaml")
	if err != nil {
		b.Fatal(err)
	}
	u := customObject(b, strings.Split(string(objects), "\n---\n")[0])
	r, _ := customResource(b, string(config), u, io.Discard)
	n, out := newRenderer(r, Options{}), &rendering{}
	n.render(u, out)
	b.SetBytes(int64(len(out.text)))
	b.ReportAllocs()
	for b.Loop() {
		n.render(u, out)
	}
}
