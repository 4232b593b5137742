package collectors

import "testing"

func TestBcachefs(t *testing.T) {
	const u = "sys/fs/bcachefs/aaaa-bbbb/"
	fs := tree(t, map[string]string{
		u + "btree_cache_size":  "1.5M\n",
		u + "compression_stats": "type   compressed    uncompressed     average extent size\nlz4 1.0k 2.0k 60.1k\n",
		u + "btree_write_stats": "  nr        size\ninitial:           4120      2.0k\n",
		u + "errors":            "bset_bad_csum  3  1764000000\n",
		u + "counters/fsync":    "since mount: 1\nsince filesystem creation: 20\n", u + "counters/new-one": "since mount: 1\nsince filesystem creation: 2.0k\n",
		u + "counters/errors":         "since mount: 1\nsince filesystem creation: 2\n", // errors_total is another thing
		u + "dev-0/label":             "ssd\n",
		u + "dev-0/state":             "[rw] ro evacuating spare\n",
		u + "dev-0/bucket_size":       "512k\n",
		u + "dev-0/nbuckets":          "8\n",
		u + "dev-0/durability":        "1\n",
		u + "dev-0/io_done":           "read:\nsb : 4096\nwrite:\nsb : 1\n",
		u + "dev-0/io_errors":         "IO errors since filesystem creation\n  read: 2\nIO errors since 3 d ago\n  read: 0\n",
		"sys/fs/bcachefs/cccc-dddd/x": "",
	})
	c := make1(t, "bcachefs", on(fs))
	text := render(t, c)
	same(t, text, `# TYPE node_bcachefs_info gauge
node_bcachefs_info{uuid="aaaa-bbbb"} 1
node_bcachefs_info{uuid="cccc-dddd"} 1
# TYPE node_bcachefs_btree_cache_size_bytes gauge
node_bcachefs_btree_cache_size_bytes{uuid="aaaa-bbbb"} 1572864
node_bcachefs_btree_cache_size_bytes{uuid="cccc-dddd"} 0
# TYPE node_bcachefs_compression_compressed_bytes gauge
node_bcachefs_compression_compressed_bytes{uuid="aaaa-bbbb",algorithm="lz4"} 1024
# TYPE node_bcachefs_compression_uncompressed_bytes gauge
node_bcachefs_compression_uncompressed_bytes{uuid="aaaa-bbbb",algorithm="lz4"} 2048
# TYPE node_bcachefs_errors_total counter
node_bcachefs_errors_total{uuid="aaaa-bbbb",error_type="bset_bad_csum"} 3
# TYPE node_bcachefs_btree_writes_total counter
node_bcachefs_btree_writes_total{uuid="aaaa-bbbb",type="initial"} 4120
# TYPE node_bcachefs_btree_write_average_size_bytes gauge
node_bcachefs_btree_write_average_size_bytes{uuid="aaaa-bbbb",type="initial"} 2048
# TYPE node_bcachefs_fsync_total counter
node_bcachefs_fsync_total{uuid="aaaa-bbbb"} 20
# TYPE node_bcachefs_new_one_total counter
node_bcachefs_new_one_total{uuid="aaaa-bbbb"} 2048
# TYPE node_bcachefs_device_info gauge
node_bcachefs_device_info{uuid="aaaa-bbbb",device="0",label="ssd",state="[rw] ro evacuating spare"} 1
# TYPE node_bcachefs_device_bucket_size_bytes gauge
node_bcachefs_device_bucket_size_bytes{uuid="aaaa-bbbb",device="0"} 524288
# TYPE node_bcachefs_device_buckets gauge
node_bcachefs_device_buckets{uuid="aaaa-bbbb",device="0"} 8
# TYPE node_bcachefs_device_durability gauge
node_bcachefs_device_durability{uuid="aaaa-bbbb",device="0"} 1
# TYPE node_bcachefs_device_io_done_bytes_total counter
node_bcachefs_device_io_done_bytes_total{uuid="aaaa-bbbb",device="0",operation="read",data_type="sb"} 4096
node_bcachefs_device_io_done_bytes_total{uuid="aaaa-bbbb",device="0",operation="write",data_type="sb"} 1
# TYPE node_bcachefs_device_io_errors_total counter
node_bcachefs_device_io_errors_total{uuid="aaaa-bbbb",device="0",type="read"} 2
`)
	write(t, fs.SysPath("fs/bcachefs/aaaa-bbbb/errors"), "x many\n", false)
	costs(t, c, "fs/bcachefs/aaaa-bbbb: ", `uuid="cccc-dddd"`, `uuid="aaaa-bbbb"`)
}
