package scraper

// From an answer to samples. The order of the steps, what counts as an error and what is
// counted are Prometheus' own; TestLikeLibrary compares them.

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// maxAhead is how far in the future a sample may be, as in Prometheus.
const maxAhead = 10 * time.Minute

var (
	errSampleLimit = errors.New("sample limit exceeded")
	errBucketLimit = errors.New("histogram bucket limit exceeded")
	errNoName      = fmt.Errorf("missing metric name (%s label)", model.MetricNameLabel)
)

// cache is what is kept of a target from one scrape to the next.
type cache struct {
	table
	families
	reports    [len(reportNames)]storage.SeriesRef
	reported   uint8 // bits: which of reports the storage has taken
	successful int   // size at the last success
}

func newCache(seed maphash.Seed) *cache { return &cache{families: families{seed: seed}} }

// size is what Prometheus counts to notice a target that fails with ever new series.
func (c *cache) size() int {
	n := c.table.len() + c.LengthMetadata()
	for i := range reportNames {
		n += int(c.reported >> i & 1)
	}
	return n
}

// taken ends a scrape that was taken.
func (c *cache) taken(w *walk) {
	c.successful = c.size()
	w.done()
	c.families.turn(true)
}

// missed ends one that was not. forced is true where series had to be forgotten because
// of their number.
func (c *cache) missed() (forced bool) {
	if forced = c.size() > 2*c.successful+1000; forced {
		c.forget()
	}
	c.table.turn()
	c.families.turn(forced)
	return forced
}

// counts of one scrape.
type counts struct {
	total       int // samples of the answer
	added       int // of them after relabelling
	seriesAdded int
}

// refused counts samples that the storage did not want.
type refused struct{ outOfOrder, duplicate, outOfBounds, exemplars int }

// appendNothing ends the series of the last scrape.
func (l *loop) appendNothing(app storage.AppenderV2, at int64) error {
	err := l.endSeries(app, at)
	if l.cache.missed() {
		l.pool.metrics.cacheFlushForced.Inc()
	}
	return err
}

// endSeries marks the series stale that have no sample in this scrape.
func (l *loop) endSeries(app storage.AppenderV2, at int64) (err error) {
	l.cache.ended(func(ref storage.SeriesRef) bool {
		_, err = app.Append(ref, labels.EmptyLabels(), 0, at, staleNaN, nil, nil, storage.AOptions{RejectOutOfOrder: true})
		if errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrDuplicateSampleForTimestamp) ||
			errors.Is(err, tsdb.ErrInvalidSample) { // the target is back, or the series has ended long ago
			err = nil
		}
		return err == nil
	})
	return err
}

// append appends the samples of an answer.
func (l *loop) append(app storage.AppenderV2, w *worker, text []byte, contentType string, ts time.Time) (n counts, err error) {
	at := ts.UnixMilli()
	if len(text) == 0 {
		return n, l.appendNothing(app, at)
	}
	if err = l.read(w, text, contentType); err != nil {
		return n, err
	}
	w.walk.reset(&l.cache.table)
	a := appending{loop: l, w: w, app: app, at: at, latest: time.Now().Add(maxAhead).UnixMilli()}
	for err == nil {
		err = a.entry()
	}
	if err == io.EOF {
		err = nil
	}
	if a.overSamples {
		err = first(err, errSampleLimit)
		l.pool.metrics.sampleLimit.Inc()
	}
	if a.overBuckets {
		err = first(err, errBucketLimit)
		l.pool.metrics.bucketLimit.Inc()
	}
	a.refused.tell(l)
	if err == nil {
		err = l.endSeries(app, at)
	}
	if err == nil {
		l.cache.taken(&w.walk)
	}
	return a.counts, err
}

func first(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// tell logs what was refused.
func (r *refused) tell(l *loop) {
	warn := func(n int, text string) {
		if n > 0 {
			l.log().Warn(text, "num_dropped", n)
		}
	}
	warn(r.outOfOrder, "Samples that are out of order were dropped")
	warn(r.duplicate, "Samples of one time with different values were dropped")
	warn(r.outOfBounds, "Samples that are too old, or too far in the future, were dropped")
	warn(r.exemplars, "Exemplars that are out of order were dropped")
}

// read chooses how the answer is read, by its content type.
func (l *loop) read(w *worker, text []byte, contentType string) error {
	o := textparse.ParserOptions{
		IgnoreNativeHistograms:                  !l.histograms,
		ConvertClassicHistogramsToNHCB:          l.toNHCB,
		KeepClassicOnClassicAndNativeHistograms: l.keepClassic,
		FallbackContentType:                     l.conf.ScrapeFallbackProtocol.HeaderMediaType(),
	}
	if l.contentType != contentType || !l.known {
		p, err := textparse.New(nil, contentType, nil, o)
		if err != nil {
			l.log().Log(context.Background(), level(p == nil), "The target's content type is not usable", "content_type", contentType, "fallback_media_type", o.FallbackContentType, "err", err)
		}
		if p == nil {
			return err
		}
		l.contentType, l.known, l.format = contentType, true, byLibrary
		switch p.(type) {
		case *textparse.PromParser:
			l.format = plainText
		case *textparse.OpenMetricsParser:
			if !l.pool.manager.opts.Exemplars { // which are rare, and read by the library
				l.format = openMetrics
			}
		}
	}
	if l.format == byLibrary {
		w.reader.lib, _ = textparse.New(text, contentType, nil, o)
		return nil
	}
	w.reader.reset(text, l.format)
	return nil
}

func level(fails bool) slog.Level {
	if fails {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// appending is one answer on its way into the storage.
type appending struct {
	*loop
	w          *worker
	app        storage.AppenderV2
	at, latest int64 // of the scrape, and what a sample may have at most, in ms since 1970

	counts
	refused
	within                   int // samples that count for the limit
	overSamples, overBuckets bool
	exemplars                []exemplar.Exemplar
}

// sample is one of them.
type sample struct {
	series []byte
	t      int64
	hasT   bool
	v      float64
	h      *histogram.Histogram
	fh     *histogram.FloatHistogram
}

// entry takes the next entry of the answer. io.EOF is its end; after another error the
// scrape has failed.
func (a *appending) entry() error {
	r := &a.w.reader
	e, err := r.next()
	if err != nil {
		return err
	}
	s := sample{t: a.at}
	switch e {
	case textparse.EntryType:
		a.cache.setType(r.kind())
		return nil
	case textparse.EntryHelp:
		a.cache.setHelp(r.help())
		return nil
	case textparse.EntryUnit:
		a.cache.setUnit(r.unit())
		return nil
	case textparse.EntryComment:
		return nil
	case textparse.EntryHistogram:
		var t *int64
		if s.series, t, s.h, s.fh = r.lib.Histogram(); t != nil && a.conf.HonorTimestamps {
			s.t, s.hasT = *t, true
		}
		if s.h == nil && s.fh == nil {
			return fmt.Errorf("%s is said to be a histogram and has none", s.series)
		}
	default:
		var t int64
		s.series, t, s.hasT, s.v = r.sampleLine()
		if s.hasT = s.hasT && a.conf.HonorTimestamps; s.hasT {
			s.t = t
		}
	}
	a.total++
	return a.sample(&s)
}

// sample takes one sample.
func (a *appending) sample(s *sample) error {
	walk, table := &a.w.walk, &a.cache.table
	hash := maphash.Bytes(a.cache.seed, s.series)
	row := walk.find(hash)
	var (
		ref   storage.SeriesRef
		lset  labels.Labels
		again bool
		err   error
	)
	if row >= 0 {
		again = walk.see(row)
		if table.flag[row]&dropped != 0 {
			return nil
		}
		ref = table.ref[row]
	} else {
		if lset = a.labels(); lset.IsEmpty() {
			walk.add(hash, 0, dropped)
			return nil
		}
		if err = a.check(lset); err != nil {
			return err
		}
	}
	if again && !s.hasT {
		err = storage.ErrDuplicateSampleForTimestamp
	} else if ref, err = a.store(ref, lset, s); err == nil && row >= 0 && ref != 0 {
		table.ref[row] = ref // the storage may have made the series anew
	}
	stored, err := a.judge(s, err)
	if err != nil {
		a.debug("A sample could not be appended", "series", string(s.series), "err", err)
		return err
	}
	if stored {
		if row < 0 {
			row = walk.add(hash, ref, 0)
			if !a.overSamples && !a.overBuckets {
				a.seriesAdded++
			}
		}
		// What has times of its own ends when it ends.
		if table.ref[row] != 0 && (!s.hasT || a.conf.TrackTimestampsStaleness) {
			table.flag[row] |= current
		}
	}
	a.added++ // also what was refused: these are the series of the answer
	return nil
}

// store appends a sample, within the limits.
func (a *appending) store(ref storage.SeriesRef, lset labels.Labels, s *sample) (storage.SeriesRef, error) {
	if s.h != nil || s.fh != nil {
		if err := a.fit(s); err != nil {
			return 0, err
		}
	}
	// A mark that a known series is stale is always stored.
	if limit := int(a.conf.SampleLimit); limit > 0 && (ref == 0 || math.Float64bits(s.v) != math.Float64bits(staleNaN)) {
		if a.within++; a.within > limit {
			return 0, errSampleLimit
		}
	}
	if s.t > a.latest {
		return 0, storage.ErrOutOfBounds
	}
	o := storage.AOptions{}
	if a.pool.manager.opts.Exemplars && a.w.reader.lib != nil {
		o.Exemplars = a.readExemplars(s)
	}
	stored, err := a.app.Append(ref, lset, 0, s.t, s.v, s.h, s.fh, o)
	if lset.IsEmpty() && errors.Is(err, tsdb.ErrInvalidSample) {
		// The storage has forgotten the series, or given no reference, as while its disk is
		// full: the labels are made again.
		if lset = a.labels(); !lset.IsEmpty() {
			stored, err = a.app.Append(ref, lset, 0, s.t, s.v, s.h, s.fh, o)
		}
	}
	return stored, err
}

// readExemplars returns the exemplars of the sample, in order.
func (a *appending) readExemplars(s *sample) []exemplar.Exemplar {
	a.exemplars = a.exemplars[:0]
	var e exemplar.Exemplar
	for a.w.reader.lib.Exemplar(&e) {
		if !e.HasTs {
			e.Ts = s.t
		}
		if e.HasTs || s.h == nil && s.fh == nil { // those of native histograms need a time
			a.exemplars = append(a.exemplars, e)
		}
		e = exemplar.Exemplar{}
	}
	slices.SortFunc(a.exemplars, exemplar.Compare)
	return a.exemplars
}

// judge tells whether the sample is stored; an error fails the scrape.
func (a *appending) judge(s *sample, err error) (stored bool, _ error) {
	m := a.pool.metrics
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errSampleLimit):
		a.overSamples = true // the rest is read for the sake of its number
		return false, nil
	case errors.Is(err, errBucketLimit):
		a.overBuckets = true
		return false, nil
	case errors.Is(err, storage.ErrOutOfOrderSample):
		a.outOfOrder++
		m.outOfOrder.Inc()
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		a.duplicate++
		m.duplicate.Inc()
	case errors.Is(err, storage.ErrOutOfBounds):
		a.outOfBounds++
		m.outOfBounds.Inc()
	default:
		partial, ok := errors.AsType[*storage.AppendPartialError](err)
		if !ok {
			return false, err
		}
		late := 0
		for _, e := range partial.ExemplarErrors {
			if errors.Is(e, storage.ErrOutOfOrderExemplar) {
				late++
			}
		}
		if late > 0 && late == len(a.exemplars) { // else some of them are new
			a.refused.exemplars += late
			m.exemplarOutOfOrder.Add(float64(late))
		}
		return true, nil
	}
	a.debug("A sample was dropped", "series", string(s.series), "err", err)
	return false, nil
}

// fit makes a native histogram as coarse as the job wants it.
func (a *appending) fit(s *sample) error {
	if most := a.maxSchema; most < histogram.ExponentialSchemaMax {
		switch {
		case s.h != nil && histogram.IsExponentialSchemaReserved(s.h.Schema) && s.h.Schema > most:
			if err := s.h.ReduceResolution(most); err != nil {
				return err
			}
		case s.fh != nil && histogram.IsExponentialSchemaReserved(s.fh.Schema) && s.fh.Schema > most:
			if err := s.fh.ReduceResolution(most); err != nil {
				return err
			}
		}
	}
	limit := int(a.conf.NativeHistogramBucketLimit)
	if limit <= 0 {
		return nil
	}
	buckets := func() (n int, schema int32) {
		if s.h != nil {
			return len(s.h.PositiveBuckets) + len(s.h.NegativeBuckets), s.h.Schema
		}
		return len(s.fh.PositiveBuckets) + len(s.fh.NegativeBuckets), s.fh.Schema
	}
	for {
		n, schema := buckets()
		if n <= limit {
			return nil
		}
		if !histogram.IsExponentialSchema(schema) || schema <= histogram.ExponentialSchemaMin {
			return errBucketLimit
		}
		var err error
		if s.h != nil {
			err = s.h.ReduceResolution(schema - 1)
		} else {
			err = s.fh.ReduceResolution(schema - 1)
		}
		if err != nil {
			return err
		}
	}
}

// schemaFor is the finest schema whose buckets grow by the factor or more: by
// 2^(2^-schema) each.
func schemaFor(factor float64) int32 {
	if factor <= 1 {
		return histogram.ExponentialSchemaMax
	}
	s := math.Floor(-math.Log2(math.Log2(factor)))
	return int32(min(max(s, float64(histogram.ExponentialSchemaMin)), float64(histogram.ExponentialSchemaMax)))
}

// labels are those of the sample as it is stored; without any it is dropped.
func (a *appending) labels() labels.Labels {
	a.w.reader.labels(&a.w.base)
	return stored(a.w.base, a.target, a.conf.HonorLabels, a.conf.MetricRelabelConfigs, a.w.builder)
}

// stored adds the labels of the target to those of a sample, and relabels them. The result
// shares no memory with said.
func stored(said labels.Labels, t *scrape.Target, honor bool, rules []*relabel.Config, b *labels.Builder) labels.Labels {
	b.Reset(said)
	var clash []labels.Label
	t.LabelsRange(func(l labels.Label) {
		if honor {
			if !said.Has(l.Name) {
				b.Set(l.Name, l.Value)
			}
			return
		}
		if v := said.Get(l.Name); v != "" {
			clash = append(clash, labels.Label{Name: l.Name, Value: v})
		}
		b.Set(l.Name, l.Value)
	})
	// What the target's labels took the place of gets another name, shorter ones first.
	slices.SortStableFunc(clash, func(a, b labels.Label) int { return len(a.Name) - len(b.Name) })
	for _, l := range clash {
		name := model.ExportedLabelPrefix + l.Name
		for b.Get(name) != "" {
			name = model.ExportedLabelPrefix + name
		}
		b.Set(name, l.Value)
	}
	if !relabel.ProcessBuilder(b, rules...) {
		return labels.EmptyLabels()
	}
	l := b.Labels()
	if labels.Equal(l, said) { // and then they are not only equal: said is used again
		return l.Copy()
	}
	return l
}

// check tells what is wrong with the labels of a new series.
func (a *appending) check(lset labels.Labels) error {
	if !lset.Has(model.MetricNameLabel) {
		return errNoName
	}
	if !lset.IsValid(a.conf.MetricNameValidationScheme) {
		return fmt.Errorf("invalid metric name or label names: %s", lset.String())
	}
	c := a.conf
	if c.LabelLimit == 0 && c.LabelNameLengthLimit == 0 && c.LabelValueLengthLimit == 0 {
		return nil
	}
	err := overLabelLimits(lset, int(c.LabelLimit), int(c.LabelNameLengthLimit), int(c.LabelValueLengthLimit))
	if err != nil {
		a.pool.metrics.labelLimits.Inc()
	}
	return err
}

func overLabelLimits(lset labels.Labels, number, name, value int) error {
	metric := lset.Get(model.MetricNameLabel)
	if n := lset.Len(); number > 0 && n > number {
		return fmt.Errorf("label_limit exceeded (metric: %.50s, number of labels: %d, limit: %d)", metric, n, number)
	}
	return lset.Validate(func(l labels.Label) error {
		if n := len(l.Name); name > 0 && n > name {
			return fmt.Errorf("label_name_length_limit exceeded (metric: %.50s, label name: %.50s, length: %d, limit: %d)", metric, l.Name, n, name)
		}
		if n := len(l.Value); value > 0 && n > value {
			return fmt.Errorf("label_value_length_limit exceeded (metric: %.50s, label name: %.50s, value: %.50q, length: %d, limit: %d)", metric, l.Name, l.Value, n, value)
		}
		return nil
	})
}
