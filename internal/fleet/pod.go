package fleet

// One pod: its containers, its owners, what happened to it, and what it says of
// itself.

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchpost/internal/pageapi"
)

// Container is one container of a pod: what it is, how it is, what it takes.
type Container struct {
	Name    string `json:"name"`
	Image   string `json:"image,omitempty"`
	State   string `json:"state,omitempty"`  // running, waiting or terminated
	Reason  string `json:"reason,omitempty"` // why it waits or ended
	Ready   *bool  `json:"ready,omitempty"`
	Started int64  `json:"started,omitempty"` // ms since the epoch

	Restarts   float64  `json:"restarts"`
	LastReason string   `json:"lastReason,omitempty"` // why it ended last
	LastExit   *float64 `json:"lastExit,omitempty"`
	LastEnd    int64    `json:"lastEnd,omitempty"` // ms since the epoch

	Usage
	Throttled *float64 `json:"throttled"` // share of the periods in which it was held back
	Disk      *float64 `json:"disk"`      // bytes written to its own filesystem
}

// Owner is one step of the chain from a pod to what a person made.
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Event is something that changed in the state of a pod.
type Event struct {
	Time int64  `json:"time"` // ms since the epoch, of the first sample that shows it
	What string `json:"what"`
	Bad  bool   `json:"bad,omitempty"`
}

// OwnMetric is a family that a pod's exporter tells.
type OwnMetric struct {
	Name     string `json:"name"`
	Job      string `json:"job,omitempty"`
	Instance string `json:"instance,omitempty"`
	Series   int    `json:"series"`
}

type podAnswer struct {
	Pod        Pod               `json:"pod"`
	Node       *Node             `json:"node,omitempty"`
	Owners     []Owner           `json:"owners"`
	Labels     map[string]string `json:"labels,omitempty"`
	Created    int64             `json:"created,omitempty"` // ms since the epoch
	HostIP     string            `json:"hostIP,omitempty"`
	Containers []*Container      `json:"containers"`
	Interfaces []*Interface      `json:"interfaces"`
	Events     []Event           `json:"events"`
	Metrics    []OwnMetric       `json:"metrics"`
	pageapi.Costed
}

// history is how far back the events of a pod reach.
const history = "6h"

// maxEvents and maxMetrics bound the lists of one pod.
const (
	maxEvents  = 100
	maxMetrics = 200
)

func (v *View) servePod(r *http.Request) (a podAnswer, err error) {
	began := v.now()
	params := r.URL.Query()
	k := podKey{params.Get("cluster"), params.Get("namespace"), params.Get("pod")}
	if k.namespace == "" || k.name == "" {
		return a, pageapi.BadData("namespace and pod are needed")
	}
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	nodes, pods, cost, err := m.nodesThen(r.Context())
	if err != nil {
		return a, err
	}
	p := pods.byKey[k]
	if p == nil && !params.Has("cluster") {
		for _, other := range pods.all {
			if other.Namespace == k.namespace && other.Name == k.name {
				p = other
				break
			}
		}
	}
	if p == nil {
		return a, pageapi.NotFound("pod %s/%s is not there: it was deleted, or nothing has told of it in the last five minutes", k.namespace, k.name)
	}
	a = podAnswer{Pod: *p, Node: nodes.byKube[kubeKey{p.Cluster, p.Node}], Owners: []Owner{}, Labels: map[string]string{},
		Containers: []*Container{}, Interfaces: []*Interface{}, Events: []Event{}, Metrics: []OwnMetric{}}
	if p.by != "" {
		a.Owners = append(a.Owners, Owner{p.byKind, p.by})
	}
	if p.App != p.by || p.Kind != p.byKind {
		a.Owners = append(a.Owners, Owner{p.Kind, p.App})
	}
	q := m.inquire()
	if err := q.describe(r.Context(), p, &a); err != nil {
		return a, err
	}
	a.Cost = v.cost(began, time.Time{}, q)
	a.Cost.Add(cost)
	return a, nil
}

// describe asks all there is about one pod.
func (q *inquiry) describe(ctx context.Context, p *Pod, a *podAnswer) error {
	sel := "cluster=" + quote(p.Cluster) + ",namespace=" + quote(p.Namespace) + ",pod=" + quote(p.Name)
	containers := map[string]*Container{}
	of := func(name string) *Container {
		if containers[name] == nil {
			containers[name] = &Container{Name: name}
		}
		return containers[name]
	}
	// used is a number of a container.
	used := func(read reading, field func(*Container) **float64) each {
		return about(func(l iter.Seq2[string, string]) *Container {
			if !ofContainer(l) {
				return nil
			}
			return of(labelOf(l, "container"))
		}, read, func(c *Container, v float64) { sum(field(c), &v) })
	}
	nets := map[string]*Interface{}
	net := func(field func(*Interface) **float64) each {
		return slope(func(l iter.Seq2[string, string], v float64) {
			name := labelOf(l, "interface")
			if nets[name] == nil {
				nets[name] = &Interface{Name: name}
			}
			sum(field(nets[name]), &v)
		})
	}
	held, periods := map[string]float64{}, map[string]float64{} // back, a second, and all
	count := func(into map[string]float64) each {
		return slope(func(l iter.Seq2[string, string], v float64) { into[labelOf(l, "container")] += v })
	}
	var events timeline
	// Its own metrics with the number of their series: those that bear its name, and
	// those at its address; mostly they are the same.
	own, there := map[OwnMetric]int{}, map[OwnMetric]int{}
	now := map[string]each{
		usedMemory:                 used(value, func(c *Container) **float64 { return &c.Memory }),
		"container_fs_usage_bytes": used(value, func(c *Container) **float64 { return &c.Disk }),
	}
	lately := map[string]each{
		usedCPU: used(slope, func(c *Container) **float64 { return &c.CPU }),
		"container_cpu_cfs_throttled_periods_total":        count(held),
		"container_cpu_cfs_periods_total":                  count(periods),
		"container_network_receive_bytes_total":            net(func(i *Interface) **float64 { return &i.Receive }),
		"container_network_transmit_bytes_total":           net(func(i *Interface) **float64 { return &i.Transmit }),
		"container_network_receive_errors_total":           net(func(i *Interface) **float64 { return &i.Errors }),
		"container_network_transmit_errors_total":          net(func(i *Interface) **float64 { return &i.Errors }),
		"container_network_receive_packets_dropped_total":  net(func(i *Interface) **float64 { return &i.Drops }),
		"container_network_transmit_packets_dropped_total": net(func(i *Interface) **float64 { return &i.Drops }),
	}
	by := func(take func(metric string) each) each {
		return func(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
			if do := take(labelOf(l, "__name__")); do != nil {
				do(l, points)
			}
		}
	}
	told := value(func(l iter.Seq2[string, string], v float64) { a.told(l, v, of) })
	another := value(func(l iter.Seq2[string, string], _ float64) { own[ownMetric(l)]++ })
	// What is told of the pod under its own name: by state-agent, by cadvisor-proxy, and
	// by its own exporter, where a job gives those labels. A pod has some dozens of
	// series, and a metric as many as there are pods: so all of the pod are found, and
	// those read that are wanted.
	questions := []question{
		{"what is said of the pod", "{" + sel + "}", by(func(metric string) each {
			switch {
			case now[metric] != nil:
				return now[metric]
			case strings.HasPrefix(metric, "kube_pod_"):
				return told
			case notOwn(metric):
				return nil
			}
			return another
		})},
		{"rates", "{" + sel + "}[" + window + "]", by(func(metric string) each { return lately[metric] })},
		{"events", "{" + sel + "}[" + history + "]", by(func(metric string) each {
			if slices.Contains(eventful, metric) {
				return events.read
			}
			return nil
		})},
	}
	if p.IP != "" && !p.hostNetwork { // the node's address would bring the node's metrics
		questions = append(questions, question{"metrics at its address", "{instance=~" + quote(regexp.QuoteMeta(p.IP)+":.+") + "}",
			func(l iter.Seq2[string, string], _ iter.Seq2[int64, float64]) { // the points are of no interest
				if m := ownMetric(l); m.Name != "up" && !strings.HasPrefix(m.Name, "scrape_") {
					there[m]++
				}
			}})
	}
	if err := q.ask(ctx, questions...); err != nil {
		return err
	}
	for _, c := range containers {
		a.Containers = append(a.Containers, c)
	}
	slices.SortFunc(a.Containers, func(a, b *Container) int { return strings.Compare(a.Name, b.Name) })
	for _, i := range nets {
		a.Interfaces = append(a.Interfaces, i)
	}
	slices.SortFunc(a.Interfaces, func(a, b *Interface) int { return pageapi.Natural(a.Name, b.Name) })
	for name, n := range held {
		if all := periods[name]; all > 0 && containers[name] != nil {
			share := n / all
			containers[name].Throttled = &share
		}
	}
	a.Events = events.all()
	for m, n := range there {
		own[m] = max(own[m], n)
	}
	for m, n := range own {
		m.Series = n
		a.Metrics = append(a.Metrics, m)
	}
	slices.SortFunc(a.Metrics, func(a, b OwnMetric) int {
		return cmp.Or(strings.Compare(a.Job, b.Job), strings.Compare(a.Instance, b.Instance), strings.Compare(a.Name, b.Name))
	})
	a.Metrics = a.Metrics[:min(len(a.Metrics), maxMetrics)]
	return nil
}

// eventful are the metrics of state-agent whose changes are told.
var eventful = []string{"kube_pod_status_phase", "kube_pod_status_ready", "kube_pod_container_status_restarts_total",
	"kube_pod_container_status_waiting_reason", "kube_pod_container_status_terminated_reason"}

// ownMetric reads which metric of which target a series is of.
func ownMetric(l iter.Seq2[string, string]) (m OwnMetric) {
	for n, v := range l {
		switch n {
		case "__name__":
			m.Name = v
		case "job":
			m.Job = v
		case "instance":
			m.Instance = v
		}
	}
	return m
}

// notOwn tells the metrics that others say of a pod from those of its own exporter.
func notOwn(metric string) bool {
	return metric == "up" || slices.ContainsFunc([]string{"kube_", "container_", "kubelet_", "prober_", "scrape_"}, func(p string) bool { return strings.HasPrefix(metric, p) })
}

// told takes one series of state-agent.
func (a *podAnswer) told(l iter.Seq2[string, string], v float64, of func(string) *Container) {
	var metric, container, resource, reason, image string
	for n, val := range l {
		switch n {
		case "__name__":
			metric = val
		case "container":
			container = val
		case "resource":
			resource = val
		case "reason":
			reason = val
		case "image":
			image = val
		}
	}
	switch metric {
	case "kube_pod_created":
		a.Created = int64(v * 1000)
	case "kube_pod_info":
		a.HostIP = labelOf(l, "host_ip")
	case "kube_pod_labels":
		for n, val := range l {
			if name, is := strings.CutPrefix(n, "label_"); is {
				a.Labels[name] = val
			}
		}
	}
	if container == "" {
		return
	}
	c := of(container)
	switch metric {
	case "kube_pod_container_info":
		c.Image = image
	case "kube_pod_container_resource_requests":
		c.resource(resource, &c.CPURequest, &c.MemoryRequest, v)
	case "kube_pod_container_resource_limits":
		c.resource(resource, &c.CPULimit, &c.MemoryLimit, v)
	case "kube_pod_container_state_started":
		if v > 0 {
			c.Started = int64(v * 1000)
		}
	case "kube_pod_container_status_restarts_total":
		c.Restarts = max(c.Restarts, v)
	case "kube_pod_container_status_ready":
		ready := v == 1
		c.Ready = &ready
	case "kube_pod_container_status_last_terminated_exitcode":
		c.LastExit = &v
	case "kube_pod_container_status_last_terminated_timestamp":
		c.LastEnd = int64(v * 1000)
	}
	if v != 1 {
		return
	}
	switch metric {
	case "kube_pod_container_status_running":
		c.State = "running"
	case "kube_pod_container_status_waiting":
		c.State = "waiting"
	case "kube_pod_container_status_terminated":
		c.State = "terminated"
	case "kube_pod_container_status_waiting_reason", "kube_pod_container_status_terminated_reason":
		c.Reason = reason
	case "kube_pod_container_status_last_terminated_reason":
		c.LastReason = reason
	}
}

func (c *Container) resource(name string, cpu, memory **float64, v float64) {
	switch name {
	case "cpu":
		*cpu = &v
	case "memory":
		*memory = &v
	}
}

// timeline turns samples into what changed.
type timeline struct{ events []Event }

// read takes one series with its samples in the order of time.
func (t *timeline) read(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
	var metric, container, reason, phase, condition string
	for n, v := range l {
		switch n {
		case "__name__":
			metric = v
		case "container":
			container = v
		case "reason":
			reason = v
		case "phase":
			phase = v
		case "condition":
			condition = v
		}
	}
	var was float64
	var begun bool
	var last int64
	for at, v := range points {
		// A series that was not there is one that was 0; the first sample of the
		// stretch itself is no news.
		change := begun && v != was
		switch {
		case metric == "kube_pod_container_status_restarts_total":
			if change && v > was {
				t.add(at, container+" restarted: "+strconv.FormatFloat(v, 'f', -1, 64)+" times in all", true)
			}
		case metric == "kube_pod_status_phase":
			if change && v == 1 {
				t.add(at, phase, phase == "Failed" || phase == "Unknown")
			}
		case metric == "kube_pod_status_ready" && condition == "true":
			if change && v == 1 {
				t.add(at, "ready", false)
			} else if change {
				t.add(at, "not ready", true)
			}
		case metric == "kube_pod_container_status_waiting_reason":
			if v == 1 && (!begun || change || at-last > gap) {
				t.add(at, container+" waits: "+reason, !harmless(reason))
			}
		case metric == "kube_pod_container_status_terminated_reason":
			if v == 1 && (!begun || change || at-last > gap) {
				t.add(at, container+" ended: "+reason, reason != "Completed")
			}
		}
		was, begun, last = v, true, at
	}
}

// gap is the distance in ms between two samples from which on a reason was gone in
// between.
const gap = 5 * 60 * 1000

func (t *timeline) add(at int64, what string, bad bool) {
	t.events = append(t.events, Event{at, strings.Clone(what), bad})
}

// all are the newest events first, each once where two agents tell it.
func (t *timeline) all() []Event {
	slices.SortFunc(t.events, func(a, b Event) int { return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.What, b.What)) })
	events := slices.Compact(t.events)
	if events == nil {
		return []Event{}
	}
	return events[:min(len(events), maxEvents)]
}
