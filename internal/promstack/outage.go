package promstack

// Samples while the disk is full. The TSDB drops a commit that it cannot write to its
// log. In front of it, therefore, what a commit brings is kept until the TSDB has it;
// where the disk takes no more it goes into a memory of its own, a head of the TSDB
// without a log, which queries see. When there is space again it is written in the
// order of time, and only then does the TSDB get what is new.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// What the samples in memory are taken to cost, in bytes: a series 0.7 to 1 kB by heap
// profiles of the TSDB's head, a number 1.3 to 9 in a chunk, a histogram some tens.
const (
	outageSeriesBytes    = 1000
	outageSampleBytes    = 4
	outageHistogramBytes = 200
)

// outageBytes bounds them where there is no limit of memory, of which it is a quarter.
const outageBytes = 256 << 20

// outageSlice is how much time is written back at once. The TSDB takes no sample that
// is more than an hour (half of its shortest block) behind the newest.
const outageSlice = 5 * time.Minute

// outageBatch is how many samples are written back in a commit, and outageLast with how
// many left all commits wait until these are written, too.
const (
	outageBatch = 5000
	outageLast  = 50_000
)

// outageTries is how often a commit is tried that finds the disk full each time, as the
// memory is left and entered again.
const outageTries = 3

// outageName is a folder that a head without a log asks for and writes nothing to.
const outageName = "watchpost-outage"

// outage is the memory beside the TSDB, and whether it is in use. Its methods may be
// called from any goroutine.
type outage struct {
	db    *tsdb.DB
	dir   string
	limit int64
	log   *slog.Logger
	now   func() time.Time
	full  func(error) // told of each commit that found no space

	// mu is held for reading while something is committed: whoever changes where
	// samples go holds it for writing, so that none goes to the old place afterwards.
	mu    sync.RWMutex
	heads []*outageHead // the oldest first; none while the disk takes what comes
	since time.Time     // of the first of them

	active  atomic.Bool // len(heads) > 0
	dropped atomic.Int64
}

// outageHead is the memory of some time.
type outageHead struct {
	*tsdb.Head
	samples, bytes atomic.Int64
}

func newOutage(db *tsdb.DB, dir string, limit int64, log *slog.Logger, reg prometheus.Registerer) *outage {
	if limit == 0 {
		limit = outageBytes
		if of := debug.SetMemoryLimit(-1); of < math.MaxInt64 {
			limit = of / 4
		}
	}
	o := &outage{db: db, dir: filepath.Join(dir, outageName), limit: limit, log: log, now: time.Now, full: func(error) {}}
	// Made while there is space.
	if err := os.MkdirAll(filepath.Join(o.dir, "chunks_head"), 0o777); err != nil {
		log.Warn("Nothing will be kept in memory when the disk is full", "err", err)
	}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "watchpost_storage_memory_samples",
			Help: "Samples that are in memory alone because the disk is full.",
		}, func() float64 { n, _ := o.held(); return float64(n) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "watchpost_storage_memory_dropped_samples_total",
			Help: "Samples that were lost because the disk was full for longer than memory was enough.",
		}, func() float64 { return float64(o.dropped.Load()) }),
	)
	return o
}

// held is how many samples are in memory alone, and since when.
func (o *outage) held() (samples int64, since time.Time) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, h := range o.heads {
		samples += h.samples.Load()
	}
	return samples, o.since
}

// noSpace tells whether an error is that of a disk, or a quota, that is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// begin turns samples away from the disk.
func (o *outage) begin() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.heads) > 0 {
		return nil
	}
	if err := o.grow(); err != nil {
		return err
	}
	o.since = o.now()
	o.active.Store(true)
	o.log.Error("The disk takes no more: samples stay in memory until there is space", "at_most", fmt.Sprintf("%d MiB", o.limit>>20))
	return nil
}

// grow begins a new head; mu is held.
func (o *outage) grow() error {
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkDirRoot = o.dir
	opts.ChunkRange = (24 * time.Hour).Milliseconds()
	opts.ChunkWriteBufferSize, opts.ChunkWriteQueueSize = chunks.MinWriteBufferSize, 0
	opts.StripeSize = 512
	h, err := tsdb.NewHead(nil, quiet(), nil, nil, opts, nil)
	if err != nil {
		return fmt.Errorf("memory for a full disk: %w", err)
	}
	// It is never closed: that would write its chunks. It holds no more than the
	// descriptor of an empty folder, which goes with it.
	o.heads = append(o.heads, &outageHead{Head: h})
	return nil
}

// commit gives what was kept to the TSDB, by the appender that has it already unless
// that is nil, or to the memory.
func (o *outage) commit(ctx context.Context, has storage.AppenderTransaction, kept []keptSample) error {
	var err error
	for range outageTries {
		if err = o.commitOnce(ctx, has, kept); err == nil || !noSpace(err) {
			return err
		}
		has = nil // it has rolled back
		o.full(err)
		if begun := o.begin(); begun != nil {
			return errors.Join(err, begun)
		}
	}
	return err
}

func (o *outage) commitOnce(ctx context.Context, has storage.AppenderTransaction, kept []keptSample) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if len(o.heads) == 0 {
		return o.store(ctx, has, kept)
	}
	if has != nil { // it was begun before the disk was full
		has.Rollback()
	}
	return o.remember(ctx, kept)
}

// store writes to the TSDB; mu is held for reading.
func (o *outage) store(ctx context.Context, has storage.AppenderTransaction, kept []keptSample) error {
	if has != nil {
		return has.Commit()
	}
	app := o.db.AppenderV2(ctx)
	for i := range kept {
		s := &kept[i]
		// What the TSDB does not take would not have been taken before either.
		_, _ = app.Append(s.ref, s.labels, s.st, s.t, s.v, s.h, s.fh, storage.AOptions{})
	}
	return app.Commit()
}

// remember puts samples into the memory; mu is held for reading.
func (o *outage) remember(ctx context.Context, kept []keptSample) error {
	h := o.heads[len(o.heads)-1]
	series := h.NumSeries()
	app := h.AppenderV2(ctx)
	samples, bytes := int64(0), int64(0)
	var of namer
	for i := range kept {
		s := &kept[i]
		if s.labels.IsEmpty() && !of.name(o.db, s) {
			continue // the TSDB has forgotten the series since
		}
		if _, err := app.Append(0, s.labels, s.st, s.t, s.v, s.h, s.fh, storage.AOptions{}); err != nil {
			continue // out of order, or no sound histogram
		}
		samples++
		if s.h != nil || s.fh != nil {
			bytes += outageHistogramBytes
		} else {
			bytes += outageSampleBytes
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("memory for a full disk: %w", err)
	}
	h.samples.Add(samples)
	h.bytes.Add(bytes + outageSeriesBytes*int64(max(h.NumSeries(), series)-series))
	return nil
}

// namer finds the labels of series in the TSDB's memory.
type namer struct {
	index tsdb.IndexReader
	b     labels.ScratchBuilder
}

// name gives the sample the labels of the series that it refers to.
func (n *namer) name(db *tsdb.DB, s *keptSample) (known bool) {
	if n.index == nil {
		var err error
		if n.index, err = db.Head().Index(); err != nil {
			return false
		}
	}
	if s.ref == 0 || n.index.Series(s.ref, &n.b, nil) != nil {
		return false
	}
	s.labels = n.b.Labels()
	return !s.labels.IsEmpty()
}

// bound forgets the older half where the memory is used up.
func (o *outage) bound() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.heads) == 0 || o.heads[len(o.heads)-1].bytes.Load() < o.limit/2 {
		return
	}
	if err := o.grow(); err != nil {
		o.log.Error("Memory goes on growing", "err", err)
		return
	}
	for len(o.heads) > 2 {
		lost := o.heads[0].samples.Load()
		o.dropped.Add(lost)
		o.heads = o.heads[1:]
		o.log.Error("The disk has been full for longer than memory is enough: the oldest samples that were kept there are lost", "samples", lost)
	}
}

// inUse tells whether samples are in memory alone.
func (o *outage) inUse() bool { return o.active.Load() }

// drain writes all that is in memory to the TSDB and leaves the memory. What it cannot
// write stays there.
func (o *outage) drain(ctx context.Context) error {
	total := int64(0)
	for {
		o.mu.Lock()
		old, last := o.heads, false
		if len(old) == 1 && old[0].samples.Load() <= outageLast {
			last = true // commits wait for these few
		} else if len(old) > 0 {
			if err := o.grow(); err != nil {
				o.mu.Unlock()
				return err
			}
		}
		if len(old) == 0 {
			o.mu.Unlock()
			return nil
		}
		if last {
			n, err := o.copy(ctx, old[0])
			if err == nil {
				o.heads = nil
				o.active.Store(false)
			}
			since := o.since
			o.mu.Unlock()
			if err == nil {
				o.log.Info("All samples that were in memory alone are on the disk", "samples", total+n, "since", since)
			}
			return err
		}
		o.mu.Unlock()
		for _, h := range old {
			n, err := o.copy(ctx, h)
			if err != nil {
				return err
			}
			total += n
			o.mu.Lock()
			o.heads = o.heads[1:]
			o.mu.Unlock()
		}
	}
}

// copy writes the samples of a head, in the order of time by slices.
func (o *outage) copy(ctx context.Context, h *outageHead) (samples int64, err error) {
	if h.NumSeries() == 0 {
		return 0, nil
	}
	step := outageSlice.Milliseconds()
	for from := h.MinTime(); from <= h.MaxTime(); from += step {
		n, err := o.copyBetween(ctx, h, from, min(from+step-1, h.MaxTime()))
		samples += n
		if err != nil {
			return samples, err
		}
	}
	return samples, nil
}

func (o *outage) copyBetween(ctx context.Context, h *outageHead, from, to int64) (samples int64, err error) {
	q, err := tsdb.NewBlockQuerier(tsdb.NewRangeHead(h.Head, from, to), from, to)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	app, pending := o.db.AppenderV2(ctx), 0
	set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
	var it chunkenc.Iterator
	for set.Next() {
		series := set.At()
		it = series.Iterator(it)
		ref := storage.SeriesRef(0)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			s := keptSample{labels: series.Labels(), st: it.AtST()}
			switch kind {
			case chunkenc.ValFloat:
				s.t, s.v = it.At()
			case chunkenc.ValHistogram:
				s.t, s.h = it.AtHistogram(nil)
			case chunkenc.ValFloatHistogram:
				s.t, s.fh = it.AtFloatHistogram(nil)
			}
			// What is there already, because a write was interrupted, is refused as out of order.
			if r, err := app.Append(ref, s.labels, s.st, s.t, s.v, s.h, s.fh, storage.AOptions{RejectOutOfOrder: true}); err == nil {
				ref = r
				samples++
			}
			pending++
		}
		if it.Err() != nil {
			return samples, errors.Join(it.Err(), app.Rollback())
		}
		if pending >= outageBatch {
			if err := app.Commit(); err != nil {
				return samples, err
			}
			app, pending = o.db.AppenderV2(ctx), 0
		}
	}
	if set.Err() != nil {
		return samples, errors.Join(set.Err(), app.Rollback())
	}
	return samples, app.Commit()
}

// querier adds what is in memory alone to what the TSDB has.
func (o *outage) querier(mint, maxt int64) (storage.Querier, error) {
	if !o.active.Load() {
		return o.db.Querier(mint, maxt)
	}
	return joined(o, mint, maxt, o.db.Querier, tsdb.NewBlockQuerier, func(all []storage.Querier) storage.Querier {
		return storage.NewMergeQuerier(all, nil, storage.ChainedSeriesMerge)
	})
}

func (o *outage) chunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	if !o.active.Load() {
		return o.db.ChunkQuerier(mint, maxt)
	}
	return joined(o, mint, maxt, o.db.ChunkQuerier, tsdb.NewBlockChunkQuerier, func(all []storage.ChunkQuerier) storage.ChunkQuerier {
		return storage.NewMergeChunkQuerier(all, nil, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge))
	})
}

func joined[Q interface{ Close() error }](o *outage, mint, maxt int64, stored func(mint, maxt int64) (Q, error),
	of func(r tsdb.BlockReader, mint, maxt int64) (Q, error), merge func([]Q) Q) (none Q, err error) {
	// The memory first: what moves from there to the TSDB meanwhile is then seen twice,
	// which counts once, and not never.
	o.mu.RLock()
	heads := o.heads
	o.mu.RUnlock()
	var all []Q
	defer func() {
		if err != nil {
			for _, q := range all {
				err = errors.Join(err, q.Close())
			}
		}
	}()
	for _, h := range heads {
		q, err := of(tsdb.NewRangeHead(h.Head, mint, maxt), mint, maxt)
		if err != nil {
			return none, err
		}
		all = append(all, q)
	}
	q, err := stored(mint, maxt)
	if err != nil {
		return none, err
	}
	all = append(all, q)
	return merge(all), nil
}

// keptSample is a sample that the TSDB may not have yet. Who has appended to a series
// before may name it by its reference alone.
type keptSample struct {
	ref    storage.SeriesRef
	labels labels.Labels
	st, t  int64
	v      float64
	h      *histogram.Histogram
	fh     *histogram.FloatHistogram
}

// kept are samples of one commit; the slice is used again.
type kept struct{ samples []keptSample }

var keptPool = sync.Pool{New: func() any { return new(kept) }}

func (k *kept) free() {
	clear(k.samples)
	k.samples = k.samples[:0]
	keptPool.Put(k)
}

// keeping is a transaction of the TSDB, by an interface of its appenders, whose samples
// outlive a full disk.
type keeping[A storage.AppenderTransaction] struct {
	o    *outage
	ctx  context.Context
	db   A // nil: begun while the disk was full
	kept *kept
}

func begin[A storage.AppenderTransaction](ctx context.Context, o *outage, of func(context.Context) A) keeping[A] {
	k := keeping[A]{o: o, ctx: ctx, kept: keptPool.Get().(*kept)}
	if !o.active.Load() {
		k.db = of(ctx)
	}
	return k
}

// Commit implements storage.AppenderTransaction.
func (k *keeping[A]) Commit() error {
	defer k.kept.free()
	return k.o.commit(k.ctx, k.db, k.kept.samples)
}

// Rollback implements storage.AppenderTransaction.
func (k *keeping[A]) Rollback() error {
	defer k.kept.free()
	if db := storage.AppenderTransaction(k.db); db != nil {
		return db.Rollback()
	}
	return nil
}

// appenderV2 is an appender of the TSDB whose samples outlive a full disk.
func (o *outage) appenderV2(ctx context.Context) storage.AppenderV2 {
	return &keptAppenderV2{keeping: begin(ctx, o, o.db.AppenderV2)}
}

type keptAppenderV2 struct {
	keeping[storage.AppenderV2]
	names namer
}

func (a *keptAppenderV2) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	s := keptSample{ref, ls, st, t, v, h, fh}
	var err error
	if a.db != nil {
		s.ref, err = a.db.Append(ref, ls, st, t, v, h, fh, opts)
		if err != nil && !partial(err) {
			return s.ref, err
		}
	} else if ls.IsEmpty() && !a.names.name(a.o.db, &s) {
		return 0, tsdb.ErrInvalidSample // as the TSDB says of a reference that it has forgotten
	}
	a.kept.samples = append(a.kept.samples, s)
	return s.ref, err
}

// partial tells whether a sample was appended in spite of an error.
func partial(err error) bool {
	_, is := errors.AsType[*storage.AppendPartialError](err)
	return is
}

// appender is appenderV2 for those who use the older interface: rules and remote write.
func (o *outage) appender(ctx context.Context) storage.Appender {
	return &keptAppender{begin(ctx, o, o.db.Appender)}
}

type keptAppender struct{ keeping[storage.Appender] }

// keep notes a sample that the TSDB has taken, or is not asked to take.
func (a *keptAppender) keep(s keptSample, ref storage.SeriesRef, err error) (storage.SeriesRef, error) {
	if err == nil {
		a.kept.samples = append(a.kept.samples, s)
	}
	return ref, err
}

func (a *keptAppender) Append(ref storage.SeriesRef, l labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	var err error
	if a.db != nil {
		ref, err = a.db.Append(ref, l, t, v)
	}
	return a.keep(keptSample{ref: ref, labels: l, t: t, v: v}, ref, err)
}

func (a *keptAppender) AppendHistogram(ref storage.SeriesRef, l labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	var err error
	if a.db != nil {
		ref, err = a.db.AppendHistogram(ref, l, t, h, fh)
	}
	return a.keep(keptSample{ref: ref, labels: l, t: t, h: h, fh: fh}, ref, err)
}

// What goes with samples and is none is not kept while the disk is full.

func (a *keptAppender) SetOptions(opts *storage.AppendOptions) {
	if a.db != nil {
		a.db.SetOptions(opts)
	}
}

func (a *keptAppender) AppendExemplar(ref storage.SeriesRef, l labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	if a.db == nil {
		return ref, nil
	}
	return a.db.AppendExemplar(ref, l, e)
}

func (a *keptAppender) UpdateMetadata(ref storage.SeriesRef, l labels.Labels, m metadata.Metadata) (storage.SeriesRef, error) {
	if a.db == nil {
		return ref, nil
	}
	return a.db.UpdateMetadata(ref, l, m)
}

func (a *keptAppender) AppendSTZeroSample(ref storage.SeriesRef, l labels.Labels, t, st int64) (storage.SeriesRef, error) {
	if a.db == nil {
		return ref, nil
	}
	return a.db.AppendSTZeroSample(ref, l, t, st)
}

func (a *keptAppender) AppendHistogramSTZeroSample(ref storage.SeriesRef, l labels.Labels, t, st int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	if a.db == nil {
		return ref, nil
	}
	return a.db.AppendHistogramSTZeroSample(ref, l, t, st, h, fh)
}
