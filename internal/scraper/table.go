package scraper

// The series of a target. What a scrape must know of a series it has seen before is
// where the storage keeps it. Targets say the same series in the same order at every
// scrape, so the table holds them in the order of the last answer, and a scrape walks
// over both: a line that is the expected one is found without a search.
//
// The text of a series is not kept, but 64 bits of its hash, with a seed that nobody
// outside knows. Two series of one target would be taken for one if these agreed: with
// 100,000 series that happens to one target in four thousand million. Nor are its
// labels kept: the storage has them.

import (
	"slices"

	"github.com/prometheus/prometheus/storage"
)

// flags of a series.
const (
	seen    uint8 = 1 << iota // in the scrape under way
	dropped                   // by relabelling; it has no reference
	current                   // has a sample in the scrape under way that ends with it
	before                    // had one in the scrape before
)

// table is what is known of the series of one target, one row each. 17 bytes a series.
type table struct {
	hash []uint64
	ref  []storage.SeriesRef // 0 where there is none
	flag []uint8
}

func (t *table) len() int { return len(t.hash) }

// walk goes over a table in the order of an answer. Its zero value is ready; reset
// prepares it for the next table and keeps its memory.
type walk struct {
	t       *table
	next    int     // the row that is expected
	inOrder bool    // the nth series of the answer was row n so far
	rows    int     // of the answer so far
	order   []int32 // the rows of the answer, once they are not in order
	index   index   // of all rows, made at the first line that is not the expected one
}

func (w *walk) reset(t *table) {
	w.t, w.next, w.inOrder, w.rows, w.order = t, 0, true, 0, w.order[:0]
	w.index.clear()
}

// find returns the row of a series, or -1.
func (w *walk) find(h uint64) int {
	row := w.next
	if row >= len(w.t.hash) || w.t.hash[row] != h {
		if w.index.slots == nil {
			w.index.build(w.t.hash)
		}
		if row = w.index.find(w.t.hash, h); row < 0 {
			return -1
		}
	}
	w.next = row + 1
	return row
}

// see notes that the answer has the series of the row. again is true where it has had
// it before.
func (w *walk) see(row int) (again bool) {
	if w.t.flag[row]&seen != 0 {
		return true
	}
	w.t.flag[row] |= seen
	if w.inOrder && row != w.rows {
		w.inOrder = false
		for i := range w.rows {
			w.order = append(w.order, int32(i))
		}
	}
	if !w.inOrder {
		w.order = append(w.order, int32(row))
	}
	w.rows++
	return false
}

// add makes a row for a series that find did not find, and returns it.
func (w *walk) add(h uint64, ref storage.SeriesRef, flag uint8) int {
	t, row := w.t, len(w.t.hash)
	t.hash = append(t.hash, h)
	t.ref = append(t.ref, ref)
	t.flag = append(t.flag, flag)
	w.index.add(t.hash, row)
	w.next = row + 1
	w.see(row)
	return row
}

// done ends the walk over an answer that was taken: rows that were not in it go, and the
// others are in its order from now on.
func (w *walk) done() {
	t := w.t
	if !w.inOrder || w.rows < t.len() || cap(t.hash) > t.len()+t.len()/8 {
		// Anew, and without room to grow, since most targets do not.
		n := table{make([]uint64, w.rows), make([]storage.SeriesRef, w.rows), make([]uint8, w.rows)}
		for i := range w.rows {
			row := i
			if !w.inOrder {
				row = int(w.order[i])
			}
			n.hash[i], n.ref[i], n.flag[i] = t.hash[row], t.ref[row], t.flag[row]
		}
		*t = n
	}
	t.turn()
}

// turn makes the scrape under way the one before.
func (t *table) turn() {
	for i, f := range t.flag {
		f &^= seen | before
		if f&current != 0 {
			f ^= current | before
		}
		t.flag[i] = f
	}
}

// forget removes the rows that the scrape under way has not seen.
func (t *table) forget() {
	n := 0
	for i, f := range t.flag {
		if f&seen != 0 {
			t.hash[n], t.ref[n], t.flag[n] = t.hash[i], t.ref[i], f
			n++
		}
	}
	t.hash, t.ref, t.flag = slices.Clip(t.hash[:n]), slices.Clip(t.ref[:n]), slices.Clip(t.flag[:n])
}

// ended yields the series that had a sample in the scrape before and have none in this
// one. Several rows may stand for one series, where its labels are written in several
// ways.
func (t *table) ended(yield func(storage.SeriesRef) bool) {
	var known map[storage.SeriesRef]struct{} // made when it is needed, which is rarely
	for i, f := range t.flag {
		if f&(before|current) != before {
			continue
		}
		if known == nil {
			known = make(map[storage.SeriesRef]struct{})
			for j, f := range t.flag {
				if f&current != 0 {
					known[t.ref[j]] = struct{}{}
				}
			}
		}
		if _, goesOn := known[t.ref[i]]; goesOn {
			continue
		}
		known[t.ref[i]] = struct{}{}
		if !yield(t.ref[i]) {
			return
		}
	}
}

// index finds rows by their hash: open addressing, half full at most.
type index struct {
	slots []int32 // row plus 1; nil as long as it was not built
	spare []int32 // memory for slots
	used  int
}

func (x *index) clear() {
	if x.slots != nil {
		x.spare = x.slots[:0]
	}
	x.slots, x.used = nil, 0
}

// build makes the index of all rows.
func (x *index) build(hash []uint64) {
	size := 64
	for size < 4*len(hash) {
		size *= 2
	}
	if cap(x.spare) < size {
		x.spare = make([]int32, size)
	}
	x.slots, x.used = x.spare[:size], 0
	clear(x.slots)
	for row := range hash {
		x.add(hash, row)
	}
}

// add adds a row, where there is an index.
func (x *index) add(hash []uint64, row int) {
	if x.slots == nil {
		return
	}
	if x.used*2 >= len(x.slots) {
		x.clear()
		x.build(hash[:row])
	}
	i := x.place(hash, hash[row])
	x.slots[i] = int32(row) + 1
	x.used++
}

func (x *index) find(hash []uint64, h uint64) int { return int(x.slots[x.place(hash, h)]) - 1 }

// place is the slot of h, or the empty one where it belongs.
func (x *index) place(hash []uint64, h uint64) int {
	mask := len(x.slots) - 1
	i := int(h) & mask
	for x.slots[i] != 0 && hash[x.slots[i]-1] != h {
		i = (i + 1) & mask
	}
	return i
}
