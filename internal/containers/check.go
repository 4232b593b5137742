package containers

import (
	"bytes"
	"fmt"

	"watchpost/internal/expo"
)

// visit goes over the series of a text as Copy does, without passing them on. A
// line that cannot be read ends it with an error.
func (f *Filter) visit(format expo.Format, text []byte, take func(*series)) error {
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
		x := series{v: v, line: line, at: at}
		if !f.walk(&x) {
			return f.wrong(raw, "a label twice")
		}
		if problem := f.rest(&x); problem != "" {
			return f.wrong(raw, problem)
		}
		take(&x)
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
	err = f.visit(format, text, func(x *series) {
		if len(x.v.labels) == 0 || x.v.sum || clash != nil {
			return
		}
		if _, keep := f.keeps(x); !keep {
			return
		}
		hash := f.hash(x, nil)
		text := x.String()
		first, taken := seen[hash]
		if !taken {
			seen[hash] = text
		} else if first != text {
			out := f.identity(nil, x, nil)
			clash = fmt.Errorf("%s: it would make one series of two: %s and %s would both be %s; keep a label that tells them apart, or let the rule sum them up (sum: true)",
				f.culprit(x.v, first, text), first, text, out)
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
		hash := func(text string) uint64 {
			x := series{v: part, line: []byte(text + " 0"), at: len(v.token)}
			f.walk(&x)
			return f.hash(&x, nil)
		}
		if hash(first) == hash(second) {
			break
		}
	}
	return origin
}

// String is the name and the labels of a series, as they stand in the line.
func (x *series) String() string {
	end := x.end
	if x.line[end] == '}' {
		end++
	}
	return string(x.line[:end])
}
