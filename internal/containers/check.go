package containers

import (
	"bytes"
	"fmt"

	"watchpost/internal/expo"
)

// visit goes over the series of a text as Copy does, without passing them on. A
// line that cannot be read ends it with an error.
func (f *Filter) visit(format expo.Format, text []byte, take func(v *verdict, s *shape, line []byte, at, end int, rest rest)) error {
	f.begin(format)
	for raw := range bytes.Lines(text) {
		f.line++
		raw = bytes.TrimRight(raw, "\n")
		if len(raw) == 0 || raw[0] == '#' {
			continue
		}
		if problem := badBytes(raw); problem != "" {
			return f.wrong(raw, problem)
		}
		plain := blanks(bytes.TrimRight(raw, " \t\r"))
		if len(plain) == 0 || plain[0] == '#' {
			continue
		}
		line, problem := canonical(plain)
		if problem != "" {
			return f.wrong(raw, problem)
		}
		v, at := f.name(line)
		if v == nil {
			return f.wrong(raw, "no metric name")
		}
		s, end := f.walk(v, line, at)
		if s == nil {
			return f.wrong(raw, "labels that cannot be read")
		}
		rest, problem := f.rest(line, end)
		if problem != "" {
			return f.wrong(raw, problem)
		}
		take(v, s, line, at, end, rest)
	}
	return nil
}

// Check tells by a text of the source whether rules would make one series of two,
// and which ones: the error shows both, what they would become, and the rule. A
// rule that says so may sum them up.
func Check(rules Rules, format expo.Format, text []byte) error {
	f, err := NewFilter(rules, nil)
	if err != nil {
		return err
	}
	seen := make(map[uint64]string) // the series that became it, by what a series becomes
	var clash error
	err = f.visit(format, text, func(v *verdict, s *shape, line []byte, at, end int, rest rest) {
		if len(v.labels) == 0 || v.sum || clash != nil {
			return
		}
		if _, keep := f.keeps(v, s, line, rest); !keep {
			return
		}
		hash := f.hash(v, s, line, nil)
		series := seriesText(v, line, end)
		first, taken := seen[hash]
		if !taken {
			seen[hash] = series
		} else if first != series {
			out := f.identity(nil, v, s, line, at, end, nil)
			clash = fmt.Errorf("%s: it would make one series of two: %s and %s would both be %s; keep a label that tells them apart, or let the rule sum them up (sum: true)",
				f.culprit(v, first, series), first, series, out)
		}
	})
	if err != nil {
		return err
	}
	return clash
}

// culprit is the first of the label rules that makes two series one.
func (f *Filter) culprit(v *verdict, first, second string) (origin string) {
	for i, rule := range v.labels {
		origin = rule.Origin
		part := &verdict{token: v.token, name: v.name, quoted: v.quoted, hash: v.hash, labels: v.labels[:i+1]}
		hash := func(series string) uint64 {
			line := []byte(series + " 0")
			s, _ := f.walk(part, line, len(v.token))
			return f.hash(part, s, line, nil)
		}
		if hash(first) == hash(second) {
			break
		}
	}
	return origin
}

// seriesText is the name and the labels of a line.
func seriesText(v *verdict, line []byte, end int) string {
	if line[end] == '}' {
		end++
	}
	return string(line[:end])
}
