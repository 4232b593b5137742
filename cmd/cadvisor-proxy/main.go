// Command cadvisor-proxy passes on the container metrics of a node: filtered, and with
// the pod on every series.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/version"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/proxyagent"
	"watchpost/internal/run"
	"watchpost/internal/serve"
	"watchpost/internal/words"
)

// program is the name of this program.
const program = "cadvisor-proxy"

func main() { cli.Main(program, cadvisorProxy) }

// rulesTimeout is how long the start waits for sources whose text label rules are
// tried on.
const rulesTimeout = 5 * time.Second

func cadvisorProxy(ctx context.Context, args []string) error {
	f := newFlags()
	command, err := f.app.Parse(args)
	if err != nil {
		return err
	}
	log, err := f.app.Logger()
	if err != nil {
		return err
	}
	cfg, err := f.config(os.Getenv, log)
	if err != nil {
		return cli.Usage(err)
	}
	f.app.LimitProcessors()
	agent, err := proxyagent.New(cfg)
	if err != nil {
		return cli.Usage(err)
	}
	if command == f.check {
		return report(ctx, os.Stdout, agent, cfg.PodsFrom != nil)
	}
	server, err := serve.New(f.app.Server(log))
	if err != nil {
		return cli.Usage(err)
	}
	limited, cancel := context.WithTimeout(ctx, rulesTimeout)
	err = agent.CheckRules(limited)
	cancel()
	if err != nil {
		return cli.Usage(err)
	}
	agent.Serve(server)
	if err := server.Listen(); err != nil {
		return err
	}
	for _, u := range server.URLs() {
		log.Info("Serving metrics", "url", u+"/metrics", "version", version.Version, "revision", version.GetRevision())
	}
	if err := cli.Settle(); err != nil {
		log.Debug("Not all was done that keeps the program small", "err", err)
	}
	return run.Run(ctx, log, append([]run.Task{server.Task()}, agent.Tasks()...)...)
}

// report prints what each source answers. The error says that some do not.
func report(ctx context.Context, out io.Writer, agent *proxyagent.Agent, pods bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*proxyagent.DefaultCeiling)
	defer cancel()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	total, failed := 0, 0
	tell := func(reports []proxyagent.Report) {
		total += len(reports)
		for _, r := range reports {
			if r.Err != nil {
				failed++
				fmt.Fprintf(w, "%s\tFAILED\t%s\n", r.Source, words.OneLine(r.Err))
				continue
			}
			fmt.Fprintf(w, "%s\tok\t%d of %d series are passed on; %s answers in %s\n", r.Source, r.Out, r.In, r.URL, r.Took.Round(time.Millisecond))
		}
	}
	tell(agent.Check(ctx))
	if pods {
		total++
		if n, err := agent.CheckPods(ctx); err != nil {
			failed++
			fmt.Fprintf(w, "pods\tFAILED\t%s\n", words.OneLine(err))
		} else {
			fmt.Fprintf(w, "pods\tok\t%d on this node\n", n)
		}
		tell(agent.CheckAnnotated(ctx))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cannot be used", failed, total)
	}
	return nil
}
