package containers

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"

	"watchpost/internal/expo"
)

// family is the family whose lines come by. Its header waits for the first of its
// samples that is kept.
type family struct {
	name    []byte // as the last header has it
	header  []byte // its lines that were not passed on yet
	member  bool   // the current sample belongs to it
	dropped bool   // a sample of it was dropped
	merged  merged
}

func (y *family) reset() {
	y.name, y.header, y.member, y.dropped = y.name[:0], y.header[:0], false, false
	y.merged.reset()
}

func (y *family) drop() { y.dropped = y.dropped || y.member }

// has tells whether samples of that name belong to the family.
func (y *family) has(name string) bool {
	n := len(y.name)
	return n > 0 && len(name) >= n && name[:n] == string(y.name) && slices.Contains(suffixes, name[n:])
}

var suffixes = []string{"", "_total", "_created", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info"}

// show appends the header that still waits, unless it waits for a sample of its
// family after some were dropped. A family that never had a sample keeps its header.
func (y *family) show(dst []byte) []byte {
	if y.member || !y.dropped {
		dst = append(dst, y.header...)
		y.header = y.header[:0]
	}
	return dst
}

// turn says that a sample of this name comes.
func (f *Filter) turn(dst []byte, v *verdict) []byte {
	if v == f.last {
		return dst
	}
	f.last = v
	member := f.family.has(v.name)
	if !member || !f.family.member { // what was before is not of the same family
		dst = f.endMerged(dst)
	}
	f.family.member = member
	return dst
}

// endFamily appends what is left of a family at its end.
func (f *Filter) endFamily(dst []byte) []byte {
	dst = f.endMerged(dst)
	if !f.family.dropped {
		dst = append(dst, f.family.header...)
	}
	f.family.reset()
	f.last = nil
	return dst
}

// endMerged appends the sums of the samples before.
func (f *Filter) endMerged(dst []byte) []byte {
	m := &f.family.merged
	if len(m.sums) > 0 {
		dst = f.family.show(dst)
		for _, s := range m.sums {
			f.SeriesOut++
			dst = append(append(dst, m.names[s.begin:s.end]...), ' ')
			dst = append(expo.AppendFloat(dst, s.value), '\n')
		}
	}
	m.reset()
	return dst
}

// comment takes a line that begins with #. Comments that say nothing to a scraper
// are left out.
func (f *Filter) comment(dst, line []byte) ([]byte, error) {
	if bytes.IndexByte(line, 0) >= 0 { // the end of the text, for Prometheus' parser
		return dst, f.wrong(line, "a zero byte")
	}
	openMetrics := f.format == expo.OpenMetrics
	line = bytes.TrimRight(line, "\r")
	if len(line) < 2 || line[1] != ' ' && line[1] != '\t' {
		return dst, nil
	}
	if openMetrics && string(line) == "# EOF" {
		f.ended = true
		return dst, nil
	}
	kind, b := cutWord(blanks(line[1:]))
	help, unit := string(kind) == "HELP", string(kind) == "UNIT" && openMetrics
	if !help && !unit && string(kind) != "TYPE" || len(b) == 0 {
		return dst, nil
	}
	if problem := badBytes(line); problem != "" {
		return dst, f.wrong(line, problem)
	}
	n := nameEnd(b)
	name := b[:n]
	token := name
	if b[0] == '"' {
		var unquoted string
		if unquoted, n = labelName(b); n > 0 {
			name, token = []byte(unquoted), b[:n]
		}
		if expo.ValidName(unquoted) {
			token = name
		}
	}
	text := b[n:]
	if n == 0 || len(text) > 0 && text[0] != ' ' && text[0] != '\t' {
		return dst, f.wrong(line, "no metric name")
	}
	if text = bytes.TrimPrefix(text, []byte(" ")); !help {
		text = bytes.Trim(text, " \t")
	}
	switch {
	case !help && !unit && !isType(f.format, string(text)):
		return dst, f.wrong(line, "no type of a metric")
	case unit && len(text) > 0 && !strings.HasSuffix(string(name), "_"+string(text)):
		return dst, f.wrong(line, "a unit that does not end the name")
	}
	if !bytes.Equal(name, f.family.name) {
		dst = f.endFamily(dst)
		f.family.name = append(f.family.name, name...)
	}
	h := f.family.header
	if len(h)+len(line) > maxLine {
		return dst, f.wrong(line, "too long a header")
	}
	h = append(append(append(append(h, "# "...), kind...), ' '), token...)
	f.family.header = append(append(append(h, ' '), text...), '\n')
	return dst, nil
}

// isType tells whether the parsers of the format take this for a type.
func isType(format expo.Format, s string) bool {
	switch s {
	case "counter", "gauge", "histogram", "summary":
		return true
	case "untyped":
		return format != expo.OpenMetrics
	case "gaugehistogram", "info", "stateset", "unknown":
		return format == expo.OpenMetrics
	}
	return false
}

// merged looks after series that label rules make equal, within one family.
type merged struct {
	seed    maphash.Seed
	written map[uint64]struct{} // what was passed on, by hash
	places  map[uint64]int      // in sums, by hash
	sums    []sum
	names   []byte // what the sums are of
}

type sum struct {
	begin, end int // in names
	value      float64
}

// maxMerged bounds the series of a family that label rules are for.
const maxMerged = 200_000

const tooMany = "a family of more than 200000 series, too many for a rule that drops or renames labels"

// again tells whether a series was there before.
func (m *merged) again(hash uint64) (again bool, problem string) {
	if m.written == nil {
		m.written = make(map[uint64]struct{})
	}
	n := len(m.written)
	if n >= maxMerged {
		return false, tooMany
	}
	m.written[hash] = struct{}{}
	return len(m.written) == n, ""
}

// place is where the sum of a series is; new tells that it has yet to be made.
func (m *merged) place(hash uint64) (place int, isNew bool, problem string) {
	if place, found := m.places[hash]; found {
		return place, false, ""
	}
	if m.places == nil {
		m.places = make(map[uint64]int)
	}
	if len(m.sums) >= maxMerged {
		return 0, false, tooMany
	}
	m.places[hash] = len(m.sums)
	m.sums = append(m.sums, sum{begin: len(m.names)})
	return len(m.sums) - 1, true, ""
}

// reset forgets all.
func (m *merged) reset() {
	clear(m.written)
	clear(m.places)
	m.sums, m.names = m.sums[:0], m.names[:0]
}
