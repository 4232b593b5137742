// Package apiserver is the API server that a benchmark works on: one that is there, or
// one of its own.
package apiserver

import (
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"watchpost/internal/testkube"
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

// Stop ends our own API server; that of somebody else stays.
func (s *Server) Stop() error {
	if s.Own == nil {
		return nil
	}
	return s.Own.Stop()
}
