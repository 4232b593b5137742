package promstack

// Opening the TSDB on a folder of which a part may be damaged: what is known to end the
// opening, or to cost more than itself, is set aside or mended before.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
)

// openTSDB opens the TSDB. Where that fails for a reason that lies in the log or the
// chunks of the memory, it is tried once more without them: the blocks are served then,
// and what is scraped is kept.
func openTSDB(dir string, log *slog.Logger, reg prometheus.Registerer, opts *tsdb.Options, progress *tsdb.DBStats, away *aside, watch *blocks) (*tsdb.DB, error) {
	for _, folder := range []string{"wal", "wbl"} {
		removeMended(filepath.Join(dir, folder))
	}
	// A failure of these costs no more than the mending: the TSDB says what is wrong.
	if err := errors.Join(watch.before(), away.mendLogs()); err != nil {
		log.Error("What is damaged in the data directory could not be set aside", "err", err)
	}
	kept, err := keepHeadChunks(dir, away)
	if err != nil {
		log.Warn("Chunks of the last run that are damaged will be removed, not set aside", "err", err)
	}
	made := &registrations{Registerer: reg}
	db, err := tsdb.Open(dir, log, made, opts, progress)
	if err != nil && !ofTheSystem(err) {
		made.undo()
		log.Error("The storage does not open; it is opened without what the last run has left in memory", "err", err)
		for _, what := range []struct{ kind, name string }{
			{asideLog, "wal"}, {asideLog, "wbl"}, {asideHeadChunks, "chunks_head"}, {asideSnapshot, "chunk_snapshot.*"},
		} {
			found, _ := filepath.Glob(filepath.Join(dir, what.name))
			for _, path := range found {
				if moved := away.move(what.kind, path, err); moved != nil {
					kept.drop()
					return nil, errors.Join(err, moved)
				}
			}
		}
		db, err = tsdb.Open(dir, log, made, opts, progress)
	}
	if err != nil {
		kept.drop()
		return nil, err
	}
	kept.settle(dir, away)
	return db, nil
}

// ofTheSystem tells whether an error has nothing to do with what the files hold.
func ofTheSystem(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EWOULDBLOCK, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EDQUOT, fs.ErrPermission} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// registrations remembers what was registered, for a second attempt.
type registrations struct {
	prometheus.Registerer
	made []prometheus.Collector
}

func (r *registrations) Register(c prometheus.Collector) error {
	err := r.Registerer.Register(c)
	if err == nil {
		r.made = append(r.made, c)
	}
	return err
}

func (r *registrations) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

func (r *registrations) undo() {
	for _, c := range r.made {
		r.Unregister(c)
	}
	r.made = nil
}

// headChunks are second names of the files with the chunks of the memory. The TSDB
// removes a damaged one and all that come after it, and reads their samples from the
// log; with a second name they are still there then.
type headChunks struct {
	dir   string
	names []string
}

// headChunksMagic is what such a file begins with, then its version, 1
// (tsdb/docs/format/head_chunks.md).
const headChunksMagic = 0x0130BC91

// keepHeadChunks gives second names to the files, after those were set aside with
// which the TSDB would not open: one that does not begin as it has to, or is missing,
// and all after it.
func keepHeadChunks(data string, away *aside) (*headChunks, error) {
	k := &headChunks{dir: filepath.Join(data, asideName, ".opening")}
	if err := os.RemoveAll(k.dir); err != nil { // second names of a start that was killed
		return k, err
	}
	folder := filepath.Join(data, "chunks_head")
	numbers, err := logFiles(folder)
	if err != nil || len(numbers) == 0 {
		return k, err
	}
	if err := os.MkdirAll(k.dir, 0o777); err != nil {
		return k, err
	}
	var reason error
	for i, n := range numbers {
		name := fmt.Sprintf("%06d", n)
		path := filepath.Join(folder, name)
		if reason == nil && i > 0 && n != numbers[i-1]+1 {
			reason = fmt.Errorf("%s: the file before it is missing", path)
		}
		if reason == nil {
			// What a kill leaves of the last one before anything was written is no damage.
			if reason, err = headChunksStart(path, i == len(numbers)-1); err != nil {
				return k, err
			}
		}
		if reason != nil {
			if err := away.move(asideHeadChunks, path, reason); err != nil {
				return k, err
			}
			continue
		}
		if err := os.Link(path, filepath.Join(k.dir, name)); err != nil {
			return k, err
		}
		k.names = append(k.names, name)
	}
	return k, nil
}

// headChunksStart says what is wrong with the beginning of a file; the last one may
// have none.
func headChunksStart(path string, last bool) (reason, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var start [8]byte
	n, err := io.ReadFull(f, start[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	magic := binary.BigEndian.Uint32(start[:])
	switch {
	case last && (n < 4 || magic == 0), n == len(start) && magic == headChunksMagic && start[4] == 1:
		return nil, nil
	}
	return fmt.Errorf("%s: begins with %x, and not with the mark of chunks", path, start[:n]), nil
}

// unwritten tells whether the last file has no chunks yet. It is laid out, with zeros,
// before there are any, and the first begins with the number of a series, which is not 0.
func unwritten(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	const header = 8
	var start [header + 8]byte
	_, err = io.ReadFull(f, start[:])
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err == nil && binary.BigEndian.Uint64(start[header:]) == 0
}

// settle keeps what the TSDB has removed because it was damaged, and forgets the other
// second names.
func (k *headChunks) settle(data string, away *aside) {
	for i, name := range k.names {
		path := filepath.Join(k.dir, name)
		was, err := os.Stat(path)
		if err != nil {
			continue
		}
		// The TSDB may have begun a new file of the same name.
		if is, err := os.Stat(filepath.Join(data, "chunks_head", name)); err == nil && os.SameFile(was, is) {
			continue
		}
		if i == len(k.names)-1 && unwritten(path) {
			continue
		}
		reason := errors.New("chunks in this file, or in one before it, are damaged; their samples were read from the log")
		if err := away.move(asideHeadChunks, path, reason); err != nil {
			away.log.Warn("Damaged chunks are not kept", "err", err)
		}
	}
	k.drop()
}

// drop forgets the second names.
func (k *headChunks) drop() { os.RemoveAll(k.dir) }
