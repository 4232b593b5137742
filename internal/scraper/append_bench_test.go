package scraper

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
)

// sink is a storage that keeps nothing.
type sink struct{ refs storage.SeriesRef }

func (s *sink) AppenderV2(context.Context) storage.AppenderV2 { return s }
func (s *sink) Append(ref storage.SeriesRef, _ labels.Labels, _, _ int64, _ float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	if ref == 0 {
		s.refs++
		ref = s.refs
	}
	return ref, nil
}
func (s *sink) Commit() error   { return nil }
func (s *sink) Rollback() error { return nil }

// benchLoop is the scrapes of one target, without a target.
func benchLoop(tb testing.TB, store storage.AppendableV2) *loop {
	m := newOurs(tb, store, false, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	conf := config.DefaultScrapeConfig
	conf.JobName, conf.MetricNameValidationScheme, conf.MetricNameEscapingScheme = "a", model.UTF8Validation, model.AllowUTF8
	p, err := m.newPool(&conf)
	if err != nil {
		tb.Fatal(err)
	}
	lset := labels.FromStrings(model.AddressLabel, "host:80", "instance", "host:80", "job", "a", model.SchemeLabel, "http")
	return newLoop(p, scrape.NewTarget(lset, &conf, nil, nil), 1, newCache(m.hash))
}

// The samples of a target whose series are known, 760 at a time.
func BenchmarkAppend(b *testing.B) {
	store := &sink{}
	l, w, text := benchLoop(b, store), newWorker(), append(page(), '\n')
	text = text[:len(text)-1]
	now := time.Now()
	take := func() {
		if n, err := l.append(store, w, text, "text/plain; version=0.0.4", now); err != nil || n.added != 760 {
			b.Fatal(n, err)
		}
	}
	take()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		take()
	}
}

// The same where all series are new.
func BenchmarkAppendNew(b *testing.B) {
	store := &sink{}
	l, w, text := benchLoop(b, store), newWorker(), append(page(), '\n')
	text = text[:len(text)-1]
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		l.cache = newCache(l.cache.seed)
		if _, err := l.append(store, w, text, "text/plain; version=0.0.4", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

// A scrape of known series allocates no more for many than for few.
func TestAppendAllocates(t *testing.T) {
	store := &sink{}
	l, w, text := benchLoop(t, store), newWorker(), append(page(), '\n')
	text = text[:len(text)-1]
	take := func() {
		if _, err := l.append(store, w, text, "text/plain; version=0.0.4", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	take()
	if n := testing.AllocsPerRun(20, take); n > 3 {
		t.Errorf("a scrape of 760 known series allocates %v times", n)
	}
}
