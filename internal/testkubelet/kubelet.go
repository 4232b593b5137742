package testkubelet

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Kubelet serves pages over TLS to those who have its token, or a certificate that it
// knows.
type Kubelet struct {
	*httptest.Server
	CAFile    string // to know it by
	TokenFile string // with its token

	clients *x509.CertPool
	mu      sync.Mutex
	token   string
	pages   map[string]http.HandlerFunc
	tokens  []string // that came with requests, "" where there was none
}

// Options are what a kubelet is like; the zero value is a usual one.
type Options struct {
	Ends    time.Time // when its certificate does; zero is tomorrow
	Clients []byte    // certificates of clients that need no token, in PEM
}

// Start runs a kubelet until the test ends. It has no pages but what Page says.
func Start(t testing.TB) *Kubelet {
	t.Helper()
	return StartWith(t, Options{})
}

// StartWith is Start for one that is not usual.
func StartWith(t testing.TB, o Options) *Kubelet {
	t.Helper()
	dir := t.TempDir()
	k := &Kubelet{pages: make(map[string]http.HandlerFunc), CAFile: filepath.Join(dir, "ca.crt"), TokenFile: filepath.Join(dir, "token")}
	if o.Clients != nil {
		k.clients = x509.NewCertPool()
		k.clients.AppendCertsFromPEM(o.Clients)
	}
	t.Cleanup(func() { k.Stop() })
	k.SetToken(t, "first")
	k.listen(t, "127.0.0.1:0", o.Ends)
	return k
}

// Stop ends it: its port is closed.
func (k *Kubelet) Stop() {
	k.CloseClientConnections()
	k.Close()
}

// Restart starts it again after Stop, at the same port and with a new certificate,
// which is in the CAFile too. ends is when that does; zero is tomorrow.
func (k *Kubelet) Restart(t testing.TB, ends time.Time) {
	t.Helper()
	k.listen(t, k.Listener.Addr().String(), ends)
}

func (k *Kubelet) listen(t testing.TB, address string, ends time.Time) {
	t.Helper()
	if ends.IsZero() {
		ends = time.Now().Add(24 * time.Hour)
	}
	cert, key, err := Certificate(Name, ends)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.CAFile, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	k.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(k.serve), ErrorLog: log.New(io.Discard, "", 0)}}
	k.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: k.clients}
	if k.clients != nil {
		k.TLS.ClientAuth = tls.VerifyClientCertIfGiven // as the real one
	}
	k.StartTLS()
}

// Name is the one in the certificates of kubelets.
const Name = "node-1"

// SetToken changes the token of the kubelet and in the file.
func (k *Kubelet) SetToken(t testing.TB, token string) {
	t.Helper()
	k.mu.Lock()
	k.token = "Bearer " + token
	k.mu.Unlock()
	if err := os.WriteFile(k.TokenFile, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Page serves a path.
func (k *Kubelet) Page(path string, h http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pages[path] = h
}

// Text serves a text at a path.
func (k *Kubelet) Text(path, text string) {
	k.Page(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Write([]byte(text))
	})
}

// Tokens are the Authorization headers of all requests, in order.
func (k *Kubelet) Tokens() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.tokens...)
}

func (k *Kubelet) serve(w http.ResponseWriter, r *http.Request) {
	given := r.Header.Get("Authorization")
	k.mu.Lock()
	k.tokens = append(k.tokens, given)
	page, right := k.pages[r.URL.Path], given == k.token || len(r.TLS.VerifiedChains) > 0
	k.mu.Unlock()
	switch {
	case !right:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case page == nil:
		http.NotFound(w, r)
	default:
		page(w, r)
	}
}

// PodList is the node's answer at /pods, and that of an API server.
func (n Node) PodList() string {
	type m = map[string]any
	var items []m
	for _, p := range n.Pods {
		items = append(items, m{
			"metadata": m{"namespace": p.Namespace, "name": p.Name, "uid": p.UID, "labels": m{"app": p.Container}},
			"spec":     m{"nodeName": "node-1"},
			"status": m{"phase": "Running", "hostIP": "192.0.2.1", "podIP": p.IP, "podIPs": []m{{"ip": p.IP}},
				"containerStatuses": []m{{"name": p.Container, "containerID": "containerd://" + p.ContainerID}}},
		})
	}
	text, err := json.Marshal(m{"kind": "PodList", "apiVersion": "v1", "metadata": m{"resourceVersion": "7"}, "items": items})
	if err != nil {
		panic(err) // of strings alone
	}
	return string(text)
}
