package containers

import (
	"bytes"
	"slices"
	"strconv"

	"watchpost/internal/expo"
)

// verdict is what the rules say of all series of one name, as far as the name
// alone tells.
type verdict struct {
	name  string
	asked []int // rules to ask of each series before rule, by their index
	rule  int   // decides where none of these fits; -1: none does, it is kept
	keep  bool  // what rule says

	labels []*labelRule // for series of this name
	sum    bool
	shapes []*shape // the last one used first
}

// maxVerdicts and maxShapes bound what is remembered of names and of label names,
// which come from outside.
const (
	maxVerdicts = 20_000
	maxShapes   = 8
	maxLabels   = 64 // in a line that is taken as it stands
)

// verdict finds or makes the verdict on a name.
func (f *Filter) verdict(name []byte) *verdict {
	v := f.verdicts[string(name)]
	if v == nil {
		if len(f.verdicts) >= maxVerdicts {
			clear(f.verdicts)
		}
		v = f.judge(string(name))
		f.verdicts[v.name] = v
	}
	f.last, f.lastName = v, append(f.lastName[:0], name...)
	return v
}

// judge asks the rules about a name.
func (f *Filter) judge(name string) *verdict {
	v := &verdict{name: name, rule: -1, keep: true}
	for i := range f.series {
		r := &f.series[i]
		if !r.match(name) {
			continue
		}
		if len(r.labels) == 0 && r.value == nil {
			v.rule, v.keep = i, r.Keep
			break
		}
		v.asked = append(v.asked, i)
	}
	for i := range f.labels {
		if r := &f.labels[i]; r.match(name) {
			v.labels = append(v.labels, r)
			v.sum = v.sum || r.Sum
		}
	}
	return v
}

// shape is the names of the labels of a line, in order, with what is to be done
// about each. Lines of one family mostly have the same.
type shape struct {
	labels         []shapeLabel
	pod, namespace int     // where these are, or -1
	asked          [][]int // for each rule of the verdict's: where its labels are, or -1
	changed        bool    // a label is dropped or renamed
	clash          bool    // a label has the name of one that is added
	merges         bool    // labels that are dropped may make series equal
}

type shapeLabel struct {
	name  string
	begin string // `name="`, with the comma before it where it is not the first
	drop  bool
	as    string // its new name, or the old one
}

// span is where a label's value is in a line.
type span struct{ begin, end int }

// walk finds the shape of a line and, in f.spans, the values of its labels. end is
// where the labels end: at the closing brace, or at the blank where there is none.
// A line that is not written as client libraries do has no shape.
func (f *Filter) walk(v *verdict, line []byte, at int) (s *shape, end int) {
	for i, s := range v.shapes {
		if end, ok := f.fits(s, line, at); ok {
			if i > 0 {
				v.shapes[0], v.shapes[i] = v.shapes[i], v.shapes[0]
			}
			return s, end
		}
	}
	s, ok := f.newShape(v, line, at)
	if !ok {
		return nil, 0
	}
	if len(v.shapes) >= maxShapes {
		v.shapes = v.shapes[:maxShapes-1]
	}
	v.shapes = slices.Insert(v.shapes, 0, s)
	end, ok = f.fits(s, line, at)
	if !ok {
		return nil, 0
	}
	return s, end
}

// fits tells whether a line has the shape, and finds its values.
func (f *Filter) fits(s *shape, line []byte, at int) (end int, ok bool) {
	f.spans = f.spans[:0]
	if line[at] == ' ' {
		return at, len(s.labels) == 0
	}
	at++
	for i := range s.labels {
		begin := s.labels[i].begin
		if len(line)-at < len(begin) || string(line[at:at+len(begin)]) != begin {
			return 0, false
		}
		at += len(begin)
		n := closing(line[at:])
		if n < 0 {
			return 0, false
		}
		f.spans = append(f.spans, span{at, at + n})
		at += n + 1
	}
	return at, at+1 < len(line) && line[at] == '}' && line[at+1] == ' '
}

// closing is where the quote is that ends a value, or -1.
func closing(b []byte) int {
	n := bytes.IndexByte(b, '"')
	for n > 0 && b[n-1] == '\\' && escaped(b[:n]) {
		next := bytes.IndexByte(b[n+1:], '"')
		if next < 0 {
			return -1
		}
		n += 1 + next
	}
	return n
}

// escaped tells whether what follows b is escaped: an odd number of backslashes
// ends it.
func escaped(b []byte) bool {
	return (len(b)-len(bytes.TrimRight(b, `\`)))%2 == 1
}

// newShape reads the names of the labels of a line.
func (f *Filter) newShape(v *verdict, line []byte, at int) (*shape, bool) {
	s := &shape{pod: -1, namespace: -1}
	for before := ""; line[at] == '{' && at+1 < len(line) && line[at+1] != '}' || before != ""; before = "," {
		at++
		equals := bytes.IndexByte(line[at:], '=')
		if equals <= 0 || at+equals+2 >= len(line) || line[at+equals+1] != '"' || len(s.labels) == maxLabels {
			return nil, false
		}
		name := string(line[at : at+equals])
		if !validLabel(name) {
			return nil, false
		}
		s.labels = append(s.labels, shapeLabel{name: name, begin: before + name + `="`, as: name})
		at += equals + 2
		n := closing(line[at:])
		if n < 0 || at+n+1 >= len(line) {
			return nil, false
		}
		at += n + 1
		if line[at] != ',' {
			break
		}
	}
	f.shapeRules(v, s)
	return s, true
}

// shapeRules looks up where the labels are that rules ask for, and what becomes
// of each.
func (f *Filter) shapeRules(v *verdict, s *shape) {
	index := func(name string) int {
		return slices.IndexFunc(s.labels, func(l shapeLabel) bool { return l.name == name })
	}
	s.pod, s.namespace = index("pod"), index("namespace")
	for _, i := range v.asked {
		var places []int
		for _, m := range f.series[i].labels {
			places = append(places, index(m.label))
		}
		s.asked = append(s.asked, places)
	}
	for i := range s.labels {
		l := &s.labels[i]
		for _, r := range v.labels {
			l.drop = l.drop || slices.Contains(r.Drop, l.as) || len(r.Keep) > 0 && !slices.Contains(r.Keep, l.as) && l.as != "pod" && l.as != "namespace"
			if as, ok := r.Rename[l.as]; ok {
				l.as = as
			}
		}
		s.merges = s.merges || l.drop
		s.changed = s.changed || l.drop || l.as != l.name
		_, own := f.source.value([]byte(l.as))
		s.clash = s.clash || own || f.pods != nil && f.pods.Adds(l.as)
	}
}

// keeps asks the rules that depend on more than the name.
func (f *Filter) keeps(v *verdict, s *shape, line []byte, end int) bool {
	for i, rule := range v.asked {
		if r := &f.series[rule]; f.applies(r, s.asked[i], line, end) {
			if !r.Keep {
				f.Dropped[rule]++
			}
			return r.Keep
		}
	}
	if !v.keep {
		f.Dropped[v.rule]++
	}
	return v.keep
}

// applies tells whether a series fits the conditions of a rule.
func (f *Filter) applies(r *seriesRule, places []int, line []byte, end int) bool {
	for i, m := range r.labels {
		var value []byte
		if p := places[i]; p >= 0 {
			value = line[f.spans[p].begin:f.spans[p].end]
		}
		if !m.fits(value) {
			return false
		}
	}
	if r.value == nil {
		return true
	}
	value, _, _ := bytes.Cut(afterLabels(line, end), []byte{' '})
	if string(value) == string(r.value) {
		return true
	}
	number, err := strconv.ParseFloat(string(value), 64)
	return err == nil && number == r.number
}

// afterLabels is the value of a line and what follows it.
func afterLabels(line []byte, end int) []byte {
	if line[end] == '}' {
		end++
	}
	return line[end+1:]
}

// odd takes a line that is not written as client libraries do: with blanks between
// its parts, a comma behind the last label, or not exposition text at all.
func (f *Filter) odd(dst, line []byte) ([]byte, error) {
	l, problem := expo.ParseLine(line)
	if problem != "" {
		return dst, f.wrong(line, problem)
	}
	if l.Kind != expo.Sample {
		return dst, nil // blanks only
	}
	plain := append(f.scratch[:0], l.Name...)
	plain = append(plain, '{')
	labels := 0
	for name, value := range l.Pairs {
		if labels > 0 {
			plain = append(plain, ',')
		}
		labels++
		plain = append(append(plain, name...), '=', '"')
		plain = append(append(plain, value...), '"')
	}
	plain = append(append(plain, '}', ' '), l.Value...)
	if len(l.Rest) > 0 {
		plain = append(append(plain, ' '), l.Rest...)
	}
	f.scratch = plain
	switch {
	case !expo.ValidName(string(l.Name)):
		return dst, f.wrong(line, "a metric name outside of the classic characters")
	case labels > maxLabels:
		return dst, f.wrong(line, "more than "+strconv.Itoa(maxLabels)+" labels")
	case bytes.Equal(plain, line):
		return dst, f.wrong(line, "labels that cannot be read")
	}
	if check, problem := expo.ParseLine(plain); problem != "" || countPairs(&check) != labels {
		return dst, f.wrong(line, "labels that cannot be read")
	}
	f.line--
	return f.append(dst, slices.Clone(plain))
}

func countPairs(l *expo.Line) (n int) {
	for range l.Pairs {
		n++
	}
	return n
}
