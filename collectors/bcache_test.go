package collectors

import (
	"math"
	"os"
	"testing"

	"watchpost/internal/hostfs"
)

const bcacheRate = `rate:		1.1M/sec
dirty:		20.4G
target:		20.4G
proportional:	-427.5k
integral:	0
change:		-1.0k/sec
next io:	17ms
`

func bcacheTree(t *testing.T) hostfs.FS {
	const s = "sys/fs/bcache/aaaa-bbbb/"
	return tree(t, map[string]string{
		s + "average_key_size": "12\n", s + "btree_cache_size": "1.5M\n", s + "internal/btree_read_average_duration_us": "1305\n",
		s + "bdev0/dirty_data": "20.4G\n", s + "bdev0/stats_total/cache_hits": "546\n", s + "bdev0/stats_total/cache_readaheads": "0\n",
		s + "bdev0/writeback_rate_debug":         bcacheRate,
		s + "bdev1/stats_total/cache_readaheads": "13\n",
		s + "cache0/written":                     "512\n", s + "cache0/priority_stats": "Unused:\t\t99%\nClean:\t\t1%\nMetadata:\t0%\nQuantiles:\t[0 1]\n",
		s + "cache_available_percent": "100\n", "sys/fs/bcache/register": "",
	})
}

func TestBcache(t *testing.T) {
	cfg := on(bcacheTree(t))
	cfg.Bcache.PriorityStats = true
	same(t, render(t, make1(t, "bcache", cfg)), `# TYPE node_bcache_average_key_size_sectors gauge
node_bcache_average_key_size_sectors{uuid="aaaa-bbbb"} 12
# TYPE node_bcache_btree_cache_size_bytes gauge
node_bcache_btree_cache_size_bytes{uuid="aaaa-bbbb"} 1560576
# TYPE node_bcache_btree_read_average_duration_seconds gauge
node_bcache_btree_read_average_duration_seconds{uuid="aaaa-bbbb"} 0.001305
# TYPE node_bcache_cache_available_percent gauge
node_bcache_cache_available_percent{uuid="aaaa-bbbb"} 100
# TYPE node_bcache_cache_hits_total counter
node_bcache_cache_hits_total{uuid="aaaa-bbbb",backing_device="bdev0"} 546
# TYPE node_bcache_cache_readaheads_total counter
node_bcache_cache_readaheads_total{uuid="aaaa-bbbb",backing_device="bdev1"} 13
# TYPE node_bcache_dirty_data_bytes gauge
node_bcache_dirty_data_bytes{uuid="aaaa-bbbb",backing_device="bdev0"} 21894266880
# TYPE node_bcache_dirty_target_bytes gauge
node_bcache_dirty_target_bytes{uuid="aaaa-bbbb",backing_device="bdev0"} 21894266880
# TYPE node_bcache_writeback_change gauge
node_bcache_writeback_change{uuid="aaaa-bbbb",backing_device="bdev0"} -1024
# TYPE node_bcache_writeback_rate gauge
node_bcache_writeback_rate{uuid="aaaa-bbbb",backing_device="bdev0"} 1150976
# TYPE node_bcache_writeback_rate_integral_term gauge
node_bcache_writeback_rate_integral_term{uuid="aaaa-bbbb",backing_device="bdev0"} 0
# TYPE node_bcache_writeback_rate_proportional_term gauge
node_bcache_writeback_rate_proportional_term{uuid="aaaa-bbbb",backing_device="bdev0"} -437748
# TYPE node_bcache_written_bytes_total counter
node_bcache_written_bytes_total{uuid="aaaa-bbbb",cache_device="cache0"} 512
# TYPE node_bcache_priority_stats_metadata_percent gauge
node_bcache_priority_stats_metadata_percent{uuid="aaaa-bbbb",cache_device="cache0"} 0
# TYPE node_bcache_priority_stats_unused_percent gauge
node_bcache_priority_stats_unused_percent{uuid="aaaa-bbbb",cache_device="cache0"} 99
`)
}

func TestBcacheFaults(t *testing.T) {
	fs := bcacheTree(t)
	c := make1(t, "bcache", on(fs))
	write(t, fs.SysPath("fs/bcache/aaaa-bbbb/bdev0/writeback_rate_debug"), "rate: fast\ntarget: 1.0k\n", false)
	costs(t, c, `bdev0/writeback_rate_debug: "fast"`, `node_bcache_dirty_target_bytes{uuid="aaaa-bbbb",backing_device="bdev0"} 1024`, "node_bcache_writeback_rate{")
	os.RemoveAll(fs.SysPath("fs/bcache/aaaa-bbbb"))
	same(t, render(t, c), "")
}

func TestParseHprint(t *testing.T) {
	for in, want := range map[string]float64{
		"0": 0, "512": 512, "-7": -7, "1.0k": 1024, "20.4G": 21894266880, "-1.0M": -(1 << 20), "3T": 3 << 40, "18446744073709551615": 1 << 64,
	} {
		if got, err := parseHprint(in); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "k", "x", "1.", "1.x", "--1", "1.5q", "1e3", "NaN", "+1", "1.99999"} {
		if got, err := parseHprint(bad); err == nil || !math.IsNaN(got) {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func FuzzBcacheNumber(f *testing.F) {
	f.Add([]byte(bcacheRate), "change")
	f.Add([]byte("20.4G"), "")
	f.Add([]byte("Unused: 99%\nMetadata:"), "Metadata")
	f.Fuzz(func(t *testing.T, b []byte, word string) {
		v, err := bcacheNumber(b, word)
		if err != nil && !math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%q of %q: %v, %v", word, b, v, err)
		}
	})
}
