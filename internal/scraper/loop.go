package scraper

// The scrapes of one target. Between two of them a target has a timer and no goroutine,
// whose stack would be as large as the deepest scrape made it.

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"watchpost/internal/run"
)

// loop scrapes one target with one configuration.
type loop struct {
	pool   *pool
	conf   *config.ScrapeConfig
	target *scrape.Target
	hash   uint64 // of the target
	client *http.Client

	interval, timeout               time.Duration
	histograms, toNHCB, keepClassic bool
	maxSchema                       int32

	forced  atomic.Pointer[error] // by which all scrapes fail, without asking
	stopped atomic.Bool

	mu      sync.Mutex // held by a scrape under way
	timer   *time.Timer
	due     time.Time // of the next scrape
	aligned time.Time // of the last one, as it would be if no timer was ever late
	last    time.Time // the last one was begun, by this loop or the one that it follows
	cache   *cache
	req     *http.Request
	size    int // of the last answer, in bytes

	// How answers are read, chosen by the last content type.
	contentType string
	known       bool
	format      format
}

// Labels by which the targets of a job choose for themselves.
const (
	toNHCBLabel      = "__convert_classic_histograms_to_nhcb__"
	keepClassicLabel = "__always_scrape_classic_histograms__"
	histogramsLabel  = "__scrape_native_histograms__"
)

// newLoop makes the scrapes of a target, whose interval and timeout were checked when its
// labels were made.
func newLoop(p *pool, t *scrape.Target, hash uint64, c *cache) *loop {
	l := &loop{pool: p, conf: p.conf, target: t, hash: hash, cache: c, client: p.clientOf(t)}
	l.interval = durationLabel(t, model.ScrapeIntervalLabel, p.conf.ScrapeInterval)
	l.timeout = durationLabel(t, model.ScrapeTimeoutLabel, p.conf.ScrapeTimeout)
	l.histograms = boolLabel(t, histogramsLabel, p.conf.ScrapeNativeHistogramsEnabled())
	l.keepClassic = boolLabel(t, keepClassicLabel, p.conf.AlwaysScrapeClassicHistogramsEnabled())
	l.toNHCB = boolLabel(t, toNHCBLabel, p.conf.ConvertClassicHistogramsToNHCBEnabled())
	l.maxSchema = histogram.ExponentialSchemaMax
	if f := p.conf.NativeHistogramMinBucketFactor; f > 0 {
		l.maxSchema = schemaFor(f)
	}
	t.SetMetadataStore(&c.families)
	return l
}

func durationLabel(t *scrape.Target, name string, otherwise model.Duration) time.Duration {
	d, err := model.ParseDuration(t.GetValue(name))
	if err != nil {
		d = otherwise
	}
	return time.Duration(d)
}

func boolLabel(t *scrape.Target, name string, otherwise bool) bool {
	if v, err := strconv.ParseBool(t.GetValue(name)); err == nil {
		return v
	}
	return otherwise
}

// hashOf tells targets apart: by all their labels and their URL. It is Prometheus' own,
// so that its targets and ours are scraped at the same time within their interval.
func hashOf(t *scrape.Target, lset labels.Labels) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%016d", lset.Hash())
	io.WriteString(h, t.URL().String())
	return h.Sum64()
}

// offset is how long it is until the first scrape: each target has its own place in the
// interval.
func (l *loop) offset(now time.Time) time.Duration {
	place := (l.hash ^ l.pool.manager.seed.Load()) % uint64(l.interval)
	next := l.interval - time.Duration(now.UnixNano()%int64(l.interval)) + time.Duration(place)
	if next > l.interval {
		next -= l.interval
	}
	return next
}

func (l *loop) log() *slog.Logger { return l.pool.log.With("target", l.target.String()) }

func (l *loop) debug(text string, args ...any) {
	if l.pool.log.Enabled(l.pool.ctx, slog.LevelDebug) {
		l.log().Debug(text, args...)
	}
}

// force makes all scrapes fail with err, if it is not nil.
func (l *loop) force(err error) {
	if err == nil {
		l.forced.Store(nil)
		return
	}
	l.forced.Store(&err)
}

// follow goes on where a loop of the same target has ended, before start: with the
// scrape that was due then, though it may be late. A place in the interval found anew
// would skip that.
func (l *loop) follow(was *loop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = was.last
	if l.interval == was.interval {
		l.due, l.aligned = was.due, was.aligned
	}
}

// start begins to scrape.
func (l *loop) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped.Load() {
		return
	}
	now := time.Now()
	if l.due.IsZero() {
		l.due = now.Add(l.offset(now))
	}
	l.timer = time.AfterFunc(l.due.Sub(now), l.tick)
}

// tick scrapes, and sets the timer for the next time.
func (l *loop) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.stopped.Load() {
		now := time.Now()
		if l.aligned.IsZero() { // the first with this interval
			l.due, l.aligned, l.last = now, now.Round(0), time.Time{}
		}
		l.scrape(l.align(now.Round(0)))
		l.due = l.due.Add(l.interval)
		wait := time.Until(l.due)
		if wait > 0 {
			l.timer.Reset(wait)
			return
		}
		// It took so long that it is time again. What was missed besides is missed.
		l.due = l.due.Add(-wait / l.interval * l.interval)
	}
}

// align moves the time of a scrape to where it should be if it is late by little, since
// samples at equal distances take less space. now has no monotonic part.
func (l *loop) align(now time.Time) time.Time {
	if late := now.Sub(l.aligned); late >= l.interval {
		l.aligned = l.aligned.Add(late / l.interval * l.interval)
	}
	if now.Sub(l.aligned) <= min(l.interval/100, l.pool.manager.opts.Tolerance) {
		return l.aligned
	}
	return now
}

// halt makes no further scrape begin.
func (l *loop) halt() { l.stopped.Store(true) }

// wait waits for the scrape under way, after halt.
func (l *loop) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.req = nil
}

// scrape asks the target and appends what it says, and how it went.
func (l *loop) scrape(at time.Time) {
	begun, m := time.Now(), l.pool.metrics
	if !l.last.IsZero() {
		m.observeInterval(l.interval, begun.Sub(l.last))
	}
	l.last = begun
	app := l.pool.appender()
	var r result
	if forced := l.forced.Load(); forced != nil {
		r.err = *forced
		app = l.nothing(app, at)
	} else {
		app = l.take(app, at, &r)
	}
	if err := l.report(app, at, time.Since(begun), &r); err != nil {
		l.log().Warn("The report of a scrape could not be appended", "err", err)
		app.Rollback()
		return
	}
	err := app.Commit()
	if l.conf.ExtraScrapeMetricsEnabled() {
		m.duration.Observe(time.Since(begun).Seconds())
	}
	if err != nil {
		l.log().Error("A scrape could not be stored", "err", err)
	}
}

// nothing ends the series of the last scrape, and returns the appender to go on with.
func (l *loop) nothing(app storage.AppenderV2, at time.Time) storage.AppenderV2 {
	err := l.appendNothing(app, at.UnixMilli())
	if err == nil {
		return app
	}
	l.log().Warn("Series that ended could not be marked", "err", err)
	app.Rollback()
	return l.pool.appender()
}

// take asks the target and appends what it says. A scrape that fails is an empty one.
func (l *loop) take(app storage.AppenderV2, at time.Time, r *result) storage.AppenderV2 {
	ctx, cancel := context.WithTimeout(l.pool.ctx, l.timeout)
	resp, err := l.ask(ctx)
	if err != nil {
		cancel()
		l.failed(r, err)
		return l.nothing(app, at)
	}
	m := l.pool.manager
	w := m.workers.Get().(*worker)
	text, err := w.read(m.buffers.Get(l.size+1).([]byte), resp, int64(l.conf.BodySizeLimit))
	defer func() {
		w.release()
		m.workers.Put(w)
		m.buffers.Put(text[:0])
	}()
	io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	resp.Body.Close()
	cancel()
	if err != nil {
		if errors.Is(err, errBodySize) {
			l.pool.metrics.bodySize.Inc()
			r.bytes = -1
		}
		l.failed(r, err)
		return l.nothing(app, at)
	}
	if r.bytes = len(text); r.bytes > 0 { // an empty answer is an accident
		l.size = r.bytes
	}
	if r.counts, r.err = l.append(app, w, text, resp.Header.Get("Content-Type"), at); r.err != nil {
		l.debug("An answer could not be appended", "err", r.err)
		app.Rollback()
		return l.nothing(l.pool.appender(), at)
	}
	return app
}

func (l *loop) ask(ctx context.Context) (*http.Response, error) {
	req, err := l.request(ctx)
	if err != nil {
		return nil, err
	}
	return l.client.Do(req)
}

func (l *loop) failed(r *result, err error) {
	r.err = err
	l.debug("A scrape failed", "err", err)
	if f := l.pool.failures.Load(); f != nil {
		f.With("target", l.target.String()).Error(err.Error())
	}
}

// end marks all series of a target stale that has gone, once it is sure that it is not
// back: when it should have been scraped for the second time since. It returns then, or
// when the pool ends.
func (l *loop) end() {
	if l.last.IsZero() {
		return // there are none
	}
	ctx := l.pool.ctx
	if run.Sleep(ctx, time.Until(l.due)) != nil {
		return
	}
	at := time.Now()
	if run.Sleep(ctx, time.Until(l.due.Add(l.interval+l.interval/10))) != nil {
		return
	}
	// If the target was made anew and scraped, these marks are older, and not wanted.
	app := l.nothing(l.pool.appender(), at)
	if err := l.endReports(app, at.UnixMilli()); err != nil {
		l.log().Warn("The reports of a target that has gone could not be ended", "err", err)
		app.Rollback()
		return
	}
	if err := app.Commit(); err != nil {
		l.log().Warn("The series of a target that has gone could not be ended", "err", err)
	}
}
