//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testcluster"
)

// query asks the collector; no answer is an error.
func (s *suite) query(expr string, args ...any) ([]series, error) {
	got, err := s.collector.query(fmt.Sprintf(expr, args...))
	if err == nil && len(got) == 0 {
		err = fmt.Errorf("no series: "+expr, args...)
	}
	return got, err
}

// one is query with one answer.
func (s *suite) one(expr string, args ...any) (series, error) {
	got, err := s.query(expr, args...)
	if err != nil {
		return series{}, err
	}
	if len(got) > 1 {
		return series{}, fmt.Errorf("%d series: %s", len(got), fmt.Sprintf(expr, args...))
	}
	return got[0], nil
}

// none is an error where a query has an answer.
func (s *suite) none(expr string, args ...any) error {
	got, err := s.collector.query(fmt.Sprintf(expr, args...))
	if err == nil && len(got) > 0 {
		err = fmt.Errorf("%d series, such as %v: %s", len(got), got[0].Metric, fmt.Sprintf(expr, args...))
	}
	return err
}

// ask reads the JSON of an address.
func ask(ctx context.Context, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// targetsPerJob are all that there is to scrape on this node.
var targetsPerJob = map[string]int{
	"node": 1, "cadvisor-proxy": 1, "state-agent": 2, "collector": 1, "kubelet": 1, "apiserver": 1, "kube-scheduler": 1, "kube-controller-manager": 1,
	"kubernetes-pods": 1, // redis
}

// healthy is an error unless all targets are up.
func (s *suite) healthy(ctx context.Context) error {
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				Labels                       map[string]string
				ScrapeURL, Health, LastError string
			}
		}
	}
	if err := ask(ctx, "http://"+s.collector.web+"/api/v1/targets?state=active", &answer); err != nil {
		return err
	}
	jobs := map[string]int{}
	for _, target := range answer.Data.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%s of job %s is %s: %s", target.ScrapeURL, target.Labels["job"], target.Health, target.LastError)
		}
		jobs[target.Labels["job"]]++
	}
	if !maps.Equal(jobs, targetsPerJob) {
		return fmt.Errorf("targets by job are %v, want %v", jobs, targetsPerJob)
	}
	return nil
}

func (s *suite) testTargets() {
	s.eventually("every target is up", s.healthy)
	if err := s.none("up == 0"); err != nil {
		s.t.Error(err)
	}
}

// A pod reaches a service by its name. The suite itself asks for none: what it scrapes it finds by the API server.
func (s *suite) testNames() {
	s.eventually("a job reaches redis by its name", func(ctx context.Context) error {
		job, err := s.Client().BatchV1().Jobs("shop").Get(ctx, "finder", metav1.GetOptions{})
		if err == nil && job.Status.Succeeded != 1 {
			err = fmt.Errorf("%+v", job.Status)
		}
		return err
	})
}

// The node's metrics are there for anyone who can reach the node, as node_exporter's.
func (s *suite) testNodeMetrics() {
	got := parse(s.t, get(s.t, http.DefaultClient, "http://"+net.JoinHostPort(s.Node().String(), "9100")+"/metrics"))
	if got.series[`{__name__="node_load1"}`] == 0 {
		s.t.Error("no node_load1")
	}
	for _, want := range []string{`{__name__="node_uname_info", `, `{__name__="node_filesystem_size_bytes", `, `{__name__="node_network_receive_bytes_total", `} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(got.series)), func(series string) bool { return strings.HasPrefix(series, want) }) {
			s.t.Errorf("no series begins with %s", want)
		}
	}
}

// running are the pods that run.
func (s *suite) running(ctx context.Context) ([]corev1.Pod, error) {
	list, err := s.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
	if len(pods) == 0 {
		return nil, errors.New("no pod runs")
	}
	return pods, nil
}

// pod is the one of an application.
func (s *suite) pod(ctx context.Context, namespace, app string) (corev1.Pod, error) {
	pods, err := s.running(ctx)
	if err != nil {
		return corev1.Pod{}, err
	}
	for _, p := range pods {
		if p.Namespace == namespace && (p.Labels["app"] == app || p.Labels["app.kubernetes.io/name"] == app) && p.DeletionTimestamp == nil {
			return p, nil
		}
	}
	return corev1.Pod{}, fmt.Errorf("no pod of %s/%s runs", namespace, app)
}

func (s *suite) testContainers() {
	s.eventually("the series of each container that runs have pod, namespace, address and node", func(ctx context.Context) error {
		pods, err := s.running(ctx)
		if err != nil {
			return err
		}
		for _, p := range pods {
			for _, c := range p.Status.ContainerStatuses {
				if c.State.Running == nil || time.Since(c.State.Running.StartedAt.Time) < 20*time.Second {
					continue // the kubelet does not know it yet
				}
				for _, family := range []string{"container_memory_working_set_bytes", "container_cpu_usage_seconds_total"} {
					got, err := s.one("%s{namespace=%q, pod=%q, container=%q}", family, p.Namespace, p.Name, c.Name)
					if err != nil {
						return err
					}
					if got.Metric["pod_ip"] != p.Status.PodIP || got.Metric["node"] != p.Spec.NodeName {
						return fmt.Errorf("%s of %s/%s has pod_ip %q and node %q, want %q and %q", family, p.Namespace, p.Name, got.Metric["pod_ip"], got.Metric["node"], p.Status.PodIP, p.Spec.NodeName)
					}
				}
			}
			if _, err := s.query("container_network_receive_bytes_total{namespace=%q, pod=%q, pod_ip=%q, node=%q}", p.Namespace, p.Name, p.Status.PodIP, p.Spec.NodeName); err != nil && !p.Spec.HostNetwork {
				return err
			}
		}
		for _, label := range []string{"namespace", "pod_ip", "node"} {
			if err := s.none(`{__name__=~"container_.+", pod!="", %s=""}`, label); err != nil {
				return err
			}
		}
		if _, err := s.query(`container_memory_working_set_bytes{container!=""} and on (namespace, pod, pod_ip, node) kube_pod_info`); err != nil {
			return err
		}
		return s.none(`{__name__=~"container_.+", pod!=""} unless on (namespace, pod, pod_ip, node) kube_pod_info`)
	})
}

// chain is what one question about an address each has told.
type chain struct{ address, pod, node string }

// follow goes from a metric of redis to its pod.
func (s *suite) follow(ctx context.Context) (c chain, err error) {
	metric, err := s.one("redis_up == 1")
	if err != nil {
		return c, err
	}
	if c.address, _, err = net.SplitHostPort(metric.Metric["instance"]); err != nil {
		return c, err
	}
	info, err := s.one("kube_pod_info{pod_ip=%q}", c.address)
	if err != nil {
		return c, err
	}
	c.pod, c.node = info.Metric["pod"], info.Metric["node"]
	want, err := s.pod(ctx, "shop", "redis")
	if err != nil {
		return c, err
	}
	if c.pod != want.Name || c.node != testcluster.NodeName {
		return c, fmt.Errorf("%s is said to be pod %q on %q, is %s", c.address, c.pod, c.node, want.Name)
	}
	return c, nil
}

func (s *suite) testChain() {
	var c chain
	s.eventually("the address of a metric leads to its pod, and that to what it uses", func(ctx context.Context) (err error) {
		if c, err = s.follow(ctx); err != nil {
			return err
		}
		for _, expr := range []string{
			`sum by (namespace, pod, node) (rate(container_cpu_usage_seconds_total{pod_ip=%q, container!=""}[1m])) > 0`,
			`sum by (namespace, pod, node) (container_memory_working_set_bytes{pod_ip=%q, container!=""}) > 1e6`,
		} {
			got, err := s.one(expr, c.address)
			if err != nil {
				return err
			}
			if got.Metric["namespace"] != "shop" || got.Metric["pod"] != c.pod || got.Metric["node"] != c.node {
				return fmt.Errorf("%v is not of pod %s on %s", got.Metric, c.pod, c.node)
			}
		}
		if _, err := s.one("node_memory_MemAvailable_bytes{node=%q}", c.node); err != nil {
			return err
		}
		// One question that is about the pod as a whole.
		var of struct {
			Data struct {
				Pod        struct{ Pod, Node, IP, App string }
				Containers []struct{ CPU, Memory *float64 }
			}
		}
		if err := ask(ctx, "http://"+s.collector.web+"/api/page/pod?"+url.Values{"namespace": {"shop"}, "pod": {c.pod}}.Encode(), &of); err != nil {
			return err
		}
		if got := of.Data.Pod; got.Node != c.node || got.IP != c.address || got.App != "redis" || len(of.Data.Containers) != 2 {
			return fmt.Errorf("the page says of %s: %+v", c.pod, of.Data)
		}
		for _, container := range of.Data.Containers {
			if container.CPU == nil || container.Memory == nil {
				return fmt.Errorf("the page does not know what the containers of %s use", c.pod)
			}
		}
		return nil
	})
	agent, err := s.pod(s.t.Context(), "watchpost", "state-agent")
	if err != nil {
		s.t.Fatal(err)
	}
	var found []struct{ Pod, Namespace, Node string }
	if err := ask(s.t.Context(), fmt.Sprintf("http://%s/lookup?ip=%s", net.JoinHostPort(agent.Status.PodIP, "8080"), c.address), &found); err != nil {
		s.t.Error(err)
	}
	if len(found) != 1 || found[0].Pod != c.pod || found[0].Node != c.node {
		s.t.Errorf("state-agent finds %v for %s, want %s", found, c.address, c.pod)
	}
}

// From the address in the search to the pod, its panels, and its node.
func (s *suite) testPage() {
	c, err := s.follow(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if page := get(s.t, http.DefaultClient, "http://"+s.collector.web+"/"); page.status != http.StatusOK {
		s.t.Fatalf("the page is not built; run `make web`: %d %s", page.status, page.body)
	}
	b := startBrowser(s.t, "http://"+s.collector.web)
	b.size(1400, 900)
	b.open("/fleet")
	b.wait(fmt.Sprintf(`document.querySelector("main")?.innerText.includes(%q)`, testcluster.NodeName))
	b.shot("cluster-fleet")
	evaluate[bool](b, `document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true }))`)
	b.wait(`document.activeElement?.matches(".search input")`)
	b.write(".search input", c.address)
	b.wait(fmt.Sprintf(`document.querySelector("#hit-0")?.innerText.includes(%q)`, c.pod))
	b.write(".search input", "\r")
	b.wait(fmt.Sprintf(`location.pathname === "/pod" && document.querySelector("h1")?.innerText.includes(%q)`, c.pod))
	b.wait(`document.querySelectorAll(".containers tbody tr").length === 2`)
	for _, want := range []string{c.address, c.node, "Deployment redis", "redis-exporter"} {
		if got := b.text("main"); !strings.Contains(got, want) {
			s.t.Errorf("the pod's view lacks %q:\n%s", want, got)
		}
	}
	b.wait(drawn("#panel-cpu .chart"))
	b.wait(drawn("#panel-memory .chart"))
	b.wait(settled)
	b.shot("cluster-pod")
	evaluate[any](b, `document.querySelector('main a[href*="/node?"]').click()`)
	b.wait(fmt.Sprintf(`location.pathname === "/node" && document.querySelector("h1")?.innerText.includes(%q)`, c.node))
	b.wait(drawn("#panel-cpu .chart"))
	b.wait(fmt.Sprintf(`[...document.querySelectorAll(".pods a.row")].some((a) => a.innerText.includes(%q))`, c.pod))
	b.shot("cluster-node")
	b.quiet()
}

// firing is an error unless an alert with these labels, of which it may have more, fires.
func (s *suite) firing(name string, labels map[string]string) error {
	selector := ""
	for k, v := range labels {
		selector += fmt.Sprintf(", %s=~%q", k, v)
	}
	_, err := s.query(`ALERTS{alertname=%q, alertstate="firing"%s}`, name, selector)
	return err
}

func (s *suite) testAlerts() {
	for _, want := range []struct {
		alert  string
		labels map[string]string
	}{
		{"ContainerCrashLoops", map[string]string{"namespace": "shop", "pod": "crasher-.+", "container": "crasher"}},
		{"JobFailed", map[string]string{"namespace": "shop", "job_name": "failing"}},
		{"ContainerThrottled", map[string]string{"namespace": "shop", "pod": "spinner-.+", "container": "spinner"}},
		{"ContainerNearMemoryLimit", map[string]string{"namespace": "shop", "pod": "hoarder-.+", "container": "hoarder"}},
		{"ContainerKilledForMemory", map[string]string{"namespace": "shop", "pod": "glutton-.+", "container": "glutton"}},
		{"Watchdog", nil},
	} {
		s.eventually(want.alert+" fires", func(context.Context) error { return s.firing(want.alert, want.labels) })
	}
	if err := s.none(`ALERTS{alertstate="firing", pod=~"redis-.+|state-agent-.+|collector-.+|cadvisor-proxy-.+|node-agent-.+"}`); err != nil {
		s.t.Errorf("an alert about what is well: %v", err)
	}
	for _, suite := range []string{"TargetsDown", "Collector.+", "StateAgent.+", "ContainerMetricsMissing"} {
		if err := s.none(`ALERTS{alertstate="firing", alertname=~%q}`, suite); err != nil {
			s.t.Errorf("an alert about the suite: %v", err)
		}
	}
}

// summary is what the kubelet tells of containers at /stats/summary, as far as it is read here.
type summary struct {
	Pods []struct {
		PodRef     struct{ Name, Namespace string }
		Containers []struct {
			Name string
			CPU  struct {
				Time                 time.Time
				UsageCoreNanoSeconds float64
			}
			Memory struct{ WorkingSetBytes, RSSBytes float64 }
		}
	}
}

// usage is what a container has used.
type usage struct {
	at                   time.Time
	cpu, working, memory float64 // seconds, bytes, bytes
}

// summary asks the kubelet for a container.
func (s *suite) summary(ctx context.Context, pod, container string) (usage, error) {
	b, err := s.Client().CoreV1().RESTClient().Get().Resource("nodes").Name(testcluster.NodeName).SubResource("proxy").Suffix("stats/summary").DoRaw(ctx)
	if err != nil {
		return usage{}, err
	}
	var all summary
	if err := json.Unmarshal(b, &all); err != nil {
		return usage{}, err
	}
	for _, p := range all.Pods {
		for _, c := range p.Containers {
			if p.PodRef.Name == pod && c.Name == container {
				return usage{c.CPU.Time, c.CPU.UsageCoreNanoSeconds / 1e9, c.Memory.WorkingSetBytes, c.Memory.RSSBytes}, nil
			}
		}
	}
	return usage{}, fmt.Errorf("the kubelet does not know container %s of %s", container, pod)
}

// proc is what the kernel tells of the process of a container.
func (s *suite) proc(pod corev1.Pod, container string) (u usage, err error) {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != container {
			continue
		}
		pids, err := s.Processes(c.ContainerID)
		if err != nil {
			return u, err
		}
		for _, pid := range pids {
			cpu, err := processorSeconds(pid)
			if err != nil {
				return u, err
			}
			u.cpu += cpu
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				return u, err
			}
			_, rest, _ := strings.Cut(string(status), "RssAnon:")
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return u, err
			}
			u.memory += kib * 1024
		}
		return u, nil
	}
	return u, fmt.Errorf("pod %s has no container %s", pod.Name, container)
}

// processorSeconds is what a process has used of all processors, to 10 ms.
func processorSeconds(pid int) (seconds float64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest) // from the third field on: proc_pid_stat(5)
	for _, ticks := range f[11:13] {
		n, err := strconv.ParseFloat(ticks, 64)
		if err != nil {
			return 0, err
		}
		seconds += n / 100 // in USER_HZ, which is 100 on every Linux
	}
	return seconds, nil
}

// kubeletLag is how old what the kubelet says of a container may be: it reads each every ten seconds or so.
const kubeletLag = 20 * time.Second

// A counter that the collector has lies between what its sources say before and after; what stays the same is the same.
func (s *suite) testNumbers() {
	type reading struct {
		pod             corev1.Pod
		kubelet, kernel usage // before
		collector       usage // later
	}
	readings := map[string]*reading{}
	for _, app := range []string{"redis", "spinner", "hoarder"} {
		pod, err := s.pod(s.t.Context(), "shop", app)
		if err != nil {
			s.t.Fatal(err)
		}
		r := &reading{pod: pod}
		if r.kernel, err = s.proc(pod, app); err != nil {
			s.t.Fatal(err)
		}
		if r.kubelet, err = s.summary(s.t.Context(), pod.Name, app); err != nil {
			s.t.Fatal(err)
		}
		readings[app] = r
	}
	began := time.Now()
	for app, r := range readings {
		s.eventually("a scrape that tells of "+app+" as it was after", func(context.Context) error {
			for family, to := range map[string]*float64{"container_cpu_usage_seconds_total": &r.collector.cpu, "container_memory_working_set_bytes": &r.collector.working, "container_memory_rss": &r.collector.memory} {
				of := fmt.Sprintf("%s{namespace=%q, pod=%q, container=%q}", family, "shop", r.pod.Name, app)
				at, err := s.one("timestamp(%s)", of)
				if err != nil {
					return err
				}
				if time.UnixMilli(int64(at.Value.value * 1e3)).Before(began.Add(kubeletLag)) {
					return errors.New("not yet")
				}
				got, err := s.one("%s", of)
				if err != nil {
					return err
				}
				*to = got.Value.value
			}
			return nil
		})
	}
	asked := time.Now()
	for app, r := range readings {
		var kubelet usage
		s.eventually("the kubelet has read "+app+" again", func(ctx context.Context) (err error) {
			if kubelet, err = s.summary(ctx, r.pod.Name, app); err == nil && kubelet.at.Before(asked) {
				err = errors.New("not yet")
			}
			return err
		})
		kernel, err := s.proc(r.pod, app)
		if err != nil {
			s.t.Fatal(err)
		}
		got := r.collector
		s.t.Logf("%s: CPU %.3f s (kubelet %.3f to %.3f, /proc %.2f to %.2f), working set %.0f (kubelet %.0f), memory %.0f (kubelet %.0f, /proc %.0f)",
			app, got.cpu, r.kubelet.cpu, kubelet.cpu, r.kernel.cpu, kernel.cpu, got.working, kubelet.working, got.memory, kubelet.memory, kernel.memory)
		const starter = 0.1 // seconds: what has started the process counts for its container
		if got.cpu < r.kubelet.cpu || got.cpu > kubelet.cpu || got.cpu < r.kernel.cpu-starter || got.cpu > kernel.cpu+starter {
			s.t.Errorf("%s used %.3f s of CPU: the kubelet said %.3f before and %.3f after, /proc %.2f and %.2f", app, got.cpu, r.kubelet.cpu, kubelet.cpu, r.kernel.cpu, kernel.cpu)
		}
		for what, pair := range map[string][2]float64{"working set of the kubelet": {got.working, kubelet.working}, "memory of the kubelet": {got.memory, kubelet.memory}, "memory of /proc": {got.memory, kernel.memory}} {
			if math.Abs(pair[0]-pair[1]) > 0.05*pair[1]+512<<10 {
				s.t.Errorf("%s: %s is %.0f, the collector has %.0f", app, what, pair[1], pair[0])
			}
		}
	}
	// The node's own counter, beside the kernel's.
	const counter = "/sys/class/net/lo/statistics/rx_bytes"
	read := func() float64 {
		text, err := s.Exec("cat", counter)
		if err != nil {
			s.t.Fatal(err)
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return n
	}
	before, since := read(), time.Now()
	var received float64
	s.eventually("a scrape of the node", func(context.Context) error {
		at, err := s.one(`timestamp(node_network_receive_bytes_total{device="lo"})`)
		if err != nil {
			return err
		}
		if time.UnixMilli(int64(at.Value.value * 1e3)).Before(since) {
			return errors.New("not yet")
		}
		got, err := s.one(`node_network_receive_bytes_total{device="lo"}`)
		received = got.Value.value
		return err
	})
	if after := read(); received < before || received > after {
		s.t.Errorf("lo received %.0f bytes: %s said %.0f before and %.0f after", received, counter, before, after)
	}
}
