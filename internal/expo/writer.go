package expo

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Writer appends families and their samples to a buffer. The zero Writer writes
// text 0.0.4 and is ready for use; it is not safe for concurrent use.
//
// The samples of one family are written one after another: the first of them
// writes the family's header. Going back to a family after another has begun
// would write its header twice, which no parser is promised to accept.
type Writer struct {
	buf    []byte
	format Format
	last   *Family

	extra       Labels // put first on every sample
	extraOfLast string // extra, as rendered for the family `last`
}

// Labels are constant labels for every sample of a Writer, checked and rendered
// once. The zero value has none.
type Labels struct {
	names    []string
	rendered []string // `a="x",`
}

// ConstLabels checks and renders label pairs, sorted by name: pairs[i] is a name
// and a value. The error names the pair that is wrong.
func ConstLabels(pairs map[string]string) (Labels, error) {
	var l Labels
	for name := range pairs {
		l.names = append(l.names, name)
	}
	slices.Sort(l.names)
	for _, name := range l.names {
		if !ValidName(name) || strings.Contains(name, ":") || strings.HasPrefix(name, "__") {
			return Labels{}, &LabelError{name}
		}
		l.rendered = append(l.rendered, name+`="`+string(escapeValue(nil, pairs[name]))+`",`)
	}
	return l, nil
}

// LabelError is a label name that cannot be used.
type LabelError struct{ Name string }

func (e *LabelError) Error() string {
	return "label name " + strconv.Quote(e.Name) + ` does not match [a-zA-Z_][a-zA-Z0-9_]*, or begins with "__"`
}

// without renders the labels, leaving out those that the family has itself: the
// family's own label is the more precise one.
func (l Labels) without(own []string) string {
	var s strings.Builder
	for i, name := range l.names {
		if !slices.Contains(own, name) {
			s.WriteString(l.rendered[i])
		}
	}
	return s.String()
}

// Reset empties the Writer, keeping its buffer and constant labels, and sets the format.
func (w *Writer) Reset(f Format) {
	w.buf, w.format, w.last = w.buf[:0], f, nil
}

// SetConstLabels puts labels on every sample written from now on.
func (w *Writer) SetConstLabels(l Labels) { w.extra, w.last = l, nil }

// Format is the format being written.
func (w *Writer) Format() Format { return w.format }

// Bytes is what was written since Reset. It is valid until the next call of the Writer.
func (w *Writer) Bytes() []byte { return w.buf }

// Append adds text that is already in the Writer's format: whole families only.
func (w *Writer) Append(text []byte) {
	w.buf = append(w.buf, text...)
	w.last = nil
}

// AppendLabelled is Append for text that others wrote: it puts the constant labels
// on the samples, but for those that a sample has itself. The error is of a line
// that is not exposition text; what stands before it was added.
func (w *Writer) AppendLabelled(text []byte) error {
	if len(w.extra.names) == 0 {
		w.Append(text)
		return nil
	}
	w.last = nil
	sc := NewScanner(text)
	for sc.Next() {
		if l := sc.Line(); l.Kind == Sample {
			w.buf = w.extra.appendTo(w.buf, l)
		} else {
			w.buf = append(w.buf, l.Raw...)
		}
		w.buf = append(w.buf, '\n')
	}
	return sc.Err()
}

// appendTo appends the sample with these labels behind its own.
func (l Labels) appendTo(dst []byte, sample *Line) []byte {
	if trimSpace(sample.Raw)[0] != '{' { // else the name is among the labels
		dst = append(dst, sample.Name...)
	}
	dst = append(dst, '{')
	dst = append(dst, bytes.TrimRight(sample.Labels, ", \t")...)
	for i, name := range l.names {
		if sample.has(name) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, l.rendered[i][:len(l.rendered[i])-1]...) // without the comma
	}
	dst = append(append(dst, '}', ' '), sample.Value...)
	if len(sample.Rest) > 0 {
		dst = append(append(dst, ' '), sample.Rest...)
	}
	return dst
}

// Truncate takes back what was written after the first n bytes, so that a family
// that failed half-way need not be reported half.
func (w *Writer) Truncate(n int) {
	w.buf, w.last = w.buf[:n], nil
}

// Sample appends one sample of f, with a value for each of its labels. Bytes in
// values that are not UTF-8 are written as U+FFFD, since parsers refuse them.
func (w *Writer) Sample(f *Family, v float64, values ...string) {
	w.begin(f, values)
	w.buf = AppendFloat(w.buf, v)
	w.buf = append(w.buf, '\n')
}

// Uint appends one sample of f whose value is a whole number. Numbers above 2^53
// keep all their digits here; what reads them rounds to a float.
func (w *Writer) Uint(f *Family, v uint64, values ...string) {
	w.begin(f, values)
	w.buf = strconv.AppendUint(w.buf, v, 10)
	w.buf = append(w.buf, '\n')
}

// SampleAt is Sample with a timestamp in milliseconds since the epoch.
func (w *Writer) SampleAt(f *Family, v float64, ms int64, values ...string) {
	w.begin(f, values)
	w.buf = AppendFloat(w.buf, v)
	w.buf = append(w.buf, ' ')
	if w.format == OpenMetrics { // seconds there, milliseconds in text 0.0.4
		w.buf = strconv.AppendFloat(w.buf, float64(ms)/1e3, 'f', 3, 64)
	} else {
		w.buf = strconv.AppendInt(w.buf, ms, 10)
	}
	w.buf = append(w.buf, '\n')
}

// Quantile is one of a summary's.
type Quantile struct {
	Share float64 // of the observations, from 0 to 1
	Value float64 // which so many of them do not exceed
}

// Summary appends a summary: its quantiles, the sum of all observations and
// their number.
func (w *Writer) Summary(f *Family, quantiles []Quantile, sum float64, count uint64) {
	for _, q := range quantiles {
		share := strconv.FormatFloat(q.Share, 'g', -1, 64)
		if w.format == OpenMetrics && !strings.ContainsAny(share, ".e") {
			share += ".0" // its canonical numbers look like floats
		}
		w.Sample(f, q.Value, share)
	}
	w.part(f, "_sum")
	w.buf = append(AppendFloat(w.buf, sum), '\n')
	w.part(f, "_count")
	w.buf = append(strconv.AppendUint(w.buf, count, 10), '\n')
}

// part appends the name of a part of f, with constant labels only.
func (w *Writer) part(f *Family, suffix string) {
	w.header(f)
	w.buf = append(append(w.buf, f.name...), suffix...)
	if w.extraOfLast != "" {
		w.buf = append(w.buf, '{')
		w.buf = append(w.buf, w.extraOfLast[:len(w.extraOfLast)-1]...) // without the comma
		w.buf = append(w.buf, '}')
	}
	w.buf = append(w.buf, ' ')
}

// header appends the header of f, if its first sample follows.
func (w *Writer) header(f *Family) {
	if f == w.last {
		return
	}
	if w.last == nil || w.last.name != f.name { // else it is the same family, with other labels
		w.buf = f.AppendHeader(w.buf, w.format)
	}
	w.last = f
	w.extraOfLast = ""
	if len(w.extra.names) > 0 {
		w.extraOfLast = w.extra.without(f.labels)
	}
}

// begin appends everything up to and including the space before the value.
func (w *Writer) begin(f *Family, values []string) {
	if len(values) != len(f.labels) {
		panic("BUG: expo: " + f.name + " has " + strconv.Itoa(len(f.labels)) + " labels, got " + strconv.Itoa(len(values)) + " values")
	}
	w.header(f)
	if len(values) == 0 {
		w.part(f, "")
		return
	}
	b := append(append(w.buf, f.name...), '{')
	b = append(b, w.extraOfLast...)
	for i, v := range values {
		b = append(b, f.labels[i]...)
		b = append(b, '=', '"')
		b = escapeValue(b, v)
		b = append(b, '"', ',')
	}
	b[len(b)-1] = '}' // where the last comma is
	w.buf = append(b, ' ')
}

// maxExact bounds the floats whose whole part is written digit by digit: below
// it every integer is exact.
const maxExact = 1 << 53

// AppendFloat appends v as the formats write it: whole numbers as digits (quicker
// to write and to read), others in the shortest form that reads back the same.
func AppendFloat(dst []byte, v float64) []byte {
	if i := int64(v); v < maxExact && v > -maxExact && float64(i) == v && (i != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(dst, i, 10)
	}
	switch {
	case v != v:
		return append(dst, "NaN"...)
	case v > math.MaxFloat64:
		return append(dst, "+Inf"...)
	case v < -math.MaxFloat64:
		return append(dst, "-Inf"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// AppendLabelValue appends a label value as it stands between its quotes. Bytes
// that are not UTF-8 become U+FFFD, since parsers refuse them.
func AppendLabelValue(dst []byte, s string) []byte { return escapeValue(dst, s) }

// escapeValue appends a label value: backslash, newline and quote escaped.
func escapeValue(dst []byte, s string) []byte { return escape(dst, s, '"') }

// escapeHelp appends a help text of text 0.0.4, where a quote stands as it is.
func escapeHelp(dst []byte, s string) []byte { return escape(dst, s, '\\') }

func escape(dst []byte, s string, quote byte) []byte {
	for i := range len(s) {
		if c := s[i]; c == '\\' || c == '\n' || c == quote || c >= utf8.RuneSelf {
			return escapeSlow(append(dst, s[:i]...), s[i:], quote)
		}
	}
	return append(dst, s...) // Fast path: nearly every value there is.
}

func escapeSlow(dst []byte, s string, quote byte) []byte {
	for _, r := range s { // a byte that is not UTF-8 comes as U+FFFD
		switch {
		case r == '\\':
			dst = append(dst, `\\`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == rune(quote):
			dst = append(dst, '\\', quote)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
