// Package containers is the cadvisor-proxy's work: the sources of container
// metrics, and the filter that their text goes through on its way to the scraper.
package containers

import (
	"bytes"
	"fmt"
	"strconv"

	"watchpost/internal/expo"
)

// Filter decides which series of an exposition are passed on, and puts labels on
// them: those of the source, and those of the pod that a series is about. It
// works on the text as it flows by: what is decided by a metric's name is decided
// once for each name, a line is walked over once, and nothing is allocated for it.
//
// A Filter is for one source, whose texts go through it one after another; it is
// not safe for concurrent use.
type Filter struct {
	series    []seriesRule
	labels    []labelRule
	dropTimes bool
	source    added // labels of every series
	pods      Pods  // nil: there are none

	verdicts map[string]*verdict // by metric name
	last     *verdict
	lastName []byte
	header   []byte // lines of the family that none of whose samples was kept yet
	family   []byte // that it belongs to
	line     int    // of the text, for errors
	spans    []span
	scratch  []byte
	merged   merged

	// Counts since the Filter was made.
	Counts
}

// Counts tell what went through a Filter.
type Counts struct {
	SeriesIn, SeriesOut uint64
	BytesIn, BytesOut   uint64
	PodUnknown          uint64   // series that name a pod which nobody knows
	Clashes             uint64   // series left out because labels that were dropped made them equal to another
	Dropped             []uint64 // series, by the index of the rule in Rules.Series
}

// Pods knows the labels of pods.
type Pods interface {
	// Labels are those of a pod, rendered; nil where it is not known. The names
	// are as the text has them, and only to be read.
	Labels(namespace, name []byte) *PodLabels
	// Adds tells whether a label of that name may be among them.
	Adds(label string) bool
}

// PodLabels are labels of a pod as they are put on its series.
type PodLabels struct{ added }

// added are rendered labels that are put on series.
type added struct {
	text  []byte   // `,a="x",b="y"`
	names []string // in order
	parts [][]byte // of text, one for each name
}

// NewPodLabels renders labels; pairs are names and values in turn.
func NewPodLabels(pairs ...string) *PodLabels {
	var l PodLabels
	for i := 0; i+1 < len(pairs); i += 2 {
		l.add(pairs[i], pairs[i+1])
	}
	return &l
}

func (a *added) add(name, value string) {
	part := append([]byte{','}, name...)
	part = append(expo.AppendLabelValue(append(part, '=', '"'), value), '"')
	a.names, a.parts, a.text = append(a.names, name), append(a.parts, part), append(a.text, part...)
}

// value is that of a label, rendered, and whether it is among them.
func (a *added) value(name []byte) (value []byte, found bool) {
	for i, n := range a.names {
		if n == string(name) {
			part := a.parts[i]
			return part[len(n)+3 : len(part)-1], true
		}
	}
	return nil, false
}

// NewFilter makes a Filter. source are the labels for every series, names and
// values in turn; pods may be nil. The error names the rule that is wrong.
func NewFilter(r Rules, pods Pods, source ...string) (*Filter, error) {
	series, labels, err := r.compile()
	if err != nil {
		return nil, err
	}
	f := &Filter{series: series, labels: labels, dropTimes: r.DropTimestamps, pods: pods, verdicts: make(map[string]*verdict)}
	f.Dropped = make([]uint64, len(series))
	f.source = NewPodLabels(source...).added
	return f, nil
}

// Begin says that a new text comes.
func (f *Filter) Begin() {
	f.header, f.family, f.lastName, f.last, f.line = f.header[:0], f.family[:0], f.lastName[:0], nil, 0
	f.merged.reset()
}

// Append filters the whole lines at the beginning of text and appends what is
// left of them to dst. It returns how many bytes of text it took; what remains is
// a line without its end, to be given again with more. The error quotes a line
// that is not exposition text; dst then has what stands before it.
func (f *Filter) Append(dst, text []byte) (_ []byte, taken int, err error) {
	begun := len(dst)
	for {
		end := bytes.IndexByte(text[taken:], '\n')
		if end < 0 {
			break
		}
		if dst, err = f.append(dst, text[taken:taken+end]); err != nil {
			break
		}
		taken += end + 1
	}
	f.BytesIn += uint64(taken)
	f.BytesOut += uint64(len(dst) - begun)
	return dst, taken, err
}

// End appends what is still held back at the end of a text, whose last line may
// lack its newline.
func (f *Filter) End(dst, rest []byte) ([]byte, error) {
	begun := len(dst)
	var err error
	if len(rest) > 0 {
		dst, err = f.append(dst, rest)
		f.BytesIn += uint64(len(rest))
	}
	dst = f.endFamily(dst)
	f.BytesOut += uint64(len(dst) - begun)
	return dst, err
}

// append filters one line.
func (f *Filter) append(dst, line []byte) ([]byte, error) {
	f.line++
	if len(line) == 0 {
		return dst, nil
	}
	if line[0] == '#' {
		return f.comment(dst, line)
	}
	v, at := f.last, len(f.lastName)
	if v == nil || len(line) <= at || line[at] != '{' && line[at] != ' ' || string(line[:at]) != string(f.lastName) {
		at = nameEnd(line)
		if at == 0 {
			return f.odd(dst, line)
		}
		v = f.verdict(line[:at])
	}
	f.SeriesIn++
	if v.rule >= 0 && len(v.asked) == 0 && !v.keep { // Fast path: nothing of the line matters.
		f.Dropped[v.rule]++
		return dst, nil
	}
	s, end := f.walk(v, line, at)
	if s == nil {
		return f.odd(dst, line)
	}
	if !f.keeps(v, s, line, end) {
		return dst, nil
	}
	return f.write(dst, v, s, line, at, end)
}

// nameEnd is the length of the metric's name that the line begins with.
func nameEnd(line []byte) int {
	for i, c := range line {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' && i > 0 || c == '_' || c == ':') {
			return i
		}
	}
	return 0
}

// comment takes a line that begins with #. The header of a family waits for the
// first of its samples that is kept.
func (f *Filter) comment(dst, line []byte) ([]byte, error) {
	l, problem := expo.ParseLine(line)
	if problem != "" {
		return dst, f.wrong(line, problem)
	}
	switch l.Kind {
	case expo.Help, expo.TypeLine, expo.Unit:
	case expo.End:
		return dst, nil // whoever joins several texts writes the end
	default:
		return dst, nil
	}
	if string(l.Name) != string(f.family) {
		dst = f.endFamily(dst)
		f.family = append(f.family[:0], l.Name...)
	}
	f.header = append(append(f.header, line...), '\n')
	return dst, nil
}

// wrong is the error of a line that cannot be read.
func (f *Filter) wrong(line []byte, problem string) error {
	const most = 120
	quoted := strconv.Quote(string(line[:min(len(line), most)]))
	if len(line) > most {
		quoted += "…"
	}
	return fmt.Errorf("line %d: %s in %s", f.line, problem, quoted)
}
