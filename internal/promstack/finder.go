package promstack

// What the discoveries of a configuration find, job by job. Prometheus' own manager
// (discovery.Manager) looks ten times a second whether there is something to hand on, for
// scrapes and for Alertmanagers each, which is a third of what a collector of one node
// costs. This one sleeps until something is found. Its metrics are the library's.

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// firstPause is how long the first that is found waits for more, as of other jobs.
const firstPause = 100 * time.Millisecond

// finder runs discoveries. Those of equal configuration are one, for all their jobs.
type finder struct {
	ctx       context.Context
	log       *slog.Logger
	metrics   *discovery.Metrics
	library   *discovery.SDMetrics
	mostPause time.Duration // between two updates, while there is always something new

	out  chan map[string][]*targetgroup.Group
	wake chan struct{} // holds one: something is new

	mu      sync.Mutex
	sources []*source
	jobs    map[string][]*source
}

// source is a discovery that runs.
type source struct {
	config discovery.Config
	groups map[string]*targetgroup.Group // that have targets, by their source; the finder's lock
	cancel context.CancelFunc
	ended  chan struct{} // closed when it changes nothing any more
}

// newFinder makes one; its metrics are told apart by name. Its work ends with ctx.
func newFinder(ctx context.Context, name string, log *slog.Logger, reg prometheus.Registerer, library *discovery.SDMetrics, mostPause time.Duration) (*finder, error) {
	metrics, err := discovery.NewManagerMetrics(reg, name)
	if err != nil {
		return nil, err
	}
	return &finder{
		ctx: ctx, log: log, metrics: metrics, library: library, mostPause: mostPause,
		out: make(chan map[string][]*targetgroup.Group), wake: make(chan struct{}, 1), jobs: map[string][]*source{},
	}, nil
}

// SyncCh has all that is found, of every job, each time something changed; it is closed
// at the end.
func (f *finder) SyncCh() <-chan map[string][]*targetgroup.Group { return f.out }

// ApplyConfig runs the discoveries of these jobs; those that ran before go on, and keep
// what they have found.
func (f *finder) ApplyConfig(jobs map[string]discovery.Configs) error {
	f.mu.Lock()
	before, old := f.jobs, f.sources
	f.jobs, f.sources = make(map[string][]*source, len(jobs)), nil
	failed := 0
	for job, configs := range jobs {
		f.jobs[job] = nil // told of, though nothing may be found
		for _, c := range configs {
			s, err := f.source(job, c, old)
			if err != nil {
				f.log.Error("Cannot create service discovery", "err", err, "type", c.Name(), "config", job)
				failed++
				continue
			}
			if !slices.Contains(f.jobs[job], s) {
				f.jobs[job] = append(f.jobs[job], s)
			}
		}
	}
	f.metrics.FailedConfigs.Set(float64(failed))
	for job, sources := range before {
		if _, stays := f.jobs[job]; !stays {
			f.metrics.DiscoveredTargets.DeleteLabelValues(job)
			f.metrics.LastUpdated.DeleteLabelValues(job)
		}
		for _, s := range sources {
			if !slices.Contains(f.jobs[job], s) {
				f.library.RefreshManager.DeleteLabelValues(s.config.Name(), job)
			}
		}
	}
	var gone []*source
	for _, s := range old {
		if !slices.Contains(f.sources, s) {
			s.cancel()
			gone = append(gone, s)
		}
	}
	f.mu.Unlock()
	for _, s := range gone {
		<-s.ended
	}
	if len(before) > 0 || len(jobs) > 0 {
		f.tell() // those who listen want the whole after a reload
	}
	return nil
}

// source is the one of this configuration: that of another job, or from before, or a new
// one, which is started. The finder is locked.
func (f *finder) source(job string, c discovery.Config, old []*source) (*source, error) {
	same := func(s *source) bool { return reflect.DeepEqual(c, s.config) }
	if i := slices.IndexFunc(f.sources, same); i >= 0 {
		return f.sources[i], nil
	}
	if i := slices.IndexFunc(old, same); i >= 0 {
		f.sources = append(f.sources, old[i])
		return old[i], nil
	}
	d, err := c.NewDiscoverer(discovery.DiscovererOptions{
		Logger: f.log.With("discovery", c.Name(), "config", job), Metrics: f.library.MechanismMetrics[c.Name()], SetName: job,
	})
	if err != nil {
		return nil, err
	}
	s := &source{config: c, groups: map[string]*targetgroup.Group{}, ended: make(chan struct{})}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(f.ctx)
	found := make(chan []*targetgroup.Group)
	go d.Run(ctx, found)
	go f.listen(ctx, s, found)
	f.sources = append(f.sources, s)
	return s, nil
}

// listen takes over what a source finds, until it is cancelled. One that has nothing more
// to say closes found; what it has said counts on.
func (f *finder) listen(ctx context.Context, s *source, found <-chan []*targetgroup.Group) {
	defer close(s.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case groups, more := <-found:
			if !more {
				<-ctx.Done()
				return
			}
			f.metrics.ReceivedUpdates.Inc()
			f.mu.Lock()
			for _, g := range groups {
				switch {
				case g == nil: // some send these
				case len(g.Targets) == 0:
					delete(s.groups, g.Source)
				default:
					s.groups[g.Source] = g
				}
			}
			f.mu.Unlock()
			f.tell()
		}
	}
}

// tell wakes Run.
func (f *finder) tell() {
	select {
	case f.wake <- struct{}{}:
	default: // it is awake, and will look
	}
}

// Run hands on what is found, until the context ends.
func (f *finder) Run() error {
	defer close(f.out)
	pause, last := firstPause, time.Time{}
	for {
		select {
		case <-f.ctx.Done():
			return f.ctx.Err()
		case <-f.wake:
		}
		// What changes all the time is handed on ever more rarely.
		if pause = min(pause*3/2, f.mostPause); time.Since(last) > f.mostPause {
			pause = min(firstPause, f.mostPause)
		}
		select {
		case <-f.ctx.Done():
			return f.ctx.Err()
		case <-time.After(pause):
		}
		if !f.send() {
			return f.ctx.Err()
		}
		last = time.Now()
	}
}

// send waits until somebody takes all, with what is found meanwhile; false is the end.
func (f *finder) send() bool {
	for waited := false; ; waited = true {
		select {
		case <-f.wake: // this is what is sent now
		default:
		}
		all := f.all()
		select {
		case f.out <- all:
			f.metrics.SentUpdates.Inc()
			return true
		default:
		}
		if !waited {
			f.metrics.DelayedUpdates.Inc()
		}
		select {
		case f.out <- all:
			f.metrics.SentUpdates.Inc()
			return true
		case <-f.wake:
		case <-f.ctx.Done():
			return false
		}
	}
}

// all is what is found for each job; one for which nothing is has an empty list, so that
// what it had is dropped.
func (f *finder) all() map[string][]*targetgroup.Group {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string][]*targetgroup.Group, len(f.jobs))
	for job, sources := range f.jobs {
		groups, targets := []*targetgroup.Group{}, 0
		for _, s := range sources {
			for g := range maps.Values(s.groups) {
				groups, targets = append(groups, g), targets+len(g.Targets)
			}
		}
		all[job] = groups
		f.metrics.DiscoveredTargets.WithLabelValues(job).Set(float64(targets))
		f.metrics.LastUpdated.WithLabelValues(job).SetToCurrentTime()
	}
	return all
}
