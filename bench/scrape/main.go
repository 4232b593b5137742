// Command scrape measures what a scrape of node-agent costs beside one of
// node_exporter: both run on this host at the same time, with the same
// collectors, and are asked in turn with Prometheus' own headers. CPU is the
// running time of all threads by the scheduler's own account, and is everything
// the process did between the first scrape and the last: garbage collection and
// timers too. docs/performance.md tells how to read the table.
//
// It exits 1 when a limit that was given is exceeded or something failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/command"
)

// options are what the command line says.
type options struct {
	peer, ours         string
	peerArgs, oursArgs string
	collectors         string
	scrapes, runs      int
	interval, timeout  time.Duration
	veth               int
	inside             bool
	maxRatio, maxRSS   float64
}

func main() {
	var o options
	flag.StringVar(&o.peer, "peer", "bin/node_exporter", "node_exporter's `executable`")
	flag.StringVar(&o.ours, "ours", "bin/node-agent", "node-agent's `executable`")
	flag.StringVar(&o.peerArgs, "peer-args", "", "further `flags` for the peer, separated by blanks")
	flag.StringVar(&o.oursArgs, "ours-args", "", "further `flags` for ours, separated by blanks")
	flag.StringVar(&o.collectors, "collectors", agent.Sixteen, "the `list` of collectors to run; \"default\" is what each program runs by itself")
	flag.IntVar(&o.scrapes, "scrapes", 100, "scrapes of each program in a run, the first included")
	flag.IntVar(&o.runs, "runs", 5, "runs, each with programs newly started; the medians count")
	flag.DurationVar(&o.interval, "interval", 20*time.Millisecond, "pause after each pair of scrapes; scrapes in a row without one are a burst, which ours delays to share")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Second, "what the scrapes tell as their timeout")
	flag.IntVar(&o.veth, "netns-veth", 0, "run in a network namespace of their own with this `number` of veth pairs (needs root and ip)")
	flag.BoolVar(&o.inside, "netns-inside", false, "used by the program itself: the namespace is there, fill it")
	flag.Float64Var(&o.maxRatio, "max-cpu-ratio", 0, "fail where ours needs more than this share of the peer's CPU; 0 is no limit")
	flag.Float64Var(&o.maxRSS, "max-rss", 0, "fail where ours needs more `MB` (10^6 bytes) after the scrapes; 0 is no limit")
	command.Main("bench/scrape", o.run)
}

func (o *options) run(ctx context.Context) error {
	if o.scrapes < 2 || o.runs < 1 || o.veth < 0 || o.interval < 0 || o.timeout <= 0 || flag.NArg() > 0 {
		return errors.New("needs at least 2 scrapes and 1 run, no negative number and no further arguments")
	}
	if o.veth > 0 {
		if !o.inside {
			return reexec(ctx)
		}
		if err := fillNamespace(ctx, o.veth); err != nil {
			return err
		}
	}
	fmt.Printf("%d runs of %d scrapes each, in turn; collectors: %s\n", o.runs, o.scrapes, o.collectors)
	if o.veth > 0 {
		fmt.Printf("network namespace with %d veth pairs\n", o.veth)
	}
	var peer, ours []cost
	for i := range o.runs {
		p, u, err := o.pair(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("run %d: CPU a scrape %.3f ms against %.3f ms, ratio %.4f\n", i+1, ms(u.cpu), ms(p.cpu), ratio(u, p))
		peer, ours = append(peer, p), append(ours, u)
	}
	fmt.Println()
	if err := table(os.Stdout, peer, ours); err != nil {
		return err
	}
	return o.judge(peer, ours)
}

// judge holds the medians against the limits.
func (o *options) judge(peer, ours []cost) error {
	var errs []error
	if r := median(ratios(ours, peer)); o.maxRatio > 0 && r > o.maxRatio {
		errs = append(errs, fmt.Errorf("CPU ratio %.4f is over the limit of %g", r, o.maxRatio))
	}
	if m := median(each(ours, rssMB)); o.maxRSS > 0 && m > o.maxRSS {
		errs = append(errs, fmt.Errorf("%.1f MB are over the limit of %g", m, o.maxRSS))
	}
	return errors.Join(errs...)
}
