package collectors

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"watchpost/internal/expo"
)

// foreign is a collector whose families are named by others. Its names give way
// to those of the collectors proper: a family said twice would make the whole
// exposition unreadable.
type foreign interface{ foreign() }

// Reserve says that families of these names, as they are spelt in the TYPE lines of
// a format, are written into the same exposition by others, such as the metrics of
// the program itself. Foreign collectors give way to them too. It may be called
// while scrapes run.
func (s *Set) Reserve(f expo.Format, names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reserved := maps.Clone(s.reserved[f]) // those that run go on with the old one
	if reserved == nil {
		reserved = make(map[string]bool)
	}
	for _, name := range names {
		reserved[name] = true
	}
	s.reserved[f] = reserved
}

// taken tells whether the scrape itself, or who reserved the name, has a family.
func (p *pass) taken(name string) bool {
	return name == scrapeDuration.Name() || name == scrapeSuccess.Name() || p.reserved[name]
}

// settleForeign takes out of the foreign units' text the families that other
// units, the scrape itself or the program have written too. Called under p.mu, when
// the pass is finished.
func (p *pass) settleForeign(s *Set) {
	for i, u := range p.units {
		w := p.outcome[i].w
		if _, ok := u.collector.(foreign); !ok || w == nil || len(w.Bytes()) == 0 {
			continue
		}
		clash := make(map[string]bool)        // false: no one else has it yet
		own := []byte("node_" + u.name + "_") // of the collector's own families, which nobody else has
		for name := range expo.FamilyNames(w.Bytes()) {
			if bytes.HasPrefix(name, own) {
				continue
			}
			clash[string(name)] = p.taken(string(name))
		}
		if len(clash) == 0 {
			continue
		}
		for j := range p.outcome {
			o := p.outcome[j].w
			if j == i || o == nil {
				continue
			}
			for name := range expo.FamilyNames(o.Bytes()) {
				if _, ours := clash[string(name)]; ours {
					clash[string(name)] = true
				}
			}
		}
		maps.DeleteFunc(clash, func(_ string, taken bool) bool { return !taken })
		if len(clash) > 0 {
			dropFamilies(w, clash)
			p.outcome[i].ok = false
			s.say(u, fmt.Errorf("left out, because other collectors or the program itself have families of these names: %s", strings.Join(slices.Sorted(maps.Keys(clash)), ", ")))
		}
	}
}

// dropFamilies rewrites w without the families that clash.
func dropFamilies(w *expo.Writer, clash map[string]bool) {
	var kept []byte
	dropping := false
	for sc := expo.NewScanner(w.Bytes()); sc.Next(); {
		l := sc.Line()
		if l.Kind == expo.Help || l.Kind == expo.TypeLine {
			dropping = clash[string(l.Name)]
		}
		if !dropping {
			kept = append(append(kept, l.Raw...), '\n')
		}
	}
	w.Truncate(0)
	w.Append(kept)
}
