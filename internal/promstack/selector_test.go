package promstack

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
)

// A plain selector, read past the engine, has what the engine would say: the same series with the same points, where a
// series has ended, begins, has gaps, or is of native histograms.
func TestPlainSelectors(t *testing.T) {
	e := startYML(t, t.TempDir(), "global: {scrape_interval: 1m}\n")
	base := time.Now().Truncate(time.Minute)
	err := e.useStored(t.Context(), func(_ context.Context, p *parts) error {
		app := p.stores.local.Appender(t.Context())
		add := func(lamp string, minute int, v float64) {
			ls := labels.FromStrings("__name__", "lamp", "lamp", lamp, "room", "r"+lamp[:1])
			if _, err := app.Append(0, ls, base.Add(time.Duration(minute)*time.Minute).UnixMilli(), v); err != nil {
				t.Fatal(err)
			}
		}
		for m := -30; m <= 0; m++ {
			add("always", m, float64(m))
			if m < -4 {
				add("late word", m, 1)
			}
			if m <= -5 {
				add("old word", m, 1)
			}
			if m == -2 {
				add("ended", m, math.Float64frombits(value.StaleNaN))
			} else if m < -2 {
				add("ended", m, 2)
			}
			if m%7 == 0 {
				add("gaps", m, math.NaN())
			}
			if m > -2 {
				add("young", m, 3)
			}
			ls := labels.FromStrings("__name__", "lamp", "lamp", "histogram", "room", "rh")
			if _, err := app.AppendHistogram(0, ls, base.Add(time.Duration(m)*time.Minute).UnixMilli(), &histogram.Histogram{Count: 1, Sum: 1, ZeroCount: 1}, nil); err != nil {
				t.Fatal(err)
			}
		}
		return app.Commit()
	})
	if err != nil {
		t.Fatal(err)
	}
	exprs := []string{`lamp`, `lamp{lamp="always"}`, `lamp{lamp=~"always|ended|gaps"}`, `lamp{room!="ra"}`, `lamp{lamp!~".*word"}`, `lamp{nothing=""}`,
		`lamp[4m]`, `lamp[5m]`, `lamp[1h]`, `lamp{lamp="ended"}[10m]`, `{__name__=~"la.*",room="rg"}[20m]`, `nothing`, `nothing[5m]`}
	for _, expr := range exprs {
		for _, at := range []time.Time{base, base.Add(30 * time.Second), base.Add(-time.Minute), base.Add(-12 * time.Minute), base.Add(5 * time.Minute), base.Add(-2 * time.Hour), base.Add(time.Millisecond)} {
			got := map[string][]string{}
			samples, err := e.Query(t.Context(), expr, at, func(l iter.Seq2[string, string], p iter.Seq2[int64, float64]) {
				var names, points []string
				for n, v := range l {
					names = append(names, n+"="+v)
				}
				for at, v := range p {
					points = append(points, fmt.Sprint(at, " ", v))
				}
				if len(points) > 0 {
					got[strings.Join(names, ",")] = points
				}
			})
			if err != nil {
				t.Fatalf("%s: %v", expr, err)
			}
			want := engineSays(t, e, expr, at)
			if len(got) != len(want) {
				t.Errorf("%s at %s: %d series, the engine has %d\n%v\n%v", expr, at.Sub(base), len(got), len(want), got, want)
			}
			for name, points := range want {
				if !slices.Equal(got[name], points) {
					t.Errorf("%s at %s: %s is\n%v, the engine has\n%v", expr, at.Sub(base), name, got[name], points)
				}
			}
			if samples < len(want) {
				t.Errorf("%s: %d samples of %d series", expr, samples, len(want))
			}
		}
	}
	// What is more than a selector goes through the engine.
	for _, expr := range []string{`lamp offset 10m`, `lamp @ 0`, `lamp[10m] offset 1m`, `sum(lamp)`, `lamp > 0`, `lamp[10m:1m]`, `lamp @ end()`, `-lamp`} {
		parsed, err := e.parser.ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := plainSelector(parsed, time.Minute); is {
			t.Errorf("%s is read as a plain selector", expr)
		}
	}
	e.cfg.Query.MaxSamples = 20
	if _, err := e.Query(t.Context(), `lamp[1h]`, base, func(_ iter.Seq2[string, string], p iter.Seq2[int64, float64]) {
		for range p {
		}
	}); err == nil || !strings.Contains(err.Error(), "more samples") {
		t.Errorf("without a bound: %v", err)
	}
}

// engineSays is the result of the engine of queries, without native histograms.
func engineSays(t *testing.T, e *engine, expr string, at time.Time) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := e.useStored(t.Context(), func(ctx context.Context, p *parts) error {
		q, err := p.queries.NewInstantQuery(ctx, p.stores.local, nil, expr, at)
		if err != nil {
			return err
		}
		defer q.Close()
		result := q.Exec(ctx)
		name := func(ls labels.Labels) string {
			var names []string
			ls.Range(func(l labels.Label) { names = append(names, l.Name+"="+l.Value) })
			return strings.Join(names, ",")
		}
		switch v := result.Value.(type) {
		case promql.Vector:
			for _, s := range v {
				if s.H == nil {
					all[name(s.Metric)] = []string{fmt.Sprint(s.T, " ", s.F)}
				}
			}
		case promql.Matrix:
			for _, s := range v {
				for _, f := range s.Floats {
					all[name(s.Metric)] = append(all[name(s.Metric)], fmt.Sprint(f.T, " ", f.F))
				}
			}
		}
		return result.Err
	})
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return all
}
