// Command collector finds the agents of the suite and everything else that a
// prometheus.yml names, scrapes them, keeps the samples, answers PromQL, sends
// alerts and shows a page.
package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/promstack"
	"watchpost/internal/run"
	"watchpost/internal/serve"
)

func main() { cli.Main("collector", collect) }

func collect(ctx context.Context, args []string) error {
	f := newFlags()
	command, err := f.app.Parse(args)
	if err != nil {
		return err
	}
	for _, t := range f.tools {
		if t.command == command {
			return t.run(ctx, os.Stdout)
		}
	}
	log, err := f.app.Logger()
	if err != nil {
		return err
	}
	o, err := f.options(log)
	if err != nil {
		return cli.Usage(err)
	}
	switch command {
	case f.checkConfig:
		return checkConfig(os.Stdout, *f.checkFile, o.engine.Query)
	case f.printConfig:
		return printConfig(os.Stdout, o)
	}

	own, trash := ownMetrics(), newGarbage(log)
	o.engine.Registry, o.engine.Tune = own, f.tune(trash, log)
	engine, err := promstack.New(o.engine)
	if err != nil {
		return cli.Usage(err)
	}
	cli.LimitMemory(o.memoryShare, log)
	quit := make(chan struct{}, 1)
	parts, err := o.gateways(engine, own, log)
	if err != nil {
		return err
	}
	servers, err := o.servers(parts, own, quit, log)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := s.server.Listen(); err != nil {
			return err
		}
	}

	tasks := parts.tasks()
	if o.memoryShare > 0 && o.memoryEach > 0 {
		tasks = append(tasks, o.memoryTask(log))
	}
	for _, s := range servers {
		tasks = append(tasks, s.server.Task())
	}
	if o.pod != "" {
		shard, err := o.shardTask(engine, log)
		if err != nil {
			return err
		}
		tasks = append(tasks, shard)
	}
	tasks = append(tasks, trash.task(), o.reload(parts, log), o.engineTask(engine, trash.open), announce(log, servers), endOn(quit))
	return run.Run(ctx, log, tasks...)
}

// announce tells, once everything is ready, where it is.
func announce(log *slog.Logger, servers []named) run.Task {
	return run.Task{Name: "announcement", Run: func(ctx context.Context, ready func()) error {
		for _, s := range servers {
			for _, u := range s.server.URLs() {
				if strings.Contains(u, "://") { // and not a socket file
					u += s.path
				}
				log.Info("Ready: "+s.what, "url", u, "version", version.Version)
			}
		}
		ready()
		<-ctx.Done()
		return nil
	}}
}

// memoryTask follows the memory limit, which may change while the program runs.
func (o options) memoryTask(log *slog.Logger) run.Task {
	return run.Task{Name: "memory limit", Run: func(ctx context.Context, ready func()) error {
		tick := time.NewTicker(o.memoryEach)
		defer tick.Stop()
		ready()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				cli.LimitMemory(o.memoryShare, log)
			}
		}
	}}
}

// endOn ends the program when quit says so.
func endOn(quit <-chan struct{}) run.Task {
	return run.Task{Name: "end", Run: func(ctx context.Context, ready func()) error {
		ready()
		select {
		case <-quit:
		case <-ctx.Done():
		}
		return nil
	}}
}

// named is a server with what is found on it and where, for the announcement.
type named struct {
	server *serve.Server
	what   string
	path   string
}
