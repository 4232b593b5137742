package scraper

// The targets of one job.

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
)

// pool scrapes the targets of one job.
type pool struct {
	manager  *Manager
	metrics  *metrics
	log      *slog.Logger
	failures atomic.Pointer[slog.Logger] // nil where nobody wants to know
	ctx      context.Context             // of all scrapes
	cancel   context.CancelFunc
	ending   sync.WaitGroup // targets that have gone

	mu      sync.Mutex // held while targets or configuration change
	client  *http.Client
	sockets map[string]*http.Client // by path, for targets behind unix sockets
	closed  bool

	// show is held briefly, to read and change what is below, which mu alone is enough to
	// read.
	show     sync.Mutex
	conf     *config.ScrapeConfig
	loops    map[uint64]*loop     // by the target's hash
	groups   []*targetgroup.Group // that were discovered last
	known    map[*targetgroup.Group]verdict
	judgedBy *config.ScrapeConfig // what known is by; nil where there is none, or no longer
	gone     int                  // targets that relabelling dropped
}

// verdict is what a configuration makes of a group of targets: those that it does not
// drop, in their order. A group that was discovered is not changed any more (another one
// takes its place), so its verdict stays as long as the configuration, and of ten thousand
// groups only those are looked at that are new. Targets that were dropped are kept in no
// other way: of a cluster's pods most jobs drop every one.
type verdict []spared

// spared is a target that was not dropped.
type spared struct {
	index  int    // in the group
	hash   uint64 // of the loop
	socket string // path of the unix socket, if it is behind one
	failed bool   // it could not be made: there is no loop
}

// failures is how many could not be made.
func (v verdict) failures() (n int) {
	for _, t := range v {
		if t.failed {
			n++
		}
	}
	return n
}

func (m *Manager) newPool(c *config.ScrapeConfig) (*pool, error) {
	if _, err := config.ToEscapingScheme(c.MetricNameEscapingScheme, c.MetricNameValidationScheme); err != nil {
		return nil, fmt.Errorf("job %q: %w", c.JobName, err)
	}
	client, err := m.newClient(c, "")
	if err != nil {
		return nil, err
	}
	p := &pool{manager: m, metrics: m.metrics, log: m.log.With("scrape_pool", c.JobName), conf: c, client: client, loops: make(map[uint64]*loop)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.metrics.targetLimit.WithLabelValues(c.JobName).Set(float64(c.TargetLimit))
	p.metrics.symbols.WithLabelValues(c.JobName).Set(0) // there is no such table
	return p, nil
}

// logFailures tells failures of scrapes to that logger, which may be nil.
func (p *pool) logFailures(to *slog.Logger) {
	if to != nil {
		to = to.With("job_name", p.conf.JobName)
	}
	p.failures.Store(to)
}

func (p *pool) appender() storage.AppenderV2 { return p.manager.store.AppenderV2(p.ctx) }

// clientOf is the client for a target. Connections are shared by host and port, whence
// each unix socket has one of its own.
func (p *pool) clientOf(t *scrape.Target) *http.Client {
	path := t.GetValue(scrape.UnixSocketLabel)
	if path == "" {
		return p.client
	}
	c, ok := p.sockets[path]
	if !ok {
		var err error
		if c, err = p.manager.newClient(p.conf, path); err != nil { // though the same settings made p.client
			err = fmt.Errorf("unix socket %s: %w", path, err)
			c = &http.Client{Transport: refuse{err}}
		}
		if p.sockets == nil {
			p.sockets = make(map[string]*http.Client)
		}
		p.sockets[path] = c
	}
	return c
}

// refuse fails all requests.
type refuse struct{ err error }

// RoundTrip implements http.RoundTripper.
func (r refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// sync scrapes the targets of these groups from now on, and no others. It returns when
// those that are gone are no longer being scraped.
func (p *pool) sync(groups []*targetgroup.Group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	begun, name := time.Now(), p.conf.JobName
	var (
		fresh   []*loop
		wanted  = make(map[uint64]bool, len(p.loops))
		sockets = make(map[string]bool)
		known   = make(map[*targetgroup.Group]verdict, len(groups))
		failed  int
		gone    int
		lb      = labels.NewBuilder(labels.EmptyLabels())
	)
	p.show.Lock()
	if p.judgedBy != p.conf {
		p.known = nil
	}
	for _, g := range groups {
		v, judged := p.known[g]
		if !judged || v.failures() > 0 { // what fails is told each time
			v = p.judge(lb, g, &fresh)
		}
		known[g] = v
		gone += len(g.Targets) - len(v)
		failed += v.failures()
		for _, t := range v {
			if t.failed {
				continue
			}
			// For the labels before relabelling, where several groups have one target.
			p.loops[t.hash].target.SetScrapeConfig(p.conf, g.Targets[t.index], g.Labels)
			wanted[t.hash] = true
			if t.socket != "" {
				sockets[t.socket] = true
			}
		}
	}
	p.groups, p.known, p.judgedBy, p.gone = groups, known, p.conf, gone
	var old []*loop
	for hash, l := range p.loops {
		if !wanted[hash] {
			delete(p.loops, hash)
			old = append(old, l)
		}
	}
	forced := p.overLimit()
	for _, l := range p.loops {
		l.force(forced)
	}
	p.show.Unlock()

	p.metrics.syncFailed.WithLabelValues(name).Add(float64(failed))
	p.metrics.targets.WithLabelValues(name).Set(float64(len(wanted)))
	for path, c := range p.sockets {
		if !sockets[path] {
			c.CloseIdleConnections()
			delete(p.sockets, path)
		}
	}
	for _, l := range fresh {
		l.start()
	}
	stop(old)
	for _, l := range old {
		p.ending.Go(l.end)
	}
	p.metrics.observeSync(name, time.Since(begun))
}

// judge relabels the targets of a group. Those that are not scraped yet get a loop, which
// is added to fresh and not started.
func (p *pool) judge(lb *labels.Builder, g *targetgroup.Group, fresh *[]*loop) (v verdict) {
	for i, own := range g.Targets {
		lset, err := scrape.PopulateLabels(lb, p.conf, own, g.Labels)
		if err != nil {
			v = append(v, spared{index: i, failed: true})
			p.log.Error("A target could not be made", "err", fmt.Errorf("instance %d in group %s: %w", i, g, err))
			continue
		}
		if lset.IsEmpty() {
			continue
		}
		t := scrape.NewTarget(lset, p.conf, own, g.Labels)
		hash := hashOf(t, lset)
		v = append(v, spared{index: i, hash: hash, socket: lset.Get(scrape.UnixSocketLabel)})
		if p.loops[hash] == nil {
			l := newLoop(p, t, hash, newCache(p.manager.hash))
			p.loops[hash] = l
			*fresh = append(*fresh, l)
		}
	}
	return v
}

// stop ends scraping, and waits for what is under way.
func stop(all []*loop) {
	for _, l := range all {
		l.halt()
	}
	for _, l := range all {
		l.wait()
	}
}

// overLimit is the error of all targets where there are too many of them.
func (p *pool) overLimit() error {
	n, most := len(p.loops), int(p.conf.TargetLimit)
	if most == 0 || n <= most {
		return nil
	}
	p.metrics.targetLimitExceeded.Inc()
	return fmt.Errorf("target_limit exceeded (number of targets: %d, limit: %d)", n, most)
}

// reload takes another configuration over. It returns when no target is being scraped
// with the old one.
func (p *pool) reload(c *config.ScrapeConfig) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.metrics.reloads.Inc()
	begun := time.Now()
	client, err := p.manager.newClient(c, "")
	if err == nil {
		_, err = config.ToEscapingScheme(c.MetricNameEscapingScheme, c.MetricNameValidationScheme)
	}
	if err != nil {
		p.metrics.reloadsFailed.Inc()
		return err
	}
	keep := sameSamples(p.conf, c)
	old := append(clients(nil, p.sockets), p.client)
	p.client, p.sockets = client, nil
	p.metrics.targetLimit.WithLabelValues(c.JobName).Set(float64(c.TargetLimit))

	p.show.Lock()
	p.conf = c
	forced := p.overLimit()
	var work sync.WaitGroup
	for hash, was := range p.loops {
		known := newCache(p.manager.hash)
		if keep {
			known = was.cache
		}
		l := newLoop(p, was.target, hash, known)
		l.force(forced)
		p.loops[hash] = l
		was.halt()
		work.Go(func() { // a target that hangs does not hold up the others
			was.wait()
			if !keep {
				p.ending.Go(was.end)
			}
			l.follow(was)
			l.start()
		})
	}
	p.show.Unlock()
	work.Wait()
	for _, c := range old {
		c.CloseIdleConnections()
	}
	p.metrics.observeReload(time.Duration(c.ScrapeInterval), time.Since(begun))
	return nil
}

func clients(all []*http.Client, of map[string]*http.Client) []*http.Client {
	for _, c := range of {
		all = append(all, c)
	}
	return all
}

// sameSamples tells whether two configurations make the same series of the same answer.
func sameSamples(a, b *config.ScrapeConfig) bool {
	apart := func(c *config.ScrapeConfig) config.ScrapeConfig {
		z := *c
		z.ScrapeInterval, z.ScrapeTimeout, z.SampleLimit, z.HTTPClientConfig = 0, 0, 0, commonconfig.HTTPClientConfig{}
		return z
	}
	x, y := apart(a), apart(b)
	return reflect.DeepEqual(&x, &y)
}

// close ends all scrapes and waits for those under way. What they know is left as it is:
// the process ends, or nobody cares for the job.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.show.Lock()
	var all []*loop
	for _, l := range p.loops {
		all = append(all, l)
	}
	clear(p.loops)
	p.show.Unlock()
	stop(all)
	p.cancel()
	p.ending.Wait()
	for _, c := range append(clients(nil, p.sockets), p.client) {
		c.CloseIdleConnections()
	}
	p.metrics.forget(p.conf.JobName)
}

func (p *pool) config() *config.ScrapeConfig {
	p.show.Lock()
	defer p.show.Unlock()
	return p.conf
}

func (p *pool) active() []*scrape.Target {
	p.show.Lock()
	defer p.show.Unlock()
	all := make([]*scrape.Target, 0, len(p.loops))
	for _, l := range p.loops {
		all = append(all, l.target)
	}
	return all
}

// dropped calls f with the targets that relabelling dropped, as many as the configuration
// says, until it returns false. They are made for it. The result is false where f's was.
func (p *pool) dropped(f func(*scrape.Target) bool) bool {
	p.show.Lock()
	groups, known, conf, left := p.groups, p.known, p.judgedBy, p.gone
	p.show.Unlock()
	if conf == nil {
		return true
	}
	if most := conf.KeepDroppedTargets; most > 0 {
		left = min(left, int(most))
	}
	for _, g := range groups {
		v := known[g]
		for i, own := range g.Targets {
			if len(v) > 0 && v[0].index == i {
				v = v[1:]
				continue
			}
			if left--; left < 0 {
				return true
			}
			if !f(scrape.NewTarget(labels.EmptyLabels(), conf, own, g.Labels)) {
				return false
			}
		}
	}
	return true
}

func (p *pool) droppedTargets() (all []*scrape.Target) {
	p.dropped(func(t *scrape.Target) bool {
		all = append(all, t)
		return true
	})
	return all
}

func (p *pool) droppedCount() int {
	p.show.Lock()
	defer p.show.Unlock()
	return p.gone
}
