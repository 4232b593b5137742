package metricdiff

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Round is one scrape of the new between two of the old: what the old says twice is
// what the new has to say.
type Round struct{ Before, New, After Exposition }

// The kinds of differences, as a file of allowed ones names them.
const (
	FamilyMissing = "family-missing" // the old has it in every scrape, the new not
	FamilyAdded   = "family-added"   // the new has it, the old never
	TypeDiffers   = "type"
	LabelsDiffer  = "labels" // the names of all labels in the family
	HelpMissing   = "help"
	SeriesMissing = "series-missing" // like family-missing, in a family that both have
	SeriesAdded   = "series-added"
	ValueDiffers  = "value" // where the old never changes; the new is wrong in any round
	ValueFar      = "range" // where it does; the new is far from it in every round
)

// Difference is one thing that the new says otherwise than the old.
type Difference struct {
	Kind    string
	Family  string
	Subject string // the family, or the series: family{label="value"}
	Detail  string
}

// Summary is what a comparison saw.
type Summary struct {
	Families, Series, Constant int // the old's; constant are series
	Differences                []Difference
}

// own are the prefixes of the metrics about the programs themselves.
var own = []string{"go_", "process_", "promhttp_"}

// IsOwn tells whether a family is about the program that tells it.
func IsOwn(name string) bool {
	return slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(name, p) })
}

// Compare holds the new against the old, families about the programs left out.
func Compare(rounds []Round) Summary {
	var s Summary
	for _, name := range names(rounds) {
		if !IsOwn(name) {
			s.family(name, rounds)
		}
	}
	return s
}

// names are those of all families in all scrapes, sorted.
func names(rounds []Round) []string {
	all := make(map[string]bool)
	for _, r := range rounds {
		for _, e := range []Exposition{r.Before, r.New, r.After} {
			for name := range e {
				all[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (s *Summary) add(kind, family, subject, format string, args ...any) {
	s.Differences = append(s.Differences, Difference{kind, family, subject, fmt.Sprintf(format, args...)})
}

// family compares one family.
func (s *Summary) family(name string, rounds []Round) {
	oldAll, oldAny, newAll, newAny := true, false, true, false
	var was, is *Family // one of each, for what does not change
	for _, r := range rounds {
		for _, f := range []*Family{r.Before[name], r.After[name]} {
			oldAll, oldAny = oldAll && f != nil, oldAny || f != nil
			if f != nil {
				was = f
			}
		}
		f := r.New[name]
		newAll, newAny = newAll && f != nil, newAny || f != nil
		if f != nil {
			is = f
		}
	}
	if oldAny {
		s.Families++
	}
	switch {
	case oldAll && !newAll:
		s.add(FamilyMissing, name, name, "the old has %d series", was.Series())
		return
	case !oldAny:
		s.add(FamilyAdded, name, name, "%s with %d series", is.kind, is.Series())
		return
	case was == nil || is == nil:
		return // comes and goes with the old, too
	}
	if was.kind != is.kind {
		s.add(TypeDiffers, name, name, "the old is %s, the new %s", was.kind, is.kind)
	}
	if !maps.Equal(was.labels, is.labels) {
		s.add(LabelsDiffer, name, name, "the old has %v, the new %v", slices.Sorted(maps.Keys(was.labels)), slices.Sorted(maps.Keys(is.labels)))
	}
	if was.help && !is.help {
		s.add(HelpMissing, name, name, "the new has no help text")
	}
	s.allSeries(name, was.kind, rounds)
}

// allSeries compares the series of a family.
func (s *Summary) allSeries(name, kind string, rounds []Round) {
	keys := make(map[string]bool)
	for _, r := range rounds {
		for _, e := range []Exposition{r.Before, r.New, r.After} {
			if f := e[name]; f != nil {
				for key := range f.series {
					keys[key] = true
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		seen := observe(name, key, rounds)
		if seen.oldAny {
			s.Series++
		}
		switch {
		case seen.oldAll && !seen.newAll:
			s.add(SeriesMissing, name, key, "always in the old")
		case !seen.oldAny:
			s.add(SeriesAdded, name, key, "never in the old")
		case seen.oldAll && seen.constant():
			s.Constant++
			if t := seen.triples; slices.ContainsFunc(t, func(t triple) bool { return !same(t.before, t.is) }) {
				s.add(ValueDiffers, name, key, "the old is always %v; the new %v", t[0].before, seen.newValues())
			}
		case len(seen.triples) > 0 && !slices.ContainsFunc(seen.triples, func(t triple) bool { return t.near(kind) }):
			t := seen.triples[len(seen.triples)-1]
			s.add(ValueFar, name, key, "the old went from %v to %v; the new is %v", t.before, t.after, t.is)
		}
	}
}

// triple are the values of one series in one round that has all three.
type triple struct{ before, is, after float64 }

// observed is what the rounds say of one series.
type observed struct {
	oldAll, oldAny, newAll bool
	triples                []triple
}

func observe(name, key string, rounds []Round) observed {
	o := observed{oldAll: true, newAll: true}
	at := func(e Exposition) (float64, bool) {
		if f := e[name]; f != nil {
			v, ok := f.series[key]
			return v, ok
		}
		return 0, false
	}
	for _, r := range rounds {
		before, b := at(r.Before)
		is, u := at(r.New)
		after, a := at(r.After)
		o.oldAll, o.oldAny, o.newAll = o.oldAll && b && a, o.oldAny || b || a, o.newAll && u
		if b && u && a {
			o.triples = append(o.triples, triple{before, is, after})
		}
	}
	return o
}

// constant tells whether the old says the same in all scrapes.
func (o observed) constant() bool {
	first := o.triples[0].before
	return !slices.ContainsFunc(o.triples, func(t triple) bool { return !same(t.before, first) || !same(t.after, first) })
}

func (o observed) newValues() []float64 {
	var vs []float64
	for _, t := range o.triples {
		vs = append(vs, t.is)
	}
	return vs
}

// same is equality for which NaN equals NaN.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// near tells whether the new is what the old might have said between its two: a
// counter that grew lies between them; another value, which may have been anything
// meanwhile, is of their size.
func (t triple) near(kind string) bool {
	if same(t.before, t.is) || same(t.after, t.is) {
		return true
	}
	lo, hi, slack := min(t.before, t.after), max(t.before, t.after), 0.0
	if kind != "counter" || t.before > t.after {
		slack = max(math.Abs(lo), math.Abs(hi)) / 2
	}
	return lo-slack <= t.is && t.is <= hi+slack
}

// OwnOnly are the families about the programs that one has and the other not.
func OwnOnly(have, lack Exposition) []string {
	var only []string
	for name := range have {
		if IsOwn(name) && lack[name] == nil {
			only = append(only, name)
		}
	}
	slices.Sort(only)
	return only
}
