package testkubelet

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Kubelet serves pages over TLS to those who have its token.
type Kubelet struct {
	*httptest.Server
	CAFile    string // to know it by
	TokenFile string // with its token

	mu     sync.Mutex
	token  string
	pages  map[string]http.HandlerFunc
	tokens []string // that came with requests, "" where there was none
}

// Start runs a kubelet until the test ends. It has no pages but what Page says.
func Start(t testing.TB) *Kubelet {
	t.Helper()
	k := &Kubelet{pages: make(map[string]http.HandlerFunc)}
	k.Server = httptest.NewUnstartedServer(http.HandlerFunc(k.serve))
	k.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	k.Server.StartTLS()
	t.Cleanup(func() { k.Server.CloseClientConnections(); k.Server.Close() })
	dir := t.TempDir()
	k.CAFile, k.TokenFile = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	if err := os.WriteFile(k.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	k.SetToken(t, "first")
	return k
}

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
	page, right := k.pages[r.URL.Path], given == k.token
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
