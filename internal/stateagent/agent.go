// Package stateagent is the state-agent as a value: the view of a cluster, what it
// shows of it and of itself. cmd/state-agent serves it alone, the collector's
// single-process mode can beside its own pages.
package stateagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"watchpost/internal/run"
	"watchpost/internal/self"
	"watchpost/internal/serve"
	"watchpost/internal/words"
	"watchpost/kube"
)

// Config is what a state-agent is made from.
type Config struct {
	// Load reads the settings and tells which files they come from. It is called at
	// the start and when one of the files has changed.
	Load func() (Settings, []File, error)
	// Auth lets only those see metrics whom the API server lets.
	Auth bool
	// Lookup answers questions for pods.
	Lookup bool
	Log    *slog.Logger
}

// Agent is a state-agent.
type Agent struct {
	cfg    Config
	own    *prometheus.Registry
	self   *self.Metrics
	files  *files
	shard  *shardMetrics
	took   *prometheus.HistogramVec
	custom *kube.CustomStats

	mu       sync.Mutex
	settings Settings // that count
	current  *view    // what is served
	next     *view    // what is to be served when it is ready; nil: nothing is
	unknown  string   // why it is not known yet what to show, "" when it is
}

// Intervals of the agent's own.
const (
	fileInterval = 2 * time.Second // how often files are looked at
	waitWarning  = time.Minute     // how long a new view may take to be ready before that is told
)

// New makes a state-agent, and checks what can be checked without asking the API
// server. The error tells what is wrong.
func New(cfg Config) (*Agent, error) {
	own := prometheus.NewRegistry()
	a := &Agent{
		cfg: cfg, own: own, self: self.New(), files: newFiles(own), shard: newShardMetrics(own),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "How long it took to answer requests for metrics.",
			Buckets: prometheus.DefBuckets, ConstLabels: prometheus.Labels{"handler": "metrics"}}, []string{"method"}),
	}
	a.custom = kube.NewCustomStats(cfg.Log)
	own.MustRegister(a.took)
	own.MustRegister(a.custom.Collectors()...)
	settings, watched, err := cfg.Load()
	if err != nil {
		return nil, err
	}
	a.settings = settings
	a.unknown = "not started yet"
	v, err := a.newView(settings, part{settings.Shard, settings.Shards, nil})
	if err != nil {
		return nil, err
	}
	a.files.good(watched)
	if !settings.dependent() {
		a.install(v)
	} else {
		a.current = v // which is never run: it is there to be asked, and shows nothing
	}
	return a, nil
}

// install makes a view the one that is served.
func (a *Agent) install(v *view) {
	a.current, a.next, a.unknown = v, nil, ""
	a.shard.set(v.part.shard, v.part.shards)
}

// Task keeps the agent up to date.
func (a *Agent) Task() run.Task {
	return run.Task{Name: "view of the cluster", Run: a.run}
}

// run starts views, and exchanges them when settings change.
func (a *Agent) run(ctx context.Context, ready func()) error {
	parts := make(chan part)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	following := a.follow(ctx, &tasks, parts)
	defer func() { following() }()
	a.mu.Lock()
	if !a.settings.dependent() {
		a.current.start(ctx, &tasks)
	}
	a.mu.Unlock()
	ready()

	look := time.NewTicker(fileInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p := <-parts:
			if a.replace(ctx, &tasks, a.settings, p) == nil && a.settled() {
				a.files.taken()
			}
		case <-a.awaited():
			a.exchange()
		case <-look.C:
			a.complain()
			if !a.files.changed() {
				continue
			}
			settings, watched, err := a.cfg.Load()
			if err == nil {
				err = settings.check()
			}
			if err == nil {
				err = a.reload(ctx, &tasks, settings)
			}
			if err != nil {
				a.files.bad(err)
				a.cfg.Log.Error("The changed settings cannot be used; the old ones count", "error", words.OneLine(err))
				continue
			}
			a.files.wait(watched)
			if !settings.dependent() && a.settled() {
				a.files.taken()
			}
			following()
			following = a.follow(ctx, &tasks, parts)
		}
	}
}

// reload uses other settings.
func (a *Agent) reload(ctx context.Context, tasks *sync.WaitGroup, s Settings) error {
	p := part{s.Shard, s.Shards, nil}
	if s.dependent() {
		// What is shown follows when that is known; until then the old is. That the
		// settings are good is seen by making a view of them.
		if _, err := a.newView(s, p); err != nil {
			return err
		}
		a.mu.Lock()
		a.settings = s
		a.mu.Unlock()
		return nil
	}
	return a.replace(ctx, tasks, s, p)
}

// replace makes a view beside the one that is served, and starts it.
func (a *Agent) replace(ctx context.Context, tasks *sync.WaitGroup, s Settings, p part) error {
	v, err := a.newView(s, p)
	if err != nil {
		a.cfg.Log.Error("What is to be shown cannot be", "error", words.OneLine(err))
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next != nil {
		a.next.end()
	}
	a.settings = s
	v.start(ctx, tasks)
	if a.unknown != "" { // nothing was served before
		a.install(v)
		return nil
	}
	a.next = v
	return nil
}

// settled tells whether no view waits to be served.
func (a *Agent) settled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next == nil
}

// awaited is closed when the new view is ready; nil where there is none. Only run changes
// which view that is.
func (a *Agent) awaited() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == nil {
		return nil
	}
	return a.next.cluster.Synced()
}

// exchange serves the new view.
func (a *Agent) exchange() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cfg.Log.Info("The changed settings are in effect", "after", time.Since(a.next.began).Round(time.Millisecond).String())
	a.current.end()
	a.install(a.next)
	a.files.taken()
}

// complain tells about a new view that is not ready for long.
func (a *Agent) complain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next != nil && time.Since(a.next.warned) > waitWarning {
		a.next.warned = time.Now()
		a.cfg.Log.Warn("The changed settings wait for resources; what was shown stays until they are listed", "missing", fmt.Sprint(a.next.cluster.Ready()))
	}
}

// follow follows what decides which part of the cluster is shown, if anything does.
// The result ends it.
func (a *Agent) follow(ctx context.Context, tasks *sync.WaitGroup, parts chan<- part) (end func()) {
	ctx, end = context.WithCancel(ctx)
	a.mu.Lock()
	s := a.settings
	a.mu.Unlock()
	if !s.dependent() {
		return end
	}
	client, err := s.client()
	if err != nil { // that it can be made was seen before
		a.cfg.Log.Error("What is to be shown is not known", "error", words.OneLine(err))
		return end
	}
	f := &followed{part: part{s.Shard, s.Shards, nil}, changed: func(p part) {
		select {
		case parts <- p:
		case <-ctx.Done():
		}
	}}
	failed := func(what string) func(error) {
		return func(err error) {
			if err == nil {
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.unknown != "" {
				a.unknown = what + ": " + words.OneLine(err)
			}
		}
	}
	if s.Pod != "" {
		f.waiting++
		tasks.Go(func() { client.FollowShard(ctx, a.cfg.Log, s.PodNamespace, s.Pod, f.setShard, failed("the shard")) })
	}
	if s.NamespaceSelector != "" {
		f.waiting++
		tell := failed("--namespace-selector " + s.NamespaceSelector)
		tasks.Go(func() {
			client.FollowNamespaces(ctx, a.cfg.Log, s.NamespaceSelector, func(names []string) {
				if names = s.among(names); len(names) == 0 {
					tell(errNoNamespace)
					a.cfg.Log.Warn("No namespace fits --namespace-selector; what was shown stays", "selector", s.NamespaceSelector)
					return
				}
				f.setNamespaces(names)
			}, tell)
		})
	}
	return end
}

// errNoNamespace is why nothing is shown where labels choose no namespace.
var errNoNamespace = errors.New("no namespace has such labels")

// part is which part of the cluster is shown.
type part struct {
	shard, shards int
	namespaces    []string // nil: as the settings say
}

func (p part) equal(q part) bool {
	return p.shard == q.shard && p.shards == q.shards && slices.Equal(p.namespaces, q.namespaces) && (p.namespaces == nil) == (q.namespaces == nil)
}

// followed puts together what is followed.
type followed struct {
	mu      sync.Mutex
	part    part
	waiting int // for so many facts
	shard   bool
	said    part
	once    bool
	changed func(part)
}

func (f *followed) setShard(shard, shards int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.shard {
		f.shard = true
		f.waiting--
	}
	f.part.shard, f.part.shards = shard, shards
	f.tell()
}

func (f *followed) setNamespaces(names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.part.namespaces == nil {
		f.waiting--
	}
	f.part.namespaces = append([]string{}, names...)
	f.tell()
}

// tell passes the part on when all of it is known and when it has changed.
func (f *followed) tell() {
	if f.waiting == 0 && !(f.once && f.part.equal(f.said)) {
		f.once, f.said = true, f.part
		f.changed(f.part)
	}
}

// view is a cluster that is watched by some settings.
type view struct {
	settings   Settings
	part       part
	namespaces []string // none are all
	client     *kube.Client
	cluster    *kube.Cluster
	gate       *kube.Gate
	stop       context.CancelFunc
	began      time.Time
	warned     time.Time
}

func (a *Agent) newView(s Settings, p part) (*view, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	cfg, err := s.cluster(p)
	if err != nil {
		return nil, err
	}
	cfg.Log, cfg.CustomStats = a.cfg.Log, a.custom
	if cfg.Custom != nil && len(cfg.Custom.Unknown()) > 0 {
		a.cfg.Log.Warn("The configuration of custom resources has fields that do not exist and are without effect",
			"file", cmp.Or(s.CustomResourcesFile, "--custom-resource-state-config"), "fields", strings.Join(cfg.Custom.Unknown(), ", "))
	}
	c, err := kube.New(cfg)
	if err != nil {
		return nil, err
	}
	return &view{settings: s, part: p, namespaces: cfg.Namespaces, client: cfg.Client, cluster: c, gate: kube.NewGate(cfg.Client)}, nil
}

// start runs the view until it is ended.
func (v *view) start(ctx context.Context, tasks *sync.WaitGroup) {
	ctx, v.stop = context.WithCancel(ctx)
	v.began, v.warned = time.Now(), time.Now()
	tasks.Go(func() { v.cluster.Run(ctx) })
}

func (v *view) end() {
	if v.stop != nil {
		v.stop()
	}
}

// view is what is served.
func (a *Agent) view() *view {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// Ready tells what is missing until everything is shown; nil is nothing.
func (a *Agent) Ready() error {
	a.mu.Lock()
	v, unknown := a.current, a.unknown
	a.mu.Unlock()
	if unknown != "" {
		return errors.New("what to show is not known: " + unknown)
	}
	return v.cluster.Ready()
}

// Stream implements serve.Streamer. The query's resources and exclude_resources
// choose resources, as kube-state-metrics has it.
func (a *Agent) Stream(r *http.Request) (serve.Stream, error) {
	var only, except []string
	if r.URL.RawQuery != "" {
		q := r.URL.Query()
		only, except = words.Split(q["resources"]...), words.Split(q["exclude_resources"]...)
		if q.Has("resources") && len(only) == 0 { // asked for none
			only = []string{""}
		}
	}
	return a.view().cluster.Snapshot(only, except), nil
}

// Paths of the handlers.
const (
	metricsPath = "/metrics"
	lookupPath  = "/lookup"
)

// streamCeiling is how long a scrape waits for its turn.
const streamCeiling = 30 * time.Second

// Guard lets only those see a handler whom the API server lets, where that is asked
// for.
func (a *Agent) Guard(h http.Handler) http.Handler {
	if !a.cfg.Auth {
		return h
	}
	return &guard{h, func() *kube.Gate { return a.view().gate }, a.cfg.Log}
}

// Serve puts the agent's pages on its two servers: the metrics on one, what it tells
// of itself on the other.
func (a *Agent) Serve(metrics, telemetry *serve.Server) {
	stream := serve.NewStream(serve.StreamConfig{Streamer: a, Self: a.own, Ceiling: streamCeiling, Log: a.cfg.Log})
	metrics.Handle(metricsPath, a.Guard(timed(a.took, stream)))
	links := []serve.Link{{Path: metricsPath, Text: "Metrics"}, {Path: "/readyz", Text: "Readiness"}, {Path: "/livez", Text: "Health"}}
	if a.cfg.Lookup {
		metrics.Handle("GET "+lookupPath, a.Guard(&lookup{make(chan struct{}, lookups), a.texts}))
	}
	metrics.SetLanding(serve.Landing{
		Path: "/{$}", About: "Tells how the objects of a Kubernetes cluster are, in the metrics of kube-state-metrics.",
		Links: links, Facts: a.facts,
	})
	telemetry.Handle(metricsPath, a.Guard(a.telemetry()))
	telemetry.SetLanding(serve.Landing{Path: "/{$}", About: "What this program tells of itself.", Links: links, Facts: a.facts})
	for _, s := range []*serve.Server{metrics, telemetry} {
		s.ReadyWhen("resources", a.Ready)
	}
}

// texts is what lookups search.
func (a *Agent) texts() (families, error) {
	c := a.view().cluster
	if !c.Shows(familyPodInfo) {
		return nil, errNotShown
	}
	return c.Snapshot([]string{podsResource}, nil).Text, nil
}

// timed observes how long a handler takes, by method.
func timed(took *prometheus.HistogramVec, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := "unknown" // only so many labels as there are methods
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			method = strings.ToLower(r.Method)
		}
		began := time.Now()
		defer func() { took.WithLabelValues(method).Observe(time.Since(began).Seconds()) }()
		h.ServeHTTP(w, r)
	})
}

// facts are for people who open the agent in a browser.
func (a *Agent) facts() []serve.Fact {
	a.mu.Lock()
	v, unknown, waits := a.current, a.unknown, a.next != nil
	a.mu.Unlock()
	state := "everything is listed"
	if err := a.Ready(); err != nil {
		state = err.Error()
	}
	facts := []serve.Fact{
		{Name: "API server", Value: v.client.Server()},
		{Name: "State", Value: state},
	}
	if unknown == "" {
		facts = append(facts,
			serve.Fact{Name: "Objects", Value: strconv.Itoa(v.cluster.Snapshot(nil, nil).Objects())},
			serve.Fact{Name: "Resources", Value: strings.Join(v.cluster.Names(), ", ")},
			serve.Fact{Name: "Namespaces", Value: cmp.Or(strings.Join(v.namespaces, ", "), "all")})
	}
	if v.part.shards > 1 {
		facts = append(facts, serve.Fact{Name: "Shard", Value: fmt.Sprintf("%d of %d, from 0", v.part.shard, v.part.shards)})
	}
	if waits {
		facts = append(facts, serve.Fact{Name: "Changed settings", Value: "are being listed; then they are shown"})
	}
	return append(facts, serve.Fact{Name: "Version", Value: version.Info()})
}

// Check tells of each resource whether it may be read.
func (a *Agent) Check(ctx context.Context) ([]kube.Report, error) {
	v := a.view()
	if _, err := v.client.Version(ctx); err != nil {
		return nil, fmt.Errorf("API server %s: %s", v.client.Server(), words.OneLine(err))
	}
	return v.cluster.Check(ctx), nil
}
