// Package promstack is the collector's engine: Prometheus' own configuration,
// discovery, storage, query engine, rules, alert delivery and remote
// storage, wired into one value with a start and an end; the scrapes are those of
// internal/scraper. The two are the only packages of the suite that import
// github.com/prometheus/prometheus, so an upgrade touches two folders.
//
// Where a default differs from what the Prometheus program sets, the place that
// sets it says why; docs/design/engine.md has the list.
package promstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
)

// Config is everything the engine is told by its program. The zero value of a
// field means the default named beside it.
type Config struct {
	// Source is the configuration to run: a prometheus.yml or the built-in text.
	Source Source

	Storage StorageConfig
	Agent   AgentConfig // instead of Storage, where it is enabled
	Query   QueryConfig
	Alerts  AlertsConfig
	Remote  RemoteConfig
	API     APIConfig

	// DiscoveryInterval is how often new targets are taken over at most (5s).
	DiscoveryInterval time.Duration

	// ScrapeTolerance is how late a scrape may be to count as one in time, so that
	// samples are at equal distances, which take less space; a hundredth of the interval
	// at most. 0 is not at all.
	ScrapeTolerance time.Duration

	// Registry receives the engine's own metrics (prometheus_*). Each engine
	// needs a registry of its own; nil makes one.
	Registry *prometheus.Registry
	Log      *slog.Logger

	// Tune is called with the runtime section of each configuration that was
	// taken over, so that the program can set what belongs to the process: the
	// garbage collection target in percent (-1 is off; 75, or GOGC of the
	// environment, where the file is silent) and the log level ("" where the
	// file is silent).
	Tune func(gcPercent int, logLevel string)
}

// RemoteConfig bounds remote write.
type RemoteConfig struct {
	FlushDeadline time.Duration // how long a stop may spend on sending what is queued (1m)
}

// lateAfter is how long scrapes, rules and requests under way may take to finish
// once the engine stops. It leaves the rest of five seconds to the storage.
const lateAfter = 2 * time.Second

// Engine is one collector engine. Its methods may be used from any goroutine.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	reg    *prometheus.Registry
	parser parser.Parser
	notes  *notifications.Notifications
	known  features.Collector // what /api/v1/features says
	replay *tsdb.DBStats      // progress of the WAL replay, filled while the storage opens

	gate    gate
	parts   atomic.Pointer[parts] // of the running engine, for the page
	reloads reloads
	shard   currentShard
	aside   atomic.Pointer[aside] // of the running engine
	first   *config.Config        // checked by New, for what parts take when they are made; nil once they are
}

// New checks the configuration and everything it refers to without touching
// network, data directory or listeners. An error is a *ConfigError wherever the
// prometheus.yml is to blame.
func New(cfg Config) (*Engine, error) {
	cfg.setDefaults()
	e := &Engine{
		cfg:    cfg,
		log:    cfg.Log,
		reg:    cfg.Registry,
		parser: cfg.Query.parser(),
		notes:  notifications.NewNotifications(cfg.API.NoteReaders, cfg.Registry),
		known:  features.NewRegistry(),
		replay: tsdb.NewDBStats(),
	}
	var err error
	if e.first, err = cfg.Source.load(e.parser, quiet()); err != nil {
		return nil, err
	}
	e.reloads.note(nil) // it is sound; a slow start must not look like a broken configuration
	e.reloads.register(e.reg)
	e.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "prometheus_ready",
		Help: "1 if the engine scrapes and answers queries, 0 while it starts or stops.",
	}, func() float64 {
		if e.Ready() == nil {
			return 1
		}
		return 0
	}))
	return e, nil
}

func (c *Config) setDefaults() {
	if c.DiscoveryInterval == 0 {
		c.DiscoveryInterval = 5 * time.Second
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tune == nil {
		c.Tune = func(int, string) {}
	}
	c.Storage.setDefaults()
	c.Agent.setDefaults()
	c.Source.agent = c.Agent.Enabled
	c.Query.setDefaults()
	c.Alerts.setDefaults()
	orDuration(&c.Remote.FlushDeadline, time.Minute)
	c.API.setDefaults()
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

func orInt(n *int, def int) {
	if *n == 0 {
		*n = def
	}
}

// Run opens the storage, replays its log, takes the configuration over, calls
// ready and works until ctx ends. Then it stops in this order: no new requests
// and reloads, no new targets, rules, scrapes, requests under way,
// notifications, storage. What is under way has lateAfter to finish and is then
// cut off, so that a target or client that hangs does not hold up the stop.
//
// The replay of a large log cannot be interrupted: when ctx ends during it, Run
// returns at once and leaves the replay to the end of the process, which costs
// no data.
func (e *Engine) Run(ctx context.Context, ready func()) (err error) {
	if e.cfg.Agent.Enabled {
		return e.runAgent(ctx, ready)
	}
	if err := e.tune(e.first); err != nil { // before the replay, which allocates most
		return err
	}
	db, watch, err := e.openStorage(ctx)
	if db == nil || err != nil {
		return err
	}
	// The parts below have ends of their own. Of these two contexts the first
	// ends the discoveries, the second whatever is late when the engine stops.
	discover, endDiscovery := context.WithCancel(context.WithoutCancel(ctx))
	defer endDiscovery()
	late, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()

	stores := e.newStores(db)
	defer func() { err = errors.Join(err, stores.close()) }()
	room := newReserve(e.cfg.Storage.Dir, e.log.With("component", "reserve"), e.notes, e.reg, stores.local.outage, stores.local)
	stores.local.outage.full = room.failed
	queries, err := e.newQueries()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queries.Close()) }()
	targets, managers, watches, err := e.newDiscovery(discover)
	if err != nil {
		return err
	}
	alerts := e.newNotifier(late)
	rules := e.newRules(late, stores, queries, alerts)
	scrapes, err := e.newScrapes(late, stores, &stores.scraping, room.failed)
	if err != nil {
		return err
	}
	api := e.newAPI(apiParts{queries.Engine, stores.all, stores.local, stores.local, e.cfg.Storage.Dir, scrapes, rules, alerts})
	federate := federation{stores.local, e.parser, e.cfg.Query.Lookback,
		func() *config.Config { return e.reloads.current.Load() }, e.log.With("component", "federation")}

	err = e.reloads.begin(e.load,
		applier{"storage", stores.local.ApplyConfig},
		applier{"remote read", stores.applyRead},
		applier{"remote write", stores.forwarder.ApplyConfig},
		applier{"queries", queries.apply},
		// Scrapes and notifier before their discoveries: they look a job up when
		// its targets arrive.
		applier{"scrapes", scrapes.ApplyConfig},
		applier{"scrape discovery", applyTargets(targets, watches)},
		applier{"notifier", alerts.ApplyConfig},
		applier{"notifier discovery", applyAlertmanagers(managers)},
		applier{"rules", e.applyRules(rules)},
		applier{"runtime", e.tune},
	)
	if err != nil {
		return err
	}
	e.first = nil

	var work sync.WaitGroup
	work.Go(func() { alerts.Run(managers.SyncCh()) })
	defer func() { alerts.Stop(); work.Wait() }()
	defer e.gate.drain()
	work.Go(func() { scrapes.Run(targets.SyncCh()) })
	defer scrapes.Stop()
	work.Go(rules.Run)
	defer rules.Stop()
	work.Go(func() { targets.Run() })
	work.Go(func() { managers.Run() })
	work.Go(func() { room.run(discover) })
	work.Go(func() { watch.run(discover, min(blockLook, e.cfg.Storage.LookEach)) })
	defer endDiscovery()

	e.parts.Store(&parts{queries, stores, scrapes})
	e.gate.open(late, served{api, federate.handler()})
	ready()
	<-ctx.Done()

	time.AfterFunc(lateAfter, cutOff) // harmless where all is over by then
	e.gate.shut()
	e.reloads.end()
	return nil
}

// Ready says whether the engine scrapes and answers; the error names what it is
// waiting for.
func (e *Engine) Ready() error {
	switch e.gate.now() {
	case gateOpen:
		return nil
	case gateShut:
		return errors.New("stopping")
	}
	if s := e.replay.Head.WALReplayStatus.GetWALReplayStatus(); s.Max > 0 {
		return fmt.Errorf("starting: reading the log of the last run, segment %d of %d", s.Current, s.Max)
	}
	return errors.New("starting: opening the storage")
}

// load reads the configuration anew, with warnings to the log.
func (e *Engine) load() (*config.Config, error) {
	c, err := e.source().load(e.parser, e.log)
	if err != nil {
		return nil, err
	}
	e.cfg.Storage.fill(c)
	if c.TracingConfig.Endpoint != "" {
		e.log.Warn("The section tracing is ignored: this program sends no traces of itself")
	}
	return c, nil
}

// tune hands the runtime section to the program.
func (e *Engine) tune(c *config.Config) error {
	level, err := e.cfg.Source.logLevel()
	if err != nil {
		return err
	}
	e.cfg.Tune(c.Runtime.GoGC, level)
	return nil
}
