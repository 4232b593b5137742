// Command state-agent tells how the objects of a Kubernetes cluster are, in the
// metrics of kube-state-metrics.
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
	"watchpost/internal/run"
	"watchpost/internal/serve"
	"watchpost/internal/stateagent"
	"watchpost/internal/words"
	"watchpost/kube"
)

func main() { cli.Main(program, stateAgent) }

func stateAgent(ctx context.Context, args []string) error {
	f, command, err := parse(args)
	if err != nil {
		return cli.Usage(err)
	}
	if command == f.version {
		_, err := fmt.Println(version.Print(program))
		return err
	}
	log, err := f.app.Logger()
	if err != nil {
		return err
	}
	f.klog.warn(log)
	agent, err := stateagent.New(f.agent(args, log))
	if err != nil {
		return cli.Usage(err)
	}
	if command == f.check {
		return report(ctx, os.Stdout, agent)
	}
	if f.autoMemory {
		cli.LimitMemory(f.memoryRatio, log)
	}
	metrics, telemetry, err := f.listen(agent, log)
	if err != nil {
		return err
	}
	for _, u := range metrics.URLs() {
		log.Info("Serving metrics of the cluster", "url", u+"/metrics", "version", version.Version, "revision", version.GetRevision())
	}
	for _, u := range telemetry.URLs() {
		log.Info("Serving this program's own metrics and readiness", "url", u+"/metrics")
	}
	if err := cli.Settle(); err != nil {
		log.Debug("Not all was done that keeps the program small", "err", err)
	}
	return run.Run(ctx, log, metrics.Task(), telemetry.Task(), agent.Task())
}

// parse reads the command line and the file of options.
func parse(args []string) (f *flags, command string, err error) {
	f = newFlags()
	command, err = f.app.Parse(normalize(f, args))
	if err != nil {
		return f, "", err
	}
	if err := f.readOptions(); err != nil {
		return f, "", err
	}
	if err := f.klog.apply(); err != nil {
		return f, "", err
	}
	return f, command, f.checked()
}

// agent is the configuration of the agent, which reads the command line and the
// files again when one of them has changed.
func (f *flags) agent(args []string, log *slog.Logger) stateagent.Config {
	first := f
	return stateagent.Config{
		Auth: f.authFilter, Lookup: f.lookup, Log: log,
		Load: func() (stateagent.Settings, []stateagent.File, error) {
			if first != nil { // the start: it is read already
				f := first
				first = nil
				return f.load()
			}
			again, _, err := parse(args)
			if err != nil {
				return stateagent.Settings{}, again.files(), err
			}
			f.fixed(again, log)
			return again.load()
		},
	}
}

// listen makes both servers, with the agent's pages, and opens their addresses.
func (f *flags) listen(agent *stateagent.Agent, log *slog.Logger) (metrics, telemetry *serve.Server, err error) {
	forMetrics, forTelemetry := f.servers(log)
	forTelemetry.Guard = agent.Guard
	if metrics, err = serve.New(forMetrics); err != nil {
		return nil, nil, cli.Usage(err)
	}
	if telemetry, err = serve.New(forTelemetry); err != nil {
		return nil, nil, cli.Usage(err)
	}
	agent.Serve(metrics, telemetry)
	for _, s := range []*serve.Server{metrics, telemetry} {
		if err := s.Listen(); err != nil {
			return nil, nil, err
		}
	}
	return metrics, telemetry, nil
}

// report prints which resources can be read. The error says that some cannot.
func report(ctx context.Context, out io.Writer, agent *stateagent.Agent) error {
	reports, err := agent.Check(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	failed := 0
	for _, r := range reports {
		name := r.Resource
		if r.Namespace != "" {
			name += " in " + r.Namespace
		}
		switch {
		case r.Err != nil:
			failed++
			fmt.Fprintf(w, "%s\tFAILED\t%s\n", name, words.OneLine(r.Err))
		case len(r.Missing) > 0:
			failed++
			fmt.Fprintf(w, "%s\tFORBIDDEN\tto %s\n", name, strings.Join(r.Missing, " and "))
		case r.Absent:
			fmt.Fprintf(w, "%s\tnone\tthe API server does not know this resource\n", name)
		case r.Counted:
			fmt.Fprintf(w, "%s\tok\t%s\n", name, objects(r.Objects))
		default:
			fmt.Fprintf(w, "%s\tok\t%s or more\n", name, objects(r.Objects))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if rules := kube.Rules(reports); rules != "" {
		fmt.Fprintf(out, "\nTo grant what is forbidden, add these rules to a ClusterRole of this program's service account\n"+
			"(or to a Role in each namespace, with --namespaces), or leave the resources out by --resources:\n\n%s", rules)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d resources cannot be read", failed, len(reports))
	}
	return nil
}

func objects(n int64) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}
