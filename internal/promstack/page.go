package promstack

// What the collector's page asks beyond Prometheus' API: PromQL without the way
// over HTTP and JSON, lists of targets a window at a time, what a target says, and
// what the series cost.

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"watchpost/internal/pageapi"
	"watchpost/internal/scraper"
)

// parts are what the page's handlers use of a running engine. One that forwards
// only has neither queries nor stores.
type parts struct {
	queries *queries
	stores  *stores
	scrapes *scraper.Manager
}

// errNotReady is answered until the engine is ready, and once it stops.
var errNotReady = &pageapi.Error{Status: http.StatusServiceUnavailable, Kind: "unavailable", Err: ErrNotRunning}

// errForwards is answered to questions about samples by an engine that keeps none.
var errForwards = &pageapi.Error{Status: http.StatusUnprocessableEntity, Kind: "unavailable",
	Err: errors.New("this collector forwards its samples and keeps none: ask where they go")}

// useStored is use for what needs samples.
func (e *Engine) useStored(ctx context.Context, do func(ctx context.Context, p *parts) error) error {
	return e.use(ctx, func(ctx context.Context, p *parts) error {
		if p.stores == nil {
			return errForwards
		}
		return do(ctx, p)
	})
}

// use calls do with the parts of the engine, which wait for it when they stop. The
// context of do ends with ctx, and shortly after the engine began to stop.
func (e *Engine) use(ctx context.Context, do func(ctx context.Context, p *parts) error) error {
	_, late, state := e.gate.enter()
	if state != gateOpen {
		return errNotReady
	}
	defer e.gate.inside.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(late, cancel)()
	return do(ctx, e.parts.Load())
}

// Query evaluates a PromQL expression at one moment and calls each for every
// series of its result, with its labels and its points: milliseconds since the
// epoch and values, one for a vector, all of its samples for a range. Native
// histograms are left out. Neither sequence may be used after each has returned.
// Only what is stored here is asked, no remote read. It tells how many samples were
// read for that.
//
// A plain selector does not pass through the engine: its points are read while each
// asks for them, and a series that has ended may be there without a point.
func (e *Engine) Query(ctx context.Context, expr string, at time.Time, each func(labels iter.Seq2[string, string], points iter.Seq2[int64, float64])) (samples int, err error) {
	err = e.useStored(ctx, func(ctx context.Context, p *parts) error {
		parsed, err := e.parser.ParseExpr(expr)
		if err != nil {
			return err
		}
		if s, is := plainSelector(parsed, e.cfg.Query.Lookback); is {
			samples, err = s.read(ctx, p.stores.local, at, e.cfg.Query.MaxSamples, each)
			return err
		}
		q, err := p.queries.NewInstantQuery(ctx, p.stores.local, nil, expr, at)
		if err != nil {
			return err
		}
		defer q.Close()
		result := q.Exec(ctx)
		if s := q.Stats(); s != nil && s.Samples != nil {
			samples = int(s.Samples.TotalSamples)
		}
		if result.Err != nil {
			return result.Err
		}
		switch v := result.Value.(type) {
		case promql.Vector:
			for i := range v {
				if v[i].H == nil {
					each(pairs(v[i].Metric), func(yield func(int64, float64) bool) { yield(v[i].T, v[i].F) })
				}
			}
		case promql.Matrix:
			for i := range v {
				each(pairs(v[i].Metric), func(yield func(int64, float64) bool) {
					for _, f := range v[i].Floats {
						if !yield(f.T, f.F) {
							return
						}
					}
				})
			}
		case promql.Scalar:
			each(pairs(labels.EmptyLabels()), func(yield func(int64, float64) bool) { yield(v.T, v.V) })
		}
		return nil
	})
	return samples, err
}

// pairs are the labels as a sequence.
func pairs(l labels.Labels) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		more := true
		l.Range(func(l labels.Label) {
			more = more && yield(l.Name, l.Value)
		})
	}
}

// PageHandler serves what the page asks of targets and series, at paths from which
// the caller has stripped everything before them:
//
//	/targets              the active and dropped targets, a window at a time
//	/targets/pools        the scrape jobs with how many targets they have
//	/targets/raw          what an active target answers to a scrape, as it is
//	/cardinality          what the series in memory have in common
//	/cardinality/metric   the labels of one metric
//	/storage              what is not as it should be: parts set aside, a full disk
//
// It reads, and changes nothing.
func (e *Engine) PageHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/targets", pageapi.Handler(e.listTargets))
	mux.Handle("/targets/pools", pageapi.Handler(e.listPools))
	raw := &rawTargets{engine: e, places: make(chan struct{}, maxRawTargets)}
	mux.Handle("GET /targets/raw", raw)
	mux.Handle("/cardinality", pageapi.Handler(e.cardinality))
	mux.Handle("/cardinality/metric", pageapi.Handler(e.metricCardinality))
	mux.Handle("/storage", pageapi.Handler(e.storageState))
	return mux
}

// storageState is what is not as it should be with the storage.
type storageState struct {
	SetAside []AsideItem `json:"setAside"`           // what could not be read, the newest first
	InMemory int64       `json:"inMemory,omitempty"` // samples that are in memory alone, as the disk is full
	Since    *time.Time  `json:"since,omitempty"`    // when that began
}

func (e *Engine) storageState(r *http.Request) (s storageState, err error) {
	err = e.useStored(r.Context(), func(_ context.Context, p *parts) error {
		if n, since := p.stores.local.outage.held(); p.stores.local.outage.inUse() {
			s.InMemory, s.Since = n, &since
		}
		s.SetAside, err = e.aside.Load().list(true)
		return err
	})
	return s, err
}
