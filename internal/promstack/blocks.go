package promstack

// Blocks that cannot be read. The TSDB does not start with one whose files it cannot
// open, ends every compaction at one whose meta.json it cannot read, and tries to merge
// one with damaged chunks for ever. Here they are set aside: what shows when a block is
// opened, before the TSDB sees it; damaged chunks, which would cost reading all samples
// at each start, once a query or a compaction has failed on them.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

// blockLook is how often new blocks and marks of failed compactions are looked for,
// blockPatience how long a new block may look broken, as one that is being copied into
// the folder does, and blockAgain how soon a block is tried again of which nothing
// bad was found.
const (
	blockLook     = 15 * time.Second
	blockPatience = 2 * time.Minute
	blockAgain    = time.Hour
)

// blocks keeps watch over the blocks of a data directory. Its methods may be called
// from any goroutine.
type blocks struct {
	dir   string
	log   *slog.Logger
	aside *aside
	now   func() time.Time
	db    atomic.Pointer[tsdb.DB] // nil until it is open

	mu       sync.Mutex
	bad      map[ulid.ULID]error     // damaged: not asked any more, and moved away when the TSDB looks at its folder next
	strange  map[string]time.Time    // folders of new blocks that cannot be opened, since when
	checked  map[ulid.ULID]time.Time // of all chunks, which were sound
	suspects chan ulid.ULID
}

func newBlocks(dir string, log *slog.Logger, a *aside) *blocks {
	return &blocks{
		dir: dir, log: log, aside: a, now: time.Now,
		bad: make(map[ulid.ULID]error), strange: make(map[string]time.Time), checked: make(map[ulid.ULID]time.Time),
		suspects: make(chan ulid.ULID, 16),
	}
}

// isBad tells whether a block is damaged.
func (b *blocks) isBad(id ulid.ULID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bad[id] != nil
}

// folders are the blocks on disk, by the TSDB's own rule: all folders whose name is
// an ULID.
func (b *blocks) folders() ([]string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err == nil && e.IsDir() {
			dirs = append(dirs, filepath.Join(b.dir, e.Name()))
		}
	}
	return dirs, nil
}

// before moves what cannot be opened away before the TSDB opens the folder.
func (b *blocks) before() error {
	dirs, err := b.folders()
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		reason := checkBlock(dir, false)
		if reason == nil {
			continue
		}
		if replaced(dirs, dir) {
			continue // of a compaction that was killed before it could remove its sources
		}
		errs = append(errs, b.aside.move(asideBlock, dir, reason))
	}
	return errors.Join(errs...)
}

// replaced tells whether another block was made of this one. The TSDB removes it.
func replaced(dirs []string, dir string) bool {
	for _, other := range dirs {
		m, err := blockMeta(other)
		if err != nil || other == dir {
			continue
		}
		for _, parent := range m.Compaction.Parents {
			if parent.ULID.String() == filepath.Base(dir) {
				return checkBlock(other, false) == nil
			}
		}
	}
	return false
}

func blockMeta(dir string) (tsdb.BlockMeta, error) {
	var m tsdb.BlockMeta
	text, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s: %w", filepath.Join(dir, "meta.json"), err)
	}
	return m, nil
}

// checkBlock says what is wrong with a block: its files cannot be opened, or its last
// chunk, which lies at the end of the last file, cannot be read. With all, every chunk
// is read.
func checkBlock(dir string, all bool) (err error) {
	defer func() {
		if r := recover(); r != nil { // of a reader that trusts what it reads
			err = fmt.Errorf("%s: %v", dir, r)
		}
	}()
	// What lies in a file that is shorter than it was when it was mapped is a fault of
	// the memory, which ends the program unless it is asked to be a panic.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	meta, err := blockMeta(dir)
	if err != nil {
		return err
	}
	if meta.ULID.String() != filepath.Base(dir) {
		return fmt.Errorf("%s: its meta.json is of the block %s", dir, meta.ULID)
	}
	if meta.MinTime >= meta.MaxTime {
		return fmt.Errorf("%s: its meta.json has the times %d to %d", dir, meta.MinTime, meta.MaxTime)
	}
	block, err := tsdb.OpenBlock(quiet(), dir, nil, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	defer block.Close()
	if err := checkChunks(block, all); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

func checkChunks(block *tsdb.Block, all bool) error {
	ir, err := block.Index()
	if err != nil {
		return err
	}
	defer ir.Close()
	cr, err := block.Chunks()
	if err != nil {
		return err
	}
	defer cr.Close()
	name, value := index.AllPostingsKey()
	postings, err := ir.Postings(context.Background(), name, value)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	var (
		b    labels.ScratchBuilder
		ref  storage.SeriesRef
		some bool
		chks []chunks.Meta
	)
	read := func(chks []chunks.Meta) error {
		if err := ir.Series(ref, &b, &chks); err != nil {
			return fmt.Errorf("index: series %d: %w", ref, err)
		}
		if !all && len(chks) > 0 {
			chks = chks[len(chks)-1:]
		}
		for _, c := range chks {
			if _, _, err := cr.ChunkOrIterable(c); err != nil {
				return fmt.Errorf("chunks: %d of series %d: %w", c.Ref, ref, err)
			}
		}
		return nil
	}
	for postings.Next() {
		ref, some = postings.At(), true
		if all {
			if err := read(chks[:0]); err != nil {
				return err
			}
		}
	}
	if err := postings.Err(); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if some && !all {
		return read(nil)
	}
	if meta := block.Meta(); !some && meta.Stats.NumSeries > 0 {
		return fmt.Errorf("index: no series, where meta.json counts %d", meta.Stats.NumSeries)
	}
	return nil
}

// toDelete is what the TSDB asks, each time it looks at its folder, for the blocks to
// remove. Besides those that are too old or too large these are the damaged ones, which
// are moved away first: the TSDB closes their files and finds nothing to remove.
func (b *blocks) toDelete(loaded []*tsdb.Block) map[ulid.ULID]struct{} {
	gone := make(map[ulid.ULID]struct{})
	if db := b.db.Load(); db != nil {
		gone = tsdb.DefaultBlocksToDelete(db)(loaded)
	} else { // it opens, and its retention comes with the next look in a minute
		for _, l := range loaded {
			if l.Meta().Compaction.Deletable {
				gone[l.Meta().ULID] = struct{}{}
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range loaded {
		id := l.Meta().ULID
		reason := b.bad[id]
		if reason == nil {
			continue
		}
		delete(gone, id) // were it not moved, it would be removed
		if err := b.aside.move(asideBlock, filepath.Join(b.dir, id.String()), reason); err != nil {
			b.log.Error("A block that cannot be read stays where it is; queries leave it out", "err", err)
			continue
		}
		gone[id] = struct{}{}
	}
	return gone
}

// querier leaves out what is damaged and not moved away yet, and hears of what cannot
// be read of the others.
func (b *blocks) querier(r tsdb.BlockReader, mint, maxt int64) (storage.Querier, error) {
	if _, onDisk := r.(*tsdb.Block); !onDisk { // the memory
		return tsdb.NewBlockQuerier(r, mint, maxt)
	}
	if b.isBad(r.Meta().ULID) {
		return storage.NoopQuerier(), nil
	}
	return tsdb.NewBlockQuerier(heardBlock{r, b}, mint, maxt)
}

func (b *blocks) chunkQuerier(r tsdb.BlockReader, mint, maxt int64) (storage.ChunkQuerier, error) {
	if _, onDisk := r.(*tsdb.Block); !onDisk {
		return tsdb.NewBlockChunkQuerier(r, mint, maxt)
	}
	if b.isBad(r.Meta().ULID) {
		return storage.NoopChunkedQuerier(), nil
	}
	return tsdb.NewBlockChunkQuerier(heardBlock{r, b}, mint, maxt)
}

// failed notes that a block could not be read.
func (b *blocks) failed(id ulid.ULID) {
	select {
	case b.suspects <- id:
	default: // enough to do; the next query fails as well
	}
}

// heardBlock is a block of which failures to read it are noted.
type heardBlock struct {
	tsdb.BlockReader
	blocks *blocks
}

func (h heardBlock) Index() (tsdb.IndexReader, error) {
	r, err := h.BlockReader.Index()
	return heardIndex{r, h}, err
}

func (h heardBlock) Chunks() (tsdb.ChunkReader, error) {
	r, err := h.BlockReader.Chunks()
	return heardChunks{r, h}, err
}

func (h heardBlock) failed() { h.blocks.failed(h.Meta().ULID) }

type heardIndex struct {
	tsdb.IndexReader
	of heardBlock
}

func (i heardIndex) Series(ref storage.SeriesRef, b *labels.ScratchBuilder, chks *[]chunks.Meta) error {
	err := i.IndexReader.Series(ref, b, chks)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		i.of.failed()
	}
	return err
}

type heardChunks struct {
	tsdb.ChunkReader
	of heardBlock
}

func (c heardChunks) ChunkOrIterable(m chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	chunk, all, err := c.ChunkReader.ChunkOrIterable(m)
	if err != nil {
		c.of.failed()
	}
	return chunk, all, err
}

// run watches until ctx ends.
func (b *blocks) run(ctx context.Context, each time.Duration) {
	tick := time.NewTicker(each)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-b.suspects:
			b.check(id)
		case <-tick.C:
			b.look()
		}
	}
}

// check reads all of a block and tells whether it is damaged.
func (b *blocks) check(id ulid.ULID) (bad bool) {
	b.mu.Lock()
	known, at := b.bad[id], b.checked[id]
	b.mu.Unlock()
	if known != nil {
		return true
	}
	if b.now().Sub(at) < blockAgain {
		return false
	}
	dir := filepath.Join(b.dir, id.String())
	reason := checkBlock(dir, true)
	if errors.Is(reason, os.ErrNotExist) {
		return false // merged or removed meanwhile
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if reason == nil {
		b.checked[id] = b.now()
		return false
	}
	b.log.Error("A block is damaged: it is left out of queries and will be set aside", "block", dir, "err", reason)
	b.bad[id] = reason
	return true
}

// look finds blocks that were put into the folder and cannot be opened, and those that
// a compaction has failed on. Where one of these was damaged, or none, the others may
// be merged again.
func (b *blocks) look() {
	dirs, err := b.folders()
	if err != nil {
		b.log.Warn("The blocks cannot be looked at", "err", err)
		return
	}
	open := make(map[string]*tsdb.Block)
	for _, block := range b.db.Load().Blocks() {
		open[filepath.Base(block.Dir())] = block
	}
	var failed []string
	for _, dir := range dirs {
		if open[filepath.Base(dir)] == nil {
			b.lookNew(dir)
			continue
		}
		if m, err := blockMeta(dir); err == nil && m.Compaction.Failed {
			failed = append(failed, dir)
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			b.failed(ulid.MustParseStrict(filepath.Base(dir)))
		}
	}
	for _, dir := range failed {
		id := ulid.MustParseStrict(filepath.Base(dir))
		b.mu.Lock()
		soon := b.now().Sub(b.checked[id]) < blockAgain
		b.mu.Unlock()
		if soon || b.check(id) {
			continue
		}
		if err := mayCompact(dir); err != nil {
			b.log.Warn("A block on which a compaction has failed will not be merged", "err", err)
		}
	}
}

// lookNew looks at a folder that the TSDB has not opened.
func (b *blocks) lookNew(dir string) {
	reason := checkBlock(dir, false)
	b.mu.Lock()
	defer b.mu.Unlock()
	since, known := b.strange[dir]
	switch {
	case reason == nil:
		delete(b.strange, dir)
	case !known:
		b.strange[dir] = b.now()
	case b.now().Sub(since) >= blockPatience && b.now().Sub(lastChange(dir)) >= blockPatience:
		delete(b.strange, dir)
		if err := b.aside.move(asideBlock, dir, reason); err != nil && !errors.Is(err, os.ErrNotExist) {
			b.log.Error("A block that cannot be read stays", "err", err)
		}
	}
}

// lastChange is when a file of a folder was written last.
func lastChange(dir string) (last time.Time) {
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil {
			if info, err := d.Info(); err == nil && info.ModTime().After(last) {
				last = info.ModTime()
			}
		}
		return nil
	})
	return last
}

// mayCompact takes the mark of a failed compaction off a block. What else is in its
// meta.json stays, as what Thanos writes there.
func mayCompact(dir string) error {
	name := filepath.Join(dir, "meta.json")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var meta, compaction map[string]json.RawMessage
	if err := json.Unmarshal(text, &meta); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(meta["compaction"], &compaction); err != nil {
		return fmt.Errorf("%s: compaction: %w", name, err)
	}
	delete(compaction, "failed")
	if meta["compaction"], err = json.Marshal(compaction); err != nil {
		return err
	}
	if text, err = json.MarshalIndent(meta, "", "\t"); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", text, 0o666); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
