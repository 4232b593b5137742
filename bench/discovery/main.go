// Command discovery measures what it costs our collector to know a large Kubernetes
// cluster, beside Prometheus: an API server of our own is filled with nodes, pods and
// what else a cluster has, and each program in turn discovers it as a pod of that
// cluster would, with the configuration that ours has built in. A last rule drops every
// target, so that nothing is scraped and what is measured is discovery alone: watches,
// objects, labels, relabelling. docs/performance.md tells how to read the table.
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

	"watchpost/bench/internal/apiserver"
	"watchpost/bench/internal/command"
	"watchpost/internal/testkube/fleet"
)

// options are what the command line says.
type options struct {
	peer, ours string
	dir        string
	size       fleet.Size
	updates    int
	during     time.Duration
	rest       time.Duration
	limits     bool
	profile    string
}

func main() {
	var o options
	flag.StringVar(&o.peer, "peer", "bin/prometheus", "Prometheus' `executable`; empty measures ours alone")
	flag.StringVar(&o.ours, "ours", "bin/collector", "collector's `executable`")
	flag.StringVar(&o.dir, "dir", "", "`folder` that keeps the objects of the API server, so that a later run need not load them; empty is a temporary one")
	flag.IntVar(&o.size.Nodes, "nodes", 5_000, "nodes")
	flag.IntVar(&o.size.Pods, "pods", 50_000, "pods, each of three containers with three ports, and an init container")
	flag.IntVar(&o.size.Other, "other", 2_000, "objects of each of the other usual kinds, among them services and endpoint slices")
	flag.IntVar(&o.updates, "updates", 20, "pod status updates a second once all is discovered")
	flag.DurationVar(&o.during, "for", 2*time.Minute, "how long pods change; 0 leaves that out")
	flag.DurationVar(&o.rest, "rest", 3*time.Minute, "how long each is left alone before its memory is read: garbage is collected every two minutes at least, and given back after that")
	flag.StringVar(&o.profile, "profile", "", "`file` for a heap profile of ours at the end")
	flag.BoolVar(&o.limits, "limits", false, "fail where a ratio is over what docs/performance.md promises")
	command.Main("bench/discovery", o.run)
}

func (o *options) run(ctx context.Context) (err error) {
	if flag.NArg() > 0 || o.updates < 1 || o.during < 0 || o.rest < 0 || o.size.Pods < 1 || o.limits && o.peer == "" {
		return errors.New("takes no arguments, needs a pod, an update a second and no negative duration; --limits are beside a peer")
	}
	dir, err := os.MkdirTemp("", "bench-discovery-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := apiserver.Open("", o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := server.Fill(ctx, o.size, true); err != nil {
		return err
	}
	pod, err := newPod(ctx, server.Own, dir)
	if err != nil {
		return err
	}
	config, err := pod.configuration(o.ours, dir)
	if err != nil {
		return err
	}
	fmt.Println(o.size)
	var costs []cost
	for _, path := range []string{o.peer, o.ours} {
		if path == "" {
			continue
		}
		c, err := o.measure(ctx, pod, path, config, dir, server)
		if err != nil {
			return err
		}
		costs = append(costs, c)
	}
	if len(costs) == 1 {
		costs = append([]cost{{name: "none"}}, costs...)
	}
	return table(os.Stdout, costs[0], costs[1], o.limits)
}
