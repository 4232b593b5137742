package collectors

// The kernel's caches of small objects, from /proc/slabinfo (kernel: mm/slab_common.c,
// slabinfo(5)), which only root may read. Of each line the name and the first five
// numbers are told:
//
//	# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables ...
//	kmalloc-8192         132    148   8192    4    8 : tunables    0    0    0 : slabdata     37     37      0

import (
	"bytes"
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// slabFamilies are the numbers of a line, in its order.
var slabFamilies = [slabNumbers]*expo.Family{
	expo.Gauge("node_slabinfo_active_objects", "Objects in use.", "slab"),
	expo.Gauge("node_slabinfo_objects", "Objects that there is memory for, in use or not.", "slab"),
	expo.Gauge("node_slabinfo_object_size_bytes", "Size of an object.", "slab"),
	expo.Gauge("node_slabinfo_objects_per_slab", "Objects in one slab.", "slab"),
	expo.Gauge("node_slabinfo_pages_per_slab", "Pages of one slab.", "slab"),
}

const slabNumbers = 5

// DefaultSlabinfoInclude keeps every cache.
const DefaultSlabinfoInclude = ".*"

// SlabinfoConfig configures the slabinfo collector. Both patterns apply.
type SlabinfoConfig struct {
	Include string // keep only caches that match
	Exclude string // leave out caches that match
}

type slabinfo struct {
	filter *Filter
	file   *hostfs.File
	names  hostfs.Interner
	slabs  []slab // as last read
}

func newSlabinfo(c Config) (Collector, error) {
	filter, err := NewFilter(c.Slabinfo.Include, c.Slabinfo.Exclude)
	if err != nil {
		return nil, fmt.Errorf("collector.slabinfo.slabs: %w", err)
	}
	return &slabinfo{filter: filter, file: c.FS.ProcFile("slabinfo")}, nil
}

// Collect implements Collector.
func (s *slabinfo) Collect(_ context.Context, w *expo.Writer) error {
	b, err := s.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := s.parse(b); err != nil {
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	for i, f := range slabFamilies {
		for j := range s.slabs {
			w.Uint(f, s.slabs[j].v[i], s.slabs[j].name)
		}
	}
	return nil
}

// slab is a line of /proc/slabinfo.
type slab struct {
	name string
	v    [slabNumbers]uint64
}

func (s *slabinfo) parse(b []byte) error {
	s.slabs = s.slabs[:0]
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if len(line) == 0 || line[0] == '#' || bytes.HasPrefix(line, []byte("slabinfo - version:")) {
			continue
		}
		name, v, err := parseSlab(line)
		if err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		// A cache that is made between two reads of the file moves the others on, so
		// that the last line of the one is the first of the other.
		if n := len(s.slabs); n > 0 && s.slabs[n-1].name == string(name) {
			continue
		}
		if name := s.names.String(name); s.filter.Keep(name) {
			s.slabs = append(s.slabs, slab{name, v})
		}
	}
	return nil
}

func parseSlab(line []byte) (name []byte, v [slabNumbers]uint64, err error) {
	name, rest := hostfs.NextField(line)
	for i := range v {
		var f []byte
		f, rest = hostfs.NextField(rest)
		if v[i], err = hostfs.Uint(f); err != nil {
			return nil, v, err
		}
	}
	return name, v, nil
}
