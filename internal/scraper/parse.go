package scraper

// Reading an answer. Nearly all lines of nearly all targets are of a few shapes, which
// are read here, at several times the speed of Prometheus' parsers. At the first line of
// any other shape, valid or not, Prometheus' parser takes over for the rest of the
// answer: so what is accepted, what it means and what is wrong with it is decided there.
// The shapes below are those of its lexers (model/textparse/*.l) without their rare
// branches.

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"

	"watchpost/internal/expo"
)

// format is how an answer is read.
type format uint8

const (
	byLibrary   format = iota // by Prometheus' parser alone
	plainText                 // text/plain
	openMetrics               // application/openmetrics-text, version 1
)

// reader reads an answer entry by entry. What it returns is valid until the next entry.
type reader struct {
	text   []byte // with a newline at its end
	size   int    // of the answer in text
	i      int
	format format
	typ    model.MetricType // of the last TYPE line, or ""

	name, about []byte // of a HELP or UNIT line; of a TYPE line the name alone
	series      []byte
	val         float64
	ts          int64 // in milliseconds since 1970
	hasTS       bool

	lib textparse.Parser // once it has taken over

	scratch labels.ScratchBuilder // for labels
	copies  bool                  // by copiesLabels
}

// reset prepares for an answer, to which a newline may be appended.
func (r *reader) reset(text []byte, f format) {
	r.text, r.size, r.i, r.format, r.typ, r.lib = text, len(text), 0, f, "", nil
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		r.takeOver(0) // the lexers have their own ways with zeroes
	case f == plainText:
		r.text = append(text, '\n') // the last line may do without
	}
}

// next goes to the next entry; io.EOF is the end.
func (r *reader) next() (textparse.Entry, error) {
	if r.lib != nil {
		return r.lib.Next()
	}
	for r.i < len(r.text) {
		start := r.i
		e := textparse.EntryComment
		switch c := r.text[start]; {
		case c == '#':
			e = r.comment()
		case c == '\n' && r.format == plainText:
			r.i++
		default:
			e = r.sample()
		}
		switch e {
		case textparse.EntryComment: // nobody asks for them
		case textparse.EntryInvalid:
			r.takeOver(start)
			return r.lib.Next()
		case end:
			return textparse.EntryInvalid, io.EOF
		default:
			return e, nil
		}
	}
	if r.format == openMetrics {
		r.takeOver(r.i) // it has a word to say about the missing end
		return r.lib.Next()
	}
	return textparse.EntryInvalid, io.EOF
}

// end is an entry of our own: the last line of OpenMetrics.
const end textparse.Entry = 100

// takeOver lets Prometheus' parser read from there on. All it has to know of what came
// before is the type.
func (r *reader) takeOver(from int) {
	rest, before := r.text[min(from, r.size):r.size], ""
	if r.typ != "" {
		before = "# TYPE a " + string(r.typ) + "\n"
		if r.format == plainText && r.typ == model.MetricTypeUnknown {
			before = "# TYPE a untyped\n"
		}
	}
	b := append(append(make([]byte, 0, len(before)+len(rest)+1), before...), rest...)
	if r.format == openMetrics {
		r.lib = textparse.NewOpenMetricsParser(b, nil)
	} else {
		r.lib = textparse.NewPromParser(b, nil, false)
	}
	if before != "" {
		r.lib.Next() // that line
	}
}

// sampleLine are the parts of an EntrySeries: the text of its series, its time where it
// has one, and its value.
func (r *reader) sampleLine() (series []byte, ts int64, hasTS bool, v float64) {
	if r.lib == nil {
		return r.series, r.ts, r.hasTS, r.val
	}
	series, t, v := r.lib.Series()
	if t != nil {
		ts, hasTS = *t, true
	}
	return series, ts, hasTS, v
}

// help, unit and kind are the parts of entries that describe a family.
func (r *reader) help() (name, text []byte) {
	if r.lib != nil {
		return r.lib.Help()
	}
	if bytes.IndexByte(r.about, '\\') >= 0 {
		if r.format == openMetrics {
			return r.name, []byte(expo.Unescape(r.about))
		}
		return r.name, []byte(helpEscapes.Replace(string(r.about)))
	}
	return r.name, r.about
}

// helpEscapes are those of HELP lines in the plain text format, where a quote needs none.
var helpEscapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n")

func (r *reader) unit() (name, unit []byte) {
	if r.lib != nil {
		return r.lib.Unit()
	}
	return r.name, r.about
}

func (r *reader) kind() (name []byte, t model.MetricType) {
	if r.lib != nil {
		return r.lib.Type()
	}
	return r.name, r.typ
}

// comment reads a line that begins with #.
func (r *reader) comment() textparse.Entry {
	line := r.text[r.i:]
	n := bytes.IndexByte(line, '\n')
	if r.format == openMetrics && (string(line) == "# EOF" || string(line) == "# EOF\n") {
		return end
	}
	if n < 0 {
		return textparse.EntryInvalid
	}
	line = line[:n]
	r.i += n + 1
	var e textparse.Entry
	switch {
	case bytes.HasPrefix(line, helpWord):
		e = textparse.EntryHelp
	case bytes.HasPrefix(line, typeWord):
		e = textparse.EntryType
	case bytes.HasPrefix(line, unitWord) && r.format == openMetrics:
		e = textparse.EntryUnit
	case r.format == plainText && !describes(line):
		return textparse.EntryComment
	default:
		return textparse.EntryInvalid
	}
	line = line[len(helpWord):]
	n = nameLength(line, true)
	// A text of blanks alone, and none at all, are rare branches.
	if n == 0 || n+1 >= len(line) || line[n] != ' ' || line[n+1] == ' ' || line[n+1] == '\t' {
		return textparse.EntryInvalid
	}
	r.name, r.about = line[:n], line[n+1:]
	switch e {
	case textparse.EntryHelp:
		if !utf8.Valid(r.about) {
			return textparse.EntryInvalid
		}
	case textparse.EntryType:
		t := typeOf(r.about, r.format)
		if t == "" {
			return textparse.EntryInvalid
		}
		r.typ = t
	case textparse.EntryUnit:
		if n := len(r.name) - len(r.about); n < 1 || r.name[n-1] != '_' || !bytes.HasSuffix(r.name, r.about) {
			return textparse.EntryInvalid
		}
	}
	return e
}

// The words that begin lines about families, all of one length.
var (
	helpWord = []byte("# HELP ")
	typeWord = []byte("# TYPE ")
	unitWord = []byte("# UNIT ")
)

// describes tells whether a comment of the plain text format may be more than that.
func describes(line []byte) bool {
	word := bytes.TrimLeft(line[1:], " \t")
	return bytes.HasPrefix(word, helpWord[2:6]) || bytes.HasPrefix(word, typeWord[2:6])
}

// typeOf is the type of that name in the format, or "".
func typeOf(name []byte, f format) model.MetricType {
	switch string(name) {
	case "counter":
		return model.MetricTypeCounter
	case "gauge":
		return model.MetricTypeGauge
	case "histogram":
		return model.MetricTypeHistogram
	case "summary":
		return model.MetricTypeSummary
	}
	if f == plainText {
		if string(name) == "untyped" {
			return model.MetricTypeUnknown
		}
		return ""
	}
	switch string(name) {
	case "gaugehistogram":
		return model.MetricTypeGaugeHistogram
	case "info":
		return model.MetricTypeInfo
	case "stateset":
		return model.MetricTypeStateset
	case "unknown":
		return model.MetricTypeUnknown
	}
	return ""
}

// sample reads a line with a sample.
func (r *reader) sample() textparse.Entry {
	b := r.text[r.i:]
	n := nameLength(b, true)
	if n == 0 {
		return textparse.EntryInvalid
	}
	if n < len(b) && b[n] == '{' {
		l := r.labelsLength(b[n:])
		if l == 0 {
			return textparse.EntryInvalid
		}
		n += l
	}
	r.series = b[:n]
	v, n := r.number(b, n)
	if n < 0 {
		return textparse.EntryInvalid
	}
	r.val = v
	if math.IsNaN(v) {
		r.val = math.Float64frombits(value.NormalNaN)
	}
	r.hasTS = false
	if r.format == plainText {
		for b[n] == ' ' || b[n] == '\t' { // a newline comes
			n++
		}
		if b[n] != '\n' {
			if n = r.milliseconds(b, n); n < 0 {
				return textparse.EntryInvalid
			}
		}
	} else {
		if n+1 < len(b) && b[n] == ' ' && b[n+1] != '#' {
			if n = r.seconds(b, n); n < 0 {
				return textparse.EntryInvalid
			}
		}
		if bytes.HasPrefix(b[n:], exemplarMark) {
			if n = r.exemplar(b, n); n < 0 {
				return textparse.EntryInvalid
			}
		}
		if n >= len(b) || b[n] != '\n' {
			return textparse.EntryInvalid
		}
	}
	r.i += n + 1
	return textparse.EntrySeries
}

// number reads the value that stands after the series, at n, and returns where it ends,
// or -1.
func (r *reader) number(b []byte, n int) (float64, int) {
	if n >= len(b) || b[n] != ' ' {
		return 0, -1
	}
	n++
	if r.format == plainText {
		for n < len(b) && b[n] == ' ' {
			n++
		}
	}
	length := valueLength(b[n:], r.format)
	v, ok := float(b[n : n+length])
	if !ok {
		return 0, -1
	}
	return v, n + length
}

// valueLength is the length of the value, or time, at the beginning of b.
func valueLength(b []byte, f format) int {
	for i, c := range b {
		switch c {
		case ' ', '\n':
			return i
		case '\t', '{':
			if f == plainText {
				return i
			}
		}
	}
	return len(b)
}

// milliseconds reads the time of a sample in the plain text format, up to the newline.
func (r *reader) milliseconds(b []byte, n int) int {
	var t int64
	start := n
	for ; b[n] >= '0' && b[n] <= '9'; n++ {
		t = 10*t + int64(b[n]-'0')
	}
	if n == start || n-start > 18 { // of which each fits
		return -1
	}
	for b[n] == ' ' || b[n] == '\t' {
		n++
	}
	if b[n] != '\n' {
		return -1
	}
	r.ts, r.hasTS = t, true
	return n
}

// seconds reads the time of a sample in OpenMetrics.
func (r *reader) seconds(b []byte, n int) int {
	length := valueLength(b[n+1:], openMetrics)
	t, ok := float(b[n+1 : n+1+length])
	if !ok || math.IsNaN(t) || math.IsInf(t, 0) {
		return -1
	}
	r.ts, r.hasTS = int64(t*1000), true
	return n + 1 + length
}

var exemplarMark = []byte(" # {")

// exemplar passes over the exemplar at n, and returns where it ends, or -1.
func (r *reader) exemplar(b []byte, n int) int {
	n += len(exemplarMark) - 1
	l := r.labelsLength(b[n:])
	if l == 0 {
		return -1
	}
	n += l
	for i := range 2 { // the value, and perhaps a time
		if n >= len(b) || b[n] != ' ' {
			if i == 0 {
				return -1
			}
			break
		}
		length := valueLength(b[n+1:], openMetrics)
		t, ok := float(b[n+1 : n+1+length])
		if !ok || math.IsNaN(t) || math.IsInf(t, 0) { // as a value these are fine, and rare
			return -1
		}
		n += 1 + length
	}
	return n
}

// nameLength is the length of the name at the beginning of b, of a metric or a label.
func nameLength(b []byte, metric bool) int {
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == ':' && metric:
		case '0' <= c && c <= '9' && i > 0:
		default:
			return i
		}
	}
	return len(b)
}

// labelsLength is the length of the labels at the beginning of b, with their braces, or
// 0 where they are not of the common shape.
func (r *reader) labelsLength(b []byte) int {
	i := 1
	for {
		if i < len(b) && b[i] == '}' {
			return i + 1
		}
		n := nameLength(b[i:], false)
		i += n
		if n == 0 || i+1 >= len(b) || b[i] != '=' || b[i+1] != '"' {
			return 0
		}
		i += 2
		start, ascii := i, byte(0)
		for ; ; i++ {
			if i >= len(b) || b[i] == '\n' {
				return 0
			}
			if b[i] == '"' {
				break
			}
			ascii |= b[i]
			if b[i] == '\\' {
				if i++; i >= len(b) || b[i] == '\n' {
					return 0
				}
				ascii |= b[i]
			}
		}
		if ascii >= utf8.RuneSelf && !utf8.Valid(b[start:i]) {
			return 0
		}
		i++
		if i < len(b) && b[i] == ',' {
			i++
			for r.format == plainText && i < len(b) && b[i] == ' ' {
				i++
			}
		} else if i >= len(b) || b[i] != '}' {
			return 0
		}
	}
}

// float reads a number as Prometheus' parsers do: as strconv, without its later forms.
func float(b []byte) (float64, bool) {
	// A whole number below 2^53 by a power of ten up to 10^22 is exact, as both are.
	var mantissa uint64
	digits, point := 0, -1
	i := 0
	if len(b) > 0 && b[0] == '-' {
		i++
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case '0' <= c && c <= '9':
			mantissa = 10*mantissa + uint64(c-'0')
			digits++
			continue
		case c == '.' && point < 0:
			point = digits
			continue
		}
		break
	}
	if i == len(b) && digits > 0 && digits <= 15 {
		v := float64(mantissa)
		if point >= 0 {
			v /= powers[digits-point]
		}
		if b[0] == '-' {
			v = -v
		}
		return v, true
	}
	for _, c := range b[i:] {
		if c == 'p' || c == 'P' || c == '_' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(borrowed(b), 64)
	return v, err == nil
}

// powers of ten.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// labels makes the labels of the series that was read. They are valid until the next
// ones are made.
func (r *reader) labels(l *labels.Labels) {
	if r.lib != nil {
		r.lib.Labels(l)
		return
	}
	b := r.series
	if !r.copies {
		b = bytes.Clone(b)
	}
	r.scratch.Reset()
	i := nameLength(b, true)
	r.scratch.Add(model.MetricNameLabel, borrowed(b[:i]))
	for i++; i < len(b) && b[i] != '}'; {
		n := nameLength(b[i:], false)
		name := borrowed(b[i : i+n])
		i += n + len(`="`)
		start := i
		for ; b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
		}
		r.scratch.Add(name, r.labelValue(name, b[start:i]))
		if i++; b[i] == ',' {
			i++
		}
		for b[i] == ' ' {
			i++
		}
	}
	r.scratch.Sort()
	r.scratch.Overwrite(l)
}

// labelValue is what stands for a value; buckets and quantiles are written as OpenMetrics
// writes floats.
func (r *reader) labelValue(name string, b []byte) string {
	v := borrowed(b)
	if bytes.IndexByte(b, '\\') >= 0 {
		v = expo.Unescape(b)
	}
	if name == model.BucketLabel && r.typ == model.MetricTypeHistogram || name == model.QuantileLabel && r.typ == model.MetricTypeSummary {
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return labels.FormatOpenMetricsFloat(f)
		}
	}
	return v
}

// copiesLabels tells whether labels hold copies of the strings they were made of, as
// they do unless Prometheus' library is built with another of its representations.
func copiesLabels() bool {
	b := []byte("value")
	sb := labels.NewScratchBuilder(1)
	sb.Add("name", borrowed(b))
	l := sb.Labels()
	b[0] = 'V'
	return l.Get("name") == "value"
}
