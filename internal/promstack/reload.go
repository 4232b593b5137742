package promstack

// Taking a configuration over: the first one, and each reload. A configuration
// is read and checked whole before any part sees it; where a part refuses it
// nevertheless, all parts get the previous one back.

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/util/notifications"
)

// ErrNotRunning is what Reload returns before the engine has started and while
// it stops.
var ErrNotRunning = errors.New("the engine is not running: try again when it is ready")

// Reload reads the configuration again and takes it over. On an error the old
// one goes on; the error is also in the log and in the metric
// prometheus_config_last_reload_successful.
func (e *Engine) Reload() error {
	err := e.reloads.again()
	switch {
	case errors.Is(err, ErrNotRunning):
	case err != nil:
		e.log.Error("The new configuration was not taken over, the old one goes on", "err", err)
		e.notes.AddNotification(notifications.ConfigurationUnsuccessful)
	default:
		e.log.Info("Configuration taken over", "from", e.cfg.Source.String())
		e.notes.DeleteNotification(notifications.ConfigurationUnsuccessful)
	}
	return err
}

// applier is a part of the engine that follows the configuration.
type applier struct {
	name  string
	apply func(*config.Config) error
}

// reloads holds what is needed to take a configuration over, one at a time.
type reloads struct {
	current atomic.Pointer[config.Config] // in force; nil before the first
	good    atomic.Bool                   // the last attempt succeeded
	since   atomic.Int64                  // time of the last success, in ms since 1970

	mu    sync.Mutex // held while a configuration is taken over
	load  func() (*config.Config, error)
	parts []applier // nil unless the engine runs
}

// begin takes the first configuration over and lets reloads happen.
func (r *reloads) begin(load func() (*config.Config, error), parts ...applier) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.load, r.parts = load, parts
	return r.once()
}

func (r *reloads) again() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts == nil {
		return ErrNotRunning
	}
	return r.once()
}

// end waits for a reload under way and refuses further ones.
func (r *reloads) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = nil
}

func (r *reloads) once() error {
	err := r.takeOver()
	r.note(err)
	return err
}

func (r *reloads) note(err error) {
	r.good.Store(err == nil)
	if err == nil {
		r.since.Store(time.Now().UnixMilli())
	}
}

func (r *reloads) takeOver() error {
	conf, err := r.load()
	if err != nil {
		return err
	}
	old := r.current.Swap(conf)
	if err = r.apply(conf); err == nil {
		return nil
	}
	if old == nil {
		return err
	}
	r.current.Store(old)
	if back := r.apply(old); back != nil {
		return fmt.Errorf("%w; going back to the old configuration failed too: %w", err, back)
	}
	return err
}

// apply shows c to every part, whatever the others say.
func (r *reloads) apply(c *config.Config) error {
	var errs []error
	for _, p := range r.parts {
		if err := p.apply(c); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// register adds the two gauges by which alerts find a broken configuration.
func (r *reloads) register(reg prometheus.Registerer) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "prometheus_config_last_reload_successful",
			Help: "1 if the last attempt to load the configuration succeeded, 0 if it failed.",
		}, func() float64 {
			if r.good.Load() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "prometheus_config_last_reload_success_timestamp_seconds",
			Help: "Time of the last successful load of the configuration.",
		}, func() float64 { return float64(r.since.Load()) / 1000 }),
	)
}
