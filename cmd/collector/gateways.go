package main

// What other programs do beside a Prometheus, in this process where a flag asks
// for it: probes, as blackbox_exporter; taking what is pushed, as pushgateway.

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/probe"
	"watchpost/internal/promstack"
	"watchpost/internal/push"
	"watchpost/internal/run"
	"watchpost/internal/serve"
)

// probeFlags are those of the probes.
type probeFlags struct {
	on          *bool
	file        *string
	addresses   *[]string
	offset      *float64
	concurrency *int
}

func (f *probeFlags) declare(app *cli.App) {
	f.on = app.Flag("probe", "Answer /probe?target=…&module=…, as blackbox_exporter does: http, tcp, icmp, dns, grpc, unix.").Bool()
	f.file = app.Flag("probe.config.file", "blackbox_exporter's file of modules, in place of the built-in ones. Implies --probe.").PlaceHolder("FILE").String()
	f.addresses = app.Flag("probe.listen-address", "Answer /probe at a further address too, such as blackbox_exporter's :9115. Implies --probe. Repeatable.").PlaceHolder("ADDRESS").Strings()
	f.offset = app.Flag("probe.timeout-offset", "Seconds by which a probe ends before its scraper gives up.").Default("0.5").Float64()
	f.concurrency = app.Flag("probe.max-concurrency", "Probes at the same time; others wait within their time.").Default(strconv.Itoa(probe.DefaultConcurrency)).Int()
}

// pushFlags are those of pushed metrics.
type pushFlags struct {
	on                   *bool
	addresses            *[]string
	file                 *string
	interval             *time.Duration
	utf8                 *bool
	maxBody              units.Base2Bytes
	maxGroups, maxSeries *int
}

func (f *pushFlags) declare(app *cli.App) {
	f.on = app.Flag("push", "Take metrics from short-lived jobs at /metrics/job/…, as pushgateway does, and show them at /push/metrics.").Bool()
	f.addresses = app.Flag("push.listen-address", "Do so at a further address too, with pushgateway's own paths, such as its :9091. Implies --push. Repeatable.").PlaceHolder("ADDRESS").Strings()
	f.file = app.Flag("push.persistence.file", "Where pushed metrics survive a restart, in pushgateway's format; the file pushed in the folder of the samples unless given.").PlaceHolder("FILE").String()
	f.interval = app.Flag("push.persistence.interval", "The longest that a push waits for being written to that file.").Default(push.DefaultInterval.String()).Duration()
	f.utf8 = app.Flag("push.enable-utf8-names", "Take any UTF-8 in names of pushed metrics and labels.").Bool()
	app.Flag("push.max-body-size", "Size of one push, decompressed.").Default("16MB").BytesVar(&f.maxBody)
	f.maxGroups = app.Flag("push.max-groups", "Groups of pushed metrics.").Default(strconv.Itoa(push.DefaultMaxGroups)).Int()
	f.maxSeries = app.Flag("push.max-series", "Series of all pushed metrics.").Default(strconv.Itoa(push.DefaultMaxSeries)).Int()
}

func (f *pushFlags) options(dataDir string, log *slog.Logger) (*push.Config, error) {
	if !*f.on && len(*f.addresses) == 0 {
		return nil, nil
	}
	for flag, n := range map[string]int64{"push.max-body-size": int64(f.maxBody), "push.max-groups": int64(*f.maxGroups), "push.max-series": int64(*f.maxSeries)} {
		if n < 1 {
			return nil, fmt.Errorf("--%s %d must be at least 1", flag, n)
		}
	}
	if *f.interval <= 0 {
		return nil, fmt.Errorf("--push.persistence.interval %s must be above 0", *f.interval)
	}
	return &push.Config{
		File:      cmp.Or(*f.file, filepath.Join(dataDir, "pushed")),
		Interval:  *f.interval,
		MaxBody:   int64(f.maxBody),
		MaxGroups: *f.maxGroups,
		MaxSeries: *f.maxSeries,
		UTF8Names: *f.utf8,
		Log:       log.With("component", "push"),
	}, nil
}

// gateways checks the flags of both.
func (f *flags) gateways(o *options, log *slog.Logger) (err error) {
	g := &o.gateway
	if g.probe, err = f.probe.options(log); err != nil {
		return err
	}
	if g.probe != nil {
		// An answer may take as long as its probe, and then some for sending.
		o.web.WriteTimeout = max(o.web.WriteTimeout, probe.MaxTimeout+serve.WriteTimeout/2)
	}
	if g.push, err = f.push.options(*f.dataDir, log); err != nil {
		return err
	}
	if g.push != nil {
		g.push.Admin, g.push.Flags = *f.admin, f.values()
	}
	g.probeAddresses, g.pushAddresses = *f.probe.addresses, *f.push.addresses
	return nil
}

// gatewayOptions are what their flags say; nil is off.
type gatewayOptions struct {
	probe          *probe.Config
	probeAddresses []string
	push           *push.Config
	pushAddresses  []string
}

func (f *probeFlags) options(log *slog.Logger) (*probe.Config, error) {
	if !*f.on && *f.file == "" && len(*f.addresses) == 0 {
		return nil, nil
	}
	if !(*f.offset >= 0 && *f.offset <= probe.MaxTimeout.Seconds()) {
		return nil, fmt.Errorf("--probe.timeout-offset %g must be from 0 to %g", *f.offset, probe.MaxTimeout.Seconds())
	}
	if *f.concurrency < 1 {
		return nil, fmt.Errorf("--probe.max-concurrency %d must be at least 1", *f.concurrency)
	}
	return &probe.Config{
		File:          *f.file,
		TimeoutOffset: time.Duration(*f.offset * float64(time.Second)),
		Concurrency:   *f.concurrency,
		Log:           log.With("component", "probe"),
	}, nil
}

// parts are what the collector consists of, for what concerns all of them.
type parts struct {
	engine *promstack.Engine
	probe  *probe.Handler // nil: off
	push   *push.Gateway  // nil: off
	log    *slog.Logger
}

// gateways makes them.
func (o options) gateways(engine *promstack.Engine, own *prometheus.Registry, log *slog.Logger) (parts, error) {
	p := parts{engine: engine, log: log}
	var err error
	if o.gateway.probe != nil {
		cfg := *o.gateway.probe
		cfg.Registry = own
		if p.probe, err = probe.New(cfg); err != nil {
			return p, cli.Usage(fmt.Errorf("--probe.config.file: %w", err))
		}
	}
	if o.gateway.push != nil {
		cfg := *o.gateway.push
		cfg.Registry = own
		cfg.Build = map[string]string{
			"version": version.Version, "revision": version.GetRevision(), "branch": version.Branch,
			"buildUser": version.BuildUser, "buildDate": version.BuildDate, "goVersion": version.GoVersion,
		}
		if p.push, err = push.New(cfg); err != nil {
			return p, cli.Usage(fmt.Errorf("--push.persistence.file: %w", err))
		}
	}
	return p, nil
}

// Reload takes the configuration and the probe modules over again. Each goes on
// with its old one where the new one is broken, whatever the other does.
func (p parts) Reload() error {
	err := p.engine.Reload()
	if p.probe == nil || errors.Is(err, promstack.ErrNotRunning) {
		return err
	}
	modules := p.probe.Reload()
	if modules != nil {
		p.log.Error("The new probe modules were not taken over, the old ones go on", "err", modules)
		modules = fmt.Errorf("probe modules: %w", modules)
	}
	return errors.Join(err, modules)
}

// checksum changes when one of the files does.
func (p parts) checksum(source promstack.Source) (string, error) {
	sum, err := source.Checksum()
	if err != nil || p.probe == nil {
		return sum, err
	}
	modules, err := p.probe.Checksum()
	return sum + " " + modules, err
}

// pushPath is what comes before pushgateway's paths on the collector's own address.
const pushPath = "/push"

// route serves them on the collector's own address.
func (p parts) route(s *serve.Server, prefix string) {
	if p.probe != nil {
		s.Handle("GET "+prefix+"/probe", p.probe)
	}
	if p.push != nil {
		for _, path := range []string{"/metrics/job/", "/metrics/job@base64/"} {
			s.HandleRaw(prefix+path, http.StripPrefix(prefix+"/metrics", p.push.Pushes()))
		}
		s.HandleRaw(prefix+pushPath+"/", http.StripPrefix(prefix+pushPath, p.push.Handler()))
	}
}

// tasks are those that end after the servers: what was pushed until then is kept.
func (p parts) tasks() []run.Task {
	if p.push == nil {
		return nil
	}
	return []run.Task{p.push.Task()}
}

// gatewayServers are those at addresses of their own, with the paths that the
// programs replaced have there.
func (o options) gatewayServers(p parts, own http.Handler) (all []named, err error) {
	if a := o.gateway.probeAddresses; len(a) > 0 {
		s, err := o.server("probes", "--probe.listen-address", a)
		if err != nil {
			return nil, err
		}
		s.Handle("GET /probe", p.probe)
		s.Handle("GET /metrics", own)
		s.Handle("GET /-/healthy", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Healthy") }))
		all = append(all, named{s, "probes", "/probe"})
	}
	if a := o.gateway.pushAddresses; len(a) > 0 {
		s, err := o.server("pushed metrics", "--push.listen-address", a)
		if err != nil {
			return nil, err
		}
		h := p.push.Handler()
		for _, path := range []string{"/metrics", "/api/v1/", "/-/"} {
			s.HandleRaw(path, h)
		}
		all = append(all, named{s, "pushed metrics", "/metrics"})
	}
	return all, nil
}

// server is one more, with the limits and the web configuration of the
// collector's own.
func (o options) server(program, flag string, addresses []string) (*serve.Server, error) {
	web := o.web
	web.Program, web.Addresses, web.AddressFlag, web.SystemdSocket, web.Pprof = program, addresses, flag, false, false
	s, err := serve.New(web)
	if err != nil {
		return nil, cli.Usage(err)
	}
	return s, nil
}
