// Command node-agent tells how a Linux host is, in the metrics of node_exporter.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/collectors"
	"watchpost/internal/consul"
	"watchpost/internal/nodeagent"
	"watchpost/internal/run"
	"watchpost/internal/serve"
)

func main() { cli.Main("node-agent", nodeAgent) }

func nodeAgent(ctx context.Context, args []string) error {
	p, err := build(args)
	if err != nil {
		return p.flags.app.Blame(err, func(without string) error {
			_, err := build(args, without)
			return err
		})
	}
	switch p.command {
	case p.flags.check:
		return report(os.Stdout, p.agent.Check(ctx))
	case p.flags.checkConfig:
		file, n := p.flags.app.Settings()
		_, err := fmt.Printf("%s: %d settings, no mistakes\n", file, n)
		return err
	}
	if err := p.server.Listen(); err != nil {
		return err
	}
	tasks := []run.Task{p.server.Task()}
	if p.consul != nil {
		if err := p.consul.Listening(p.server.URLs()); err != nil {
			return cli.Usage(err)
		}
		tasks = append(tasks, p.consul.Task())
	}
	announce(p.log, p.server, *p.flags.metricsPath, p.enabled)
	if err := cli.Settle(); err != nil {
		p.log.Debug("Memory used by starting up was not given back", "err", err)
	}
	return run.Run(ctx, p.log, tasks...)
}

// program is what the command line and the configuration file ask for, before
// anything is started.
type program struct {
	flags   *flags
	command string
	log     *slog.Logger
	agent   *nodeagent.Agent
	enabled []string // names of collectors
	server  *serve.Server
	consul  *consul.Registration // nil where that is not asked for
}

// build makes the program, which also checks all that was asked for. Settings of
// the configuration file for the flags in without are left out, and nothing is
// logged then: that is for finding out which of them is wrong.
func build(args []string, without ...string) (*program, error) {
	p := &program{flags: newFlags()}
	app := p.flags.app
	for _, name := range without {
		app.Without(name)
	}
	var err error
	if p.command, err = app.Parse(args); err != nil {
		return p, err
	}
	if p.log, err = app.Logger(); err != nil {
		return p, err
	}
	if len(without) > 0 {
		p.log = slog.New(slog.DiscardHandler)
	}
	cfg, err := p.flags.config(p.log)
	if err != nil {
		return p, cli.Usage(err)
	}
	app.LimitProcessors()
	p.enabled = cfg.Enabled
	if p.agent, err = nodeagent.New(cfg); err != nil {
		return p, cli.Usage(err)
	}
	if p.server, err = serve.New(app.Server(p.log)); err != nil {
		return p, cli.Usage(err)
	}
	if p.consul, err = p.flags.registration(p.log); err != nil {
		return p, cli.Usage(err)
	}
	if p.consul != nil {
		p.agent.Count(p.consul.Collectors()...)
	}
	p.server.Handle(*p.flags.metricsPath, p.agent.Metrics())
	if *p.flags.metricsPath != "/" {
		p.server.SetLanding(p.agent.Landing(*p.flags.metricsPath))
	}
	return p, nil
}

func announce(log *slog.Logger, server *serve.Server, path string, enabled []string) {
	for _, u := range server.URLs() {
		log.Info("Serving node metrics", "url", u+path, "version", version.Version, "revision", version.GetRevision())
	}
	log.Info("Collectors", "enabled", strings.Join(enabled, ","))
}

// report prints what the collectors can read here. The error says that some failed.
func report(out io.Writer, reports []collectors.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	failed, advised := 0, ""
	for _, r := range reports {
		switch {
		case r.Err == nil && r.Series == 0:
			fmt.Fprintf(w, "%s\tnone\t%s: the host has none\n", r.Name, r.About)
		case r.Err == nil:
			fmt.Fprintf(w, "%s\tok\t%s: %d series\n", r.Name, r.About, r.Series)
		case r.Absent():
			fmt.Fprintf(w, "%s\tnone\t%s: %v\n", r.Name, r.About, r.Err)
			advised = r.Advice
		default:
			failed++
			fmt.Fprintf(w, "%s\tFAILED\t%s: %v\n", r.Name, r.About, r.Err)
			if r.Advice != "" {
				fmt.Fprintf(w, "\t\t-> %s\n", r.Advice)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if advised != "" { // the same for all of them
		fmt.Fprintf(out, "\nWhere it says none: %s.\n", advised)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d collectors failed", failed, len(reports))
	}
	return nil
}
