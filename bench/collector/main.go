// Command collector measures our collector beside Prometheus: both run side by side
// on one prometheus.yml and scrape the same targets, which this program plays, with
// values that move as those of hosts and containers do. It tells the memory and CPU of
// both, whether either missed a scrape or lost a sample, and how long they take to
// stop, to start again, and to start after kill -9. CPU is the running time of all
// threads by the scheduler's own account. docs/performance.md tells how to read
// the table.
//
// It exits 1 when a limit is exceeded or something failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"watchpost/bench/internal/command"
	"watchpost/internal/run"
)

// options are what the command line says.
type options struct {
	peer, ours         string
	peerArgs, oursArgs string
	targets, series    int
	interval, during   time.Duration
	dir                string
	restarts, limits   bool
}

func main() {
	var o options
	flag.StringVar(&o.peer, "peer", "bin/prometheus", "Prometheus' `executable`")
	flag.StringVar(&o.ours, "ours", "bin/collector", "collector's `executable`")
	flag.StringVar(&o.peerArgs, "peer-args", "", "further `flags` for the peer, separated by blanks")
	flag.StringVar(&o.oursArgs, "ours-args", "", "further `flags` for ours, separated by blanks")
	flag.IntVar(&o.targets, "targets", 400, "targets, each on a loopback address of its own")
	flag.IntVar(&o.series, "series", 400*760, "series of all targets together")
	flag.DurationVar(&o.interval, "interval", 10*time.Second, "between the scrapes of a target")
	flag.DurationVar(&o.during, "for", 10*time.Minute, "how long both run side by side")
	flag.StringVar(&o.dir, "dir", "", "`folder` for the stores of both; empty is a temporary one")
	flag.BoolVar(&o.restarts, "restarts", true, "stop and start both at the end")
	flag.BoolVar(&o.limits, "limits", false, "fail where a ratio is over what docs/performance.md promises, and at a gap")
	command.Main("bench/collector", o.run)
}

func (o *options) run(ctx context.Context) (err error) {
	if o.targets < 1 || o.targets > maxTargets || o.series < o.targets || o.interval < time.Second || o.during < 4*o.interval || flag.NArg() > 0 {
		return fmt.Errorf("needs 1 to %d targets with a series each, an interval of a second or more, four of them, and no further arguments", maxTargets)
	}
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "bench-collector-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	t, err := listen(o.targets, o.series/o.targets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	config, err := writeConfig(dir, o.interval, t.addresses)
	if err != nil {
		return err
	}
	peer := newRival(o.peer, dir, config, strings.Fields(o.peerArgs))
	ours := newRival(o.ours, dir, config, strings.Fields(o.oursArgs))
	both := []*rival{peer, ours}
	for _, r := range both {
		defer func() { err = errors.Join(err, r.close()) }()
	}
	fmt.Printf("%d targets with %d series each, every %s, for %s\n", o.targets, t.perTarget, o.interval, o.during)
	if err := o.measure(ctx, both, t); err != nil {
		return err
	}
	if o.restarts {
		for _, r := range both {
			if err := r.again(ctx, 2*o.interval); err != nil {
				return err
			}
		}
	}
	return table(os.Stdout, peer.cost, ours.cost, o.limits)
}

// measure lets both run side by side and looks what they have stored.
func (o *options) measure(ctx context.Context, both []*rival, t *targets) error {
	for _, r := range both {
		if _, err := r.start(ctx); err != nil {
			return err
		}
	}
	begun := time.Now()
	samples := int(max(60, o.during/(10*time.Second)))
	for i := range samples {
		if err := run.Sleep(ctx, time.Until(begun.Add(o.during*time.Duration(i+1)/time.Duration(samples)))); err != nil {
			return err
		}
		for _, r := range both {
			if err := r.sample(i == samples/2-1); err != nil {
				return err
			}
		}
		if i%10 == 9 {
			progress(begun, both)
		}
	}
	for _, r := range both {
		if err := r.settle(); err != nil {
			return err
		}
	}
	// The first scrapes are spread over the first interval; a second passes until the
	// last ones are surely stored.
	from, to := begun.Add(o.interval+5*time.Second), time.Now().Add(-time.Second)
	for _, r := range both {
		if err := r.inspect(ctx, from, to, o.interval, t); err != nil {
			return err
		}
	}
	return nil
}
