package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/collectors"
	"watchpost/internal/nodeagent"
	"watchpost/internal/promstack"
	"watchpost/internal/run"
	"watchpost/internal/serve"
	"watchpost/internal/webui"
)

// maxScrapes of the collector's own metrics are answered at the same time.
const maxScrapes = 40

// ownMetrics is the registry of everything the collector says about itself.
func ownMetrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		promcollectors.NewGoCollector(),
		promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("watchpost_collector"),
	)
	return reg
}

// ownHandler serves what the collector says about itself.
func ownHandler(own *prometheus.Registry) http.Handler {
	return promhttp.InstrumentMetricHandler(own, promhttp.HandlerFor(own, promhttp.HandlerOpts{
		Registry:            own,
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	}))
}

// servers are those of the node-agent, where it is in this process, and of the
// collector itself.
func (o options) servers(p parts, own *prometheus.Registry, quit chan<- struct{}, log *slog.Logger) ([]named, error) {
	var all []named
	if o.node != nil {
		node, err := o.node.server(log)
		if err != nil {
			return nil, err
		}
		all = append(all, named{node, "node metrics", "/metrics"})
	}
	web, err := serve.New(o.web)
	if err != nil {
		return nil, cli.Usage(err)
	}
	web.ReadyWhen("engine", p.engine.Ready)
	metrics := ownHandler(own)
	o.routes(web, p, metrics, quit)
	more, err := o.gatewayServers(p, metrics)
	if err != nil {
		return nil, err
	}
	all = append(all, more...)
	return append(all, named{web, "collector", o.prefix + "/"}), nil
}

// server is the one of the node-agent, with its default collectors.
func (n *nodeOptions) server(log *slog.Logger) (*serve.Server, error) {
	cfg := collectors.DefaultConfig()
	cfg.FS = n.host
	agent, err := nodeagent.New(nodeagent.Config{
		Collectors:  cfg,
		Enabled:     nodeagent.DefaultEnabled(),
		MaxRequests: nodeagent.DefaultMaxRequests,
		Ceiling:     nodeagent.DefaultCeiling,
		HideSelf:    true, // go_ and process_ are of this process, and told by the job collector
		Log:         log.With("component", "node-agent"),
	})
	if err != nil {
		return nil, err
	}
	s, err := serve.New(n.web)
	if err != nil {
		return nil, cli.Usage(err)
	}
	s.Handle("/metrics", agent.Metrics())
	s.SetLanding(agent.Landing("/metrics"))
	return s, nil
}

// routes lays out the collector's paths, all of them below the prefix.
func (o options) routes(s *serve.Server, parts parts, metrics http.Handler, quit chan<- struct{}) {
	p, engine := o.prefix, parts.engine
	s.Handle("GET "+p+"/-/healthy", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "The collector is healthy.")
	}))
	s.Handle("GET "+p+"/-/ready", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := engine.Ready(); err != nil {
			http.Error(w, "The collector is not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "The collector is ready.")
	}))
	s.Handle(p+"/-/reload", o.lifecycleOnly(func(w http.ResponseWriter, _ *http.Request) {
		switch err := parts.Reload(); {
		case errors.Is(err, promstack.ErrNotRunning):
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		case err != nil:
			http.Error(w, "failed to reload config: "+err.Error(), http.StatusInternalServerError)
		}
	}))
	s.Handle(p+"/-/quit", o.lifecycleOnly(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Stopping.")
		select {
		case quit <- struct{}{}:
		default: // already said
		}
	}))
	s.Handle("GET "+p+"/metrics", metrics)
	s.Handle("GET "+p+"/federate", engine.Federate())
	parts.route(s, p)
	api := http.StripPrefix(p+"/api/v1", engine.Handler())
	s.Handle(p+"/api/v1/", api)
	s.Handle(p+"/api/v1/admin/", sameSite(api))
	s.Handle(p+"/api/page/", http.StripPrefix(p+"/api/page", pageAPI(engine)))
	s.Handle(p+"/", http.StripPrefix(p, webui.Handler(webui.Options{Version: version.Version, Prefix: prefix(o.engine.API.ExternalURL.Path)})))
	if p != "" {
		s.Handle("GET /{$}", http.RedirectHandler(p+"/", http.StatusFound))
	}
}

// sameSite refuses what a page of another site asks for in the operator's
// browser.
func sameSite(h http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(h)
}

// lifecycleOnly lets POST and PUT through where the operator has allowed it.
func (o options) lifecycleOnly(h http.HandlerFunc) http.Handler {
	return sameSite(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost && r.Method != http.MethodPut:
			w.Header().Set("Allow", "POST, PUT")
			http.Error(w, "Only POST or PUT requests allowed", http.StatusMethodNotAllowed)
		case !o.lifecycle:
			http.Error(w, "Lifecycle API is not enabled.", http.StatusForbidden)
		default:
			h(w, r)
		}
	}))
}

// reload takes the configuration over again at each SIGHUP, and when its files
// change where that is asked for.
func (o options) reload(p parts, log *slog.Logger) run.Task {
	return run.Task{Name: "reload", Run: func(ctx context.Context, ready func()) error {
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		var look <-chan time.Time
		if o.reloadEach > 0 {
			ticker := time.NewTicker(o.reloadEach)
			defer ticker.Stop()
			look = ticker.C
		}
		sum, err := p.checksum(o.engine.Source)
		if err != nil {
			return cli.Usage(err)
		}
		ready()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hangup:
			case <-look:
				// What cannot be read is told by the reload, once: its sum is "".
				now, _ := p.checksum(o.engine.Source)
				if now == sum {
					continue
				}
				sum = now
			}
			// What is wrong with a configuration is logged where it is read.
			if err := p.Reload(); errors.Is(err, promstack.ErrNotRunning) {
				log.Warn("Too early or too late for a reload")
			}
		}
	}}
}

// engineTask runs the engine. Its stop may take as long as remote write needs to
// send what it has queued, and the snapshot of a large storage.
func (o options) engineTask(engine *promstack.Engine, opened func()) run.Task {
	return run.Task{Name: "engine", Grace: o.engine.Remote.FlushDeadline + time.Minute,
		Run: func(ctx context.Context, ready func()) error {
			return engine.Run(ctx, func() { opened(); ready() })
		}}
}
