// Command compare tells where node-agent says something else than node_exporter
// on the same host: families, types, label names, sets of series, and values. In what it
// prints the peer is the old, and ours the new.
//
// Each is asked in turn, ours always between two scrapes of the peer, so that the
// peer itself tells which series change by themselves. What never changes has to
// be equal; a counter that grew has to lie between; anything else that changes has
// to be of the same size. Help texts are not compared, and go_*, process_* and
// promhttp_* only by name, for information.
//
// It exits 1 at a difference that is not in the list of allowed ones (allowed.txt),
// each of which has its reason.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/command"
	"watchpost/internal/metricdiff"
	"watchpost/internal/run"
)

//go:embed allowed.txt
var builtinAllowed []byte

// options are what the command line says.
type options struct {
	peer, ours         string
	peerArgs, oursArgs string
	collectors         string
	allowed            string
	openMetrics        bool
	rounds             int
	pause              time.Duration
}

func main() {
	var o options
	const source = "an `executable` to start, an http:// address of metrics, or files of metrics, one for each scrape, separated by commas"
	flag.StringVar(&o.peer, "peer", "bin/node_exporter", "node_exporter: "+source)
	flag.StringVar(&o.ours, "ours", "bin/node-agent", "node-agent: "+source)
	flag.StringVar(&o.peerArgs, "peer-args", "", "further `flags` for a peer that is started, separated by blanks")
	flag.StringVar(&o.oursArgs, "ours-args", "", "further `flags` for ours, likewise")
	flag.StringVar(&o.collectors, "collectors", agent.Sixteen, "the `list` of collectors to run; \"default\" is what each program runs by itself")
	flag.StringVar(&o.allowed, "allowed", "", "`file` of allowed differences instead of the built-in one")
	flag.BoolVar(&o.openMetrics, "openmetrics", false, "ask for OpenMetrics rather than the plain text format")
	flag.IntVar(&o.rounds, "rounds", 3, "how often to ask: each `time` the peer, ours, the peer")
	flag.DurationVar(&o.pause, "pause", time.Second, "time between rounds")
	command.Main("bench/compare", func(ctx context.Context) error { return o.run(ctx, os.Stdout) })
}

func (o *options) run(ctx context.Context, out io.Writer) (err error) {
	if o.rounds < 1 || o.pause < 0 || flag.NArg() > 0 {
		return errors.New("needs at least one round, no negative pause and no further arguments")
	}
	list := builtinAllowed
	if o.allowed != "" {
		if list, err = os.ReadFile(o.allowed); err != nil {
			return err
		}
	}
	allowed, err := metricdiff.ParseAllowed(list)
	if err != nil {
		return fmt.Errorf("allowed differences: %w", err)
	}
	accept := agent.AcceptText
	if o.openMetrics {
		accept = agent.AcceptPrometheus
	}
	peer, err := open(ctx, o.peer, accept, agent.Flags(o.collectors, o.peerArgs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.stop()) }()
	ours, err := open(ctx, o.ours, accept, agent.Flags(o.collectors, o.oursArgs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	rounds, err := o.ask(ctx, peer, ours)
	if err != nil {
		return err
	}
	return report(out, rounds, allowed)
}

// ask takes the scrapes.
func (o *options) ask(ctx context.Context, peer, ours *source) ([]metricdiff.Round, error) {
	var rounds []metricdiff.Round
	for i := range o.rounds {
		if i > 0 {
			if err := run.Sleep(ctx, o.pause); err != nil {
				return nil, err
			}
		}
		var r metricdiff.Round
		for _, step := range []struct {
			from *source
			to   *metricdiff.Exposition
		}{{peer, &r.Before}, {ours, &r.New}, {peer, &r.After}} {
			text, err := step.from.scrape(ctx)
			if err != nil {
				return nil, err
			}
			if *step.to, err = metricdiff.Parse(text); err != nil {
				return nil, fmt.Errorf("%s: %w", step.from.name, err)
			}
		}
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// report prints what was found. The error says that some of it is not allowed.
func report(out io.Writer, rounds []metricdiff.Round, allowed []metricdiff.Allowance) error {
	w := bufio.NewWriter(out)
	s := metricdiff.Compare(rounds)
	fmt.Fprintf(w, "The peer has %d families with %d series, %d of which do not change.\n", s.Families, s.Series, s.Constant)
	wrong := 0
	for _, d := range s.Differences {
		if why := metricdiff.Reason(allowed, d); why != "" {
			fmt.Fprintf(w, "allowed  %-14s %s: %s (%s)\n", d.Kind, d.Subject, d.Detail, why)
			continue
		}
		wrong++
		fmt.Fprintf(w, "WRONG    %-14s %s: %s\n", d.Kind, d.Subject, d.Detail)
	}
	last := rounds[len(rounds)-1]
	fmt.Fprintf(w, "For information, of the programs' own families:\n  only the peer has: %v\n  only ours has: %v\n",
		metricdiff.OwnOnly(last.After, last.New), metricdiff.OwnOnly(last.New, last.After))
	fmt.Fprintf(w, "%d differences, %d of them not allowed.\n", len(s.Differences), wrong)
	if err := w.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d differences are not in the list of allowed ones", wrong)
	}
	return nil
}
