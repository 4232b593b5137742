package collectors

// Block caches, from /sys/fs/bcache/UUID (kernel: Documentation/admin-guide/bcache.rst,
// drivers/md/bcache/sysfs.c): a cache set, with a folder for each backing device
// (bdev0) and each cache device (cache0). Sizes are written for people: "20.4G",
// and the digit behind the point counts tenths only nearly (see parseHprint):
//
//	/sys/fs/bcache/UUID/bdev0/dirty_data    1.2M
//	/sys/fs/bcache/UUID/bdev0/writeback_rate_debug
//	rate:           1.1M/sec
//	dirty:          20.4G
//	target:         20.4G

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// bcacheFamily is a number of a cache set or of one of its devices: the file that
// has it, and where that file has several, the word before the number.
type bcacheFamily struct {
	file, word string
	family     *expo.Family
	unit       float64
}

var bcacheSetFamilies = []bcacheFamily{
	{"internal/active_journal_entries", "", expo.Gauge("node_bcache_active_journal_entries", "Journal entries that the index does not have yet.", "uuid"), 1},
	{"average_key_size", "", expo.Gauge("node_bcache_average_key_size_sectors", "Data for each key of the tree, in sectors.", "uuid"), 1},
	{"btree_cache_size", "", expo.Gauge("node_bcache_btree_cache_size_bytes", "Memory that the tree's cache takes.", "uuid"), 1},
	{"internal/btree_nodes", "", expo.Gauge("node_bcache_btree_nodes", "Nodes of the tree.", "uuid"), 1},
	{"internal/btree_read_average_duration_us", "", expo.Gauge("node_bcache_btree_read_average_duration_seconds", "Time that reading a node of the tree takes on average.", "uuid"), 1e-6},
	{"cache_available_percent", "", expo.Gauge("node_bcache_cache_available_percent", "Share of the cache device that holds no dirty data.", "uuid"), 1},
	{"internal/cache_read_races", "", expo.Counter("node_bcache_cache_read_races_total", "Reads from the cache whose bucket was used anew meanwhile.", "uuid"), 1},
	{"congested", "", expo.Gauge("node_bcache_congested", "How congested the cache is.", "uuid"), 1},
	{"root_usage_percent", "", expo.Gauge("node_bcache_root_usage_percent", "Share of the tree's root that is in use; when it is full, the tree grows deeper.", "uuid"), 1},
	{"tree_depth", "", expo.Gauge("node_bcache_tree_depth", "Depth of the tree.", "uuid"), 1},
}

var bcacheBackingFamilies = []bcacheFamily{
	{"stats_total/bypassed", "", expo.Counter("node_bcache_bypassed_bytes_total", "Bytes read and written past the cache.", "uuid", "backing_device"), 1},
	{"stats_total/cache_bypass_hits", "", expo.Counter("node_bcache_cache_bypass_hits_total", "Requests meant to go past the cache whose data it had.", "uuid", "backing_device"), 1},
	{"stats_total/cache_bypass_misses", "", expo.Counter("node_bcache_cache_bypass_misses_total", "Requests meant to go past the cache whose data it had not.", "uuid", "backing_device"), 1},
	{"stats_total/cache_hits", "", expo.Counter("node_bcache_cache_hits_total", "Requests that the cache answered.", "uuid", "backing_device"), 1},
	{"stats_total/cache_miss_collisions", "", expo.Counter("node_bcache_cache_miss_collisions_total", "Times that data to be cached after a miss was there already.", "uuid", "backing_device"), 1},
	{"stats_total/cache_misses", "", expo.Counter("node_bcache_cache_misses_total", "Requests that the cache could not answer.", "uuid", "backing_device"), 1},
	bcacheReadaheads,
	{"dirty_data", "", expo.Gauge("node_bcache_dirty_data_bytes", "Dirty data of the device in the cache.", "uuid", "backing_device"), 1},
	{bcacheRateFile, "target", expo.Gauge("node_bcache_dirty_target_bytes", "Dirty data that the device may have in the cache.", "uuid", "backing_device"), 1},
	{bcacheRateFile, "change", expo.Gauge("node_bcache_writeback_change", "Last change of the rate of writing back, in bytes a second.", "uuid", "backing_device"), 1},
	{bcacheRateFile, "rate", expo.Gauge("node_bcache_writeback_rate", "Rate of writing back, in bytes a second.", "uuid", "backing_device"), 1},
	{bcacheRateFile, "integral", expo.Gauge("node_bcache_writeback_rate_integral_term", "Part of the rate that the integral controller makes.", "uuid", "backing_device"), 1},
	{bcacheRateFile, "proportional", expo.Gauge("node_bcache_writeback_rate_proportional_term", "Part of the rate that the proportional controller makes.", "uuid", "backing_device"), 1},
}

// bcacheReadaheads is told where there were any: kernels since 5.13 count none.
var bcacheReadaheads = bcacheFamily{"stats_total/cache_readaheads", "",
	expo.Counter("node_bcache_cache_readaheads_total", "Times that the cache read ahead.", "uuid", "backing_device"), 1}

var bcacheCacheFamilies = []bcacheFamily{
	{"io_errors", "", expo.Gauge("node_bcache_io_errors", "Errors of the cache device, fading with time.", "uuid", "cache_device"), 1},
	{"metadata_written", "", expo.Counter("node_bcache_metadata_written_bytes_total", "Bytes written to the cache device that are not data.", "uuid", "cache_device"), 1},
	{"written", "", expo.Counter("node_bcache_written_bytes_total", "Bytes of data written to the cache device.", "uuid", "cache_device"), 1},
}

// bcachePriorityFamilies come from a file for which the kernel walks all buckets.
var bcachePriorityFamilies = []bcacheFamily{
	{bcachePriorityFile, "Metadata", expo.Gauge("node_bcache_priority_stats_metadata_percent", "Share of the cache device taken by what is not data.", "uuid", "cache_device"), 1},
	{bcachePriorityFile, "Unused", expo.Gauge("node_bcache_priority_stats_unused_percent", "Share of the cache device that holds nothing.", "uuid", "cache_device"), 1},
}

const (
	bcacheRateFile     = "writeback_rate_debug"
	bcachePriorityFile = "priority_stats"
)

// BcacheConfig configures the bcache collector.
type BcacheConfig struct {
	PriorityStats bool // read priority_stats, which is costly
}

type bcache struct {
	dir   string
	cache []bcacheFamily // of cache devices
}

func newBcache(c Config) (Collector, error) {
	b := bcache{dir: c.FS.SysPath("fs/bcache"), cache: bcacheCacheFamilies}
	if c.Bcache.PriorityStats {
		b.cache = append(b.cache[:len(b.cache):len(b.cache)], bcachePriorityFamilies...)
	}
	return b, nil
}

// Collect implements Collector.
func (b bcache) Collect(_ context.Context, w *expo.Writer) error {
	var failed faults
	names, err := hostfs.ReadDirNames(b.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var sets, backing, caches []bcacheDevice
	for _, uuid := range names {
		if !strings.Contains(uuid, "-") {
			continue // the files to register devices with
		}
		set := b.dir + "/" + uuid
		sets = append(sets, readBcache(&failed, set, bcacheSetFamilies, uuid)...)
		devices, err := hostfs.ReadDirNames(set)
		failed.add(err)
		for _, d := range devices {
			switch {
			case numbered(d, "bdev"):
				backing = append(backing, readBcache(&failed, set+"/"+d, bcacheBackingFamilies, uuid, d)...)
			case numbered(d, "cache"):
				caches = append(caches, readBcache(&failed, set+"/"+d, b.cache, uuid, d)...)
			}
		}
	}
	writeBcache(w, bcacheSetFamilies, sets)
	writeBcache(w, bcacheBackingFamilies, backing)
	writeBcache(w, b.cache, caches)
	return failed.err()
}

// bcacheDevice is a cache set or one of its devices and its numbers, by family;
// NaN where it does not tell one.
type bcacheDevice struct {
	labels []string
	v      []float64
}

// readBcache reads what a folder tells: one device, or none if it is gone.
func readBcache(failed *faults, path string, families []bcacheFamily, labels ...string) []bcacheDevice {
	f := sysFolder{path: path}
	d := bcacheDevice{labels, make([]float64, len(families))}
	text, last := []byte(nil), ""
	for i, family := range families {
		if family.file != last {
			text, last = f.read(family.file), family.file
		}
		v, err := bcacheNumber(text, family.word)
		if err != nil {
			f.fail(family.file, err)
		}
		d.v[i] = v * family.unit
		if family.file == bcacheReadaheads.file && v == 0 {
			d.v[i] = math.NaN()
		}
	}
	failed.add(f.err)
	if !f.there() {
		return nil
	}
	return []bcacheDevice{d}
}

func writeBcache(w *expo.Writer, families []bcacheFamily, devices []bcacheDevice) {
	for i, f := range families {
		for _, d := range devices {
			tell(w, f.family, d.v[i], d.labels...)
		}
	}
}

// bcacheNumber is the number in a text, or in the line of it that begins with the
// word and a colon. It is NaN where the text has none.
func bcacheNumber(text []byte, word string) (float64, error) {
	if word != "" {
		var line []byte
		for found := false; !found; {
			if len(text) == 0 {
				return math.NaN(), nil
			}
			line, text = hostfs.NextLine(text)
			line, found = bytes.CutPrefix(line, []byte(word+":"))
		}
		text = bytes.TrimSpace(line)
	}
	if len(text) == 0 {
		return math.NaN(), nil
	}
	return parseHprint(strings.TrimSuffix(strings.TrimSuffix(string(text), "/sec"), "%"))
}

// parseHprint reads a number that the kernel wrote for people (bch_hprint): with a
// unit of 1024 to some power, and behind the point the rest, from 0 to 1023, of
// which the last two digits were cut off: so 1.10 is more than 1.9.
func parseHprint(s string) (float64, error) {
	mantissa, unit := s, 1.0
	if len(s) > 0 {
		if power := strings.IndexByte("kMGTPEZY", s[len(s)-1]); power >= 0 {
			mantissa, unit = s[:len(s)-1], math.Pow(1024, float64(power+1))
		}
	}
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, rest, fraction := strings.Cut(digits, ".")
	n, err := strconv.ParseUint(whole, 10, 64)
	var tenths uint64
	if fraction && err == nil {
		tenths, err = strconv.ParseUint(rest, 10, 16)
	}
	if err != nil {
		return math.NaN(), fmt.Errorf("%.40q is not a number", s)
	}
	v := float64(n) * unit
	if fraction {
		v = math.Trunc((float64(n) + float64(tenths)/10.24) * unit)
	}
	if negative {
		v = -v
	}
	return v, nil
}
