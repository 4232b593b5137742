package promstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

const (
	// readPause is the least time between two looks at the log: its commits come as
	// often as scrapes do, and what is read waits for its batch to fill up anyway.
	readPause = 100 * time.Millisecond
	// readTick is how often the log is looked at without being told of a commit.
	readTick = time.Second
	// markPause is how often the mark is written at most. What is sent between the
	// last mark and a kill is sent again, and receivers may refuse what is older than
	// the newest they have of a series.
	markPause = 200 * time.Millisecond
	// logRetry is how long the reader waits after an error of the log's files.
	logRetry = 5 * time.Second
	// scaleEach is how often the number of shards is thought over, as Prometheus does.
	scaleEach = 10 * time.Second
)

// sentSeries is a series of the log as the endpoint gets it.
type sentSeries struct {
	labels  labels.Labels
	meta    *metadata.Metadata // nil: none known
	segment int32              // of the log, where it was seen last
	sent    bool               // false: relabelling drops it
}

// item is a sample on its way.
type item struct {
	labels labels.Labels
	meta   *metadata.Metadata
	time   int64
	value  float64
	more   *itemMore // nil for an ordinary sample
}

// itemMore is what few samples have.
type itemMore struct {
	kind      int
	start     int64 // start timestamp of a counter, 0: not known
	histogram *histogram.Histogram
	floats    *histogram.FloatHistogram
	exemplar  labels.Labels
}

func (i *item) kind() int {
	if i.more == nil {
		return kindSample
	}
	return i.more.kind
}

// queue reads the log for one endpoint. Everything but what is marked otherwise
// belongs to the goroutine that reads.
type queue struct {
	set      *forwarder
	key      string
	same     string
	name     string
	endpoint string // without a password
	conf     *config.RemoteWriteConfig
	external []labels.Label
	log      *slog.Logger
	client   atomic.Pointer[writeClient] // any goroutine
	oddMu    sync.Mutex                  // held where odd changes
	odd      atomic.Bool                 // any goroutine: the endpoint stores nothing
	seen     atomic.Int64                // any goroutine: time of the newest sample it has answered to, in s
	taken    atomic.Int64                // any goroutine: time up to which it has taken all, as the mark tells, in ms; 0: not known yet
	gauges   *queueMetrics               // any goroutine
	metadata *remote.MetadataWatcher     // nil: not sent

	news     chan struct{}      // something was written to the log
	soft     context.Context    // ends when no request shall be begun any more
	endSoft  context.CancelFunc // -
	hard     context.Context    // ends when requests under way shall end
	endHard  context.CancelFunc // -
	last     chan struct{}      // closed: send what there is, then end
	finished sync.WaitGroup     // the reader

	builder *labels.Builder
	decoder record.Decoder
	buffers struct {
		series     []record.RefSeries
		samples    []record.RefSample
		exemplars  []record.RefExemplar
		histograms []record.RefHistogramSample
		floats     []record.RefFloatHistogramSample
		metadata   []record.RefMetadata
	}
	series map[chunks.HeadSeriesRef]sentSeries

	next    place // to be read
	newest  int64 // time of the newest sample before it, not in the future
	skip    skip
	cleaned int // checkpoint by which series were last forgotten

	shards  []*shard
	ended   bool      // the shards
	marked  mark      // as last written
	markAt  time.Time // of the next one
	markDue bool      // something was sent, or is on its way, that the last one does not tell
	scaling scaling
}

// skip is what of the log is not to be sent.
type skip struct {
	mark *mark // what was sent before; nil: nothing, or it has been passed
	// Without a mark nothing is sent that was in the log before the start: what is
	// before an offset of a segment.
	old     bool // not passed yet
	segment int
	offset  int64
}

func newQueue(f *forwarder, w wantedQueue, external labels.Labels) *queue {
	q := &queue{
		set: f, key: w.key, same: w.same, conf: w.conf,
		name: w.Name(), endpoint: w.conf.URL.Redacted(),
		news: make(chan struct{}, 1), last: make(chan struct{}),
		builder: labels.NewBuilder(labels.EmptyLabels()),
		series:  make(map[chunks.HeadSeriesRef]sentSeries),
		cleaned: -1,
	}
	external.Range(func(l labels.Label) { q.external = append(q.external, l) })
	q.log = f.log.With("remote_name", q.name, "url", q.endpoint)
	q.decoder = record.NewDecoder(nil, q.log)
	q.client.Store(&w.writeClient)
	q.soft, q.endSoft = context.WithCancel(context.Background())
	q.hard, q.endHard = context.WithCancel(context.Background())
	return q
}

// start begins where the mark says, or at the end of the log.
func (q *queue) start() {
	q.gauges = q.set.metrics.queue(q)
	q.begin()
	q.makeShards(max(q.conf.QueueConfig.MinShards, 1))
	q.scaling.begin(time.Now())
	q.finished.Go(q.run)
	// Remote write 2.0 sends the metadata of the log with each series.
	if m := &q.conf.MetadataConfig; m.Send && q.conf.ProtobufMessage == remoteapi.WriteV1MessageType {
		q.metadata = remote.NewMetadataWatcher(q.log, q.set.scrapes, q.name, metadataSender{q}, m.SendInterval, q.set.flush)
		q.metadata.Start()
	}
}

// begin finds the place to begin at.
func (q *queue) begin() {
	first, last, err := wlog.Segments(q.set.wal)
	if err != nil {
		first, last = -1, -1 // the reader will say so
	}
	m, err := readMark(q.set.marks, q.key)
	if err != nil {
		q.log.Warn("Remote write: how much was sent before is not known, only what comes from now on is sent", "err", err)
	}
	if m != nil && q.set.first {
		// The storage began its last segment just now. A mark beyond is one of a log that
		// was cut off by a repair, and all that is left of that was sent.
		for i := range m.Shards {
			m.Shards[i] = min(m.Shards[i], at(max(last, 0), 0))
		}
	}
	q.next = at(max(first, 0), 0)
	if m != nil {
		q.newest = m.Time
		q.skip.mark = m
		q.seen.Store(m.Time / 1000)
		q.gauges.sentSeen.Set(float64(m.Time / 1000))
		q.log.Info("Remote write goes on where it ended", "segment", m.first().segment())
		return
	}
	q.newest = time.Now().UnixMilli()
	q.skip = skip{old: true, segment: last}
	if s, err := os.Stat(wlog.SegmentName(q.set.wal, last)); err == nil {
		q.skip.offset = s.Size()
	}
}

// notify tells of a commit. It never waits.
func (q *queue) notify() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// pause ends the queue soon; what was not sent is left to the next one.
func (q *queue) pause() { q.end(q.endSoft, pauseWait) }

// finish sends the log to its end, for as long as a stop may take.
func (q *queue) finish() { q.end(func() { close(q.last) }, q.set.flush) }

func (q *queue) end(tell func(), wait time.Duration) {
	tell()
	late := time.AfterFunc(wait, func() { q.endSoft(); q.endHard() })
	if q.metadata != nil {
		q.metadata.Stop()
	}
	q.finished.Wait()
	late.Stop()
	q.endSoft()
	q.endHard()
	q.wrong("")
	q.set.metrics.forget(q)
}

// run reads until the queue ends.
func (q *queue) run() {
	unsent := q.next.segment()
	if q.skip.mark != nil {
		unsent = q.skip.mark.first().segment()
	}
	for {
		err := q.readCheckpoint(unsent)
		for err == nil {
			err = q.readSegment()
		}
		if errors.Is(err, errStopped) {
			break
		}
		unsent = q.next.segment()
		q.log.Error("Remote write: the log cannot be read", "err", err)
		if !sleep(q.soft, logRetry) {
			break
		}
		select {
		case <-q.last:
			q.endSoft()
		default:
		}
	}
	if q.soft.Err() == nil {
		q.pushAll()
	}
	q.endShards()
	q.writeMark(true)
	if left := q.left(); left > 0 {
		q.log.Warn("Remote write: the stop did not wait for all to be sent, the next start goes on with the rest", "samples", left)
	}
}

// readCheckpoint reads the series of the checkpoint. Its samples are read where the
// segment of the first that has to be sent is not there any more. The checkpoint does
// not say where in the log they were, only what is newer than all that was sent is.
func (q *queue) readCheckpoint(unsent int) error {
	dir, index, err := wlog.LastCheckpoint(q.set.wal)
	if errors.Is(err, record.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var wanted func(int64) bool
	if unsent <= index && !q.skip.old {
		newest := q.newest
		wanted = func(t int64) bool { return t > newest }
		q.next = at(index, 0)
		q.gauges.missed.Inc()
		q.log.Warn("Remote write is behind the log: of what was removed from it, only the checkpoint has some", "segment", unsent, "checkpoint", index)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		err := q.eachRecord(filepath.Join(dir, f.Name()), func(rec []byte) error {
			return q.take(rec, at(index, endOfSegment), q.next, wanted)
		})
		if err != nil {
			return err
		}
	}
	q.next = max(q.next, at(index+1, 0))
	q.cleaned = index
	return nil
}

// eachRecord reads a file that nobody writes to any more.
func (q *queue) eachRecord(file string, do func(rec []byte) error) error {
	s, err := wlog.OpenReadSegment(file)
	if err != nil {
		return err
	}
	defer s.Close()
	r := wlog.NewLiveReader(q.log, q.set.readers, s)
	for r.Next() {
		if err := do(r.Record()); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readSegment reads the segment of the next place, and what is added to it, until
// there is a later one. It returns errStopped when the queue ends.
func (q *queue) readSegment() error {
	number := q.next.segment()
	file := wlog.SegmentName(q.set.wal, number)
	s, err := wlog.OpenReadSegment(file)
	if errors.Is(err, fs.ErrNotExist) {
		return q.jump(number)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	q.gauges.segment.Set(float64(number))
	r := wlog.NewLiveReader(q.log, q.set.readers, s)
	done := int(uint32(q.next)) // records that were read before an error
	over, broken := false, false
	for n := 0; ; {
		for !broken && r.Next() {
			if n++; n <= done {
				continue
			}
			here := at(number, n-1)
			if err := q.take(r.Record(), here, at(number, n), q.unsent(here, r.Offset())); err != nil {
				return err
			}
			q.next = at(number, n)
		}
		if err := r.Err(); err != nil && !errors.Is(err, io.EOF) && !broken {
			q.log.Error("Remote write: the log is broken, the rest of the segment cannot be sent", "segment", number, "err", err)
			q.gauges.broken.Inc()
			broken = true
		}
		if number >= q.skip.segment {
			q.skip.old = false
		}
		switch {
		case over:
			q.next = at(number+1, 0)
			q.forgetSeries(number)
			return nil
		case !exists(wlog.SegmentName(q.set.wal, number+1)) && exists(file):
			if err := q.wait(); err != nil {
				return err
			}
		default: // read once more what was added until the next one was begun
			over = true
		}
	}
}

// jump goes on behind segments that were removed before they were read.
func (q *queue) jump(number int) error {
	first, last, err := wlog.Segments(q.set.wal)
	if err != nil {
		return err
	}
	if number > last { // the log is between two segments, or not there at all
		if err := q.wait(); err != nil {
			return err
		}
		return nil
	}
	if number < first {
		q.log.Warn("Remote write: a part of the log was removed before it was read", "from", number, "to", first-1)
		if err := q.readCheckpoint(number); err != nil {
			return err
		}
		if q.next.segment() == number { // there is no checkpoint
			q.gauges.missed.Inc()
		}
		q.next = max(q.next, at(first, 0))
		return nil
	}
	return fmt.Errorf("%s is missing", wlog.SegmentName(q.set.wal, number))
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// unsent says which samples of a record have to be sent, which ends at an offset of its
// segment; nil: none.
func (q *queue) unsent(here place, end int64) func(int64) bool {
	k := &q.skip
	if k.old && (here.segment() < k.segment || here.segment() == k.segment && end <= k.offset) {
		return nil
	}
	k.old = false
	if k.mark != nil && here < k.mark.first() {
		return nil
	}
	if k.mark != nil && here >= k.mark.last() {
		k.mark = nil // all that comes is to be sent
	}
	return everySample
}

func everySample(int64) bool { return true }

// take reads the record at a place, the next one being after it. Its samples are dealt
// out if wanted is true of their time; nil is true of none.
func (q *queue) take(rec []byte, here, after place, wanted func(int64) bool) (err error) {
	kind := q.decoder.Type(rec)
	b := &q.buffers
	q.gauges.records.WithLabelValues(kind.String()).Inc()
	switch kind {
	case record.Series:
		b.series, err = q.decoder.Series(rec, b.series[:0])
		for _, s := range b.series {
			l, sent := q.relabelled(s.Labels)
			known := q.series[s.Ref]
			q.series[s.Ref] = sentSeries{labels: l, meta: known.meta, segment: int32(here.segment()), sent: sent}
		}
	case record.Metadata:
		if q.conf.ProtobufMessage == remoteapi.WriteV1MessageType {
			return nil
		}
		b.metadata, err = q.decoder.Metadata(rec, b.metadata[:0])
		for _, m := range b.metadata {
			if s, ok := q.series[m.Ref]; ok {
				s.meta = &metadata.Metadata{Type: record.ToMetricType(m.Type), Unit: m.Unit, Help: m.Help}
				q.series[m.Ref] = s
			}
		}
	case record.Unknown:
		q.gauges.broken.Inc()
	default:
		if wanted == nil {
			return nil
		}
		d := dealing{q: q, here: here, after: after, now: time.Now(), wanted: wanted}
		if age := time.Duration(q.conf.QueueConfig.SampleAgeLimit); age > 0 {
			d.oldest = d.now.Add(-age).UnixMilli()
		}
		err = d.deal(rec, kind)
		if err == nil {
			err = d.done()
		}
	}
	if err != nil && !errors.Is(err, errStopped) {
		q.gauges.broken.Inc()
		q.log.Error("Remote write: a record of the log cannot be understood", "place", here, "type", kind, "err", err)
		return nil
	}
	return err
}

// dealing is the dealing out of one record.
type dealing struct {
	q      *queue
	here   place // of the record
	after  place // of the next
	now    time.Time
	oldest int64 // time of a sample that may be sent
	wanted func(int64) bool
	count  [sampleKinds]int
	newest int64
}

func (d *dealing) deal(rec []byte, kind record.Type) (err error) {
	q, b := d.q, &d.q.buffers
	switch kind {
	case record.Samples, record.SamplesV2:
		b.samples, err = q.decoder.Samples(rec, b.samples[:0])
		if err != nil {
			return err
		}
		for i := range b.samples {
			s := &b.samples[i]
			if err := d.one(s.Ref, item{time: s.T, value: s.V}, itemMore{kind: kindSample, start: s.ST}); err != nil {
				return err
			}
		}
	case record.Exemplars:
		if !q.conf.SendExemplars {
			return nil
		}
		b.exemplars, err = q.decoder.Exemplars(rec, b.exemplars[:0])
		if err != nil {
			return err
		}
		for _, e := range b.exemplars {
			if err := d.one(e.Ref, item{time: e.T, value: e.V}, itemMore{kind: kindExemplar, exemplar: e.Labels}); err != nil {
				return err
			}
		}
	case record.HistogramSamples, record.CustomBucketsHistogramSamples, record.HistogramSamplesV2:
		if !q.conf.SendNativeHistograms {
			return nil
		}
		b.histograms, err = q.decoder.HistogramSamples(rec, b.histograms[:0])
		if err != nil {
			return err
		}
		for _, h := range b.histograms {
			if err := d.one(h.Ref, item{time: h.T}, itemMore{kind: kindHistogram, start: h.ST, histogram: h.H}); err != nil {
				return err
			}
		}
	case record.FloatHistogramSamples, record.CustomBucketsFloatHistogramSamples, record.FloatHistogramSamplesV2:
		if !q.conf.SendNativeHistograms {
			return nil
		}
		b.floats, err = q.decoder.FloatHistogramSamples(rec, b.floats[:0])
		if err != nil {
			return err
		}
		for _, h := range b.floats {
			if err := d.one(h.Ref, item{time: h.T}, itemMore{kind: kindHistogram, start: h.ST, floats: h.FH}); err != nil {
				return err
			}
		}
	}
	return nil
}

// one deals out one sample. More is kept only where it says more than that it is one.
func (d *dealing) one(ref chunks.HeadSeriesRef, i item, more itemMore) error {
	q := d.q
	if !d.wanted(i.time) {
		return nil
	}
	if m := q.skip.mark; m != nil && d.here < m.Shards[uint64(ref)%uint64(len(m.Shards))] {
		return nil
	}
	s, ok := q.series[ref]
	switch {
	case i.time < d.oldest:
		q.gauges.dropped[more.kind].WithLabelValues(droppedOld).Inc()
		return nil
	case !ok:
		q.gauges.dropped[more.kind].WithLabelValues(droppedUnknown).Inc()
		return nil
	case !s.sent:
		q.gauges.dropped[more.kind].WithLabelValues(droppedSeries).Inc()
		return nil
	case more.kind == kindHistogram && q.conf.ProtobufMessage == remoteapi.WriteV1MessageType && customBuckets(&more):
		q.gauges.dropped[more.kind].WithLabelValues(droppedBuckets).Inc()
		return nil
	}
	i.labels, i.meta = s.labels, s.meta
	if more.kind != kindSample || more.start != 0 {
		kept := more // only what is kept goes to the heap
		i.more = &kept
	}
	d.newest = max(d.newest, i.time)
	d.count[more.kind]++
	return q.add(ref, i, d.here, d.now)
}

func customBuckets(m *itemMore) bool {
	return m.histogram != nil && m.histogram.Schema == histogram.CustomBucketsSchema ||
		m.floats != nil && m.floats.Schema == histogram.CustomBucketsSchema
}

// done counts what was dealt out, and does what is due from time to time.
func (d *dealing) done() error {
	q := d.q
	for kind, n := range d.count {
		if n > 0 {
			q.gauges.pending[kind].Add(float64(n))
		}
	}
	if d.newest > 0 {
		q.newest = max(q.newest, min(d.newest, d.now.UnixMilli()))
		q.gauges.read.Set(float64(q.newest / 1000))
	}
	q.next = d.after
	return q.tend(d.now)
}

// wait waits for something to be written to the log. Meanwhile it sends batches that
// have waited long enough.
func (q *queue) wait() error {
	select {
	case <-q.last:
		return errStopped
	default:
	}
	began := time.Now()
	timer := time.NewTimer(readTick)
	defer timer.Stop()
	for {
		now := time.Now()
		if err := q.tend(now); err != nil {
			return err
		}
		next := began.Add(readTick)
		if due := q.nextDue(); !due.IsZero() && due.Before(next) {
			next = due
		}
		if q.markDue && q.markAt.Before(next) {
			next = q.markAt
		}
		timer.Reset(max(next.Sub(now), time.Millisecond))
		select {
		case <-q.soft.Done():
			return errStopped
		case <-q.last:
			return nil // and one more look at the log
		case <-q.news:
			sleepOr(q.soft, q.last, readPause-time.Since(began))
			return nil
		case <-timer.C:
			if time.Since(began) >= readTick {
				return nil
			}
		}
	}
}

// sleepOr is sleep that another channel ends, too.
func sleepOr(ctx context.Context, other <-chan struct{}, d time.Duration) {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-other:
	case <-t.C:
	}
}

// tend does what is due from time to time: batches that have waited long enough, the
// mark, the number of shards.
func (q *queue) tend(now time.Time) error {
	if q.soft.Err() != nil {
		return errStopped
	}
	for _, s := range q.shards {
		if s.filling != nil && !now.Before(s.since.Add(time.Duration(q.conf.QueueConfig.BatchSendDeadline))) {
			if err := q.push(s, q.next); err != nil {
				return err
			}
		}
	}
	if now.After(q.markAt) {
		q.writeMark(false)
	}
	return q.scale(now)
}

// nextDue is when the oldest of the batches that are being filled has to go.
func (q *queue) nextDue() time.Time {
	var due time.Time
	for _, s := range q.shards {
		if s.filling != nil && (due.IsZero() || s.since.Before(due)) {
			due = s.since
		}
	}
	if due.IsZero() {
		return due
	}
	return due.Add(time.Duration(q.conf.QueueConfig.BatchSendDeadline))
}

// forgetSeries removes series that the newest checkpoint and the segments after it do
// not know any more. All segments up to read have been read.
func (q *queue) forgetSeries(read int) {
	dir, index, err := wlog.LastCheckpoint(q.set.wal)
	if err != nil || index <= q.cleaned || index > read {
		return
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, f := range files {
		err := q.eachRecord(filepath.Join(dir, f.Name()), func(rec []byte) error {
			if q.decoder.Type(rec) != record.Series {
				return nil
			}
			var err error
			q.buffers.series, err = q.decoder.Series(rec, q.buffers.series[:0])
			for _, s := range q.buffers.series {
				if known, ok := q.series[s.Ref]; ok && int(known.segment) < index {
					known.segment = int32(index)
					q.series[s.Ref] = known
				}
			}
			return err
		})
		if err != nil {
			q.log.Warn("Remote write: a checkpoint of the log cannot be read", "checkpoint", index, "err", err)
			return
		}
	}
	for ref, s := range q.series {
		if int(s.segment) < index {
			delete(q.series, ref)
		}
	}
	q.cleaned = index
}

// progress is what the endpoint has taken.
func (q *queue) progress() mark {
	m := mark{Endpoint: q.endpoint, Shards: make([]place, len(q.shards)), Time: q.newest}
	for i, s := range q.shards {
		switch {
		case s.delivered.Load() != s.pushed:
			m.Shards[i] = place(s.done.Load())
			m.Time = min(m.Time, s.newest.Load())
		case s.filling != nil:
			m.Shards[i] = s.first
			m.Time = min(m.Time, s.newest.Load())
		default:
			m.Shards[i] = q.next
		}
	}
	return m
}

// writeMark notes what the endpoint has taken, if that has changed.
func (q *queue) writeMark(last bool) {
	now := time.Now()
	q.markAt = now.Add(markPause)
	if q.skip.old || q.skip.mark != nil && q.next < q.skip.mark.last() {
		return // what was noted before holds, until reading is where that ended
	}
	q.markDue = slices.ContainsFunc(q.shards, func(s *shard) bool { return s.delivered.Load() != s.pushed })
	m := q.progress()
	if !last && slices.Equal(m.Shards, q.marked.Shards) {
		return
	}
	if err := m.write(q.set.marks, q.key, last); err != nil {
		q.log.Error("Remote write: how much was sent cannot be noted, a restart would send it again", "err", err)
		return
	}
	q.marked = m
	q.taken.Store(m.Time)
	q.set.tellTaken()
}
