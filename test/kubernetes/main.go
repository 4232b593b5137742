// Command control-plane is a Kubernetes control plane for tests: a real etcd and a
// real kube-apiserver in one process, on loopback ports, without root.
//
//	control-plane [flags] [-- flags of kube-apiserver]
//
// It prints one line once the API server is ready,
//
//	ready https://ADDRESS:PORT KUBECONFIG
//
// and ends when its standard input does, or at SIGTERM or SIGINT; so whoever
// starts it with a pipe leaves nothing behind, even when killed. A line "compact" on
// standard input drops the history of etcd, and is answered by "compacted REVISION".
//
// With --dir the objects, keys and addresses outlive the process: killed by
// whatever signal and started again with the same folder and ports, it is the same
// control plane. The folder holds
//
//	kubeconfig               user admin, in the group system:masters
//	ca.crt ca.key            who signed the server's certificate; a client certificate
//	                         signed by it is a user, too (CN: name, O: groups), and a
//	                         kubelet's certificate is signed by it
//	admin.token              bearer token of the admin
//	etcd/                    the objects
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "time/tzdata" // the time zones of cron jobs, as kube-apiserver has them
)

// options are what the command line says.
type options struct {
	dir        string     // where everything is kept
	address    netip.Addr // of the API server
	services   netip.Prefix
	etcdPort   int // 0: any that is free
	securePort int // 0: any that is free
	bulk       bool
	apiserver  []string // further flags of kube-apiserver
}

// url is where the API server listens.
func (o options) url() string {
	return "https://" + netip.AddrPortFrom(o.address, uint16(o.securePort)).String()
}

func main() {
	o, keep, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "control-plane:", err)
		os.Exit(2)
	}
	err = run(o, os.Stdin, os.Stdout)
	if !keep {
		os.RemoveAll(o.dir) // the process ends: what is still being written there is of no use
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "control-plane:", err)
		os.Exit(1)
	}
}

// parse reads the command line; keep tells that the folder was given and stays.
func parse(args []string, usage io.Writer) (o options, keep bool, err error) {
	f := flag.NewFlagSet("control-plane", flag.ContinueOnError)
	f.SetOutput(io.Discard) // an error is one line, without the usage
	f.StringVar(&o.dir, "dir", "", "`folder` that keeps objects, keys and kubeconfig; empty is a temporary one")
	address := f.String("address", "127.0.0.1", "`IP` of the API server: what it listens on, and tells others")
	services := f.String("service-range", "10.96.0.0/16", "`CIDR` that services get their addresses from")
	f.IntVar(&o.etcdPort, "etcd-port", 0, "`port` of etcd on 127.0.0.1; 0 is any that is free")
	f.IntVar(&o.securePort, "secure-port", 0, "`port` of the API server; 0 is any that is free")
	f.BoolVar(&o.bulk, "bulk", false, "for sets of objects without controllers: pods need no service account, and thousands of requests run at once")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(usage)
			f.PrintDefaults()
		}
		return o, false, err
	}
	if o.address, err = netip.ParseAddr(*address); err != nil {
		return o, false, fmt.Errorf("--address: %w", err)
	}
	if o.services, err = netip.ParsePrefix(*services); err != nil {
		return o, false, fmt.Errorf("--service-range: %w", err)
	}
	o.apiserver = f.Args()
	if keep = o.dir != ""; keep {
		return o, keep, os.MkdirAll(o.dir, 0o700)
	}
	o.dir, err = os.MkdirTemp("", "control-plane-")
	return o, keep, err
}

// run starts everything and returns when it shall end, or why it cannot go on.
func run(o options, in io.Reader, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	for _, port := range []*int{&o.etcdPort, &o.securePort} {
		if err := choose(port); err != nil {
			return err
		}
	}
	keys, err := readyKeys(o)
	if err != nil {
		return err
	}
	store, err := startEtcd(ctx, o)
	if err != nil {
		return err
	}
	server := startAPIServer(o, keys)
	kubeconfig, err := keys.writeKubeconfig(o)
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() { ready <- waitReady(ctx, kubeconfig) }()
	commands := lines(in)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-server:
			return fmt.Errorf("kube-apiserver ended: %w", err)
		case err := <-store.Err():
			return fmt.Errorf("etcd ended: %w", err)
		case err := <-ready:
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "ready %s %s\n", o.url(), kubeconfig)
			ready = nil
		case line, ok := <-commands:
			if !ok {
				return nil
			}
			if line != "compact" {
				return fmt.Errorf("unknown command %q on standard input: only \"compact\" is one", line)
			}
			revision, err := compact(ctx, store)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "compacted %d\n", revision)
		}
	}
}

// choose sets *port, where it is 0, to one that nobody listens on.
func choose(port *int) error {
	if *port != 0 {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	*port = l.Addr().(*net.TCPAddr).Port
	return l.Close()
}

// lines sends the lines of r, and closes the channel at its end.
func lines(r io.Reader) <-chan string {
	c := make(chan string)
	go func() {
		defer close(c)
		for s := bufio.NewScanner(r); s.Scan(); {
			c <- strings.TrimSpace(s.Text())
		}
	}()
	return c
}
