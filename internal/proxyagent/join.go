package proxyagent

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"watchpost/internal/expo"
)

// joiner makes one exposition of several. Texts are added whole, and held; one is
// passed on as it is read, which is the large one. A family that several have is
// written once: the series of all, behind the first header. A series that is there
// already is left out, and so is what is of another type than the family. Pages of
// pods, which anybody may write, have no say over the others, nor over one another:
// where only these differ in a type, the family has none.
type joiner struct {
	w        io.Writer
	families map[string]*heldFamily
	order    []string
	bytes    int
	most     int

	current *heldFamily         // of the text that is passed on; nil: nobody else has it
	seen    map[string]struct{} // its series
	written map[string]bool     // families of the stream, by name
	refused int                 // series left out
	out     []byte              // of a family, reused
}

// heldFamily are the lines of a family that wait to be written.
type heldFamily struct {
	name      string
	help, typ string // header lines, "" where there is none
	lines     [][]byte
	pods      bool // all of it is from pages of pods, whose labels tell them apart
	mixed     bool // these have several types
}

// errTooMuch is that of texts that are together longer than may be held.
var errTooMuch = errors.New("too large to be joined with the others: scrape it under its own path")

func newJoiner(w io.Writer, most int) *joiner {
	return &joiner{w: w, families: make(map[string]*heldFamily), most: most, written: make(map[string]bool)}
}

// room is how many bytes may still be added.
func (j *joiner) room() int { return j.most - j.bytes }

// add holds a text, which is not changed any more. It consists of whole lines that a
// filter or an expo.Writer wrote. pods says that it is the page of a pod; these are
// behind all others but the program's own.
func (j *joiner) add(text []byte, pods bool) {
	j.bytes += len(text)
	var f *heldFamily // to which lines belong
	var of string
	foreign := false // the family of these lines has another type elsewhere
	headed := false  // f has its header from this text
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			kind, name := header(line)
			if kind == "" {
				continue
			}
			if string(name) != of || f == nil {
				f, foreign = j.family(name, pods), false
				of = f.name
			}
			headed = true
			switch {
			case kind == "TYPE" && f.pods && f.typ != string(line) && (f.typ != "" || f.mixed || len(f.lines) > 0):
				if f.typ, f.mixed = "", true; !pods {
					j.take(f, string(line))
				}
			case kind == "HELP" && f.help == "":
				f.help = string(line)
			case kind == "TYPE" && f.typ == "" && len(f.lines) == 0:
				f.typ = string(line)
			case kind == "TYPE" && f.typ != string(line):
				foreign = true
			}
			continue
		}
		if name := sampleName(line); f == nil || !headed || !belongs(name, of) {
			f, foreign, headed = j.family(name, pods), false, false
			of = f.name
		}
		if foreign {
			j.refused++
			continue
		}
		f.pods = f.pods && pods
		f.lines = append(f.lines, line)
	}
}

// take takes a family from the pages of pods that have it.
func (j *joiner) take(f *heldFamily, typ string) {
	j.refused += len(f.lines)
	*f = heldFamily{name: f.name, help: f.help, typ: typ}
}

func (j *joiner) family(name []byte, pods bool) *heldFamily {
	f := j.families[string(name)]
	if f == nil {
		f = &heldFamily{name: string(name), pods: pods}
		j.families[f.name] = f
		j.order = append(j.order, f.name)
	}
	return f
}

// header is the kind of a comment line, HELP or TYPE, and the name it is about.
func header(line []byte) (kind string, name []byte) {
	rest, ok := bytes.CutPrefix(line, []byte("# "))
	switch {
	case !ok || len(rest) < 6 || rest[4] != ' ':
		return "", nil
	case string(rest[:4]) == "HELP":
		kind = "HELP"
	case string(rest[:4]) == "TYPE":
		kind = "TYPE"
	default:
		return "", nil
	}
	rest = rest[5:]
	if i := bytes.IndexByte(rest, ' '); i >= 0 {
		rest = rest[:i]
	}
	return kind, rest
}

// sampleName is the name in a sample line.
func sampleName(line []byte) []byte {
	if i := bytes.IndexAny(line, "{ "); i > 0 {
		return line[:i]
	}
	if l, problem := expo.ParseLine(line); problem == "" { // a name in quotes
		return l.Name
	}
	return line
}

// belongs tells whether a sample's name is one of a family's.
func belongs(name []byte, family string) bool {
	if len(name) < len(family) || string(name[:len(family)]) != family {
		return false
	}
	switch string(name[len(family):]) {
	case "", "_bucket", "_sum", "_count":
		return true
	}
	return false
}

// Write implements io.Writer for the text that is passed on. Each part is of whole
// lines, as a filter writes them.
func (j *joiner) Write(p []byte) (int, error) {
	n, begin := len(p), 0
	for at := 0; at < len(p); {
		end := at + bytes.IndexByte(p[at:], '\n') + 1
		if end <= at {
			end = len(p)
		}
		if p[at] != '#' {
			switch {
			case j.current != nil:
				j.seen[identity(p[at:end])] = struct{}{}
			default: // Fast path: on to the next header.
				end = nextComment(p, end)
			}
			at = end
			continue
		}
		if kind, name := header(bytes.TrimSuffix(p[at:end], []byte{'\n'})); kind != "" && !j.written[string(name)] {
			if j.current != nil { // Otherwise nothing comes between: few large writes wake the client less often.
				if _, err := j.w.Write(p[begin:at]); err != nil {
					return begin, err
				}
				begin = at
				if err := j.endFamily(); err != nil {
					return begin, err
				}
			}
			j.written[string(name)] = true
			j.current = j.families[string(name)]
			if j.current != nil {
				delete(j.families, string(name))
				j.seen = make(map[string]struct{})
			}
		}
		if kind, name := header(bytes.TrimSuffix(p[at:end], []byte{'\n'})); kind == "TYPE" && j.current != nil && j.written[string(name)] {
			if typ := string(bytes.TrimSuffix(p[at:end], []byte{'\n'})); (j.current.typ != "" || j.current.mixed) && j.current.typ != typ {
				j.refused += len(j.current.lines)
				j.current = nil
			}
		}
		at = end
	}
	if _, err := j.w.Write(p[begin:]); err != nil {
		return begin, err
	}
	return n, nil
}

// nextComment is where the first comment of p begins that is not before at, where a
// line begins. Its character is rare within lines.
func nextComment(p []byte, at int) int {
	for at < len(p) {
		next := bytes.IndexByte(p[at:], '#')
		if next < 0 {
			break
		}
		if at += next; p[at-1] == '\n' {
			return at
		}
		at++
	}
	return len(p)
}

// endFamily writes what others have of the family that was passed on.
func (j *joiner) endFamily() error {
	f := j.current
	if f == nil {
		return nil
	}
	j.current = nil
	return j.lines(f, j.seen)
}

// lines writes the series of a family that are not there yet.
func (j *joiner) lines(f *heldFamily, seen map[string]struct{}) error {
	out := j.out[:0]
	for _, line := range f.lines {
		id := identity(line)
		if _, there := seen[id]; there {
			j.refused++
			continue
		}
		seen[id] = struct{}{}
		out = append(append(out, line...), '\n')
	}
	j.out = out
	_, err := j.w.Write(out)
	return err
}

// end writes what was held. A family that was passed on before is left out.
func (j *joiner) end() error {
	if err := j.endFamily(); err != nil {
		return err
	}
	for _, name := range j.order {
		f := j.families[name]
		if f == nil || len(f.lines) == 0 {
			continue
		}
		if j.written[name] {
			j.refused += len(f.lines)
			continue
		}
		head := j.out[:0]
		for _, line := range []string{f.help, f.typ} {
			if line != "" {
				head = append(append(head, line...), '\n')
			}
		}
		if f.pods { // Fast path: none is there twice.
			for _, line := range f.lines {
				head = append(append(head, line...), '\n')
			}
		}
		j.out = head
		if _, err := j.w.Write(head); err != nil {
			return err
		}
		delete(j.families, name) // what is written is not needed any more
		if f.pods {
			continue
		}
		if err := j.lines(f, make(map[string]struct{})); err != nil {
			return err
		}
	}
	return nil
}

// identity is what makes a series: its name and its labels, in order.
func identity(line []byte) string {
	l, problem := expo.ParseLine(bytes.TrimSuffix(line, []byte{'\n'}))
	if problem != "" {
		return string(line)
	}
	var pairs []string
	for name, value := range l.Pairs {
		if len(value) > 0 {
			pairs = append(pairs, string(name)+"\x00"+string(value))
		}
	}
	slices.Sort(pairs)
	return string(l.Name) + "\x00" + strings.Join(pairs, "\x00")
}
