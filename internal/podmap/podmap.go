// Package podmap knows the pods of one node: by namespace and name, by UID as it
// stands in cgroup paths, by container id and by address. A Source keeps it current.
package podmap

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"watchpost/internal/containers"
	"watchpost/internal/words"
)

// Pod is what is known of a pod.
type Pod struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"pod"`
	UID         string            `json:"uid"`
	Node        string            `json:"node,omitempty"`
	Phase       string            `json:"phase,omitempty"`
	HostIP      string            `json:"hostIP,omitempty"`
	HostNetwork bool              `json:"hostNetwork,omitempty"`
	IPs         []string          `json:"podIPs,omitempty"`
	Containers  map[string]string `json:"containers,omitempty"` // names by id, without the runtime's
	// Gone is when the pod was deleted; zero while it is there.
	Gone time.Time `json:"gone,omitzero"`
	// Scrape are the pages that it asks to be scraped by its annotations.
	Scrape []Target `json:"scrape,omitempty"`

	cgroup string // the UID in the paths of its cgroups, where it is another: that of a static pod
	labels *containers.PodLabels
	more   int // pages beyond those in Scrape
}

// Labels are those that its series get, behind others: names and values in turn.
func (p *Pod) Labels(pairs ...string) *containers.PodLabels { return p.labels.Behind(pairs...) }

// ended tells whether a pod has no address any more.
func (p *Pod) ended() bool {
	return !p.Gone.IsZero() || p.Phase == "Succeeded" || p.Phase == "Failed" || p.Phase == stopped
}

// DefaultGrace is how long a deleted pod is known: longer than the samples of its
// cgroups come after it.
const DefaultGrace = 5 * time.Minute

// podIP is the label that every series of a pod gets.
const podIP = "pod_ip"

// Config is for a Map.
type Config struct {
	Rules containers.PodRules
	Grace time.Duration // 0 is DefaultGrace
	Now   func() time.Time
}

// Map is the pods of a node. It is safe for concurrent use.
type Map struct {
	cfg Config

	mu          sync.RWMutex
	byName      map[string]map[string]*Pod // by namespace and name; the newest of a name
	byUID       map[string]*Pod
	byContainer map[string]*Pod
	byIP        map[netip.Addr][]*Pod
	gone        int    // pods that are deleted
	graves      []*Pod // these, in the order of their ends, and some that came again
	synced      bool
	err         string // why it is not current
	events      uint64
	version     uint64 // changes with every pod
}

// New makes a Map without pods.
func New(cfg Config) *Map {
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Map{
		cfg: cfg, byName: make(map[string]map[string]*Pod), byUID: make(map[string]*Pod),
		byContainer: make(map[string]*Pod), byIP: make(map[netip.Addr][]*Pod),
	}
}

// Labels implements containers.Pods.
func (m *Map) Labels(namespace, name []byte) *containers.PodLabels {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if p := m.byName[string(namespace)][string(name)]; p != nil {
		return p.labels
	}
	return nil
}

// Adds implements containers.Pods.
func (m *Map) Adds(label string) bool { return label == podIP || m.cfg.Rules.Adds(label) }

// put takes a pod as it is.
func (m *Map) put(o *object) {
	p := o.pod(&m.cfg.Rules)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events++
	m.insert(p)
}

func (m *Map) insert(p *Pod) {
	m.version++
	if old := m.byUID[p.UID]; old != nil && old.UID == p.UID {
		if p.Name == old.Name && p.labels != nil && len(p.IPs) == 0 && len(old.IPs) > 0 { // an ended pod keeps what its last samples need
			p.IPs, p.labels, p.HostNetwork = old.IPs, old.labels, old.HostNetwork
		}
		for id, name := range old.Containers { // restarted containers, whose last samples may still come
			if _, known := p.Containers[id]; !known && len(p.Containers) < maxContainers {
				p.Containers[id] = name
			}
		}
		m.drop(old)
	}
	names := m.byName[p.Namespace]
	if names == nil {
		names = make(map[string]*Pod)
		m.byName[p.Namespace] = names
	}
	if other := names[p.Name]; other == nil || p.Gone.IsZero() || !other.Gone.IsZero() {
		names[p.Name] = p
	}
	m.byUID[p.UID] = p
	if other := m.byUID[p.cgroup]; p.cgroup != "" && (other == nil || other.UID != p.cgroup) { // an annotation does not take another's UID
		m.byUID[p.cgroup] = p
	}
	for id := range p.Containers {
		m.byContainer[id] = p
	}
	for _, ip := range p.IPs {
		if a, err := netip.ParseAddr(ip); err == nil {
			m.byIP[a.Unmap()] = append(m.byIP[a.Unmap()], p)
		}
	}
	if !p.Gone.IsZero() {
		m.gone++
	}
}

// maxGone bounds the deleted pods that are known, at some 1.3 kB each: where more than
// that come and go within the grace time, the last samples of the oldest are past.
const maxGone = 4000

// maxContainers bounds the containers of a pod that are known, as one may restart for
// ever.
const maxContainers = 100

// drop forgets a pod.
func (m *Map) drop(p *Pod) {
	m.version++
	if names := m.byName[p.Namespace]; names[p.Name] == p {
		if delete(names, p.Name); len(names) == 0 {
			delete(m.byName, p.Namespace)
		}
	}
	for _, uid := range []string{p.UID, p.cgroup} {
		if m.byUID[uid] == p {
			delete(m.byUID, uid)
		}
	}
	for id := range p.Containers {
		if m.byContainer[id] == p {
			delete(m.byContainer, id)
		}
	}
	for _, ip := range p.IPs {
		a, err := netip.ParseAddr(ip)
		if err != nil {
			continue
		}
		a = a.Unmap()
		if m.byIP[a] = slices.DeleteFunc(m.byIP[a], func(other *Pod) bool { return other == p }); len(m.byIP[a]) == 0 {
			delete(m.byIP, a)
		}
	}
	if !p.Gone.IsZero() {
		m.gone--
	}
}

// remove notes that a pod is deleted.
func (m *Map) remove(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events++
	if p := m.byUID[uid]; p != nil && p.UID == uid {
		m.bury(p)
	}
}

func (m *Map) bury(p *Pod) {
	if !p.Gone.IsZero() {
		return
	}
	gone := *p // others may read it
	gone.Gone = m.cfg.Now()
	m.drop(p)
	m.insert(&gone)
	m.graves = append(m.graves, &gone)
	m.expire()
}

// replace takes a whole list; who is not in it was deleted.
func (m *Map) replace(objects []*object) {
	there := make(map[string]bool, len(objects))
	pods := make([]*Pod, len(objects))
	for i, o := range objects {
		pods[i] = o.pod(&m.cfg.Rules)
		there[pods[i].UID] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pods {
		m.insert(p)
	}
	for uid, p := range m.byUID {
		if uid == p.UID && !there[uid] {
			m.bury(p)
		}
	}
	m.synced, m.err = true, ""
	m.expire()
}

// Expire forgets pods that were deleted long ago.
func (m *Map) Expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
}

func (m *Map) expire() {
	end := m.cfg.Now().Add(-m.cfg.Grace)
	for len(m.graves) > 0 {
		p := m.graves[0]
		there := m.byUID[p.UID] == p
		if there && !p.Gone.Before(end) && m.gone <= maxGone {
			return
		}
		m.graves = m.graves[1:]
		if there {
			m.drop(p)
		}
	}
}

// state notes whether the Map is current.
func (m *Map) state(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err = ""; err != nil {
		m.err = words.OneLine(err)
	}
}

// Ready tells what is missing until all pods were known once.
func (m *Map) Ready() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.synced {
		return nil
	}
	return errors.New("not listed yet: " + cmp.Or(m.err, "not asked"))
}

// Current tells whether the pods are known and nothing failed since.
func (m *Map) Current() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.synced && m.err == ""
}

// Len is the number of pods, with those that are gone.
func (m *Map) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n := 0
	for uid, p := range m.byUID {
		if uid == p.UID {
			n++
		}
	}
	return n
}

// Events is how many changes were told.
func (m *Map) Events() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.events
}

// ByName is the pod of that name; "" is any namespace.
func (m *Map) ByName(namespace, name string) (pods []*Pod) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for ns, names := range m.byName {
		if p := names[name]; p != nil && (namespace == "" || ns == namespace) {
			pods = append(pods, p)
		}
	}
	return inOrder(pods)
}

// ByUID is the pod of a UID, also as systemd has it in cgroup paths, with _ for -;
// nil is none.
func (m *Map) ByUID(uid string) *Pod {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byUID[strings.ReplaceAll(uid, "_", "-")]
}

// ByContainer is the pod that has a container and the container's name; nil is none.
func (m *Map) ByContainer(id string) (*Pod, string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, after, found := strings.Cut(id, "://"); found {
		id = after
	}
	p := m.byContainer[id]
	if p == nil {
		return nil, ""
	}
	return p, p.Containers[id]
}

// ByIP is the pod that owns an address, and those that only use it because it is the
// host's. Where nobody owns it now, it is who did.
func (m *Map) ByIP(ip netip.Addr) (owners, onHost []*Pod) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var past []*Pod
	for _, p := range m.byIP[ip.Unmap()] {
		switch {
		case p.HostNetwork && !p.ended():
			onHost = append(onHost, p)
		case p.HostNetwork:
		case p.ended():
			past = append(past, p)
		default:
			owners = append(owners, p)
		}
	}
	if len(owners) == 0 && len(onHost) == 0 {
		owners = past
	}
	return inOrder(owners), inOrder(onHost)
}

func inOrder(pods []*Pod) []*Pod {
	slices.SortFunc(pods, func(a, b *Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return pods
}
