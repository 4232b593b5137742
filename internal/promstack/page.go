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
// Only what is stored here is asked, no remote read.
func (e *Engine) Query(ctx context.Context, expr string, at time.Time, each func(labels iter.Seq2[string, string], points iter.Seq2[int64, float64])) error {
	return e.useStored(ctx, func(ctx context.Context, p *parts) error {
		q, err := p.queries.NewInstantQuery(ctx, p.stores.local, nil, expr, at)
		if err != nil {
			return err
		}
		defer q.Close()
		result := q.Exec(ctx)
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
	return mux
}
