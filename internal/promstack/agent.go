package promstack

// Agent mode: what is scraped or received is forwarded by remote write and not kept.
// The log on disk holds what the receivers have not taken yet.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/agent"
	"github.com/prometheus/prometheus/util/compression"
)

// AgentConfig makes an engine one that forwards only.
type AgentConfig struct {
	Enabled        bool
	Dir            string        // of the log ("data-agent")
	SegmentBytes   int           // size of a file of the log; 10 to 256 MiB (128 MiB)
	WALCompression string        // "snappy", "zstd" or "none" ("snappy")
	TruncateEach   time.Duration // how often what has been sent is removed (2h)
	MinAge, MaxAge time.Duration // how long what was sent stays, what is older goes though it was not sent (5m, 4h)
	NoLockFile     bool

	CheckpointFromMemory bool // make checkpoints from the series in memory alone
	CheckpointBatch      int  // entries written to them at a time
}

func (c *AgentConfig) setDefaults() {
	if c.Dir == "" {
		c.Dir = "data-agent"
	}
	if c.WALCompression == "" {
		c.WALCompression = compression.Snappy
	}
	orDuration(&c.TruncateEach, agent.DefaultTruncateFrequency)
	orDuration(&c.MinAge, time.Duration(agent.DefaultMinWALTime)*time.Millisecond)
	orDuration(&c.MaxAge, time.Duration(agent.DefaultMaxWALTime)*time.Millisecond)
}

func (c *AgentConfig) options() *agent.Options {
	o := agent.DefaultOptions()
	if c.SegmentBytes != 0 {
		o.WALSegmentSize = c.SegmentBytes
	}
	o.WALCompression = compression.Type(c.WALCompression)
	o.StripeSize = 4096 // as in StorageConfig.options
	o.TruncateFrequency = c.TruncateEach
	o.MinWALTime, o.MaxWALTime = c.MinAge.Milliseconds(), c.MaxAge.Milliseconds()
	o.NoLockfile = c.NoLockFile
	o.CheckpointFromInMemorySeries, o.CheckpointBatchSize = c.CheckpointFromMemory, c.CheckpointBatch
	return o
}

// forwardOnly refuses the sections that an agent has nothing for.
func forwardOnly(c *config.Config) error {
	for name, given := range map[string]bool{
		"alerting":    len(c.AlertingConfig.AlertmanagerConfigs) > 0 || len(c.AlertingConfig.AlertRelabelConfigs) > 0,
		"rule_files":  len(c.RuleFiles) > 0,
		"remote_read": len(c.RemoteReadConfigs) > 0,
	} {
		if given {
			return fmt.Errorf("field %s is not allowed in agent mode: what is not kept cannot be asked", name)
		}
	}
	return nil
}

// agentStore is the log and what sends it.
type agentStore struct {
	storage.Storage // the log
	sent            *sentStorage
	forwarder       *forwarder
	scraping
}

// Close ends the log, then remote write, which may take its flush deadline.
func (s *agentStore) Close() error {
	return errors.Join(s.Storage.Close(), s.forwarder.Close(), s.sent.Close())
}

// sentStorage tells the log how far all was sent, whose cleaning asks the library's own
// remote storage for that: the least of its queues' gauges, of which there has to be one.
// The one queue here reads a log that does not exist and sends nothing; its gauge is
// caught when it is registered, and set to what the forwarder knows.
type sentStorage struct {
	*remote.Storage
	gauge interface{ Set(seconds float64) } // that never goes back
}

// sentGauge is the name of that gauge.
const sentGauge = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"

func newSentStorage(dir string, flush time.Duration) (*sentStorage, error) {
	s := new(sentStorage)
	never := func() (int64, error) { return math.MaxInt64, nil } // there is nothing to read
	s.Storage = remote.NewStorage(nil, sentCatcher{s}, never, filepath.Join(dir, "none"), flush, nil, false)
	section := config.DefaultRemoteWriteConfig
	section.URL = &commonconfig.URL{URL: &url.URL{Scheme: "http", Host: "none.invalid"}}
	section.MetadataConfig.Send = false
	section.QueueConfig.MinShards, section.QueueConfig.MaxShards = 1, 1
	section.QueueConfig.Capacity, section.QueueConfig.MaxSamplesPerSend = 1, 1
	err := s.ApplyConfig(&config.Config{RemoteWriteConfigs: []*config.RemoteWriteConfig{&section}})
	if err == nil && s.gauge == nil {
		err = fmt.Errorf("the library registers no %s", sentGauge)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// until says that all samples up to a time were sent, in ms since 1970.
func (s *sentStorage) until(t int64) { s.gauge.Set(float64(t) / 1000) }

// sentCatcher is a registry for the library's remote storage, whose metrics nobody shall
// see, that keeps the one gauge.
type sentCatcher struct{ *sentStorage }

// Register implements prometheus.Registerer.
func (c sentCatcher) Register(m prometheus.Collector) error {
	if g, is := m.(prometheus.Gauge); is && strings.Contains(g.Desc().String(), `"`+sentGauge+`"`) {
		c.gauge = g
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (c sentCatcher) MustRegister(all ...prometheus.Collector) {
	for _, m := range all {
		_ = c.Register(m) // which never fails
	}
}

// Unregister implements prometheus.Registerer.
func (c sentCatcher) Unregister(prometheus.Collector) bool { return true }

// openAgent opens the log and reads what was not sent.
func (e *Engine) openAgent() (*agentStore, error) {
	c := &e.cfg.Agent
	if err := probeDir(c.Dir, c.NoLockFile); err != nil {
		return nil, err
	}
	s := &agentStore{}
	log := e.log.With("component", "remote")
	var err error
	if s.sent, err = newSentStorage(c.Dir, e.cfg.Remote.FlushDeadline); err != nil {
		return nil, fmt.Errorf("agent's log: %w", err)
	}
	began := time.Now()
	db, err := agent.Open(e.log.With("component", "agent"), e.reg, s.sent.Storage, c.Dir, c.options())
	if err != nil {
		return nil, errors.Join(dirError(c.Dir, err), s.sent.Close())
	}
	s.Storage = db
	s.forwarder = newForwarder(c.Dir, log, e.reg, e.notes, &s.scraping, e.cfg.Remote.FlushDeadline)
	s.forwarder.taken = s.sent.until
	db.SetWriteNotified(s.forwarder)
	e.log.Info("The agent's log is open", "dir", c.Dir, "took", time.Since(began).Round(time.Millisecond))
	return s, nil
}

// runAgent is Run in agent mode, in the same order with fewer parts.
func (e *Engine) runAgent(ctx context.Context, ready func()) (err error) {
	if err := e.tune(e.first); err != nil {
		return err
	}
	discover, endDiscovery := context.WithCancel(context.WithoutCancel(ctx))
	defer endDiscovery()
	late, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	store, err := e.openAgent()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()); store.end() }()
	targets, managers, watches, err := e.newDiscovery(discover)
	if err != nil {
		return err
	}
	scrapes, err := e.newScrapes(late, store, &store.scraping, func(error) {})
	if err != nil {
		return err
	}
	api := e.newAPI(apiParts{store: store, dir: e.cfg.Agent.Dir, scrapes: scrapes})
	err = e.reloads.begin(e.load,
		applier{"remote write", store.forwarder.ApplyConfig},
		applier{"scrapes", scrapes.ApplyConfig},
		applier{"scrape discovery", applyTargets(targets, watches)},
		applier{"runtime", e.tune},
	)
	if err != nil {
		return err
	}
	e.first = nil

	var work sync.WaitGroup
	defer work.Wait()
	defer e.gate.drain()
	work.Go(func() { scrapes.Run(targets.SyncCh()) })
	defer scrapes.Stop()
	work.Go(func() { targets.Run() })
	work.Go(func() { managers.Run() })
	defer endDiscovery()

	e.parts.Store(&parts{scrapes: scrapes})
	e.gate.open(late, served{api: api, federate: unavailable})
	ready()
	<-ctx.Done()

	time.AfterFunc(lateAfter, cutOff)
	e.gate.shut()
	e.reloads.end()
	return nil
}

// unavailable answers what an agent cannot.
var unavailable = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not in agent mode: this collector keeps nothing", http.StatusUnprocessableEntity)
})
