package main

// What other programs do beside a Prometheus, in this process where a flag asks
// for it: probes, as blackbox_exporter.

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/probe"
	"watchpost/internal/promstack"
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

// gatewayOptions are what their flags say; nil is off.
type gatewayOptions struct {
	probe          *probe.Config
	probeAddresses []string
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
	log    *slog.Logger
}

// gateways makes them.
func (o options) gateways(engine *promstack.Engine, own *prometheus.Registry, log *slog.Logger) (parts, error) {
	p := parts{engine: engine, log: log}
	if o.gateway.probe == nil {
		return p, nil
	}
	cfg := *o.gateway.probe
	cfg.Registry = own
	var err error
	if p.probe, err = probe.New(cfg); err != nil {
		return p, cli.Usage(fmt.Errorf("--probe.config.file: %w", err))
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

// route serves them on the collector's own address.
func (p parts) route(s *serve.Server, prefix string) {
	if p.probe != nil {
		s.Handle("GET "+prefix+"/probe", p.probe)
	}
}

// servers are those at addresses of their own.
func (o options) gatewayServers(p parts, own http.Handler) ([]named, error) {
	if len(o.gateway.probeAddresses) == 0 {
		return nil, nil
	}
	s, err := o.server("probe", "--probe.listen-address", o.gateway.probeAddresses)
	if err != nil {
		return nil, err
	}
	s.Handle("GET /probe", p.probe)
	s.Handle("GET /metrics", own)
	s.Handle("GET /-/healthy", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Healthy") }))
	return []named{{s, "probes", "/probe"}}, nil
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
