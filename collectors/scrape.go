package collectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"watchpost/internal/expo"
)

var (
	scrapeDuration = expo.Gauge("node_scrape_collector_duration_seconds", "Time that one collector took in this scrape, up to its deadline.", "collector")
	scrapeSuccess  = expo.Gauge("node_scrape_collector_success", "Whether one collector told all that it knows: 1, or 0 where it failed or was late.", "collector")
)

// impatience is how long one collector may hold up those after it before a
// second worker goes on with them.
const impatience = 50 * time.Millisecond

// passGap is the least time from one pass's beginning to the next one's. Fast
// collectors are done before another request has been read from the network, so
// without it many scrapers would each have a pass of their own. A lone scraper
// never waits; many make at most 200 passes a second.
const passGap = 5 * time.Millisecond

// unit is a collector at work: what the Set knows about it between scrapes.
type unit struct {
	name      string
	collector Collector
	turn      chan struct{} // holds one token while Collect runs
	stuck     atomic.Bool   // that Collect has outlasted its scrape
	failing   atomic.Value  // the last error's text, so that it is logged once

	spare atomic.Pointer[expo.Writer] // of the last pass: its size fits what the unit writes
}

// take waits for the unit's turn: another scrape, of other collectors or in
// another format, may be running it. It fails at once when that one is stuck.
func (u *unit) take(ctx context.Context) bool {
	select {
	case u.turn <- struct{}{}:
		return true
	default:
	}
	if u.stuck.Load() {
		return false
	}
	select {
	case u.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (u *unit) giveBack() {
	u.stuck.Store(false)
	<-u.turn
}

// Set runs collectors together. Requests that ask the same while a scrape is
// running share its result.
type Set struct {
	units   []*unit
	log     *slog.Logger
	now     func() time.Time
	labels  expo.Labels
	mu      sync.Mutex
	running map[key]*pass               // by what they were asked
	spare   atomic.Pointer[expo.Writer] // of the last pass, for what it says of itself
	begun   atomic.Uint64               // passes
	gap     time.Duration               // passGap
	last    time.Time                   // when the last pass begins or began

	reserved [2]map[string]bool // by expo.Format: names that others write; see Reserve
}

// Collections is how many times the collectors were run: fewer than the requests
// where those shared a result.
func (s *Set) Collections() uint64 { return s.begun.Load() }

// key is what two scrapes have in common when they can share a result.
type key struct {
	format expo.Format
	filter string // the units' places, a byte each
}

// NewSet makes the named collectors. An error tells which cannot be made and why.
func NewSet(cfg Config, names []string, labels expo.Labels) (*Set, error) {
	units, err := build(cfg, names)
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Set{units: units, log: log, now: time.Now, labels: labels, running: make(map[key]*pass), gap: passGap}, nil
}

// Names are the collectors of the set, sorted.
func (s *Set) Names() []string {
	var names []string
	for _, u := range s.units {
		names = append(names, u.name)
	}
	return names
}

// Request asks for one scrape.
type Request struct {
	Format   expo.Format
	Only     []string      // these collectors; all where it is empty
	Except   []string      // all but these
	Deadline time.Duration // answer with what there is after this time; zero is 10 s
}

// RequestError is a Request that contradicts itself or the Set.
type RequestError struct{ Problem string }

func (e *RequestError) Error() string { return e.Problem }

// pick are the units that a request asks for.
func (s *Set) pick(r Request) ([]*unit, string, error) {
	if len(r.Only) > 0 && len(r.Except) > 0 {
		return nil, "", &RequestError{"collect[] and exclude[] cannot be combined"}
	}
	for _, n := range r.Only {
		if slices.ContainsFunc(s.units, func(u *unit) bool { return u.name == n }) {
			continue
		}
		if slices.ContainsFunc(table, func(row row) bool { return row.name == n }) {
			return nil, "", &RequestError{"disabled collector: " + n}
		}
		return nil, "", &RequestError{"missing collector: " + n}
	}
	if len(r.Only) == 0 && len(r.Except) == 0 {
		return s.units, "", nil
	}
	var units []*unit
	places := []byte{'='} // a filter, though it may leave nothing
	for i, u := range s.units {
		if (len(r.Only) == 0 || slices.Contains(r.Only, u.name)) && !slices.Contains(r.Except, u.name) {
			units = append(units, u)
			places = append(places, byte(i))
		}
	}
	return units, string(places), nil
}

// Scrape runs the collectors asked for and returns what they wrote. It returns
// at the deadline at the latest, then without those that are not back yet: their
// success is 0, and they are left alone until they return. The caller releases
// the result. The only errors are a RequestError and the end of ctx.
func (s *Set) Scrape(ctx context.Context, r Request) (*Result, error) {
	units, filter, err := s.pick(r)
	if err != nil {
		return nil, err
	}
	if r.Deadline <= 0 {
		r.Deadline = 10 * time.Second
	}
	k := key{r.Format, filter}

	s.mu.Lock()
	p := s.running[k]
	if p == nil {
		p = s.begin(k, units, r.Deadline)
	}
	p.waiting++
	s.mu.Unlock()

	late := time.NewTimer(r.Deadline)
	defer late.Stop()
	patience := time.NewTimer(impatience)
	defer patience.Stop()
	for {
		select {
		case <-p.done:
		case <-late.C: // what is there now is the answer, for all who wait
			s.finish(p)
		case <-patience.C:
			p.relieve(s)
			patience.Reset(impatience)
			continue
		case <-ctx.Done():
			p.release(s)
			return nil, ctx.Err()
		}
		return &Result{pass: p, set: s}, nil
	}
}

// pass is one run of some units.
type pass struct {
	key    key
	units  []*unit
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the result is made
	next   atomic.Int64  // place of the next unit to run
	undone atomic.Int64  // units not back yet
	helper atomic.Int64  // place up to which a worker was replaced

	reserved map[string]bool // names of families that others write; only read

	mu       sync.Mutex
	finished bool
	outcome  []outcome // by unit
	self     *expo.Writer

	pageMu sync.Mutex
	pages  map[any][]byte // made of the result, for all who share it

	waiting int // under Set.mu: requests that have not released it
}

// outcome is what became of one unit in a pass.
type outcome struct {
	w     *expo.Writer // nil while it is not back
	begun time.Time
	took  time.Duration
	ok    bool
}

// begin starts a pass, under s.mu. Its collectors are told when it will end.
func (s *Set) begin(k key, units []*unit, deadline time.Duration) *pass {
	p := &pass{key: k, units: units, done: make(chan struct{}), outcome: make([]outcome, len(units)), reserved: s.reserved[k.format]}
	p.ctx, p.cancel = context.WithTimeout(context.Background(), deadline)
	p.undone.Store(int64(len(units)))
	s.running[k] = p
	s.begun.Add(1)
	if len(units) == 0 {
		go s.finish(p)
		return p
	}
	now := s.now()
	wait := max(s.last.Add(s.gap).Sub(now), 0)
	s.last = now.Add(wait)
	if wait > 0 {
		time.AfterFunc(wait, func() { p.work(s) })
	} else {
		go p.work(s)
	}
	return p
}

// work runs units until none is left. One worker does them one after another,
// which costs no switching; relieve adds another when one of them is slow.
func (p *pass) work(s *Set) {
	for {
		i := int(p.next.Add(1)) - 1
		if i >= len(p.units) {
			return
		}
		p.runUnit(s, i)
		if p.undone.Add(-1) == 0 {
			s.finish(p)
		}
	}
}

// relieve starts another worker if no unit was begun since it was last asked,
// once the first is at work.
func (p *pass) relieve(s *Set) {
	at := p.next.Load()
	if p.helper.Swap(at) == at && 0 < at && at < int64(len(p.units)) {
		go p.work(s)
	}
}

// runUnit runs one unit and keeps what it wrote, unless the pass ended meanwhile.
func (p *pass) runUnit(s *Set, i int) {
	u := p.units[i]
	if !u.take(p.ctx) {
		return
	}
	begun := s.now()
	p.mu.Lock()
	p.outcome[i].begun = begun
	over := p.finished
	p.mu.Unlock()
	if over {
		u.giveBack()
		return
	}
	w := s.writer(&u.spare, p.key.format)
	err := collect(p.ctx, u, w)
	took := s.now().Sub(begun)
	u.giveBack()
	s.say(u, err)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		u.spare.Store(w)
		return
	}
	p.outcome[i] = outcome{w: w, begun: begun, took: took, ok: err == nil}
}

// collect calls the collector and turns a panic into an error: a fault in one
// unit costs that unit.
func collect(ctx context.Context, u *unit, w *expo.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("BUG: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return u.collector.Collect(ctx, w)
}

// say logs a failure when it is new and its end, not each time.
func (s *Set) say(u *unit, err error) {
	text := ""
	switch {
	case err == nil:
	case errors.Is(err, ErrNoData) && !s.log.Enabled(context.Background(), slog.LevelDebug):
		text = ErrNoData.Error() // of which nothing more will be said
	default:
		text = err.Error()
	}
	if old, _ := u.failing.Swap(text).(string); old == text {
		return
	}
	switch {
	case err == nil:
		s.log.Info("Collector works again", "collector", u.name)
	case errors.Is(err, ErrNoData):
		s.log.Debug("Collector found nothing to read", "collector", u.name, "err", err)
	default:
		s.log.Warn("Collector failed", "collector", u.name, "err", err)
	}
}

// finish makes the result out of what is there, once.
func (s *Set) finish(p *pass) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.finished = true
	p.cancel()

	s.mu.Lock()
	if s.running[p.key] == p {
		delete(s.running, p.key) // who comes now wants fresher numbers
	}
	s.mu.Unlock()

	p.settleForeign(s)
	now := s.now()
	p.self = s.writer(&s.spare, p.key.format)
	for i, u := range p.units {
		took := p.outcome[i].took
		if p.outcome[i].w == nil && !p.outcome[i].begun.IsZero() {
			took = now.Sub(p.outcome[i].begun)
			u.stuck.Store(true)
			s.say(u, fmt.Errorf("not back after %s, left behind", took.Round(time.Millisecond)))
		}
		p.self.Sample(scrapeDuration, took.Seconds(), u.name)
	}
	for i, u := range p.units {
		ok := 0.0
		if p.outcome[i].ok {
			ok = 1
		}
		p.self.Sample(scrapeSuccess, ok, u.name)
	}
	close(p.done)
}

// writer takes the spare Writer, or a new one where another pass has it.
func (s *Set) writer(spare *atomic.Pointer[expo.Writer], f expo.Format) *expo.Writer {
	w := spare.Swap(nil)
	if w == nil {
		w = &expo.Writer{}
		w.SetConstLabels(s.labels)
	}
	w.Reset(f)
	return w
}

// release gives the buffers back when the last request has done with them.
func (p *pass) release(s *Set) {
	s.mu.Lock()
	p.waiting--
	last := p.waiting == 0
	if last && s.running[p.key] == p {
		delete(s.running, p.key) // nobody waits for it any more
	}
	s.mu.Unlock()
	if !last {
		return
	}
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.finished {
		return
	}
	for i := range p.outcome {
		if w := p.outcome[i].w; w != nil {
			p.units[i].spare.Store(w)
			p.outcome[i].w = nil
		}
	}
	s.spare.Store(p.self)
}

// Result is what one scrape said. It may be shared: it is only read.
type Result struct {
	pass *pass
	set  *Set
	once sync.Once
}

// Segments yields the text, in the format that was asked for, in parts that
// each hold whole families. The parts are valid until Release.
func (r *Result) Segments(yield func([]byte) bool) {
	for i := range r.pass.outcome {
		if w := r.pass.outcome[i].w; w != nil && len(w.Bytes()) > 0 && !yield(w.Bytes()) {
			return
		}
	}
	yield(r.pass.self.Bytes())
}

// Page is what make returns, made once for each key however many requests share
// the result, so that what is made of the text (a compressed page) is shared too.
// An error is not kept. The page outlives Release.
func (r *Result) Page(key any, make func() ([]byte, error)) ([]byte, error) {
	p := r.pass
	p.pageMu.Lock()
	defer p.pageMu.Unlock()
	if page, ok := p.pages[key]; ok {
		return page, nil
	}
	page, err := make()
	if err != nil {
		return nil, err
	}
	if p.pages == nil {
		p.pages = map[any][]byte{}
	}
	p.pages[key] = page
	return page, nil
}

// Release gives the memory back. The Result is of no use afterwards.
func (r *Result) Release() { r.once.Do(func() { r.pass.release(r.set) }) }
