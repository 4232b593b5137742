package collectors

import (
	"os"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

const xfsText = `extent_alloc 1 2 3 4
abt 5 6 7 8
blk_map 11 12 13 14 15 16 17
bmbt 21 22 23 24
dir 31 32 33 34
trans 4 40 0
ig 41 42 43 44 45 46 47
rw 51 52
vnodes 61 62 63 64 65 66 67 0
xpc 18446744073709551615 0 0
debug 0
gc xpc 1
`

func TestXFS(t *testing.T) {
	fs := tree(t, map[string]string{
		"sys/fs/xfs/sda1/stats/stats": xfsText, "sys/fs/xfs/dm-1/stats/stats": "rw 1 2\n",
		"sys/fs/xfs/stats/stats": "rw 9 9\n", // of all together
	})
	c := make1(t, "xfs", on(fs))
	v := values(t, render(t, c))
	for series, want := range map[string]float64{
		`node_xfs_extent_allocation_blocks_allocated_total{device="sda1"}`: 2,
		`node_xfs_allocation_btree_records_deleted_total{device="sda1"}`:   8,
		`node_xfs_block_mapping_extent_list_compares_total{device="sda1"}`: 17,
		`node_xfs_block_map_btree_compares_total{device="sda1"}`:           22,
		`node_xfs_directory_operation_create_total{device="sda1"}`:         32,
		`node_xfs_inode_operation_attribute_changes_total{device="sda1"}`:  47,
		`node_xfs_write_calls_total{device="sda1"}`:                        51,
		`node_xfs_read_calls_total{device="sda1"}`:                         52,
		`node_xfs_vnode_reclaim_total{device="sda1"}`:                      66,
		`node_xfs_vnode_remove_total{device="sda1"}`:                       67,
		`node_xfs_read_calls_total{device="dm-1"}`:                         2,
	} {
		if v[series] != want {
			t.Errorf("%s is %v, want %v", series, v[series], want)
		}
	}
	if len(v) != len(xfsFamilies)+2 {
		t.Errorf("%d series, want all of one file system and 2 of another", len(v))
	}

	write(t, fs.SysPath("fs/xfs/sda1/stats/stats"), "rw 1 2\nabt 1 x 3 4\n", false)
	costs(t, c, `sda1/stats/stats: line "abt 1 x 3 4"`, `node_xfs_read_calls_total{device="dm-1"} 2`, `node_xfs_allocation_btree_compares_total`)
	os.RemoveAll(fs.SysPath("fs/xfs/sda1"))
	same(t, render(t, c), `# TYPE node_xfs_write_calls_total counter
node_xfs_write_calls_total{device="dm-1"} 1
# TYPE node_xfs_read_calls_total counter
node_xfs_read_calls_total{device="dm-1"} 2
`)
	if got := len(c.(*xfs).devices); got != 1 {
		t.Errorf("%d file systems are remembered", got)
	}
}

// On a host with XFS: each file system is told, and its own numbers.
func TestXFSLive(t *testing.T) {
	names, _ := hostfs.ReadDirNames("/sys/fs/xfs")
	text := render(t, make1(t, "xfs", DefaultConfig()))
	told := 0
	for _, name := range names {
		if _, err := os.Stat("/sys/fs/xfs/" + name + "/stats/stats"); err != nil {
			continue
		}
		told++
		if !strings.Contains(text, `node_xfs_read_calls_total{device="`+name+`"}`) {
			t.Errorf("%s is missing", name)
		}
	}
	if told == 0 {
		t.Skip("no XFS is mounted here")
	}
}

func FuzzXFS(f *testing.F) {
	f.Add([]byte(xfsText))
	f.Add([]byte("abt 1 2 3"))
	f.Add([]byte("rw"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d xfsDevice
		if err := d.parse(b); err != nil && !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", b, err)
		}
	})
}
