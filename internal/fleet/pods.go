package fleet

// Pods: one list of all of them, from state-agent's kube_pod_* or, without it, from
// the labels of cadvisor-proxy's container_*.

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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
	// ready and unready are what is said; both are false where nothing is, as of a pod
	// that no node has taken.
	ready, unready bool
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
	// apps are what the pods belong to, gathered when they are first asked for.
	apps func() []*App
}

func (p *Pod) key() podKey { return podKey{p.Cluster, p.Namespace, p.Name} }

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
func (m *moment) listPods(ctx context.Context, q *inquiry) (*podList, error) {
	names := names{}
	list := &podList{byKey: map[podKey]*Pod{}}
	list.apps = sync.OnceValue(list.gather)
	type owned struct{ cluster, namespace, name string }
	type owner struct{ kind, name string }
	sets, runs := map[owned]owner{}, map[owned]owner{} // of ReplicaSets and Jobs
	owners := func(into map[owned]owner, label string) each {
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
			if by.kind != "" {
				into[o] = by
			}
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
		question{"ReplicaSets", "kube_replicaset_owner", owners(sets, "replicaset")},
		question{"Jobs", "kube_job_owner", owners(runs, "job_name")},
	)
	if err != nil {
		return nil, err
	}
	list.full = len(list.all) > 0
	if !list.full {
		err = q.ask(ctx, question{"pods of containers", usedMemory, value(func(l iter.Seq2[string, string], _ float64) {
			if k := podOf(l); k.name != "" && list.byKey[k] == nil && ofContainer(l) {
				add(readPod(l, names))
			}
		})})
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
		if err := q.diagnose(ctx, list, names); err != nil {
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

// ofContainer tells a container's series from those of cgroups above it, and from
// the container that only holds the pod together.
func ofContainer(l iter.Seq2[string, string]) bool {
	name := labelOf(l, "container")
	return name != "" && name != "POD"
}

// inPod is a container by its labels.
type inPod struct {
	podKey
	container string
}

// manyUnready is from how many pods on their phases are not asked for by name.
const manyUnready = 2000

// diagnose asks what is wrong with the pods. What is well is only looked at, not
// looked up.
func (q *inquiry) diagnose(ctx context.Context, list *podList, names names) error {
	note := func(p *Pod, why string) {
		if !slices.Contains(p.Why, why) {
			p.Why = append(p.Why, names.keep(why))
		}
	}
	containerOf := func(l iter.Seq2[string, string]) inPod { return inPod{podOf(l), labelOf(l, "container")} }
	waits := value(func(l iter.Seq2[string, string], v float64) {
		reason := labelOf(l, "reason")
		if p := list.byKey[podOf(l)]; p != nil && v == 1 && !harmless(reason) {
			note(p, labelOf(l, "container")+": "+reason)
		}
	})
	since := float64(q.at.Add(-recent).Unix())
	restarts, ended, outOfMemory := map[inPod]float64{}, map[inPod]bool{}, map[inPod]bool{}
	podBy := func(l iter.Seq2[string, string]) *Pod { return list.byKey[podOf(l)] }
	err := q.ask(ctx,
		question{"readiness", `kube_pod_status_ready{condition="true"}`, about(podBy, value, func(p *Pod, v float64) { p.ready, p.unready = v == 1, v != 1 })},
		question{"restarts", "kube_pod_container_status_restarts_total", value(func(l iter.Seq2[string, string], v float64) {
			if v > 0 { // two agents may tell of it
				k := containerOf(l)
				restarts[k] = max(restarts[k], v)
			}
		})},
		question{"reasons to wait", "kube_pod_container_status_waiting_reason", waits},
		question{"reasons to wait", "kube_pod_init_container_status_waiting_reason", waits},
		question{"ends of containers", "kube_pod_container_status_last_terminated_timestamp", value(func(l iter.Seq2[string, string], v float64) {
			if v > since {
				ended[containerOf(l)] = true
			}
		})},
		question{"memory that ran out", `kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}`, value(func(l iter.Seq2[string, string], v float64) {
			if v == 1 {
				outOfMemory[containerOf(l)] = true
			}
		})},
	)
	for k, n := range restarts {
		if p := list.byKey[k.podKey]; p != nil {
			p.Restarts += n
		}
	}
	for k := range ended {
		p := list.byKey[k.podKey]
		if p == nil {
			continue
		}
		note(p, k.container+" restarted within the last hour")
		if outOfMemory[k] { // the reason of the last end counts while that end is recent
			note(p, k.container+": OOMKilled")
		}
	}
	if err != nil {
		return err
	}
	// There are five series of each pod, but what is ready runs: the phases of the others
	// are asked for, which mostly are few.
	phases := value(func(l iter.Seq2[string, string], v float64) {
		if phase := labelOf(l, "phase"); v == 1 && phase != "Running" {
			if p := podBy(l); p != nil {
				p.Phase = names.keep(phase)
			}
		}
	})
	var questions []question
	var others []*Pod
	for _, p := range list.all {
		if !p.ready {
			others = append(others, p)
		}
	}
	if len(others) > manyUnready {
		for _, phase := range []string{"Pending", "Succeeded", "Failed", "Unknown"} {
			questions = append(questions, question{"phases", "kube_pod_status_phase{phase=" + quote(phase) + "}", phases})
		}
	} else {
		for some := range slices.Chunk(others, maxNamed) {
			questions = append(questions, question{"phases", "kube_pod_status_phase{" + named(some) + "}", phases})
		}
	}
	return q.ask(ctx, questions...)
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

// podsThen are the pods of that moment, or of a few seconds before.
func (m *moment) podsThen(ctx context.Context) (*podList, time.Time, *inquiry, error) {
	return m.pods.get(ctx, m, m.listPods)
}

type podsAnswer struct {
	Total  int            `json:"total"`
	States map[string]int `json:"states"` // of those that match all but the state
	Rows   []Pod          `json:"rows"`
	// Full is false where no state-agent tells of states.
	Full bool `json:"full"`
	pageapi.Costed
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
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	return m.listOfPods(r, keep, r.URL.Query().Get("usage") != "0")
}

// listOfPods answers with those pods that keep keeps, with what they take if so
// wanted.
func (m *moment) listOfPods(r *http.Request, keep func(*Pod) bool, withUsage bool) (a podsAnswer, err error) {
	began := m.now()
	params := r.URL.Query()
	w, err := pageapi.ReadWindow(params, keys(podColumns)...)
	if err != nil {
		return a, err
	}
	list, made, asked, err := m.podsThen(r.Context())
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
	q := m.inquire()
	columns, all := podColumns, []*inquiry{asked, q}
	if w.Sort == "cpu" || w.Sort == "memory" {
		// All of them must be known before the largest can be.
		taken, tookFor, err := m.taken(r.Context(), q, w.Sort, rows)
		if err != nil {
			return a, err
		}
		all = append(all, tookFor)
		columns = map[string]func(a, b *Pod) int{w.Sort: func(a, b *Pod) int { return cmp.Compare(taken(a), taken(b)) }}
	}
	rows = pageapi.Cut(w, rows, order(columns, w, otherwise))
	usage := map[*Pod]*Usage{}
	if withUsage {
		if usage, err = q.usage(r.Context(), rows); err != nil {
			return a, err
		}
	}
	for _, p := range rows {
		row := *p
		row.Usage = usage[p]
		a.Rows = append(a.Rows, row)
	}
	a.Cost = m.cost(began, made, all...)
	return a, nil
}

// maxNamed is how many pods are asked for by name: Prometheus looks up to 256 values
// of an expression up one by one, and tries more on every value that there is.
const maxNamed = 250

// named selects the pods by their names, and maybe others of the same name.
func named(pods []*Pod) string {
	names := make([]string, len(pods))
	for i, p := range pods {
		names[i] = p.Name
	}
	slices.Sort(names)
	return oneOf("pod", slices.Compact(names))
}

// Series of containers that are summed up for a pod.
const (
	usedCPU    = "container_cpu_usage_seconds_total"
	usedMemory = "container_memory_working_set_bytes"
)

// taken tells how much CPU or memory (what) each of the pods takes, less than nothing
// where it is not known; asked is what it took to learn that of all pods, which is
// held as the list of pods is.
func (m *moment) taken(ctx context.Context, q *inquiry, what string, pods []*Pod) (of func(*Pod) float64, asked *inquiry, err error) {
	var all map[podKey]float64
	if len(pods) <= maxNamed {
		all, err = q.taken(ctx, what, pods)
	} else {
		k := &m.cpu
		if what == "memory" {
			k = &m.memory
		}
		all, _, asked, err = k.get(ctx, m, func(ctx context.Context, q *inquiry) (map[podKey]float64, error) {
			list, _, _, err := m.podsThen(ctx)
			if err != nil {
				return nil, err
			}
			return q.taken(ctx, what, list.all)
		})
	}
	return func(p *Pod) float64 {
		if v, ok := all[p.key()]; ok {
			return v
		}
		return -1
	}, asked, err
}

// taken adds the containers of each pod up.
func (q *inquiry) taken(ctx context.Context, what string, pods []*Pod) (map[podKey]float64, error) {
	sums := make(map[podKey]float64, len(pods))
	byKey := make(map[podKey]*Pod, len(pods))
	for _, p := range pods {
		byKey[p.key()] = p
	}
	read := value
	metric, back := usedMemory, ""
	if what == "cpu" {
		read, metric, back = slope, usedCPU, "["+window+"]"
	}
	sel := ""
	if len(pods) <= maxNamed {
		sel = "{" + named(pods) + "}"
	}
	err := q.ask(ctx, question{what + " of containers", metric + sel + back,
		about(containerIn(byKey), read, func(p *Pod, v float64) { sums[p.key()] += v })})
	return sums, err
}

// containerIn finds whose container's a series is.
func containerIn[T any](pods map[podKey]*T) func(l iter.Seq2[string, string]) *T {
	return func(l iter.Seq2[string, string]) *T {
		if !ofContainer(l) {
			return nil
		}
		return pods[podOf(l)]
	}
}

// usage asks what the pods take, and what they may.
func (q *inquiry) usage(ctx context.Context, pods []*Pod) (map[*Pod]*Usage, error) {
	all := make(map[*Pod]*Usage, len(pods))
	if len(pods) == 0 {
		return all, nil
	}
	byKey := make(map[podKey]*Usage, len(pods))
	for _, p := range pods {
		u := &Usage{}
		all[p], byKey[p.key()] = u, u
	}
	used := func(read reading, to func(*Usage) **float64) each {
		return about(containerIn(byKey), read, func(u *Usage, v float64) { sum(to(u), &v) })
	}
	allowed := func(cpu, memory func(*Usage) **float64) each {
		return value(func(l iter.Seq2[string, string], v float64) {
			u := byKey[podOf(l)]
			if u == nil {
				return
			}
			switch labelOf(l, "resource") {
			case "cpu":
				sum(cpu(u), &v)
			case "memory":
				sum(memory(u), &v)
			}
		})
	}
	var questions []question
	for some := range slices.Chunk(pods, maxNamed) {
		sel := "{" + named(some) + "}"
		questions = append(questions,
			question{"CPU of containers", usedCPU + sel + "[" + window + "]", used(slope, func(u *Usage) **float64 { return &u.CPU })},
			question{"memory of containers", usedMemory + sel, used(value, func(u *Usage) **float64 { return &u.Memory })},
			question{"requests", "kube_pod_container_resource_requests" + sel,
				allowed(func(u *Usage) **float64 { return &u.CPURequest }, func(u *Usage) **float64 { return &u.MemoryRequest })},
			question{"limits", "kube_pod_container_resource_limits" + sel,
				allowed(func(u *Usage) **float64 { return &u.CPULimit }, func(u *Usage) **float64 { return &u.MemoryLimit })})
	}
	return all, q.ask(ctx, questions...)
}
