package containers

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"

	"watchpost/internal/expo"
)

// write appends a line that is kept, with its labels as they shall be.
func (f *Filter) write(dst []byte, v *verdict, s *shape, line []byte, at, end int) ([]byte, error) {
	pod := f.podOf(s, line)
	rest := afterLabels(line, end)
	if v.sum {
		f.scratch = f.identity(f.scratch[:0], s, line, at, end, pod)
		if problem := f.merged.add(f.scratch, rest); problem != "" {
			return dst, f.wrong(line, problem)
		}
		return dst, nil
	}
	dst = append(dst, f.header...)
	f.header = f.header[:0]
	begun := len(dst)
	dst = f.identity(dst, s, line, at, end, pod)
	if s.merges && f.merged.again(dst[begun:]) {
		f.Clashes++
		return dst[:begun], nil
	}
	f.SeriesOut++
	if f.dropTimes {
		if i := bytes.IndexByte(rest, ' '); i >= 0 {
			rest = rest[:i]
		}
	}
	dst = append(append(dst, ' '), rest...)
	return append(dst, '\n'), nil
}

// podOf are the labels of the pod that a series is about, or nil.
func (f *Filter) podOf(s *shape, line []byte) *PodLabels {
	if f.pods == nil || s.pod < 0 || s.namespace < 0 {
		return nil
	}
	name, namespace := f.spans[s.pod], f.spans[s.namespace]
	if name.begin == name.end {
		return nil
	}
	pod := f.pods.Labels(line[namespace.begin:namespace.end], line[name.begin:name.end])
	if pod == nil {
		f.PodUnknown++
	}
	return pod
}

// identity appends the name of a line and its labels as they shall be: its own,
// then the source's and the pod's.
func (f *Filter) identity(dst []byte, s *shape, line []byte, at, end int, pod *PodLabels) []byte {
	open := len(dst) + at // where the opening brace is to be
	switch {
	case len(s.labels) == 0:
		dst = append(dst, line[:at]...)
	case !s.changed && !s.clash: // Fast path: the line as it stands.
		dst = append(dst, line[:end]...)
	default:
		dst = append(dst, line[:at]...)
		for i := range s.labels {
			l := &s.labels[i]
			value := line[f.spans[i].begin:f.spans[i].end]
			name := l.as
			if !l.drop && s.clash {
				name = f.resolve(s, name, value, pod)
			}
			if !l.drop && name != "" {
				dst = append(append(append(dst, ','), name...), '=', '"')
				dst = append(append(dst, value...), '"')
			}
		}
	}
	dst = append(dst, f.source.text...)
	if pod != nil {
		dst = append(dst, pod.text...)
	}
	if len(dst) > open {
		dst[open] = '{' // instead of the first comma
		dst = append(dst, '}')
	}
	return dst
}

// resolve is the name under which a label stays beside one of that name that is
// added: none where both say the same, else with "exported_" before it, as
// Prometheus has it.
func (f *Filter) resolve(s *shape, name string, value []byte, pod *PodLabels) string {
	ours, clash := f.source.value([]byte(name))
	if !clash && pod != nil {
		ours, clash = pod.value([]byte(name))
	}
	switch {
	case !clash:
		return name
	case bytes.Equal(ours, value):
		return ""
	}
	for {
		name = "exported_" + name
		if !slices.ContainsFunc(s.labels, func(l shapeLabel) bool { return l.as == name }) {
			return name
		}
	}
}

// merged looks after series that dropped labels make equal, within one family.
type merged struct {
	seed    maphash.Seed
	written map[uint64]struct{} // identities
	sums    []sum
	places  map[string]int // in sums, by identity
}

type sum struct {
	identity string
	value    float64
}

// again tells whether a series was there before.
func (m *merged) again(identity []byte) bool {
	if m.written == nil {
		m.seed, m.written = maphash.MakeSeed(), make(map[uint64]struct{})
	}
	h := maphash.Bytes(m.seed, identity)
	_, found := m.written[h]
	m.written[h] = struct{}{}
	return found
}

// add adds a sample to those of the same series.
func (m *merged) add(identity, rest []byte) (problem string) {
	value, _, _ := bytes.Cut(rest, []byte{' '})
	v, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return "no number"
	}
	if i, found := m.places[string(identity)]; found {
		m.sums[i].value += v
		return ""
	}
	if m.places == nil {
		m.places = make(map[string]int)
	}
	m.places[string(identity)] = len(m.sums)
	m.sums = append(m.sums, sum{string(identity), v})
	return ""
}

// reset forgets all.
func (m *merged) reset() {
	clear(m.written)
	clear(m.places)
	m.sums = m.sums[:0]
}

// endFamily appends the sums of the family that ends.
func (f *Filter) endFamily(dst []byte) []byte {
	if len(f.merged.sums) > 0 {
		dst = append(dst, f.header...)
		for _, s := range f.merged.sums {
			f.SeriesOut++
			dst = append(append(dst, s.identity...), ' ')
			dst = append(expo.AppendFloat(dst, s.value), '\n')
		}
	}
	f.header = f.header[:0]
	f.merged.reset()
	return dst
}
