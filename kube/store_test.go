package kube

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"watchpost/internal/expo"
)

// fakeFamilies are those of a resource without a server, whose objects are texts.
const fakeFamilies = 3

// newFakes makes sources that are one store.
func newFakes(n int, now func() time.Time) ([]*source, func() *Snapshot) {
	c := newCodec()
	s := &store{resource: &resource{name: "fakes"}}
	for i := range fakeFamilies {
		s.headers = append(s.headers, newHeader(&c.deflater, expo.Gauge(fmt.Sprintf("fake_%d", i), "A fake.", "x")))
	}
	var sources []*source
	for range n {
		w := &watcher{resource: s.resource, source: newSource(c, fakeFamilies, now)}
		s.watchers = append(s.watchers, w)
		sources = append(sources, w.source)
	}
	return sources, func() *Snapshot {
		snap := &Snapshot{codec: c}
		s.add(snap)
		snap.group()
		return snap
	}
}

// fakeText makes the rendering of an object: for a family without text an empty string.
func fakeText(texts ...string) *rendering {
	var r rendering
	for _, t := range texts {
		r.text = append(r.text, t...)
		r.ends = append(r.ends, len(r.text))
	}
	return &r
}

func fakeUID(n int) types.UID { return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012x", n)) }

// fakeObject is version v of object n; families are empty now and then.
func fakeObject(n, v int) []string {
	texts := make([]string, fakeFamilies)
	for f := range texts {
		if (n+v+f)%4 == 0 {
			continue
		}
		texts[f] = strings.Repeat(fmt.Sprintf("fake_%d{x=\"%d.%d\"} %d\n", f, n, v/(f+1), v/(f+1)), 1+(n+v)%3)
	}
	return texts
}

// lines are the samples of a snapshot, sorted, family by family, after a check that
// gzip says the same as text.
func lines(t testing.TB, snap *Snapshot) []string {
	t.Helper()
	var text, zipped bytes.Buffer
	if err := snap.WriteText(&text, expo.Text); err != nil {
		t.Fatal(err)
	}
	if err := snap.WriteGzip(&zipped, expo.Text); err != nil {
		t.Fatal(err)
	}
	if int64(zipped.Len()) != snap.GzipSize(expo.Text) {
		t.Fatalf("%d bytes of gzip, %d were promised", zipped.Len(), snap.GzipSize(expo.Text))
	}
	r, err := gzip.NewReader(&zipped)
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	plain, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(plain, text.Bytes()) {
		t.Fatalf("gzip and text differ: %d and %d bytes, %v", len(plain), text.Len(), err)
	}
	if zipped.Len() > 0 {
		t.Fatalf("%d bytes after the gzip member", zipped.Len())
	}
	var out []string
	begin := 0
	all := strings.SplitAfter(text.String(), "\n")
	for i, l := range all {
		if strings.HasPrefix(l, "#") || l == "" {
			slices.Sort(out[begin:])
			if l != "" {
				out = append(out, l)
			}
			begin = len(out)
		} else {
			out = append(out, all[i])
		}
	}
	return out
}

// model is what a store is to be: a map of texts.
type model map[types.UID][]string

func (m model) lines() []string {
	if len(m) == 0 {
		return nil
	}
	var out []string
	for f := range fakeFamilies {
		out = append(out, fmt.Sprintf("# HELP fake_%d A fake.\n", f), fmt.Sprintf("# TYPE fake_%d gauge\n", f))
		begin := len(out)
		for _, texts := range m {
			for _, l := range strings.SplitAfter(texts[f], "\n") {
				if l != "" {
					out = append(out, l)
				}
			}
		}
		slices.Sort(out[begin:])
	}
	return out
}

func sameLines(t testing.TB, got, want []string, when string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			at := func(s []string) string {
				if i < len(s) {
					return s[i]
				}
				return "the end"
			}
			t.Fatalf("%s: line %d of %d is %q, want %q (of %d)", when, i, len(got), at(got), at(want), len(want))
		}
	}
}

// Everything that can happen to a store, in random order, against a map.
func TestStoreIsAMap(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			const n = 3
			sources, snapshot := newFakes(n, time.Now)
			served := make([]model, n) // what is to be seen
			staged := make([]model, n) // what a list under way, or the watch, has said
			seen := make([]model, n)   // what the list under way has had; nil without one
			for i := range n {
				served[i], staged[i], seen[i] = model{}, model{}, model{}
				sources[i].begin()
			}
			publish := func(i int) {
				if seen[i] == nil {
					served[i] = maps.Clone(staged[i])
				}
			}
			check := func(when string) {
				all := model{}
				for i := range n {
					maps.Copy(all, served[i])
				}
				sameLines(t, lines(t, snapshot()), all.lines(), when)
			}
			check("at the start")
			objects := 100 + int(seed)*250
			for step := range 6000 {
				i := rnd.IntN(n)
				uid := i*10000 + rnd.IntN(objects)
				if step > 4000 { // a cluster that shrinks
					uid = i*10000 + rnd.IntN(20)
				}
				switch what := rnd.IntN(1000); {
				case what < 600:
					texts := fakeObject(uid, rnd.IntN(20))
					if seed > 3 && rnd.IntN(200) == 0 { // unlike the others of its family
						texts[1] = "fake_1 5\n"
					}
					sources[i].put(fakeUID(uid), fakeText(texts...), 0)
					staged[i][fakeUID(uid)] = texts
					if seen[i] != nil {
						seen[i][fakeUID(uid)] = texts
					}
					publish(i)
				case what < 980:
					sources[i].remove(fakeUID(uid))
					delete(staged[i], fakeUID(uid))
					if seen[i] != nil {
						delete(seen[i], fakeUID(uid))
					}
					publish(i)
				case what < 985:
					sources[i].begin()
					seen[i] = model{}
				case what < 992 && seen[i] != nil:
					sources[i].commit()
					staged[i], seen[i] = maps.Clone(seen[i]), nil
					publish(i)
				case what > 995:
					check(fmt.Sprintf("step %d", step))
				}
			}
			for i := range n {
				sources[i].begin()
				sources[i].commit()
				served[i] = model{}
			}
			check("emptied")
			for i, s := range sources {
				if len(s.blocks) != 0 || len(s.index) != 0 || s.stored() != 0 {
					t.Errorf("source %d is empty and keeps %d blocks, %d objects, %d bytes", i, len(s.blocks), len(s.index), s.stored())
				}
			}
		})
	}
}

// What changes again and again is joined from pieces, and says the same.
func TestStoreJoinsPieces(t *testing.T) {
	now := time.Unix(1790000000, 0)
	sources, snapshot := newFakes(1, func() time.Time { return now })
	s := sources[0]
	want := model{}
	put := func(n, v int) {
		s.put(fakeUID(n), fakeText(fakeObject(n, v)...), 0)
		want[fakeUID(n)] = fakeObject(n, v)
	}
	for n := range blockSlots {
		put(n, 1)
	}
	s.commit()
	b := s.blocks[0]
	if b.pieces[0] != nil {
		t.Error("the text of a first list is in pieces")
	}
	for v := 2; v < 6; v++ {
		for n := range blockSlots / 3 {
			put(3*n+v%3, v)
		}
		sameLines(t, lines(t, snapshot()), want.lines(), fmt.Sprintf("version %d", v))
	}
	if p := b.pieces[0]; p == nil || p.unfit {
		t.Error("text that changed is not in pieces")
	}
	for n := range blockSlots { // a family that has no text any more
		want[fakeUID(n)] = []string{"", fakeObject(n, 6)[1], fakeObject(n, 6)[2]}
		s.put(fakeUID(n), fakeText(want[fakeUID(n)]...), 0)
	}
	sameLines(t, lines(t, snapshot()), want.lines(), "without a family")
	for n := range 10 {
		put(n, 7)
	}
	sameLines(t, lines(t, snapshot()), want.lines(), "with it again")

	now = now.Add(settleAfter * time.Second)
	want[fakeUID(5)] = []string{fakeObject(5, 7)[0], "fake_1{x=\"5.new\"} 1\n", fakeObject(5, 7)[2]}
	s.put(fakeUID(5), fakeText(want[fakeUID(5)]...), 0)
	sameLines(t, lines(t, snapshot()), want.lines(), "when most of it was quiet for long")
	if b.pieces[1] == nil || b.pieces[2] != nil {
		t.Error("the family that changed is not in pieces, or one that did not is")
	}
	put(4, 9)

	want[fakeUID(3)] = []string{"fake_0 1\n", "", ""} // not like the others
	s.put(fakeUID(3), fakeText(want[fakeUID(3)]...), 0)
	sameLines(t, lines(t, snapshot()), want.lines(), "with text unlike the rest")
	if p := b.pieces[0]; p == nil || !p.unfit {
		t.Error("text unlike the rest is in pieces")
	}
	put(3, 8)
	sameLines(t, lines(t, snapshot()), want.lines(), "alike again")
}

// A cluster that was large once does not keep a block for each few objects.
func TestStoreJoinsSparseBlocks(t *testing.T) {
	sources, snapshot := newFakes(1, time.Now)
	s := sources[0]
	want := model{}
	for n := range 20 * blockSlots {
		s.put(fakeUID(n), fakeText(fakeObject(n, 1)...), 0)
	}
	s.begin()
	for n := 0; n < 20*blockSlots; n += 16 {
		s.put(fakeUID(n), fakeText(fakeObject(n, 1)...), 0)
		want[fakeUID(n)] = fakeObject(n, 1)
	}
	s.commit()
	sameLines(t, lines(t, snapshot()), want.lines(), "sparse")
	blocks := 0
	for _, b := range s.blocks {
		if b != nil {
			blocks++
		}
	}
	if max := 20/16*2 + 4; blocks > max {
		t.Errorf("%d objects are in %d blocks", len(want), blocks)
	}
	// And the places are right: each can still be changed and removed.
	for n := 0; n < 20*blockSlots; n += 32 {
		s.remove(fakeUID(n))
		delete(want, fakeUID(n))
		s.put(fakeUID(n+16), fakeText(fakeObject(n, 7)...), 0)
		want[fakeUID(n+16)] = fakeObject(n, 7)
	}
	sameLines(t, lines(t, snapshot()), want.lines(), "changed after that")
}

func TestStoreSameObjectTwiceInAList(t *testing.T) {
	sources, snapshot := newFakes(1, time.Now)
	s := sources[0]
	s.begin()
	s.put(fakeUID(1), fakeText("fake_0{x=\"a\"} 1\n", "", ""), 0)
	s.put(fakeUID(1), fakeText("fake_0{x=\"b\"} 1\n", "", "fake_2{x=\"b\"} 1\n"), 0)
	s.commit()
	sameLines(t, lines(t, snapshot()), model{"": {"fake_0{x=\"b\"} 1\n", "", "fake_2{x=\"b\"} 1\n"}}.lines(), "after the list")
	if n := snapshot().Objects(); n != 1 {
		t.Errorf("%d objects", n)
	}
}

// A resource with an object has all its headers; one without has none.
func TestStoreHeaders(t *testing.T) {
	sources, snapshot := newFakes(2, time.Now)
	sources[0].begin()
	sources[0].commit()
	if got := lines(t, snapshot()); len(got) != 0 {
		t.Errorf("without objects: %q", got)
	}
	sources[1].begin()
	sources[1].put(fakeUID(1), fakeText("", "", ""), 0)
	sources[1].commit()
	sameLines(t, lines(t, snapshot()), model{"": {"", "", ""}}.lines(), "an object without samples")
}

func TestStoreExpires(t *testing.T) {
	now := time.Unix(1000, 0)
	sources, snapshot := newFakes(1, func() time.Time { return now })
	s := sources[0]
	s.begin()
	want := model{}
	for n := range 10 {
		s.put(fakeUID(n), fakeText(fakeObject(n, 1)...), int64(1000+n*10))
		if n > 0 { // the first was over before
			want[fakeUID(n)] = fakeObject(n, 1)
		}
	}
	s.commit()
	sameLines(t, lines(t, snapshot()), want.lines(), "at the start")
	now = time.Unix(1045, 0)
	for n := range 5 {
		delete(want, fakeUID(n))
	}
	sameLines(t, lines(t, snapshot()), want.lines(), "after 45 s")
	s.put(fakeUID(5), fakeText(fakeObject(5, 2)...), 1044) // its end was corrected
	delete(want, fakeUID(5))
	s.put(fakeUID(6), fakeText(fakeObject(6, 1)...), 0) // it runs again
	now = time.Unix(2000, 0)
	for n := 7; n < 10; n++ {
		delete(want, fakeUID(n))
	}
	sameLines(t, lines(t, snapshot()), want.lines(), "at the end")
}

// No snapshot shows half a list, however many are taken while lists are read.
func TestSnapshotsSeeWholeLists(t *testing.T) {
	sources, snapshot := newFakes(2, time.Now)
	const objects = 3*blockSlots + 7
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i, s := range sources {
		writers.Go(func() {
			for v := range 12 {
				s.begin()
				for n := range objects {
					text := fmt.Sprintf("fake_0{x=\"%d\"} %d\n", i, v)
					s.put(fakeUID(n+v%2*17), fakeText(text, text, ""), 0)
				}
				s.commit()
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var text bytes.Buffer
				if err := snapshot().WriteText(&text, expo.Text); err != nil {
					t.Error(err)
					return
				}
				for i := range sources {
					counts := map[string]int{}
					for l := range strings.Lines(text.String()) {
						if strings.HasPrefix(l, fmt.Sprintf("fake_0{x=\"%d\"} ", i)) {
							counts[l]++
						}
					}
					if len(counts) > 1 {
						t.Errorf("two lists at once: %v", counts)
						return
					}
					for l, n := range counts {
						if n != 2*objects {
							t.Errorf("%q: %d times, want %d", l, n, 2*objects)
							return
						}
					}
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

func TestKeys(t *testing.T) {
	a, b := keyOf("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), keyOf("6ba7b810-9dad-11d1-80b4-00c04fd430c9")
	if fmt.Sprintf("%x", a) != "6ba7b8109dad11d180b400c04fd430c8" || a == b {
		t.Errorf("%x, %x", a, b)
	}
	seen := map[objectKey]string{}
	for _, uid := range []string{"", "a", "b", "6ba7b810-9dad-11d1-80b4-00c04fd430cx", "6ba7b810-9dad-11d1-80b4_00c04fd430c8", "00000000-0000-0000-0000-000000000000"} {
		k := keyOf(types.UID(uid))
		if other, taken := seen[k]; taken {
			t.Errorf("%q and %q have one key", uid, other)
		}
		seen[k] = uid
	}
}

// An object that stays the same costs no memory.
func TestPutAllocatesNothing(t *testing.T) {
	sources, _ := newFakes(1, time.Now)
	s := sources[0]
	s.begin()
	for n := range blockSlots {
		s.put(fakeUID(n), fakeText(fakeObject(n, 1)...), 0)
	}
	s.commit()
	same := fakeText(fakeObject(3, 1)...)
	uid := fakeUID(3)
	if n := testing.AllocsPerRun(100, func() { s.put(uid, same, 0) }); n > 0 {
		t.Errorf("%v allocations for an object that stays the same", n)
	}
}
