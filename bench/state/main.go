// Command state measures state-agent beside kube-state-metrics on a real API
// server with a large cluster's objects in it: the memory of both, how long they
// take until a scrape shows every object, what a scrape costs when nothing
// changed, and what both cost while pods change all the time. CPU is the running
// time of all threads by the scheduler's own account. docs/performance.md tells
// how to read the table.
//
// Each is asked as it is run: kube-state-metrics for plain text, since its own
// compression costs it several times more (--peer-gzip asks for that),
// state-agent with the gzip that Prometheus takes.
//
// It exits 1 when a limit is exceeded or something failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"watchpost/bench/internal/command"
)

// options are what the command line says.
type options struct {
	peer, ours         string
	peerArgs, oursArgs string
	peerGzip           bool
	kubeconfig, dir    string
	pods, nodes, other int
	scrapes            int
	updates            int
	managed            bool
	during, interval   time.Duration
	limits             bool
}

func main() {
	var o options
	flag.StringVar(&o.peer, "peer", "bin/kube-state-metrics", "kube-state-metrics' `executable`")
	flag.StringVar(&o.ours, "ours", "bin/state-agent", "state-agent's `executable`")
	flag.StringVar(&o.peerArgs, "peer-args", "", "further `flags` for the peer, separated by blanks")
	flag.StringVar(&o.oursArgs, "ours-args", "", "further `flags` for ours, separated by blanks")
	flag.BoolVar(&o.peerGzip, "peer-gzip", false, "let the peer compress too")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "measure on this API server as it is, instead of on one of our own; the `file` is the admin's")
	flag.StringVar(&o.dir, "dir", "", "`folder` that keeps the objects of our own API server, so that a later run need not load them; empty is a temporary one")
	flag.IntVar(&o.pods, "pods", 20_000, "pods of our own API server, each of three containers")
	flag.IntVar(&o.nodes, "nodes", 400, "nodes of our own API server")
	flag.IntVar(&o.other, "other", 2_000, "objects of each of the other usual kinds")
	flag.IntVar(&o.scrapes, "scrapes", 10, "scrapes of each program while nothing changes")
	flag.IntVar(&o.updates, "updates", 200, "pod status updates a second while both run side by side")
	flag.BoolVar(&o.managed, "managed-fields", true, "let the API server keep account of whose the fields of a pod are, which is a third of what an update costs it; without, it stops for good")
	flag.DurationVar(&o.during, "for", 5*time.Minute, "how long both run side by side; 0 leaves that out")
	flag.DurationVar(&o.interval, "interval", 30*time.Second, "between their scrapes then")
	flag.BoolVar(&o.limits, "limits", false, "fail where a ratio is over what docs/performance.md promises")
	command.Main("bench/state", o.run)
}

func (o *options) run(ctx context.Context) (err error) {
	if o.scrapes < 1 || o.pods < 1 || o.nodes < 1 || o.other < 0 || o.updates < 0 || o.during < 0 || o.interval <= 0 || flag.NArg() > 0 {
		return errors.New("needs at least one scrape, pod and node, no negative number and no further arguments")
	}
	if o.kubeconfig != "" && (o.dir != "" || !o.managed) {
		return errors.New("--dir and --managed-fields=false are for our own API server, --kubeconfig is for another")
	}
	c, err := o.cluster(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()

	wanted, err := c.objects(ctx)
	if err != nil {
		return err
	}
	var costs [2]cost
	for i, s := range o.subjects(c.Kubeconfig) {
		if costs[i], err = s.measure(ctx, wanted, o.scrapes); err != nil {
			return err
		}
		fmt.Printf("%s: %d series of %d objects shown after %s\n", costs[i].name, costs[i].series, costs[i].objects, costs[i].complete.Round(100*time.Millisecond))
	}
	if o.during > 0 {
		if err := o.churn(ctx, c, wanted, &costs); err != nil {
			return err
		}
	}
	return table(os.Stdout, costs[0], costs[1], o.limits)
}
