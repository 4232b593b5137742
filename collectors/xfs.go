package collectors

// XFS file systems, from /sys/fs/xfs/DEVICE/stats/stats (kernel:
// fs/xfs/xfs_stats.c, Documentation/admin-guide/xfs.rst). A line is a group of
// counters, which wrap at 32 bits:
//
//	extent_alloc 1 872 0 0
//	rw 28 0

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// xfsFamilies are the counters that are told: the line that they stand in and
// their place there. Those of a line follow one another.
var xfsFamilies = [...]struct {
	line   string
	place  int
	family *expo.Family
}{
	{"extent_alloc", 0, expo.Counter("node_xfs_extent_allocation_extents_allocated_total", "Extents allocated.", "device")},
	{"extent_alloc", 1, expo.Counter("node_xfs_extent_allocation_blocks_allocated_total", "Blocks allocated.", "device")},
	{"extent_alloc", 2, expo.Counter("node_xfs_extent_allocation_extents_freed_total", "Extents freed.", "device")},
	{"extent_alloc", 3, expo.Counter("node_xfs_extent_allocation_blocks_freed_total", "Blocks freed.", "device")},
	{"abt", 0, expo.Counter("node_xfs_allocation_btree_lookups_total", "Lookups in the trees of free space.", "device")},
	{"abt", 1, expo.Counter("node_xfs_allocation_btree_compares_total", "Comparisons in the trees of free space.", "device")},
	{"abt", 2, expo.Counter("node_xfs_allocation_btree_records_inserted_total", "Records put into the trees of free space.", "device")},
	{"abt", 3, expo.Counter("node_xfs_allocation_btree_records_deleted_total", "Records taken out of the trees of free space.", "device")},
	{"blk_map", 0, expo.Counter("node_xfs_block_mapping_reads_total", "Block maps read, to read a file.", "device")},
	{"blk_map", 1, expo.Counter("node_xfs_block_mapping_writes_total", "Block maps read, to write a file.", "device")},
	{"blk_map", 2, expo.Counter("node_xfs_block_mapping_unmaps_total", "Ranges of files unmapped.", "device")},
	{"blk_map", 3, expo.Counter("node_xfs_block_mapping_extent_list_insertions_total", "Entries put into lists of extents.", "device")},
	{"blk_map", 4, expo.Counter("node_xfs_block_mapping_extent_list_deletions_total", "Entries taken out of lists of extents.", "device")},
	{"blk_map", 5, expo.Counter("node_xfs_block_mapping_extent_list_lookups_total", "Lookups in lists of extents.", "device")},
	{"blk_map", 6, expo.Counter("node_xfs_block_mapping_extent_list_compares_total", "Comparisons in lists of extents.", "device")},
	{"bmbt", 0, expo.Counter("node_xfs_block_map_btree_lookups_total", "Lookups in the trees of block maps.", "device")},
	{"bmbt", 1, expo.Counter("node_xfs_block_map_btree_compares_total", "Comparisons in the trees of block maps.", "device")},
	{"bmbt", 2, expo.Counter("node_xfs_block_map_btree_records_inserted_total", "Records put into the trees of block maps.", "device")},
	{"bmbt", 3, expo.Counter("node_xfs_block_map_btree_records_deleted_total", "Records taken out of the trees of block maps.", "device")},
	{"dir", 0, expo.Counter("node_xfs_directory_operation_lookup_total", "File names looked up in directories.", "device")},
	{"dir", 1, expo.Counter("node_xfs_directory_operation_create_total", "Entries put into directories.", "device")},
	{"dir", 2, expo.Counter("node_xfs_directory_operation_remove_total", "Entries taken out of directories.", "device")},
	{"dir", 3, expo.Counter("node_xfs_directory_operation_getdents_total", "Times that the entries of a directory were listed.", "device")},
	{"ig", 0, expo.Counter("node_xfs_inode_operation_attempts_total", "Inodes looked for in the cache.", "device")},
	{"ig", 1, expo.Counter("node_xfs_inode_operation_found_total", "Inodes found in the cache.", "device")},
	{"ig", 2, expo.Counter("node_xfs_inode_operation_recycled_total", "Inodes found in the cache while they were being freed.", "device")},
	{"ig", 3, expo.Counter("node_xfs_inode_operation_missed_total", "Inodes that the cache did not have.", "device")},
	{"ig", 4, expo.Counter("node_xfs_inode_operation_duplicates_total", "Inodes that another task brought into the cache first.", "device")},
	{"ig", 5, expo.Counter("node_xfs_inode_operation_reclaims_total", "Inodes dropped from the cache to free their memory.", "device")},
	{"ig", 6, expo.Counter("node_xfs_inode_operation_attribute_changes_total", "Changes of the attributes of inodes.", "device")},
	{"rw", 0, expo.Counter("node_xfs_write_calls_total", "Calls of write and its kin.", "device")},
	{"rw", 1, expo.Counter("node_xfs_read_calls_total", "Calls of read and its kin.", "device")},
	{"vnodes", 0, expo.Counter("node_xfs_vnode_active_total", "Inodes in use.", "device")},
	{"vnodes", 1, expo.Counter("node_xfs_vnode_allocate_total", "Inodes set up in memory.", "device")},
	{"vnodes", 2, expo.Counter("node_xfs_vnode_get_total", "Inodes got hold of.", "device")},
	{"vnodes", 3, expo.Counter("node_xfs_vnode_hold_total", "Times that an inode was kept for another use.", "device")},
	{"vnodes", 4, expo.Counter("node_xfs_vnode_release_total", "Inodes let go.", "device")},
	{"vnodes", 5, expo.Counter("node_xfs_vnode_reclaim_total", "Inodes reclaimed.", "device")},
	{"vnodes", 6, expo.Counter("node_xfs_vnode_remove_total", "Inodes removed.", "device")},
}

type xfs struct {
	dir     string
	devices map[string]*xfsDevice
	sorted  []*xfsDevice // those of the last listing
}

func newXFS(c Config) (Collector, error) {
	return &xfs{dir: c.FS.SysPath("fs/xfs"), devices: make(map[string]*xfsDevice)}, nil
}

// Collect implements Collector.
func (x *xfs) Collect(_ context.Context, w *expo.Writer) error {
	var failed faults
	failed.add(x.list())
	for _, d := range x.sorted {
		d.told = [len(xfsFamilies)]bool{}
		b, err := d.file.Read()
		if err == nil {
			if err = d.parse(b); err != nil {
				err = fmt.Errorf("%s: %w", d.file.Path(), err)
			}
		}
		failed.add(err)
	}
	for i, f := range xfsFamilies {
		for _, d := range x.sorted {
			if d.told[i] {
				w.Uint(f.family, d.v[i], d.name)
			}
		}
	}
	return failed.err()
}

// list finds the file systems that are mounted. Those known keep their files open.
func (x *xfs) list() error {
	names, err := hostfs.ReadDirNames(x.dir)
	x.sorted = x.sorted[:0]
	before := x.devices
	x.devices = make(map[string]*xfsDevice, len(names))
	for _, name := range names {
		if name == "stats" || name == "debug" { // of all file systems together
			continue
		}
		d := before[name]
		if d == nil {
			d = &xfsDevice{name: name, file: hostfs.NewFile(x.dir + "/" + name + "/stats/stats")}
		}
		delete(before, name)
		x.devices[name] = d
		x.sorted = append(x.sorted, d)
	}
	for _, d := range before {
		d.file.Close()
	}
	return err
}

// xfsDevice is a file system and its counters, as far as told.
type xfsDevice struct {
	name string
	file *hostfs.File
	v    [len(xfsFamilies)]uint64
	told [len(xfsFamilies)]bool
}

// parse reads the counters. Lines that are not known are passed over.
func (d *xfsDevice) parse(b []byte) error {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		group, rest := hostfs.NextField(line)
		place, field := 0, []byte(nil)
		for i, f := range xfsFamilies {
			if f.line != string(group) {
				continue
			}
			for ; place <= f.place; place++ {
				field, rest = hostfs.NextField(rest)
			}
			var err error
			if d.v[i], err = hostfs.Uint(field); err != nil {
				return fmt.Errorf("line %.200q: %w", line, err)
			}
			d.told[i] = true
		}
	}
	return nil
}
