package expo

import (
	"bytes"
	"fmt"
	"strconv"
	"unsafe"
)

// Kind is what a line of an exposition is.
type Kind uint8

// The kinds of lines. HELP, TYPE and UNIT lines name their family; other
// comments and empty lines are Comment.
const (
	Comment Kind = iota
	Help
	TypeLine
	Unit
	Sample
	End // "# EOF" of OpenMetrics
)

// Line is one line of an exposition. Its parts point into the text scanned and
// nothing is unescaped.
type Line struct {
	Kind   Kind
	Raw    []byte // the whole line, without its newline
	Name   []byte // the metric's, for all but Comment and End
	Labels []byte // Sample: what stands between the braces
	Value  []byte // Sample: the value; Help, TypeLine, Unit: what follows the name
	Rest   []byte // Sample: timestamp and exemplar, without the space before
}

// Scanner walks over the lines of an exposition in either text format. It checks
// what it needs to find the parts of a line, not what the parts say.
type Scanner struct {
	rest []byte
	line Line
	n    int
	err  error
}

// NewScanner reads from text, which must not change while it is being read.
func NewScanner(text []byte) *Scanner { return &Scanner{rest: text} }

// Next goes to the next line. It returns false at the end of the text and at a
// line that is not exposition text, which Err then quotes.
func (s *Scanner) Next() bool {
	if len(s.rest) == 0 || s.err != nil {
		return false
	}
	s.n++
	raw := s.rest
	if i := bytes.IndexByte(raw, '\n'); i >= 0 {
		raw, s.rest = raw[:i], raw[i+1:]
	} else {
		s.rest = nil
	}
	line, problem := ParseLine(raw)
	if problem != "" {
		s.err = fmt.Errorf("line %d: %s in %s", s.n, problem, quoteStart(raw))
		return false
	}
	s.line = line
	return true
}

// Line is the line that Next went to. It is valid until the next call of Next.
func (s *Scanner) Line() *Line { return &s.line }

// Err is the line that could not be read, if any.
func (s *Scanner) Err() error { return s.err }

// FamilyNames yields the names in the TYPE lines of an exposition. It looks for
// nothing else, so it goes over a large text at the speed of memory.
func FamilyNames(text []byte) func(yield func([]byte) bool) {
	mark := []byte("\n# TYPE ")
	return func(yield func([]byte) bool) {
		rest, found := bytes.CutPrefix(text, mark[1:])
		for {
			if found {
				name, _, _ := bytes.Cut(rest, []byte(" "))
				if !yield(name) {
					return
				}
			}
			if _, rest, found = bytes.Cut(rest, mark); !found {
				return
			}
		}
	}
}

// quoteStart quotes a line, cut where it is too long for a message.
func quoteStart(b []byte) string {
	const most = 120
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "…"
	}
	return strconv.Quote(string(b))
}

// ParseLine takes one line, without its newline, apart. A problem that is not ""
// tells what is wrong with it.
func ParseLine(raw []byte) (l Line, problem string) {
	l.Raw = raw
	b := trimSpace(raw)
	if len(b) == 0 {
		return l, ""
	}
	if b[0] == '#' {
		return parseComment(l, b)
	}
	l.Kind = Sample
	i := 0
	for i < len(b) && nameByte(b[i]) {
		i++
	}
	if i > 0 {
		l.Name = b[:i]
	}
	b = trimSpace(b[i:])
	if len(b) > 0 && b[0] == '{' {
		end := closingBrace(b)
		if end < 0 {
			return l, "no closing brace"
		}
		l.Labels = b[1:end]
		b = trimSpace(b[end+1:])
		if l.Name == nil { // {"a name of any characters",label="value"}
			l.Name = quotedName(l.Labels)
		}
	}
	if l.Name == nil || i > 0 && '0' <= l.Name[0] && l.Name[0] <= '9' {
		return l, "no metric name"
	}
	l.Value, l.Rest = b, nil
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		l.Value, l.Rest = b[:i], trimSpace(b[i:])
	}
	if len(l.Value) == 0 {
		return l, "no value"
	}
	return l, ""
}

func parseComment(l Line, b []byte) (Line, string) {
	if string(b) == "# EOF" {
		l.Kind = End
		return l, ""
	}
	word, rest := cutSpace(trimSpace(b[1:]))
	switch string(word) {
	case "HELP":
		l.Kind = Help
	case "TYPE":
		l.Kind = TypeLine
	case "UNIT":
		l.Kind = Unit
	default:
		return l, ""
	}
	if len(rest) > 0 && rest[0] == '"' {
		end := closingQuote(rest)
		if end < 0 {
			return l, "no closing quote"
		}
		l.Name, l.Value = rest[1:end], trimSpace(rest[end+1:])
	} else {
		l.Name, l.Value = cutSpace(rest)
	}
	if len(l.Name) == 0 {
		l.Kind = Comment // it only begins like one
	}
	return l, ""
}

// Float is the sample's value.
func (l *Line) Float() (float64, error) {
	// The string lives no longer than the call that reads it.
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(l.Value), len(l.Value)), 64)
	if err != nil {
		return 0, fmt.Errorf("%s: value %q is not a number", l.Name, l.Value)
	}
	return v, nil
}

// Label is the value of a label, unescaped, and whether the line has the label.
func (l *Line) Label(name string) (string, bool) {
	for k, v := range l.Pairs {
		if string(k) == name {
			return Unescape(v), true
		}
	}
	return "", false
}

// has tells whether the line has the label.
func (l *Line) has(name string) bool {
	for k := range l.Pairs {
		if string(k) == name {
			return true
		}
	}
	return false
}

// Pairs yields the label names and their values, still escaped. It stops at what
// is not a pair.
func (l *Line) Pairs(yield func(name, value []byte) bool) {
	items(l.Labels, func(name, value []byte, isPair bool) bool { return !isPair || yield(name, value) })
}

// quotedName is the metric's name that stands quoted among the labels, or nil.
func quotedName(labels []byte) (name []byte) {
	items(labels, func(quoted, _ []byte, isPair bool) bool {
		if !isPair {
			name = quoted
		}
		return isPair
	})
	return name
}

// items yields what stands between braces: label names with their values, and
// quoted names without one.
func items(b []byte, yield func(name, value []byte, isPair bool) bool) {
	for {
		b = bytes.TrimLeft(b, ", \t")
		if len(b) == 0 {
			return
		}
		var name []byte
		if b[0] == '"' {
			end := closingQuote(b)
			if end < 0 {
				return
			}
			name, b = b[1:end], trimSpace(b[end+1:])
			if len(b) == 0 || b[0] != '=' {
				if !yield(name, nil, false) {
					return
				}
				continue
			}
		} else {
			i := bytes.IndexByte(b, '=')
			if i < 0 {
				return
			}
			name, b = trimSpace(b[:i]), b[i:]
		}
		b = trimSpace(b[1:])
		if len(b) == 0 || b[0] != '"' {
			return
		}
		end := closingQuote(b)
		if end < 0 || !yield(name, b[1:end], true) {
			return
		}
		b = b[end+1:]
	}
}

// Unescape turns the escapes of a label value or help text into what they stand
// for. An unknown escape stands for itself.
func Unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			switch b[i+1] {
			case '\\', '"':
				i++
			case 'n':
				out = append(out, '\n')
				i++
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}

// closingBrace is the place of the brace that ends b, which begins with one, or -1.
func closingBrace(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '}':
			return i
		case '"':
			end := closingQuote(b[i:])
			if end < 0 {
				return -1
			}
			i += end
		}
	}
	return -1
}

// closingQuote is the place of the quote that ends b, which begins with one, or -1.
func closingQuote(b []byte) int {
	for i := 1; i < len(b); {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return -1
		}
		i += j
		escapes := 0
		for k := i - 1; k > 0 && b[k] == '\\'; k-- {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
		i++
	}
	return -1
}

func cutSpace(b []byte) (word, rest []byte) {
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		return b[:i], trimSpace(b[i:])
	}
	return b, nil
}

// trimSpace cuts blanks and tabs, the only white space within a line.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
