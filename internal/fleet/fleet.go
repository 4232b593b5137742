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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"watchpost/internal/pageapi"
)

// Source evaluates PromQL at one moment and calls each for every series of the
// result, with its labels and its points: milliseconds since the epoch and values.
// The sequences are used before each returns.
type Source interface {
	Query(ctx context.Context, expr string, at time.Time, each func(labels iter.Seq2[string, string], points iter.Seq2[int64, float64])) error
}

// Bounds and habits.
const (
	// MaxAge is how old the list of nodes and the list of pods may be: whoever
	// pages, sorts and searches within that time asks the storage nothing.
	// What took long to make is held longer, five times as long as it took and
	// mostMaxAge at most: a slow machine is not made slower by its readers.
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
)

// View answers from one Source. Its methods may be used from any goroutine.
type View struct {
	src Source
	now func() time.Time

	nodes kept[*nodeList]
	pods  kept[*podList]
}

// New makes a View of src.
func New(src Source) *View { return &View{src: src, now: time.Now} }

// Cost is what an answer took.
type Cost struct {
	Queries int      `json:"queries"`           // evaluated for this answer
	Seconds float64  `json:"seconds"`           // in all
	Age     float64  `json:"age"`               // seconds since what is kept was asked; 0 where nothing is
	Missing []string `json:"missing,omitempty"` // parts that failed, and why
}

// inquiry is one answer in the making.
type inquiry struct {
	src     Source
	at      time.Time
	queries atomic.Int32

	mu      sync.Mutex
	missing []string
}

// question is an expression and what is done with each series of its result. The
// labels are read once, front to back.
type question struct {
	what string // for people, where it fails: "memory"
	expr string
	each func(l iter.Seq2[string, string], points iter.Seq2[int64, float64])
}

// value calls do with the last point.
func value(do func(l iter.Seq2[string, string], v float64)) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
	return func(l iter.Seq2[string, string], points iter.Seq2[int64, float64]) {
		last, found := 0.0, false
		for _, v := range points {
			last, found = v, true
		}
		if found {
			do(l, last)
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
			errs[i] = q.src.Query(ctx, one.expr, q.at, func(l iter.Seq2[string, string], p iter.Seq2[int64, float64]) {
				take.Lock()
				defer take.Unlock()
				one.each(l, p)
			})
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
		q.missing = append(q.missing, fmt.Sprintf("%s: %v", questions[i].what, err))
		q.mu.Unlock()
	}
	if failed == len(questions) && failed > 0 {
		return errors.Join(errs...)
	}
	return nil
}

func (v *View) inquire() *inquiry { return &inquiry{src: v.src, at: v.now()} }

// cost adds up what an answer took that began at began.
func (v *View) cost(began time.Time, asked time.Time, all ...*inquiry) Cost {
	c := Cost{Seconds: v.now().Sub(began).Seconds()}
	for _, q := range all {
		if q != nil {
			c.Queries += int(q.queries.Load())
			c.Missing = append(c.Missing, q.missing...)
		}
	}
	if !asked.IsZero() {
		c.Age = max(0, began.Sub(asked).Seconds())
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
}

// get is the value, made anew where it is older than MaxAge; asked is what that
// took, nil where it was there. Who asks while it is being made waits.
func (k *kept[T]) get(ctx context.Context, v *View, build func(context.Context, *inquiry) (T, error)) (value T, made time.Time, asked *inquiry, err error) {
	for {
		k.mu.Lock()
		if !k.made.IsZero() && v.now().Sub(k.made) < k.fresh {
			defer k.mu.Unlock()
			k.use()
			return k.value, k.made, nil, nil
		}
		wait := k.making
		if wait == nil {
			break
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return value, made, nil, context.Cause(ctx)
		}
	}
	done := make(chan struct{})
	k.making = done
	k.mu.Unlock()

	asked = v.inquire()
	value, err = build(ctx, asked)

	k.mu.Lock()
	defer k.mu.Unlock()
	k.making = nil
	close(done)
	if err == nil {
		k.value, k.made = value, asked.at
		k.fresh = max(MaxAge, min(mostMaxAge, 5*v.now().Sub(asked.at)))
		k.use()
	}
	return value, asked.at, asked, err
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
			k.value, k.made = none, time.Time{}
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
