package collectors

import (
	"fmt"
	"slices"
	"strings"

	"watchpost/internal/expo"
)

// foreign is a collector whose families are named by others. Its names give way
// to those of the collectors proper: a family said twice would make the whole
// exposition unreadable.
type foreign interface{ foreign() }

// settleForeign takes out of the foreign units' text the families that other
// units have written too. Called under p.mu, when the pass is finished.
func (p *pass) settleForeign(s *Set) {
	for i, u := range p.units {
		w := p.outcome[i].w
		if _, ok := u.collector.(foreign); !ok || w == nil || len(w.Bytes()) == 0 {
			continue
		}
		taken := make(map[string]bool)
		for j := range p.outcome {
			if o := p.outcome[j].w; j != i && o != nil {
				for name := range families(o.Bytes()) {
					taken[name] = true
				}
			}
		}
		if dropped := dropFamilies(w, taken); len(dropped) > 0 {
			p.outcome[i].ok = false
			s.say(u, fmt.Errorf("left out, because other collectors have families of these names: %s", strings.Join(dropped, ", ")))
		}
	}
}

// families yields the names in the TYPE lines of an exposition.
func families(text []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for sc := expo.NewScanner(text); sc.Next(); {
			if l := sc.Line(); l.Kind == expo.TypeLine && !yield(string(l.Name)) {
				return
			}
		}
	}
}

// dropFamilies rewrites w without the families that are taken and returns their names.
func dropFamilies(w *expo.Writer, taken map[string]bool) []string {
	var clash []string
	for name := range families(w.Bytes()) {
		if taken[name] && !slices.Contains(clash, name) {
			clash = append(clash, name)
		}
	}
	if len(clash) == 0 {
		return nil
	}
	var kept []byte
	dropping := false
	for sc := expo.NewScanner(w.Bytes()); sc.Next(); {
		l := sc.Line()
		if l.Kind == expo.Help || l.Kind == expo.TypeLine {
			dropping = slices.Contains(clash, string(l.Name))
		}
		if !dropping {
			kept = append(append(kept, l.Raw...), '\n')
		}
	}
	w.Truncate(0)
	w.Append(kept)
	return clash
}
