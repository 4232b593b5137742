// Package push takes metrics from jobs that end before anybody could scrape them,
// keeps them and shows them until they are replaced or deleted, as pushgateway
// does: the same paths, formats, answers, file and metrics.
package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"

	"watchpost/internal/run"
)

// What pushes may cost, unless Config says otherwise. A push of a job is some
// kilobytes and some dozens of series.
const (
	// DefaultInterval is the longest that a push waits for being written to the
	// file, as in pushgateway.
	DefaultInterval = 5 * time.Minute
	// DefaultMaxBody bounds one push, decompressed, in bytes.
	DefaultMaxBody = 16 << 20
	// DefaultMaxGroups bounds the groups.
	DefaultMaxGroups = 10_000
	// DefaultMaxSeries bounds the series of all groups; one takes about 500 bytes.
	DefaultMaxSeries = 500_000
	// maxPushes bounds the pushes read at the same time; others wait.
	maxPushes = 16
	// maxScrapes bounds the scrapes at the same time.
	maxScrapes = 10
)

// Config is for New. Zero is the default of the same name.
type Config struct {
	File      string        // where groups survive a restart; "" is nowhere
	Interval  time.Duration // the longest that a push waits for being written there
	MaxBody   int64
	MaxGroups int
	MaxSeries int
	UTF8Names bool // any UTF-8 in names of metrics and labels
	Admin     bool // allow PUT …/api/v1/admin/wipe

	Flags    map[string]string // shown by …/api/v1/status
	Build    map[string]string // shown there, too
	Registry prometheus.Registerer
	Log      *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Interval <= 0 {
		c.Interval = DefaultInterval
	}
	if c.MaxBody <= 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.MaxGroups <= 0 {
		c.MaxGroups = DefaultMaxGroups
	}
	if c.MaxSeries <= 0 {
		c.MaxSeries = DefaultMaxSeries
	}
}

func (c *Config) scheme() model.ValidationScheme {
	if c.UTF8Names {
		return model.UTF8Validation
	}
	return model.LegacyValidation
}

// Gateway takes and shows pushed metrics. Its methods may be used from any
// goroutine.
type Gateway struct {
	cfg     Config
	born    time.Time
	slots   chan struct{}
	metrics metrics
	changed chan struct{} // holds one where something is not in the file
	now     func() time.Time

	mu    sync.Mutex // for all below
	store *store
	page  []*dto.MetricFamily // what store shows; nil since it was changed
}

// New reads the file. One that cannot be read is set aside, and tells so in the
// log: what was pushed is lost for good anyway, and the jobs of now are not to
// suffer from it.
func New(cfg Config) (*Gateway, error) {
	cfg.setDefaults()
	g := &Gateway{
		cfg: cfg, born: time.Now(), slots: make(chan struct{}, maxPushes), changed: make(chan struct{}, 1), now: time.Now,
		store: newStore(cfg.scheme(), cfg.MaxGroups, cfg.MaxSeries),
	}
	g.metrics = newMetrics(g)
	if cfg.File == "" {
		return g, nil
	}
	lost, err := g.store.restore(cfg.File)
	for _, l := range lost {
		cfg.Log.Warn("A pushed group of the last run is left out", "file", cfg.File, "err", l)
	}
	switch {
	case err != nil && !errors.Is(err, errBroken):
		return nil, err
	case err != nil:
		aside := cfg.File + ".broken"
		if err := os.Rename(cfg.File, aside); err != nil {
			return nil, err
		}
		g.store = newStore(cfg.scheme(), cfg.MaxGroups, cfg.MaxSeries)
		cfg.Log.Error("The file of pushed metrics cannot be read and was set aside", "file", cfg.File, "as", aside, "err", err)
	}
	return g, nil
}

// Task writes the groups to the file, some time after each change and at the end.
func (g *Gateway) Task() run.Task {
	return run.Task{Name: "pushed metrics", Run: func(ctx context.Context, ready func()) error {
		ready()
		var due <-chan time.Time
		for {
			select {
			case <-ctx.Done():
				if due == nil {
					select {
					case <-g.changed:
					default:
						return nil
					}
				}
				return g.save()
			case <-g.changed:
				if due == nil && g.cfg.File != "" {
					due = time.After(g.cfg.Interval)
				}
			case <-due:
				due = nil
				if g.save() != nil {
					due = time.After(g.cfg.Interval) // and again
				}
			}
		}
	}}
}

// save writes the groups to the file, where there is one.
func (g *Gateway) save() error {
	if g.cfg.File == "" {
		return nil
	}
	g.mu.Lock()
	groups := g.store.snapshot()
	g.mu.Unlock()
	err := os.MkdirAll(filepath.Dir(g.cfg.File), 0o777)
	if err == nil {
		err = save(g.cfg.File, groups)
	}
	if err != nil {
		g.metrics.unsaved.Inc()
		g.cfg.Log.Error("Pushed metrics could not be written", "file", g.cfg.File, "err", err)
		return fmt.Errorf("pushed metrics: %w", err)
	}
	return nil
}

// change applies do to the store.
func (g *Gateway) change(do func(*store) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := do(g.store)
	g.page = nil
	select {
	case g.changed <- struct{}{}:
	default: // said already
	}
	return err
}

// Gather implements prometheus.Gatherer: it is all that was pushed.
func (g *Gateway) Gather() ([]*dto.MetricFamily, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.page == nil {
		g.page = g.store.gather()
	}
	return g.page, nil
}

// metrics are about the gateway. The first three are pushgateway's.
type metrics struct {
	requests *prometheus.CounterVec
	size     *prometheus.SummaryVec
	seconds  *prometheus.SummaryVec
	unsaved  prometheus.Counter
}

func newMetrics(g *Gateway) metrics {
	quantiles := map[float64]float64{0.1: 0.01, 0.5: 0.05, 0.9: 0.01}
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushgateway_http_requests_total",
			Help: "Requests to push, delete and list pushed metrics, without scrapes.",
		}, []string{"handler", "code", "method"}),
		size: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: "pushgateway_http_push_size_bytes", Objectives: quantiles,
			Help: "Size of the requests to push.",
		}, []string{"method"}),
		seconds: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: "pushgateway_http_push_duration_seconds", Objectives: quantiles,
			Help: "Time to take a push.",
		}, []string{"method"}),
		unsaved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "watchpost_push_save_failures_total",
			Help: "Failed attempts to write the pushed metrics to their file.",
		}),
	}
	count := func(name, help string, n func(*store) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			g.mu.Lock()
			defer g.mu.Unlock()
			return float64(n(g.store))
		})
	}
	g.cfg.Registry.MustRegister(m.requests, m.size, m.seconds, m.unsaved,
		count("watchpost_push_groups", "Groups of pushed metrics.", func(s *store) int { return len(s.groups) }),
		count("watchpost_push_series", "Series of all pushed metrics.", func(s *store) int { return len(s.series) }))
	return m
}

var (
	_ prometheus.Gatherer = (*Gateway)(nil)
	_ http.Handler        = (*pusher)(nil)
)
