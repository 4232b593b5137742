// Package cadvisor reads the containers of this host itself, for nodes without a
// kubelet: cgroups by the library that the kubelet has for it (cAdvisor's), names and
// labels by the sockets of containerd, CRI-O and Docker. What it says is the text that
// the kubelet has at /metrics/cadvisor.
//
// Of the library only what reads is used: its manager has a goroutine and a timer for
// each cgroup, keeps two minutes of samples, is set by flags of the whole process, and
// cannot be stopped. Here one loop reads all cgroups in turn.
package cadvisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cgroupinfo "github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/opencontainers/cgroups"
	"k8s.io/klog/v2"

	"watchpost/internal/expo"
	"watchpost/internal/fetch"
	"watchpost/internal/run"
)

// Config is what is read, and how often.
type Config struct {
	// Interval is how often each cgroup is read; 0 is DefaultInterval, the kubelet's.
	Interval time.Duration
	// Containerd, CRIO and Docker are the runtimes' sockets; "" is not to ask. One
	// that is not there is not a failure: it may come later.
	Containerd, CRIO, Docker string
	// ContainerdNamespaces are those whose containers are asked for, in this order.
	ContainerdNamespaces []string
	// Cgroups are prefixes of the cgroups to read, beside "/" and those of
	// containers; none is all.
	Cgroups []string
	// Metrics are the sets to read, by cAdvisor's names; none is DefaultMetrics.
	Metrics []string
	Log     *slog.Logger
}

// Defaults of a Config.
const (
	DefaultInterval   = 10 * time.Second // the kubelet's (pkg/kubelet/cadvisor)
	DefaultContainerd = "/run/containerd/containerd.sock"
	DefaultCRIO       = "/var/run/crio/crio.sock"
	DefaultDocker     = "/var/run/docker.sock"
)

// DefaultMetrics are the sets that the kubelet has; pressure is only read where the
// kernel has it for cgroups: version 2.
func DefaultMetrics() []string {
	return []string{"cpu", "memory", "diskIO", "disk", "network", "process", "oom_event", "pressure"}
}

// MoreMetrics are the sets that can be asked for as well.
func MoreMetrics() []string {
	return []string{"percpu", "sched", "hugetlb", "tcp", "udp", "referenced_memory", "cpuset", "memory_numa", "cpu_topology"}
}

// Bounds.
const (
	readTimeout   = 5 * time.Second  // for one cgroup: a file system may hang
	lookupTimeout = 2 * time.Second  // for one question to a runtime
	machineEvery  = 5 * time.Minute  // the library's
	keepFor       = 3                // intervals for which a sample is shown,
	keepLeast     = 30 * time.Second // or so long
	maxCgroups    = 100_000
)

// Host are the containers of this host. Its methods may be called at the same time.
type Host struct {
	cfg      Config
	set      cgroupinfo.MetricSet
	mounts   map[string]string // of the cgroup file systems, by controller; "" is version 2
	unified  bool
	rootfs   string
	runtimes []*asked
	rows     []*row
	now      func() time.Time
	patience time.Duration // with one cgroup

	round   sync.Mutex // held by the one who reads
	first   chan struct{}
	groups  map[string]*cgroup
	rounds  uint64
	machine *machine
	asking  guard // the machine
	latest  atomic.Pointer[machine]

	mu       sync.Mutex
	views    []shown // in the order of their names; replaced, never changed
	facts    *machine
	failed   bool // a cgroup of the last round
	failures uint64
	took     time.Duration
	said     map[string]time.Time

	pages chan *page
}

// New prepares to read the cgroups of this host. It reads none yet. The error tells
// what is wrong with the configuration or with the host.
func New(cfg Config) (*Host, error) {
	if cfg.Interval = cmp.Or(cfg.Interval, DefaultInterval); cfg.Interval < time.Second {
		return nil, fmt.Errorf("an interval of %s is too short: a second is the least", cfg.Interval)
	}
	if len(cfg.Metrics) == 0 {
		cfg.Metrics = DefaultMetrics()
	}
	h := &Host{
		cfg: cfg, rootfs: "/", now: time.Now, patience: readTimeout,
		first: make(chan struct{}), groups: make(map[string]*cgroup), said: make(map[string]time.Time), pages: make(chan *page, 2),
		unified: cgroups.IsCgroup2UnifiedMode(),
	}
	known := append(DefaultMetrics(), MoreMetrics()...)
	for _, name := range cfg.Metrics {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no set of metrics %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	h.set = sets(cfg.Metrics)
	if !h.unified || !exists("/proc/pressure/cpu") {
		delete(h.set, cgroupinfo.PressureMetrics)
	}
	if cfg.Containerd != "" && len(cfg.ContainerdNamespaces) == 0 {
		return nil, errors.New("containerd is to be asked for the containers of no namespace: name some, or no socket")
	}
	for _, prefix := range cfg.Cgroups {
		if !strings.HasPrefix(prefix, "/") {
			return nil, fmt.Errorf("%q is not a cgroup: it begins with a slash, as /system.slice", prefix)
		}
	}
	if exists("/rootfs/proc") { // as cAdvisor has it in a container
		h.rootfs = "/rootfs"
	}
	var err error
	if h.mounts, err = libcontainer.GetCgroupSubsystems(h.set); err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	if len(h.mounts) == 0 {
		return nil, errors.New("cgroups: none of the controllers cpu, memory, blkio and pids is mounted here")
	}
	klog.SetSlogLogger(slog.New(quiet{cfg.Log.Handler()}))
	registerFilesystems()
	if h.runtimes, err = runtimes(cfg); err != nil {
		return nil, err
	}
	h.rows = families(h.set, h.unified)
	return h, nil
}

func sets(names []string) cgroupinfo.MetricSet {
	set := make(cgroupinfo.MetricSet)
	for _, name := range names {
		set[cgroupinfo.MetricKind(name)] = struct{}{}
	}
	return set
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Run reads all cgroups at each interval, one after another and spread over it, until
// the context ends. It is run once.
func (h *Host) Run(ctx context.Context) {
	defer func() {
		for _, r := range h.runtimes {
			r.close()
		}
	}()
	for {
		began := h.now()
		h.readAll(ctx, true)
		if run.Sleep(ctx, h.cfg.Interval-h.now().Sub(began)) != nil {
			return
		}
	}
}

// readAll is one round. Where it is spread, all but the first take most of the
// interval: the cost of hundreds of containers does not come at once.
func (h *Host) readAll(ctx context.Context, spread bool) {
	h.round.Lock()
	defer h.round.Unlock()
	spread = spread && h.rounds > 0
	began := h.now()
	failed := false
	if h.machine == nil || h.machine.unknown || began.Sub(h.machine.at) >= machineEvery {
		if err := h.readMachine(); err != nil {
			h.fault("the machine", err) // machine_scrape_error tells of it
		}
	}
	names, err := h.names()
	if err != nil {
		h.fault("cgroups", err)
		failed = true
	}
	for name := range h.groups {
		if _, found := slices.BinarySearch(names, name); !found && err == nil {
			delete(h.groups, name)
		}
	}
	for i, name := range names {
		if ctx.Err() != nil {
			return
		}
		if err := h.readOne(ctx, name); err != nil {
			h.fault(name, err)
			failed = true
		}
		left := time.Duration(float64(h.cfg.Interval)*spreadShare) - h.now().Sub(began)
		if spread && run.Sleep(ctx, left/time.Duration(len(names)-i)) != nil {
			return
		}
		if spread && i%publishEvery == publishEvery-1 {
			h.publish(failed)
		}
	}
	h.publish(failed)
	h.mu.Lock()
	h.took = h.now().Sub(began)
	h.mu.Unlock()
	if h.rounds++; h.rounds == 1 {
		close(h.first)
	}
}

// A round takes this share of the interval, and shows what it has so often.
const (
	spreadShare  = 0.8
	publishEvery = 32
)

// readOne reads a cgroup. A file system or a driver can hang: then the others go on,
// and it is not asked again before it has answered.
func (h *Host) readOne(ctx context.Context, name string) error {
	g := h.groups[name]
	if g == nil || g.inode != g.now() { // or it went, and another of that name came
		var err error
		if g, err = h.newCgroup(name); err != nil {
			return err
		}
		h.groups[name] = g
	}
	if g.container == nil && g.id != "" && h.rounds >= g.askAt && !g.busy.Load() {
		h.identify(ctx, g)
	}
	m := h.machine
	return g.do(h.patience, func() error { return h.read(ctx, g, m) })
}

// publish makes what was read the answer.
func (h *Host) publish(failed bool) {
	oldest := h.now().Add(-max(keepFor*h.cfg.Interval, keepLeast))
	views := make([]shown, 0, len(h.groups))
	pods := make(map[string]*container) // of which a cgroup is, by the cgroup
	for _, g := range h.groups {
		if c := g.container; c != nil && c.pod != "" {
			pods[path.Dir(g.name)] = c
		}
	}
	for _, g := range h.groups {
		v := g.view.Load()
		if v == nil {
			continue
		}
		if v.stats.Timestamp.Before(oldest) {
			failed = true
			continue
		}
		views = append(views, show(g, v, pods[g.name]))
	}
	slices.SortFunc(views, func(a, b shown) int { return strings.Compare(a.base[labelID], b.base[labelID]) })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.views, h.facts, h.failed = views, h.machine, failed
	if h.machine.unknown {
		h.facts = nil
	}
}

// fault counts that something could not be read, and logs it once in a while.
func (h *Host) fault(what string, err error) {
	h.mu.Lock()
	h.failures++
	now := h.now()
	fresh := now.Sub(h.said[what]) > quietFor
	if fresh {
		if len(h.said) > maxSaid {
			clear(h.said)
		}
		h.said[what] = now
	}
	h.mu.Unlock()
	if fresh {
		h.cfg.Log.Warn("Something of the containers of this host cannot be read", "what", what, "error", err)
	}
}

// How long a fault is not repeated in the log, and how many are remembered for it.
const (
	quietFor = 10 * time.Minute
	maxSaid  = 1000
)

// names are the cgroups to read, sorted; "/" is the first.
func (h *Host) names() ([]string, error) {
	found := map[string]struct{}{"/": {}}
	var problems error
	seen := make(map[string]bool)
	for _, mount := range h.mounts {
		if real, err := os.Readlink(mount); err == nil { // cpu and cpuacct are often one
			mount = real
		}
		if seen[mount] {
			continue
		}
		seen[mount] = true
		if err := h.walk(mount, "/", found); err != nil {
			problems = errors.Join(problems, err)
		}
	}
	return slices.Sorted(maps.Keys(found)), problems
}

// walk adds the cgroups below one of a hierarchy.
func (h *Host) walk(mount, parent string, found map[string]struct{}) error {
	dir := path.Join(mount, parent)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		// systemd's units of mounts are never containers; there may be thousands.
		if !e.IsDir() || strings.HasSuffix(e.Name(), ".mount") {
			continue
		}
		name := path.Join(parent, e.Name())
		if len(found) >= maxCgroups {
			return fmt.Errorf("%s: more than %d cgroups: the rest is left out", mount, maxCgroups)
		}
		if h.wanted(name) {
			found[name] = struct{}{}
		}
		if err := h.walk(mount, name, found); err != nil {
			return err
		}
	}
	return nil
}

// wanted tells whether a cgroup is to be read. Whether it is a container's is seen by
// its name: that is where the kubelet's rule ends as well.
func (h *Host) wanted(name string) bool {
	if len(h.cfg.Cgroups) == 0 || h.containerID(name) != "" {
		return true
	}
	return slices.ContainsFunc(h.cfg.Cgroups, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Get is the text of all that was read. It waits for the first round where nobody
// reads yet.
func (h *Host) Get(ctx context.Context, _ string, _ ...string) (*fetch.Answer, error) {
	select {
	case <-h.first:
	default:
		if h.round.TryLock() { // nobody reads: without Run, as in a check
			h.round.Unlock()
			h.readAll(ctx, false)
		}
		select {
		case <-h.first:
		case <-ctx.Done():
			return nil, fmt.Errorf("the cgroups of this host were not read in time: %w", ctx.Err())
		}
	}
	var p *page
	select {
	case p = <-h.pages:
	default:
		p = new(page)
	}
	h.mu.Lock()
	p.begin(h, h.views, h.facts, h.failed)
	h.mu.Unlock()
	return &fetch.Answer{ReadCloser: p, Type: expo.Text.ContentType()}, nil
}

// What is told of reading.
var (
	ownContainers = expo.Gauge("watchpost_proxy_cadvisor_cgroups", "Cgroups that are read here, by the runtime that knows them; none is no container.", "runtime")
	ownFailures   = expo.Counter("watchpost_proxy_cadvisor_failures_total", "Times that a cgroup, a runtime or the machine could not be read.")
	ownSeconds    = expo.Gauge("watchpost_proxy_cadvisor_last_round_seconds", "How long the last round of all cgroups took; it is spread over most of the interval.")
	ownRuntime    = expo.Gauge("watchpost_proxy_cadvisor_runtime_up", "Whether a runtime answered when it was asked last; absent before.", "runtime")
)

// WriteOwn tells of reading.
func (h *Host) WriteOwn(w *expo.Writer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := make(map[string]uint64)
	for _, v := range h.views {
		count[cmp.Or(v.runtime, "none")]++
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		w.Uint(ownContainers, count[name], name)
	}
	w.Uint(ownFailures, h.failures)
	w.Sample(ownSeconds, h.took.Round(time.Microsecond).Seconds())
	for _, r := range h.runtimes {
		if up, asked := r.state(); asked {
			w.Uint(ownRuntime, up, r.String())
		}
	}
}

// quiet lowers what the library logs: what fails is told by fault, once.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name)} }

var _ io.ReadCloser = (*page)(nil)
