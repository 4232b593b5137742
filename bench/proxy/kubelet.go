package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"compress/gzip"

	"watchpost/bench/internal/agent"
	"watchpost/internal/freeport"
	"watchpost/internal/testkubelet"
)

// Files of the made-up kubelet.
const (
	certFile = "kubelet.crt"
	keyFile  = "kubelet.key"
	textFile = "cadvisor.txt"
	podsFile = "pods.json"
)

// token is what the kubelet asks for.
const token = "benchmark"

// kubelet is the running one.
type kubelet struct {
	program        *agent.Program
	dir, url       string
	ca, token      string // files
	bytes, samples int    // of its text
	pool           *x509.CertPool
}

// startKubelet starts this program again, as a kubelet of so many pods.
func startKubelet(ctx context.Context, pods int) (_ *kubelet, err error) {
	k := &kubelet{pool: x509.NewCertPool()}
	if k.dir, err = os.MkdirTemp("", "bench-proxy-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(k.dir))
		}
	}()
	cert, key, err := testkubelet.Certificate("kubelet", time.Now().Add(24*time.Hour))
	if err != nil {
		return nil, err
	}
	k.pool.AppendCertsFromPEM(cert)
	k.ca, k.token = filepath.Join(k.dir, certFile), filepath.Join(k.dir, "token")
	node := testkubelet.NewNode(pods)
	text := node.Text()
	k.bytes = len(text)
	if k.samples, err = countSeries([]byte(text)); err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		certFile: string(cert), keyFile: string(key), textFile: text, podsFile: node.PodList(), "token": token,
	} {
		if err := os.WriteFile(filepath.Join(k.dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	k.url = "https://" + address
	k.program, err = agent.StartAt(ctx, address, self, "--serve-kubelet="+address, "--serve-dir="+k.dir)
	return k, err
}

func (k *kubelet) stop() error { return errors.Join(k.program.Stop(), os.RemoveAll(k.dir)) }

// serveKubelet is the kubelet until ctx ends. It compresses as the kubelet's library
// does: anew for each answer, with the default effort.
func serveKubelet(ctx context.Context, address, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, textFile))
	if err != nil {
		return err
	}
	pods, err := os.ReadFile(filepath.Join(dir, podsFile))
	if err != nil {
		return err
	}
	writers := sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}
	page := func(media string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			if r.Header.Get("Authorization") != "Bearer "+token {
				http.Error(w, "Unauthorized", http.StatusUnauthorized)
				return
			}
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				w.Write(body) // an error is the client's: it has gone
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := writers.Get().(*gzip.Writer)
			defer writers.Put(z)
			z.Reset(w)
			z.Write(body)
			z.Close()
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics/cadvisor", page("text/plain; version=0.0.4; charset=utf-8", text))
	mux.HandleFunc("GET /pods", page("application/json", pods))
	s := &http.Server{Addr: address, Handler: mux}
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	if err := s.ListenAndServeTLS(filepath.Join(dir, certFile), filepath.Join(dir, keyFile)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// client is a scraper of the kubelet: one kept connection, HTTP/1.1 as to the proxy.
func (k *kubelet) client(timeout time.Duration) *http.Client {
	c := agent.Client(1, timeout)
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: k.pool}
	return c
}
