package kube

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"

	"watchpost/internal/testkube"
)

const realCRD = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"foos.example.org"},
"spec":{"group":"example.org","scope":"Namespaced","names":{"kind":"Foo","plural":"foos","singular":"foo","listKind":"FooList"},
"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`

// A definition comes and goes in a real API server, which is killed in between.
func TestCustomWatchCluster(t *testing.T) {
	cluster := testkube.Start(t, testkube.Options{})
	client, err := rest.HTTPClientFor(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	request := func(ctx context.Context, method, path, body, accept string) (io.ReadCloser, error) {
		r, err := http.NewRequestWithContext(ctx, method, cluster.Server()+path, bytes.NewReader([]byte(body)))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Accept", accept)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		if answer.StatusCode < 300 {
			return answer.Body, nil
		}
		defer answer.Body.Close()
		status := &apierrors.StatusError{}
		b, err := io.ReadAll(answer.Body)
		if err == nil {
			err = json.Unmarshal(b, &status.ErrStatus)
		}
		if err != nil {
			return nil, err
		}
		return nil, status
	}
	do := func(method, path, body string) []byte {
		t.Helper()
		answer, err := request(t.Context(), method, path, body, crdAccept)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Close()
		b, err := io.ReadAll(answer)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	c, err := ParseCustom([]byte(crdConfig))
	if err != nil {
		t.Fatal(err)
	}
	log := &crdLog{events: make(chan string, 100), live: map[string]*resource{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		open := func(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
			return request(ctx, http.MethodGet, path+"?"+query.Encode(), "", accept)
		}
		watchCustom(ctx, open, c, NewCustomStats(slog.New(slog.NewTextHandler(t.Output(), nil))), log.customEvents())
	}()
	defer func() { cancel(); <-done }()

	log.expect(t, "synced", "well")
	do(http.MethodPost, crdPath, realCRD)
	log.expect(t, "+foos.v1.example.org")
	cluster.Kill()
	if e := <-log.events; !strings.HasPrefix(e, "failed: custom resource definitions: watch: ") {
		t.Errorf("after the end of the API server: %q", e)
	}
	if err := cluster.Restart(); err != nil {
		t.Fatal(err)
	}
	for e := range log.events {
		if e == "well" {
			break
		}
		if e[0] == '-' {
			t.Fatalf("lost with the API server: %s", e)
		}
	}

	u := &unstructured.Unstructured{}
	object := do(http.MethodPost, "/apis/example.org/v1/namespaces/default/foos", `{"apiVersion":"example.org/v1","kind":"Foo","metadata":{"name":"a"}}`)
	if err := json.Unmarshal(object, &u.Object); err != nil {
		t.Fatal(err)
	}
	const want = `kube_customresource_foo{customresource_group="example.org",customresource_kind="Foo",customresource_version="v1",name="a"} 1` + "\n"
	if got := rendered(log.live["foos.v1.example.org"], Options{}, u); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	do(http.MethodDelete, crdPath+"/foos.example.org", "")
	log.expect(t, "-foos.v1.example.org")
}
