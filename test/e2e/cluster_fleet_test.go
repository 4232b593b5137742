//go:build e2e

package e2e

// The suite in a cluster of 501 nodes: the real one, on which it runs, and 500 that the loader keeps alive and fills
// with 20,000 pods (WATCHPOST_NODES and WATCHPOST_PODS are other numbers). API server, scheduler and controllers are
// real, and what is asked of the nodes without a machine is led to this test, which answers for each.

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"watchpost/internal/testcluster"
	"watchpost/internal/testkube"
	"watchpost/internal/testkube/fleet"
)

const (
	fakeScaled = 100 // pods of a Deployment on the fake nodes, which the scheduler puts there

	// fleetPatience is for what takes controllers and scheduler a thousand writes, of which they make twenty a second.
	fleetPatience = 6 * time.Minute
)

// fakeFleet is the suite in that cluster.
type fakeFleet struct {
	*suite
	nodes, made     int // fake nodes, and pods that the loader has made there
	settled, scaled int // pods that there shall be on the fake nodes: the loader's, and those of a Deployment
}

func (f *fakeFleet) in(t *testing.T) *fakeFleet {
	other := *f
	other.suite = f.suite.in(t)
	return &other
}

// finally is eventually with more patience.
func (f *fakeFleet) finally(what string, ask func(ctx context.Context) error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), fleetPatience)
	defer cancel()
	began := time.Now()
	if err := f.Wait(ctx, what, ask); err != nil {
		f.t.Fatal(err)
	}
	f.t.Logf("%s after %s", what, time.Since(began).Round(time.Second))
}

// unhurried are the manifests as they are installed: a scrape every 15 s.
func unhurried(t *testing.T) []testkube.Object {
	t.Helper()
	objects := clusterManifests(t)
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" && o.GetName() == "collector-config" {
			unstructured.RemoveNestedField(o.Object, "data", "hurry.yml")
		}
	}
	return objects
}

// number is what a variable says, or otherwise.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of nodes or pods", variable, text)
	}
	return n
}

// startFakeFleet is such a cluster, with the suite in it.
func startFakeFleet(t *testing.T) *fakeFleet {
	t.Helper()
	if err := testcluster.Missing(); err != nil {
		t.Skip(err)
	}
	images, err := suiteArchives()
	if err != nil {
		t.Fatal(err)
	}
	manifests := unhurried(t)
	c := testcluster.Start(t, testcluster.Options{Images: images})
	f := &fakeFleet{suite: &suite{Cluster: c, t: t, manifests: manifests}, nodes: number(t, "WATCHPOST_NODES", 500), made: number(t, "WATCHPOST_PODS", 20_000)}
	began := time.Now()
	kubelets, err := fleet.Join(t.Context(), c.API.Config(), f.nodes, func(err error) { t.Logf("fake kubelets: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kubelets.Close)
	joined := time.Now()
	f.answer()
	f.volume("collector-0")
	f.apply(manifests...)
	if err := kubelets.Settle(t.Context(), f.made); err != nil {
		t.Fatal(err)
	}
	f.settled = f.made
	t.Logf("%d nodes joined in %s, %d pods ran %s later", f.nodes, joined.Sub(began).Round(time.Second), f.made, time.Since(joined).Round(time.Second))
	f.deploy()
	f.finally("the collector answers", func(ctx context.Context) error {
		service, err := c.Client().CoreV1().Services("watchpost").Get(ctx, "collector", metav1.GetOptions{})
		if err != nil {
			return err
		}
		f.collector = &collector{t: t, web: service.Spec.ClusterIP + ":9090"}
		_, err = f.collector.query("up")
		return err
	})
	for namespace, name := range map[string]string{"watchpost-node": "node-agent", "watchpost": "cadvisor-proxy"} {
		f.finally(name+" is on all nodes", func(ctx context.Context) error {
			d, err := c.Client().AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
			if err == nil && int(d.Status.NumberReady) != f.nodes+1 {
				err = fmt.Errorf("%d are ready", d.Status.NumberReady)
			}
			return err
		})
	}
	return f
}

// answer leads what is asked of the fake nodes and pods to servers of the test. Which one is meant says the Host header.
func (f *fakeFleet) answer() {
	f.t.Helper()
	began, names := time.Now(), map[string]string{} // by address
	nodes, err := f.Client().CoreV1().Nodes().List(f.t.Context(), metav1.ListOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, n := range nodes.Items {
		names[n.Status.Addresses[0].Address] = n.Name
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, port, err := net.SplitHostPort(r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if port != "9100" {
			fmt.Fprintf(w, "fake_seconds_total{address=%q} %d\n", host, int(time.Since(began).Seconds()))
			return
		}
		seconds := time.Since(began).Seconds()
		fmt.Fprintf(w, "node_uname_info{machine=\"x86_64\",nodename=%q,release=\"6.12.48-1.fleet\",sysname=\"Linux\"} 1\n", names[host])
		for _, mode := range []string{"idle", "system", "user"} {
			fmt.Fprintf(w, "node_cpu_seconds_total{cpu=\"0\",mode=%q} %g\n", mode, map[string]float64{"idle": 0.7, "system": 0.1, "user": 0.2}[mode]*seconds)
		}
		fmt.Fprint(w, "node_memory_MemTotal_bytes 6.4e+10\nnode_memory_MemAvailable_bytes 4.8e+10\nnode_load1 0.3\n")
	})
	machine := f.Node().Prev() // the other end of the cluster's line
	serve := func(start func(*httptest.Server)) netip.AddrPort {
		l, err := net.Listen("tcp", netip.AddrPortFrom(machine, 0).String())
		if err != nil {
			f.t.Fatal(err)
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: page}}
		start(s)
		f.t.Cleanup(s.Close)
		return netip.MustParseAddrPort(l.Addr().String())
	}
	secure, plain := serve((*httptest.Server).StartTLS), serve((*httptest.Server).Start)
	for _, rule := range [][]string{
		{"--destination", fleet.NodeAddresses, "--protocol", "tcp", "--destination-port", "10250", "--jump", "DNAT", "--to-destination", secure.String()},
		{"--destination", fleet.NodeAddresses, "--protocol", "tcp", "--jump", "DNAT", "--to-destination", plain.String()},
		{"--destination", fleet.PodAddresses, "--protocol", "tcp", "--jump", "DNAT", "--to-destination", plain.String()},
	} {
		if _, err := f.Exec("iptables", append([]string{"--table", "nat", "--append", "PREROUTING"}, rule...)...); err != nil {
			f.t.Fatal(err)
		}
	}
}

// deploy makes a Deployment whose pods are to be on the fake nodes.
func (f *fakeFleet) deploy() {
	f.t.Helper()
	replicas, labels := int32(fakeScaled), map[string]string{"app": "scaled"}
	_, err := f.Client().AppsV1().Deployments("default").Create(f.t.Context(), &apps.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "scaled"},
		Spec: apps.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: core.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: core.PodSpec{
				NodeSelector: map[string]string{"node-role.kubernetes.io/worker": ""},
				Tolerations:  []core.Toleration{{Key: fleet.Taint.Key, Operator: core.TolerationOpExists}},
				Containers:   []core.Container{{Name: "app", Image: "registry.fleet.example/scaled:1"}},
			},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.scaled = fakeScaled
}

// count is how many objects of a kind the API server has.
func (f *fakeFleet) count(ctx context.Context, kind string) (int, error) {
	var list metav1.List
	err := f.Client().CoreV1().RESTClient().Get().Resource(kind).VersionedParams(&metav1.ListOptions{Limit: 1}, metav1.ParameterCodec).Do(ctx).Into(&list)
	if err != nil {
		return 0, err
	}
	n := len(list.Items)
	if list.RemainingItemCount != nil {
		n += int(*list.RemainingItemCount)
	}
	return n, nil
}

// value is that of a query with one answer.
func (f *fakeFleet) value(expr string, args ...any) (float64, error) {
	got, err := f.one(expr, args...)
	return got.Value.value, err
}

// equal is an error where a query's one answer is not want.
func (f *fakeFleet) equal(want int, expr string) error {
	got, err := f.value("%s", expr)
	if err == nil && got != float64(want) {
		err = fmt.Errorf("%s is %g, want %d", expr, got, want)
	}
	return err
}

// page asks the page's own API.
func (f *fakeFleet) page(ctx context.Context, into any, path string, params url.Values) error {
	answer := struct{ Data any }{into}
	return ask(ctx, "http://"+f.collector.web+"/api/page/"+path+"?"+params.Encode(), &answer)
}

// shown is an error unless state-agent tells of all nodes and pods, and all of them run.
func (f *fakeFleet) shown(ctx context.Context) error {
	pods, err := f.count(ctx, "pods")
	if err != nil {
		return err
	}
	suite := 2*(f.nodes+1) + 2 // DaemonSets, state-agent, collector
	if pods != f.settled+f.scaled+suite {
		return fmt.Errorf("there are %d pods, want %d and %d and %d of the suite", pods, f.settled, f.scaled, suite)
	}
	for expr, want := range map[string]int{
		"count(kube_node_info)": f.nodes + 1,
		`sum(kube_node_status_condition{condition="Ready", status="true"})`: f.nodes + 1,
		"count(kube_pod_info)":                                                           pods,
		`sum(kube_pod_status_phase{phase="Running"})`:                                    pods,
		`count(kube_pod_status_phase{phase="Failed"})`:                                   pods,
		`count(kube_pod_info{node!="` + testcluster.NodeName + `", host_ip=~"10[.].+"})`: pods - 4,
		// Each port of a container is a target, and a container without one: two of each pod of the loader and of state-agent.
		`prometheus_sd_discovered_targets{name="scrape", config="kubernetes-pods"}`: pods + f.settled + 1,
		`prometheus_sd_discovered_targets{name="scrape", config="kubelet"}`:         f.nodes + 1,
	} {
		if err := f.equal(want, expr); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeFleet) testState() {
	f.finally("state-agent and discovery have everything", f.shown)
	list, err := f.Client().CoreV1().Pods("team-07").List(f.t.Context(), metav1.ListOptions{Limit: 100})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range list.Items {
		if _, err := f.one(`kube_pod_info{namespace=%q, pod=%q, node=%q, pod_ip=%q, uid=%q}`, p.Namespace, p.Name, p.Spec.NodeName, p.Status.PodIP, p.UID); err != nil {
			f.t.Error(err)
		}
	}
}

// targets are those of the jobs. Of the loader's pods one in a hundred is to be scraped.
func (f *fakeFleet) targets() map[string]int {
	return map[string]int{
		"node": f.nodes + 1, "cadvisor-proxy": f.nodes + 1, "kubelet": f.nodes + 1, "kubernetes-pods": (f.made + 99) / 100,
		"state-agent": 2, "collector": 1, "apiserver": 1, "kube-scheduler": 1, "kube-controller-manager": 1,
	}
}

func (f *fakeFleet) testTargets() {
	f.finally("every target is up", func(context.Context) error {
		got, err := f.query("sum by (job) (up)")
		if err != nil {
			return err
		}
		jobs := map[string]int{}
		for _, s := range got {
			jobs[s.Metric["job"]] = int(s.Value.value)
		}
		if want := f.targets(); !maps.Equal(jobs, want) {
			return fmt.Errorf("targets that are up are %v, want %v", jobs, want)
		}
		return f.none("up == 0")
	})
}

// The page has all nodes, by the fifty, and finds a pod by its address.
func (f *fakeFleet) testPage() {
	type answer struct {
		All, Total int
		States     map[string]int
		Rows       []struct {
			Name, State string
			Why         []string
			CPU, Memory *float64
			Pods        int
		}
	}
	f.finally("all nodes are well, and their CPU is known", func(ctx context.Context) error {
		var a answer
		if err := f.page(ctx, &a, "nodes", url.Values{"sort": {"cpu"}}); err != nil { // what is not known comes first
			return err
		}
		// The real one is under the pressure that the machine is under.
		if a.All != f.nodes+1 || a.States["up"] < f.nodes || a.States["down"] > 0 || a.Rows[0].CPU == nil {
			return fmt.Errorf("%d nodes in states %v; the first: %+v", a.All, a.States, a.Rows[0])
		}
		return nil
	})
	names := map[string]bool{}
	const perPage = 50
	for offset := 0; offset <= f.nodes; offset += perPage {
		var a answer
		began := time.Now()
		if err := f.page(f.t.Context(), &a, "nodes", url.Values{"sort": {"name"}, "offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(perPage)}}); err != nil {
			f.t.Fatal(err)
		}
		if want := min(perPage, f.nodes+1-offset); len(a.Rows) != want || a.Total != f.nodes+1 {
			f.t.Errorf("from %d on there are %d rows of %d, want %d of %d", offset, len(a.Rows), a.Total, want, f.nodes+1)
		}
		for _, n := range a.Rows {
			names[n.Name] = true
			if n.Name != testcluster.NodeName && (n.Pods < f.made/f.nodes || n.CPU == nil || n.Memory == nil) {
				f.t.Errorf("%+v: want at least %d pods, CPU and memory", n, f.made/f.nodes)
			}
		}
		f.t.Logf("nodes %d to %d in %s", offset+1, offset+len(a.Rows), time.Since(began).Round(time.Millisecond))
	}
	if len(names) != f.nodes+1 {
		f.t.Errorf("all pages together have %d nodes", len(names))
	}
	list, err := f.Client().CoreV1().Pods("team-31").List(f.t.Context(), metav1.ListOptions{Limit: 1})
	if err != nil {
		f.t.Fatal(err)
	}
	pod := list.Items[0]
	var found struct {
		Hits []struct{ What, Namespace, Name string }
	}
	if err := f.page(f.t.Context(), &found, "search", url.Values{"q": {pod.Status.PodIP}}); err != nil {
		f.t.Fatal(err)
	}
	if len(found.Hits) == 0 || found.Hits[0].What != "pod" || found.Hits[0].Namespace != pod.Namespace || found.Hits[0].Name != pod.Name {
		f.t.Errorf("%s is the address of %s/%s; the search finds %+v", pod.Status.PodIP, pod.Namespace, pod.Name, found.Hits)
	}
}

// Pods come and go, by a controller's hand and by ours.
func (f *fakeFleet) testChurn() {
	gone, more := min(200, f.made/100), 50 // all of one namespace, of fifty
	list, err := f.Client().CoreV1().Pods("team-11").List(f.t.Context(), metav1.ListOptions{Limit: int64(gone)})
	if err != nil || len(list.Items) != gone {
		f.t.Fatalf("%d pods, %v", len(list.Items), err)
	}
	for _, p := range list.Items {
		if err := f.Client().CoreV1().Pods(p.Namespace).Delete(f.t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
			f.t.Fatal(err)
		}
	}
	scale, err := f.Client().AppsV1().Deployments("default").GetScale(f.t.Context(), "scaled", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	scale.Spec.Replicas += int32(more)
	if _, err := f.Client().AppsV1().Deployments("default").UpdateScale(f.t.Context(), "scaled", scale, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	f.settled, f.scaled = f.settled-gone, f.scaled+more
	f.finally("what has changed is shown", func(ctx context.Context) error {
		if err := f.shown(ctx); err != nil {
			return err
		}
		if err := f.equal(f.scaled, `kube_deployment_status_replicas_available{deployment="scaled"}`); err != nil {
			return err
		}
		p := list.Items[0]
		return f.none(`kube_pod_info{namespace=%q, pod=%q}`, p.Namespace, p.Name)
	})
}

// None of the suite's programs has needed more memory than its limit, or was started twice.
func (f *fakeFleet) testMemory() {
	pods, err := f.running(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	seen := 0
	for _, p := range pods {
		if !strings.HasPrefix(p.Namespace, "watchpost") || p.Spec.NodeName != testcluster.NodeName {
			continue
		}
		for i, c := range p.Status.ContainerStatuses {
			if c.RestartCount > 0 || c.LastTerminationState.Terminated != nil {
				f.t.Errorf("%s of %s was started again %d times: %+v", c.Name, p.Name, c.RestartCount, c.LastTerminationState.Terminated)
			}
			pids, err := f.Processes(c.ContainerID)
			if err != nil {
				f.t.Fatal(err)
			}
			resident, peak := memoryOf(f.t, pids)
			limit := p.Spec.Containers[i].Resources.Limits.Memory().Value()
			f.t.Logf("%s: %.1f MB resident, %.1f MB at most, limit %.1f MB", c.Name, float64(resident)/1e6, float64(peak)/1e6, float64(limit)/1e6)
			if limit == 0 || peak > limit {
				f.t.Errorf("%s took %d bytes, the limit is %d", c.Name, peak, limit)
			}
			seen++
		}
	}
	if seen != 4 {
		f.t.Errorf("%d containers of the suite run on %s, want 4", seen, testcluster.NodeName)
	}
	for _, job := range []string{"state-agent", "collector"} {
		resident, err := f.value(`max_over_time(process_resident_memory_bytes{job=%q}[30m])`, job)
		if err != nil {
			f.t.Error(err)
		}
		samples, err := f.value(`sum(scrape_samples_scraped{job=%q})`, job)
		if err != nil {
			f.t.Error(err)
		}
		f.t.Logf("%s: %.1f MB at most by its own metric, %.0f samples of it a scrape", job, resident/1e6, samples)
	}
	series, err := f.value("prometheus_tsdb_head_series")
	if err != nil {
		f.t.Error(err)
	}
	f.t.Logf("%.0f series are stored", series)
}

// memoryOf is what processes have resident, and had at most, in bytes.
func memoryOf(t *testing.T, pids []int) (resident, peak int64) {
	t.Helper()
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			words := strings.Fields(line)
			if len(words) != 3 || !slices.Contains([]string{"VmRSS:", "VmHWM:"}, words[0]) {
				continue
			}
			kib, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if words[0] == "VmRSS:" {
				resident += kib << 10
			} else {
				peak += kib << 10
			}
		}
	}
	return resident, peak
}

func TestClusterOfAFleet(t *testing.T) {
	if os.Getenv("WATCHPOST_CLUSTER") != "fleet" {
		t.Skip("takes some minutes: WATCHPOST_CLUSTER=fleet")
	}
	f := startFakeFleet(t)
	for _, part := range []struct {
		name string
		test func(*fakeFleet)
	}{
		{"all nodes and pods are shown", (*fakeFleet).testState},
		{"every target is up", (*fakeFleet).testTargets},
		{"the fleet on the page", (*fakeFleet).testPage},
		{"pods come and go", (*fakeFleet).testChurn},
		{"memory is within the limits", (*fakeFleet).testMemory},
	} {
		t.Run(part.name, func(t *testing.T) {
			in := f.in(t)
			part.test(in)
			f.settled, f.scaled = in.settled, in.scaled
		})
	}
}
