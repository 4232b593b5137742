package containers

import (
	"hash/maphash"
	"slices"
)

// write appends a series that is kept, with its labels as they shall be.
func (f *Filter) write(dst []byte, x *series) ([]byte, error) {
	pod := f.podOf(x)
	if len(x.v.labels) > 0 {
		m := &f.family.merged
		hash := f.hash(x, pod)
		if x.v.sum {
			value, _ := parseFloat(x.number())
			i, isNew, problem := m.place(hash)
			if problem != "" {
				return dst, f.wrong(x.line, problem)
			}
			if isNew {
				m.names = f.identity(m.names, x, pod)
				m.sums[i].end = len(m.names)
			}
			m.sums[i].value += value
			return dst, nil
		}
		again, problem := m.again(hash)
		if problem != "" {
			return dst, f.wrong(x.line, problem)
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
	dst = f.identity(dst, x, pod)
	dst = append(dst, ' ')
	if f.times == Drop {
		dst = append(append(dst, x.number()...), x.text[x.timeEnd:]...)
	} else {
		dst = append(dst, x.text...)
	}
	return append(dst, '\n'), nil
}

// podOf are the labels of the pod that a series is about, or nil.
func (f *Filter) podOf(x *series) (pod *PodLabels) {
	if f.about != nil {
		return f.about
	}
	if f.pods == nil || x.s.pod < 0 {
		return nil
	}
	name := x.value(x.s.pod)
	if len(name) == 0 {
		return nil
	}
	b := x.block
	if b != nil && b.looked == f.texts { // Fast path: the metric before had it too.
		pod = b.pod
	} else {
		var namespace []byte
		if x.s.namespace >= 0 {
			namespace = x.value(x.s.namespace)
		}
		if pod = f.pods.Labels(namespace, name); b != nil {
			b.pod, b.looked = pod, f.texts
		}
	}
	if pod == nil {
		f.PodUnknown++
	}
	return pod
}

// identity appends the name of a line and its labels as they shall be: its own,
// then the source's and the pod's.
func (f *Filter) identity(dst []byte, x *series, pod *PodLabels) []byte {
	s, open := x.s, len(dst)+x.at // where the opening brace is to be
	if !s.changed {               // Fast path: the line as it stands.
		dst = append(dst, x.line[:x.end]...)
	} else {
		dst = append(dst, x.line[:x.at]...)
		for i := range s.labels {
			l := &s.labels[i]
			value := x.value(i)
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
	case x.v.quoted:
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
func (f *Filter) hash(x *series, pod *PodLabels) uint64 {
	h := x.v.hash
	for i := range x.s.labels {
		if l := &x.s.labels[i]; !l.drop && x.spans[i].begin < x.spans[i].end {
			h += mix(l.hash, maphash.Bytes(f.family.merged.seed, x.value(i)))
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
