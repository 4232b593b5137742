package collectors

// OpenZFS, from /proc/spl/kstat/zfs (OpenZFS: module/os/linux/spl/spl-kstat.c). A
// file of named numbers, a folder for each pool, and in that a file objset-* for
// each dataset; before the columns stands a line about the file itself. Types are
// 3 and 4 for numbers with and without sign, 7 for text:
//
//	13 1 0x01 147 39984 8010436841 97951858082072
//	name                            type data
//	hits                            4    8772612
//
// A pool's io has its names in one line and its numbers in the next; its state is
// one word.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// zfsFiles are the files that are told, and what the names of their families begin with.
var zfsFiles = [...]struct{ file, prefix string }{
	{"abdstats", "node_zfs_abd_"},
	{"arcstats", "node_zfs_arc_"},
	{"dbufstats", "node_zfs_dbuf_"},
	{"dmu_tx", "node_zfs_dmu_tx_"},
	{"dnodestats", "node_zfs_dnode_"},
	{"fm", "node_zfs_fm_"},
	{"vdev_cache_stats", "node_zfs_vdev_cache_"},
	{"vdev_mirror_stats", "node_zfs_vdev_mirror_"},
	{"xuio_stats", "node_zfs_xuio_"},
	{"zfetchstats", "node_zfs_zfetch_"},
	{"zil", "node_zfs_zil_"},
}

// zfsStates are the states of a pool that are told.
var zfsStates = [...]string{"degraded", "faulted", "offline", "online", "removed", "suspended", "unavail"}

type zfs struct {
	dir     string
	files   []zfsFile
	values  []kstatValue
	pool    kernelNames
	dataset kernelNames
}

// zfsFile is one of zfsFiles, held open.
type zfsFile struct {
	name     string
	file     *hostfs.File
	families kernelNames
	written  map[string]bool // families of this reading: two names may be one as such
}

func newZFS(c Config) (Collector, error) {
	z := &zfs{
		dir:     c.FS.ProcPath("spl/kstat/zfs"),
		pool:    zfsNames("node_zfs_zpool_", zfsPoolFamilies, "zpool"),
		dataset: zfsNames("node_zfs_zpool_dataset_", zfsPoolFamilies, "zpool", "dataset"),
	}
	for _, f := range zfsFiles {
		z.files = append(z.files, zfsFile{f.file, hostfs.NewFile(z.dir + "/" + f.file), zfsNames(f.prefix, zfsFamilies), make(map[string]bool)})
	}
	return z, nil
}

// zfsNames makes the families of the names in one kind of file.
func zfsNames(prefix string, known []*expo.Family, labels ...string) kernelNames {
	return kernelNames{family: func(key string) *expo.Family {
		name := prefix + expo.CleanName(key)
		if name == zfsPoolState.Name() {
			return nil // by which another thing is meant here
		}
		if f := pickFamily(known, name); f != nil {
			return f
		}
		return expo.Untyped(name, "The value "+key+" of OpenZFS.", labels...)
	}}
}

// Collect implements Collector.
func (z *zfs) Collect(ctx context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(z.dir)
	if err != nil {
		return absent(err)
	}
	var failed faults
	for i := range z.files {
		failed.add(z.files[i].write(w, &z.values))
	}
	var io, datasets zfsRows
	var states []zfsState
	for _, name := range names {
		if ctx.Err() != nil {
			break // with very many datasets: what is read by now is told
		}
		if slices.ContainsFunc(z.files, func(f zfsFile) bool { return f.name == name }) {
			continue
		}
		files, err := hostfs.ReadDirNames(z.dir + "/" + name)
		if err != nil {
			failed.add(err) // not a folder: another file, which is no fault
			continue
		}
		for _, file := range files {
			if file != "io" && file != "state" && !strings.HasPrefix(file, "objset-") {
				continue
			}
			path := z.dir + "/" + name + "/" + file
			b, err := hostfs.Read(path)
			switch {
			case err != nil:
			case file == "io":
				if z.values, err = parseZpoolIO(b, z.values[:0]); err == nil {
					io.add(z.values, name)
				}
			case file == "state":
				states = append(states, zfsState{name, strings.ToLower(string(bytes.TrimSpace(b)))})
			default:
				var dataset string
				if z.values, dataset, err = parseKstat(b, z.values[:0]); err == nil {
					datasets.add(z.values, name, dataset)
				}
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%s: %w", path, err)
			}
			failed.add(err)
		}
	}
	io.write(w, &z.pool)
	datasets.write(w, &z.dataset)
	for _, s := range states {
		for _, state := range zfsStates {
			v := 0.0
			if s.state == state {
				v = 1
			}
			w.Sample(zfsPoolState, v, s.pool, state)
		}
	}
	return failed.err()
}

type zfsState struct{ pool, state string }

// write tells what a file says. Versions of OpenZFS differ in which there are.
func (f *zfsFile) write(w *expo.Writer, values *[]kstatValue) error {
	b, err := f.file.Read()
	if err != nil {
		return err
	}
	if *values, _, err = parseKstat(b, (*values)[:0]); err != nil {
		return fmt.Errorf("%s: %w", f.file.Path(), err)
	}
	clear(f.written)
	for _, v := range *values {
		if family := f.families.get(v.name); family != nil && !f.written[family.Name()] {
			f.written[family.Name()] = true
			w.Sample(family, v.v)
		}
	}
	return nil
}

// zfsRows are the numbers of pools or datasets, by name.
type zfsRows struct {
	names []string
	place map[string]int
	rows  []zfsRow
}

type zfsRow struct {
	labels []string
	v      []float64 // by name; NaN, or missing at the end, where it has none
}

func (r *zfsRows) add(values []kstatValue, labels ...string) {
	if r.place == nil {
		r.place = make(map[string]int)
	}
	row := zfsRow{labels: labels}
	for _, v := range values {
		p, ok := r.place[string(v.name)]
		if !ok {
			if len(r.names) >= maxKernelNames {
				continue
			}
			p = len(r.names)
			r.names = append(r.names, string(v.name))
			r.place[string(v.name)] = p
		}
		for len(row.v) <= p {
			row.v = append(row.v, math.NaN())
		}
		row.v[p] = v.v
	}
	r.rows = append(r.rows, row)
}

func (r *zfsRows) write(w *expo.Writer, families *kernelNames) {
	written := make(map[string]bool)
	for p, name := range r.names {
		f := families.get([]byte(name))
		if f == nil || written[f.Name()] {
			continue
		}
		written[f.Name()] = true
		for _, row := range r.rows {
			if p < len(row.v) {
				tell(w, f, row.v[p], row.labels...)
			}
		}
	}
}

// kstatValue is a named number. The name is part of the text it was read from.
type kstatValue struct {
	name []byte
	v    float64
}

var errTooManyValues = errors.New("more values than any version of OpenZFS has")

// parseKstat reads a file of named numbers, appending them to values, and the
// name of the dataset, if it is a dataset's. Values of other types are left out.
func parseKstat(b []byte, values []kstatValue) (_ []kstatValue, dataset string, err error) {
	header := false
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		name, rest := hostfs.NextField(line)
		kind, rest := hostfs.NextField(rest)
		if !header {
			header = string(name) == "name" && string(kind) == "type"
			continue
		}
		rest = bytes.TrimSpace(rest)
		var v float64
		switch string(kind) {
		case "3":
			var n int64
			n, err = hostfs.Int(rest)
			v = float64(n)
		case "4":
			var n uint64
			n, err = hostfs.Uint(rest)
			v = float64(n)
		default:
			if string(name) == "dataset_name" {
				dataset = string(rest)
			}
			continue
		}
		if err != nil {
			return values, "", fmt.Errorf("line %.200q: %w", line, err)
		}
		if len(values) >= maxKernelNames {
			return values, "", errTooManyValues
		}
		values = append(values, kstatValue{name, v})
	}
	if !header {
		return values, "", errors.New("no line of the columns' names")
	}
	return values, dataset, nil
}

// parseZpoolIO reads a pool's io: after a line about the file one of names, which
// begins with nread, and one of numbers.
func parseZpoolIO(b []byte, values []kstatValue) ([]kstatValue, error) {
	for len(b) > 0 {
		var names []byte
		names, b = hostfs.NextLine(b)
		if first, _ := hostfs.NextField(names); string(first) != "nread" {
			continue
		}
		numbers, _ := hostfs.NextLine(b)
		for rest := numbers; ; {
			var name, field []byte
			if name, names = hostfs.NextField(names); len(name) == 0 {
				return values, nil
			}
			field, rest = hostfs.NextField(rest)
			n, err := hostfs.Uint(field)
			if err != nil {
				return values, fmt.Errorf("line %.200q, %s: %w", numbers, name, err)
			}
			if len(values) >= maxKernelNames {
				return values, errTooManyValues
			}
			values = append(values, kstatValue{name, float64(n)})
		}
	}
	return values, errors.New("no line of names")
}
