package promstack

import (
	"encoding/binary"
	"math"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/compression"
)

// wire makes requests. Its buffers are used again, so a request is good until the
// next one. Each sample has a series of its own, as Prometheus sends them.
type wire struct {
	raw      []byte
	part     []byte
	encode   compression.EncodeBuffer
	symbols  writev2.SymbolsTable
	series   []writev2.TimeSeries
	exemplar []prompb.Label
}

// request is the compressed bytes of a request with the items.
func (w *wire) request(q *queue, items []item) []byte {
	if q.conf.ProtobufMessage == remoteapi.WriteV2MessageType {
		w.v2(items)
	} else {
		w.v1(items)
	}
	return w.compressed()
}

func (w *wire) compressed() []byte {
	if w.encode == nil {
		w.encode = compression.NewSyncEncodeBuffer()
	}
	b, err := compression.Encode(compression.Snappy, w.raw, w.encode)
	if err != nil { // of a type that does not exist
		panic(err)
	}
	return b
}

// Fields of the messages of remote write 1.0, as key bytes: their number and the way
// in which the value is written.
const (
	keySeries    = 1<<3 | 2 // of WriteRequest
	keyMetadata  = 3<<3 | 2
	keyLabel     = 1<<3 | 2 // of TimeSeries
	keySample    = 2<<3 | 2
	keyExemplar  = 3<<3 | 2
	keyHistogram = 4<<3 | 2
	keyName      = 1<<3 | 2 // of Label
	keyText      = 2<<3 | 2
	keyValue     = 1<<3 | 1 // of Sample
	keyTime      = 2 << 3
)

// v1 writes a WriteRequest by hand: its messages are few and small, and building them
// first would cost more than writing them.
func (w *wire) v1(items []item) {
	w.raw = w.raw[:0]
	for i := range items {
		it := &items[i]
		p := appendLabels(w.part[:0], it.labels)
		switch {
		case it.more == nil || it.more.kind == kindSample:
			p = appendSample(p, it.value, it.time)
		case it.more.kind == kindExemplar:
			w.exemplar = prompb.FromLabels(it.more.exemplar, w.exemplar)
			p = appendMessage(p, keyExemplar, &prompb.Exemplar{Labels: w.exemplar, Value: it.value, Timestamp: it.time})
		case it.more.histogram != nil:
			h := prompb.FromIntHistogram(it.time, it.more.histogram)
			p = appendMessage(p, keyHistogram, &h)
		default:
			h := prompb.FromFloatHistogram(it.time, it.more.floats)
			p = appendMessage(p, keyHistogram, &h)
		}
		w.part = p
		w.raw = append(w.raw, keySeries)
		w.raw = binary.AppendUvarint(w.raw, uint64(len(p)))
		w.raw = append(w.raw, p...)
	}
}

func appendLabels(b []byte, l labels.Labels) []byte {
	l.Range(func(l labels.Label) {
		size := 1 + uvarintLen(len(l.Name)) + len(l.Name)
		if l.Value != "" {
			size += 1 + uvarintLen(len(l.Value)) + len(l.Value)
		}
		b = append(b, keyLabel)
		b = binary.AppendUvarint(b, uint64(size))
		b = appendString(b, keyName, l.Name)
		if l.Value != "" {
			b = appendString(b, keyText, l.Value)
		}
	})
	return b
}

func appendString(b []byte, key byte, s string) []byte {
	b = append(b, key)
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendSample(b []byte, value float64, ms int64) []byte {
	b = append(b, keySample, 0)
	from := len(b)
	if bits := math.Float64bits(value); bits != 0 {
		b = append(b, keyValue)
		b = binary.LittleEndian.AppendUint64(b, bits)
	}
	if ms != 0 {
		b = append(b, keyTime)
		b = binary.AppendUvarint(b, uint64(ms))
	}
	b[from-1] = byte(len(b) - from)
	return b
}

// message is one that its own code writes.
type message interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}

func appendMessage(b []byte, key byte, m message) []byte {
	size := m.Size()
	b = append(b, key)
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, make([]byte, size)...)
	if _, err := m.MarshalToSizedBuffer(b[len(b)-size:]); err != nil { // it is too small
		panic(err)
	}
	return b
}

func uvarintLen(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// v2 writes a Request of remote write 2.0.
func (w *wire) v2(items []item) {
	if w.series == nil {
		w.symbols = writev2.NewSymbolTable()
	}
	w.symbols.Reset()
	for len(w.series) < len(items) {
		w.series = append(w.series, writev2.TimeSeries{})
	}
	for i := range items {
		it, s := &items[i], &w.series[i]
		s.LabelsRefs = w.symbols.SymbolizeLabels(it.labels, s.LabelsRefs)
		s.Samples, s.Histograms, s.Exemplars = s.Samples[:0], s.Histograms[:0], s.Exemplars[:0]
		s.Metadata = writev2.Metadata{Type: writev2.FromMetadataType(model.MetricTypeUnknown)}
		if m := it.meta; m != nil {
			s.Metadata = writev2.Metadata{Type: writev2.FromMetadataType(m.Type), HelpRef: w.symbols.Symbolize(m.Help), UnitRef: w.symbols.Symbolize(m.Unit)}
		}
		more := it.more
		if more == nil {
			more = &itemMore{}
		}
		switch {
		case more.kind == kindSample:
			s.Samples = append(s.Samples, writev2.Sample{Value: it.value, Timestamp: it.time, StartTimestamp: more.start})
		case more.kind == kindExemplar:
			s.Exemplars = append(s.Exemplars, writev2.Exemplar{LabelsRefs: w.symbols.SymbolizeLabels(more.exemplar, nil), Value: it.value, Timestamp: it.time})
		case more.histogram != nil:
			s.Histograms = append(s.Histograms, writev2.FromIntHistogram(more.start, it.time, more.histogram))
		default:
			s.Histograms = append(s.Histograms, writev2.FromFloatHistogram(more.start, it.time, more.floats))
		}
	}
	req := writev2.Request{Symbols: w.symbols.Symbols(), Timeseries: w.series[:len(items)]}
	raw, err := req.OptimizedMarshal(w.raw[:cap(w.raw)])
	if err != nil { // the buffer is too small
		panic(err)
	}
	w.raw = raw
}

// metadata is the compressed bytes of a 1.0 request with nothing else.
func (w *wire) metadata(all []scrape.MetricMetadata) []byte {
	w.raw = w.raw[:0]
	for _, m := range all {
		w.raw = appendMessage(w.raw, keyMetadata, &prompb.MetricMetadata{
			MetricFamilyName: m.MetricFamily, Help: m.Help, Type: prompb.FromMetadataType(m.Type), Unit: m.Unit,
		})
	}
	return w.compressed()
}
