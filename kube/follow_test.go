package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
)

func TestShardIn(t *testing.T) {
	for _, tc := range []struct {
		set           string // YAML flow of its spec
		pod           string
		shard, shards int
		err           string
	}{
		{`{"replicas": 3}`, "agent-0", 0, 3, ""},
		{`{"replicas": 3}`, "agent-2", 2, 3, ""},
		{`{}`, "agent-0", 0, 1, ""},
		{`{"replicas": 2, "ordinals": {"start": 5}}`, "agent-6", 1, 2, ""},
		{`{"replicas": 2}`, "agent-2", 0, 0, "is to end"},
		{`{"replicas": 2, "ordinals": {"start": 5}}`, "agent-4", 0, 0, "is to end"},
		{`{"replicas": 2}`, "agent", 0, 0, "no number"},
		{`{"replicas": 2}`, "agent--1", 0, 0, "no number"},
		{`{"replicas": "x"}`, "agent-0", 0, 0, "stateful set agent"},
	} {
		d := anyDecoder{resource: &resource{kind: "StatefulSet"}}
		set, err := d.object([]byte(`{"metadata": {"name": "agent"}, "spec": ` + tc.set + `}`))
		if err != nil {
			t.Fatal(err)
		}
		shard, shards, err := shardIn(set, tc.pod)
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) || shard != tc.shard || shards != tc.shards {
			t.Errorf("%s of %s: %d of %d, %v", tc.pod, tc.set, shard, shards, err)
		}
	}
}

// clientOf is a client of a server that handle answers for.
func clientOf(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	c, err := NewClient(ClientConfig{Server: srv.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What was listed and what changes since is told; an end of the watch is no reason to
// tell the same again, and a failure is told and mended.
func TestFollow(t *testing.T) {
	object := func(name string) string {
		return fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":%q,"uid":%q,"resourceVersion":"5"}}`, name, "uid-"+name)
	}
	var requests atomic.Int32
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("labelSelector") != "team=a" {
			t.Errorf("asked for %s", r.URL)
		}
		switch requests.Add(1) {
		case 1:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`)
		case 2:
			fmt.Fprintf(w, `{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"4"},"items":[%s,%s]}`, object("b"), object("a"))
		case 3:
			if r.URL.Query().Get("resourceVersion") != "4" {
				t.Errorf("watches from %s", r.URL)
			}
			fmt.Fprintf(w, `{"type":"ADDED","object":%s}{"type":"DELETED","object":%s}`, object("c"), object("a"))
		default:
			<-r.Context().Done()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var told []string
	var failures []error
	c.FollowNamespaces(ctx, slog.New(slog.DiscardHandler), "team=a", func(names []string) {
		told = append(told, strings.Join(names, ","))
		if len(told) == 3 {
			cancel()
		}
	}, func(err error) { failures = append(failures, err) })
	if !slices.Equal(told, []string{"a,b", "a,b,c", "b,c"}) {
		t.Errorf("told %q", told)
	}
	if len(failures) == 0 || failures[0] == nil || !strings.Contains(failures[0].Error(), "no") || failures[len(failures)-1] != nil {
		t.Errorf("failures %v", failures)
	}
}

// A Gate asks once and remembers, does not keep what the API server could not say,
// and forgets rather than grow.
func TestGate(t *testing.T) {
	var asked atomic.Int32
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		if strings.HasSuffix(r.URL.Path, "tokenreviews") {
			asked.Add(1)
			var review authentication.TokenReview
			json.NewDecoder(r.Body).Decode(&review)
			if review.Spec.Token == "broken" {
				fmt.Fprint(w, "nonsense")
				return
			}
			review.Status.Authenticated = review.Spec.Token != "unknown"
			review.Status.User.Username = review.Spec.Token
			review.Spec.Token = ""
			json.NewEncoder(w).Encode(review)
			return
		}
		var review authorization.SubjectAccessReview
		json.NewDecoder(r.Body).Decode(&review)
		review.Status.Allowed = review.Spec.User == "friend" && review.Spec.NonResourceAttributes.Path == "/metrics" && review.Spec.NonResourceAttributes.Verb == "get"
		json.NewEncoder(w).Encode(review)
	})
	g := NewGate(c)
	now := time.Unix(1000, 0)
	g.now = func() time.Time { return now }
	for _, tc := range []struct {
		token, path string
		want        error
	}{{"friend", "/metrics", nil}, {"friend", "/debug", ErrForbidden}, {"stranger", "/metrics", ErrForbidden}, {"unknown", "/metrics", ErrUnknownToken}} {
		before := asked.Load()
		for range 3 {
			if err := g.Allow(t.Context(), tc.token, "get", tc.path); !errors.Is(err, tc.want) {
				t.Errorf("%s %s: %v, want %v", tc.token, tc.path, err, tc.want)
			}
		}
		if n := asked.Load() - before; n != 1 {
			t.Errorf("%s %s: asked %d times", tc.token, tc.path, n)
		}
	}
	before := asked.Load()
	for range 2 {
		if err := g.Allow(t.Context(), "broken", "get", "/metrics"); err == nil || errors.Is(err, ErrForbidden) || errors.Is(err, ErrUnknownToken) {
			t.Errorf("an answer that is none: %v", err)
		}
	}
	if n := asked.Load() - before; n != 2 {
		t.Errorf("what was not answered was asked %d times, want each time", n)
	}
	now = now.Add(refusedFor)
	before = asked.Load()
	g.Allow(t.Context(), "friend", "get", "/metrics")
	g.Allow(t.Context(), "stranger", "get", "/metrics")
	if n := asked.Load() - before; n != 1 {
		t.Errorf("asked %d times, want for the refusal that is old alone", n)
	}
	for i := range 2*maxAnswers + 1 {
		g.remember(question{path: fmt.Sprint(i)}, answer{nil, now.Add(allowedFor)})
	}
	if n := len(g.answers); n > maxAnswers {
		t.Errorf("%d answers remembered", n)
	}
}

func TestRules(t *testing.T) {
	got := Rules([]Report{
		{Resource: "pods", Missing: []string{"list"}}, {Resource: "pods", Namespace: "a", Missing: []string{"list", "watch"}}, {Resource: "nodes"},
		{Resource: "leases", Group: "coordination.k8s.io", Missing: []string{"watch"}}, {Resource: "secrets", Missing: []string{"watch"}},
	})
	const want = "- apiGroups: [\"\"]\n  resources: [pods, secrets]\n  verbs: [list, watch]\n- apiGroups: [\"coordination.k8s.io\"]\n  resources: [leases]\n  verbs: [list, watch]\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if Rules([]Report{{Resource: "nodes"}}) != "" {
		t.Error("rules where nothing is missing")
	}
}
