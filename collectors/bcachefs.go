package collectors

// Bcachefs file systems, from /sys/fs/bcachefs/UUID (bcachefs-tools and the module:
// fs/bcachefs/sysfs.c). Numbers are written for people ("44.5T"), so large ones are
// near, not exact:
//
//	/sys/fs/bcachefs/UUID/counters/data_read
//	since mount:                   475G
//	since filesystem creation:     44.5T

import (
	"context"
	"fmt"
	"maps"
	"slices"

	bcachefsfs "github.com/prometheus/procfs/bcachefs"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	bcachefsInfo         = expo.Gauge("node_bcachefs_info", "A file system that is mounted; always 1.", "uuid")
	bcachefsCache        = expo.Gauge("node_bcachefs_btree_cache_size_bytes", "Memory that the cache of the trees takes.", "uuid")
	bcachefsCompressed   = expo.Gauge("node_bcachefs_compression_compressed_bytes", "Size of what was compressed, compressed.", "uuid", "algorithm")
	bcachefsUncompressed = expo.Gauge("node_bcachefs_compression_uncompressed_bytes", "Size of what was compressed, uncompressed.", "uuid", "algorithm")
	bcachefsErrors       = expo.Counter("node_bcachefs_errors_total", "Errors found in the file system, by kind.", "uuid", "error_type")
	bcachefsWrites       = expo.Counter("node_bcachefs_btree_writes_total", "Writes of tree nodes, by why they were written.", "uuid", "type")
	bcachefsWriteSize    = expo.Gauge("node_bcachefs_btree_write_average_size_bytes", "Size of writes of tree nodes on average, by why they were written.", "uuid", "type")
	bcachefsDevice       = expo.Gauge("node_bcachefs_device_info", "A device of the file system; always 1.", "uuid", "device", "label", "state")
	bcachefsBucketSize   = expo.Gauge("node_bcachefs_device_bucket_size_bytes", "Size of a bucket of the device.", "uuid", "device")
	bcachefsBuckets      = expo.Gauge("node_bcachefs_device_buckets", "Buckets of the device.", "uuid", "device")
	bcachefsDurability   = expo.Gauge("node_bcachefs_device_durability", "How many copies one on this device counts for.", "uuid", "device")
	bcachefsDone         = expo.Counter("node_bcachefs_device_io_done_bytes_total", "Bytes read from and written to the device, by kind of data.", "uuid", "device", "operation", "data_type")
	bcachefsDeviceErrors = expo.Counter("node_bcachefs_device_io_errors_total", "Errors of the device since the file system was made, by kind.", "uuid", "device", "type")
)

type bcachefs struct {
	dir      string
	counters kernelNames
}

func newBcachefs(c Config) (Collector, error) {
	return &bcachefs{c.FS.SysPath("fs/bcachefs"), kernelNames{family: func(key string) *expo.Family {
		name := "node_bcachefs_" + expo.CleanName(key) + "_total"
		if f := pickFamily(bcachefsCounters, name); f != nil {
			return f
		}
		if pickFamily([]*expo.Family{bcachefsErrors, bcachefsWrites, bcachefsDone, bcachefsDeviceErrors}, name) != nil {
			return nil // a counter by a name that means another thing here
		}
		return expo.Counter(name, "The counter "+key+" since the file system was made.", "uuid")
	}}}, nil
}

// Collect implements Collector.
func (b *bcachefs) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(b.dir)
	if err != nil {
		return absent(err)
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: %s is empty", ErrNoData, b.dir)
	}
	var failed faults
	var all []*bcachefsfs.Stats
	for _, name := range names {
		s, err := bcachefsfs.GetStats(b.dir + "/" + name)
		if err != nil {
			failed.add(fmt.Errorf("%s/%s: %w", b.dir, name, brief(err)))
			continue
		}
		s.UUID = name
		all = append(all, s)
	}
	for _, s := range all {
		w.Sample(bcachefsInfo, 1, s.UUID)
	}
	for _, s := range all {
		w.Uint(bcachefsCache, s.BtreeCacheSizeBytes, s.UUID)
	}
	writeEach(w, bcachefsCompressed, all, func(s *bcachefsfs.Stats) map[string]bcachefsfs.CompressionStats { return s.Compression },
		func(c bcachefsfs.CompressionStats) uint64 { return c.CompressedBytes })
	writeEach(w, bcachefsUncompressed, all, func(s *bcachefsfs.Stats) map[string]bcachefsfs.CompressionStats { return s.Compression },
		func(c bcachefsfs.CompressionStats) uint64 { return c.UncompressedBytes })
	writeEach(w, bcachefsErrors, all, func(s *bcachefsfs.Stats) map[string]bcachefsfs.ErrorStats { return s.Errors },
		func(e bcachefsfs.ErrorStats) uint64 { return e.Count })
	writeEach(w, bcachefsWrites, all, func(s *bcachefsfs.Stats) map[string]bcachefsfs.BtreeWriteStats { return s.BtreeWrites },
		func(b bcachefsfs.BtreeWriteStats) uint64 { return b.Count })
	writeEach(w, bcachefsWriteSize, all, func(s *bcachefsfs.Stats) map[string]bcachefsfs.BtreeWriteStats { return s.BtreeWrites },
		func(b bcachefsfs.BtreeWriteStats) uint64 { return b.SizeBytes })
	b.writeCounters(w, all)
	writeBcachefsDevices(w, all)
	return failed.err()
}

// writeEach writes a family of which each file system has a sample for each key of a map.
func writeEach[T any](w *expo.Writer, f *expo.Family, all []*bcachefsfs.Stats, of func(*bcachefsfs.Stats) map[string]T, value func(T) uint64) {
	for _, s := range all {
		m := of(s)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			w.Uint(f, value(m[key]), s.UUID, key)
		}
	}
}

func (b *bcachefs) writeCounters(w *expo.Writer, all []*bcachefsfs.Stats) {
	keys := make(map[string]string) // of each family: two could become one name
	for _, s := range all {
		for key := range s.Counters {
			if f := b.counters.get([]byte(key)); f != nil && (keys[f.Name()] == "" || key < keys[f.Name()]) {
				keys[f.Name()] = key
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		key := keys[name]
		f := b.counters.get([]byte(key))
		for _, s := range all {
			if c, ok := s.Counters[key]; ok {
				w.Uint(f, c.SinceFilesystemCreation, s.UUID)
			}
		}
	}
}

func writeBcachefsDevices(w *expo.Writer, all []*bcachefsfs.Stats) {
	each := func(f func(uuid, device string, d *bcachefsfs.DeviceStats)) {
		for _, s := range all {
			for _, device := range slices.Sorted(maps.Keys(s.Devices)) {
				f(s.UUID, device, s.Devices[device])
			}
		}
	}
	each(func(uuid, device string, d *bcachefsfs.DeviceStats) {
		w.Sample(bcachefsDevice, 1, uuid, device, d.Label, d.State)
	})
	each(func(uuid, device string, d *bcachefsfs.DeviceStats) {
		w.Uint(bcachefsBucketSize, d.BucketSizeBytes, uuid, device)
	})
	each(func(uuid, device string, d *bcachefsfs.DeviceStats) {
		w.Uint(bcachefsBuckets, d.Buckets, uuid, device)
	})
	each(func(uuid, device string, d *bcachefsfs.DeviceStats) {
		w.Uint(bcachefsDurability, d.Durability, uuid, device)
	})
	each(func(uuid, device string, d *bcachefsfs.DeviceStats) {
		for _, op := range slices.Sorted(maps.Keys(d.IODone)) {
			for _, data := range slices.Sorted(maps.Keys(d.IODone[op])) {
				w.Uint(bcachefsDone, d.IODone[op][data], uuid, device, op, data)
			}
		}
	})
	each(func(uuid, device string, d *bcachefsfs.DeviceStats) {
		for _, kind := range slices.Sorted(maps.Keys(d.IOErrors)) {
			w.Uint(bcachefsDeviceErrors, d.IOErrors[kind], uuid, device, kind)
		}
	})
}
