package promstack

// What the series in memory cost, read from the index: no sample is looked at.

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/index"

	"watchpost/internal/pageapi"
)

// maxCounted bounds the series of one metric that are looked at one by one, so that it
// takes a fraction of a second.
const maxCounted = 200_000

// tops is how many rows each of the lists has.
const tops = 25

type statRow struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

type cardinality struct {
	Series  uint64    `json:"series"` // in memory
	Chunks  uint64    `json:"chunks,omitempty"`
	Pairs   int       `json:"pairs"`   // label pairs
	By      string    `json:"by"`      // the label of Values
	Values  []statRow `json:"values"`  // series for each value of that label
	Labels  []statRow `json:"labels"`  // values of each label
	Memory  []statRow `json:"memory"`  // bytes that the values of each label take
	Biggest []statRow `json:"biggest"` // series for each label pair
	pageapi.Costed
}

// cardinality counts the series in memory for each value of a label (by, else the
// name of the metric), and tells which labels have many values.
func (e *Engine) cardinality(r *http.Request) (c cardinality, err error) {
	began := time.Now()
	by := cmp.Or(r.URL.Query().Get("by"), model.MetricNameLabel)
	err = e.useStored(r.Context(), func(_ context.Context, p *parts) error {
		s := p.stores.local.Head().Stats(by, tops)
		c = cardinality{Series: s.NumSeries, By: by,
			Pairs:   s.IndexPostingStats.NumLabelPairs,
			Values:  statRows(s.IndexPostingStats.CardinalityMetricsStats),
			Labels:  statRows(s.IndexPostingStats.CardinalityLabelStats),
			Memory:  statRows(s.IndexPostingStats.LabelValueStats),
			Biggest: statRows(s.IndexPostingStats.LabelValuePairsStats),
		}
		return nil
	})
	c.Cost.Seconds = time.Since(began).Seconds()
	return c, err
}

func statRows(stats []index.Stat) []statRow {
	rows := make([]statRow, len(stats))
	for i, s := range stats {
		rows[i] = statRow{s.Name, s.Count}
	}
	return rows
}

type metricCardinality struct {
	Metric string     `json:"metric"`
	Series int        `json:"series"`
	Cut    bool       `json:"cut,omitempty"` // only so many were looked at
	Labels []labelRow `json:"labels"`
	pageapi.Costed
}

// labelRow is a label of a metric: how many values it has, and those with most
// series.
type labelRow struct {
	Name   string    `json:"name"`
	Values int       `json:"values"`
	Top    []statRow `json:"top"`
}

// valuesShown is how many values of each label are told.
const valuesShown = 5

// valueCounts counts the values of one label. Series beside each other mostly have the
// same ones.
type valueCounts struct {
	label string
	of    map[string]*uint64
	value string // the last one
	n     *uint64
}

func (c *valueCounts) add(value string) {
	if c.n == nil || c.value != value {
		n := c.of[value]
		if n == nil {
			n = new(uint64)
			c.of[value] = n
		}
		c.value, c.n = value, n
	}
	*c.n++
}

// metricCardinality tells which labels tell the series of one metric apart.
func (e *Engine) metricCardinality(r *http.Request) (c metricCardinality, err error) {
	began := time.Now()
	c.Metric = r.URL.Query().Get("name")
	if c.Metric == "" {
		return c, pageapi.BadData("name is missing: the name of a metric")
	}
	err = e.useStored(r.Context(), func(ctx context.Context, p *parts) error {
		ix, err := p.stores.local.Head().Index()
		if err != nil {
			return err
		}
		defer ix.Close()
		postings, err := ix.Postings(ctx, model.MetricNameLabel, c.Metric)
		if err != nil {
			return err
		}
		counts := make(map[string]*valueCounts)
		var before []*valueCounts // of the series before: the next has mostly the same labels
		var b labels.ScratchBuilder
		for postings.Next() {
			if c.Series == maxCounted {
				c.Cut = true
				break
			}
			if c.Series%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if err := ix.Series(postings.At(), &b, nil); err != nil {
				continue // it has gone in the meantime
			}
			c.Series++
			i := 0
			b.Labels().Range(func(l labels.Label) {
				if l.Name == model.MetricNameLabel {
					return
				}
				if i == len(before) {
					before = append(before, nil)
				}
				if before[i] == nil || before[i].label != l.Name {
					if counts[l.Name] == nil {
						counts[l.Name] = &valueCounts{label: l.Name, of: make(map[string]*uint64)}
					}
					before[i] = counts[l.Name]
				}
				before[i].add(l.Value)
				i++
			})
		}
		c.Labels = make([]labelRow, 0, len(counts))
		for name, values := range counts {
			row := labelRow{Name: name, Values: len(values.of)}
			top := make([]statRow, 0, len(values.of))
			for v, n := range values.of {
				top = append(top, statRow{v, *n})
			}
			row.Top = slices.Clone(pageapi.Cut(pageapi.Window{Limit: valuesShown}, top, func(a, b statRow) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) }))
			c.Labels = append(c.Labels, row)
		}
		slices.SortFunc(c.Labels, func(a, b labelRow) int { return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(a.Name, b.Name)) })
		return postings.Err()
	})
	c.Cost.Seconds = time.Since(began).Seconds()
	return c, err
}
