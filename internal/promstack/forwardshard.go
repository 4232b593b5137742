package promstack

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// batch is what goes into one request.
type batch struct {
	items []item
	upto  place // all samples of the shard before it are in this batch or an earlier one
}

// shard sends the samples of some of the series, in the order of the log.
type shard struct {
	in   chan *batch
	free chan *batch   // sent ones, to be filled again
	over chan struct{} // closed: it sends no more

	// Of the reader.
	filling *batch    // nil: nothing waits to be pushed
	first   place     // of the first item of filling
	since   time.Time // when that came
	pushed  int64     // batches
	dropped int       // samples of the batch at which it ended, once it is over

	// Of both.
	delivered atomic.Int64  // batches
	done      atomic.Uint64 // the place up to which all is delivered
	newest    atomic.Int64  // time of the newest sample that was delivered, in ms
}

// makeShards starts n shards, in which nothing is on its way.
func (q *queue) makeShards(n int) {
	c := &q.conf.QueueConfig
	room := max(c.Capacity/max(c.MaxSamplesPerSend, 1), 1)
	q.shards = make([]*shard, n)
	for i := range q.shards {
		s := &shard{in: make(chan *batch, room), free: make(chan *batch, room+2), over: make(chan struct{})}
		s.done.Store(uint64(q.next))
		s.newest.Store(q.newest)
		q.shards[i] = s
		go q.sendAll(s)
	}
	q.ended = false
	q.gauges.shards.Set(float64(n))
}

// add puts a sample of the record at a place into the batch of its shard.
func (q *queue) add(ref chunks.HeadSeriesRef, i item, here place, now time.Time) error {
	s := q.shards[uint64(ref)%uint64(len(q.shards))]
	if s.filling == nil {
		select {
		case s.filling = <-s.free:
		default:
			s.filling = &batch{}
		}
		s.first, s.since = here, now
	}
	s.filling.items = append(s.filling.items, i)
	if len(s.filling.items) < q.conf.QueueConfig.MaxSamplesPerSend {
		return nil
	}
	return q.push(s, here)
}

// push hands the batch over, and waits where the shard has no room.
func (q *queue) push(s *shard, upto place) error {
	b := s.filling
	b.upto = upto
	if s.delivered.Load() == s.pushed {
		s.done.Store(uint64(s.first)) // before it there is nothing of this shard
	}
	select {
	case s.in <- b:
	default:
		q.gauges.full.Inc()
		if err := q.pushLate(s, b); err != nil {
			return err
		}
	}
	s.filling = nil
	s.pushed++
	q.markDue = true
	return nil
}

// pushLate waits for room. Meanwhile marks are written, as other shards go on.
func (q *queue) pushLate(s *shard, b *batch) error {
	began := time.Now()
	defer func() { q.scaling.blocked += time.Since(began) }()
	tick := time.NewTicker(markPause)
	defer tick.Stop()
	for {
		select {
		case s.in <- b:
			return nil
		case <-q.soft.Done():
			return errStopped
		case <-tick.C:
			if time.Now().After(q.markAt) {
				q.writeMark(false)
			}
		}
	}
}

// pushAll hands over all that waits.
func (q *queue) pushAll() {
	for _, s := range q.shards {
		if s.filling != nil && q.push(s, q.next) != nil {
			return
		}
	}
}

// endShards waits until the shards have sent what they have, or may send no more.
func (q *queue) endShards() {
	if q.ended {
		return
	}
	q.ended = true
	for _, s := range q.shards {
		close(s.in)
	}
	for _, s := range q.shards {
		<-s.over
	}
}

// left is how many samples were on their way when the shards ended.
func (q *queue) left() (n int) {
	for _, s := range q.shards {
		if s.filling != nil {
			n += len(s.filling.items)
		}
		for b := range s.in { // closed
			n += len(b.items)
		}
		n += s.dropped
	}
	return n
}

// sendAll sends the batches of a shard until there are no more or the queue ends.
func (q *queue) sendAll(s *shard) {
	defer close(s.over)
	var w wire
	for b := range s.in {
		newest, ok := q.send(b, &w)
		if !ok {
			s.dropped = len(b.items)
			return
		}
		if newest > s.newest.Load() {
			s.newest.Store(newest)
		}
		s.done.Store(uint64(b.upto))
		s.delivered.Add(1)
		clear(b.items)
		b.items = b.items[:0]
		select {
		case s.free <- b:
		default:
		}
	}
}

// counts are numbers of samples by kind.
type counts [sampleKinds]int

// send sends a batch until the endpoint has taken it or refused it for good; false: the
// queue ended before. It returns the time of the newest sample.
func (q *queue) send(b *batch, w *wire) (newest int64, ok bool) {
	var count counts
	newest, oldest := int64(math.MinInt64), int64(math.MaxInt64)
	for i := range b.items {
		it := &b.items[i]
		count[it.kind()]++
		newest, oldest = max(newest, it.time), min(oldest, it.time)
	}
	whole := count
	items := b.items
	req := w.request(q, items)
	attempts := attempts{q: q, retry: func() {
		for kind, n := range count {
			q.gauges.retried[kind].Add(float64(n))
		}
	}}
	err := attempts.until(func(ctx context.Context, try int) (remote.WriteResponseStats, error) {
		if age := time.Duration(q.conf.QueueConfig.SampleAgeLimit); age > 0 && try > 0 {
			if limit := time.Now().Add(-age).UnixMilli(); oldest < limit {
				items, oldest = q.young(items, limit, &count)
				if len(items) == 0 {
					return remote.WriteResponseStats{}, nil
				}
				req = w.request(q, items)
			}
		}
		for kind, n := range count {
			if n > 0 {
				q.gauges.sent[kind].Add(float64(n))
			}
		}
		return q.client.Load().send(ctx, req, try, count)
	})
	if errors.Is(err, errStopped) {
		return 0, false
	}
	for kind, n := range whole {
		q.gauges.pending[kind].Sub(float64(n))
	}
	if err != nil {
		q.lost(count, attempts.stored, err)
	} else if !attempts.stored.Confirmed || len(items) == 0 {
		q.wrong("")
	} else if written := attempts.stored; written.Samples < count[kindSample] || written.Histograms < count[kindHistogram] || written.Exemplars < count[kindExemplar] {
		q.lost(count, written, errors.New("the endpoint answers with success, but says that it has not stored all"))
	} else {
		q.wrong("")
	}
	q.gauges.bytes.Add(float64(len(req)))
	if seen := newest / 1000; seen > q.seen.Load() {
		q.seen.Store(seen)
		q.gauges.sentSeen.Set(float64(seen))
	}
	return newest, true
}

// lost counts what the endpoint has refused for good.
func (q *queue) lost(sent counts, stored remote.WriteResponseStats, err error) {
	for kind, n := range [sampleKinds]int{stored.Samples, stored.Histograms, stored.Exemplars} {
		if d := sent[kind] - n; d > 0 {
			q.gauges.failed[kind].Add(float64(d))
		}
	}
	if errors.Is(err, errNothingStored) {
		q.wrong(err.Error())
	}
	q.log.Error("Remote write: the endpoint refuses samples for good, they are lost to it", "samples", sent[kindSample]-stored.Samples,
		"histograms", sent[kindHistogram]-stored.Histograms, "exemplars", sent[kindExemplar]-stored.Exemplars, "err", err)
}

// young keeps the items that are not too old to be sent.
func (q *queue) young(items []item, limit int64, count *counts) ([]item, int64) {
	kept, oldest := items[:0], int64(math.MaxInt64)
	for _, it := range items {
		if it.time < limit {
			q.gauges.dropped[it.kind()].WithLabelValues(droppedOld).Inc()
			count[it.kind()]--
			continue
		}
		oldest = min(oldest, it.time)
		kept = append(kept, it)
	}
	return kept, oldest
}

// attempts are those of one request.
type attempts struct {
	q      *queue
	retry  func()
	stored remote.WriteResponseStats // as far as the answers tell
}

// until tries until the request is taken, refused for good, or the queue has ended.
func (a *attempts) until(try func(ctx context.Context, n int) (remote.WriteResponseStats, error)) error {
	q := a.q
	c := &q.conf.QueueConfig
	pause := time.Duration(c.MinBackoff)
	for n := 0; ; n++ {
		if q.soft.Err() != nil {
			return errStopped
		}
		told := new(answer)
		began := time.Now()
		stored, err := try(context.WithValue(q.hard, answerKey{}, told), n)
		took := time.Since(began)
		q.gauges.seconds.Observe(took.Seconds())
		a.stored = a.stored.Add(stored)
		if q.hard.Err() != nil {
			return errStopped
		}
		if again := (remote.RecoverableError{}); !errors.As(err, &again) {
			q.scaling.busy.Add(int64(took))
			return err
		}
		if told.wrong != "" {
			q.wrong(told.wrong)
			q.log.Error("Remote write: the endpoint answers with success, but stores nothing; the samples are sent again", "why", told.wrong)
		} else {
			q.log.Warn("Remote write: the endpoint cannot be reached or takes nothing at the time; the samples are sent again", "err", err)
		}
		q.scaling.failed.Store(true)
		wait := pause
		if told.retryAfter > 0 {
			wait = told.retryAfter
		}
		if !sleep(q.soft, wait) {
			return errStopped
		}
		a.retry()
		pause = min(2*wait, time.Duration(c.MaxBackoff))
	}
}

// scaling is what tells how many shards are needed.
type scaling struct {
	next    time.Time
	began   time.Time
	blocked time.Duration // that the reader has waited for shards with full queues
	busy    atomic.Int64  // nanoseconds that endpoints took to answer, all shards together
	failed  atomic.Bool   // more shards would not help
}

func (s *scaling) begin(now time.Time) {
	s.began, s.next, s.blocked = now, now.Add(scaleEach), 0
	s.busy.Store(0)
	s.failed.Store(false)
}

// Shards are to be busy for busyShare of the time, and there may be tooMany of what is
// needed before some are ended.
const (
	busyShare = 0.7
	tooMany   = 1.3
)

// shardsFor is how many shards are needed where n have been busy for some time together,
// and the reader was blocked by them for a share of the time.
func shardsFor(n int, busy, blocked float64, least, most int) (needed int) {
	needed = int(math.Ceil(busy / busyShare))
	if blocked > 0.5 {
		needed = max(needed, n+n/2+1)
	}
	return max(min(max(needed, least), most), 1)
}

// scale thinks the number of shards over.
func (q *queue) scale(now time.Time) error {
	if now.Before(q.scaling.next) {
		return nil
	}
	took := now.Sub(q.scaling.began).Seconds()
	n := len(q.shards)
	c := &q.conf.QueueConfig
	needed := shardsFor(n, time.Duration(q.scaling.busy.Load()).Seconds()/took, q.scaling.blocked.Seconds()/took, c.MinShards, c.MaxShards)
	stuck := q.scaling.failed.Load()
	blocked := q.scaling.blocked > 0
	q.scaling.begin(now)
	q.gauges.wanted.Set(float64(needed))
	if stuck || needed == n || needed < n && (blocked || float64(n) < float64(needed)*tooMany) {
		return nil
	}
	q.log.Info("Remote write changes its number of shards", "from", n, "to", needed)
	// Those that there are send all they have first: a series that goes to another
	// shard must not be overtaken by itself.
	q.pushAll()
	q.endShards()
	if q.soft.Err() != nil {
		return errStopped
	}
	q.makeShards(needed)
	return nil
}

// metadataSender sends what the scrapes know of their metrics, for remote write 1.0.
type metadataSender struct{ *queue }

// AppendWatcherMetadata implements remote.MetadataAppender.
func (q metadataSender) AppendWatcherMetadata(ctx context.Context, all []scrape.MetricMetadata) {
	size := max(q.conf.MetadataConfig.MaxSamplesPerSend, 1)
	var w wire
	for len(all) > 0 && ctx.Err() == nil {
		some := all[:min(size, len(all))]
		all = all[len(some):]
		req := w.metadata(some)
		attempts := attempts{q: q.queue, retry: func() { q.gauges.metadataRetried.Add(float64(len(some))) }}
		err := attempts.until(func(ctx context.Context, try int) (remote.WriteResponseStats, error) {
			return q.client.Load().send(ctx, req, try, counts{})
		})
		switch {
		case errors.Is(err, errStopped):
			return
		case err != nil:
			q.gauges.metadataFailed.Add(float64(len(some)))
			q.log.Error("Remote write: the endpoint refuses metadata", "entries", len(some), "err", err)
		default:
			q.gauges.metadata.Add(float64(len(some)))
			q.gauges.metadataBytes.Add(float64(len(req)))
		}
	}
}
