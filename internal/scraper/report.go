package scraper

// What a scrape says of itself: up and its companions.

import (
	"errors"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// reportNames are the series of each scrape; those from moreReports on are there where
// the job has extra_scrape_metrics.
var reportNames = [...]string{
	"up",
	"scrape_duration_seconds",
	"scrape_samples_scraped",
	"scrape_samples_post_metric_relabeling",
	"scrape_series_added",
	"scrape_timeout_seconds",
	"scrape_sample_limit",
	"scrape_body_size_bytes",
}

const moreReports = 5

// result is how a scrape went.
type result struct {
	counts
	bytes int // of the answer, unpacked; -1 where they were too many
	err   error
}

// report appends what is to be said of a scrape.
func (l *loop) report(app storage.AppenderV2, at time.Time, took time.Duration, r *result) error {
	l.target.Report(at, took, r.err)
	up := 1.
	if r.err != nil {
		up = 0
	}
	return l.appendReports(app, at.UnixMilli(), false, [...]float64{
		up, took.Seconds(), float64(r.total), float64(r.added), float64(r.seriesAdded),
		l.timeout.Seconds(), float64(l.conf.SampleLimit), float64(r.bytes),
	})
}

// endReports marks the reports stale.
func (l *loop) endReports(app storage.AppenderV2, at int64) error {
	var values [len(reportNames)]float64
	for i := range values {
		values[i] = staleNaN
	}
	return l.appendReports(app, at, true, values)
}

func (l *loop) appendReports(app storage.AppenderV2, at int64, last bool, values [len(reportNames)]float64) error {
	c := l.cache
	for i, v := range values {
		if i == moreReports && !l.conf.ExtraScrapeMetricsEnabled() {
			break
		}
		o := storage.AOptions{RejectOutOfOrder: last}
		ref, err := c.reports[i], error(tsdb.ErrInvalidSample)
		if ref != 0 {
			ref, err = app.Append(ref, labels.EmptyLabels(), 0, at, v, nil, nil, o)
		}
		if errors.Is(err, tsdb.ErrInvalidSample) { // the storage does not know it, or no longer
			ref, err = app.Append(0, l.reportLabels(reportNames[i]), 0, at, v, nil, nil, o)
		}
		switch {
		case err == nil:
			c.reports[i] = ref
			c.reported |= 1 << i
		case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
			// The target went and is back.
		default:
			return err
		}
	}
	return nil
}

// reportLabels are those of the target. As in Prometheus, a label of it with the name that a
// clash with another would give is not among them: no exported_job where there is job.
func (l *loop) reportLabels(name string) labels.Labels {
	b := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, name))
	l.target.LabelsRange(func(l labels.Label) {
		b.Del(model.ExportedLabelPrefix + l.Name)
		b.Set(l.Name, l.Value)
	})
	return b.Labels()
}
