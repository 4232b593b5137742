// Command kubeload fills an API server with the objects of a large cluster
// (internal/testkube/fleet) and, where asked to, lets its pods change at a steady
// rate. Without --kubeconfig it starts an API server of its own, which runs until
// the program is interrupted, so that other programs can be tried on it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/apiserver"
	"watchpost/bench/internal/command"
	"watchpost/internal/testkube"
	"watchpost/internal/testkube/fleet"
)

// options are what the command line says.
type options struct {
	kubeconfig string
	dir        string
	size       fleet.Size
	updates    int
	during     time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "the admin's `file` for the API server to fill; empty starts one")
	flag.StringVar(&o.dir, "dir", "", "`folder` that keeps the objects of our own API server; empty is a temporary one")
	flag.IntVar(&o.size.Pods, "pods", 20_000, "pods, each of three containers")
	flag.IntVar(&o.size.Nodes, "nodes", 400, "nodes")
	flag.IntVar(&o.size.Other, "other", 2_000, "objects of each of the other usual kinds")
	flag.IntVar(&o.updates, "updates-per-second", 0, "pod status updates a second after the load; 0 makes none")
	flag.DurationVar(&o.during, "for", 0, "how long pods change; 0 is until interrupted")
	command.Main("bench/kubeload", o.run)
}

func (o *options) run(ctx context.Context) (err error) {
	if flag.NArg() > 0 || o.updates < 0 || o.during < 0 || o.dir != "" && o.kubeconfig != "" {
		return errors.New("takes no arguments and no negative number, and --dir not with --kubeconfig")
	}
	server, err := apiserver.Open(o.kubeconfig, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	begun := time.Now()
	if err := fleet.Load(ctx, server.Config, o.size, func(s string) { fmt.Println(s) }); err != nil {
		return err
	}
	fmt.Printf("loaded %s in %s\n", o.size, time.Since(begun).Round(100*time.Millisecond))
	if server.Own != nil {
		if err := tellCost(server.Own); err != nil {
			return err
		}
	}
	if o.updates > 0 {
		if err := o.churn(ctx, server.Config); err != nil {
			return err
		}
	}
	if server.Own != nil && ctx.Err() == nil {
		fmt.Println("export KUBECONFIG=" + server.Kubeconfig)
		<-ctx.Done()
	}
	return nil
}

func (o *options) churn(ctx context.Context, config *rest.Config) error {
	if o.during > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.during)
		defer cancel()
	}
	begun := time.Now()
	made, err := fleet.Churn(ctx, config, o.size, o.updates)
	took := time.Since(begun)
	fmt.Printf("%d pod status updates in %s, %.1f a second\n", made, took.Round(100*time.Millisecond), float64(made)/took.Seconds())
	return err
}

// tellCost tells what our API server takes for the objects.
func tellCost(c *testkube.Cluster) error {
	usage := agent.NewUsage(c.PID())
	rss, err := usage.RSS()
	if err != nil {
		return err
	}
	cpu, err := usage.CPU()
	if err != nil {
		return err
	}
	var disk int64
	err = filepath.WalkDir(filepath.Dir(c.Kubeconfig()), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "db" { // the file of etcd's objects, without its log
			return err
		}
		info, err := d.Info()
		if err == nil {
			disk += info.Size()
		}
		return err
	})
	fmt.Printf("control plane: RSS %.0f MB, CPU %s, etcd %.0f MB\n", float64(rss)/1e6, cpu.Round(time.Second), float64(disk)/1e6)
	return err
}
