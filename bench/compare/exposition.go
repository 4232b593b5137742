package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"watchpost/internal/expo"
)

// family is what one exposition says of a metric family.
type family struct {
	kind   string // counter, gauge, …; "untyped" where nothing is said
	help   bool
	labels map[string]bool // names that any of its series has
	series map[string]float64
}

// exposition is one scrape: families by name.
type exposition map[string]*family

// parse reads either text format. Counters' families are named with _total, which
// OpenMetrics leaves out, so that the formats can be compared. A series that comes
// twice is an error.
func parse(text []byte) (exposition, error) {
	e := make(exposition)
	of := func(name string) *family {
		f := e[name]
		if f == nil {
			f = &family{kind: "untyped", labels: make(map[string]bool), series: make(map[string]float64)}
			e[name] = f
		}
		return f
	}
	current := "" // the family that the lines are about
	sc := expo.NewScanner(text)
	for sc.Next() {
		l := sc.Line()
		switch l.Kind {
		case expo.Help:
			current = string(l.Name)
			of(current).help = len(l.Value) > 0
		case expo.TypeLine:
			current = string(l.Name)
			of(current).kind = string(l.Value)
			if of(current).kind == "unknown" { // OpenMetrics' word for it
				of(current).kind = "untyped"
			}
		case expo.Sample:
			if !belongs(string(l.Name), current) {
				current = string(l.Name)
			}
			f := of(current)
			value, err := l.Float()
			if err != nil {
				return nil, err
			}
			key := f.key(l)
			if _, twice := f.series[key]; twice {
				return nil, fmt.Errorf("%s comes twice", key)
			}
			f.series[key] = value
		}
	}
	for name, f := range e {
		if f.kind == "counter" && f.has(name+"_total{") {
			delete(e, name)
			e[name+"_total"] = f
		}
	}
	maps.DeleteFunc(e, func(_ string, f *family) bool { return len(f.series) == 0 })
	return e, sc.Err()
}

// has tells whether any series begins with prefix.
func (f *family) has(prefix string) bool {
	for key := range f.series {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// belongs tells whether a sample of that name is one of the family.
func belongs(name, family string) bool {
	rest, ok := strings.CutPrefix(name, family)
	if !ok || family == "" {
		return false
	}
	switch rest {
	case "", "_total", "_created", "_sum", "_count", "_bucket", "_info":
		return true
	}
	return false
}

// key names a series: the metric and its labels, sorted. The labels' names are
// noted with the family.
func (f *family) key(l *expo.Line) string {
	var pairs []string
	for name, value := range l.Pairs {
		f.labels[string(name)] = true
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, expo.Unescape(value)))
	}
	slices.Sort(pairs)
	return string(l.Name) + "{" + strings.Join(pairs, ",") + "}"
}
