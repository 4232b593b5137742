package collectors

// Memory zones, from /proc/zoneinfo (kernel: Documentation/admin-guide/sysctl/vm.rst,
// mm/vmstat.c). A section is one zone of one NUMA node; the first of a node has the
// node's own numbers too. All are pages or counts:
//
//	Node 0, zone      DMA
//	  per-node stats
//	      nr_inactive_anon 95612
//	  pages free     2949
//	        min      8
//	        protection: (0, 2039, 31932, 31932, 31932)
//	      nr_free_pages 2949
//	  pagesets
//	    cpu: 0
//	              count: 0

import (
	"bytes"
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// zoneFields are the fields that are told. A kernel has those it has.
var zoneFields = [...]struct {
	key    string
	family *expo.Family
}{
	{"nr_free_pages", expo.Gauge("node_zoneinfo_nr_free_pages", "Free pages of the zone.", "node", "zone")},
	{"min", expo.Gauge("node_zoneinfo_min_pages", "With fewer free pages than these, tasks must reclaim memory themselves.", "node", "zone")},
	{"low", expo.Gauge("node_zoneinfo_low_pages", "With fewer free pages than these, kswapd wakes up.", "node", "zone")},
	{"high", expo.Gauge("node_zoneinfo_high_pages", "With more free pages than these, kswapd sleeps again.", "node", "zone")},
	{"scanned", expo.Gauge("node_zoneinfo_scanned_pages", "Pages scanned since the last reclaim; kernels before 4.8.", "node", "zone")},
	{"spanned", expo.Gauge("node_zoneinfo_spanned_pages", "Pages that the zone spans, with its holes.", "node", "zone")},
	{"present", expo.Gauge("node_zoneinfo_present_pages", "Pages that the zone has.", "node", "zone")},
	{"managed", expo.Gauge("node_zoneinfo_managed_pages", "Pages that the page allocator manages.", "node", "zone")},
	{"nr_active_anon", expo.Gauge("node_zoneinfo_nr_active_anon_pages", "Anonymous and shared pages used lately.", "node", "zone")},
	{"nr_inactive_anon", expo.Gauge("node_zoneinfo_nr_inactive_anon_pages", "Anonymous and shared pages not used lately.", "node", "zone")},
	{"nr_isolated_anon", expo.Gauge("node_zoneinfo_nr_isolated_anon_pages", "Anonymous pages taken off their list, to be reclaimed or moved.", "node", "zone")},
	{"nr_anon_pages", expo.Gauge("node_zoneinfo_nr_anon_pages", "Anonymous pages mapped into programs.", "node", "zone")},
	{"nr_anon_transparent_hugepages", expo.Gauge("node_zoneinfo_nr_anon_transparent_hugepages", "Transparent huge pages of anonymous memory.", "node", "zone")},
	{"nr_active_file", expo.Gauge("node_zoneinfo_nr_active_file_pages", "Pages of cached files used lately.", "node", "zone")},
	{"nr_inactive_file", expo.Gauge("node_zoneinfo_nr_inactive_file_pages", "Pages of cached files not used lately.", "node", "zone")},
	{"nr_isolated_file", expo.Gauge("node_zoneinfo_nr_isolated_file_pages", "Pages of cached files taken off their list, to be reclaimed or moved.", "node", "zone")},
	{"nr_file_pages", expo.Gauge("node_zoneinfo_nr_file_pages", "Pages of cached files, shared memory and tmpfs.", "node", "zone")},
	{"nr_slab_reclaimable", expo.Gauge("node_zoneinfo_nr_slab_reclaimable_pages", "Pages of object caches that are given back under pressure.", "node", "zone")},
	{"nr_slab_unreclaimable", expo.Gauge("node_zoneinfo_nr_slab_unreclaimable_pages", "Pages of object caches that cannot be given back.", "node", "zone")},
	{"nr_mlock_stack", expo.Gauge("node_zoneinfo_nr_mlock_stack_pages", "Locked pages found while reclaiming; old kernels.", "node", "zone")},
	{"nr_kernel_stack", expo.Gauge("node_zoneinfo_nr_kernel_stacks", "Kernel stacks, in KiB.", "node", "zone")},
	{"nr_mapped", expo.Gauge("node_zoneinfo_nr_mapped_pages", "Pages of cached files that programs have mapped.", "node", "zone")},
	{"nr_dirty", expo.Gauge("node_zoneinfo_nr_dirty_pages", "Changed pages that wait to be written to disk.", "node", "zone")},
	{"nr_writeback", expo.Gauge("node_zoneinfo_nr_writeback_pages", "Pages that are being written to disk now.", "node", "zone")},
	{"nr_unevictable", expo.Gauge("node_zoneinfo_nr_unevictable_pages", "Pages that cannot be reclaimed.", "node", "zone")},
	{"nr_shmem", expo.Gauge("node_zoneinfo_nr_shmem_pages", "Pages of shared memory and tmpfs.", "node", "zone")},
	{"nr_dirtied", expo.Counter("node_zoneinfo_nr_dirtied_total", "Pages that were changed since boot.", "node", "zone")},
	{"nr_written", expo.Counter("node_zoneinfo_nr_written_total", "Pages that were written to disk since boot.", "node", "zone")},
	{"numa_hit", expo.Counter("node_zoneinfo_numa_hit_total", "Pages that were wanted of this node and came from it.", "node", "zone")},
	{"numa_miss", expo.Counter("node_zoneinfo_numa_miss_total", "Pages that were wanted of another node and came from this one.", "node", "zone")},
	{"numa_foreign", expo.Counter("node_zoneinfo_numa_foreign_total", "Pages that were wanted of this node and came from another.", "node", "zone")},
	{"numa_interleave", expo.Counter("node_zoneinfo_numa_interleave_total", "Interleaved pages that were wanted of this node and came from it.", "node", "zone")},
	{"numa_local", expo.Counter("node_zoneinfo_numa_local_total", "Pages of this node given to tasks that ran on it.", "node", "zone")},
	{"numa_other", expo.Counter("node_zoneinfo_numa_other_total", "Pages of this node given to tasks that ran on another.", "node", "zone")},
}

// zoneProtections are the places of the protection array: one for each kind of
// zone. x86-64 has five.
var zoneProtections = [maxZoneKinds]*expo.Family{
	expo.Gauge("node_zoneinfo_protection_0", "Pages kept from requests that could also be met by zone 0.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_1", "Pages kept from requests that could also be met by zone 1.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_2", "Pages kept from requests that could also be met by zone 2.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_3", "Pages kept from requests that could also be met by zone 3.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_4", "Pages kept from requests that could also be met by zone 4.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_5", "Pages kept from requests that could also be met by zone 5.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_6", "Pages kept from requests that could also be met by zone 6.", "node", "zone"),
	expo.Gauge("node_zoneinfo_protection_7", "Pages kept from requests that could also be met by zone 7.", "node", "zone"),
}

// maxZoneKinds is above MAX_NR_ZONES of any kernel, which is at most 6.
const maxZoneKinds = 8

type zoneinfo struct {
	file   *hostfs.File
	fields map[string]int // place in zoneFields by key
	names  hostfs.Interner
	zones  []memoryZone // as last read
}

func newZoneinfo(c Config) (Collector, error) {
	z := &zoneinfo{file: c.FS.ProcFile("zoneinfo"), fields: make(map[string]int)}
	for i, f := range zoneFields {
		z.fields[f.key] = i
	}
	return z, nil
}

// Collect implements Collector.
func (z *zoneinfo) Collect(_ context.Context, w *expo.Writer) error {
	b, err := z.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := z.parse(b); err != nil {
		return fmt.Errorf("%s: %w", z.file.Path(), err)
	}
	for i, f := range zoneFields {
		for j := range z.zones {
			if k := &z.zones[j]; k.has[i] {
				w.Sample(f.family, float64(k.v[i]), k.node, k.zone)
			}
		}
	}
	for i, f := range zoneProtections {
		for j := range z.zones {
			if k := &z.zones[j]; i < k.protections {
				w.Uint(f, k.protection[i], k.node, k.zone)
			}
		}
	}
	return nil
}

// memoryZone is a section of /proc/zoneinfo.
type memoryZone struct {
	node, zone  string
	has         [len(zoneFields)]bool
	v           [len(zoneFields)]int64 // where has
	protection  [maxZoneKinds]uint64
	protections int // how many of protection are there
}

func (z *zoneinfo) parse(b []byte) error {
	z.zones = z.zones[:0]
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if bytes.HasPrefix(line, []byte("Node ")) {
			node, zone, _, err := parseZoneHead(line)
			if err != nil {
				return fmt.Errorf("line %.100q: %w", line, err)
			}
			z.zones = append(z.zones, memoryZone{node: z.names.String(node), zone: z.names.String(zone)})
			continue
		}
		key, rest := hostfs.NextField(line)
		if len(key) == 0 {
			continue
		}
		if len(z.zones) == 0 {
			return fmt.Errorf("line %.100q: belongs to no zone", line)
		}
		if err := z.zones[len(z.zones)-1].parse(z.fields, key, rest); err != nil {
			return fmt.Errorf("line %.100q: %w", line, err)
		}
	}
	return nil
}

// parse takes in a line of the section. Most keys are not told.
func (k *memoryZone) parse(fields map[string]int, key, rest []byte) (err error) {
	if string(key) == "protection:" {
		return k.parseProtection(rest)
	}
	i, ok := fields[string(key)]
	if !ok {
		return nil
	}
	number, _ := hostfs.NextField(rest)
	k.v[i], err = hostfs.Int(number)
	k.has[i] = err == nil
	return err
}

// parseProtection reads ` (0, 2039, 31932)`.
func (k *memoryZone) parseProtection(b []byte) (err error) {
	inner, closed := bytes.CutSuffix(bytes.TrimSpace(b), []byte(")"))
	inner, opened := bytes.CutPrefix(inner, []byte("("))
	if !opened || !closed {
		return fmt.Errorf("%.40q is no list in brackets", b)
	}
	k.protections = 0
	for more := true; more; k.protections++ {
		if k.protections == maxZoneKinds {
			return fmt.Errorf("more than %d kinds of zones", maxZoneKinds)
		}
		var number []byte
		number, inner, more = bytes.Cut(inner, []byte(","))
		if k.protection[k.protections], err = hostfs.Uint(bytes.TrimSpace(number)); err != nil {
			return err
		}
	}
	return nil
}
