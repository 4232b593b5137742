package promstack

// Storage: the TSDB on disk, remote write and remote read beside it, and the
// fan-out that joins them.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/util/compression"
)

// StorageConfig is where samples are kept and for how long.
type StorageConfig struct {
	Dir            string        // data directory, made when absent ("data")
	Retention      time.Duration // age at which blocks go; 15 days when no limit is given at all
	RetentionBytes int64         // size of all blocks at which the oldest go; 0 is no limit
	MinBlock       time.Duration // time the head keeps before it becomes a block (2h)
	MaxBlock       time.Duration // longest block that compaction makes (a tenth of Retention, 31 days at most)
	WALCompression string        // "snappy", "zstd" or "none" ("snappy")
	NoLockFile     bool          // do not keep other processes out of Dir
	Exemplars      bool          // keep exemplars in memory, as many as the configuration says

	// OutageBytes bounds what is kept in memory while the disk is full (a quarter of
	// the limit of memory, 256 MiB where there is none).
	OutageBytes int64

	LookEach time.Duration // how often blocks are looked for that were added or removed (1m)

	SegmentBytes    int    // size of a file of the log (128 MiB)
	ChunkFileBytes  int64  // size of a file of samples in a block (512 MiB)
	WriteQueue      int    // finished chunks that wait to be written; 0 writes each at once
	SamplesPerChunk int    // (120)
	KeepOverlaps    bool   // leave blocks of the same time to another program
	UploadedFile    string // JSON list of blocks that are uploaded: others are not merged; "" is none
	Delayed         bool   // compact at a random time, so that many collectors do not at once
	DelayPercent    int    // longest such delay, in percent of MinBlock (10)
	HistogramStart  bool   // encode histograms with their start times
	XOR2            bool   // encode numbers in the newer way where the configuration does not say
	UncachedIO      bool   // write blocks past the page cache
}

func (c *StorageConfig) setDefaults() {
	if c.Dir == "" {
		c.Dir = "data"
	}
	if c.Retention == 0 && c.RetentionBytes == 0 {
		c.Retention = 15 * 24 * time.Hour
	}
	orDuration(&c.MinBlock, 2*time.Hour)
	if c.MaxBlock == 0 {
		// As Prometheus: blocks of a tenth of the retention keep what is deleted
		// at a time small.
		c.MaxBlock = 31 * 24 * time.Hour
		if tenth := c.Retention / 10; tenth > 0 {
			c.MaxBlock = min(c.MaxBlock, tenth)
		}
	}
	if c.WALCompression == "" {
		c.WALCompression = compression.Snappy
	}
	orDuration(&c.LookEach, time.Minute)
	orInt(&c.SamplesPerChunk, tsdb.DefaultSamplesPerChunk)
	orInt(&c.DelayPercent, tsdb.DefaultCompactionDelayMaxPercent)
}

// options translates c and the storage section of the configuration. Every field
// whose default differs between the library and the Prometheus program is set.
func (c *StorageConfig) options(conf *config.Config) *tsdb.Options {
	o := tsdb.DefaultOptions()
	ret := c.retention(conf)
	o.RetentionDuration = time.Duration(ret.Time).Milliseconds()
	o.MaxBytes = int64(ret.Size)
	o.MaxPercentage = ret.Percentage
	o.MinBlockDuration = c.MinBlock.Milliseconds()
	// The library would never merge blocks: its longest block is its shortest.
	o.MaxBlockDuration = c.MaxBlock.Milliseconds()
	// The library writes the log uncompressed; snappy halves it for little CPU.
	o.WALCompression = compression.Type(c.WALCompression)
	// The library's 16384 stripes of the series map take 5 MB before the first
	// series; these hold a million series in maps of some 250 each.
	o.StripeSize = 4096
	// The library keeps 4 MB for finished chunks on their way to disk. They come in
	// bursts of a few hundred bytes each; less means some more writes.
	o.HeadChunksWriteBufferSize = 256 << 10
	// Two processes in one directory destroy it.
	o.NoLockfile = c.NoLockFile
	// A start reads the snapshot instead of the whole log. After a kill the
	// snapshot is missing or old and the log is read from there on.
	o.EnableMemorySnapshotOnShutdown = true

	t := conf.StorageConfig.TSDBConfig
	o.OutOfOrderTimeWindow = t.OutOfOrderTimeWindow
	o.StaleSeriesCompactionThreshold = t.StaleSeriesCompactionThreshold
	if f := t.ChunkEncoding.Floats; f == config.FloatChunkEncodingXOR2 || f == "" && c.XOR2 {
		o.FloatChunkEncoding = chunkenc.EncXOR2
	}
	o.BlockReloadInterval = c.LookEach
	o.WALSegmentSize, o.MaxBlockChunkSegmentSize = c.SegmentBytes, c.ChunkFileBytes
	o.HeadChunksWriteQueueSize, o.SamplesPerChunk = c.WriteQueue, c.SamplesPerChunk
	o.EnableOverlappingCompaction = !c.KeepOverlaps
	o.EnableDelayedCompaction, o.CompactionDelayMaxPercent = c.Delayed, c.DelayPercent
	o.EnableHistogramSTEncoding, o.UseUncachedIO = c.HistogramStart, c.UncachedIO
	o.EnableExemplarStorage = c.Exemplars
	if c.Exemplars {
		o.MaxExemplars = exemplars(conf).MaxExemplars
	}
	return o
}

// retention is the configuration's where it has any, else the program's.
func (c *StorageConfig) retention(conf *config.Config) config.TSDBRetentionConfig {
	if r := conf.StorageConfig.TSDBConfig.Retention; r != nil && *r != (config.TSDBRetentionConfig{}) {
		return *r
	}
	return config.TSDBRetentionConfig{Time: model.Duration(c.Retention), Size: units.Base2Bytes(c.RetentionBytes)}
}

func exemplars(conf *config.Config) config.ExemplarsConfig {
	if e := conf.StorageConfig.ExemplarsConfig; e != nil {
		return *e
	}
	return config.DefaultExemplarsConfig
}

// fill completes the storage section of a loaded configuration with what the
// program said, so that every reader of it sees what is in force.
func (c *StorageConfig) fill(conf *config.Config) {
	ret := c.retention(conf)
	conf.StorageConfig.TSDBConfig.Retention = &ret
	if c.Exemplars {
		ex := exemplars(conf)
		conf.StorageConfig.ExemplarsConfig = &ex
	}
}

// openStorage sets aside what cannot be read, opens the TSDB and replays its log. It
// returns nil without an error when ctx ended first.
func (e *Engine) openStorage(ctx context.Context) (*tsdb.DB, *blocks, error) {
	dir := e.cfg.Storage.Dir
	if err := probeDir(dir, e.cfg.Storage.NoLockFile); err != nil {
		return nil, nil, err
	}
	log := e.log.With("component", "tsdb")
	if err := makeRoom(dir); err != nil {
		e.log.Warn("The space reserved for a full disk could not be given up", "err", err)
	}
	away := newAside(dir, log, e.notes, e.reg)
	e.aside.Store(away)
	watch := newBlocks(dir, log, away)
	opts := e.cfg.Storage.options(e.first)
	opts.FeatureRegistry = e.known
	if file := e.cfg.Storage.UploadedFile; file != "" {
		opts.BlockCompactionExcludeFunc = (&uploaded{file: file, log: e.log.With("component", "tsdb"), now: time.Now}).waitsFor
	}
	opts.BlocksToDelete, opts.BlockQuerierFunc, opts.BlockChunkQuerierFunc = watch.toDelete, watch.querier, watch.chunkQuerier
	type result struct {
		db  *tsdb.DB
		err error
	}
	opened := make(chan result, 1)
	began := time.Now()
	go func() {
		db, err := openTSDB(dir, log, e.reg, opts, e.replay, away, watch)
		opened <- result{db, err}
	}()
	select {
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.db != nil {
				r.db.Close()
			}
		}()
		return nil, nil, nil
	case r := <-opened:
		if r.err != nil {
			return nil, nil, dirError(dir, r.err)
		}
		watch.db.Store(r.db)
		registerHeadTimes(e.reg, r.db)
		e.log.Info("Storage is open", "dir", dir, "blocks", len(r.db.Blocks()),
			"series", r.db.Head().NumSeries(), "took", time.Since(began).Round(time.Millisecond))
		return r.db, watch, nil
	}
}

// probeDir finds out whether the data directory can be used, before anything in
// it is touched: the TSDB itself tidies the directory up before it takes the
// lock, which would pull files from under a process that is using it.
func probeDir(dir string, noLock bool) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return dirError(dir, err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return dirError(dir, err)
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return dirError(dir, err)
	}
	if noLock {
		return nil
	}
	name := filepath.Join(dir, "lock")
	lock, existed, err := fileutil.Flock(name)
	if err != nil {
		return dirError(dir, err)
	}
	if !existed { // the TSDB tells a clean start by the absence of the file
		defer os.Remove(name)
	}
	return lock.Release()
}

// dirError says what to do about a data directory that cannot be used.
func dirError(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("data directory %s is in use by another process: stop that one, or choose another directory", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data directory %s cannot be written by user %d: change its owner, or choose another directory (%w)", dir, os.Getuid(), err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("data directory %s is on a read-only filesystem: mount it writable, or choose another directory", dir)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("data directory %s is not a directory: choose another one (%w)", dir, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("data directory %s: the disk is full: free some space, or lower the retention (%w)", dir, err)
	}
	return fmt.Errorf("data directory %s: %w", dir, err)
}

// registerHeadTimes adds the three gauges that Prometheus' own program adds.
func registerHeadTimes(reg prometheus.Registerer, db *tsdb.DB) {
	gauge := func(name, help string, ms func() int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(ms() / 1000)
		}))
	}
	gauge("prometheus_tsdb_lowest_timestamp_seconds", "Time of the oldest sample in the storage.", func() int64 {
		if bb := db.Blocks(); len(bb) > 0 {
			return bb[0].Meta().MinTime
		}
		return db.Head().MinTime()
	})
	gauge("prometheus_tsdb_head_min_time_seconds", "Time of the oldest sample in the head block.", func() int64 { return db.Head().MinTime() })
	gauge("prometheus_tsdb_head_max_time_seconds", "Time of the newest sample in the head block.", func() int64 { return db.Head().MaxTime() })
}

// stores are the places samples go to and come from.
type stores struct {
	local     localStore
	remote    *remote.Storage // that is asked
	forwarder *forwarder
	all       storage.Storage // reads local, then remote; writes local

	cfg *StorageConfig
	scraping
}

// readsAll is the local storage, whose queriers ask remote ones, too.
type readsAll struct {
	storage.Storage
	from storage.Storage
}

func (r readsAll) Querier(from, to int64) (storage.Querier, error) { return r.from.Querier(from, to) }

func (r readsAll) ChunkQuerier(from, to int64) (storage.ChunkQuerier, error) {
	return r.from.ChunkQuerier(from, to)
}

func (e *Engine) newStores(db *tsdb.DB) *stores {
	s := &stores{cfg: &e.cfg.Storage}
	outage := newOutage(db, e.cfg.Storage.Dir, e.cfg.Storage.OutageBytes, e.log.With("component", "outage"), e.reg)
	s.local = localStore{DB: db, outage: outage, replay: e.replay, margin: 2 * e.cfg.Storage.MinBlock}
	// Of the library's remote storage only the reading is used: it sees no
	// remote_write, and its metrics, all of writing, are not registered.
	log := e.log.With("component", "remote")
	s.remote = remote.NewStorage(log, nil, s.local.StartTime, e.cfg.Storage.Dir, e.cfg.Remote.FlushDeadline, &s.scraping, false)
	s.all = readsAll{s.local, storage.NewFanout(e.log, s.local, s.remote)}
	s.forwarder = newForwarder(e.cfg.Storage.Dir, log, e.reg, e.notes, &s.scraping, e.cfg.Remote.FlushDeadline)
	db.SetWriteNotified(s.forwarder)
	return s
}

// AppenderV2 is where scraped samples go. Remote write reads them back from the log.
func (s *stores) AppenderV2(ctx context.Context) storage.AppenderV2 { return s.local.AppenderV2(ctx) }

// applyRead takes the sections of remote read over.
func (s *stores) applyRead(c *config.Config) error {
	reads := *c
	reads.RemoteWriteConfigs = nil
	return s.remote.ApplyConfig(&reads)
}

// close writes what is in memory alone, where it can, writes the snapshot and ends
// remote write, which may take its flush deadline.
func (s *stores) close() error {
	var lost error
	if s.local.outage.inUse() {
		if err := s.local.outage.drain(context.Background()); err != nil {
			n, since := s.local.outage.held()
			lost = fmt.Errorf("%d samples since %s, which were in memory alone, are lost: %w", n, since.Format(time.RFC3339), err)
		}
	}
	defer s.scraping.end()
	return errors.Join(lost, s.local.Close(), s.forwarder.Close(), s.remote.Close())
}

// localStore is the TSDB as the API wants to see it, with what is in memory alone
// while the disk is full.
type localStore struct {
	*tsdb.DB
	outage *outage
	replay *tsdb.DBStats
	margin time.Duration
}

func (s localStore) Appender(ctx context.Context) storage.Appender { return s.outage.appender(ctx) }

func (s localStore) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return s.outage.appenderV2(ctx)
}

func (s localStore) Querier(mint, maxt int64) (storage.Querier, error) {
	return s.outage.querier(mint, maxt)
}

func (s localStore) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return s.outage.chunkQuerier(mint, maxt)
}

// The local store as the reserve sees it.

func (s localStore) settle()     { s.ForceHeadMMap() }
func (s localStore) series() int { return int(s.Head().NumSeries()) }

// StartTime is the time in ms from which the local storage surely has all
// samples; remote read is asked for what is older.
func (s localStore) StartTime() (int64, error) {
	start := time.Now().UnixMilli()
	if bb := s.Blocks(); len(bb) > 0 {
		start = bb[0].Meta().MinTime
	}
	return start + s.margin.Milliseconds(), nil
}

func (s localStore) Stats(byLabel string, limit int) (*tsdb.Stats, error) {
	return s.Head().Stats(byLabel, limit), nil
}

func (s localStore) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return s.replay.Head.WALReplayStatus.GetWALReplayStatus(), nil
}

func (s localStore) BlockMetas() ([]tsdb.BlockMeta, error) { return s.DB.BlockMetas(), nil }

var _ interface {
	storage.Storage
	storage.ExemplarQueryable
} = localStore{}
