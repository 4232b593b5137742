package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// round is one scrape of ours between two of the peer: what the peer says twice
// is what ours has to say.
type round struct{ before, ours, after exposition }

// The kinds of differences, as the file of allowed ones names them.
const (
	familyMissing = "family-missing" // the peer has it in every scrape, ours not
	familyAdded   = "family-added"   // ours has it, the peer never
	typeDiffers   = "type"
	labelsDiffer  = "labels" // the names of all labels in the family
	helpMissing   = "help"
	seriesMissing = "series-missing" // like family-missing, in a family that both have
	seriesAdded   = "series-added"
	valueDiffers  = "value" // where the peer's never changes; ours is wrong in any round
	valueFar      = "range" // where it does; ours is far from it in every round
)

// difference is one thing that ours says otherwise than the peer.
type difference struct {
	kind    string
	subject string // the family, or the series: family{label="value"}
	detail  string
}

// summary is what a comparison saw.
type summary struct {
	families, series, constant int // the peer's
	differences                []difference
}

// own are the prefixes of the metrics about the programs themselves.
var own = []string{"go_", "process_", "promhttp_"}

func isOwn(name string) bool {
	return slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(name, p) })
}

// compare holds ours against the peer, families about the programs left out.
func compare(rounds []round) summary {
	var s summary
	for _, name := range names(rounds) {
		if !isOwn(name) {
			s.family(name, rounds)
		}
	}
	return s
}

// names are those of all families in all scrapes, sorted.
func names(rounds []round) []string {
	all := make(map[string]bool)
	for _, r := range rounds {
		for _, e := range []exposition{r.before, r.ours, r.after} {
			for name := range e {
				all[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (s *summary) add(kind, subject, format string, args ...any) {
	s.differences = append(s.differences, difference{kind, subject, fmt.Sprintf(format, args...)})
}

// family compares one family.
func (s *summary) family(name string, rounds []round) {
	peerAll, peerAny, oursAll, oursAny := true, false, true, false
	var peer, ours *family // one of each, for what does not change
	for _, r := range rounds {
		for _, f := range []*family{r.before[name], r.after[name]} {
			peerAll, peerAny = peerAll && f != nil, peerAny || f != nil
			if f != nil {
				peer = f
			}
		}
		f := r.ours[name]
		oursAll, oursAny = oursAll && f != nil, oursAny || f != nil
		if f != nil {
			ours = f
		}
	}
	if peerAny {
		s.families++
	}
	switch {
	case peerAll && !oursAll:
		s.add(familyMissing, name, "the peer has %d series", len(peer.series))
		return
	case !peerAny:
		s.add(familyAdded, name, "%s with %d series", ours.kind, len(ours.series))
		return
	case peer == nil || ours == nil:
		return // comes and goes with the peer too
	}
	if peer.kind != ours.kind {
		s.add(typeDiffers, name, "the peer's is %s, ours %s", peer.kind, ours.kind)
	}
	if !maps.Equal(peer.labels, ours.labels) {
		s.add(labelsDiffer, name, "the peer's are %v, ours %v", slices.Sorted(maps.Keys(peer.labels)), slices.Sorted(maps.Keys(ours.labels)))
	}
	if !ours.help {
		s.add(helpMissing, name, "no help text")
	}
	s.allSeries(name, peer.kind, rounds)
}

// allSeries compares the series of a family.
func (s *summary) allSeries(name, kind string, rounds []round) {
	keys := make(map[string]bool)
	for _, r := range rounds {
		for _, e := range []exposition{r.before, r.ours, r.after} {
			if f := e[name]; f != nil {
				for key := range f.series {
					keys[key] = true
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		seen := observe(name, key, rounds)
		if seen.peerAny {
			s.series++
		}
		switch {
		case seen.peerAll && !seen.oursAll:
			s.add(seriesMissing, key, "always in the peer's")
		case !seen.peerAny:
			s.add(seriesAdded, key, "never in the peer's")
		case seen.peerAll && seen.constant():
			s.constant++
			if t := seen.triples; slices.ContainsFunc(t, func(t triple) bool { return !same(t.before, t.ours) }) {
				s.add(valueDiffers, key, "the peer's is always %v; ours %v", t[0].before, seen.ourValues())
			}
		case len(seen.triples) > 0 && !slices.ContainsFunc(seen.triples, func(t triple) bool { return t.near(kind) }):
			t := seen.triples[len(seen.triples)-1]
			s.add(valueFar, key, "the peer's went from %v to %v; ours is %v", t.before, t.after, t.ours)
		}
	}
}

// triple are the values of one series in one round that has all three.
type triple struct{ before, ours, after float64 }

// observed is what the rounds say of one series.
type observed struct {
	peerAll, peerAny, oursAll bool
	triples                   []triple
}

func observe(name, key string, rounds []round) observed {
	o := observed{peerAll: true, oursAll: true}
	at := func(e exposition) (float64, bool) {
		if f := e[name]; f != nil {
			v, ok := f.series[key]
			return v, ok
		}
		return 0, false
	}
	for _, r := range rounds {
		before, b := at(r.before)
		ours, u := at(r.ours)
		after, a := at(r.after)
		o.peerAll, o.peerAny, o.oursAll = o.peerAll && b && a, o.peerAny || b || a, o.oursAll && u
		if b && u && a {
			o.triples = append(o.triples, triple{before, ours, after})
		}
	}
	return o
}

// constant tells whether the peer says the same in all scrapes.
func (o observed) constant() bool {
	first := o.triples[0].before
	return !slices.ContainsFunc(o.triples, func(t triple) bool { return !same(t.before, first) || !same(t.after, first) })
}

func (o observed) ourValues() []float64 {
	var vs []float64
	for _, t := range o.triples {
		vs = append(vs, t.ours)
	}
	return vs
}

// same is equality for which NaN equals NaN.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// near tells whether ours is what the peer might have said between its two: a
// counter that grew lies between them; another value, which may have been anything
// meanwhile, is of their size.
func (t triple) near(kind string) bool {
	if same(t.before, t.ours) || same(t.after, t.ours) {
		return true
	}
	lo, hi, slack := min(t.before, t.after), max(t.before, t.after), 0.0
	if kind != "counter" || t.before > t.after {
		slack = max(math.Abs(lo), math.Abs(hi)) / 2
	}
	return lo-slack <= t.ours && t.ours <= hi+slack
}

// ownOnly are the families about the programs that one has and the other not.
func ownOnly(have, lack exposition) []string {
	var only []string
	for name := range have {
		if isOwn(name) && lack[name] == nil {
			only = append(only, name)
		}
	}
	slices.Sort(only)
	return only
}
