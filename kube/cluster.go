package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	selection "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"watchpost/internal/expo"
	"watchpost/internal/words"
)

// Config says what of a cluster is watched and how it is rendered.
type Config struct {
	Client *Client
	// Resources are the names of the resources; nil is those that are on by themselves.
	Resources []string
	// Namespaces are those to watch, each by itself; none is all. Resources that are in
	// no namespace are watched in any case.
	Namespaces []string
	// NamespacesDenied are left out. Of Namespaces they are taken away.
	NamespacesDenied []string
	// Node restricts pods to those of a node; Unscheduled to those that have none.
	// Other resources know no such restriction.
	Node        string
	Unscheduled bool
	// LabelSelectors restrict resources, by name, to objects whose labels fit, as the
	// API server understands them; "*" is for the resources that are not named.
	LabelSelectors map[string]string
	// ObjectLimit bounds how many objects of each resource and namespace a list reads;
	// 0 is all. Those that come later are added.
	ObjectLimit int64
	// Cached lets lists come from the API server's cache, which may be a little behind.
	Cached bool
	// Shard of Shards, from 0, is what this process is about: see shardOf. Up to 1 in
	// all, everything.
	Shard, Shards int
	// FinishedPods is how long after their end pods are still told of; 0 is for good.
	FinishedPods time.Duration

	// Custom are custom resources to watch, where they are defined; nil is none.
	Custom *CustomConfig
	// CustomStats counts what becomes of them; nil counts for nobody.
	CustomStats *CustomStats

	Options

	// Log takes what is to be told; nil is slog's default.
	Log *slog.Logger
}

// listsAtOnce is how many lists are read at a time: with two, decoding keeps both
// cores of a small machine busy, and what was received and not yet decoded, up to
// 4 MB each, stays small.
// Pods, which are most of what there is to list, wait for no other resource.
const listsAtOnce = 3

// Cluster is what is known of a cluster, and kept up to date while it runs. It is
// safe for concurrent use.
type Cluster struct {
	config          Config
	log             *slog.Logger
	codec           *codec
	lists, podLists chan struct{}
	now             func() time.Time

	custom customState

	mu     sync.Mutex
	stores []*store
	ctx    context.Context // of Run; nil before
	tasks  sync.WaitGroup
	synced chan struct{} // closed when all has been listed once
}

// store is a resource: its objects, in one source or in one for each namespace.
type store struct {
	resource *resource
	headers  []*familyHeader
	watchers []*watcher
	stop     context.CancelFunc
}

// New checks a configuration and makes a cluster that knows nothing yet. The error is
// one line.
func New(config Config) (*Cluster, error) { return newCluster(config, resources) }

// newCluster is New with a table of resources.
func newCluster(config Config, table []*resource) (*Cluster, error) {
	c := &Cluster{config: config, log: config.Log, codec: newCodec(), lists: make(chan struct{}, listsAtOnce), podLists: make(chan struct{}, listsAtOnce), now: time.Now, synced: make(chan struct{})}
	if c.log == nil {
		c.log = slog.Default()
	}
	if err := c.config.check(table); err != nil {
		return nil, err
	}
	for _, r := range table {
		on := r.on
		if config.Resources != nil {
			on = slices.Contains(config.Resources, r.name)
		}
		if !on {
			continue
		}
		s, err := c.newStore(r)
		if err != nil {
			return nil, err
		}
		c.stores = append(c.stores, s)
	}
	return c, nil
}

// Resources are the names of all resources there are.
func Resources() []string { return namesOf(resources) }

func namesOf(table []*resource) []string {
	names := make([]string, len(table))
	for i, r := range table {
		names[i] = r.name
	}
	return names
}

// check finds the first mistake.
func (c *Config) check(table []*resource) error {
	if c.Client == nil {
		return errors.New("BUG: kube: a configuration without a client")
	}
	known := namesOf(table)
	for _, name := range c.Resources {
		if !slices.Contains(known, name) {
			return fmt.Errorf("resource %q does not exist; there are: %s", name, strings.Join(known, ", "))
		}
	}
	for _, name := range slices.Concat(c.Namespaces, c.NamespacesDenied) {
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			return fmt.Errorf("namespace %q: %s", name, wrong[0])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.LabelSelectors)) {
		if name != "*" && !slices.Contains(known, name) {
			return fmt.Errorf("label selector %q is of resource %q, which does not exist", c.LabelSelectors[name], name)
		}
		if _, err := selection.Parse(c.LabelSelectors[name]); err != nil {
			return fmt.Errorf("label selector %q of %s: %s", c.LabelSelectors[name], name, words.OneLine(err))
		}
	}
	switch {
	case c.Shards < 0, c.Shard < 0, c.Shard > 0 && c.Shard >= c.Shards:
		return fmt.Errorf("shard %d of %d does not exist; the first is 0", c.Shard, c.Shards)
	case c.ObjectLimit < 0:
		return fmt.Errorf("object limit %d is negative", c.ObjectLimit)
	case c.FinishedPods < 0:
		return fmt.Errorf("time %s after the end of a pod is negative", c.FinishedPods)
	case c.Node != "" && c.Unscheduled:
		return fmt.Errorf("pods of node %q and pods without a node cannot both be the only ones", c.Node)
	case len(c.Namespaces) > 0 && len(c.namespaces()) == 0:
		return errors.New("every namespace to watch is also denied")
	}
	return nil
}

// namespaces are those that are watched one by one, none for all.
func (c *Config) namespaces() []string {
	var left []string
	for _, name := range c.Namespaces {
		if !slices.Contains(c.NamespacesDenied, name) && !slices.Contains(left, name) {
			left = append(left, name)
		}
	}
	return left
}

// selectors restrict what is asked for of a resource.
func (c *Config) selectors(r *resource) url.Values {
	q := url.Values{}
	selector, ok := c.LabelSelectors[r.name]
	if !ok {
		selector = c.LabelSelectors["*"]
	}
	if selector != "" {
		q.Set("labelSelector", selector)
	}
	var terms []fields.Selector
	if r.namespaced && len(c.Namespaces) == 0 {
		for _, name := range c.NamespacesDenied {
			terms = append(terms, fields.OneTermNotEqualSelector("metadata.namespace", name))
		}
	}
	if r.isPods() && (c.Node != "" || c.Unscheduled) {
		terms = append(terms, fields.OneTermEqualSelector("spec.nodeName", c.Node))
	}
	if len(terms) > 0 {
		q.Set("fieldSelector", fields.AndSelectors(terms...).String())
	}
	return q
}

// newStore makes a store that knows nothing yet.
func (c *Cluster) newStore(r *resource) (*store, error) {
	s := &store{resource: r}
	namespaces := c.config.namespaces()
	if !r.namespaced || len(namespaces) == 0 {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		log := c.log.With("resource", r.name)
		if namespace != "" {
			log = log.With("namespace", namespace)
		}
		w := &watcher{
			client: c.config.Client, resource: r, namespace: namespace,
			path: resourcePath(r, namespace), selectors: c.config.selectors(r),
			limit: c.config.ObjectLimit, cached: c.config.Cached, keep: keepShard(c.config.Shard, c.config.Shards),
			render: newRenderer(r, c.config.Options), lists: c.lists, log: log, now: c.now,
		}
		if r.isPods() {
			w.lists = c.podLists
		}
		var err error
		if w.decoder, err = newDecoder(w.client, r, r.fetch, w.render.chosen, w.keep); err != nil {
			return nil, err
		}
		if after := c.config.FinishedPods; after > 0 && r.isPods() {
			w.expires = func(o v1.Object) int64 {
				if end := podEnd(o.(*core.Pod)); !end.IsZero() {
					return max(end.Add(after).Unix(), 1)
				}
				return 0
			}
		}
		w.source = newSource(c.codec, len(w.render.chosen), func() time.Time { return c.now() })
		s.watchers = append(s.watchers, w)
	}
	c.codec.mu.Lock()
	defer c.codec.mu.Unlock()
	for _, f := range s.watchers[0].render.chosen {
		s.headers = append(s.headers, newHeader(&c.codec.deflater, f.Family))
	}
	return s, nil
}

// expiryCheck is how often objects whose time has come are looked for; a snapshot
// looks for them, too.
const expiryCheck = time.Minute

// Between two looks whether everything is listed, at first and at most.
const (
	syncedCheck     = 100 * time.Millisecond
	syncedCheckMost = 2 * time.Second
)

// Run keeps the cluster up to date until the context ends. It is called once.
func (c *Cluster) Run(ctx context.Context) {
	c.mu.Lock()
	c.ctx = ctx
	for _, s := range c.stores {
		c.start(s)
	}
	c.mu.Unlock()
	c.followCustom(ctx)

	began := c.now()
	synced := time.NewTimer(syncedCheck)
	defer synced.Stop()
	expiry := time.NewTicker(expiryCheck)
	defer expiry.Stop()
	for {
		select {
		case <-ctx.Done():
			c.tasks.Wait()
			return
		case <-synced.C:
			if c.allSynced() {
				c.started(began)
			} else { // ever more rarely: what may not be listed is often missing for good
				synced.Reset(min(max(c.now().Sub(began)/10, syncedCheck), syncedCheckMost))
			}
		case <-expiry.C:
			c.expire()
		}
	}
}

// start starts the watchers of a store. The cluster is locked.
func (c *Cluster) start(s *store) {
	ctx, stop := context.WithCancel(c.ctx)
	s.stop = stop
	for _, w := range s.watchers {
		c.tasks.Go(func() { w.run(ctx) })
	}
}

// started gives the memory back that only the first lists needed.
func (c *Cluster) started(began time.Time) {
	close(c.synced)
	c.codec.release()
	debug.FreeOSMemory()
	c.log.Info("All resources are listed", "after", c.now().Sub(began).Round(time.Millisecond).String(), "objects", c.Snapshot(nil, nil).Objects())
}

func (c *Cluster) expire() {
	for _, w := range c.watchers() {
		w.source.mu.Lock()
		if !w.source.listing {
			w.source.expire()
		}
		w.source.mu.Unlock()
	}
}

// change adds and removes resources while the cluster runs.
func (c *Cluster) change(added, removed []*resource) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stores = slices.DeleteFunc(c.stores, func(s *store) bool {
		gone := slices.Contains(removed, s.resource)
		if gone && s.stop != nil {
			s.stop()
		}
		return gone
	})
	for _, r := range added {
		s, err := c.newStore(r)
		if err != nil {
			return err
		}
		c.stores = append(c.stores, s)
		if c.ctx != nil {
			c.start(s)
		}
	}
	return nil
}

// watchers are those of all stores.
func (c *Cluster) watchers() (all []*watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stores {
		all = append(all, s.watchers...)
	}
	return all
}

func (c *Cluster) allSynced() bool {
	for _, w := range c.watchers() {
		if synced, _ := w.status(); !synced {
			return false
		}
	}
	return c.custom.missing(c.config.Custom) == nil
}

// Synced is closed when every resource was listed once.
func (c *Cluster) Synced() <-chan struct{} { return c.synced }

// Ready tells which resources are not listed yet, and which could be neither listed
// nor watched for a minute; nil is none. What was known of the latter is still told.
func (c *Cluster) Ready() error {
	var wrong []string
	for _, w := range c.watchers() {
		if _, err := w.status(); err != nil {
			wrong = append(wrong, w.name()+": "+err.Error())
		}
	}
	if err := c.custom.missing(c.config.Custom); err != nil {
		wrong = append(wrong, err.Error())
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}

// name is the resource and, where it is one of several, the namespace.
func (w *watcher) name() string {
	if w.namespace == "" {
		return w.resource.name
	}
	return w.resource.name + " in " + w.namespace
}

// Snapshot is what the cluster says now about the resources named in only, or about
// all where there are none, but for those in except.
func (c *Cluster) Snapshot(only, except []string) *Snapshot {
	c.mu.Lock()
	stores := slices.Clone(c.stores)
	c.mu.Unlock()
	snap := &Snapshot{codec: c.codec}
	for _, s := range stores {
		if len(only) > 0 && !slices.Contains(only, s.resource.name) || slices.Contains(except, s.resource.name) {
			continue
		}
		s.add(snap)
	}
	snap.group()
	return snap
}

// add adds a store's families, unless it has no object.
func (s *store) add(snap *Snapshot) {
	views := make([]*view, 0, len(s.watchers))
	for _, w := range s.watchers {
		if v := w.source.view(); v.objects > 0 {
			views = append(views, v)
			snap.objects += v.objects
		}
	}
	if len(views) == 0 {
		return
	}
	for f, h := range s.headers {
		p := snapshotPart{header: h, samples: make([][]*expo.Segment, 0, len(views))}
		for _, v := range views {
			if len(v.segments[f]) > 0 {
				p.samples = append(p.samples, v.segments[f])
			}
		}
		snap.parts = append(snap.parts, p)
	}
}

// The program's own metrics; the names that kube-state-metrics has are the same here.
var (
	ownLists = expo.Counter("kube_state_metrics_list_total",
		"Answers to lists of a resource, by whether they were errors.", "result", "resource")
	ownWatches = expo.Counter("kube_state_metrics_watch_total",
		"Answers to watches of a resource, by whether they were errors.", "result", "resource")
	ownListed = expo.Gauge("kube_state_metrics_list_objects",
		"Objects in the last list of a resource, where their number is limited.", "resource")
	ownLimit = expo.Gauge("kube_state_metrics_list_objects_limit",
		"Objects that a list of a resource may have.", "resource")
	ownSynced = expo.Gauge("watchpost_kube_synced",
		"Whether a resource was listed whole once.", "resource")
	ownUp = expo.Gauge("watchpost_kube_up",
		"Whether the last list or watch of a resource went well; 0 means that older objects are told of.", "resource")
	ownSuccess = expo.Gauge("watchpost_kube_last_success_timestamp_seconds",
		"When the API server last answered a list or watch of a resource, in seconds since the epoch.", "resource")
	ownObjects = expo.Gauge("watchpost_kube_objects",
		"Objects of a resource that are told of.", "resource")
	ownBytes = expo.Gauge("watchpost_kube_stored_bytes",
		"Size of a resource's samples as they are kept, deflated.", "resource")
	ownEvents = expo.Counter("watchpost_kube_events_total",
		"Objects and events that were received of a resource.", "resource")
	ownPanics = expo.Counter("watchpost_kube_panics_total",
		"Objects that could not be rendered because of a fault of this program.", "resource")
	ownLarge = expo.Counter("watchpost_kube_oversized_total",
		"Objects left out because they have more than 16 MiB of text in one family.", "resource")
)

// own is what the metrics above say of one resource: the sum over its namespaces,
// and of what can go well the worst.
type own struct {
	resource, kind                          string
	lists, listErrors, watches, watchErrors uint64
	listed                                  int
	synced, up                              bool
	success                                 time.Time
	objects                                 int
	bytes                                   int64
	events, panics, large                   uint64
}

func (s *store) own() own {
	o := own{resource: s.resource.name, kind: "*" + s.resource.version.Version + "." + s.resource.kind, synced: true, up: true}
	for i, w := range s.watchers {
		h := &w.health
		h.mu.Lock()
		o.lists, o.listErrors = o.lists+h.lists, o.listErrors+h.listErrors
		o.watches, o.watchErrors = o.watches+h.watches, o.watchErrors+h.watchErrors
		o.panics, o.large, o.listed = o.panics+h.panics, o.large+h.large, o.listed+h.listed
		o.synced, o.up = o.synced && h.synced, o.up && h.failing.IsZero() && h.synced
		if i == 0 || h.success.Before(o.success) {
			o.success = h.success
		}
		h.mu.Unlock()
		o.events += w.events.Load()
		w.source.mu.Lock()
		if v := w.source.served; v != nil {
			o.bytes += v.bytes
		} else {
			o.bytes += w.source.stored()
		}
		o.objects += len(w.source.index)
		w.source.mu.Unlock()
	}
	return o
}

// Write writes the program's own metrics about its lists, watches and objects.
func (c *Cluster) Write(w *expo.Writer) {
	c.mu.Lock()
	stores := slices.Clone(c.stores)
	c.mu.Unlock()
	all := make([]own, len(stores))
	for i, s := range stores {
		all[i] = s.own()
	}
	// A result that there was none of yet is not told, as kube-state-metrics has it.
	answers := func(f *expo.Family, of func(*own) (well, failed uint64)) {
		for i := range all {
			well, failed := of(&all[i])
			if failed > 0 {
				w.Uint(f, failed, "error", all[i].kind)
			}
			if well > 0 {
				w.Uint(f, well, "success", all[i].kind)
			}
		}
	}
	answers(ownLists, func(o *own) (uint64, uint64) { return o.lists, o.listErrors })
	answers(ownWatches, func(o *own) (uint64, uint64) { return o.watches, o.watchErrors })
	if limit := c.config.ObjectLimit; limit > 0 {
		for i := range all {
			w.Sample(ownListed, float64(all[i].listed), all[i].kind)
		}
		for i := range all {
			w.Sample(ownLimit, float64(limit), all[i].kind)
		}
	}
	each := func(f *expo.Family, of func(*own) float64) {
		for i := range all {
			w.Sample(f, of(&all[i]), all[i].resource)
		}
	}
	each(ownSynced, func(o *own) float64 { return truth(o.synced) })
	each(ownUp, func(o *own) float64 { return truth(o.up) })
	for i := range all {
		if t := all[i].success; !t.IsZero() {
			w.Sample(ownSuccess, float64(t.UnixMilli())/1000, all[i].resource)
		}
	}
	each(ownObjects, func(o *own) float64 { return float64(o.objects) })
	each(ownBytes, func(o *own) float64 { return float64(o.bytes) })
	each(ownEvents, func(o *own) float64 { return float64(o.events) })
	each(ownPanics, func(o *own) float64 { return float64(o.panics) })
	each(ownLarge, func(o *own) float64 { return float64(o.large) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
