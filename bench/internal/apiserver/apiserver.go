// Package apiserver is the API server that a benchmark works on: one that is there, or
// one of its own.
package apiserver

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"watchpost/internal/testkube"
	"watchpost/internal/testkube/fleet"
)

// Server is an API server and how its admin reaches it.
type Server struct {
	Kubeconfig string
	Config     *rest.Config
	Own        *testkube.Cluster // nil where it is somebody else's
}

// roomy lets our own API server collect garbage rarely: it shares the machine with
// what is measured, and has to keep up with what is written.
var roomy = []string{"GOGC=400", "GOMEMLIMIT=10GiB"}

// Open takes the API server that a kubeconfig names. Where that is "" it starts one of
// our own, whose objects are kept in dir, or in a temporary folder where dir is "", too.
func Open(kubeconfig, dir string) (*Server, error) {
	if kubeconfig != "" {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return nil, err
		}
		return &Server{Kubeconfig: kubeconfig, Config: config}, nil
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	own, err := testkube.Launch(testkube.Options{Dir: dir, Env: roomy})
	if err != nil {
		return nil, err
	}
	return &Server{Kubeconfig: own.Kubeconfig(), Config: own.Config(), Own: own}, nil
}

// Fill loads a fleet into our own API server, without its account of whose the fields of
// pods are unless managed, tells on standard error how far it is, and starts the API server
// anew: one that has just taken all these writes holds gigabytes of their history, and has
// to be neither faster nor slower than one that has the folder.
func (s *Server) Fill(ctx context.Context, size fleet.Size, managed bool) error {
	if err := fleet.Load(ctx, s.Config, size, func(s string) { fmt.Fprintln(os.Stderr, s) }); err != nil {
		return err
	}
	if !managed {
		if err := fleet.Disown(ctx, s.Config, size); err != nil {
			return err
		}
	}
	return s.Own.Restart()
}

// Stop ends our own API server; that of somebody else stays.
func (s *Server) Stop() error {
	if s.Own == nil {
		return nil
	}
	return s.Own.Stop()
}
