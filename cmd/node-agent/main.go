// Command node-agent tells how a Linux host is, in the metrics of node_exporter.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/collectors"
	"watchpost/internal/nodeagent"
	"watchpost/internal/run"
	"watchpost/internal/serve"
)

func main() { cli.Main("node-agent", nodeAgent) }

func nodeAgent(ctx context.Context, args []string) error {
	f := newFlags()
	command, err := f.app.Parse(args)
	if err != nil {
		return err
	}
	log, err := f.app.Logger()
	if err != nil {
		return err
	}
	cfg, err := f.config(log)
	if err != nil {
		return cli.Usage(err)
	}
	runtime.GOMAXPROCS(*f.maxProcs)
	agent, err := nodeagent.New(cfg)
	if err != nil {
		return cli.Usage(err)
	}
	if command == f.check {
		return report(os.Stdout, agent.Check(ctx))
	}

	server, err := serve.New(f.app.Server(log))
	if err != nil {
		return cli.Usage(err)
	}
	server.Handle(*f.metricsPath, agent.Metrics())
	if *f.metricsPath != "/" {
		server.SetLanding(agent.Landing(*f.metricsPath))
	}
	if err := server.Listen(); err != nil {
		return err
	}
	announce(log, server, *f.metricsPath, cfg.Enabled)
	if err := cli.Settle(); err != nil {
		log.Debug("Memory used by starting up was not given back", "err", err)
	}
	return run.Run(ctx, log, server.Task())
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
	failed := 0
	for _, r := range reports {
		switch {
		case r.Err == nil:
			fmt.Fprintf(w, "%s\tok\t%s: %d families, %d series\n", r.Name, r.About, r.Families, r.Series)
			continue
		case r.Absent():
			fmt.Fprintf(w, "%s\tnothing\t%s: %v\n", r.Name, r.About, r.Err)
		default:
			failed++
			fmt.Fprintf(w, "%s\tFAILED\t%s: %v\n", r.Name, r.About, r.Err)
		}
		if r.Advice != "" {
			fmt.Fprintf(w, "\t\t-> %s\n", r.Advice)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d collectors failed", failed, len(reports))
	}
	return nil
}
