package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// crdServer serves custom resource definitions, listed in pages and watched, as an
// API server does.
type crdServer struct {
	*httptest.Server
	mu      sync.Mutex
	version int
	all     map[string]string // name: JSON
	events  []string          // since version 0, one a version
	first   int               // versions before it cannot be watched from
	refuse  int               // HTTP status
	changed chan struct{}     // closed at the next change
	end     chan struct{}     // closed: watches end
}

func newCRDServer(t *testing.T) *crdServer {
	s := &crdServer{all: map[string]string{}, changed: make(chan struct{}), end: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// set makes or changes a definition, or with no versions deletes it. A version that
// ends in "-" is not served.
func (s *crdServer) set(group, kind string, established bool, versions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	plural := strings.ToLower(kind) + "s"
	name := plural + "." + group
	var served []string
	for _, v := range versions {
		v, off := strings.CutSuffix(v, "-")
		served = append(served, fmt.Sprintf(`{"name":%q,"served":%t,"schema":{"openAPIV3Schema":{"type":"object"}}}`, v, !off))
	}
	status := map[bool]string{true: "True", false: "False"}[established]
	object := fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":%q,"resourceVersion":"%d","annotations":{"a":"b"}},`+
		`"spec":{"group":%q,"scope":"Namespaced","names":{"kind":%q,"plural":%q},"versions":[%s]},"status":{"conditions":[{"type":"NamesAccepted","status":"True"},{"type":"Established","status":%q}]}}`,
		name, s.version, group, kind, plural, strings.Join(served, ","), status)
	verb := "ADDED"
	if s.all[name] != "" {
		verb = "MODIFIED"
	}
	s.all[name] = object
	if len(versions) == 0 {
		verb = "DELETED"
		delete(s.all, name)
	}
	s.events = append(s.events, fmt.Sprintf(`{"type":%q,"object":%s}`, verb, object))
	close(s.changed)
	s.changed = make(chan struct{})
}

// cut ends the watches; compact says that none can go on from where it was.
func (s *crdServer) cut(compact bool, refuse int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if compact {
		s.first = s.version + 1
	}
	s.refuse = refuse
	close(s.end)
	s.end = make(chan struct{})
}

func (s *crdServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	switch {
	case r.URL.Path != crdPath || r.Header.Get("Accept") != crdAccept:
		http.Error(w, "not found", http.StatusNotFound)
	case s.refuse != 0:
		w.WriteHeader(s.refuse)
		fmt.Fprintf(w, `{"kind":"Status","status":"Failure","reason":"Forbidden","message":"no","code":%d}`, s.refuse)
	case q.Get("watch") == "1":
		from, err := strconv.Atoi(q.Get("resourceVersion"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if from < s.first {
			fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","message":"too old","code":410}}`)
			return
		}
		s.watch(w, r.Context(), from)
	default:
		s.list(w, q)
	}
}

// watch sends events, and a bookmark first so that no watch ends before any event.
func (s *crdServer) watch(w http.ResponseWriter, ctx context.Context, from int) {
	fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}`+"\n", from)
	for end := s.end; ; {
		for ; from < len(s.events); from++ {
			fmt.Fprintln(w, s.events[from])
		}
		w.(http.Flusher).Flush()
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
			s.mu.Lock()
			select {
			case <-end: // comes first
				return
			default:
			}
		case <-end:
			s.mu.Lock()
			return
		case <-ctx.Done():
			s.mu.Lock()
			return
		}
	}
}

// list sends one definition a page, whatever the limit.
func (s *crdServer) list(w http.ResponseWriter, q url.Values) {
	if q.Get("limit") == "" {
		http.Error(w, "no limit", http.StatusBadRequest)
		return
	}
	var names []string
	for name := range s.all {
		names = append(names, name)
	}
	slices.Sort(names)
	page, next := []string{}, ""
	for i, name := range names {
		if name > q.Get("continue") {
			page = append(page, s.all[name])
			if i+1 < len(names) {
				next = name
			}
			break
		}
	}
	fmt.Fprintf(w, `{"kind":"CustomResourceDefinitionList","metadata":{"resourceVersion":"%d","continue":%q},"items":[%s]}`, s.version, next, strings.Join(page, ","))
}

// open is an opener of the server.
func (s *crdServer) open(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	answer, err := s.Client().Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	status := &apierrors.StatusError{}
	if err := json.NewDecoder(answer.Body).Decode(&status.ErrStatus); err != nil {
		return nil, err
	}
	return nil, status
}

// crdLog is what a watch tells, as text: "+plural.version.group", "-...", "synced",
// "failed: ..." and "well".
type crdLog struct {
	events chan string
	live   map[string]*resource
}

func (l *crdLog) customEvents() customEvents {
	first := true
	return customEvents{
		changed: func(added, removed []*resource) {
			for _, r := range removed {
				name := r.name + "." + r.version.Version + "." + r.version.Group
				if l.live[name] != r {
					l.events <- "removed what was not added: " + name
				}
				delete(l.live, name)
				l.events <- "-" + name
			}
			for _, r := range added {
				name := r.name + "." + r.version.Version + "." + r.version.Group
				l.live[name] = r
				l.events <- "+" + name
			}
			if first {
				first = false
				l.events <- "synced"
			}
		},
		failed: func(err error) {
			if err == nil {
				l.events <- "well"
			} else {
				l.events <- "failed: " + err.Error()
			}
		},
	}
}

// expect waits for events, in their order.
func (l *crdLog) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-l.events:
			if got != w {
				t.Fatalf("got %q, want %q", got, w)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing came; want %q", w)
		}
	}
}

const crdConfig = `
spec:
  resources:
    - groupVersionKind: {group: example.org, version: "*", kind: Foo}
      metrics: [{name: foo, each: {type: Info, info: {labelsFromPath: {name: [metadata, name]}}}}]
    - groupVersionKind: {group: any.org}
      metrics: [{name: any, each: {type: Info, info: {labelsFromPath: {name: [metadata, name]}}}}]
`

func TestCustomWatch(t *testing.T) {
	c, err := ParseCustom([]byte(crdConfig))
	if err != nil {
		t.Fatal(err)
	}
	s := newCRDServer(t)
	s.set("example.org", "Foo", true, "v1", "v2-")
	s.set("example.org", "Bar", true, "v1")
	s.set("any.org", "One", true, "v1")
	s.set("any.org", "Two", false, "v1") // not established yet

	stats := NewCustomStats(slog.New(slog.DiscardHandler))
	log := &crdLog{events: make(chan string, 100), live: map[string]*resource{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		watchCustom(ctx, s.open, c, stats, log.customEvents())
	}()
	defer func() { cancel(); <-done }()

	log.expect(t, "+ones.v1.any.org", "+foos.v1.example.org", "synced", "well")
	s.set("any.org", "Two", true, "v1")
	log.expect(t, "+twos.v1.any.org")
	s.set("example.org", "Bar", true, "v1", "v2") // nobody asked
	s.set("example.org", "Foo", true, "v1", "v2")
	log.expect(t, "+foos.v2.example.org")
	s.set("example.org", "Foo", true, "v1-", "v2")
	log.expect(t, "-foos.v1.example.org")
	s.set("any.org", "One", true)
	log.expect(t, "-ones.v1.any.org")
	if n := testutil.ToFloat64(stats.definitions); n != 3 {
		t.Errorf("%v definitions, want 3", n)
	}

	s.cut(false, 0) // a watch that ends is begun again, and misses nothing
	s.set("any.org", "Three", true, "v1beta1")
	log.expect(t, "+threes.v1beta1.any.org")

	s.set("any.org", "Two", true)
	log.expect(t, "-twos.v1.any.org")
	s.cut(true, 0) // one that cannot be gone on with leads to a new list, and is no failure
	s.set("any.org", "Four", true, "v1")
	log.expect(t, "+fours.v1.any.org")
	log.expect(t, "well")

	s.cut(false, http.StatusForbidden)
	log.expect(t, "failed: custom resource definitions: watch: no")
	s.set("any.org", "Five", true, "v1")
	s.cut(false, 0)
	var rest []string
	for !slices.Contains(rest, "well") {
		select {
		case e := <-log.events:
			if !strings.HasPrefix(e, "failed: ") { // it may have been tried more than once
				rest = append(rest, e)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not well again: %q", rest)
		}
	}
	if !slices.Equal(rest, []string{"+fives.v1.any.org", "well"}) {
		t.Errorf("after a failure: %q", rest)
	}
	if added, updated, deleted := testutil.ToFloat64(stats.added), testutil.ToFloat64(stats.updated), testutil.ToFloat64(stats.deleted); added != 7 || updated != 4 || deleted != 2 {
		t.Errorf("%v added, %v updated, %v deleted", added, updated, deleted)
	}
	r := log.live["foos.v2.example.org"]
	if r == nil || !r.namespaced || r.kind != "Foo" || r.fetch != fetchAny || len(r.families) != 1 {
		t.Errorf("resource %+v", r)
	}
}

// A definition that changes its kind or scope is another resource.
func TestCustomWatchRescoped(t *testing.T) {
	c, err := ParseCustom([]byte(crdConfig))
	if err != nil {
		t.Fatal(err)
	}
	log := &crdLog{events: make(chan string, 10), live: map[string]*resource{}}
	w := newCustomWatch(c, NewCustomStats(slog.New(slog.DiscardHandler)), log.customEvents())
	d := definition{group: "any.org", kind: "One", plural: "ones", namespaced: true, versions: []string{"v1"}}
	w.replace(map[string]definition{"a": d})
	log.expect(t, "+ones.v1.any.org", "synced")
	w.replace(map[string]definition{"a": d})
	d.namespaced = false
	w.replace(map[string]definition{"a": d})
	log.expect(t, "-ones.v1.any.org", "+ones.v1.any.org")
}
