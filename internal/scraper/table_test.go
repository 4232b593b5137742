package scraper

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/storage"
)

// model is a table as one would write it without care for memory.
type modelRow struct {
	ref             storage.SeriesRef
	dropped         bool
	current, before bool
	seen            bool
}

// The table does what a map would do, whatever is scraped.
func TestTableLikeMap(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var tab table
		var w walk
		want := make(map[uint64]*modelRow)
		refs := storage.SeriesRef(0)
		answer := r.Perm(1 + r.IntN(300))
		for scrape := range 12 {
			switch r.IntN(6) {
			case 0:
				answer = r.Perm(1 + r.IntN(300))
			case 1:
				answer = append(answer, r.IntN(400), r.IntN(400))
			case 2:
				answer = slices.Delete(answer, 0, r.IntN(len(answer)))
			case 3:
				r.Shuffle(len(answer), func(i, j int) { answer[i], answer[j] = answer[j], answer[i] })
			}
			w.reset(&tab)
			stop := len(answer)
			broken := r.IntN(4) == 0
			if broken {
				stop = r.IntN(len(answer) + 1)
			}
			var order []uint64
			for _, n := range answer[:stop] {
				h := uint64(n)*0x9e3779b97f4a7c15 + 1
				row, m := w.find(h), want[h]
				if (row >= 0) != (m != nil) {
					t.Fatalf("seed %d, scrape %d: series %d found: %v, want %v", seed, scrape, n, row >= 0, m != nil)
				}
				if m == nil {
					m = &modelRow{dropped: n%7 == 0}
					if !m.dropped {
						refs++
						m.ref = refs
					}
					want[h] = m
					flag := uint8(0)
					if m.dropped {
						flag = dropped
					}
					row = w.add(h, m.ref, flag)
				} else if again := w.see(row); again != m.seen {
					t.Fatalf("seed %d, scrape %d: series %d is there again: %v, want %v", seed, scrape, n, again, m.seen)
				}
				if !m.seen {
					order = append(order, h)
				}
				m.seen = true
				if tab.ref[row] != m.ref || tab.flag[row]&dropped != 0 != m.dropped {
					t.Fatalf("seed %d, scrape %d: series %d is another", seed, scrape, n)
				}
				if !m.dropped && n%5 != 0 {
					m.current = true
					tab.flag[row] |= current
				}
			}
			var got, ended []storage.SeriesRef
			tab.ended(func(ref storage.SeriesRef) bool { got = append(got, ref); return true })
			for _, m := range want {
				if m.before && !m.current {
					ended = append(ended, m.ref)
				}
			}
			slices.Sort(got)
			slices.Sort(ended)
			if !slices.Equal(got, ended) {
				t.Fatalf("seed %d, scrape %d: ended are %v, want %v", seed, scrape, got, ended)
			}
			forget := broken && r.IntN(2) == 0
			switch {
			case !broken:
				w.done()
				if !slices.Equal(tab.hash, order) {
					t.Fatalf("seed %d, scrape %d: the table is not in the order of the answer", seed, scrape)
				}
			case forget:
				tab.forget()
				tab.turn()
			default:
				tab.turn()
			}
			for h, m := range want {
				if !m.seen && (!broken || forget) {
					delete(want, h)
				}
				m.before, m.current, m.seen = m.current, false, false
			}
			if tab.len() != len(want) {
				t.Fatalf("seed %d, scrape %d: %d rows, want %d", seed, scrape, tab.len(), len(want))
			}
		}
	}
}

// Series that are written in two ways end once, and not as long as one of them goes on.
func TestEndedOnce(t *testing.T) {
	tab := table{[]uint64{1, 2, 3, 4, 5}, []storage.SeriesRef{7, 7, 8, 8, 9}, []uint8{before, before, before, current, before | current}}
	var got []storage.SeriesRef
	tab.ended(func(ref storage.SeriesRef) bool { got = append(got, ref); return true })
	if !slices.Equal(got, []storage.SeriesRef{7}) {
		t.Errorf("ended are %v, want 7 alone", got)
	}
}

// A table takes no more room than it needs, also after a first scrape.
func TestTableSize(t *testing.T) {
	var tab table
	var w walk
	for range 2 {
		w.reset(&tab)
		for h := range uint64(1000) {
			if row := w.find(h); row < 0 {
				w.add(h, 1, 0)
			} else {
				w.see(row)
			}
		}
		w.done()
	}
	if cap(tab.hash) > 1100 || cap(tab.ref) > 1100 || cap(tab.flag) > 1200 {
		t.Errorf("room for %d, %d and %d rows of 1000", cap(tab.hash), cap(tab.ref), cap(tab.flag))
	}
	w.reset(&tab)
	if n := testing.AllocsPerRun(10, func() {
		w.reset(&tab)
		for h := range uint64(1000) {
			w.see(w.find(h))
		}
		w.done()
	}); n != 0 {
		t.Errorf("a scrape of the same series allocates %v times", n)
	}
}
