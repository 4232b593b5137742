package containers

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// write appends a series that is kept, with its labels as they shall be.
func (f *Filter) write(dst []byte, v *verdict, s *shape, line []byte, at, end int, rest rest) ([]byte, error) {
	pod := f.podOf(s, line)
	if len(v.labels) > 0 {
		m := &f.family.merged
		hash := f.hash(v, s, line, pod)
		if v.sum {
			value, _ := parseFloat(rest.text[:rest.value])
			i, isNew, problem := m.place(hash)
			if problem != "" {
				return dst, f.wrong(line, problem)
			}
			if isNew {
				m.names = f.identity(m.names, v, s, line, at, end, pod)
				m.sums[i].end = len(m.names)
			}
			m.sums[i].value += value
			return dst, nil
		}
		again, problem := m.again(hash)
		if problem != "" {
			return dst, f.wrong(line, problem)
		}
		if again {
			f.Clashes++
			return dst, nil
		}
	}
	if len(f.family.header) > 0 {
		dst = f.family.show(dst)
	}
	f.SeriesOut++
	dst = f.identity(dst, v, s, line, at, end, pod)
	dst = append(dst, ' ')
	if f.times == Drop {
		dst = append(append(dst, rest.text[:rest.value]...), rest.text[rest.time:]...)
	} else {
		dst = append(dst, rest.text...)
	}
	return append(dst, '\n'), nil
}

// podMemo is the pod of the line before: lines of a pod mostly stand together.
type podMemo struct {
	known           bool
	namespace, name []byte
	labels          *PodLabels
}

// podOf are the labels of the pod that a series is about, or nil.
func (f *Filter) podOf(s *shape, line []byte) *PodLabels {
	if f.pods == nil || s.pod < 0 {
		return nil
	}
	var namespace []byte
	name := line[f.spans[s.pod].begin:f.spans[s.pod].end]
	if len(name) == 0 {
		return nil
	}
	if s.namespace >= 0 {
		namespace = line[f.spans[s.namespace].begin:f.spans[s.namespace].end]
	}
	m := &f.pod
	if !m.known || !bytes.Equal(m.name, name) || !bytes.Equal(m.namespace, namespace) {
		m.known, m.name, m.namespace = true, append(m.name[:0], name...), append(m.namespace[:0], namespace...)
		m.labels = f.pods.Labels(namespace, name)
	}
	if m.labels == nil {
		f.PodUnknown++
	}
	return m.labels
}

// identity appends the name of a line and its labels as they shall be: its own,
// then the source's and the pod's.
func (f *Filter) identity(dst []byte, v *verdict, s *shape, line []byte, at, end int, pod *PodLabels) []byte {
	open := len(dst) + at // where the opening brace is to be
	if !s.changed {       // Fast path: the line as it stands.
		dst = append(dst, line[:end]...)
	} else {
		dst = append(dst, line[:at]...)
		for i := range s.labels {
			l := &s.labels[i]
			value := line[f.spans[i].begin:f.spans[i].end]
			switch {
			case l.drop:
				continue
			case l.added && (f.source.has(l.as) || pod != nil && pod.has(l.as)):
				if len(value) == 0 {
					continue // no label, for Prometheus
				}
				dst = append(append(append(dst, ','), exported(s, l.as)...), '=', '"')
			default:
				dst = append(dst, l.write...)
			}
			dst = append(append(dst, value...), '"')
		}
	}
	dst = append(dst, f.source.text...)
	if pod != nil {
		dst = append(dst, pod.text...)
	}
	switch {
	case v.quoted:
		dst = append(dst, '}')
	case len(dst) > open:
		dst[open] = '{' // instead of the first comma
		dst = append(dst, '}')
	}
	return dst
}

// exported is the name under which a label stays beside one of its name that is
// added, as Prometheus has it.
func exported(s *shape, name string) string {
	for {
		name = "exported_" + name
		if !slices.ContainsFunc(s.labels, func(l shapeLabel) bool { return l.as == name && !l.drop }) {
			return name
		}
	}
}

// hash is of a series as it is passed on. It does not depend on the order of the
// labels, nor on those that are empty, which are the same as none.
func (f *Filter) hash(v *verdict, s *shape, line []byte, pod *PodLabels) uint64 {
	h := v.hash
	for i := range s.labels {
		if l := &s.labels[i]; !l.drop && f.spans[i].begin < f.spans[i].end {
			h += mix(l.hash, maphash.Bytes(f.family.merged.seed, line[f.spans[i].begin:f.spans[i].end]))
		}
	}
	if pod != nil {
		h += mix(0, maphash.Bytes(f.family.merged.seed, pod.text))
	}
	return h
}

// mix makes one number of two such that neither their sum nor their order tells.
func mix(a, b uint64) uint64 {
	h := (a ^ b>>32 ^ b<<32) * 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return (h ^ h>>29 ^ b) * 0xbf58476d1ce4e5b9   // a multiplier of splitmix64
}
