package fleet

// Pods: one list of all of them, from state-agent's kube_pod_* or, without it, from
// the labels of cadvisor-proxy's container_*.

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"watchpost/internal/pageapi"
)

// Pod is one row of a list of pods.
type Pod struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"pod"`
	IP        string `json:"ip,omitempty"`
	Node      string `json:"node,omitempty"`
	// Kind and App name what the pod belongs to in the end: a Deployment, not its
	// ReplicaSet. Empty where nothing made it.
	Kind string `json:"kind,omitempty"`
	App  string `json:"app,omitempty"`

	Phase    string   `json:"phase,omitempty"`
	State    string   `json:"state"` // sick, waiting, up, done or unknown
	Why      []string `json:"why,omitempty"`
	Restarts float64  `json:"restarts"`

	Usage *Usage `json:"usage,omitempty"`

	byKind, by  string // what made it directly
	hostNetwork bool
	unready     bool
}

// Usage is what a pod takes beside what it asked for and may take; nil is not known,
// or not said.
type Usage struct {
	CPU           *float64 `json:"cpu"` // cores
	CPURequest    *float64 `json:"cpuRequest"`
	CPULimit      *float64 `json:"cpuLimit"`
	Memory        *float64 `json:"memory"` // bytes of the working set
	MemoryRequest *float64 `json:"memoryRequest"`
	MemoryLimit   *float64 `json:"memoryLimit"`
}

// States of pods.
const (
	stateSick    = "sick"    // something is wrong with it
	stateWaiting = "waiting" // not ready, without a fault that is known
	stateUp      = "up"
	stateDone    = "done"    // ended well
	stateUnknown = "unknown" // nothing tells
)

var podStates = map[string]int{stateSick: 0, stateWaiting: 1, stateUnknown: 2, stateUp: 3, stateDone: 4}

type podKey struct{ cluster, namespace, name string }

type podList struct {
	all   []*Pod
	byKey map[podKey]*Pod
	sick  int
	// full tells that state-agent is there; without it states are not known.
	full bool
}

// podOf reads the labels that tell pods apart.
func podOf(l iter.Seq2[string, string]) (k podKey) {
	for n, v := range l {
		switch n {
		case "cluster":
			k.cluster = v
		case "namespace":
			k.namespace = v
		case "pod":
			k.name = v
		}
	}
	return k
}

// readPod is the pod that labels tell of: those of kube_pod_info, or of its containers.
func readPod(l iter.Seq2[string, string], names names) (p Pod) {
	for n, v := range l {
		switch n {
		case "cluster":
			p.Cluster = names.keep(v)
		case "namespace":
			p.Namespace = names.keep(v)
		case "pod":
			p.Name = names.keep(v)
		case "pod_ip":
			p.IP = names.keep(v)
		case "node":
			p.Node = names.keep(v)
		case "created_by_kind":
			p.byKind = names.keep(v)
		case "created_by_name":
			p.by = names.keep(v)
		case "host_network":
			p.hostNetwork = v == "true"
		}
	}
	return p
}

// harmless reasons to wait are those of every pod that starts.
func harmless(reason string) bool {
	return reason == "ContainerCreating" || reason == "PodInitializing"
}

// listPods asks for all pods and what is wrong with them.
func (v *View) listPods(ctx context.Context, q *inquiry) (*podList, error) {
	names := names{}
	list := &podList{byKey: map[podKey]*Pod{}}
	type owned struct{ cluster, namespace, name string }
	type owner struct{ kind, name string }
	sets, runs := map[owned]owner{}, map[owned]owner{} // of ReplicaSets and Jobs
	idle := map[podKey]bool{}                          // do not run
	owners := func(into map[owned]owner, label string) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], _ float64) {
			var o owned
			var by owner
			for n, v := range l {
				switch n {
				case "cluster":
					o.cluster = names.keep(v)
				case "namespace":
					o.namespace = names.keep(v)
				case label:
					o.name = names.keep(v)
				case "owner_kind":
					by.kind = names.keep(v)
				case "owner_name":
					by.name = names.keep(v)
				}
			}
			into[o] = by
		})
	}
	add := func(p Pod) {
		k := podKey{p.Cluster, p.Namespace, p.Name}
		if old := list.byKey[k]; old != nil { // two agents tell of it, or it was made anew
			if old.IP != "" {
				p.IP = cmp.Or(p.IP, old.IP)
			}
			*old = p
			return
		}
		list.byKey[k] = &p
		list.all = append(list.all, &p)
	}
	err := q.ask(ctx,
		question{"pods", "kube_pod_info", value(func(l iter.Seq2[string, string], _ float64) {
			p := readPod(l, names)
			p.Phase = "Running"
			add(p)
		})},
		question{"phases", `kube_pod_status_phase{phase="Running"} == 0`, value(func(l iter.Seq2[string, string], _ float64) {
			k := podOf(l)
			idle[podKey{names.keep(k.cluster), names.keep(k.namespace), names.keep(k.name)}] = true
		})},
		question{"ReplicaSets", `kube_replicaset_owner{owner_kind!=""}`, owners(sets, "replicaset")},
		question{"Jobs", `kube_job_owner{owner_kind!=""}`, owners(runs, "job_name")},
	)
	if err != nil {
		return nil, err
	}
	list.full = len(list.all) > 0
	if !list.full {
		err = q.ask(ctx, question{"pods of containers", `group by (cluster, namespace, pod, node, pod_ip) (container_memory_working_set_bytes{pod!="",container!=""})`,
			value(func(l iter.Seq2[string, string], _ float64) { add(readPod(l, names)) })})
		if err != nil {
			return nil, err
		}
	}
	for _, p := range list.all {
		p.Kind, p.App = p.byKind, p.by
		k := owned{p.Cluster, p.Namespace, p.by}
		switch p.byKind {
		case "ReplicaSet":
			if o := sets[k]; o.name != "" {
				p.Kind, p.App = o.kind, o.name
			}
		case "Job":
			if o := runs[k]; o.name != "" {
				p.Kind, p.App = o.kind, o.name
			}
		}
	}
	if list.full {
		if err := v.diagnose(ctx, q, list, idle, names); err != nil {
			return nil, err
		}
	}
	for _, p := range list.all {
		p.judge(list.full)
		if p.State == stateSick {
			list.sick++
		}
	}
	return list, nil
}

// diagnose asks what is wrong with the pods. What is well has no sample in most of
// these answers.
func (v *View) diagnose(ctx context.Context, q *inquiry, list *podList, idle map[podKey]bool, names names) error {
	note := func(p *Pod, why string) {
		if !slices.Contains(p.Why, why) {
			p.Why = append(p.Why, names.keep(why))
		}
	}
	reason := func(say func(container, reason string) string) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], _ float64) {
			var k podKey
			var container, reason string
			for n, v := range l {
				switch n {
				case "cluster":
					k.cluster = v
				case "namespace":
					k.namespace = v
				case "pod":
					k.name = v
				case "container":
					container = v
				case "reason":
					reason = v
				}
			}
			if p, why := list.byKey[k], say(container, reason); p != nil && why != "" {
				note(p, why)
			}
		})
	}
	since := fmt.Sprintf("time() - %.0f", recent.Seconds())
	var questions []question
	if len(idle) > 0 {
		// Mostly they are few, and there are as many series as pods in each phase.
		var some []*Pod
		for k := range idle {
			if p := list.byKey[k]; p != nil {
				some = append(some, p)
			}
		}
		questions = append(questions, question{"phases", `kube_pod_status_phase{phase!="Running",` + selectorOf(some) + `} == 1`, value(func(l iter.Seq2[string, string], _ float64) {
			if p := list.byKey[podOf(l)]; p != nil {
				p.Phase = names.keep(labelOf(l, "phase"))
			}
		})})
	}
	return q.ask(ctx, append(questions,
		question{"readiness", `kube_pod_status_ready{condition="true"} == 0`, value(func(l iter.Seq2[string, string], _ float64) {
			if p := list.byKey[podOf(l)]; p != nil {
				p.unready = true
			}
		})},
		question{"restarts", `sum by (cluster, namespace, pod) (max by (cluster, namespace, pod, container) (kube_pod_container_status_restarts_total > 0))`, value(func(l iter.Seq2[string, string], v float64) {
			if p := list.byKey[podOf(l)]; p != nil {
				p.Restarts = v
			}
		})},
		question{"reasons to wait", `kube_pod_container_status_waiting_reason == 1 or kube_pod_init_container_status_waiting_reason == 1`, reason(func(container, reason string) string {
			if harmless(reason) {
				return ""
			}
			return container + ": " + reason
		})},
		// The reason of the last end counts while that end is recent.
		question{"ends of containers", `(kube_pod_container_status_last_terminated_timestamp > ` + since + `) * 0 + 1`, reason(func(container, _ string) string {
			return container + " restarted within the last hour"
		})},
		question{"memory that ran out", `kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1 and on (namespace, pod, container) kube_pod_container_status_last_terminated_timestamp > ` + since,
			reason(func(container, _ string) string { return container + ": OOMKilled" })},
	)...)
}

// judge makes one state of what is known.
func (p *Pod) judge(full bool) {
	slices.Sort(p.Why)
	switch {
	case !full:
		p.State = stateUnknown
	case p.Phase == "Failed", p.Phase == "Unknown":
		p.Why = append([]string{p.Phase}, p.Why...)
		p.State = stateSick
	case p.Phase == "Succeeded":
		p.State, p.Why = stateDone, nil
	case len(p.Why) > 0:
		p.State = stateSick
	case p.Phase == "Pending" && p.Node == "":
		p.State, p.Why = stateSick, []string{"no node takes it"}
	case p.Phase == "Pending":
		p.State, p.Why = stateWaiting, []string{"Pending"}
	case p.unready:
		p.State, p.Why = stateWaiting, []string{"not ready"}
	default:
		p.State = stateUp
	}
}

// podsNow are the pods, of now or a few seconds ago.
func (v *View) podsNow(ctx context.Context) (*podList, time.Time, *inquiry, error) {
	return v.pods.get(ctx, v, v.listPods)
}

type podsAnswer struct {
	Total  int            `json:"total"`
	States map[string]int `json:"states"` // of those that match all but the state
	Rows   []Pod          `json:"rows"`
	// Full is false where no state-agent tells of states.
	Full bool `json:"full"`
	Cost Cost `json:"cost"`
}

var podColumns = map[string]func(a, b *Pod) int{
	"pod":       func(a, b *Pod) int { return pageapi.Natural(a.Name, b.Name) },
	"namespace": func(a, b *Pod) int { return pageapi.Natural(a.Namespace, b.Namespace) },
	"node":      func(a, b *Pod) int { return pageapi.Natural(a.Node, b.Node) },
	"app":       func(a, b *Pod) int { return pageapi.Natural(a.App, b.App) },
	"ip":        func(a, b *Pod) int { return pageapi.Natural(a.IP, b.IP) },
	"restarts":  func(a, b *Pod) int { return cmp.Compare(a.Restarts, b.Restarts) },
	"state":     func(a, b *Pod) int { return cmp.Compare(podStates[b.State], podStates[a.State]) },
	"cpu":       nil, // by usage, below
	"memory":    nil,
}

// filterOfPods reads cluster, namespace, node, kind and app, which select, and what
// ReadWindow reads.
func filterOfPods(q url.Values) (func(p *Pod) bool, error) {
	state := q.Get("state")
	if _, known := podStates[state]; state != "" && !known {
		return nil, pageapi.BadData("state=%q is none of %s", state, strings.Join(keys(podStates), ", "))
	}
	type test struct {
		name string
		get  func(p *Pod) string
	}
	var tests []test
	for _, t := range []test{
		{"cluster", func(p *Pod) string { return p.Cluster }},
		{"namespace", func(p *Pod) string { return p.Namespace }},
		{"node", func(p *Pod) string { return p.Node }},
		{"kind", func(p *Pod) string { return p.Kind }},
		{"app", func(p *Pod) string { return p.App }},
	} {
		if q.Has(t.name) {
			tests = append(tests, t)
		}
	}
	return func(p *Pod) bool {
		for _, t := range tests {
			if t.get(p) != q.Get(t.name) {
				return false
			}
		}
		return true
	}, nil
}

func (v *View) servePods(r *http.Request) (a podsAnswer, err error) {
	keep, err := filterOfPods(r.URL.Query())
	if err != nil {
		return a, err
	}
	return v.listOfPods(r, keep)
}

// listOfPods answers with those pods that keep keeps.
func (v *View) listOfPods(r *http.Request, keep func(*Pod) bool) (a podsAnswer, err error) {
	began := v.now()
	params := r.URL.Query()
	w, err := pageapi.ReadWindow(params, keys(podColumns)...)
	if err != nil {
		return a, err
	}
	list, made, asked, err := v.podsNow(r.Context())
	if err != nil {
		return a, err
	}
	state := params.Get("state")
	a = podsAnswer{States: map[string]int{}, Rows: []Pod{}, Full: list.full}
	for s := range podStates {
		a.States[s] = 0
	}
	var rows []*Pod
	for _, p := range list.all {
		if !keep(p) || !w.Matches(p.Name, p.Namespace, p.IP, p.Node, p.App, p.Kind) && !slices.ContainsFunc(p.Why, func(why string) bool { return w.Matches(why) }) {
			continue
		}
		a.States[p.State]++
		if state == "" || p.State == state {
			rows = append(rows, p)
		}
	}
	otherwise := func(a, b *Pod) int {
		return cmp.Or(cmp.Compare(podStates[a.State], podStates[b.State]), cmp.Compare(a.Namespace, b.Namespace), pageapi.Natural(a.Name, b.Name), cmp.Compare(a.Cluster, b.Cluster))
	}
	a.Total = len(rows)
	q := v.inquire()
	usage := map[*Pod]*Usage{}
	if w.Sort == "cpu" || w.Sort == "memory" {
		// All of them must be known before the largest can be.
		if usage, err = v.usage(r.Context(), q, rows); err != nil {
			return a, err
		}
		get := by(func(p *Pod) *float64 {
			switch u := usage[p]; {
			case u == nil:
				return nil
			case w.Sort == "cpu":
				return u.CPU
			default:
				return u.Memory
			}
		})
		order(rows, map[string]func(a, b *Pod) int{w.Sort: get}, w, otherwise)
		rows = pageapi.Cut(w, rows)
	} else {
		order(rows, podColumns, w, otherwise)
		rows = pageapi.Cut(w, rows)
		if params.Get("usage") != "0" {
			if usage, err = v.usage(r.Context(), q, rows); err != nil {
				return a, err
			}
		}
	}
	for _, p := range rows {
		row := *p
		row.Usage = usage[p]
		a.Rows = append(a.Rows, row)
	}
	a.Cost = v.cost(began, made, asked, q)
	return a, nil
}

// maxNamed is how many pods are asked for by name; more are asked for by what they
// have in common.
const maxNamed = 300

// selectorOf selects the container series of the pods, and maybe of others.
func selectorOf(pods []*Pod) string {
	if len(pods) == 0 {
		return `pod=""` // none
	}
	clusters, namespaces, names := map[string]bool{}, map[string]bool{}, make([]string, 0, min(len(pods), maxNamed))
	for _, p := range pods {
		clusters[p.Cluster], namespaces[p.Namespace] = true, true
		if len(pods) <= maxNamed {
			names = append(names, p.Name)
		}
	}
	sel := oneOf("cluster", keys(clusters))
	if len(namespaces) <= maxNamed {
		sel += "," + oneOf("namespace", keys(namespaces))
	}
	if len(pods) <= maxNamed {
		return sel + "," + oneOf("pod", names)
	}
	return sel + `,pod!=""`
}

// usage asks what the pods take.
func (v *View) usage(ctx context.Context, q *inquiry, pods []*Pod) (map[*Pod]*Usage, error) {
	all := make(map[*Pod]*Usage, len(pods))
	if len(pods) == 0 {
		return all, nil
	}
	byKey := make(map[podKey]*Usage, len(pods))
	for _, p := range pods {
		u := &Usage{}
		all[p], byKey[podKey{p.Cluster, p.Namespace, p.Name}] = u, u
	}
	set := func(field func(*Usage) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], val float64) {
			if u := byKey[podOf(l)]; u != nil {
				*field(u) = &val
			}
		})
	}
	limits := func(cpu, memory func(*Usage) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], val float64) {
			u := byKey[podOf(l)]
			if u == nil {
				return
			}
			if labelOf(l, "resource") == "cpu" {
				*cpu(u) = &val
			} else {
				*memory(u) = &val
			}
		})
	}
	sel := selectorOf(pods)
	const byPod, byResource = "sum by (cluster, namespace, pod) ", "sum by (cluster, namespace, pod, resource) "
	questions := []question{
		{"CPU of containers", byPod + `(rate(container_cpu_usage_seconds_total{` + sel + `,container!="",container!="POD"}[` + window + `]))`, set(func(u *Usage) **float64 { return &u.CPU })},
		{"memory of containers", byPod + `(container_memory_working_set_bytes{` + sel + `,container!="",container!="POD"})`, set(func(u *Usage) **float64 { return &u.Memory })},
	}
	if len(pods) <= maxNamed { // for bars of a few rows; of thousands only the order is wanted
		questions = append(questions,
			question{"requests", byResource + `(kube_pod_container_resource_requests{` + sel + `,resource=~"cpu|memory"})`,
				limits(func(u *Usage) **float64 { return &u.CPURequest }, func(u *Usage) **float64 { return &u.MemoryRequest })},
			question{"limits", byResource + `(kube_pod_container_resource_limits{` + sel + `,resource=~"cpu|memory"})`,
				limits(func(u *Usage) **float64 { return &u.CPULimit }, func(u *Usage) **float64 { return &u.MemoryLimit })})
	}
	return all, q.ask(ctx, questions...)
}
