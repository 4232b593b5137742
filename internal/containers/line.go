package containers

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"watchpost/internal/expo"
)

// verdict is what the rules say of all series of one name, as far as the name
// alone tells.
type verdict struct {
	token  string // the name as it stands in the text: a quoted one with `{"` before it
	name   string
	quoted bool
	asked  []int // rules to ask of each series before rule, by their index
	rule   int   // decides where none of these fits; -1: none does, it is kept
	keep   bool  // what rule says

	labels []*labelRule // for series of this name; any of them may make series equal
	sum    bool
	hash   uint64 // of the name
	shapes []*shape
}

// dropsAll tells that no series of the name is kept, whatever its labels are.
func (v *verdict) dropsAll() bool { return !v.keep && len(v.asked) == 0 }

// What is remembered of names and of label names, which come from outside, is
// bounded: by number for the shapes of a name, by bytes for all together.
const (
	maxCached = 4 << 20
	maxShapes = 8
	maxKept   = 4096 // bytes of a shape or name that is remembered
)

// name finds the metric's name that the line begins with: its verdict, and where it
// ends. There is none in a line that is not written as client libraries do.
func (f *Filter) name(line []byte) (v *verdict, at int) {
	if v = f.last; v != nil && endsAt(line, len(v.token), v.quoted) && string(line[:len(v.token)]) == v.token {
		return v, len(v.token)
	}
	quoted := len(line) > 1 && line[0] == '{' && line[1] == '"'
	if quoted {
		n := closing(line[2:])
		if n < 0 {
			return nil, 0
		}
		at = 2 + n + 1
	} else {
		at = nameEnd(line)
	}
	if at < 1 || !endsAt(line, at, quoted) {
		return nil, 0
	}
	if v = f.verdicts[string(line[:at])]; v != nil {
		return v, at
	}
	v = &verdict{token: string(line[:at]), quoted: quoted}
	if v.name = v.token; quoted {
		v.name = expo.Unescape(line[2 : at-1])
	}
	f.judge(v)
	f.remember(at + 200)
	if at <= maxKept {
		f.verdicts[v.token] = v
	}
	return v, at
}

// endsAt tells whether a name may end there.
func endsAt(line []byte, at int, quoted bool) bool {
	if at >= len(line) {
		return false
	}
	if quoted {
		return line[at] == ',' || line[at] == '}'
	}
	return line[at] == '{' || line[at] == ' '
}

// nameEnd is the length of the metric's name that the line begins with.
func nameEnd(line []byte) int {
	for i, c := range line {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' && i > 0 || c == '_' || c == ':') {
			return i
		}
	}
	return len(line)
}

// remember counts what is remembered, and forgets all where it is too much.
func (f *Filter) remember(bytes int) {
	if f.cached += bytes; f.cached > maxCached {
		clear(f.verdicts)
		f.blocks.forget()
		f.cached = bytes
	}
}

// judge asks the rules about a name.
func (f *Filter) judge(v *verdict) {
	v.rule, v.keep, v.hash = -1, true, maphash.String(f.family.merged.seed, v.name)
	for i := range f.series {
		r := &f.series[i]
		if !r.match(v.name) {
			continue
		}
		if len(r.labels) == 0 && r.value == nil {
			v.rule, v.keep = i, r.Keep
			break
		}
		v.asked = append(v.asked, i)
	}
	for i := range f.labels {
		if r := &f.labels[i]; r.match(v.name) {
			v.labels = append(v.labels, r)
			v.sum = v.sum || r.Sum
		}
	}
}

// shape is the names of the labels of a line, in order, with what is to be done
// about each. Lines of one family mostly have the same.
type shape struct {
	labels         []shapeLabel
	layout         *layout // nil where the shape is not remembered
	pod, namespace int     // where these are, or -1
	asked          [][]int // for each rule of the verdict's: where its labels are, or -1
	changed        bool    // a label is dropped or renamed, or has the name of one that is added
}

type shapeLabel struct {
	name  string
	begin string // all up to its value: `{name="` or `,name="`
	drop  bool
	added bool   // a label of its name is added
	as    string // its new name, or the old one
	write string // `,as="`
	hash  uint64 // of as
}

// series is one line with a sample, taken apart.
type series struct {
	v     *verdict
	s     *shape
	line  []byte
	at    int    // where the name ends
	end   int    // where the labels end: at the closing brace, or at the blank where there is none
	spans []span // of the labels' values
	own   []span // memory for spans
	block *block // the labels, if they are remembered
	rest
}

// span is where a label's value is, behind the name.
type span struct{ begin, end int32 }

// value is that of a label, still escaped.
func (x *series) value(i int) []byte {
	s := x.spans[i]
	return x.line[x.at+int(s.begin) : x.at+int(s.end)]
}

// recognise tells whether the labels of a line are those that were expected, and
// takes them as they were found the last time.
func (f *Filter) recognise(x *series) bool {
	if x.v.quoted { // its characters were not looked at
		return false
	}
	b := f.blocks.expected(x.line[x.at:])
	if b == nil {
		return false
	}
	x.end = x.at + len(b.text) - 1
	for _, s := range x.v.shapes {
		if s.layout == b.layout {
			if !printable(x.line[x.end:]) {
				return false
			}
			x.s, x.spans, x.block = s, b.spans, b
			return true
		}
	}
	return false
}

// walk finds the shape of a line and the values of its labels. A line that is not
// written as client libraries do has no shape.
func (f *Filter) walk(x *series) bool {
	v := x.v
	for i, s := range v.shapes {
		if x.fits(s) {
			if i > 0 {
				v.shapes[0], v.shapes[i] = v.shapes[i], v.shapes[0]
			}
			x.block = f.blocks.found(x)
			return true
		}
	}
	s, size := f.newShape(v, x.line, x.at)
	if s == nil || !x.fits(s) {
		return false
	}
	if size <= maxKept {
		f.remember(4 * size)
		s.layout = f.blocks.layoutOf(s)
		v.shapes = slices.Insert(v.shapes[:min(len(v.shapes), maxShapes-1)], 0, s)
	}
	return true
}

// fits finds the values of the labels of a line, and where they end, if it has the
// shape.
func (x *series) fits(s *shape) bool {
	labels := x.line[x.at:]
	at, spans := 0, x.own[:0]
	for i := range s.labels {
		begin := s.labels[i].begin
		if len(labels)-at <= len(begin) || string(labels[at:at+len(begin)]) != begin {
			return false
		}
		at += len(begin)
		n := 0
		if labels[at] != '"' {
			if n = closing(labels[at:]); n < 0 {
				return false
			}
		}
		spans = append(spans, span{int32(at), int32(at + n)})
		at += n + 1
	}
	switch {
	case at+1 >= len(labels):
		return false
	case len(s.labels) == 0 && !x.v.quoted:
		if labels[at] != ' ' {
			return false
		}
	case labels[at] != '}' || labels[at+1] != ' ':
		return false
	}
	x.s, x.spans, x.own, x.end = s, spans, spans, x.at+at
	return true
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

// newShape reads the names of the labels of a line; size is how long they are.
func (f *Filter) newShape(v *verdict, line []byte, at int) (s *shape, size int) {
	s = &shape{pod: -1, namespace: -1}
	before := byte('{')
	if v.quoted {
		before = ','
	}
	known := make(map[string]bool)
	for at < len(line) && line[at] != '}' && line[at] != ' ' {
		begun := at
		if line[at] != before {
			return nil, 0
		}
		before = ','
		name, n := labelName(line[at+1:])
		at += 1 + n
		if n == 0 || known[name] || !bytes.HasPrefix(line[at:], []byte(`="`)) {
			return nil, 0
		}
		known[name] = true
		at += 2
		s.labels = append(s.labels, shapeLabel{name: name, begin: string(line[begun:at]), as: name})
		size += 100 + at - begun
		end := closing(line[at:])
		if end < 0 {
			return nil, 0
		}
		at += end + 1
	}
	f.shapeRules(v, s)
	return s, size
}

// labelName is the name of the label that b begins with, and how many bytes it
// takes there, with the quotes that it may have; 0 where there is none.
func labelName(b []byte) (name string, n int) {
	if len(b) > 0 && b[0] == '"' {
		if n = closing(b[1:]); n <= 0 {
			return "", 0
		}
		return expo.Unescape(b[1 : 1+n]), n + 2
	}
	n = nameEnd(b)
	if bytes.IndexByte(b[:n], ':') >= 0 {
		return "", 0
	}
	return string(b[:n]), n
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
	for _, r := range v.labels {
		r.apply(s.labels)
	}
	for i := range s.labels {
		l := &s.labels[i]
		l.added = f.source.has(l.as) || f.pods != nil && f.pods.Adds(l.as)
		l.hash = maphash.String(f.family.merged.seed, l.as)
		l.write = "," + l.as + `="`
		if !validLabel(l.as) {
			l.write = `,"` + string(expo.AppendLabelValue(nil, l.as)) + `"="`
		}
		s.changed = s.changed || l.drop || l.added || l.as != l.name
	}
}

// keeps asks the rules that depend on more than the name. rule is the one that
// decided, or -1.
func (f *Filter) keeps(x *series) (rule int, keep bool) {
	for i, rule := range x.v.asked {
		if r := &f.series[rule]; x.applies(r, x.s.asked[i]) {
			return rule, r.Keep
		}
	}
	return x.v.rule, x.v.keep
}

// applies tells whether a series fits the conditions of a rule, whose labels are at
// these places.
func (x *series) applies(r *seriesRule, places []int) bool {
	for i := range r.labels {
		var value []byte
		if p := places[i]; p >= 0 {
			value = x.value(p)
		}
		if !r.labels[i].fits(value) {
			return false
		}
	}
	return r.value == nil || r.hasValue(x.number())
}

// printable tells whether all bytes are ASCII and none is a control character.
func printable(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	// Of a byte below 0x20 the subtraction leaves the highest bit set, and of one
	// above 0x7f that bit is there to begin with.
	var odd uint64
	for ; len(b) >= 32; b = b[32:] {
		w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		w2, w3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		odd |= (w0 - 0x20*ones) | w0 | (w1 - 0x20*ones) | w1 | (w2 - 0x20*ones) | w2 | (w3 - 0x20*ones) | w3
	}
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		odd |= (w - 0x20*ones) | w
	}
	for _, c := range b {
		odd |= uint64(c-0x20) | uint64(c)
	}
	return odd&highs == 0
}
