//go:build e2e

package e2e

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkube"
)

// stateAgent is a running one.
type stateAgent struct {
	t             *testing.T
	cmd           *exec.Cmd
	metrics, tele string // where it serves
	said          *lockedBuffer
	done          chan error
}

var (
	servingState = regexp.MustCompile(`"Serving metrics of the cluster".*?url=(\S+)/metrics`)
	servingOwn   = regexp.MustCompile(`"Serving this program's own[^"]*".*?url=(\S+)/metrics`)
)

// startStateAgent starts it on free ports, and ends it with the test.
func startStateAgent(t *testing.T, args ...string) *stateAgent {
	t.Helper()
	return startStateAgentIn(t, nil, args...)
}

// startStateAgentIn is startStateAgent with variables beside those of the test.
func startStateAgentIn(t *testing.T, variables []string, args ...string) *stateAgent {
	t.Helper()
	path := programPath(t, "state-agent")
	args = append([]string{"--host=127.0.0.1", "--port=0", "--telemetry-host=127.0.0.1", "--telemetry-port=0"}, args...)
	a := &stateAgent{t: t, cmd: exec.Command(path, args...), said: new(lockedBuffer), done: make(chan error, 1)}
	a.cmd.Stdout, a.cmd.Stderr, a.cmd.Env = a.said, a.said, append(os.Environ(), variables...)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { a.done <- a.cmd.Wait() }()
	t.Cleanup(func() {
		a.cmd.Process.Kill() // fails where the test has ended it
		if t.Failed() {
			t.Logf("state-agent said:\n%s", a.said.String())
		}
	})
	for {
		said := a.said.String()
		if m, o := servingState.FindStringSubmatch(said), servingOwn.FindStringSubmatch(said); m != nil && o != nil {
			a.metrics, a.tele = m[1], o[1]
			return a
		}
		select {
		case err := <-a.done:
			t.Fatalf("state-agent ended at start: %v", err)
		case <-t.Context().Done():
			t.Fatal("state-agent did not say where it serves")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ready waits until it is.
func (a *stateAgent) ready() *stateAgent {
	a.t.Helper()
	eventually(a.t, "state-agent ready", func() error {
		if got := get(a.t, http.DefaultClient, a.tele+"/readyz"); got.status != 200 {
			return fmt.Errorf("%s", got.body)
		}
		return nil
	})
	return a
}

// scrape is what it says, parsed.
func (a *stateAgent) scrape(query string, headers ...string) parsed {
	a.t.Helper()
	got := get(a.t, http.DefaultClient, a.metrics+"/metrics"+query, headers...)
	if got.status != 200 {
		a.t.Fatalf("status %d: %s", got.status, got.body)
	}
	if got.encoding == "gzip" {
		z, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil {
			a.t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			a.t.Fatal(err)
		}
		got.body = string(text)
	}
	return parse(a.t, got)
}

// shows waits until what it says holds a text, or does not.
func (a *stateAgent) shows(text string, want bool) {
	a.t.Helper()
	eventually(a.t, text, func() error {
		if got := get(a.t, http.DefaultClient, a.metrics+"/metrics"); strings.Contains(string(got.body), text) != want {
			return fmt.Errorf("%q is there: %t", text, !want)
		}
		return nil
	})
}

// namespace makes a namespace with labels, removed with the test.
func namespace(t *testing.T, c *testkube.Cluster, name string, labels map[string]string) {
	t.Helper()
	api := c.Client().CoreV1().Namespaces()
	if _, err := api.Create(t.Context(), &core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// configMap makes a config map.
func configMap(t *testing.T, c *testkube.Cluster, namespace, name string) {
	t.Helper()
	if _, err := c.Client().CoreV1().ConfigMaps(namespace).Create(t.Context(), &core.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestStateAgentServes(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "serves", nil)
	configMap(t, c, "serves", "one")
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--lookup").ready()
	text := a.scrape("", "Accept", acceptText, "Accept-Encoding", "identity")
	zipped := a.scrape("", "Accept", acceptText, "Accept-Encoding", "gzip")
	open := a.scrape("", "Accept", acceptOpenMetrics, "Accept-Encoding", "gzip")
	const one = `{__name__="kube_configmap_info", configmap="one", namespace="serves"}`
	for what, p := range map[string]parsed{"text": text, "gzip": zipped, "openmetrics": open} {
		if p.series[one] != 1 {
			t.Errorf("%s: %s is %v", what, one, p.series[one])
		}
	}
	only := a.scrape("?resources=configmaps,secrets&exclude_resources=secrets")
	if len(only.named("kube_configmap_info")) == 0 || len(only.named("kube_namespace_")) > 0 {
		t.Error("resources= and exclude_resources= do not choose")
	}
	own := parse(t, get(t, http.DefaultClient, a.tele+"/metrics"))
	for _, name := range []string{"kube_state_metrics_build_info", "kube_state_metrics_list_total", "kube_state_metrics_watch_total",
		"kube_state_metrics_shard_ordinal", "kube_state_metrics_total_shards", "kube_state_metrics_config_hash",
		"kube_state_metrics_last_config_reload_successful", "kube_state_metrics_last_config_reload_success_timestamp_seconds", "kube_state_metrics_custom_resource_state_cache",
		"http_request_duration_seconds", "go_goroutines", "process_cpu_seconds_total"} {
		if len(own.named(name)) == 0 {
			t.Errorf("own metrics: no %s", name)
		}
	}
	for _, url := range []string{a.metrics + "/livez", a.metrics + "/healthz", a.metrics + "/", a.tele + "/livez", a.tele + "/healthz", a.tele + "/"} {
		if got := get(t, http.DefaultClient, url); got.status != 200 {
			t.Errorf("%s: %d", url, got.status)
		}
	}
	if got := get(t, http.DefaultClient, a.tele+"/debug/pprof/"); got.status != 404 {
		t.Errorf("profiles: %d", got.status)
	}
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-a.done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// Without permission to list anything it is not ready and says of each resource why;
// what is granted later is shown without a restart.
func TestStateAgentForbidden(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	kubeconfig, err := c.User("nobody")
	if err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, "--kubeconfig="+kubeconfig, "--resources=configmaps,leases")
	eventually(t, "both resources named", func() error {
		got := get(t, http.DefaultClient, a.tele+"/readyz")
		if got.status != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "configmaps: ") || !strings.Contains(string(got.body), "leases: ") ||
			!strings.Contains(string(got.body), "forbidden") {
			return fmt.Errorf("%d %s", got.status, got.body)
		}
		return nil
	})
	check := exec.Command(a.cmd.Path, "check", "--kubeconfig="+kubeconfig, "--resources=configmaps,leases")
	out, err := check.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "FORBIDDEN") || !strings.Contains(string(out), `apiGroups: ["coordination.k8s.io"]`) || !strings.Contains(string(out), "2 of 2 resources") {
		t.Errorf("check: %v\n%s", err, out)
	}
	grant(t, c, "nobody", rbac.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}},
		rbac.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"list", "watch"}})
	a.ready()
	if out, err := exec.Command(a.cmd.Path, "check", "--kubeconfig="+kubeconfig, "--resources=configmaps").CombinedOutput(); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
}

// Who may list and not watch is shown what there was, and told that it gets old.
func TestStateAgentMayOnlyList(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "only-list", nil)
	kubeconfig, err := c.User("lister")
	if err != nil {
		t.Fatal(err)
	}
	grant(t, c, "lister", rbac.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list"}})
	a := startStateAgent(t, "--kubeconfig="+kubeconfig, "--resources=namespaces")
	a.shows(`kube_namespace_status_phase{namespace="only-list",phase="Active"} 1`, true)
	eventually(t, "told to be old", func() error {
		if got := get(t, http.DefaultClient, a.tele+"/metrics"); !strings.Contains(got.body, `watchpost_kube_up{resource="namespaces"} 0`) {
			return fmt.Errorf("%.2000s", got.body)
		}
		return nil
	})
	a.shows(`kube_namespace_status_phase{namespace="only-list",phase="Active"} 1`, true)
}

// grant lets a user do what the rule says.
func grant(t *testing.T, c *testkube.Cluster, user string, rules ...rbac.PolicyRule) {
	t.Helper()
	name, api := user+"-e2e", c.Client().RbacV1()
	if _, err := api.ClusterRoles().Create(t.Context(), &rbac.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := api.ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:  rbac.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name},
		Subjects: []rbac.Subject{{Kind: "User", APIGroup: "rbac.authorization.k8s.io", Name: user}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// A changed file of options takes effect without a scrape that shows less than both
// the old and the new settings; a broken one changes nothing and is told.
func TestStateAgentReload(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "reload", nil)
	configMap(t, c, "reload", "one")
	file := filepath.Join(t.TempDir(), "options.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("resources:\n  configmaps: {}\n")
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--config="+file, "--resources=pods").ready()
	a.shows(`namespace="reload",configmap="one"`, true)
	a.shows("kube_namespace_created", false)

	stop, empty := make(chan struct{}), make(chan int, 1)
	go func() { // scrapes all the time
		n := 0
		for {
			select {
			case <-stop:
				empty <- n
				return
			default:
			}
			res, err := http.Get(a.metrics + "/metrics")
			if err != nil {
				continue
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !strings.Contains(string(text), `namespace="reload",configmap="one"`) {
				n++
			}
		}
	}()
	write("resources: [configmaps, namespaces]\nnot_an_option: 1\n")
	told := func(want string) {
		t.Helper()
		eventually(t, want, func() error {
			if got := get(t, http.DefaultClient, a.tele+"/metrics"); !strings.Contains(string(got.body), want) {
				return fmt.Errorf("no %s", want)
			}
			return nil
		})
	}
	labels := fmt.Sprintf(`{filename=%q,type="config"} `, file)
	told("kube_state_metrics_last_config_reload_successful" + labels + "0")
	a.shows("kube_namespace_created", false)
	write("resources: [configmaps, namespaces]\nlabels_allow_list: {namespaces: ['*']}\n")
	a.shows(`kube_namespace_labels{namespace="reload"`, true)
	told("kube_state_metrics_last_config_reload_successful" + labels + "1")
	close(stop)
	if n := <-empty; n > 0 {
		t.Errorf("%d scrapes without the object that was there all the time", n)
	}
}

// The shard follows from the pod's name and the replicas of its stateful set; a
// change of those makes each object still one shard's.
func TestStateAgentAutomaticShards(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "shards", nil)
	for i := range 20 {
		configMap(t, c, "shards", fmt.Sprint("map-", i))
	}
	replicas := int32(2)
	labels := map[string]string{"app": "agent"}
	template := core.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: core.PodSpec{Containers: []core.Container{{Name: "a", Image: "a"}}}}
	set, err := c.Client().AppsV1().StatefulSets("shards").Create(t.Context(), &apps.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"},
		Spec: apps.StatefulSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template, ServiceName: "agent"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	controller := true
	noToken := false
	template.Spec.AutomountServiceAccountToken = &noToken
	account := &core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := c.Client().CoreV1().ServiceAccounts("shards").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var agents []*stateAgent
	for i := range 2 {
		pod := &core.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("agent-", i), OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "StatefulSet", Name: set.Name, UID: set.UID, Controller: &controller}}}, Spec: template.Spec}
		if _, err := c.Client().CoreV1().Pods("shards").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		agents = append(agents, startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--resources=configmaps", "--namespaces=shards",
			"--pod="+pod.Name, "--pod-namespace=shards").ready())
	}
	count := func(a *stateAgent) int {
		return strings.Count(string(get(t, http.DefaultClient, a.metrics+"/metrics").body), "kube_configmap_info{")
	}
	zero, one := count(agents[0]), count(agents[1])
	if zero == 0 || one == 0 || zero+one != 20 {
		t.Errorf("%d and %d objects, want 20 in all", zero, one)
	}
	if own := string(get(t, http.DefaultClient, agents[1].tele+"/metrics").body); !strings.Contains(own, `kube_state_metrics_shard_ordinal{shard_ordinal="1"} 1`) ||
		!strings.Contains(own, "kube_state_metrics_total_shards 2") {
		t.Error("the second does not tell its shard")
	}
	*set.Spec.Replicas = 1
	if _, err := c.Client().AppsV1().StatefulSets("shards").Update(t.Context(), set, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first shows everything", func() error {
		if n := count(agents[0]); n != 20 {
			return fmt.Errorf("%d objects", n)
		}
		return nil
	})
}

// Labels of namespaces choose what is shown, and follow them.
func TestStateAgentNamespaceSelector(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "chosen", map[string]string{"team": "a"})
	namespace(t, c, "other", map[string]string{"team": "b"})
	configMap(t, c, "chosen", "one")
	configMap(t, c, "other", "two")
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--resources=configmaps,namespaces", "--namespace-selector=team=a").ready()
	a.shows(`configmap="one"`, true)
	a.shows(`configmap="two"`, false)
	a.shows(`kube_namespace_created{namespace="other"`, false)
	patch := []byte(`{"metadata":{"labels":{"team":"a"}}}`)
	if _, err := c.Client().CoreV1().Namespaces().Patch(t.Context(), "other", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	a.shows(`configmap="two"`, true)
}

// Only those see metrics whom the API server lets.
func TestStateAgentAuth(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "auth", nil)
	token := func(name string) string {
		if _, err := c.Client().CoreV1().ServiceAccounts("auth").Create(t.Context(), &core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		r, err := c.Client().CoreV1().ServiceAccounts("auth").CreateToken(t.Context(), name, &authentication.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status.Token
	}
	allowed, refused := token("scraper"), token("stranger")
	api := c.Client().RbacV1()
	if _, err := api.ClusterRoles().Create(t.Context(), &rbac.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "metrics-e2e"}, Rules: []rbac.PolicyRule{
		{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "metrics-e2e"},
		RoleRef:  rbac.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "metrics-e2e"},
		Subjects: []rbac.Subject{{Kind: "ServiceAccount", Namespace: "auth", Name: "scraper"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--resources=configmaps", "--auth-filter", "--web.enable-pprof").ready()
	for _, tc := range []struct {
		url, token string
		want       int
	}{
		{a.metrics + "/metrics", "", 401}, {a.metrics + "/metrics", "nonsense", 401}, {a.metrics + "/metrics", refused, 403}, {a.metrics + "/metrics", allowed, 200},
		{a.tele + "/metrics", "", 401}, {a.tele + "/metrics", allowed, 200}, {a.tele + "/debug/pprof/", "", 401}, {a.tele + "/debug/pprof/", allowed, 403},
		{a.tele + "/readyz", "", 200}, {a.metrics + "/livez", "", 200},
	} {
		var headers []string
		if tc.token != "" {
			headers = []string{"Authorization", "Bearer " + tc.token}
		}
		if got := get(t, http.DefaultClient, tc.url, headers...); got.status != tc.want {
			t.Errorf("%s with %.5q: %d, want %d: %s", tc.url, tc.token, got.status, tc.want, got.body)
		}
	}
}

func TestStateAgentLookup(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "lookup", nil)
	if _, err := c.Client().CoreV1().ServiceAccounts("lookup").Create(t.Context(), &core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	controller, noToken := true, false
	pod, err := c.Client().CoreV1().Pods("lookup").Create(t.Context(), &core.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "till", OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "till-abc", UID: "1", Controller: &controller}}},
		Spec:       core.PodSpec{NodeName: "n1", AutomountServiceAccountToken: &noToken, Containers: []core.Container{{Name: "a", Image: "a"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status = core.PodStatus{Phase: core.PodRunning, HostIP: "192.0.2.7", HostIPs: []core.HostIP{{IP: "192.0.2.7"}}, PodIP: "198.51.100.4", PodIPs: []core.PodIP{{IP: "198.51.100.4"}, {IP: "2001:db8::4"}}}
	if _, err := c.Client().CoreV1().Pods("lookup").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--lookup").ready()
	a.shows("2001:db8::4", true)
	for _, query := range []string{"ip=198.51.100.4", "ip=2001:db8::4", "ip=2001:0db8:0:0::4", "pod=lookup/till", "pod=till"} {
		got := get(t, http.DefaultClient, a.metrics+"/lookup?"+query)
		var found []struct {
			Pod, Namespace, UID, Node, HostIP, Phase string
			PodIPs                                   []string
			Owner                                    struct{ Kind, Name string }
		}
		if err := json.Unmarshal([]byte(got.body), &found); err != nil || got.status != 200 || len(found) != 1 {
			t.Errorf("%s: %d %s %v", query, got.status, got.body, err)
			continue
		}
		f := found[0]
		if f.Pod != "till" || f.Namespace != "lookup" || f.UID != string(pod.UID) || f.Node != "n1" || f.HostIP != "192.0.2.7" || f.Phase != "Running" ||
			fmt.Sprint(f.PodIPs) != "[198.51.100.4 2001:db8::4]" || f.Owner.Kind != "ReplicaSet" || f.Owner.Name != "till-abc" {
			t.Errorf("%s: %+v", query, f)
		}
	}
	for query, want := range map[string]int{"ip=203.0.113.9": 404, "pod=nobody": 404, "": 400, "ip=x": 400, "ip=1.2.3.4&pod=a": 400} {
		if got := get(t, http.DefaultClient, a.metrics+"/lookup?"+query); got.status != want || !strings.Contains(string(got.body), `"error"`) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	without := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--lookup", "--resources=configmaps").ready()
	if got := get(t, http.DefaultClient, without.metrics+"/lookup?pod=till"); got.status != 404 || !strings.Contains(string(got.body), "pods are not shown") {
		t.Errorf("without pods: %d %s", got.status, got.body)
	}
}

// Mistakes end the program with code 2 and one line, before anything is served.
func TestStateAgentMistakes(t *testing.T) {
	beside(t)
	path := programPath(t, "state-agent")
	silent := httptest.NewServer(http.NotFoundHandler())
	defer silent.Close()
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("resources: [pods\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--nonsense"}, {"--port=x"}, {"--port=99999"}, {"--resources=frogs"}, {"--namespaces=A_b"}, {"--metric-allowlist=a", "--metric-denylist=b"},
		{"--metric-allowlist=("}, {"--metric-labels-allowlist=pods"}, {"--metric-labels-allowlist=frogs=[a]"}, {"--shard=1"}, {"--total-shards=0"},
		{"--pod=a"}, {"--config=" + broken}, {"--config=/does/not/exist"}, {"--kubeconfig=/does/not/exist"}, {"--tls-config=/does/not/exist"},
		{"--custom-resource-state-config=x"}, {"--custom-resource-state-config-file=/does/not/exist"}, {"--custom-resource-state-only"},
		{"--node=a", "--resources=nodes"}, {"--auto-gomemlimit-ratio=2"}, {"--label-selector=pods=a=b=c"}, {"--object-limit=-1"}, {"--kube-api-qps=0"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		cmd := exec.CommandContext(ctx, path, append([]string{"--apiserver=" + silent.URL, "--host=127.0.0.1", "--port=0", "--telemetry-port=0"}, args...)...)
		out, err := cmd.CombinedOutput()
		cancel()
		if cmd.ProcessState.ExitCode() != 2 || strings.Count(string(out), "\n") != 1 || !strings.HasPrefix(string(out), "state-agent: ") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}
