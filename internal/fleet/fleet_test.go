package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchpost/internal/fleet"
	"watchpost/internal/pageapi"
	"watchpost/internal/promstack"
	"watchpost/internal/testfleet"
)

// small has of everything at least one: nodes that are down, pods that crash, wait
// for a node, belong to each kind.
var small = testfleet.Size{Nodes: 20, Pods: 420}

// open starts the engine on a fleet of that size. more is added to its configuration.
func open(tb testing.TB, size testfleet.Size, more ...string) *promstack.Engine {
	tb.Helper()
	dir := tb.TempDir()
	if _, err := testfleet.Fill(filepath.Join(dir, "data"), size, time.Now()); err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte("global: {scrape_interval: 1m, evaluation_interval: 1h}\n"+strings.Join(more, "")), 0o600); err != nil {
		tb.Fatal(err)
	}
	e, err := promstack.New(promstack.Config{
		Source:   promstack.Source{File: file},
		Storage:  promstack.StorageConfig{Dir: filepath.Join(dir, "data")},
		Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- e.Run(ctx, func() { close(ready) }) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	<-ready
	return e
}

// site is a fleet.View behind HTTP.
type site struct {
	testing.TB
	h http.Handler
}

func (s *site) get(path string, params ...string) (int, []byte) {
	s.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+q.Encode(), nil))
	return w.Code, w.Body.Bytes()
}

// read decodes an answer that must be there.
func read[T any](s *site, path string, params ...string) T {
	s.Helper()
	status, body := s.get(path, params...)
	var a struct {
		Status string `json:"status"`
		Data   T      `json:"data"`
	}
	if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK || a.Status != "success" {
		s.Fatalf("%s %v: %d %v\n%s", path, params, status, err, body)
	}
	return a.Data
}

type nodes struct {
	All, Total, Pods, Sick int
	States                 map[string]int
	Rows                   []fleet.Node
	Cost                   fleet.Cost
}

type pods struct {
	Total  int
	States map[string]int
	Rows   []fleet.Pod
	Full   bool
	Cost   fleet.Cost
}

func TestViews(t *testing.T) {
	e := open(t, small)
	s := &site{t, fleet.New(e).Handler()}
	sick, pending := 0, 0
	var crash, lost testfleet.Pod
	for i := range small.Pods {
		switch p := testfleet.PodAt(small, i); {
		case p.Pending:
			pending++
			lost = p
		case p.Sick:
			sick++
			crash = p
		}
	}
	if sick == 0 || pending == 0 {
		t.Fatalf("the fleet has %d crashing and %d pending pods, want some", sick, pending)
	}

	t.Run("nodes", func(t *testing.T) {
		s := &site{t, s.h}
		a := read[nodes](s, "/nodes", "limit", "5")
		if a.All != small.Nodes || a.Total != small.Nodes || len(a.Rows) != 5 || a.Pods != small.Pods || a.Sick != sick+pending {
			t.Errorf("all %d, total %d, rows %d, pods %d, sick %d", a.All, a.Total, len(a.Rows), a.Pods, a.Sick)
		}
		if len(a.Cost.Missing) > 0 || a.Cost.Queries == 0 {
			t.Errorf("cost %+v", a.Cost)
		}
		first := a.Rows[0]
		if first.Name != testfleet.NodeName(13) || first.State != "down" || first.CPU != nil ||
			!slices.Contains(first.Why, "Kubernetes: the kubelet is silent") || !strings.HasPrefix(first.Why[0], "silent") {
			t.Errorf("first is %+v, want the node that fell silent", first)
		}
		again := read[nodes](s, "/nodes", "sort", "cpu", "desc", "1", "offset", "0", "limit", "500")
		if again.Cost.Queries != 0 {
			t.Errorf("the second look asked %d queries, want none", again.Cost.Queries)
		}
		if !slices.IsSortedFunc(again.Rows[:small.Nodes-1], func(a, b fleet.Node) int { return int(1e9 * (*b.CPU - *a.CPU)) }) {
			t.Error("not sorted by CPU, the largest first")
		}
		if last := again.Rows[small.Nodes-1]; last.State != "down" {
			t.Errorf("what is not known is less than any number, last is %+v", last)
		}
		for _, n := range again.Rows[:small.Nodes-1] {
			if n.Memory == nil || n.Disk == nil || n.Receive == nil || n.Transmit == nil || n.Pressure == nil || n.Room == nil || n.Kube != n.Name || n.IP == "" || n.Pods == 0 {
				t.Errorf("node is incomplete: %+v", n)
			}
			if *n.CPU < 0 || *n.CPU > 1 || *n.Memory < 0 || *n.Memory > 1 || *n.Disk < 0 || *n.Disk > 1 {
				t.Errorf("shares out of 0..1: %v %v %v", *n.CPU, *n.Memory, *n.Disk)
			}
		}
		for _, w := range []string{"NODE-7", testfleet.NodeIP(6), "6.12.48 node-7"} {
			if a := read[nodes](s, "/nodes", "q", w); a.Total != 1 || a.Rows[0].Name != "node-7" {
				t.Errorf("%q finds %d", w, a.Total)
			}
		}
		if a := read[nodes](s, "/nodes", "state", "down"); a.Total != 1 || a.States["down"] != 1 || a.States["up"]+a.States["warn"] != small.Nodes-1 {
			t.Errorf("down: %d, states %v", a.Total, a.States)
		}
		if a := read[nodes](s, "/nodes", "offset", "1000"); a.Total != small.Nodes || len(a.Rows) != 0 {
			t.Errorf("beyond the end: %d rows of %d", len(a.Rows), a.Total)
		}
	})

	t.Run("node", func(t *testing.T) {
		s := &site{t, s.h}
		type node struct {
			Node       fleet.Node
			Disks      []fleet.Disk
			Devices    []fleet.Device
			Interfaces []fleet.Interface
			Cost       fleet.Cost
		}
		a := read[node](s, "/node", "node", "node-3")
		if a.Node.Name != "node-3" || len(a.Disks) != 2 || len(a.Devices) != 1 || len(a.Interfaces) != 3 || len(a.Cost.Missing) > 0 {
			t.Fatalf("%+v", a)
		}
		if d := a.Disks[0]; d.Mountpoint != "/" || d.Size == nil || d.Avail == nil || d.Inodes == nil || *d.Inodes < 0.16 || *d.Inodes > 0.17 {
			t.Errorf("disk %+v", d)
		}
		if i := a.Interfaces[0]; i.State != "up" || i.Speed == nil || i.Receive == nil || i.Errors == nil || *i.Errors != 0 {
			t.Errorf("interface %+v", i)
		}
		if d := a.Devices[0]; d.Busy == nil || d.Read == nil || d.Written == nil {
			t.Errorf("device %+v", d)
		}
		b := read[node](s, "/node", "instance", a.Node.Instance, "job", "node")
		if b.Node.Name != "node-3" {
			t.Errorf("by instance: %s", b.Node.Name)
		}
		p := read[pods](s, "/pods", "node", "node-3", "sort", "cpu", "desc", "1")
		if p.Total != a.Node.Pods || p.Rows[0].Usage == nil || p.Rows[0].Usage.CPU == nil || *p.Rows[0].Usage.CPURequest == 0 || *p.Rows[0].Usage.MemoryLimit == 0 {
			t.Errorf("%d pods of %d, first %+v", p.Total, a.Node.Pods, p.Rows[0])
		}
	})

	t.Run("pods", func(t *testing.T) {
		s := &site{t, s.h}
		a := read[pods](s, "/pods")
		if a.Total != small.Pods || a.States["sick"] != sick+pending || !a.Full || a.Rows[0].State != "sick" {
			t.Errorf("total %d, states %v, first %+v", a.Total, a.States, a.Rows[0])
		}
		for _, tc := range []struct {
			q     string
			total int
		}{{"crashloopbackoff", sick}, {"OOMKilled", sick}, {crash.IP, 1}, {"no node takes", pending}, {"shop-1-", 20}, {"nothing at all", 0}} {
			if tc.q == crash.IP {
				// An address may be the beginning of others.
				if a := read[pods](s, "/pods", "q", tc.q); a.Total < 1 || !slices.ContainsFunc(a.Rows, func(p fleet.Pod) bool { return p.Name == crash.Name }) {
					t.Errorf("%q finds %d", tc.q, a.Total)
				}
			} else if a := read[pods](s, "/pods", "q", tc.q); a.Total != tc.total {
				t.Errorf("%q finds %d, want %d", tc.q, a.Total, tc.total)
			}
		}
		a = read[pods](s, "/pods", "sort", "memory", "desc", "1", "limit", "3")
		if len(a.Rows) != 3 || *a.Rows[0].Usage.Memory < *a.Rows[1].Usage.Memory {
			t.Errorf("not sorted by memory: %+v", a.Rows)
		}
		a = read[pods](s, "/pods", "sort", "restarts", "desc", "1", "limit", "1")
		if a.Rows[0].Restarts < 3 {
			t.Errorf("most restarts: %+v", a.Rows[0])
		}
	})

	t.Run("pod", func(t *testing.T) {
		s := &site{t, s.h}
		type pod struct {
			Pod        fleet.Pod
			Node       *fleet.Node
			Owners     []fleet.Owner
			Labels     map[string]string
			Created    int64
			HostIP     string
			Containers []fleet.Container
			Interfaces []fleet.Interface
			Events     []fleet.Event
			Metrics    []fleet.OwnMetric
			Cost       fleet.Cost
		}
		a := read[pod](s, "/pod", "cluster", testfleet.Cluster, "namespace", crash.Namespace, "pod", crash.Name)
		if a.Pod.State != "sick" || a.Node == nil || a.Node.Name != testfleet.NodeName(crash.Node) || a.HostIP != testfleet.NodeIP(crash.Node) || a.Created == 0 {
			t.Errorf("%+v", a)
		}
		if len(a.Cost.Missing) > 0 {
			t.Error(a.Cost.Missing)
		}
		c := a.Containers[0]
		if c.Name != "app" || !strings.HasPrefix(c.Image, "registry.example/shop-") || c.LastReason != "OOMKilled" || *c.LastExit != 137 ||
			c.CPU == nil || c.Memory == nil || *c.CPURequest != 0.25 || *c.CPULimit != 0.5 || *c.MemoryLimit != 512<<20 || c.Throttled == nil || c.Restarts < 3 {
			t.Errorf("container %+v", c)
		}
		if a.Labels["app"] == "" || len(a.Interfaces) != 1 || a.Interfaces[0].Receive == nil {
			t.Errorf("labels %v, interfaces %+v", a.Labels, a.Interfaces)
		}
		for _, want := range []string{"app restarted: ", "app waits: CrashLoopBackOff", "not ready", "ready"} {
			if !slices.ContainsFunc(a.Events, func(e fleet.Event) bool { return strings.HasPrefix(e.What, want) }) {
				t.Errorf("no event %q in %+v", want, a.Events)
			}
		}
		if !slices.IsSortedFunc(a.Events, func(a, b fleet.Event) int { return int(b.Time - a.Time) }) {
			t.Error("events are not the newest first")
		}
		of := testfleet.PodAt(small, 0) // a Deployment's, with an exporter of its own
		a = read[pod](s, "/pod", "namespace", of.Namespace, "pod", of.Name)
		if want := []fleet.Owner{{Kind: "ReplicaSet", Name: strings.TrimSuffix(of.Name, of.Name[strings.LastIndex(of.Name, "-"):])}, {Kind: "Deployment", Name: "shop-0"}}; !slices.Equal(a.Owners, want) {
			t.Errorf("owners %v, want %v", a.Owners, want)
		}
		if want := []fleet.OwnMetric{{Name: "shop_baskets", Job: "shops", Instance: of.IP + ":8080", Series: 1}, {Name: "shop_requests_total", Job: "shops", Instance: of.IP + ":8080", Series: 3}}; !slices.Equal(a.Metrics, want) {
			t.Errorf("own metrics %v", a.Metrics)
		}
		a = read[pod](s, "/pod", "namespace", lost.Namespace, "pod", lost.Name)
		if a.Node != nil || a.Pod.Phase != "Pending" || a.Pod.Why[0] != "no node takes it" {
			t.Errorf("the pod without a node: %+v", a)
		}
		if status, _ := s.get("/pod", "namespace", "no", "pod", "no"); status != http.StatusNotFound {
			t.Errorf("a pod that is not there: %d", status)
		}
	})

	t.Run("applications", func(t *testing.T) {
		s := &site{t, s.h}
		type apps struct {
			Total int
			Rows  []fleet.App
		}
		a := read[apps](s, "/apps")
		if a.Total != testfleet.Apps(small) || a.Rows[0].State != "sick" || a.Rows[0].Why == "" || a.Rows[0].Pods != 20 {
			t.Errorf("%d, first %+v", a.Total, a.Rows[0])
		}
		type app struct {
			App   fleet.App
			Usage fleet.Usage
			List  pods
		}
		for _, by := range [][]string{{"kind", "Deployment", "app", "shop-0"}, {"label", "app", "value", "shop-0"}} {
			a := read[app](s, "/app", append(by, "namespace", testfleet.Namespace(0), "limit", "7")...)
			if a.App.Pods != 20 || a.List.Total != 20 || len(a.List.Rows) != 7 || *a.Usage.CPURequest < 20*0.25 || *a.Usage.Memory == 0 {
				t.Errorf("%v: %+v", by, a)
			}
		}
		if status, _ := s.get("/app", "namespace", "no", "app", "no"); status != http.StatusNotFound {
			t.Errorf("an application that is not there: %d", status)
		}
	})

	t.Run("search", func(t *testing.T) {
		s := &site{t, s.h}
		type found struct {
			Total int
			Hits  []fleet.Hit
		}
		for q, want := range map[string]string{
			crash.IP:                           "pod " + crash.Name,
			crash.Name:                         "pod " + crash.Name,
			crash.Namespace + "/" + crash.Name: "pod " + crash.Name,
			strings.ToUpper(crash.Name):        "pod " + crash.Name,
			"shop-3":                           "app shop-3",
			"node-2":                           "node node-2",
			testfleet.NodeIP(4):                "node node-5",
		} {
			a := read[found](s, "/search", "q", q)
			if len(a.Hits) == 0 || a.Hits[0].What+" "+a.Hits[0].Name != want {
				t.Errorf("%q finds %+v first, want %s", q, a.Hits[:min(1, len(a.Hits))], want)
			}
		}
		if a := read[found](s, "/search", "q", "shop"); len(a.Hits) != 20 || a.Total < small.Pods {
			t.Errorf("%d of %d hits", len(a.Hits), a.Total)
		}
		if a := read[found](s, "/search", "q", " "); a.Total != 0 {
			t.Errorf("nothing finds %d", a.Total)
		}
	})

	t.Run("mistakes", func(t *testing.T) {
		s := &site{t, s.h}
		for _, tc := range [][]string{
			{"/nodes", "sort", "colour"}, {"/nodes", "state", "fine"}, {"/nodes", "limit", "-1"}, {"/nodes", "offset", "x"}, {"/nodes", "q", strings.Repeat("x", 501)},
			{"/pods", "state", "fine"}, {"/pods", "sort", "x"}, {"/pod"}, {"/app", "namespace", "x"},
			{"/app", "namespace", "x", "label", `app="",evil`, "value", "1"},
		} {
			status, body := s.get(tc[0], tc[1:]...)
			if status != http.StatusBadRequest || !strings.Contains(string(body), `"errorType":"bad_data"`) {
				t.Errorf("%v: %d %s", tc, status, body)
			}
		}
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/nodes", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d", w.Code)
		}
		// What is asked for is data, not PromQL.
		for _, evil := range []string{`"} or up{x="`, `\`, "a\nb", `.*`} {
			if status, _ := s.get("/pod", "namespace", evil, "pod", evil); status != http.StatusNotFound {
				t.Errorf("%q: %d", evil, status)
			}
			if status, body := s.get("/app", "namespace", "team-0", "label", "app", "value", evil); status != http.StatusNotFound {
				t.Errorf("%q: %d %s", evil, status, body)
			}
		}
	})
}

// A list of the past is that of then, kept like the present one, and a few are.
func TestAnotherTime(t *testing.T) {
	p := &partly{Source: open(t, small), fail: func(string) error { return nil }}
	s := &site{t, fleet.New(p).Handler()}
	seconds := func(back time.Duration) string { return fmt.Sprint(time.Now().Add(-back).Unix()) }
	// The node that has been silent for ten minutes was well twenty minutes ago; the pods that are well begin later.
	then := seconds(20 * time.Minute)
	a := read[nodes](s, "/nodes", "at", then)
	if a.Total != small.Nodes || a.States["down"] != 1 || a.Rows[0].Name != testfleet.NodeName(13) || a.Rows[0].CPU == nil || a.Cost.Queries == 0 {
		t.Errorf("then: %d nodes, %v, first %+v", a.Total, a.States, a.Rows[0])
	}
	if strings.Contains(strings.Join(a.Rows[0].Why, " "), "silent:") {
		t.Errorf("it was not silent then: %v", a.Rows[0].Why)
	}
	if l := read[pods](s, "/pods", "at", then); l.Total == 0 || l.Total == small.Pods || l.Rows[0].State != "sick" {
		t.Errorf("then: %d pods", l.Total)
	}
	if l := read[pods](s, "/pods"); l.Total != small.Pods {
		t.Errorf("now: %d pods", l.Total)
	}
	once := p.asked.Load()
	if a := read[nodes](s, "/nodes", "at", then, "sort", "cpu", "desc", "1"); a.Cost.Queries != 0 || p.asked.Load() != once {
		t.Errorf("the second look at the same moment asked %d queries", a.Cost.Queries)
	}
	for _, back := range []time.Duration{21 * time.Minute, 22 * time.Minute} {
		if a := read[nodes](s, "/nodes", "at", seconds(back)); a.Cost.Queries == 0 {
			t.Errorf("%s ago asked nothing", back)
		}
	}
	if a := read[nodes](s, "/nodes", "at", then); a.Cost.Queries == 0 {
		t.Error("more moments are held than may be")
	}
	day := time.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)
	if a := read[nodes](s, "/nodes", "at", day); a.Total != 0 || a.Pods != 0 {
		t.Errorf("a day ago: %d nodes", a.Total)
	}
	for _, evil := range []string{"yesterday", "-1", "NaN", "1e30"} {
		if status, body := s.get("/pods", "at", evil); status != http.StatusBadRequest || !strings.Contains(string(body), "at=") {
			t.Errorf("at=%s: %d %s", evil, status, body)
		}
	}
}

// partly is a source of which some questions fail, that counts them, or that waits.
type partly struct {
	fleet.Source
	fail  func(expr string) error
	asked atomic.Int32
}

func (p *partly) Query(ctx context.Context, expr string, at time.Time, each func(iter.Seq2[string, string], iter.Seq2[int64, float64])) (int, error) {
	p.asked.Add(1)
	if err := p.fail(expr); err != nil {
		return 0, err
	}
	return p.Source.Query(ctx, expr, at, each)
}

func TestPartsThatFail(t *testing.T) {
	e := open(t, small)
	p := &partly{Source: e, fail: func(expr string) error {
		if strings.Contains(expr, "node_memory") {
			return errors.New("query timed out")
		}
		return nil
	}}
	s := &site{t, fleet.New(p).Handler()}
	a := read[nodes](s, "/nodes")
	if want := []string{"memory: query timed out"}; !slices.Equal(a.Cost.Missing, want) || a.Total != small.Nodes {
		t.Errorf("missing %q of %d nodes, want %q", a.Cost.Missing, a.Total, want)
	}
	if i := slices.IndexFunc(a.Rows, func(n fleet.Node) bool { return n.State != "down" }); a.Rows[i].Memory != nil || a.Rows[i].CPU == nil {
		t.Errorf("%+v, want all but the memory", a.Rows[i])
	}

	p = &partly{Source: e, fail: func(string) error { return errors.New("disk on fire") }}
	s.h = fleet.New(p).Handler()
	if status, body := s.get("/nodes"); status != http.StatusInternalServerError || !strings.Contains(string(body), "disk on fire") {
		t.Errorf("nothing answers: %d %s", status, body)
	}
	p.fail = func(string) error {
		return &pageapi.Error{Status: http.StatusServiceUnavailable, Kind: "unavailable", Err: errors.New("starting")}
	}
	if status, body := s.get("/nodes"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "starting") {
		t.Errorf("not ready: %d %s", status, body)
	}
	p.fail = func(string) error { return nil }
	if a := read[nodes](s, "/nodes"); a.Total != small.Nodes {
		t.Errorf("a failure is not kept, yet %d nodes", a.Total)
	}
}

// Who asks at the same moment shares one list.
func TestListsAreShared(t *testing.T) {
	p := &partly{Source: open(t, small), fail: func(string) error { return nil }}
	h := fleet.New(p).Handler()
	done := make(chan int)
	for range 20 {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/nodes?limit=1", nil))
			done <- w.Code
		}()
	}
	for range 20 {
		if code := <-done; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
	once := p.asked.Load()
	w := httptest.NewRecorder()
	fleet.New(p).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/nodes", nil))
	if alone := p.asked.Load() - once; once != alone {
		t.Errorf("20 readers asked %d queries, one alone %d", once, alone)
	}
}

// Without state-agent pods are those that the container metrics name.
func TestWithoutStateAgent(t *testing.T) {
	e := open(t, small)
	p := &partly{Source: hiding{e}, fail: func(string) error { return nil }}
	s := &site{t, fleet.New(p).Handler()}
	a := read[pods](s, "/pods", "limit", "1")
	if a.Full || a.Total == 0 || a.Rows[0].State != "unknown" || a.Rows[0].IP == "" || a.Rows[0].Node == "" {
		t.Errorf("%+v", a)
	}
	if n := read[nodes](s, "/nodes"); n.Total != small.Nodes || n.Sick != 0 {
		t.Errorf("%d nodes, %d sick", n.Total, n.Sick)
	}
}

// hiding leaves out what Kubernetes says.
type hiding struct{ fleet.Source }

func (h hiding) Query(ctx context.Context, expr string, at time.Time, each func(iter.Seq2[string, string], iter.Seq2[int64, float64])) (int, error) {
	if strings.Contains(expr, "kube_") {
		return 0, nil
	}
	return h.Source.Query(ctx, expr, at, each)
}

// BenchmarkViews is each view on 500 nodes and 20,000 pods, 500 targets and the rules of deploy/monitoring: the first time,
// with nothing kept, and again, while the lists that it may keep are fresh.
// go test -run - -bench Views -cpu 1 ./internal/fleet
func BenchmarkViews(b *testing.B) {
	size := testfleet.Size{Nodes: 500, Pods: 20_000}
	rules, err := filepath.Abs("../../deploy/monitoring/rules/*.yml")
	if err != nil {
		b.Fatal(err)
	}
	var more strings.Builder
	fmt.Fprintf(&more, "rule_files: [%q]\nscrape_configs:\n- job_name: node\n  scrape_interval: 1h\n  static_configs:\n", rules)
	for i := range size.Nodes {
		fmt.Fprintf(&more, "  - {targets: ['127.0.0.1:1'], labels: {instance: '%s:9100', host: %s}}\n", testfleet.NodeIP(i), testfleet.NodeName(i))
	}
	e := open(b, size, more.String())
	p := testfleet.PodAt(size, 5)
	handler := func() http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", fleet.New(e).Handler())
		page := e.PageHandler()
		for _, path := range []string{"/targets", "/cardinality", "/cardinality/"} {
			mux.Handle(path, page)
		}
		mux.Handle("/api/v1/", http.StripPrefix("/api/v1", e.Handler()))
		return mux
	}
	for _, view := range []struct {
		name, path string
		params     []string
	}{
		{"fleet", "/nodes", nil},
		{"fleet-by-cpu", "/nodes", []string{"sort", "cpu", "desc", "1"}},
		{"fleet-by-network", "/nodes", []string{"sort", "network", "desc", "1"}},
		{"fleet-search", "/nodes", []string{"q", "node-49"}},
		{"node", "/node", []string{"node", "node-3"}},
		{"pods-of-node", "/pods", []string{"node", "node-3", "sort", "cpu", "desc", "1"}},
		{"pods", "/pods", nil},
		{"pods-by-name", "/pods", []string{"sort", "pod"}},
		{"pods-by-restarts", "/pods", []string{"sort", "restarts", "desc", "1"}},
		{"pods-by-cpu", "/pods", []string{"sort", "cpu", "desc", "1"}},
		{"pods-by-memory", "/pods", []string{"sort", "memory", "desc", "1"}},
		{"pods-last-page", "/pods", []string{"offset", "19950"}},
		{"pod", "/pod", []string{"namespace", p.Namespace, "pod", p.Name}},
		{"apps", "/apps", nil},
		{"app", "/app", []string{"namespace", "team-0", "kind", "Deployment", "app", "shop-0"}},
		{"search-by-ip", "/search", []string{"q", p.IP}},
		{"search-by-name", "/search", []string{"q", "shop-99"}},
		{"targets", "/targets", nil},
		{"targets-filtered", "/targets", []string{"q", "host=node-14"}},
		{"cardinality", "/cardinality", nil},
		{"cardinality-by-job", "/cardinality", []string{"by", "job"}},
		{"labels-of-metric", "/cardinality/metric", []string{"name", "kube_pod_status_phase"}},
		{"alerts", "/api/v1/rules", []string{"group_limit", "200"}},
		{"query-completion", "/api/v1/label/__name__/values", []string{"limit", "20000"}},
		{"query", "/api/v1/query", []string{"query", `sum by (phase) (kube_pod_status_phase)`}},
	} {
		for _, again := range []bool{false, true} {
			name := view.name + "/first"
			if again {
				name = view.name + "/again"
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				var cost fleet.Cost
				s := &site{b, handler()}
				if again {
					read[any](s, view.path, view.params...)
				}
				before := processorTime(b)
				for b.Loop() {
					if !again {
						s.h = handler()
					}
					if strings.HasPrefix(view.path, "/api/") {
						read[any](s, view.path, view.params...)
					} else {
						cost = read[struct{ Cost fleet.Cost }](s, view.path, view.params...).Cost
					}
				}
				b.ReportMetric(float64(cost.Queries), "queries/op")
				b.ReportMetric(float64(cost.Samples), "samples/op")
				b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

// processorTime is what this process has used of all processors: unlike the clock, it is little moved by what else runs
// on the machine.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ExampleView() {
	// The engine of the collector is a Source.
	var e *promstack.Engine
	http.Handle("/api/page/", http.StripPrefix("/api/page", fleet.New(e).Handler()))
	fmt.Println("served")
	// Output: served
}
