package promstack

// Plain selectors of PromQL, read from the storage without its engine: what a list
// of everything is made of. For each of a hundred thousand series the engine costs
// three times what reading its newest sample does, and memory besides.

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// selector is a vector selector, or with a range a matrix selector, that nothing
// modifies.
type selector struct {
	matchers []*labels.Matcher
	back     time.Duration // how far a sample may lie before the moment
	all      bool          // every sample, not the newest alone
}

// plainSelector tells whether expr is one, and which.
func plainSelector(expr parser.Expr, lookback time.Duration) (selector, bool) {
	s := selector{back: lookback}
	if m, is := expr.(*parser.MatrixSelector); is {
		if m.RangeExpr != nil {
			return s, false
		}
		expr, s.back, s.all = m.VectorSelector, m.Range, true
	}
	v, is := expr.(*parser.VectorSelector)
	if !is || v.OriginalOffset != 0 || v.OriginalOffsetExpr != nil || v.Timestamp != nil || v.StartOrEnd != 0 || v.Anchored || v.Smoothed {
		return s, false
	}
	s.matchers = v.LabelMatchers
	return s, true
}

// errTooMuch is how a selector ends that reads more samples than one query may.
var errTooMuch = errors.New("it would read more samples than one query may (--query.max-samples)")

// read calls each for every series that has chunks within reach, and tells how many
// samples were read. The points are decoded as they are asked for: a series whose
// points each leaves alone costs its labels only. A series may turn out to have
// none.
func (s selector) read(ctx context.Context, from storage.Queryable, at time.Time, most int, each func(labels iter.Seq2[string, string], points iter.Seq2[int64, float64])) (samples int, err error) {
	// As in the engine, the far end of the reach does not belong to it.
	start, end := timestamp.FromTime(at.Add(-s.back))+1, timestamp.FromTime(at)
	q, err := from.Querier(start, end)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	// Trimming would put one more iterator around each chunk that reaches out of the
	// time asked for; the points are cut below.
	set := q.Select(ctx, false, &storage.SelectHints{Start: start, End: end, DisableTrimming: true}, s.matchers...)
	var it chunkenc.Iterator
	var failed error
	var series storage.Series
	var ls labels.Labels
	names := func(yield func(string, string) bool) { pairs(ls)(yield) }
	points := func(yield func(int64, float64) bool) {
		it = series.Iterator(it)
		newest, v, found := int64(0), 0.0, false
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if kind != chunkenc.ValFloat {
				if t := it.AtT(); t >= start && t <= end {
					found = false // a native histogram is not shown, and hides what is older
				}
				continue
			}
			t, f := it.At()
			if t < start {
				continue
			}
			if t > end {
				break
			}
			samples++
			if !s.all {
				newest, v, found = t, f, !value.IsStaleNaN(f)
			} else if !value.IsStaleNaN(f) && !yield(t, f) {
				return
			}
		}
		if err := it.Err(); err != nil {
			failed = err
			return
		}
		if found && newest >= start {
			yield(end, v)
		}
	}
	for n := 0; set.Next(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return samples, context.Cause(ctx)
		}
		series = set.At()
		ls = series.Labels()
		each(names, points)
		if failed != nil {
			return samples, failed
		}
		if samples > most {
			return samples, errTooMuch
		}
	}
	return samples, set.Err()
}
