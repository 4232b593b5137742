package kube

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"watchpost/internal/expo"
)

// customFamily is a family of a custom resource: one or more metrics of the
// configuration that have its name.
type customFamily struct {
	*expo.Family
	parts []*customPart
}

// customPart is one metric of the configuration, ready for the objects of one
// resource. Several renderers use it at once: but for logged it is only read.
type customPart struct {
	family, resource string
	common           []pair      // sorted by name
	labels           []labelPath // from the object
	each             func(*customPart, *customScratch, any)
	path             fieldPath   // to what each looks at
	eachLabels       []labelPath // from there
	valueFrom        fieldPath   // from there to the value

	value        func(v any, nilIsZero bool) (float64, error) // of a gauge
	valueKey     string                                       // the only step of valueFrom
	nilIsZero    bool
	labelFromKey string
	labelName    string   // of a state set
	list         []string // its states

	stats  *CustomStats
	quiet  bool // errorLogV: what is wrong is for --log.level=debug
	logged [len(faultReasons)]atomic.Bool
}

// customScratch is the memory for the samples of one object, used again.
type customScratch struct {
	object  *unstructured.Unstructured
	part    *customPart
	base    []pair // labels of every sample of the part, sorted by name
	labels  []pair // of the sample in the making, sorted by name
	own     int    // how many of them are not of base
	pairs   []pair // labels of all samples, one after another
	samples []customSample
	keys    []string // of the maps that are walked through, a stack
	zeros   bool     // samples of states that a thing is not in
}

type customSample struct {
	begin, end int // in pairs
	value      float64
}

// write writes the samples of an object, sorted by their labels. Of samples with
// the same labels there is one, the first: the collector could store only one.
func (f *customFamily) write(l *Lines, o v1.Object) {
	s, start := &l.custom, len(l.text)
	s.object = o.(*unstructured.Unstructured)
	s.pairs, s.samples, s.keys, s.zeros = s.pairs[:0], s.samples[:0], s.keys[:0], !l.trueOnly
	defer func() {
		if r := recover(); r != nil { // costs this object's samples of this family
			l.text = l.text[:start]
			s.fault(faultPanic, r)
		}
		s.object, s.part = nil, nil // lets go of the object and of what it held
		clear(s.pairs)
		clear(s.labels[:cap(s.labels)])
		clear(s.base[:cap(s.base)])
	}()
	for _, p := range f.parts {
		s.part = p
		s.labels = append(s.labels[:0], p.common...)
		s.addLabels(p.labels, s.object.Object)
		s.base = append(s.base[:0], s.labels...)
		p.each(p, s, p.path.of(s.object.Object))
	}
	slices.SortStableFunc(s.samples, func(a, b customSample) int { return slices.CompareFunc(s.of(a), s.of(b), comparePairs) })
	for i, one := range s.samples {
		if before := s.samples[max(i-1, 0)]; i > 0 && slices.Equal(s.of(one), s.of(before)) {
			if one.value != before.value {
				s.fault(faultDuplicate, string(appendPairs(nil, s.of(one))))
			}
			s.samples[i].value = before.value
			continue
		}
		l.AddPairs(one.value, s.of(one))
	}
}

func comparePairs(a, b pair) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
}

func appendPairs(dst []byte, pairs []pair) []byte {
	for _, p := range pairs {
		dst = appendLabel(dst, p.name, p.value)
	}
	return dst
}

// of are a sample's labels.
func (s *customScratch) of(one customSample) []pair { return s.pairs[one.begin:one.end] }

// begin begins a sample.
func (s *customScratch) begin() { s.labels, s.own = append(s.labels[:0], s.base...), 0 }

// end ends a sample.
func (s *customScratch) end(value float64) {
	begin := len(s.pairs)
	s.pairs = append(s.pairs, s.labels...)
	s.samples = append(s.samples, customSample{begin, len(s.pairs), value})
}

// set gives the sample in the making a label, in place of one of that name.
func (s *customScratch) set(name, value string) {
	s.own++
	i, found := slices.BinarySearchFunc(s.labels, name, func(p pair, name string) int { return cmp.Compare(p.name, name) })
	if found {
		s.labels[i].value = value
	} else {
		s.labels = slices.Insert(s.labels, i, pair{name, value})
	}
}

// addLabels gives the sample in the making the labels that are read from v.
func (s *customScratch) addLabels(labels []labelPath, v any) {
	for i := range labels {
		l := &labels[i]
		got := l.path.of(v)
		m, isMap := got.(map[string]any)
		switch {
		case got == nil:
		case isIndex(got):
			s.fault(faultIndex, got)
		case !l.star:
			s.set(l.name, labelText(got))
		case isMap:
			for key := range s.sorted(m) {
				s.set(cleanLabel(l.name+key), labelText(m[key]))
			}
		}
	}
}

func isIndex(v any) bool { _, is := v.(outOfRange); return is }

// sorted goes through the keys of a map in their order.
func (s *customScratch) sorted(m map[string]any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		begin := len(s.keys)
		for key := range m {
			s.keys = append(s.keys, key)
		}
		end := len(s.keys)
		slices.Sort(s.keys[begin:end])
		for i := begin; i < end && yield(s.keys[i]); i++ {
		}
		clear(s.keys[begin:end])
		s.keys = s.keys[:begin]
	}
}

// gauge makes a sample of v, or of each element of the list or map that it is.
func (p *customPart) gauge(s *customScratch, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key := range s.sorted(v) {
			p.gaugeOf(s, key, v)
		}
	case []any:
		for _, element := range v {
			if value, ok := p.valueOf(s, element); ok {
				s.begin()
				s.addLabels(p.eachLabels, element)
				s.end(value)
			}
		}
	default:
		if value, ok := p.valueOf(s, v); ok {
			s.begin()
			s.addLabels(p.eachLabels, v)
			s.end(value)
		}
	}
}

// gaugeOf makes a sample of an element of a map: of the element itself where its
// key is valueFrom, so that valueFrom can name a field beside those of its labels.
func (p *customPart) gaugeOf(s *customScratch, key string, m map[string]any) {
	element := m[key]
	var value float64
	if p.valueKey != "" && key == p.valueKey {
		var err error
		if value, err = p.value(element, p.nilIsZero); err != nil {
			s.fault(faultValue, err)
			return
		}
	} else {
		if element == nil && !p.nilIsZero {
			return
		}
		var ok bool
		if value, ok = p.valueOf(s, element); !ok {
			return
		}
	}
	s.begin()
	if key != "" && p.labelFromKey != "" {
		s.set(p.labelFromKey, key)
	}
	s.addLabels(p.eachLabels, element)
	s.addLabels(p.eachLabels, m)
	s.end(value)
}

// valueOf is what valueFrom leads to from v, as a number; false where there is
// nothing, which is a fault only where v is nothing already.
func (p *customPart) valueOf(s *customScratch, v any) (float64, bool) {
	got := p.valueFrom.of(v)
	if got == nil && !p.nilIsZero {
		if v == nil {
			s.fault(faultMissing, errNil)
		}
		return 0, false
	}
	value, err := p.value(got, p.nilIsZero)
	if err != nil {
		if isIndex(got) {
			s.fault(faultIndex, got)
		} else {
			s.fault(faultValue, err)
		}
		return 0, false
	}
	return value, true
}

// info makes a sample of v where it has labels, of each element of the list that
// it is, and of each element and of itself where it is a map.
func (p *customPart) info(s *customScratch, v any) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			p.infoOf(s, "", element)
		}
	case map[string]any:
		for key := range s.sorted(v) {
			p.infoOf(s, key, v[key])
		}
		p.infoOf(s, "", v)
	default:
		p.infoOf(s, "", v)
	}
}

func (p *customPart) infoOf(s *customScratch, key string, v any) {
	s.begin()
	if key != "" && p.labelFromKey != "" {
		s.set(p.labelFromKey, key)
	}
	s.addLabels(p.eachLabels, v)
	if s.own > 0 {
		s.end(1)
	}
}

// stateSet makes a sample of each state that v, or each element of the list that
// it is, can be in.
func (p *customPart) stateSet(s *customScratch, v any) {
	if list, ok := v.([]any); ok {
		for _, element := range list {
			p.stateOf(s, element)
		}
		return
	}
	p.stateOf(s, v)
}

func (p *customPart) stateOf(s *customScratch, v any) {
	got := p.valueFrom.of(v)
	state, ok := got.(string)
	if !ok {
		switch {
		case isIndex(got):
			s.fault(faultIndex, got)
		case got != nil:
			s.fault(faultValue, fmt.Errorf("%.40q is no text", fmt.Sprint(got)))
		case len(p.path) == 0 || p.path[0].text != "status": // an object without status is new
			s.fault(faultMissing, errNil)
		}
		return
	}
	for _, entry := range p.list {
		value := 0.0
		if entry == state {
			value = 1
		} else if !s.zeros {
			continue
		}
		s.begin()
		s.set(p.labelName, entry)
		s.addLabels(p.eachLabels, v)
		s.end(value)
	}
}

// The faults of a configuration and an object that do not fit.
const (
	faultMissing   = iota // a path leads nowhere
	faultValue            // a value is not what it has to be
	faultIndex            // a list has no such element
	faultDuplicate        // two samples with the same labels
	faultPanic            // a fault of this program
)

// faultReasons are the values of the label reason.
var faultReasons = [...]string{"missing", "value", "index", "duplicate", "panic"}

// fault counts a fault of the object; the first of each metric and reason is logged.
func (s *customScratch) fault(reason int, what any) {
	p := s.part
	p.stats.errors.WithLabelValues(p.resource, p.family, faultReasons[reason]).Inc()
	if !p.logged[reason].CompareAndSwap(false, true) {
		return
	}
	level := slog.LevelWarn
	if p.quiet {
		level = slog.LevelDebug
	}
	p.stats.log.Log(context.Background(), level, "custom resource: a sample could not be made; more of this kind are only counted",
		"resource", p.resource, "family", p.family, "reason", faultReasons[reason],
		"namespace", s.object.GetNamespace(), "name", s.object.GetName(), "path", p.path.String(), "what", fmt.Sprint(what))
}
