package fleet

// Applications: the pods of one owner, or of one label; and the search from
// anywhere.

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"watchpost/internal/pageapi"
)

// App is one row of the list of applications.
type App struct {
	Cluster   string  `json:"cluster,omitempty"`
	Namespace string  `json:"namespace"`
	Kind      string  `json:"kind"`
	Name      string  `json:"app"`
	State     string  `json:"state"`
	Pods      int     `json:"pods"`
	Sick      int     `json:"sick"`
	Ready     int     `json:"ready"`
	Nodes     int     `json:"nodes"`
	Restarts  float64 `json:"restarts"`
	Why       string  `json:"why,omitempty"` // the trouble of one of its pods
}

type appKey struct{ cluster, namespace, kind, name string }

// gather puts the pods together by what they belong to; a pod that belongs to nothing is one
// by itself and left out.
func (l *podList) gather() []*App {
	byKey := map[appKey]*App{}
	nodes := map[appKey]map[string]bool{}
	var all []*App
	for _, p := range l.all {
		if p.App == "" || p.Kind == "Node" { // static pods belong to their node
			continue
		}
		k := appKey{p.Cluster, p.Namespace, p.Kind, p.App}
		a := byKey[k]
		if a == nil {
			a = &App{Cluster: p.Cluster, Namespace: p.Namespace, Kind: p.Kind, Name: p.App, State: stateDone}
			byKey[k], nodes[k] = a, map[string]bool{}
			all = append(all, a)
		}
		a.Pods++
		a.Restarts += p.Restarts
		if p.Node != "" {
			nodes[k][p.Node] = true
		}
		switch p.State {
		case stateSick:
			a.Sick++
			if a.Why == "" && len(p.Why) > 0 {
				a.Why = p.Why[0]
			}
		case stateUp:
			a.Ready++
		}
		if podStates[p.State] < podStates[a.State] {
			a.State = p.State
		}
	}
	for k, a := range byKey {
		a.Nodes = len(nodes[k])
	}
	return all
}

type appsAnswer struct {
	Total  int            `json:"total"`
	States map[string]int `json:"states"`
	Rows   []*App         `json:"rows"`
	pageapi.Costed
}

var appColumns = map[string]func(a, b *App) int{
	"app":       func(a, b *App) int { return pageapi.Natural(a.Name, b.Name) },
	"namespace": func(a, b *App) int { return pageapi.Natural(a.Namespace, b.Namespace) },
	"kind":      func(a, b *App) int { return cmp.Compare(a.Kind, b.Kind) },
	"state":     func(a, b *App) int { return cmp.Compare(podStates[b.State], podStates[a.State]) },
	"pods":      func(a, b *App) int { return cmp.Compare(a.Pods, b.Pods) },
	"nodes":     func(a, b *App) int { return cmp.Compare(a.Nodes, b.Nodes) },
	"restarts":  func(a, b *App) int { return cmp.Compare(a.Restarts, b.Restarts) },
}

func (v *View) serveApps(r *http.Request) (a appsAnswer, err error) {
	began := v.now()
	params := r.URL.Query()
	w, err := pageapi.ReadWindow(params, keys(appColumns)...)
	if err != nil {
		return a, err
	}
	keep, err := filterOfPods(params)
	if err != nil {
		return a, err
	}
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	list, made, asked, err := m.podsThen(r.Context())
	if err != nil {
		return a, err
	}
	a.States = map[string]int{}
	for s := range podStates {
		a.States[s] = 0
	}
	state := params.Get("state")
	rows := []*App{}
	for _, app := range list.apps() {
		if !keep(&Pod{Cluster: app.Cluster, Namespace: app.Namespace, Kind: app.Kind, App: app.Name}) || !w.Matches(app.Name, app.Namespace, app.Kind, app.Why) {
			continue
		}
		a.States[app.State]++
		if state == "" || state == app.State {
			rows = append(rows, app)
		}
	}
	a.Total = len(rows)
	a.Rows = pageapi.Cut(w, rows, order(appColumns, w, func(a, b *App) int {
		return cmp.Or(cmp.Compare(podStates[a.State], podStates[b.State]), cmp.Compare(b.Sick, a.Sick), cmp.Compare(a.Namespace, b.Namespace), pageapi.Natural(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cluster, b.Cluster))
	}))
	a.Cost = v.cost(began, made, asked)
	return a, nil
}

type appAnswer struct {
	App App `json:"app"`
	// Usage is that of all its pods together.
	Usage Usage      `json:"usage"`
	List  podsAnswer `json:"list"`
	pageapi.Costed
}

// serveApp answers with the pods of an owner (namespace, kind, app), or of a label
// (namespace, label=NAME, value), and what they take together.
func (v *View) serveApp(r *http.Request) (a appAnswer, err error) {
	began := v.now()
	params := r.URL.Query()
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	asked := m.inquire()
	var keep func(*Pod) bool
	switch name := params.Get("label"); {
	case name != "":
		if keep, err = asked.labelled(r.Context(), params); err != nil {
			return a, err
		}
		a.App = App{Cluster: params.Get("cluster"), Namespace: params.Get("namespace"), Kind: name, Name: params.Get("value")}
	case params.Get("app") == "" || params.Get("namespace") == "":
		return a, pageapi.BadData("namespace and app are needed, or label and value")
	default:
		if keep, err = filterOfPods(params); err != nil {
			return a, err
		}
		a.App = App{Cluster: params.Get("cluster"), Namespace: params.Get("namespace"), Kind: params.Get("kind"), Name: params.Get("app")}
	}
	if a.List, err = m.listOfPods(r, keep, false); err != nil {
		return a, err
	}
	pods, _, _, err := m.podsThen(r.Context())
	if err != nil {
		return a, err
	}
	var all []*Pod
	nodes := map[string]bool{}
	a.App.State = stateDone
	for _, p := range pods.all {
		if !keep(p) {
			continue
		}
		all = append(all, p)
		nodes[p.Node] = true
		a.App.Restarts += p.Restarts
		switch p.State {
		case stateSick:
			a.App.Sick++
		case stateUp:
			a.App.Ready++
		}
		if podStates[p.State] < podStates[a.App.State] {
			a.App.State = p.State
		}
	}
	if len(all) == 0 {
		return a, pageapi.NotFound("no pod of %s %s in namespace %s is there", a.App.Kind, a.App.Name, a.App.Namespace)
	}
	a.App.Pods, a.App.Nodes = len(all), len(nodes)
	usage, err := asked.usage(r.Context(), all)
	if err != nil {
		return a, err
	}
	byKey := make(map[podKey]*Usage, len(usage))
	for p, u := range usage {
		byKey[p.key()] = u
		sum(&a.Usage.CPU, u.CPU)
		sum(&a.Usage.CPURequest, u.CPURequest)
		sum(&a.Usage.CPULimit, u.CPULimit)
		sum(&a.Usage.Memory, u.Memory)
		sum(&a.Usage.MemoryRequest, u.MemoryRequest)
		sum(&a.Usage.MemoryLimit, u.MemoryLimit)
	}
	for i := range a.List.Rows {
		a.List.Rows[i].Usage = byKey[a.List.Rows[i].key()]
	}
	a.Cost = v.cost(began, time.Time{}, asked)
	a.Cost.Add(a.List.Cost)
	a.Cost.Age = a.List.Cost.Age
	return a, nil
}

func sum(to **float64, v *float64) {
	if v == nil {
		return
	}
	if *to == nil {
		*to = new(float64)
	}
	**to += *v
}

// labelled keeps the pods that have a label, as kube_pod_labels tells (state-agent's
// --metric-labels-allowlist).
func (q *inquiry) labelled(ctx context.Context, params url.Values) (func(*Pod) bool, error) {
	name := "label_" + params.Get("label")
	for i := range len(name) {
		if c := lowered(name[i]); !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return nil, pageapi.BadData("label=%q is not the name of a label as it stands in kube_pod_labels", params.Get("label"))
		}
	}
	sel := name + "=" + quote(params.Get("value"))
	for _, n := range []string{"cluster", "namespace"} {
		if params.Has(n) {
			sel += "," + n + "=" + quote(params.Get(n))
		}
	}
	found := map[podKey]bool{}
	err := q.ask(ctx, question{"labels", "kube_pod_labels{" + sel + "}", value(func(l iter.Seq2[string, string], _ float64) { found[podOf(l)] = true })})
	return func(p *Pod) bool { return found[podKey{p.Cluster, p.Namespace, p.Name}] }, err
}

func lowered(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Hit is something that a search found.
type Hit struct {
	What      string `json:"what"` // node, pod or app
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Name      string `json:"name"`
	Note      string `json:"note,omitempty"` // an address, a node
	State     string `json:"state"`
	Job       string `json:"job,omitempty"`
	Instance  string `json:"instance,omitempty"`

	rank int
}

// kinds of hits, in the order of those that are named alike.
var kinds = map[string]int{"node": 0, "app": 1, "pod": 2}

type searchAnswer struct {
	Total int   `json:"total"`
	Hits  []Hit `json:"hits"`
	pageapi.Costed
}

// maxHits is how many are told of what a search found.
const maxHits = 20

// serveSearch finds nodes, pods and applications by name, and nodes and pods by
// address. What is named exactly so comes first, then what begins so.
func (v *View) serveSearch(r *http.Request) (a searchAnswer, err error) {
	text := strings.TrimSpace(r.URL.Query().Get("q"))
	w, err := pageapi.ReadWindow(r.URL.Query())
	if err != nil {
		return a, err
	}
	a.Hits = []Hit{}
	if len(w.Words) == 0 {
		return a, nil
	}
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	began := v.now()
	nodes, pods, cost, err := m.nodesThen(r.Context())
	if err != nil {
		return a, err
	}
	text = strings.ToLower(text)
	// A pod may be written namespace/name.
	space, rest, both := strings.Cut(text, "/")
	rank := func(namespace string, texts ...string) int {
		// Most are neither.
		if !w.Matches(append(texts, namespace)...) && (!both || !w.Matches(append(texts, namespace, namespace+"/"+texts[0])...)) {
			return -1
		}
		for i, t := range texts {
			switch t = strings.ToLower(t); {
			case t == "":
			case t == text, both && t == rest && strings.EqualFold(namespace, space):
				return i
			case strings.HasPrefix(t, text):
				return 10 + i
			}
		}
		return 20
	}
	for _, n := range nodes.all {
		if k := rank("", n.Name, n.IP, n.Kube, n.Instance); k >= 0 {
			a.Hits = append(a.Hits, Hit{What: "node", Cluster: n.Cluster, Name: cmp.Or(n.Kube, n.Name), Note: cmp.Or(n.IP, n.Instance), State: n.State, Job: n.Job, Instance: n.Instance, rank: k})
		}
	}
	for _, app := range pods.apps() {
		if k := rank(app.Namespace, app.Name); k >= 0 {
			a.Hits = append(a.Hits, Hit{What: "app", Cluster: app.Cluster, Namespace: app.Namespace, Kind: app.Kind, Name: app.Name, State: app.State, rank: k})
		}
	}
	for _, p := range pods.all {
		ip := p.IP
		if p.hostNetwork { // it does not own the address
			ip = ""
		}
		k := rank(p.Namespace, p.Name, ip)
		if k < 0 && p.IP == text {
			k = 25
		}
		if k >= 0 {
			a.Hits = append(a.Hits, Hit{What: "pod", Cluster: p.Cluster, Namespace: p.Namespace, Name: p.Name, Note: p.IP, State: p.State, rank: k})
		}
	}
	a.Total = len(a.Hits)
	a.Hits = pageapi.Cut(pageapi.Window{Limit: maxHits}, a.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), pageapi.Natural(a.Name, b.Name), cmp.Compare(kinds[a.What], kinds[b.What]), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cluster, b.Cluster))
	})
	a.Cost = cost
	a.Cost.Seconds = v.now().Sub(began).Seconds()
	return a, nil
}
