package proxyagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"watchpost/internal/containers"
	"watchpost/internal/fetch"
	"watchpost/internal/podmap"
)

// Annotated says how the pods of this node are asked that want to be scraped by their
// annotations.
type Annotated struct {
	Rules containers.Rules
	// Client makes the client of one address, such as http://10.1.0.7:9121. It must
	// not send what is for others.
	Client func(url string) (Client, error)
	// Most is how many pages are asked, Parallel how many at the same time; 0 is the
	// default.
	Most, Parallel int
	Limit          int64         // bytes of one page, 0 is DefaultPodLimit
	Timeout        time.Duration // for one page, 0 is DefaultPodTimeout
}

// Client asks one server.
type Client interface {
	Getter
	Close()
}

// Defaults of Annotated.
const (
	DefaultPodPages    = 250 // two for each of the kubelet's 110 pods, and some
	DefaultPodParallel = 16
	DefaultPodLimit    = 4 << 20
	DefaultPodTimeout  = 5 * time.Second
)

// podSource is the name under which the pages of pods are counted together.
const podSource = "pods"

// proxyHeader marks requests for the pages of pods. A cadvisor-proxy that is asked so
// refuses: a proxy whose own pod is annotated would ask itself, and that again.
const proxyHeader = "Watchpost-Proxy"

// podSources are the pages of annotated pods, as many as there are at the moment.
type podSources struct {
	cfg     Annotated
	pods    *podmap.Map
	filters *pool
	slots   chan struct{} // of all pods
	total   *source       // counts of all, also of those that have gone

	mu      sync.Mutex
	version uint64 // of pods when this was made of them
	known   map[podPage]*source
	list    []*source // in order
	left    int       // pages beyond what may be asked
	gone    []string  // names of those that have gone and were not told yet
}

// podPage is what makes a page of a pod the same as one before.
type podPage struct {
	uid, ip string
	target  podmap.Target
}

// ofPod is what a source knows of its pod.
type ofPod struct {
	page                    podPage
	namespace, pod, portTag string
	all                     *podSources
	close                   func()
}

// podLabels knows which labels pods have, and none of a pod by its name: a page is of
// one pod, whatever it says.
type podLabels struct{ rules containers.PodRules }

func (podLabels) Labels([]byte, []byte) *containers.PodLabels { return nil }

func (p podLabels) Adds(name string) bool {
	return slices.Contains([]string{"namespace", "pod", "pod_ip", "upstream"}, name) || p.rules.Adds(name)
}

func newPodSources(cfg Annotated, pods *podmap.Map, labels []string) (*podSources, error) {
	cfg.Most, cfg.Parallel = cmp.Or(cfg.Most, DefaultPodPages), cmp.Or(cfg.Parallel, DefaultPodParallel)
	cfg.Limit, cfg.Timeout = cmp.Or(cfg.Limit, DefaultPodLimit), cmp.Or(cfg.Timeout, DefaultPodTimeout)
	p := &podSources{cfg: cfg, pods: pods, slots: make(chan struct{}, cfg.Parallel), known: make(map[podPage]*source)}
	p.filters = &pool{make: func() (*containers.Filter, error) {
		return containers.NewFilter(cfg.Rules, podLabels{cfg.Rules.Pods}, labels...)
	}}
	f, err := p.filters.take()
	if err != nil {
		return nil, err
	}
	p.filters.give(f)
	p.total = &source{Source: Source{Name: podSource, Path: podPath, Rules: cfg.Rules}}
	p.total.count(f)
	return p, nil
}

// all are the pages of the pods as they are now. nil has none.
func (p *podSources) all() []*source {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.pods.Version(); v != p.version {
		p.version = v
		p.refresh()
	}
	return p.list
}

// refresh takes the pods as they are. A page that stays the same keeps its state.
func (p *podSources) refresh() {
	pods, more := p.pods.Scraped()
	there := make(map[podPage]*source)
	var list []*source
	p.left = more
	for _, pod := range pods {
		for _, t := range pod.Scrape {
			if len(list) == p.cfg.Most {
				p.left++
				continue
			}
			page := podPage{pod.UID, pod.IPs[0], t}
			s := p.known[page]
			if s == nil {
				s = p.page(pod, page)
			}
			s.setAbout(pod.Labels("namespace", pod.Namespace, "pod", pod.Name, "upstream", s.pod.portTag))
			if there[page] = s; !s.isProxy() {
				list = append(list, s)
			}
		}
	}
	for page, s := range p.known {
		if there[page] == nil {
			s.pod.close()
			p.gone = append(p.gone, s.Name)
		}
	}
	p.known, p.list = there, list
}

// page is a new source.
func (p *podSources) page(pod *podmap.Pod, page podPage) *source {
	t := page.target
	s := &source{
		Source: Source{
			Name: pod.Namespace + "/" + pod.Name + ":" + strconv.Itoa(t.Port), Path: podPath + "/" + pod.Namespace + "/" + pod.Name + "/" + strconv.Itoa(t.Port),
			Page: t.Path, URL: t.URL(page.ip), Rules: p.cfg.Rules,
		},
		limit: p.cfg.Limit, timeout: p.cfg.Timeout, slots: p.slots, filters: p.filters, total: p.total,
		pod: &ofPod{page: page, namespace: pod.Namespace, pod: pod.Name, portTag: "pod:" + strconv.Itoa(t.Port), all: p, close: func() {}},
	}
	if t.Problem != "" {
		s.From = unaskable{errors.New(t.Problem)}
		return s
	}
	base := podmap.Target{Scheme: t.Scheme, Port: t.Port}
	client, err := p.cfg.Client(base.URL(page.ip))
	if err != nil {
		s.From = unaskable{err}
		return s
	}
	s.From, s.pod.close = client, client.Close
	return s
}

// unaskable stands for a page that cannot be asked for.
type unaskable struct{ error }

// errAnnotations marks the error of a page that a pod describes wrongly.
var errAnnotations = errors.New("the pod's annotations")

func (u unaskable) Get(context.Context, string, ...string) (*fetch.Answer, error) {
	return nil, fmt.Errorf("%w: %w", errAnnotations, u.error)
}

// again makes the list anew the next time, as one of the pages is a proxy's.
func (p *podSources) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version--
}

// counted is how many pages there are and how many are beyond what is asked.
func (p *podSources) counted() (pages, left int) {
	pages = len(p.all())
	p.mu.Lock()
	defer p.mu.Unlock()
	return pages, p.left
}

// forget are the names of pages that have gone since it was called.
func (p *podSources) forget() []string {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := p.gone
	p.gone = nil
	return gone
}

// inTurn are pages in the order in which they are best asked where neither time nor
// room may be enough for all: those that failed at the end, the small ones before.
func inTurn(pages []*source) []*source {
	type turn struct {
		s      *source
		failed bool
		bytes  uint64
	}
	turns := make([]turn, len(pages))
	for i, s := range pages {
		s.mu.Lock()
		turns[i] = turn{s, s.heard && !s.up, s.lastBytes}
		s.mu.Unlock()
	}
	slices.SortStableFunc(turns, func(a, b turn) int {
		if a.failed != b.failed {
			if b.failed {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.bytes, b.bytes)
	})
	sorted := make([]*source, len(turns))
	for i, t := range turns {
		sorted[i] = t.s
	}
	return sorted
}

// find are the pages of a pod, or the one at a port; "" is any.
func (p *podSources) find(namespace, pod, port string) (found []*source) {
	for _, s := range p.all() {
		if s.pod.namespace == namespace && s.pod.pod == pod && (port == "" || port == strconv.Itoa(s.pod.page.target.Port)) {
			found = append(found, s)
		}
	}
	return found
}

// serve puts the pages of pods on a server.
func (p *podSources) serve(a *Agent, s server) {
	s.Handle("GET "+podsPath, a.page(podsPath, func(ctx context.Context, w io.Writer) error {
		return a.together(ctx, w, p.all(), false)
	}))
	one := func(w http.ResponseWriter, r *http.Request) {
		found := p.find(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("port"))
		if len(found) == 0 {
			a.fail(w, podPath, http.StatusNotFound, "no pod of this node is known by that which has the annotation prometheus.io/scrape")
			return
		}
		a.page(podPath, func(ctx context.Context, w io.Writer) error {
			if len(found) == 1 {
				err := found[0].fetch(ctx, w)
				a.tell(found[0], err)
				return err
			}
			return a.together(ctx, w, found, true)
		}).ServeHTTP(w, r)
	}
	s.Handle("GET "+podPath+"/{namespace}/{pod}", http.HandlerFunc(one))
	s.Handle("GET "+podPath+"/{namespace}/{pod}/{port}", http.HandlerFunc(one))
}

// together writes pages as one exposition, without those that fail, or not at all if it
// is to be whole.
func (a *Agent) together(ctx context.Context, w io.Writer, pages []*source, whole bool) error {
	j := newJoiner(w, a.cfg.Held)
	if err := a.hold(ctx, j, nil, pages, 1); err != nil && whole {
		return err
	}
	if err := j.end(); err != nil {
		return writeError{err}
	}
	a.refuse(j.refused)
	return nil
}
