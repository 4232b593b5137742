// Command pause waits until it is told to end: what every pod's sandbox runs, and the
// first process of the namespaces that a cluster of the tests lives in. As the first
// process it also takes the ends of those whose parents are gone.
//
//	pause [--stdin]
//
// It ends at SIGTERM or SIGINT, and with --stdin when its standard input does; with it
// end all that are in its process namespace.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	end := make(chan struct{})
	switch {
	case len(os.Args) == 1:
	case slices.Equal(os.Args[1:], []string{"--stdin"}):
		go func() {
			io.Copy(io.Discard, os.Stdin) // however it ends
			close(end)
		}()
	default:
		fmt.Fprintf(os.Stderr, "pause: unknown arguments %q: only --stdin is one\n", os.Args[1:])
		os.Exit(2)
	}
	for {
		select {
		case <-end:
			return
		case s := <-signals:
			if s != syscall.SIGCHLD {
				return
			}
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
					break
				}
			}
		}
	}
}
