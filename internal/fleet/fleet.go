// Package fleet answers the questions of the collector's page about nodes, pods
// and applications from the metrics that are stored: those of node-agent (node_*),
// state-agent (kube_*) and cadvisor-proxy (container_*), under the names that
// node_exporter, kube-state-metrics and cAdvisor gave them. It reads through one
// small interface, changes nothing, and sorts and cuts its lists here, so that a
// page of a fleet of thousands of nodes is one small answer.
//
// Each part that is missing (no state-agent, no cadvisor-proxy, no node-agent)
// leaves its columns empty and costs nothing else.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"watchpost/internal/pageapi"
)

// Source evaluates PromQL at one moment and calls each for every series of the
// result, with its labels and its points: milliseconds since the epoch and values.
// The sequences are used before each returns. It tells how many samples it read.
//
// Everything that is asked of all nodes or all pods is a plain selector, which a
// Source can read without evaluating anything: sums, rates and comparisons are made
// here. Points that are not looked at need not be read.
type Source interface {
	Query(ctx context.Context, expr string, at time.Time, each func(labels iter.Seq2[string, string], points iter.Seq2[int64, float64])) (samples int, err error)
}

// Bounds and habits.
const (
	// MaxAge is how long the list of nodes and the list of pods are fresh: whoever
	// pages, sorts and searches within that time asks the storage nothing. Who asks
	// later has them made anew, and is answered with the old ones once more, unless
	// these are older than mostMaxAge. What took long to make is fresh longer, five
	// times as long as it took and half of mostMaxAge at most: a slow machine is not
	// made slower by its readers.
	MaxAge     = 10 * time.Second
	mostMaxAge = time.Minute
	// keepUnused is how long they are held after they were last asked for.
	keepUnused = 2 * time.Minute
	// Timeout bounds one answer.
	Timeout = 20 * time.Second
	// atOnce queries of one answer are evaluated at the same time.
	atOnce = 2
	// window is what rates look back on. It holds two scrapes at intervals of up to
	// two minutes.
	window = "5m"
	// silence is how long a node is listed after its last word.
	silence = "1h"
	// recent is how long a restart counts as trouble.
	recent = time.Hour
	// maxMoments is how many moments of the past are held besides the present, each
	// a second whole: as long as the present's lists are after they were last used.
	maxMoments = 2
)

// View answers from one Source. Its methods may be used from any goroutine.
type View struct {
	src Source
	now func() time.Time

	present moment

	mu   sync.Mutex
	past []*moment // the last used last
}

// moment is what is held of the fleet at one time.
type moment struct {
	*View
	at time.Time // zero: now, whenever that is

	nodes       kept[*nodeList]
	pods        kept[*podList]
	cpu, memory kept[map[podKey]float64] // of all pods
}

// New makes a View of src.
func New(src Source) *View {
	v := &View{src: src, now: time.Now}
	v.present.View = v
	return v
}

// moment is the one that a request names: at, in seconds since the epoch or as RFC
// 3339 has it; none is now.
func (v *View) moment(r *http.Request) (*moment, error) {
	text := r.URL.Query().Get("at")
	if text == "" {
		return &v.present, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if seconds, e := strconv.ParseFloat(text, 64); e == nil && seconds >= 0 && seconds < 1e11 {
		at, err = time.Unix(int64(seconds), 0), nil
	}
	if err != nil {
		return nil, pageapi.BadData("at=%q is neither a number of seconds since 1970 nor a time as in 2026-01-02T15:04:05Z", text)
	}
	at = at.Truncate(time.Second)
	v.mu.Lock()
	defer v.mu.Unlock()
	i := slices.IndexFunc(v.past, func(m *moment) bool { return m.at.Equal(at) })
	if i < 0 {
		v.past = append(v.past[max(0, len(v.past)+1-maxMoments):len(v.past):len(v.past)], &moment{View: v, at: at})
		return v.past[len(v.past)-1], nil
	}
	m := v.past[i]
	v.past = append(slices.Delete(v.past, i, i+1), m)
	return m, nil
}

// Cost is what an answer took.
type Cost = pageapi.Cost

// inquiry is one answer in the making.
type inquiry struct {
	src     Source
	at      time.Time
	queries atomic.Int32
	samples atomic.Int64

	mu      sync.Mutex
	missing []string
}

// question is an expression and what is done with each series of its result. The
// labels are read once, front to back.
type question struct {
	what string // for people, where it fails: "memory"
	expr string
	each each
}

// each takes one series. It may hold what it needs for that: it is not called twice at
// a time.
type each = func(l iter.Seq2[string, string], points iter.Seq2[int64, float64])

// reading makes one number of each series and gives it to do: value or slope.
type reading = func(do func(l iter.Seq2[string, string], v float64)) each

// value calls do with the last point.
func value(do func(l iter.Seq2[string, string], v float64)) each {
	// Here, and not in a loop over the points: that would be allocated for each series.
	var last float64
	var found bool
	take := func(_ int64, v float64) bool {
		last, found = v, true
		return true
	}
	return func(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
		found = false
		if points(take); found {
			do(l, last)
		}
	}
}

// slope calls do with how fast a counter rose a second, from its first point to its
// last; where it fell it began anew. One point tells nothing.
func slope(do func(l iter.Seq2[string, string], v float64)) each {
	var first, last int64
	var was, rise float64
	var begun bool
	take := func(at int64, v float64) bool {
		switch {
		case !begun:
			first, begun = at, true
		case v < was:
			rise += v
		default:
			rise += v - was
		}
		last, was = at, v
		return true
	}
	return func(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
		first, last, rise, begun = 0, 0, 0, false
		if points(take); last > first {
			do(l, rise*1000/float64(last-first))
		}
	}
}

// about reads the series of things that are known: what do is told is what find
// found by the labels, and where that is nothing the points are not read.
func about[T any](find func(l iter.Seq2[string, string]) *T, read reading, do func(of *T, v float64)) each {
	var of *T
	numbers := read(func(_ iter.Seq2[string, string], v float64) {
		if v == v { // not NaN
			do(of, v)
		}
	})
	return func(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
		if of = find(l); of != nil {
			numbers(l, points)
		}
	}
}

// ask evaluates the questions, some at a time. Their results are taken one after
// the other, so that what is done with them needs no lock. A question that fails is
// noted and costs its own part; only where none succeeds is there an error.
func (q *inquiry) ask(ctx context.Context, questions ...question) error {
	var wait sync.WaitGroup
	var take sync.Mutex
	places := make(chan struct{}, atOnce)
	errs := make([]error, len(questions))
	for i, one := range questions {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			q.queries.Add(1)
			samples, err := q.src.Query(ctx, one.expr, q.at, func(l iter.Seq2[string, string], p iter.Seq2[int64, float64]) {
				take.Lock()
				defer take.Unlock()
				one.each(l, p)
			})
			q.samples.Add(int64(samples))
			errs[i] = err
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	failed := 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		if e := new(pageapi.Error); errors.As(err, &e) { // such as: not ready
			return err
		}
		failed++
		q.mu.Lock()
		if note := fmt.Sprintf("%s: %v", questions[i].what, err); !slices.Contains(q.missing, note) { // both halves of a part
			q.missing = append(q.missing, note)
		}
		q.mu.Unlock()
	}
	if failed == len(questions) && failed > 0 {
		return errors.Join(errs...)
	}
	return nil
}

func (m *moment) inquire() *inquiry {
	if m.at.IsZero() {
		return &inquiry{src: m.src, at: m.now()}
	}
	return &inquiry{src: m.src, at: m.at}
}

// cost adds up what an answer took that began at began; made is when that was asked
// of the storage which was held, if it was.
func (v *View) cost(began, made time.Time, all ...*inquiry) Cost {
	c := Cost{Seconds: v.now().Sub(began).Seconds()}
	for _, q := range all {
		if q != nil {
			c.Queries += int(q.queries.Load())
			c.Samples += int(q.samples.Load())
			c.Missing = append(c.Missing, q.missing...)
		}
	}
	if !made.IsZero() {
		c.Age = max(0, began.Sub(made).Seconds())
	}
	return c
}

// kept holds a value for as long as it is fresh, and forgets it when nobody asks.
// The zero value is empty.
type kept[T any] struct {
	mu     sync.Mutex
	making chan struct{} // closed when the value that is being made is there
	value  T
	made   time.Time
	fresh  time.Duration // how long it is, from made on
	gen    int           // tells one use from the next
	untold *inquiry      // what making it took, until an answer tells
}

// get is the value of m. One that is not fresh any more is made anew; until that is
// done the old one is answered, if it is not older than mostMaxAge, so that nobody
// waits but the first. asked is what making it took, nil where that was told before.
// What was does not change: a value of the past is never too old.
func (k *kept[T]) get(ctx context.Context, m *moment, build func(context.Context, *inquiry) (T, error)) (value T, made time.Time, asked *inquiry, err error) {
	for {
		k.mu.Lock()
		if age := m.now().Sub(k.made); !k.made.IsZero() && (!m.at.IsZero() || age < mostMaxAge) {
			defer k.mu.Unlock()
			if m.at.IsZero() && age >= k.fresh && k.making == nil {
				k.making = make(chan struct{})
				go func() {
					ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
					defer cancel()
					_ = k.make(ctx, m, build) // who asks when the old one is too old hears of it
				}()
			}
			k.use()
			asked, k.untold = k.untold, nil
			return k.value, k.made, asked, nil
		}
		wait := k.making
		if wait == nil {
			k.making = make(chan struct{})
			k.mu.Unlock()
			if err := k.make(ctx, m, build); err != nil {
				return value, made, nil, err
			}
			continue
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return value, made, nil, context.Cause(ctx)
		}
	}
}

// make makes the value; k.making is the caller's, and closed by it.
func (k *kept[T]) make(ctx context.Context, m *moment, build func(context.Context, *inquiry) (T, error)) error {
	made, asked := m.now(), m.inquire()
	value, err := build(ctx, asked)
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.making)
	k.making = nil
	if err == nil {
		k.value, k.made, k.untold = value, made, asked
		k.fresh = max(MaxAge, min(mostMaxAge/2, 5*m.now().Sub(made)))
		k.use()
	}
	return err
}

// use puts the end of the value off. The caller holds the lock.
func (k *kept[T]) use() {
	k.gen++
	gen := k.gen
	time.AfterFunc(keepUnused, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.gen == gen {
			var none T
			k.value, k.made, k.untold = none, time.Time{}, nil
		}
	})
}

// names holds one copy of each string, so that a list of pods does not hold the
// label sets they came from.
type names map[string]string

func (n names) keep(s string) string {
	if s == "" {
		return ""
	}
	if c, ok := n[s]; ok {
		return c
	}
	c := strings.Clone(s)
	n[c] = c
	return c
}

// Handler serves the lists and views, at paths from which the caller has stripped
// everything before them: /nodes, /node, /pods, /pod, /apps, /app, /search.
func (v *View) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/nodes", bounded(v.serveNodes))
	mux.Handle("/node", bounded(v.serveNode))
	mux.Handle("/pods", bounded(v.servePods))
	mux.Handle("/pod", bounded(v.servePod))
	mux.Handle("/apps", bounded(v.serveApps))
	mux.Handle("/app", bounded(v.serveApp))
	mux.Handle("/search", bounded(v.serveSearch))
	return mux
}

func bounded[T any](ask func(*http.Request) (T, error)) http.Handler {
	return pageapi.Handler(func(r *http.Request) (T, error) {
		ctx, cancel := context.WithTimeout(r.Context(), Timeout)
		defer cancel()
		return ask(r.WithContext(ctx))
	})
}

// quote writes a PromQL string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// oneOf matches any of the values, each as it is. The TSDB looks such a set up
// value by value.
func oneOf(label string, values []string) string {
	var b strings.Builder
	b.WriteString(label + `=~"`)
	for i, v := range values {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, r := range v {
			switch {
			case r == '\\', r == '"':
				b.WriteString(`\\\` + string(r))
			case strings.ContainsRune(`.+*?()|[]{}^$`, r):
				b.WriteString(`\\` + string(r))
			case r == '\n':
				b.WriteString(`\n`)
			default:
				b.WriteRune(r)
			}
		}
	}
	return b.String() + `"`
}
