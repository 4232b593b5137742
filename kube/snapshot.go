package kube

import (
	"bufio"
	"io"

	"watchpost/internal/expo"
)

// Snapshot is what a cluster says at one moment. It does not change, and any number
// of them may be written at once.
type Snapshot struct {
	codec   *codec
	parts   []snapshotPart
	objects int
}

// snapshotPart is one family of a snapshot: its header, and the samples of one store or, of
// a name that several of them have, of each.
type snapshotPart struct {
	header  *familyHeader
	samples [][]*expo.Segment
}

// group puts families of one name together, under the first header. Resources of the
// table have no name in common; custom resources may.
func (s *Snapshot) group() {
	first := make(map[string]int, len(s.parts))
	parts := s.parts[:0]
	for _, p := range s.parts {
		if i, known := first[p.header.name]; known {
			parts[i].samples = append(parts[i].samples, p.samples...)
			continue
		}
		first[p.header.name] = len(parts)
		parts = append(parts, p)
	}
	s.parts = parts
}

// familyHeader is what stands before the samples of a family, by format.
type familyHeader struct {
	name     string
	text     [2][]byte
	segments [2]expo.Segment
}

func newHeader(d *expo.Deflater, f *expo.Family) *familyHeader {
	h := &familyHeader{name: f.Name()}
	for _, format := range []expo.Format{expo.Text, expo.OpenMetrics} {
		h.text[format] = f.AppendHeader(nil, format)
		h.segments[format] = d.Deflate(h.text[format])
	}
	return h
}

// Objects is how many objects the snapshot tells of.
func (s *Snapshot) Objects() int { return s.objects }

// segments calls each for all segments of the snapshot, in order.
func (s *Snapshot) segments(format expo.Format, each func(*expo.Segment)) {
	for i := range s.parts {
		p := &s.parts[i]
		each(&p.header.segments[format])
		for _, samples := range p.samples {
			for _, g := range samples {
				each(g)
			}
		}
	}
	if format == expo.OpenMetrics {
		each(&s.codec.eof)
	}
}

// GzipSize is the number of bytes that WriteGzip writes.
func (s *Snapshot) GzipSize(format expo.Format) int64 {
	n := int64(expo.MemberOverhead)
	s.segments(format, func(g *expo.Segment) { n += int64(len(g.Deflated)) })
	return n
}

// writeSize is the size of the pieces in which a snapshot is written: a socket takes
// them at a small part of the cost of the segments one by one.
const writeSize = 256 << 10

// WriteGzip writes the snapshot as one gzip member. Nothing is compressed for it: it
// is made of the segments of the stores.
func (s *Snapshot) WriteGzip(w io.Writer, format expo.Format) error {
	buffered := s.codec.writers.Get().(*bufio.Writer)
	buffered.Reset(w)
	defer s.codec.writers.Put(buffered)
	defer buffered.Reset(nil)
	m := expo.NewMember(buffered)
	s.segments(format, func(g *expo.Segment) { m.Add(*g) })
	if err := m.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// WriteText writes the snapshot as text.
func (s *Snapshot) WriteText(w io.Writer, format expo.Format) error {
	var text []byte
	var inflater expo.Inflater
	var err error
	s.segments(format, func(g *expo.Segment) {
		if err != nil {
			return
		}
		if len(text)+int(g.Len) > writeSize && len(text) > 0 {
			_, err = w.Write(text)
			text = text[:0]
		}
		if err == nil {
			text, err = inflater.Append(text, *g)
		}
	})
	if err == nil && len(text) > 0 {
		_, err = w.Write(text)
	}
	return err
}
