package main

import (
	"fmt"
	"log/slog"
	"os"

	"watchpost/internal/consul"
)

// consulFlags declares the flags for registration in Consul, and returns what
// makes the registration from them: none unless it is asked for.
func (f *flags) consulFlags() func(log *slog.Logger) (*consul.Registration, error) {
	cfg := consul.Config{}
	node, err := os.Hostname()
	if err != nil {
		node = "" // then it has to be said by the flag
	}
	app := f.app
	app.Flag("consul.register", "Consul agent to register with: http://host:8500, https://host:8501 or unix:///path. None unless given.").PlaceHolder("ADDRESS").StringVar(&cfg.Address)
	app.Flag("consul.service", "Name of the service in Consul.").Default("node-agent").StringVar(&cfg.Service)
	app.Flag("consul.node", "This host's name, in the service's id and its meta node; the host name unless given.").PlaceHolder("NAME").StringVar(&cfg.Node)
	app.Flag("consul.ip", "Address under which others reach this program. Unless given, the one that it listens on, or that it reaches Consul from, or that of Consul's agent.").PlaceHolder("IP").StringVar(&cfg.IP)
	app.Flag("consul.port", "Port under which others reach this program; the one that it listens on unless given.").Default("0").IntVar(&cfg.Port)
	app.Flag("consul.tag", "A tag of the service. Repeatable.").PlaceHolder("TAG").StringsVar(&cfg.Tags)
	meta := app.Flag("consul.meta", "A name=value of the service, beside node, scheme and metrics_path. Repeatable.").PlaceHolder("NAME=VALUE").StringMap()
	app.Flag("consul.token-file", "File with Consul's ACL token; read at each call.").PlaceHolder("FILE").StringVar(&cfg.TokenFile)
	app.Flag("consul.check", "How Consul checks the service: by GET /healthz, by a connection, or not.").Default(consul.CheckHTTP).
		EnumVar(&cfg.Check, consul.CheckHTTP, consul.CheckTCP, consul.CheckNone)
	app.Flag("consul.check-interval", "How often Consul checks the service.").Default("15s").DurationVar(&cfg.Interval)
	app.Flag("consul.check-timeout", "How long a check may take.").Default("5s").DurationVar(&cfg.Timeout)
	app.Flag("consul.deregister-critical-after", "How long checks may fail until Consul removes the service; 0s is for ever, so that the failure stays visible.").
		Default("0s").DurationVar(&cfg.DeregisterAfter)
	return func(log *slog.Logger) (*consul.Registration, error) {
		if cfg.Address == "" {
			return nil, nil
		}
		if cfg.Node == "" {
			cfg.Node = node
		}
		cfg.Meta, cfg.MetricsPath, cfg.Log = *meta, *f.metricsPath, log
		r, err := consul.New(cfg)
		if err != nil {
			return nil, fmt.Errorf("--consul.register: %w", err)
		}
		return r, nil
	}
}
