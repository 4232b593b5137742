// Command up runs the cluster of the tests until it is interrupted, to look around in:
//
//	go run ./internal/testcluster/up [ARCHIVE...]
//
// The archives are images, as docker save writes them, that the node has from the
// start. It prints how to reach the cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"watchpost/internal/testcluster"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster/up:", err)
		os.Exit(1)
	}
}

func run(images []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := testcluster.Missing(); err != nil {
		return err
	}
	c, err := testcluster.Launch(testcluster.Options{Images: images})
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\nnode: %s, logs: %s\n", c.API.Kubeconfig(), c.Node(), c.Dir())
	<-ctx.Done()
	return c.Stop()
}
