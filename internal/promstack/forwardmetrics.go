package promstack

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a sample was not sent, as Prometheus names it.
const (
	droppedOld     = "too_old"
	droppedSeries  = "dropped_series"
	droppedUnknown = "unintentionally_dropped_series"
	droppedBuckets = "nhcb_in_rw1_not_supported"
)

// What is counted by its kind.
const (
	kindSample = iota
	kindHistogram
	kindExemplar
	sampleKinds
)

// forwardMetrics are those of all queues, under the names that Prometheus gives them.
type forwardMetrics struct {
	committed atomic.Int64 // time of the last commit, in s since 1970

	sent, failed, retried, dropped [sampleKinds]*prometheus.CounterVec
	pending                        [sampleKinds]*prometheus.GaugeVec
	metadata, metadataFailed       *prometheus.CounterVec
	metadataRetried, metadataBytes *prometheus.CounterVec
	bytes, full, missed            *prometheus.CounterVec
	read, sentSeen, segment        *prometheus.GaugeVec
	shards, wanted, least, most    *prometheus.GaugeVec
	capacity, batch                *prometheus.GaugeVec
	notStored                      *prometheus.GaugeVec
	records                        *prometheus.CounterVec
	broken                         *prometheus.CounterVec
	seconds                        *prometheus.HistogramVec

	every []vector // all of them, to remove an endpoint from
}

// vector is what both sampleKinds of vectors can do.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

// of are the labels that tell the queues apart.
var ofQueue = []string{"remote_name", "url"}

func newForwardMetrics(reg prometheus.Registerer) *forwardMetrics {
	m := &forwardMetrics{}
	const prefix = "prometheus_remote_storage_"
	add := func(v vector) {
		m.every = append(m.every, v)
		reg.MustRegister(v)
	}
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(ofQueue[:2:2], more...))
		add(v)
		return v
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, ofQueue)
		add(v)
		return v
	}
	for kind, name := range [sampleKinds]string{"samples", "histograms", "exemplars"} {
		m.sent[kind] = counter(prefix+name+"_total", "Sent "+name+", each attempt counted.")
		m.failed[kind] = counter(prefix+name+"_failed_total", "Lost "+name+": the endpoint refused them for good.")
		m.retried[kind] = counter(prefix+name+"_retried_total", "Sent "+name+" that the endpoint could not take at that time, and that are sent again.")
		m.dropped[kind] = counter(prefix+name+"_dropped_total", "Not sent "+name+", by reason.", "reason")
		m.pending[kind] = gauge(prefix+name+"_pending", "Read from the log but not sent yet: "+name+".")
	}
	m.metadata = counter(prefix+"metadata_total", "Sent metadata entries.")
	m.metadataFailed = counter(prefix+"metadata_failed_total", "Metadata entries that the endpoint refused for good.")
	m.metadataRetried = counter(prefix+"metadata_retried_total", "Metadata entries that are sent again.")
	m.metadataBytes = counter(prefix+"metadata_bytes_total", "Sent bytes of metadata, compressed.")
	m.bytes = counter(prefix+"bytes_total", "Sent bytes without those of metadata, compressed.")
	m.full = counter(prefix+"enqueue_retries_total", "Times at which the reading of the log had to wait for a shard with a full queue.")
	m.read = gauge(prefix+"queue_highest_timestamp_seconds", "Time of the newest sample that was read from the log.")
	m.sentSeen = gauge(prefix+"queue_highest_sent_timestamp_seconds", "Time of the newest sample that the endpoint has answered to.")
	m.shards = gauge(prefix+"shards", "Shards that send at a time.")
	m.wanted = gauge(prefix+"shards_desired", "Shards that the rate of samples asks for.")
	m.least = gauge(prefix+"shards_min", "Least number of shards (min_shards).")
	m.most = gauge(prefix+"shards_max", "Largest number of shards (max_shards).")
	m.capacity = gauge(prefix+"shard_capacity", "Samples that may wait in one shard (capacity).")
	m.batch = gauge(prefix+"max_samples_per_send", "Largest number of samples in a request (max_samples_per_send).")
	m.notStored = gauge("watchpost_remote_write_not_stored", "1 while the endpoint answers with success although its answer shows that it has stored nothing.")
	m.missed = counter("watchpost_remote_write_log_gaps_total", "Times at which a part of the log was removed before it could be sent.")
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "sent_batch_duration_seconds", Help: "Time that the endpoint took to answer.",
		Buckets:                     append(prometheus.DefBuckets[:len(prometheus.DefBuckets):len(prometheus.DefBuckets)], 25, 60, 120, 300),
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, ofQueue)
	add(m.seconds)

	// These have one label, the queue's name.
	m.segment = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prometheus_wal_watcher_current_segment", Help: "Segment of the log that is being read."}, []string{"consumer"})
	m.records = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prometheus_wal_watcher_records_read_total", Help: "Records read from the log, by type."}, []string{"consumer", "type"})
	m.broken = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prometheus_wal_watcher_record_decode_failures_total", Help: "Records of the log that could not be understood."}, []string{"consumer"})
	reg.MustRegister(m.segment, m.records, m.broken,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: prefix + "highest_timestamp_in_seconds",
			Help: "Time of the last commit of samples to the log that remote write reads, 0 before the first.",
		}, func() float64 { return float64(m.committed.Load()) }))
	return m
}

// queueMetrics are those of one queue.
type queueMetrics struct {
	sent, failed, retried [sampleKinds]prometheus.Counter
	pending               [sampleKinds]prometheus.Gauge
	dropped               [sampleKinds]*prometheus.CounterVec
	metadata, metadataFailed, metadataRetried, metadataBytes,
	bytes, full, missed, broken prometheus.Counter
	read, sentSeen, segment, shards, wanted, notStored prometheus.Gauge
	seconds                                            prometheus.Observer
	records                                            *prometheus.CounterVec
}

func (m *forwardMetrics) queue(q *queue) *queueMetrics {
	name, url := q.name, q.endpoint
	g := &queueMetrics{
		metadata:        m.metadata.WithLabelValues(name, url),
		metadataFailed:  m.metadataFailed.WithLabelValues(name, url),
		metadataRetried: m.metadataRetried.WithLabelValues(name, url),
		metadataBytes:   m.metadataBytes.WithLabelValues(name, url),
		bytes:           m.bytes.WithLabelValues(name, url),
		full:            m.full.WithLabelValues(name, url),
		broken:          m.broken.WithLabelValues(name),
		read:            m.read.WithLabelValues(name, url),
		sentSeen:        m.sentSeen.WithLabelValues(name, url),
		segment:         m.segment.WithLabelValues(name),
		shards:          m.shards.WithLabelValues(name, url),
		wanted:          m.wanted.WithLabelValues(name, url),
		notStored:       m.notStored.WithLabelValues(name, url),
		missed:          m.missed.WithLabelValues(name, url),
		seconds:         m.seconds.WithLabelValues(name, url),
		records:         m.records.MustCurryWith(prometheus.Labels{"consumer": name}),
	}
	for kind := range sampleKinds {
		g.sent[kind] = m.sent[kind].WithLabelValues(name, url)
		g.failed[kind] = m.failed[kind].WithLabelValues(name, url)
		g.retried[kind] = m.retried[kind].WithLabelValues(name, url)
		g.pending[kind] = m.pending[kind].WithLabelValues(name, url)
		g.dropped[kind] = m.dropped[kind].MustCurryWith(prometheus.Labels{"remote_name": name, "url": url})
	}
	c := &q.conf.QueueConfig
	m.least.WithLabelValues(name, url).Set(float64(c.MinShards))
	m.most.WithLabelValues(name, url).Set(float64(c.MaxShards))
	m.capacity.WithLabelValues(name, url).Set(float64(c.Capacity))
	m.batch.WithLabelValues(name, url).Set(float64(c.MaxSamplesPerSend))
	return g
}

// forget removes a queue that has ended.
func (m *forwardMetrics) forget(q *queue) {
	for _, v := range m.every {
		v.DeletePartialMatch(prometheus.Labels{"remote_name": q.name, "url": q.endpoint})
	}
	for _, v := range []vector{m.segment, m.records, m.broken} {
		v.DeletePartialMatch(prometheus.Labels{"consumer": q.name})
	}
}
