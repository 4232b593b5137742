// Package metricdiff tells where two expositions differ: families, types, names of
// labels, series and values. One is the old, which the other, the new, is to replace.
package metricdiff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"watchpost/internal/expo"
)

// Family is what one exposition says of a metric family.
type Family struct {
	kind   string // counter, gauge, …; "untyped" where nothing is said
	help   bool
	labels map[string]bool // names that any of its series has
	series map[string]float64
}

// Exposition is one scrape: families by name.
type Exposition map[string]*Family

// Parse reads either text format. Counters' families are named with _total, which
// OpenMetrics leaves out, so that the formats can be compared. A series that comes
// twice is an error.
//
// Labels of the names in without are left out. Then several series may become one, of
// which the first counts.
func Parse(text []byte, without ...string) (Exposition, error) {
	e := make(Exposition)
	of := func(name string) *Family {
		f := e[name]
		if f == nil {
			f = &Family{kind: "untyped", labels: make(map[string]bool), series: make(map[string]float64)}
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
			key := f.key(l, without)
			_, twice := f.series[key]
			if twice && len(without) > 0 {
				continue
			}
			if twice {
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
	maps.DeleteFunc(e, func(_ string, f *Family) bool { return len(f.series) == 0 })
	return e, sc.Err()
}

// Series is how many series the family has; 0 of none.
func (f *Family) Series() int {
	if f == nil {
		return 0
	}
	return len(f.series)
}

// has tells whether any series begins with prefix.
func (f *Family) has(prefix string) bool {
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
func (f *Family) key(l *expo.Line, without []string) string {
	var pairs []string
	for name, value := range l.Pairs {
		if slices.Contains(without, string(name)) {
			continue
		}
		f.labels[string(name)] = true
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, expo.Unescape(value)))
	}
	slices.Sort(pairs)
	return string(l.Name) + "{" + strings.Join(pairs, ",") + "}"
}
