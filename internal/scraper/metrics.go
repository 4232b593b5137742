package scraper

// What the scrapes say of themselves, under the names that Prometheus gives it.

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/scrape"
)

type metrics struct {
	pools, poolsFailed                           prometheus.Counter
	reloads, reloadsFailed                       prometheus.Counter
	targetLimitExceeded, labelLimits             prometheus.Counter
	bodySize, sampleLimit, bucketLimit           prometheus.Counter
	cacheFlushForced                             prometheus.Counter
	duplicate, outOfOrder, outOfBounds           prometheus.Counter
	exemplarOutOfOrder                           prometheus.Counter
	duration                                     prometheus.Histogram
	targetLimit, targets, symbols                *prometheus.GaugeVec
	syncs, syncFailed                            *prometheus.CounterVec
	reloadLength, syncLength, intervalLength     *prometheus.SummaryVec
	syncLengthHistogram, intervalLengthHistogram *prometheus.HistogramVec
}

// newMetrics registers the metrics of a manager.
func newMetrics(reg prometheus.Registerer, targets scrape.TargetsGatherer) (*metrics, error) {
	var errs []error
	add := func(c prometheus.Collector) { errs = append(errs, reg.Register(c)) }
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		add(c)
		return c
	}
	perJob := []string{"scrape_job"}
	gauges := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, perJob)
		add(g)
		return g
	}
	counters := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, perJob)
		add(c)
		return c
	}
	summaries := func(name, help, by string) *prometheus.SummaryVec {
		s := prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help,
			Objectives: map[float64]float64{0.01: 0.001, 0.05: 0.005, 0.5: 0.05, 0.90: 0.01, 0.99: 0.001}}, []string{by})
		add(s)
		return s
	}
	histogramOf := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}
	}
	histograms := func(name, help, by string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(histogramOf(name, help, []float64{.01, .1, 1, 10}), []string{by})
		add(h)
		return h
	}
	duration := prometheus.NewHistogram(histogramOf("prometheus_target_scrape_duration_seconds",
		"Time of a scrape from its begin until it was stored, of jobs with extra_scrape_metrics.", nil))
	add(duration)
	add(&scrape.MetadataMetricsCollector{
		CacheEntries: prometheus.NewDesc("prometheus_target_metadata_cache_entries",
			"Metric families whose type, help and unit are known.", perJob, nil),
		CacheBytes: prometheus.NewDesc("prometheus_target_metadata_cache_bytes",
			"Bytes of type, help and unit of metric families, as if each target had texts of its own.", perJob, nil),
		TargetsGatherer: targets,
	})
	m := &metrics{
		duration:            duration,
		pools:               counter("prometheus_target_scrape_pools_total", "Jobs for which scraping was begun or tried to."),
		poolsFailed:         counter("prometheus_target_scrape_pools_failed_total", "Jobs for which scraping could not be begun."),
		reloads:             counter("prometheus_target_scrape_pool_reloads_total", "Changed configurations of jobs that were taken over or tried to."),
		reloadsFailed:       counter("prometheus_target_scrape_pool_reloads_failed_total", "Changed configurations of jobs that could not be taken over."),
		targetLimitExceeded: counter("prometheus_target_scrape_pool_exceeded_target_limit_total", "Times a job had more targets than its target_limit."),
		labelLimits:         counter("prometheus_target_scrape_pool_exceeded_label_limits_total", "Scrapes that failed by the job's limits of labels."),
		bodySize:            counter("prometheus_target_scrapes_exceeded_body_size_limit_total", "Scrapes that failed by the job's body_size_limit."),
		sampleLimit:         counter("prometheus_target_scrapes_exceeded_sample_limit_total", "Scrapes that failed by the job's sample_limit."),
		bucketLimit:         counter("prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total", "Scrapes that failed by the job's native_histogram_bucket_limit."),
		cacheFlushForced:    counter("prometheus_target_scrapes_cache_flush_forced_total", "Times the known series of a failing target were forgotten because of their number."),
		duplicate:           counter("prometheus_target_scrapes_sample_duplicate_timestamp_total", "Samples dropped because another of the same time is known."),
		outOfOrder:          counter("prometheus_target_scrapes_sample_out_of_order_total", "Samples dropped because a later one is known."),
		outOfBounds:         counter("prometheus_target_scrapes_sample_out_of_bounds_total", "Samples dropped because they are too old, or too far in the future."),
		exemplarOutOfOrder:  counter("prometheus_target_scrapes_exemplar_out_of_order_total", "Exemplars dropped because a later one is known."),
		targetLimit:         gauges("prometheus_target_scrape_pool_target_limit", "The target_limit of the job; 0 is none."),
		targets:             gauges("prometheus_target_scrape_pool_targets", "Targets of the job that are scraped."),
		symbols:             gauges("prometheus_target_scrape_pool_symboltable_items", "Always 0: label texts are not kept in a table."),
		syncs:               counters("prometheus_target_scrape_pool_sync_total", "Times the discovered targets of the job were taken over."),
		syncFailed:          counters("prometheus_target_sync_failed_total", "Targets that could not be made of what was discovered."),
		reloadLength:        summaries("prometheus_target_reload_length_seconds", "Time to take a changed configuration of a job over.", "interval"),
		syncLength:          summaries("prometheus_target_sync_length_seconds", "Time to take discovered targets over.", "scrape_job"),
		intervalLength:      summaries("prometheus_target_interval_length_seconds", "Time between two scrapes of a target.", "interval"),
		syncLengthHistogram: histograms("prometheus_target_sync_length_histogram_seconds", "Time to take discovered targets over.", "scrape_job"),
		intervalLengthHistogram: histograms("prometheus_target_interval_length_histogram_seconds",
			"Time between two scrapes of a target.", "interval"),
	}
	return m, errors.Join(errs...)
}

func (m *metrics) observeInterval(want, was time.Duration) {
	m.intervalLength.WithLabelValues(want.String()).Observe(was.Seconds())
	m.intervalLengthHistogram.WithLabelValues(want.String()).Observe(was.Seconds())
}

func (m *metrics) observeSync(job string, took time.Duration) {
	m.syncLength.WithLabelValues(job).Observe(took.Seconds())
	m.syncLengthHistogram.WithLabelValues(job).Observe(took.Seconds())
	m.syncs.WithLabelValues(job).Inc()
}

func (m *metrics) observeReload(interval, took time.Duration) {
	m.reloadLength.WithLabelValues(interval.String()).Observe(took.Seconds())
}

// forget removes what is said of a job that has gone.
func (m *metrics) forget(job string) {
	for _, v := range []interface{ DeleteLabelValues(...string) bool }{
		m.targetLimit, m.targets, m.symbols, m.syncs, m.syncFailed, m.syncLength, m.syncLengthHistogram,
	} {
		v.DeleteLabelValues(job)
	}
}
