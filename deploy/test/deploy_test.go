// Package test holds deploy/ to what it promises: kustomize and Helm make the same
// objects, of which every field is known and none is deprecated, a real API server takes
// them, at the levels of pod security that the namespaces have, and the rights are those
// that are asked for. It is a module of its own: neither kustomize nor Helm is for the programs.
package test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"watchpost/deploy/test/render"
)

var update = flag.Bool("update", false, "write deploy/watchpost.yaml anew")

// variant is a way to install the suite: components of kustomize, and the values by which
// the chart does the same.
type variant struct {
	name       string
	components []string
	values     string
	overlay    bool // there is one of that name
}

var variants = []variant{
	{name: "base"},
	{"nodeport", []string{"nodeport"}, "collector: {nodePort: 30900}", true},
	{"ingress", []string{"ingress"}, "collector: {ingress: {host: watchpost.example.com}}", true},
	{"sharded", []string{"sharded-state", "sharded-collector"}, "{stateAgent: {shards: 2}, collector: {shards: 2}}", true},
	{"remote-write", []string{"remote-write"}, "collector: {remoteWrite: [{url: https://metrics.example.com/api/v1/write}]}", true},
	{"trial", []string{"ephemeral", "nodeport"}, "collector: {nodePort: 30900, storage: {ephemeral: true}}", true},
	{"prometheus-operator", []string{"agents-only", "prometheus-operator"}, "{collector: {enabled: false}, monitors: true}", true},
	{"secrets", []string{"secrets"}, "stateAgent: {secrets: true}", false},
	{"kubelet-ca", []string{"kubelet-ca"}, "cadvisorProxy: {kubeletCA: true}", false},
	{"node-root", []string{"node-root"}, "nodeAgent: {root: true}", false},
	{"beside", []string{"beside"}, "nodeAgent: {port: 9109}", false},
	{"probe", []string{"probe"}, "collector: {probe: true}", false},
	{"everything", []string{"sharded-state", "secrets", "kubelet-ca", "node-root", "sharded-collector", "probe", "remote-write", "ingress", "prometheus-operator"},
		"{stateAgent: {shards: 2, secrets: true}, cadvisorProxy: {kubeletCA: true}, nodeAgent: {root: true}, monitors: true, " +
			"collector: {shards: 2, probe: true, remoteWrite: [{url: https://metrics.example.com/api/v1/write}], ingress: {host: watchpost.example.com}}}", false},
}

// Every folder is in the table.
func TestFolders(t *testing.T) {
	var components, overlays []string
	for _, v := range variants {
		components = append(components, v.components...)
		if v.overlay {
			overlays = append(overlays, v.name)
		}
	}
	for folder, known := range map[string][]string{"../components": components, "../overlays": overlays} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains(known, e.Name()) {
				t.Errorf("%s/%s is in no variant", folder, e.Name())
			}
		}
	}
	slices.Sort(components)
	for _, c := range slices.Compact(components) {
		if _, err := os.Stat(filepath.Join("../components", c)); err != nil {
			t.Error(err)
		}
	}
}

// build is kubectl kustomize of a folder.
func build(t *testing.T, folder string) ([]byte, []*unstructured.Unstructured) {
	t.Helper()
	text, err := render.Folder(folder)
	if err != nil {
		t.Fatal(err)
	}
	return text, objects(t, text)
}

// kustomize is a variant as a kustomization of a user has it.
func (v variant) kustomize(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	text, err := render.With("..", v.components...)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, text)
}

// chart is the chart with values.
func chart(t *testing.T, values string) []*unstructured.Unstructured {
	t.Helper()
	c, err := loader.Load("../helm/watchpost")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(c, given, common.ReleaseOptions{Name: "watchpost", Namespace: "default", IsInstall: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), c, all)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for name, part := range rendered {
		if strings.HasSuffix(name, ".yaml") {
			text = append(append(text, "\n---\n"...), part...)
		}
	}
	return objects(t, text)
}

// objects are those of a text of several documents.
func objects(t *testing.T, text []byte) (all []*unstructured.Unstructured) {
	t.Helper()
	for doc := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---\n")) {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(doc, &o.Object); err != nil {
			t.Fatalf("%v:\n%s", err, doc)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
	return all
}

// id tells objects apart.
func id(o *unstructured.Unstructured) string {
	return strings.Join([]string{o.GroupVersionKind().String(), o.GetNamespace(), o.GetName()}, " ")
}

// kubectl apply -f deploy/watchpost.yaml is kubectl apply -k deploy.
func TestRendered(t *testing.T) {
	const file = "../watchpost.yaml"
	text, _ := build(t, "..")
	text = append([]byte("# kubectl kustomize deploy, for kubectl apply -f; written by make manifests.\n"), text...)
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(is, text) {
		t.Errorf("%s is not what kustomize makes of deploy/ (%v): make manifests", file, err)
	}
}

func TestOverlays(t *testing.T) {
	for _, v := range variants {
		if v.overlay {
			_, all := build(t, "../overlays/"+v.name)
			same(t, "the overlay "+v.name, all, "its components", v.kustomize(t))
		}
	}
}

func TestChartIsKustomize(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			same(t, "kustomize", v.kustomize(t), "the chart", chart(t, v.values))
		})
	}
}

// What kustomize has no component for.
func TestChartValues(t *testing.T) {
	all := chart(t, `{cluster: prod, image: {registry: registry.example.com/mirror, tag: v1, pullSecrets: [pull]}, namespaces: {suite: a, node: b, create: false},
nodeAgent: {args: [--collector.processes]}, collector: {storage: {class: fast, size: 1Ti}, config: {alerting: {alertmanagers: [{static_configs: [{targets: [am]}]}]}}}}`)
	text := ""
	for _, o := range all {
		switch ns := o.GetNamespace(); {
		case o.GetKind() == "Namespace":
			t.Errorf("%s was not asked for", id(o))
		case ns != "" && ns != "a" && ns != "b":
			t.Errorf("%s is in another namespace", id(o))
		}
		b, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	for part, n := range map[string]int{
		"image: registry.example.com/mirror/watchpost/": 4, ":v1\n": 4, "imagePullSecrets:\n": 4, "value: prod\n": 1, "storageClassName: fast\n": 1,
		"storage: 1Ti\n": 1, "--collector.processes": 1, "more.yml: |": 1, "namespace: watchpost": 0,
	} {
		if got := strings.Count(text, part); got != n {
			t.Errorf("%q is there %d times, not %d", part, got, n)
		}
	}
}

// A value that does not exist, or is of another kind, is told of.
func TestChartRefuses(t *testing.T) {
	c, err := loader.Load("../helm/watchpost")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{
		"collector: {nodeport: 30900}", "nodeAgnt: {}", "collector: {shards: 0}", "stateAgent: {secrets: sometimes}", "collector: {remoteWrite: [{uri: x}]}",
		"image: {pullPolicy: Often}", "nodeAgent: {port: 70000}", "nodeAgent: {args: [collector.processes]}",
	} {
		given := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(wrong), &given); err != nil {
			t.Fatal(err)
		}
		if _, err := util.ToRenderValues(c, given, common.ReleaseOptions{}, nil); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
	// Every value of the file is in the schema.
	if _, err := util.ToRenderValues(c, map[string]any{}, common.ReleaseOptions{}, nil); err != nil {
		t.Error(err)
	}
	for _, finding := range lint.RunAll("../helm/watchpost", map[string]any{}, "default").Messages {
		if finding.Severity > support.InfoSev {
			t.Error(finding)
		}
	}
}

// same compares objects, whatever the order of these, of variables and volumes.
func same(t *testing.T, a string, as []*unstructured.Unstructured, b string, bs []*unstructured.Unstructured) {
	t.Helper()
	texts := func(all []*unstructured.Unstructured) map[string]string {
		m := make(map[string]string)
		for _, o := range all {
			if _, twice := m[id(o)]; twice {
				t.Errorf("%s is there twice", id(o))
			}
			text, err := yaml.Marshal(normal(t, o.DeepCopy().Object))
			if err != nil {
				t.Fatal(err)
			}
			m[id(o)] = string(text)
		}
		return m
	}
	ta, tb := texts(as), texts(bs)
	for name, text := range ta {
		switch other, there := tb[name]; {
		case !there:
			t.Errorf("%s has no %s", b, name)
		case text != other:
			t.Errorf("%s differs: %s has\n%s\n%s has\n%s", name, a, different(text, other), b, different(other, text))
		}
	}
	for name := range tb {
		if _, there := ta[name]; !there {
			t.Errorf("%s has no %s", a, name)
		}
	}
}

// different are the lines of a text that another does not have.
func different(text, other string) string {
	has := strings.Split(other, "\n")
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return slices.Contains(has, l) }), "\n")
}

// normal is a value without what means nothing: the order of named things, empty lists,
// and how YAML in a ConfigMap is written.
func normal(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, of := range v {
			if text, ok := of.(string); ok && strings.HasSuffix(k, ".yml") {
				var parsed any
				if err := yaml.UnmarshalStrict([]byte(text), &parsed); err != nil {
					t.Errorf("%s: %v", k, err)
				}
				v[k] = parsed
				continue
			}
			if of = normal(t, of); of == nil {
				delete(v, k)
			} else {
				v[k] = of
			}
		}
		return v
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = normal(t, v[i])
		}
		slices.SortStableFunc(v, func(a, b any) int { return strings.Compare(name(a), name(b)) })
		return v
	}
	return v
}

func name(v any) string {
	m, _ := v.(map[string]any)
	s, _ := m["name"].(string)
	return s
}

// known are the types of Kubernetes and of the Prometheus operator.
func known(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoring.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Every field is one that its type has, and no type is deprecated.
func TestSchemas(t *testing.T) {
	s := known(t)
	strict := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, s, s, jsonserializer.SerializerOptions{Strict: true})
	for _, v := range variants {
		for _, o := range v.kustomize(t) {
			text, err := o.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			typed, _, err := strict.Decode(text, nil, nil)
			if err != nil {
				t.Errorf("%s: %s: %v", v.name, id(o), err)
				continue
			}
			if old, ok := typed.(interface{ APILifecycleDeprecated() (major, minor int) }); ok {
				major, minor := old.APILifecycleDeprecated()
				t.Errorf("%s: %s is deprecated since %d.%d", v.name, id(o), major, minor)
			}
		}
	}
	if _, _, err := strict.Decode([]byte(`{"apiVersion":"apps/v1","kind":"DaemonSet","spec":{"replica":1}}`), nil, nil); err == nil {
		t.Error("an unknown field is not found")
	}
}

// ConfigMaps fit into etcd with room to grow.
func TestConfigMapSizes(t *testing.T) {
	const most = 1 << 20 // the API server's bound
	_, all := build(t, "..")
	for _, o := range all {
		if o.GetKind() != "ConfigMap" {
			continue
		}
		text, err := o.MarshalJSON()
		if err != nil || len(text) > most/2 {
			t.Errorf("%s has %d bytes (%v)", id(o), len(text), err)
		}
	}
}

// The rules are all of those in deploy/monitoring.
func TestAllRulesAreMounted(t *testing.T) {
	files, err := fs.Glob(os.DirFS("../monitoring/rules"), "*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	_, all := build(t, "..")
	for _, o := range all {
		if o.GetKind() != "ConfigMap" || o.GetName() != "collector-rules" {
			continue
		}
		data, _, err := unstructured.NestedStringMap(o.Object, "data")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if data[f] == "" {
				t.Errorf("%s is not in %s: add it to deploy/monitoring/kustomization.yaml", f, id(o))
			}
		}
		return
	}
	t.Error("no ConfigMap collector-rules")
}

// find is the object of a kind and name.
func find(t *testing.T, all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range all {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

// into is an object as its type.
func into[T any](t *testing.T, o *unstructured.Unstructured) T {
	t.Helper()
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &typed, true); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", id(o), err))
	}
	return typed
}

// The kustomizations in the documents can be built, and what comes out fits the types.
func TestDocuments(t *testing.T) {
	deploy, err := filepath.Abs("..")
	if err == nil {
		deploy, err = filepath.EvalSymlinks(deploy)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := known(t)
	strict := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, s, s, jsonserializer.SerializerOptions{Strict: true})
	blocks := 0
	for _, file := range []string{"../../docs/deploy.md", "../../docs/migrate.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n```yaml\n") {
			block, _, closed := strings.Cut(part, "\n```")
			if !closed || strings.HasPrefix(part, "#") && !strings.HasPrefix(part, "# kustomization.yaml") {
				continue
			}
			if !strings.Contains(block, "resources:") && !strings.Contains(block, "patches:") && !strings.Contains(block, "configMapGenerator:") {
				continue
			}
			blocks++
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(dir, deploy)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(block, "resources:") {
				block = "resources: [../watchpost/deploy]\n" + block
			}
			for name, text := range map[string]string{"kustomization.yaml": strings.ReplaceAll(block, "../watchpost/deploy", rel), "prometheus.yml": "{}\n", "alerting.yml": "{}\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, all := build(t, dir)
			for _, o := range all {
				text, err := o.MarshalJSON()
				if err == nil {
					_, _, err = strict.Decode(text, nil, nil)
				}
				if err != nil {
					t.Errorf("%s: %s: %v", file, id(o), err)
				}
			}
			_, plain := build(t, "..")
			if reflect.DeepEqual(all, plain) {
				t.Errorf("%s: this changes nothing:\n%s", file, block)
			}
		}
	}
	if blocks != 5 {
		t.Errorf("%d kustomizations found", blocks)
	}
}
