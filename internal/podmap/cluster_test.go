package podmap

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/fetch"
	"watchpost/internal/testkube"
)

// The real API server: pods of this node come, go and change, also over its restart;
// those of others never show.
func TestAPIServer(t *testing.T) {
	c := testkube.Start(t, testkube.Options{})
	dir, rest := t.TempDir(), c.Config()
	file := func(name string, data []byte, path string) string {
		if len(data) == 0 {
			return path
		}
		full := filepath.Join(dir, name)
		if err := os.WriteFile(full, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return full
	}
	server, err := fetch.New(fetch.Config{
		URL: c.Server(), CAFile: file("ca", rest.CAData, rest.CAFile), TokenFile: file("token", []byte(rest.BearerToken), ""),
		CertFile: file("cert", rest.CertData, rest.CertFile), KeyFile: file("key", rest.KeyData, rest.KeyFile),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	m := New(Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&Watch{Server: server, Node: "n1", Log: slog.New(slog.DiscardHandler)}).Run(ctx, m)
	}()
	defer func() { cancel(); <-done }()

	pods := c.Client().CoreV1().Pods("default")
	create := func(name, node string) {
		t.Helper()
		_, err := pods.Create(ctx, &core.Pod{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: core.PodSpec{NodeName: node, Containers: []core.Container{{Name: "c", Image: "i"}}}}, meta.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d pods, %v", what, m.Len(), m.Ready())
			}
		}
	}
	eventually("listed", func() bool { return m.Ready() == nil })
	create("mine", "n1")
	create("other", "n2")
	eventually("created", func() bool { return len(m.ByName("default", "mine")) == 1 })
	p, err := pods.Get(ctx, "mine", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.Status.PodIPs, p.Status.PodIP, p.Status.Phase = []core.PodIP{{IP: "10.0.0.9"}}, "10.0.0.9", core.PodRunning
	if _, err := pods.UpdateStatus(ctx, p, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually("address", func() bool { l := m.ByUID(string(p.UID)); return l != nil && strings.Join(l.IPs, "") == "10.0.0.9" })

	c.Kill()
	eventually("failure seen", func() bool { return !m.Current() })
	if m.Ready() != nil || m.ByUID(string(p.UID)) == nil {
		t.Error("what was known is lost")
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	create("later", "n1")
	eventually("after the restart", func() bool { return len(m.ByName("default", "later")) == 1 && m.Current() })
	zero := int64(0)
	if err := pods.Delete(ctx, "mine", meta.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	eventually("deleted", func() bool { return !m.ByUID(string(p.UID)).Gone.IsZero() })
	if len(m.ByName("", "other")) != 0 {
		t.Error("a pod of another node is known")
	}
}
