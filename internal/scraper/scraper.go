// Package scraper scrapes targets into a storage, as Prometheus' own scrape package does,
// which it takes the place of in the collector: the same configuration, the same samples
// and stale markers, the same errors and limits, the same metrics of its own. It differs in
// what it keeps between two scrapes of a target: 17 bytes a series, and no goroutine,
// buffer or inflater. Targets, labels, formats and the storage's interface are the
// library's.
//
// docs/design/engine.md has the reasons and the numbers.
package scraper

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/logging"
	"github.com/prometheus/prometheus/util/osutil"
	bytepool "github.com/prometheus/prometheus/util/pool"
)

// Options are those of a Manager.
type Options struct {
	// Dial makes the connections to targets.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Every is how often new targets are taken over at most; the first ones are at once.
	Every time.Duration
	// Tolerance is how late a scrape may be to count as one in time; a hundredth of the
	// interval at most.
	Tolerance time.Duration
	// Exemplars says that the storage keeps them.
	Exemplars bool
}

// Manager scrapes the targets of all jobs. Its methods may be used from any goroutine.
type Manager struct {
	opts    Options
	log     *slog.Logger
	store   storage.AppendableV2
	metrics *metrics

	hash    maphash.Seed  // of series
	seed    atomic.Uint64 // of the places of targets in their interval
	workers sync.Pool     // *worker
	buffers *bytepool.Pool

	stopped chan struct{}
	changed chan struct{} // has one where sets are not taken over yet

	// mu is held while targets or a configuration are taken over, which may last as long
	// as a scrape.
	mu       sync.Mutex
	jobs     map[string]*config.ScrapeConfig
	sets     map[string][]*targetgroup.Group
	failures map[string]*logging.JSONFileLogger // by file

	// show is held briefly, to read and change what is below, which mu alone is enough to
	// read: the metrics of this very process are a target, too, and look at it.
	show  sync.Mutex
	pools map[string]*pool
}

// NewManager makes a Manager that appends to store and registers its metrics.
func NewManager(o Options, log *slog.Logger, store storage.AppendableV2, reg prometheus.Registerer) (*Manager, error) {
	m := &Manager{
		opts: o, log: log, store: store,
		hash:    maphash.MakeSeed(),
		workers: sync.Pool{New: func() any { return newWorker() }},
		// From 1 kB to 100 MB, as Prometheus: a buffer that is taken is at most three times as large as the last answer.
		buffers: bytepool.New(1e3, 100e6, 3, func(n int) any { return make([]byte, 0, n) }),
		stopped: make(chan struct{}),
		changed: make(chan struct{}, 1),
		jobs:    make(map[string]*config.ScrapeConfig),
		pools:   make(map[string]*pool),
	}
	var err error
	if m.metrics, err = newMetrics(reg, m); err != nil {
		return nil, fmt.Errorf("metrics of scrapes: %w", err)
	}
	return m, nil
}

// Run takes over what is discovered until Stop is called or the channel is closed.
func (m *Manager) Run(sets <-chan map[string][]*targetgroup.Group) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(m.follow)
	for {
		select {
		case <-m.stopped:
			return
		case s, ok := <-sets:
			if !ok {
				return
			}
			m.mu.Lock()
			m.sets = s
			m.mu.Unlock()
			select {
			case m.changed <- struct{}{}:
			default:
			}
		}
	}
}

// follow takes targets over as they change, which may last as long as a scrape.
func (m *Manager) follow() {
	for {
		select {
		case <-m.stopped:
			return
		case <-m.changed:
			m.sync()
		}
		select {
		case <-m.stopped:
			return
		case <-time.After(m.opts.Every):
		}
	}
}

// sync takes the targets over that were discovered last.
func (m *Manager) sync() {
	var work sync.WaitGroup
	defer work.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.stopped:
		return
	default:
	}
	for job, groups := range m.sets {
		p, ok := m.pools[job]
		if !ok {
			c, ok := m.jobs[job]
			if !ok {
				m.log.Debug("Targets were discovered for a job that a reload has removed since", "job", job)
				continue
			}
			m.metrics.pools.Inc()
			var err error
			if p, err = m.newPool(c); err != nil {
				m.metrics.poolsFailed.Inc()
				m.log.Error("A job cannot be scraped", "err", err, "scrape_pool", job)
				continue
			}
			m.show.Lock()
			m.pools[job] = p
			m.show.Unlock()
			p.logFailures(m.failuresOf(c))
		}
		work.Go(func() { p.sync(groups) })
	}
}

// failuresOf is the log of failed scrapes of a job, or nil.
func (m *Manager) failuresOf(c *config.ScrapeConfig) *slog.Logger {
	if f := m.failures[c.ScrapeFailureLogFile]; f != nil {
		return slog.New(f)
	}
	return nil
}

// Stop ends all scrapes and waits for those under way.
func (m *Manager) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.stopped)
	var work sync.WaitGroup
	for _, p := range m.pools {
		work.Go(p.close)
	}
	work.Wait()
	closeAll(m.failures)
}

// ApplyConfig takes a configuration over. Jobs that it does not change go on.
func (m *Manager) ApplyConfig(c *config.Config) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	jobs, err := c.GetScrapeConfigs()
	if err != nil {
		return err
	}
	// The files are opened anew each time, so that they can be moved away.
	failures := make(map[string]*logging.JSONFileLogger)
	for _, j := range jobs {
		file := j.ScrapeFailureLogFile
		if _, open := failures[file]; open || file == "" {
			continue
		}
		if failures[file], err = logging.NewJSONFileLogger(file); err != nil {
			delete(failures, file)
			closeAll(failures)
			return err
		}
	}
	if err := m.place(c.GlobalConfig.ExternalLabels); err != nil {
		closeAll(failures)
		return err
	}
	old := m.failures
	defer func() { closeAll(old) }()
	m.failures = failures
	m.jobs = make(map[string]*config.ScrapeConfig, len(jobs))
	for _, j := range jobs {
		m.jobs[j.JobName] = j
	}

	var (
		work  sync.WaitGroup
		errs  = make(chan error, len(m.pools))
		place = make(chan struct{}, runtime.GOMAXPROCS(0))
	)
	for job, p := range m.pools {
		c, ok := m.jobs[job]
		if !ok {
			m.show.Lock()
			delete(m.pools, job)
			m.show.Unlock()
		}
		place <- struct{}{}
		work.Go(func() {
			defer func() { <-place }()
			if !ok {
				p.close()
				return
			}
			p.logFailures(m.failuresOf(c))
			if reflect.DeepEqual(p.conf, c) { // which nobody else changes meanwhile
				return
			}
			if err := p.reload(c); err != nil {
				m.log.Error("The new configuration of a job was not taken over", "err", err, "scrape_pool", job)
				errs <- fmt.Errorf("job %q: %w", job, err)
			}
		})
	}
	work.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

func closeAll(logs map[string]*logging.JSONFileLogger) {
	for _, l := range logs {
		l.Close()
	}
}

// place sets the places of targets in their interval: others for each host, and for each
// of several collectors on one, as far as their external labels differ.
func (m *Manager) place(external labels.Labels) error {
	name, err := osutil.GetFQDN()
	if err != nil {
		return fmt.Errorf("name of this host: %w", err)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s%s", name, external.String())
	m.seed.Store(h.Sum64())
	return nil
}

// TargetsActive are the targets that are scraped, by job.
func (m *Manager) TargetsActive() map[string][]*scrape.Target { return byJob(m, (*pool).active) }

// TargetsDropped are those that relabelling dropped, as many as the configuration says.
func (m *Manager) TargetsDropped() map[string][]*scrape.Target {
	return byJob(m, (*pool).droppedTargets)
}

// EachDropped are the same, one at a time, with their jobs: there may be a million, which
// are not kept and made for whoever asks.
func (m *Manager) EachDropped(yield func(job string, t *scrape.Target) bool) {
	m.show.Lock()
	pools := maps.Clone(m.pools)
	m.show.Unlock()
	for job, p := range pools {
		if !p.dropped(func(t *scrape.Target) bool { return yield(job, t) }) {
			return
		}
	}
}

// TargetsDroppedCounts are the numbers of all that relabelling dropped.
func (m *Manager) TargetsDroppedCounts() map[string]int { return byJob(m, (*pool).droppedCount) }

// ScrapePools are the names of the jobs.
func (m *Manager) ScrapePools() []string {
	m.show.Lock()
	defer m.show.Unlock()
	names := make([]string, 0, len(m.pools))
	for job := range m.pools {
		names = append(names, job)
	}
	return names
}

// ScrapePoolConfig is the configuration of a job.
func (m *Manager) ScrapePoolConfig(job string) (*config.ScrapeConfig, error) {
	m.show.Lock()
	defer m.show.Unlock()
	p, ok := m.pools[job]
	if !ok {
		return nil, fmt.Errorf("scrape pool %q not found", job)
	}
	return p.config(), nil
}

func byJob[V any](m *Manager, of func(*pool) V) map[string]V {
	m.show.Lock()
	defer m.show.Unlock()
	all := make(map[string]V, len(m.pools))
	for job, p := range m.pools {
		all[job] = of(p)
	}
	return all
}
