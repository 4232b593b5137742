package promstack

// Federation: the newest sample of each of the series that another Prometheus asks
// for, as an exposition.

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/httputil"
)

// federation answers /federate. It asks the local storage alone.
type federation struct {
	local    storage.Queryable
	parser   parser.Parser
	lookback time.Duration // age from which a sample is no longer told
	config   func() *config.Config
	log      *slog.Logger
}

// newest is the last sample of a series.
type newest struct {
	metric labels.Labels
	name   string
	at     int64 // ms since 1970
	value  float64
	hist   *histogram.FloatHistogram // instead of value; nil for an ordinary sample
}

// family tells which samples may stand together under one header.
type family struct {
	name string
	kind dto.MetricType
}

func (n newest) family() family {
	switch {
	case n.hist == nil:
		return family{n.name, dto.MetricType_UNTYPED}
	case n.hist.CounterResetHint == histogram.GaugeType:
		return family{n.name, dto.MetricType_GAUGE_HISTOGRAM}
	}
	return family{n.name, dto.MetricType_HISTOGRAM}
}

// Federate serves the path /federate as Prometheus does; the other one asks by
// match[].
func (e *Engine) Federate() http.Handler {
	return e.gate.through(func(s served) http.Handler { return s.federate })
}

func (f *federation) handler() http.Handler {
	return httputil.CompressionHandler{Handler: http.HandlerFunc(f.serve)}
}

func (f *federation) serve(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "error parsing form values: "+err.Error(), http.StatusBadRequest)
		return
	}
	wanted, err := f.parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	samples, err := f.samples(r.Context(), wanted, time.Now())
	if err != nil {
		f.log.Error("Federation failed", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	format := expfmt.NegotiateAccept(r.Header, expfmt.NewFormat(expfmt.TypeProtoDelim), expfmt.NewFormat(expfmt.TypeProtoText),
		expfmt.NewFormat(expfmt.TypeProtoCompact), expfmt.NewFormat(expfmt.TypeTextPlain))
	w.Header().Set("Content-Type", string(format))
	if err := f.write(expfmt.NewEncoder(w, format), samples, format.FormatType() == expfmt.TypeTextPlain); err != nil {
		f.log.Debug("A client of the federation went away", "err", err)
	}
}

// samples are the newest ones of the series that some of the selectors fit, sorted by
// family.
func (f *federation) samples(ctx context.Context, wanted [][]*labels.Matcher, now time.Time) ([]newest, error) {
	from, to := now.Add(-f.lookback).UnixMilli(), now.UnixMilli()
	q, err := f.local.Querier(from, to)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var sets []storage.SeriesSet
	for _, matchers := range wanted {
		sets = append(sets, q.Select(ctx, true, &storage.SelectHints{Start: from, End: to}, matchers...))
	}
	var all []newest
	var it chunkenc.Iterator
	merged := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	for merged.Next() {
		s := merged.At()
		it = s.Iterator(it)
		n := newest{metric: s.Labels(), name: s.Labels().Get(model.MetricNameLabel)}
		last, seen := chunkenc.ValNone, chunkenc.ValNone
		for {
			if last = it.Next(); last == chunkenc.ValNone {
				break
			}
			seen = last
			switch last {
			case chunkenc.ValFloat:
				n.at, n.value = it.At()
				n.hist = nil
			case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
				n.at, n.hist = it.AtFloatHistogram(nil)
			}
		}
		if err := it.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", n.metric, err)
		}
		// The end of a series is no sample, and a series without a name no line.
		if seen == chunkenc.ValNone || n.name == "" ||
			n.hist == nil && value.IsStaleNaN(n.value) || n.hist != nil && value.IsStaleNaN(n.hist.Sum) {
			continue
		}
		all = append(all, n)
	}
	slices.SortStableFunc(all, func(a, b newest) int { return cmp.Compare(a.name, b.name) })
	return all, merged.Err()
}

// write sends the samples, with the external labels on those that do not have them.
func (f *federation) write(out expfmt.Encoder, samples []newest, text bool) error {
	external := f.config().GlobalConfig.ExternalLabels.Map()
	if _, given := external["instance"]; !given {
		// So that the asking one does not put its own there.
		external["instance"] = ""
	}
	names := make([]string, 0, len(external))
	for name := range external {
		names = append(names, name)
	}
	slices.Sort(names)
	var current *dto.MetricFamily
	var is family
	for _, n := range samples {
		if text && n.hist != nil && !n.hist.UsesCustomBuckets() {
			continue // the text format cannot say it
		}
		if current == nil || n.family() != is {
			if current != nil {
				if err := out.Encode(current); err != nil {
					return err
				}
			}
			is = n.family()
			current = &dto.MetricFamily{Name: &n.name, Type: is.kind.Enum()}
		}
		m := &dto.Metric{TimestampMs: &n.at}
		n.metric.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				m.Label = append(m.Label, &dto.LabelPair{Name: &l.Name, Value: &l.Value})
			}
		})
		for _, name := range names {
			if n.metric.Get(name) == "" {
				m.Label = append(m.Label, &dto.LabelPair{Name: new(name), Value: new(external[name])})
			}
		}
		switch {
		case n.hist == nil:
			m.Untyped = &dto.Untyped{Value: &n.value}
		case n.hist.UsesCustomBuckets():
			m.Histogram = classic(n.hist)
		default:
			m.Histogram = native(n.hist)
		}
		current.Metric = append(current.Metric, m)
	}
	if current == nil {
		return nil
	}
	return out.Encode(current)
}

// classic is a histogram whose buckets are given one by one, as one of the old kind.
func classic(h *histogram.FloatHistogram) *dto.Histogram {
	out := &dto.Histogram{SampleCountFloat: &h.Count, SampleSum: &h.Sum}
	below := 0.0 // samples so far
	buckets := h.PositiveBucketIterator()
	more := buckets.Next()
	for i, bound := range h.CustomValues {
		for more && int(buckets.At().Index) <= i {
			below += buckets.At().Count
			more = buckets.Next()
		}
		out.Bucket = append(out.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCountFloat: new(below)})
	}
	return out
}

// native is a histogram of the new kind.
func native(h *histogram.FloatHistogram) *dto.Histogram {
	out := &dto.Histogram{
		SampleCountFloat: &h.Count, SampleSum: &h.Sum, Schema: &h.Schema,
		ZeroThreshold: &h.ZeroThreshold, ZeroCountFloat: &h.ZeroCount,
		PositiveSpan: spans(h.PositiveSpans), PositiveCount: h.PositiveBuckets,
		NegativeSpan: spans(h.NegativeSpans), NegativeCount: h.NegativeBuckets,
	}
	if len(out.PositiveSpan) == 0 && len(out.NegativeSpan) == 0 && h.ZeroThreshold == 0 && h.ZeroCount == 0 {
		// Without any bucket, a span of nothing tells a reader that it is of this kind
		// (metrics.proto of client_model).
		out.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}
	}
	return out
}

func spans(in []histogram.Span) (out []*dto.BucketSpan) {
	for _, s := range in {
		out = append(out, &dto.BucketSpan{Offset: &s.Offset, Length: &s.Length})
	}
	return out
}
