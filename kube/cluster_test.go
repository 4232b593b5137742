package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"watchpost/internal/expo"
	"watchpost/internal/testkit"
	"watchpost/internal/testkube"
)

// Small resources, one for each form in which objects are asked for.
func testTable() []*resource {
	named := []string{"namespace", "name"}
	return []*resource{
		{name: "configmaps", version: core.SchemeGroupVersion, kind: "ConfigMap", namespaced: true, on: true, fetch: fetchMetadata, labels: named,
			families: []family{gauge("t_configmap", "A config map.", func(l *Lines, o *v1.PartialObjectMetadata) {
				if len(o.ManagedFields) == 0 {
					l.Add(1, o.Annotations["v"])
				}
			}, "v")}},
		{name: "limitranges", version: core.SchemeGroupVersion, kind: "LimitRange", namespaced: true, on: true, fetch: fetchAny, labels: named,
			families: []family{gauge("t_limitrange", "A limit range.", func(l *Lines, o *unstructured.Unstructured) {
				limits, _, _ := unstructured.NestedSlice(o.Object, "spec", "limits")
				l.Add(float64(len(limits)), o.GetKind())
			}, "kind")}},
		{name: "namespaces", version: core.SchemeGroupVersion, kind: "Namespace", on: true, labels: []string{"name"},
			families: []family{gauge("t_namespace", "A namespace.", func(l *Lines, _ *core.Namespace) { l.Add(1) })}},
		{name: "pods", version: core.SchemeGroupVersion, kind: "Pod", namespaced: true, on: true, labels: named,
			families: []family{
				gauge("t_pod", "A pod.", func(l *Lines, p *core.Pod) {
					if p.Labels["panic"] != "" {
						panic("told to")
					}
					l.Add(float64(len(p.Spec.Containers)), p.Spec.NodeName, string(p.Status.Phase))
				}, "node", "phase"),
				gauge("t_pod_uid", "A pod.", func(l *Lines, p *core.Pod) { l.Add(1, string(p.UID)) }, "uid"),
			}},
		{name: "secrets", version: core.SchemeGroupVersion, kind: "Secret", namespaced: true, on: true, fetch: fetchColumns, labels: named,
			families: []family{gauge("t_secret", "A secret.", func(l *Lines, r *row) {
				l.Add(1, r.columns["Type"], r.Labels["v"])
			}, "type", "v")}},
		{name: "widgets", version: schema.GroupVersion{Group: "absent.example", Version: "v1"}, kind: "Widget", fetch: fetchAny, labels: named},
	}
}

func testPod(namespace, name string, labels map[string]string) *core.Pod {
	return &core.Pod{ObjectMeta: v1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: core.PodSpec{Containers: []core.Container{{Name: "a", Image: "b"}}, NodeName: labels["node"]}}
}

func testNamespace(t *testing.T, c kubernetes.Interface, name string) {
	t.Helper()
	if _, err := c.CoreV1().Namespaces().Create(t.Context(), &core.Namespace{ObjectMeta: v1.ObjectMeta{Name: name}}, v1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// watched runs a cluster until the test ends. Log lines go to the test.
func watched(t *testing.T, kubeconfig string, change func(*Config)) *Cluster {
	t.Helper()
	client, err := NewClient(ClientConfig{Kubeconfig: kubeconfig, QPS: -1, UserAgent: "watchpost-test"})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Client: client, Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&config)
	}
	c, err := newCluster(config, testTable())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done; client.http.CloseIdleConnections() })
	return c
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimRight(b, "\n"))
	return len(b), nil
}

// said are the sample lines of a cluster that match, sorted.
func said(c *Cluster, pattern string) string {
	var text bytes.Buffer
	if err := c.Snapshot(nil, nil).WriteText(&text, expo.Text); err != nil {
		return err.Error()
	}
	re := regexp.MustCompile(pattern)
	var out []string
	for l := range strings.Lines(text.String()) {
		if l[0] != '#' && re.MatchString(l) {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// eventually waits until a text is what is wanted.
func eventually(t *testing.T, what string, got func() string, want string) {
	t.Helper()
	want = strings.ReplaceAll(strings.TrimLeft(want, "\n"), "\t", "")
	var last string
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if last = got(); last == want {
			return
		}
	}
	t.Fatalf("%s: got\n%s\nwant\n%s", what, last, want)
}

func readiness(c *Cluster) func() string {
	return func() string {
		if err := c.Ready(); err != nil {
			return err.Error()
		}
		return "ready"
	}
}

func TestCluster(t *testing.T) {
	server := testkube.Start(t, testkube.Options{})
	api := server.Client()
	for _, streams := range []bool{true, false} {
		t.Run(fmt.Sprintf("streams=%t", streams), func(t *testing.T) {
			ns := fmt.Sprintf("whole-%t", streams)
			testNamespace(t, api, ns)
			pods, secrets, maps := api.CoreV1().Pods(ns), api.CoreV1().Secrets(ns), api.CoreV1().ConfigMaps(ns)
			for i := range 12 {
				must[*core.Pod](t)(pods.Create(t.Context(), testPod(ns, fmt.Sprintf("p%02d", i), nil), v1.CreateOptions{}))
			}
			must[*core.Secret](t)(secrets.Create(t.Context(), &core.Secret{ObjectMeta: v1.ObjectMeta{Name: "s"}, Type: "example/one", StringData: map[string]string{"k": "hidden"}}, v1.CreateOptions{}))
			must[*core.ConfigMap](t)(maps.Create(t.Context(), &core.ConfigMap{ObjectMeta: v1.ObjectMeta{Name: "m", Annotations: map[string]string{"v": "1"}}, Data: map[string]string{"k": "v"}}, v1.CreateOptions{}))
			must[*core.LimitRange](t)(api.CoreV1().LimitRanges(ns).Create(t.Context(), &core.LimitRange{ObjectMeta: v1.ObjectMeta{Name: "l"}, Spec: core.LimitRangeSpec{Limits: []core.LimitRangeItem{{Type: core.LimitTypePod}}}}, v1.CreateOptions{}))

			c := watched(t, server.Kubeconfig(), func(c *Config) { c.Client.pages.Store(!streams) })
			eventually(t, "readiness", readiness(c), "ready")
			if c.config.Client.pages.Load() == streams {
				t.Errorf("lists are streamed: %t, want %t", !streams, streams)
			}
			only := `"` + ns + `"`
			eventually(t, "namespace", func() string { return said(c, "t_namespace.*"+only) }, fmt.Sprintf("t_namespace{name=%s} 1\n", only))
			if got := said(c, "t_pod{.*"+only); strings.Count(got, "\n") != 12 || !strings.Contains(got, fmt.Sprintf("t_pod{namespace=%s,name=\"p03\",node=\"\",phase=\"Pending\"} 1\n", only)) {
				t.Errorf("pods:\n%s", got)
			}
			secret := func() string { return said(c, "t_secret.*"+only) }
			cm := func() string { return said(c, "t_configmap.*"+only+`,name="m"`) }
			limits := func() string { return said(c, "t_limitrange.*"+only) }
			eventually(t, "secret", secret, fmt.Sprintf("t_secret{namespace=%s,name=\"s\",type=\"example/one\",v=\"\"} 1\n", only))
			eventually(t, "config map", cm, fmt.Sprintf("t_configmap{namespace=%s,name=\"m\",v=\"1\"} 1\n", only))
			eventually(t, "limit range", limits, fmt.Sprintf("t_limitrange{namespace=%s,name=\"l\",kind=\"LimitRange\"} 1\n", only))

			// By the watch.
			must[*core.Secret](t)(secrets.Patch(t.Context(), "s", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"v":"2"}}}`), v1.PatchOptions{}))
			must[*core.ConfigMap](t)(maps.Patch(t.Context(), "m", "application/merge-patch+json", []byte(`{"metadata":{"annotations":{"v":"2"}}}`), v1.PatchOptions{}))
			must[*core.LimitRange](t)(api.CoreV1().LimitRanges(ns).Patch(t.Context(), "l", "application/merge-patch+json", []byte(`{"spec":{"limits":[{"type":"Pod"},{"type":"Container"}]}}`), v1.PatchOptions{}))
			must[*core.Pod](t)(pods.Patch(t.Context(), "p03", "application/merge-patch+json", []byte(`{"status":{"phase":"Failed"}}`), v1.PatchOptions{}, "status"))
			eventually(t, "changed secret", secret, fmt.Sprintf("t_secret{namespace=%s,name=\"s\",type=\"example/one\",v=\"2\"} 1\n", only))
			eventually(t, "changed config map", cm, fmt.Sprintf("t_configmap{namespace=%s,name=\"m\",v=\"2\"} 1\n", only))
			eventually(t, "changed limit range", limits, fmt.Sprintf("t_limitrange{namespace=%s,name=\"l\",kind=\"LimitRange\"} 2\n", only))
			eventually(t, "changed pod", func() string { return said(c, `"p03".*phase=`) }, fmt.Sprintf("t_pod{namespace=%s,name=\"p03\",node=\"\",phase=\"Failed\"} 1\n", only))

			// A renderer that panics costs its object's samples.
			must[*core.Pod](t)(pods.Patch(t.Context(), "p05", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"panic":"y"}}}`), v1.PatchOptions{}))
			eventually(t, "pod that panics", func() string { return said(c, `"p05"`) }, "")
			var w expo.Writer
			c.Write(&w)
			for _, line := range []string{
				`watchpost_kube_panics_total{resource="pods"} 1`, `watchpost_kube_up{resource="secrets"} 1`, `kube_state_metrics_list_total{result="success",resource="*v1.Pod"} 1`,
				`kube_state_metrics_watch_total{result="success",resource="*v1.ConfigMap"} 1`,
			} {
				if !strings.Contains(string(w.Bytes()), line+"\n") {
					t.Errorf("no %s in:\n%s", line, w.Bytes())
				}
			}

			zero := int64(0)
			for _, err := range []error{
				pods.DeleteCollection(t.Context(), v1.DeleteOptions{GracePeriodSeconds: &zero}, v1.ListOptions{}),
				secrets.Delete(t.Context(), "s", v1.DeleteOptions{}), maps.Delete(t.Context(), "m", v1.DeleteOptions{}),
				api.CoreV1().LimitRanges(ns).Delete(t.Context(), "l", v1.DeleteOptions{}),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "after all is deleted", func() string { return said(c, "t_[clps].*"+only) }, "")
		})
	}

	t.Run("choice", func(t *testing.T) {
		for _, ns := range []string{"a", "b", "c"} {
			testNamespace(t, api, ns)
			for _, name := range []string{"x", "y", "z"} {
				must[*core.Pod](t)(api.CoreV1().Pods(ns).Create(t.Context(), testPod(ns, name, map[string]string{"l": name, "node": map[string]string{"x": "n1"}[name]}), v1.CreateOptions{}))
			}
		}
		named := func(c *Cluster) string {
			re := regexp.MustCompile(`t_pod{namespace="(.)",name="(.)"`)
			out := []string{}
			for _, m := range re.FindAllStringSubmatch(said(c, "t_pod{"), -1) {
				out = append(out, m[1]+m[2])
			}
			return strings.Join(out, " ")
		}
		for _, test := range []struct {
			name   string
			change func(*Config)
			want   string
		}{
			{"all", func(*Config) {}, "ax ay az bx by bz cx cy cz"},
			{"namespaces", func(c *Config) { c.Namespaces = []string{"a", "c", "nowhere", "b"}; c.NamespacesDenied = []string{"b"} }, "ax ay az cx cy cz"},
			{"denied", func(c *Config) { c.NamespacesDenied = []string{"a", "b"} }, "cx cy cz"},
			{"node", func(c *Config) { c.Node = "n1" }, "ax bx cx"},
			{"unscheduled", func(c *Config) { c.Unscheduled = true; c.NamespacesDenied = []string{"b"} }, "ay az cy cz"},
			{"labels", func(c *Config) { c.LabelSelectors = map[string]string{"pods": "l in (x,z)"} }, "ax az bx bz cx cz"},
			{"limit", func(c *Config) { c.ObjectLimit = 2 }, "ax ay"},
			{"cache", func(c *Config) { c.Cached = true }, "ax ay az bx by bz cx cy cz"},
			{"cache in pages", func(c *Config) { c.Cached = true; c.Client.pages.Store(true) }, "ax ay az bx by bz cx cy cz"},
		} {
			t.Run(test.name, func(t *testing.T) {
				c := watched(t, server.Kubeconfig(), func(c *Config) { c.Resources = []string{"pods", "namespaces", "widgets"}; test.change(c) })
				eventually(t, "readiness", readiness(c), "ready")
				if got := named(c); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if got := said(c, `t_namespace{name="b"}`); got == "" && test.name != "limit" {
					t.Error("namespaces themselves are not restricted")
				}
			})
		}
		t.Run("shards", func(t *testing.T) {
			var all []string
			for shard := range 3 {
				c := watched(t, server.Kubeconfig(), func(c *Config) { c.Resources = []string{"pods"}; c.Shard, c.Shards = shard, 3 })
				eventually(t, "readiness", readiness(c), "ready")
				for _, m := range regexp.MustCompile(`uid="(.*)"`).FindAllStringSubmatch(said(c, "t_pod_uid"), -1) {
					if got := shardOf([]byte(m[1]), 3); got != shard {
						t.Errorf("pod of shard %d in shard %d", got, shard)
					}
					all = append(all, m[1])
				}
			}
			slices.Sort(all)
			if len(all) != 9 || len(slices.Compact(all)) != 9 {
				t.Errorf("%d pods in all shards, want each of 9 once", len(all))
			}
		})
	})

	t.Run("forbidden", func(t *testing.T) {
		kubeconfig, err := server.User("reader", "readers")
		if err != nil {
			t.Fatal(err)
		}
		c := watched(t, kubeconfig, func(c *Config) { c.Resources = []string{"pods", "secrets"} })
		eventually(t, "readiness", readiness(c), `pods: not listed yet: pods is forbidden: User "reader" cannot list resource "pods" in API group "" at the cluster scope; secrets: not listed yet: secrets is forbidden: User "reader" cannot list resource "secrets" in API group "" at the cluster scope`)
		role := must[*rbac.ClusterRole](t)(api.RbacV1().ClusterRoles().Create(t.Context(), &rbac.ClusterRole{ObjectMeta: v1.ObjectMeta{Name: "readers"},
			Rules: []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods", "secrets"}, Verbs: []string{"list", "watch"}}}}, v1.CreateOptions{}))
		must[*rbac.ClusterRoleBinding](t)(api.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{ObjectMeta: v1.ObjectMeta{Name: "readers"},
			RoleRef: rbac.RoleRef{Kind: "ClusterRole", Name: role.Name}, Subjects: []rbac.Subject{{Kind: "Group", Name: "readers"}}}, v1.CreateOptions{}))
		eventually(t, "readiness", readiness(c), "ready")
		if said(c, "t_pod{") == "" {
			t.Error("no pods")
		}
	})
}

// What goes wrong costs nothing of what is known, and what has changed meanwhile is
// seen afterwards.
func TestClusterRecovers(t *testing.T) {
	server := testkube.Start(t, testkube.Options{Args: []string{"--watch-cache=false"}})
	api := server.Client()
	testNamespace(t, api, "a")
	pods := api.CoreV1().Pods("a")
	zero := int64(0)
	create := func(name string) {
		t.Helper()
		must[*core.Pod](t)(pods.Create(t.Context(), testPod("a", name, nil), v1.CreateOptions{}))
	}
	remove := func(name string) {
		t.Helper()
		if err := pods.Delete(t.Context(), name, v1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
			t.Fatal(err)
		}
	}
	create("p1")
	create("p2")
	proxy, err := server.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	kubeconfig, err := server.Through(proxy)
	if err != nil {
		t.Fatal(err)
	}
	c := watched(t, kubeconfig, func(c *Config) { c.Resources = []string{"pods"} })
	names := func() string {
		return strings.Join(regexp.MustCompile(`p[0-9]`).FindAllString(said(c, "t_pod{"), -1), " ")
	}
	eventually(t, "at first", names, "p1 p2")

	proxy.Break()
	create("p3")
	eventually(t, "after a break", names, "p1 p2 p3")

	server.Kill()
	eventually(t, "failure is told", func() string {
		var w expo.Writer
		c.Write(&w)
		return regexp.MustCompile("watchpost_kube_up.pods?.*").FindString(regexp.MustCompile(`\{resource="(.*)"\}`).ReplaceAllString(string(w.Bytes()), ".$1"))
	}, "watchpost_kube_up.pods 0")
	if got := names(); got != "p1 p2 p3" {
		t.Errorf("while the server is away: %s", got)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	remove("p1")
	create("p4")
	if err := server.Compact(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "after a restart and a compaction", names, "p2 p3 p4")

	// Nothing passes: HTTP/2 pings are what notices. The watch goes on from where it was.
	proxy.Cut()
	create("p5")
	time.Sleep(100 * time.Millisecond)
	proxy.Break()
	proxy.Mend()
	eventually(t, "after a cut", names, "p2 p3 p4 p5")
	eventually(t, "readiness", readiness(c), "ready")
}

func TestConfigIsChecked(t *testing.T) {
	client := &Client{}
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Resources: []string{"pod"}}, `resource "pod" does not exist; there are: `},
		{Config{Namespaces: []string{"a/b"}}, `namespace "a/b": a lowercase RFC 1123`},
		{Config{NamespacesDenied: []string{""}}, `namespace ""`},
		{Config{LabelSelectors: map[string]string{"configmaps": "a in"}}, `label selector "a in" of configmaps: `},
		{Config{LabelSelectors: map[string]string{"confs": "a"}}, `"confs", which does not exist`},
		{Config{Shard: 3, Shards: 3}, "shard 3 of 3 does not exist"},
		{Config{Shard: -1}, "shard -1 of 0"},
		{Config{ObjectLimit: -1}, "object limit -1"},
		{Config{FinishedPods: -1}, "negative"},
		{Config{Node: "n", Unscheduled: true}, `pods of node "n" and pods without`},
		{Config{Namespaces: []string{"a"}, NamespacesDenied: []string{"a"}}, "every namespace"},
	} {
		test.config.Client = client
		_, err := New(test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: got %v, want %q in it", test.config, err, test.want)
		}
	}
}

func TestClientIsChecked(t *testing.T) {
	for _, test := range []struct {
		config ClientConfig
		want   string
	}{
		{ClientConfig{Kubeconfig: "testdata/nowhere"}, "kubeconfig testdata/nowhere: "},
		{ClientConfig{Kubeconfig: "client_test.go"}, "kubeconfig client_test.go: "},
		{ClientConfig{Server: "http://a b"}, "a b"},
	} {
		_, err := NewClient(test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: got %v, want %q in it", test.config, err, test.want)
		}
	}
	if _, err := NewClient(ClientConfig{}); err == nil {
		t.Error("a client without a server, outside of a cluster")
	}
}

// Assignments of kube-state-metrics: FNV-1a, 64 bits, and dgryski/go-jump.
func TestShardOf(t *testing.T) {
	for _, test := range []struct {
		uid    string
		shards int
		want   int
	}{
		{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", 2, 1},
		{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", 3, 1},
		{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", 7, 4},
		{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", 100, 47},
		{"0b4f1a1e-5d3b-4b0e-9c43-7d2a6f0b8e11", 2, 0},
		{"0b4f1a1e-5d3b-4b0e-9c43-7d2a6f0b8e11", 3, 2},
		{"0b4f1a1e-5d3b-4b0e-9c43-7d2a6f0b8e11", 7, 2},
		{"0b4f1a1e-5d3b-4b0e-9c43-7d2a6f0b8e11", 100, 2},
		{"", 2, 1},
		{"", 3, 1},
		{"", 7, 1},
		{"", 100, 90},
		{"a", 2, 1},
		{"a", 3, 2},
		{"a", 7, 2},
		{"a", 100, 31},
		{"f47ac10b-58cc-4372-a567-0e02b2c3d479", 2, 0},
		{"f47ac10b-58cc-4372-a567-0e02b2c3d479", 3, 2},
		{"f47ac10b-58cc-4372-a567-0e02b2c3d479", 7, 2},
		{"f47ac10b-58cc-4372-a567-0e02b2c3d479", 100, 13},
		{"00000000-0000-4000-8000-000000000001", 2, 0},
		{"00000000-0000-4000-8000-000000000001", 3, 0},
		{"00000000-0000-4000-8000-000000000001", 7, 0},
		{"00000000-0000-4000-8000-000000000001", 100, 52},
	} {
		if got := shardOf([]byte(test.uid), test.shards); got != test.want {
			t.Errorf("%s of %d: got %d, want %d", test.uid, test.shards, got, test.want)
		}
	}
	if keepShard(0, 1) != nil || keepShard(0, 0) != nil {
		t.Error("one shard filters")
	}
}

// What a cluster says is what is rendered of the objects that the API server gives in
// JSON, for each resource of the table, read as a stream and in pages. The objects are
// the API server's own and, where they are, those of ../shared/samples/state.
func TestClusterSaysWhatIsThere(t *testing.T) {
	server := testkube.Start(t, testkube.Options{})
	if folder := filepath.Join("..", "..", "shared", "samples", "state", "objects"); isDir(folder) {
		server.Load(t, os.DirFS(folder))
	}
	all := map[string][]string{"*": {"*"}}
	options := Options{Labels: all, Annotations: all, Keep: func(string, bool) bool { return true }}
	for _, pages := range []bool{false, true} {
		client, err := NewClient(ClientConfig{Kubeconfig: server.Kubeconfig(), QPS: -1})
		if err != nil {
			t.Fatal(err)
		}
		client.pages.Store(pages)
		c, err := New(Config{Client: client, Resources: Resources(), Options: options, Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		eventually(t, "readiness", readiness(c), "ready")
		empty := 0
		for _, r := range resources {
			// The API server itself changes leases and others all the time.
			var got, want string
			for range 20 {
				got, want = linesOf(t, c, r.name), expected(t, server, r, options)
				if got == want {
					break
				}
				time.Sleep(200 * time.Millisecond)
			}
			if got != want {
				t.Errorf("%s, in pages %t:\n%s", r.name, pages, testkit.Diff(want, got))
			}
			if want == "" {
				empty++
			}
		}
		t.Logf("in pages %t: %d of %d resources have no object", pages, empty, len(resources))
		if empty > 34 { // 29 without the samples
			t.Errorf("%d resources have no object", empty)
		}
		stop()
		<-done
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// linesOf are a resource's lines of a snapshot, as OpenMetrics, sorted.
func linesOf(t *testing.T, c *Cluster, name string) string {
	t.Helper()
	var text bytes.Buffer
	if err := c.Snapshot([]string{name}, nil).WriteText(&text, expo.OpenMetrics); err != nil {
		t.Fatal(err)
	}
	return sortedLines(strings.TrimSuffix(text.String(), expo.EOF))
}

// expected renders what the API server has of a resource.
func expected(t *testing.T, server *testkube.Cluster, r *resource, o Options) string {
	t.Helper()
	raw, err := server.Client().CoreV1().RESTClient().Get().AbsPath(resourcePath(r, "")).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 {
		return ""
	}
	n := newRenderer(r, o)
	var text []byte
	var out rendering
	for _, f := range n.chosen {
		text = f.AppendHeader(text, expo.OpenMetrics)
	}
	for _, item := range list.Items {
		n.render(decodeSample(t, r, item), &out)
		text = append(text, out.text...)
	}
	return sortedLines(string(text))
}

func sortedLines(s string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.SplitAfter(s, "\n"))), "")
}
