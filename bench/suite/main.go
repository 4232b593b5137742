// Command suite measures the whole suite beside what it takes the place of: node-agent,
// state-agent, cadvisor-proxy and collector beside node_exporter, kube-state-metrics and
// Prometheus, which asks the kubelet itself. Both run at the same time as processes of
// this host, on the same API server and the same kubelet, with the same interval. It
// tells the CPU and memory of each program and of all, how many series both have stored,
// and how much of the disk that took. CPU is the running time of all threads by the
// scheduler's own account. docs/performance.md tells how to read the table.
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
	"watchpost/internal/run"
	"watchpost/internal/testkube/fleet"
)

// options are what the command line says.
type options struct {
	programs                              string // folder of all of them
	kubeconfig                            string
	clusterPods                           int
	size                                  fleet.Size
	node                                  string
	kubelet                               string
	kubeletToken, kubeletCert, kubeletKey string
	profile                               string
	interval, settle, during              time.Duration
	dir                                   string
	limits                                bool
}

func main() {
	var o options
	flag.StringVar(&o.programs, "programs", "bin", "`folder` with the programs of both")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "the admin's `file` for the API server that both watch; empty starts one, with objects as of --pods")
	flag.IntVar(&o.clusterPods, "cluster", 0, "start a cluster with a real kubelet and as many `pods`, of two containers each, at most 100 (root)")
	flag.IntVar(&o.size.Pods, "pods", 110, "pods of our own API server, each of three containers")
	flag.IntVar(&o.size.Nodes, "nodes", 1, "nodes of our own API server")
	flag.IntVar(&o.size.Other, "other", 20, "objects of each of the other usual kinds there")
	flag.StringVar(&o.node, "node", "", "`name` of this host as a node of the cluster")
	flag.StringVar(&o.kubelet, "kubelet", "", "`URL` of the kubelet, https://192.0.2.1:10250; empty leaves container metrics out of both")
	flag.StringVar(&o.kubeletToken, "kubelet-token-file", "", "bearer token for the kubelet; without it, and without a certificate, that of --kubeconfig")
	flag.StringVar(&o.kubeletCert, "kubelet-cert-file", "", "client certificate for the kubelet, instead of a token")
	flag.StringVar(&o.kubeletKey, "kubelet-key-file", "", "key of --kubelet-cert-file")
	flag.StringVar(&o.profile, "profile", "default", "what cadvisor-proxy leaves out, its own flag")
	flag.DurationVar(&o.interval, "interval", 15*time.Second, "between the scrapes of a target")
	flag.DurationVar(&o.settle, "settle", time.Minute, "how long both run before the measurement begins; what the start cost is told apart")
	flag.DurationVar(&o.during, "for", 10*time.Minute, "how long it lasts")
	flag.StringVar(&o.dir, "dir", "", "`folder` for the stores of both; empty is a temporary one")
	flag.BoolVar(&o.limits, "limits", false, "fail where a ratio is over what docs/performance.md promises")
	command.Main("bench/suite", o.run)
}

// check refuses what cannot be measured.
func (o *options) check(args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("what is %q?", args)
	case o.interval < time.Second || o.during < 4*o.interval || o.settle < o.interval:
		return errors.New("needs an interval of a second or more, --for four of them, --settle one")
	case o.clusterPods < 0 || o.clusterPods > 100 || o.clusterPods > 0 && (o.kubeconfig != "" || o.kubelet != "" || o.node != ""):
		return errors.New("--cluster takes up to 100 pods, and neither --kubeconfig nor --kubelet nor --node: it has its own")
	case o.kubelet == "" && (o.kubeletToken != "" || o.kubeletCert != ""):
		return errors.New("--kubelet-token-file and --kubelet-cert-file are for --kubelet")
	case o.kubeletToken != "" && o.kubeletCert != "" || (o.kubeletCert == "") != (o.kubeletKey == ""):
		return errors.New("the kubelet is asked with a token, or with a certificate and its key")
	case o.kubelet != "" && o.node == "":
		return errors.New("--kubelet needs --node, by which its pods are found")
	}
	return nil
}

func (o *options) run(ctx context.Context) (err error) {
	if err := o.check(flag.Args()); err != nil {
		return err
	}
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "bench-suite-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if o.clusterPods > 0 {
		own, failed := o.startCluster(ctx)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, own.Stop()) }()
	}
	server, err := apiserver.Open(o.kubeconfig, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if server.Own != nil {
		if err := fleet.Load(ctx, server.Config, o.size, func(s string) { fmt.Fprintln(os.Stderr, s) }); err != nil {
			return err
		}
	}
	access, err := newAccess(dir, server.Config)
	if err != nil {
		return err
	}
	suites := [2]*suite{o.peers(server.Kubeconfig), o.ours(server.Kubeconfig, access)}
	for _, s := range suites {
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	for _, s := range suites {
		if err := s.start(ctx, dir, o, access); err != nil {
			return err
		}
	}
	fmt.Printf("every %s, for %s after %s; %s\n", o.interval, o.during, o.settle, o.scope())
	if err := o.measure(ctx, suites); err != nil {
		return err
	}
	return table(os.Stdout, suites[0].result(), suites[1].result(), o.limits)
}

// scope says what is asked.
func (o *options) scope() string {
	if o.kubelet == "" {
		return "no kubelet: without container metrics"
	}
	return "containers of " + o.kubelet + ", profile " + o.profile
}

// samplings is how often the memory is looked at.
const samplings = 60

// measure lets both run side by side, and looks what they have stored.
func (o *options) measure(ctx context.Context, suites [2]*suite) error {
	each := func(f func(*suite) error) error {
		for _, s := range suites {
			if err := f(s); err != nil {
				return err
			}
		}
		return nil
	}
	if err := run.Sleep(ctx, o.settle); err != nil {
		return err
	}
	begun := time.Now()
	if err := each((*suite).begin); err != nil {
		return err
	}
	for i := range samplings {
		if err := run.Sleep(ctx, time.Until(begun.Add(o.during*time.Duration(i+1)/samplings))); err != nil {
			return err
		}
		if err := each((*suite).sample); err != nil {
			return err
		}
	}
	if err := each((*suite).end); err != nil {
		return err
	}
	at := time.Now()
	return each(func(s *suite) error { return s.inspect(ctx, begun, at) })
}
