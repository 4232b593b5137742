package scraper

// What a target says of its metric families: type, help and unit. Most targets of a job
// say the same, so that each text is kept once in the process.

import (
	"hash/maphash"
	"slices"
	"sync"
	"unique"
	"unsafe"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/scrape"
)

// keepFamily is for how many scrapes a family is kept that is no longer there, as in
// Prometheus.
const keepFamily = 10

// families are those of one target. They implement scrape.MetricMetadataStore, which the
// API and remote write read.
type families struct {
	seed maphash.Seed

	mu    sync.Mutex // the API reads
	hash  []uint64   // of the name
	known []unique.Handle[scrape.MetricMetadata]
	last  []uint32 // the scrape that had the family last
	now   uint32   // the number of the scrape under way
	next  int      // where the next one is expected
	bytes int      // of texts
	index index    // made for a scrape whose families are not in the expected order
}

// fewFamilies are searched one after the other.
const fewFamilies = 128

func (f *families) search(h uint64) int {
	if len(f.hash) <= fewFamilies {
		return slices.Index(f.hash, h)
	}
	if f.index.slots == nil {
		f.index.build(f.hash)
	}
	return f.index.find(f.hash, h)
}

// The texts below are copied where they are kept.

func (f *families) setType(name []byte, t model.MetricType) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name)
	if m := f.known[i].Value(); m.Type != t {
		m.Type = t
		f.change(i, m)
	}
}

func (f *families) setHelp(name, text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name)
	if m := f.known[i].Value(); m.Help != string(text) {
		m.Help = borrowed(text)
		f.change(i, m)
	}
}

func (f *families) setUnit(name, text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name)
	if m := f.known[i].Value(); m.Unit != string(text) {
		m.Unit = borrowed(text)
		f.change(i, m)
	}
}

func (f *families) change(i int, to scrape.MetricMetadata) {
	f.bytes += metaSize(to) - metaSize(f.known[i].Value())
	f.known[i] = unique.Make(to)
}

// find returns the place of a family that the scrape under way has, and makes one where
// there is none.
func (f *families) find(name []byte) int {
	h := maphash.Bytes(f.seed, name)
	// HELP and TYPE follow each other, then comes the next family.
	for i := f.next; i < min(f.next+2, len(f.hash)); i++ {
		if f.hash[i] == h {
			f.next, f.last[i] = i, f.now
			return i
		}
	}
	i := f.search(h)
	if i < 0 {
		i = len(f.hash)
		m := scrape.MetricMetadata{MetricFamily: string(name), Type: model.MetricTypeUnknown}
		f.hash, f.last = append(f.hash, h), append(f.last, f.now)
		f.known = append(f.known, unique.Make(m))
		f.bytes += metaSize(m)
		f.index.add(f.hash, i)
	}
	f.next, f.last[i] = i, f.now
	return i
}

// turn ends a scrape. One that was taken makes families go that are long gone.
func (f *families) turn(taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if taken {
		n := 0
		for i := range f.hash {
			if f.now-f.last[i] <= keepFamily {
				f.hash[n], f.known[n], f.last[n] = f.hash[i], f.known[i], f.last[i]
				n++
				continue
			}
			f.bytes -= metaSize(f.known[i].Value())
		}
		clear(f.known[n:])
		f.hash, f.known, f.last = f.hash[:n], f.known[:n], f.last[:n]
	}
	f.index = index{} // a target with many families says them in order
	f.next = 0
	f.now++
}

// metaSize is what Prometheus counts of it.
func metaSize(m scrape.MetricMetadata) int { return len(m.Help) + len(m.Unit) + len(m.Type) }

// ListMetadata implements scrape.MetricMetadataStore.
func (f *families) ListMetadata() []scrape.MetricMetadata {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]scrape.MetricMetadata, len(f.known))
	for i, h := range f.known {
		all[i] = h.Value()
	}
	return all
}

// GetMetadata implements scrape.MetricMetadataStore.
func (f *families) GetMetadata(name string) (scrape.MetricMetadata, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := maphash.String(f.seed, name)
	if i := slices.Index(f.hash, h); i >= 0 {
		return f.known[i].Value(), true
	}
	return scrape.MetricMetadata{}, false
}

// SizeMetadata implements scrape.MetricMetadataStore.
func (f *families) SizeMetadata() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

// LengthMetadata implements scrape.MetricMetadataStore.
func (f *families) LengthMetadata() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.known)
}

// borrowed is b as a string, for as long as b stays as it is.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
