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
	Cost       Cost              `json:"cost"`
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
	nodes, pods, cost, err := v.nodesNow(r.Context())
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
	q := v.inquire()
	if err := v.describe(r.Context(), q, p, &a); err != nil {
		return a, err
	}
	a.Cost = v.cost(began, time.Time{}, q)
	a.Cost.Queries += cost.Queries
	a.Cost.Missing = append(a.Cost.Missing, cost.Missing...)
	return a, nil
}

// describe asks all there is about one pod.
func (v *View) describe(ctx context.Context, q *inquiry, p *Pod, a *podAnswer) error {
	sel := "cluster=" + quote(p.Cluster) + ",namespace=" + quote(p.Namespace) + ",pod=" + quote(p.Name)
	containers := map[string]*Container{}
	of := func(name string) *Container {
		if containers[name] == nil {
			containers[name] = &Container{Name: name}
		}
		return containers[name]
	}
	usage := func(field func(*Container) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], v float64) { *field(of(labelOf(l, "container"))) = &v })
	}
	nets := map[string]*Interface{}
	net := func(field func(*Interface) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], v float64) {
			name := labelOf(l, "interface")
			if nets[name] == nil {
				nets[name] = &Interface{Name: name}
			}
			*field(nets[name]) = &v
		})
	}
	own := `container!="",container!="POD"`
	rate := func(metric, more string) string { return "rate(" + metric + "{" + sel + more + "}[" + window + "])" }
	var events timeline
	questions := []question{
		// Everything that state-agent says of this pod, in one answer.
		{"what Kubernetes says of the pod", `{__name__=~"kube_pod_(created|info|labels|container_info|container_resource_requests|container_resource_limits|container_state_started|container_status_.+)",` + sel + `}`,
			value(func(l iter.Seq2[string, string], v float64) { a.told(l, v, of) })},
		{"CPU of containers", `sum by (container) (` + rate("container_cpu_usage_seconds_total", ","+own) + `)`, usage(func(c *Container) **float64 { return &c.CPU })},
		{"memory of containers", `sum by (container) (container_memory_working_set_bytes{` + sel + `,` + own + `})`, usage(func(c *Container) **float64 { return &c.Memory })},
		{"throttling", `sum by (container) (` + rate("container_cpu_cfs_throttled_periods_total", ","+own) + `) / sum by (container) (` + rate("container_cpu_cfs_periods_total", ","+own) + ` > 0)`, usage(func(c *Container) **float64 { return &c.Throttled })},
		{"disks of containers", `sum by (container) (container_fs_usage_bytes{` + sel + `,` + own + `})`, usage(func(c *Container) **float64 { return &c.Disk })},
		{"received", rate("container_network_receive_bytes_total", ""), net(func(i *Interface) **float64 { return &i.Receive })},
		{"sent", rate("container_network_transmit_bytes_total", ""), net(func(i *Interface) **float64 { return &i.Transmit })},
		{"network errors", rate("container_network_receive_errors_total", "") + " + " + rate("container_network_transmit_errors_total", ""), net(func(i *Interface) **float64 { return &i.Errors })},
		{"network drops", rate("container_network_receive_packets_dropped_total", "") + " + " + rate("container_network_transmit_packets_dropped_total", ""), net(func(i *Interface) **float64 { return &i.Drops })},
		{"events", `{__name__=~"kube_pod_status_phase|kube_pod_status_ready|kube_pod_container_status_(restarts_total|waiting_reason|terminated_reason)",` + sel + `}[` + history + `]`, events.read},
		{"its own metrics", `count by (__name__, job, instance) ({__name__!~"kube_.+|container_.+|kubelet_.+|prober_.+|scrape_.+|up",` + sel + `})`, a.ownMetric},
	}
	if p.IP != "" && !p.hostNetwork { // the node's address would bring the node's metrics
		questions = append(questions, question{"metrics at its address", `count by (__name__, job, instance) ({__name__!~"scrape_.+|up",instance=~` + quote(regexp.QuoteMeta(p.IP)+":.+") + `})`, a.ownMetric})
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
	a.Events = events.all()
	slices.SortFunc(a.Metrics, func(a, b OwnMetric) int {
		return cmp.Or(strings.Compare(a.Job, b.Job), strings.Compare(a.Instance, b.Instance), strings.Compare(a.Name, b.Name))
	})
	a.Metrics = slices.Compact(a.Metrics)
	a.Metrics = a.Metrics[:min(len(a.Metrics), maxMetrics)]
	return nil
}

func (a *podAnswer) ownMetric(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
	var m OwnMetric
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
	for _, v := range points {
		m.Series = int(v)
	}
	a.Metrics = append(a.Metrics, m)
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
