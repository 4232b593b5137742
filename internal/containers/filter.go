// Package containers is the cadvisor-proxy's work: the sources of container
// metrics, and the filter that their text goes through on its way to the scraper.
package containers

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"

	"watchpost/internal/expo"
)

// Filter decides which series of an exposition are passed on, and puts labels on
// them: those of the source, and those of the pod that a series is about. It
// works on the text as it flows by: what is decided by a metric's name is decided
// once for each name, a line is walked over once, and nothing is allocated for it.
//
// A Filter is for one source, whose texts go through it one after another. It is
// not safe for concurrent use, apart from Explain.
type Filter struct {
	rules  Rules
	added  []string // the source's labels, as NewFilter was given them
	series []seriesRule
	labels []labelRule
	times  Timestamps
	source labelText // labels of every series
	pods   Pods      // nil: there are none
	about  *PodLabels
	now    func() time.Time

	format   expo.Format
	verdicts map[string]*verdict // by the name as it stands in the text
	cached   int                 // about how many bytes they hold
	last     *verdict
	line     int   // of the text, for errors
	ended    bool  // "# EOF" was there
	oldest   int64 // ms since 1970; samples with an older timestamp are stale

	family family
	blocks blocks
	one    series // the line's, reused
	texts  int    // begun so far
	in     []byte // the text as it is read, reused
	out    []byte // what is left of it, reused

	// Counts since the Filter was made.
	Counts
}

// Counts tell what went through a Filter.
type Counts struct {
	SeriesIn, SeriesOut uint64
	BytesIn, BytesOut   uint64
	Stale               uint64      // series left out because their timestamp was too old
	PodUnknown          uint64      // series that name a pod which nobody knows
	Clashes             uint64      // series left out because label rules made them equal to another
	ByRule              []RuleCount // by the index of the rule in Asked
}

// RuleCount is what one rule decided: series, and the bytes of their lines as they
// were read.
type RuleCount struct{ Series, Bytes uint64 }

// Pods knows the labels of pods.
type Pods interface {
	// Labels are those of a pod, rendered; nil where it is not known. The names
	// are as the text has them, and only to be read during the call.
	Labels(namespace, name []byte) *PodLabels
	// Adds tells whether a label of that name may be among them.
	Adds(label string) bool
}

// PodLabels are labels of a pod as they are put on its series.
type PodLabels struct{ labelText }

// NewPodLabels renders labels; pairs are names and values in turn. A label without
// a value is left out, as it is the same as none.
func NewPodLabels(pairs ...string) *PodLabels { return &PodLabels{renderLabels(pairs)} }

// Behind are labels, pairs of names and values in turn, with those of the pod behind
// them.
func (l *PodLabels) Behind(pairs ...string) *PodLabels {
	all := NewPodLabels(pairs...)
	all.names, all.text = append(all.names, l.names...), append(all.text, l.text...)
	return all
}

// labelText are rendered labels that are put on series.
type labelText struct {
	text  []byte   // `,a="x",b="y"`
	names []string // in order
}

func renderLabels(pairs []string) (l labelText) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		l.names = append(l.names, pairs[i])
		l.text = append(append(append(l.text, ','), pairs[i]...), '=', '"')
		l.text = append(expo.AppendLabelValue(l.text, pairs[i+1]), '"')
	}
	return l
}

func (l *labelText) has(name string) bool {
	for _, n := range l.names {
		if n == name {
			return true
		}
	}
	return false
}

// NewFilter makes a Filter. source are labels for every series, names and values
// in turn; pods may be nil. The error names the rule that is wrong.
func NewFilter(r Rules, pods Pods, source ...string) (*Filter, error) {
	series, labels, err := r.compile()
	if err != nil {
		return nil, err
	}
	f := &Filter{rules: r, added: source, series: series, labels: labels, times: r.timestamps(), pods: pods, now: time.Now, verdicts: make(map[string]*verdict)}
	f.ByRule = make([]RuleCount, len(series))
	f.family.merged.seed = maphash.MakeSeed()
	all := append(r.static(), source...)
	f.source = renderLabels(all)
	for i, name := range f.source.names {
		switch {
		case !validLabel(name):
			return nil, fmt.Errorf("%q is not the name of a label", name)
		case indexOf(f.source.names[:i], name) >= 0:
			return nil, fmt.Errorf("label %s is given twice: by the rules and by the source", name)
		case pods != nil && pods.Adds(name):
			return nil, fmt.Errorf("label %s is given twice: for all series, and by their pods", name)
		}
	}
	return f, nil
}

// About says that all series of the texts to come are of one pod, whatever they name,
// and get these labels. The names have to be among those that the Filter's Pods may add.
func (f *Filter) About(pod *PodLabels) { f.about = pod }

// Asked is a rule that decides on series.
type Asked struct {
	Origin string // where it was read
	Keep   bool   // else it drops them
}

// Asked are the rules for series, in the order in which they are asked.
func (f *Filter) Asked() []Asked {
	asked := make([]Asked, len(f.series))
	for i := range f.series {
		asked[i] = Asked{f.series[i].Origin, f.series[i].Keep}
	}
	return asked
}

// Ended tells whether the last text had its "# EOF". The line itself is not passed
// on: it stands at the end of what may be several texts together, and whoever
// writes them knows where that is.
func (f *Filter) Ended() bool { return f.ended }

// begin makes ready for a new text.
func (f *Filter) begin(format expo.Format) {
	f.format, f.last, f.line, f.ended = format, nil, 0, false
	f.family.reset()
	f.blocks.begin()
	f.texts++
	f.oldest = f.now().Add(-f.rules.maxAge()).UnixMilli()
}

// lines filters the whole lines at the beginning of text and appends what is left
// of them to dst, until that is longer than most. It returns how many bytes of text
// it took. The error quotes the line that is not exposition text; dst then has what
// stands before it.
func (f *Filter) lines(dst, text []byte, most int) (_ []byte, taken int, err error) {
	for len(dst) < most {
		end := bytes.IndexByte(text[taken:], '\n')
		if end < 0 {
			break
		}
		if dst, err = f.append(dst, text[taken:taken+end]); err != nil {
			break
		}
		taken += end + 1
	}
	return dst, taken, err
}

// end filters the last line, which may lack its newline, and appends what was held
// back until the end of the text.
func (f *Filter) end(dst, rest []byte) ([]byte, error) {
	if len(rest) > 0 {
		var err error
		if dst, err = f.append(dst, rest); err != nil {
			return dst, err
		}
	}
	if f.format == expo.OpenMetrics && !f.ended {
		return dst, fmt.Errorf("after line %d: the text ends without # EOF: it was cut", f.line)
	}
	return f.endFamily(dst), nil
}

// append filters one line.
func (f *Filter) append(dst, line []byte) ([]byte, error) {
	f.line++
	if len(line) == 0 {
		return dst, nil
	}
	if f.ended {
		return dst, f.wrong(line, "text behind # EOF")
	}
	if line[0] == '#' {
		return f.comment(dst, line)
	}
	v, at := f.name(line)
	if v == nil {
		return f.odd(dst, line)
	}
	if v != f.last {
		dst = f.turn(dst, v)
	}
	if v.dropsAll() { // Fast path: nothing of the line matters.
		f.dropped(v.rule, line)
		return dst, nil
	}
	x := &f.one
	x.v, x.line, x.at, x.block = v, line, at, nil
	if f.recognise(x) || printable(line) && f.walk(x) {
		if f.rest(x) == "" {
			return f.sample(dst, x)
		}
	}
	return f.odd(dst, line)
}

// sample decides on a series whose parts are known.
func (f *Filter) sample(dst []byte, x *series) ([]byte, error) {
	rule := x.v.rule
	if len(x.v.asked) > 0 {
		var keep bool
		if rule, keep = f.keeps(x); !keep {
			f.dropped(rule, x.line)
			return dst, nil
		}
	}
	if rule >= 0 {
		f.decided(rule, x.line)
	}
	f.SeriesIn++
	if x.stale {
		f.Stale++
		f.family.drop()
		return dst, nil
	}
	return f.write(dst, x)
}

// dropped counts a series that a rule drops.
func (f *Filter) dropped(rule int, line []byte) {
	f.SeriesIn++
	f.decided(rule, line)
	f.family.drop()
}

// decided counts a series on which a rule decided.
func (f *Filter) decided(rule int, line []byte) {
	c := &f.ByRule[rule]
	c.Series++
	c.Bytes += uint64(len(line)) + 1
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

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
