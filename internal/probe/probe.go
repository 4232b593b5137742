// Package probe asks targets from outside, as blackbox_exporter does: the same
// query (/probe?target=…&module=…), the same file of modules, the same metrics.
// The probers are blackbox_exporter's own, as a library; what is ours is the
// bound on probes at the same time, the deadline, the file and what is shown of
// it.
package probe

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/blackbox_exporter/config"
	"github.com/prometheus/blackbox_exporter/prober"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"watchpost/internal/serve"
)

const (
	// DefaultModule is used where a request names none, as in blackbox_exporter.
	DefaultModule = "http_2xx"
	// MaxTimeout bounds one probe; it is also what a request without
	// a timeout of its own gets, as in blackbox_exporter.
	MaxTimeout = 2 * time.Minute
	// DefaultTimeoutOffset is taken off the scraper's timeout, so that the answer
	// is there in time; blackbox_exporter's --timeout-offset.
	DefaultTimeoutOffset = 500 * time.Millisecond
	// DefaultConcurrency bounds the probes at the same time. Each holds a
	// connection and a few goroutines; further ones wait.
	DefaultConcurrency = 100
)

// Config is for New.
type Config struct {
	File          string        // modules in blackbox_exporter's format; "" is the built-in ones
	TimeoutOffset time.Duration // taken off the scraper's timeout
	Concurrency   int           // probes at the same time; 0 is DefaultConcurrency
	Registry      prometheus.Registerer
	Log           *slog.Logger // each probe, at the level debug
}

// Handler answers /probe. Its methods may be used from any goroutine.
type Handler struct {
	cfg     Config
	modules atomic.Pointer[map[string]config.Module]
	slots   chan struct{}
	metrics metrics
}

// metrics are about the handler. The first three have blackbox_exporter's names.
type metrics struct {
	reloaded   prometheus.Gauge
	reloadTime prometheus.Gauge
	unknown    prometheus.Counter
	probes     *prometheus.CounterVec
	running    prometheus.Gauge
}

// New reads the modules. An error names the file.
func New(cfg Config) (*Handler, error) {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = DefaultConcurrency
	}
	h := &Handler{
		cfg:   cfg,
		slots: make(chan struct{}, cfg.Concurrency),
		metrics: metrics{
			reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "blackbox_exporter_config_last_reload_successful",
				Help: "1 if the last attempt to read the file of probe modules succeeded, 0 if it failed.",
			}),
			reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "blackbox_exporter_config_last_reload_success_timestamp_seconds",
				Help: "Time of the last successful reading of the probe modules.",
			}),
			unknown: prometheus.NewCounter(prometheus.CounterOpts{
				Name: "blackbox_module_unknown_total",
				Help: "Probes asked for with a module that does not exist.",
			}),
			probes: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "watchpost_probes_total",
				Help: "Probes by prober and result; refused is one that found no free place within its time.",
			}, []string{"prober", "result"}),
			running: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "watchpost_probes_running",
				Help: "Probes under way.",
			}),
		},
	}
	if err := h.Reload(); err != nil {
		return nil, err
	}
	m := &h.metrics
	cfg.Registry.MustRegister(m.reloaded, m.reloadTime, m.unknown, m.probes, m.running)
	return h, nil
}

// Reload reads the modules again. On an error the old ones go on.
func (h *Handler) Reload() error {
	modules, err := load(h.cfg.File)
	if err != nil {
		h.metrics.reloaded.Set(0)
		return err
	}
	h.modules.Store(&modules)
	h.metrics.reloaded.Set(1)
	h.metrics.reloadTime.SetToCurrentTime()
	return nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are served here", http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	name := query.Get("module")
	if name == "" {
		name = DefaultModule
	}
	module, ok := (*h.modules.Load())[name]
	if !ok {
		h.metrics.unknown.Inc()
		http.Error(w, fmt.Sprintf("Unknown module %q", name), http.StatusBadRequest)
		return
	}
	timeout, err := h.timeout(r.Header.Get(serve.ScrapeTimeoutHeader), module.Timeout)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := query.Get("target")
	if target == "" {
		http.Error(w, "Target parameter is missing", http.StatusBadRequest)
		return
	}
	if err := setHost(&module, query); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		h.metrics.probes.WithLabelValues(module.Prober, "refused").Inc()
		http.Error(w, "too many probes at the same time: none ended within this one's time", http.StatusServiceUnavailable)
		return
	}
	p := h.probe(ctx, name, module, target, query.Get("debug") == "true")
	if p.debug != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		fmt.Fprint(w, p.debug)
		return
	}
	promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// probed is what came of a probe.
type probed struct {
	registry *prometheus.Registry
	debug    string // the account of it, where that was asked for
}

// probe asks the target from the caller's slot, which is free again when it
// returns: soon after ctx has ended.
func (h *Handler) probe(ctx context.Context, name string, module config.Module, target string, debug bool) probed {
	h.metrics.running.Inc()
	defer func() {
		h.metrics.running.Dec()
		<-h.slots
	}()
	registry := prometheus.NewRegistry()
	success := prometheus.NewGauge(prometheus.GaugeOpts{Name: "probe_success", Help: "1 if the probe succeeded, 0 if it failed."})
	duration := prometheus.NewGauge(prometheus.GaugeOpts{Name: "probe_duration_seconds", Help: "How long the probe took."})
	registry.MustRegister(success, duration)
	account := newAccount(h.cfg.Log.Handler(), debug)
	log := slog.New(account).With("module", name, "target", target)

	start := time.Now()
	result := "failure"
	if prober.Probers[module.Prober](ctx, target, module, registry, log) {
		result = "success"
		success.Set(1)
	}
	took := time.Since(start).Seconds()
	duration.Set(took)
	log.Debug("Probed", "result", result, "seconds", took)
	h.metrics.probes.WithLabelValues(module.Prober, result).Inc()
	p := probed{registry: registry}
	if debug {
		shown := withoutSecrets(module)
		p.debug = prober.DebugOutput(&shown, bytes.NewBuffer(account.text()), registry)
	}
	return p
}

// timeout is the time for one probe: the module's own where that is shorter than
// what the scraper leaves, which header says in seconds.
func (h *Handler) timeout(header string, module time.Duration) (time.Duration, error) {
	limit := MaxTimeout
	if header != "" {
		seconds, err := strconv.ParseFloat(header, 64)
		if err != nil || !(seconds >= 0) {
			return 0, fmt.Errorf("%s: %q is not a number of seconds", serve.ScrapeTimeoutHeader, header)
		}
		if seconds > 0 && seconds < MaxTimeout.Seconds() {
			limit = time.Duration(seconds * float64(time.Second))
		}
	}
	if limit > h.cfg.TimeoutOffset {
		limit -= h.cfg.TimeoutOffset
	}
	if module > 0 && module < limit {
		limit = module
	}
	return limit, nil
}

// setHost applies the parameter hostname: the Host header of an http probe, the
// server's name of a tcp probe with TLS.
func setHost(m *config.Module, query url.Values) error {
	host := query.Get("hostname")
	switch {
	case host == "":
	case m.Prober == "http":
		headers := map[string]string{"Host": host}
		for name, value := range m.HTTP.Headers {
			if textproto.CanonicalMIMEHeaderKey(name) == "Host" {
				if value != host {
					return fmt.Errorf("the module sets the header Host to %q, the parameter hostname to %q", value, host)
				}
				continue
			}
			headers[name] = value
		}
		m.HTTP.Headers = headers // a new one: the module's own is shared by all probes
	case m.Prober == "tcp" && m.TCP.TLSConfig.ServerName == "":
		m.TCP.TLSConfig.ServerName = host
	}
	return nil
}
