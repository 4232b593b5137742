package podmap

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"watchpost/internal/containers"
)

// madeRuntime is a container runtime that has what a test says. Requests that would
// change something are not implemented.
type madeRuntime struct {
	runtime.UnimplementedRuntimeServiceServer
	mu         sync.Mutex
	sandboxes  []*runtime.PodSandbox
	status     map[string]*runtime.PodSandboxStatus
	containers []*runtime.Container
	asked      map[string]int
	fails      error
}

func (r *madeRuntime) ask(what string) error {
	r.asked[what]++
	return r.fails
}

func (r *madeRuntime) ListPodSandbox(context.Context, *runtime.ListPodSandboxRequest) (*runtime.ListPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &runtime.ListPodSandboxResponse{Items: r.sandboxes}, r.ask("list")
}

func (r *madeRuntime) PodSandboxStatus(_ context.Context, q *runtime.PodSandboxStatusRequest) (*runtime.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status[q.PodSandboxId]
	if err := r.ask(q.PodSandboxId); err != nil || s == nil {
		return nil, status.Error(codes.NotFound, "no such sandbox")
	}
	return &runtime.PodSandboxStatusResponse{Status: s}, nil
}

func (r *madeRuntime) ListContainers(context.Context, *runtime.ListContainersRequest) (*runtime.ListContainersResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &runtime.ListContainersResponse{Containers: r.containers}, r.ask("containers")
}

func (r *madeRuntime) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *madeRuntime) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[what]
}

// serveRuntime is a server at a socket; stop ends it.
func serveRuntime(t *testing.T, socket string, r runtime.RuntimeServiceServer) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	runtime.RegisterRuntimeServiceServer(s, r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l) // ends with the server
	}()
	return func() { s.Stop(); <-done }
}

// made is a sandbox as a kubelet makes it.
func made(id, name string, attempt uint32, ready bool) *runtime.PodSandbox {
	s := &runtime.PodSandbox{
		Id: id, Metadata: &runtime.PodSandboxMetadata{Namespace: "a", Name: name, Uid: "uid-" + name, Attempt: attempt}, CreatedAt: int64(attempt),
		Labels:      map[string]string{"app": name, "io.kubernetes.pod.name": name},
		Annotations: map[string]string{"prometheus.io/scrape": "true", "owner": "me"}, State: runtime.PodSandboxState_SANDBOX_NOTREADY,
	}
	if ready {
		s.State = runtime.PodSandboxState_SANDBOX_READY
	}
	return s
}

func madeStatus(ip string, more ...string) *runtime.PodSandboxStatus {
	s := &runtime.PodSandboxStatus{Network: &runtime.PodSandboxNetworkStatus{Ip: ip}}
	for _, ip := range more {
		s.Network.AdditionalIps = append(s.Network.AdditionalIps, &runtime.PodIP{Ip: ip})
	}
	return s
}

func onHost() *runtime.PodSandboxStatus {
	return &runtime.PodSandboxStatus{Linux: &runtime.LinuxPodSandboxStatus{Namespaces: &runtime.Namespace{Options: &runtime.NamespaceOption{Network: runtime.NamespaceMode_NODE}}}}
}

// A runtime over its socket: pods with their addresses and containers, on the host's
// network, restarted, ended and gone; a runtime that fails, and one that comes back.
func TestCRI(t *testing.T) {
	dir, err := os.MkdirTemp("", "cri") // the path of a socket has 107 bytes at the most
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	r := &madeRuntime{
		sandboxes: []*runtime.PodSandbox{made("s1", "web", 0, false), made("s2", "web", 1, true), made("s3", "proxy", 0, true), made("s4", "late", 0, true), made("s5", "", 0, true), made("s6", "lost", 0, true)},
		status:    map[string]*runtime.PodSandboxStatus{"s2": madeStatus("10.0.0.2", "fd00::2"), "s3": onHost(), "s4": madeStatus("")},
		containers: []*runtime.Container{
			{Id: "c0", PodSandboxId: "s1", Metadata: &runtime.ContainerMetadata{Name: "main"}},
			{Id: "c1", PodSandboxId: "s2", Metadata: &runtime.ContainerMetadata{Name: "main"}, Annotations: map[string]string{portsAnnotation: `[{"name":"m","containerPort":8080,"protocol":"TCP"}]`}},
			{Id: "c2", PodSandboxId: "none"},
		},
		asked: make(map[string]int),
	}
	m := New(Config{Rules: containers.PodRules{Labels: []string{"*"}, Annotations: []string{"owner"}}})
	source := &CRI{Socket: socket, Node: "n1", HostIP: "192.0.2.1", Interval: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		source.Run(ctx, m)
	}()
	defer func() { cancel(); <-ended }()
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within 30 s: %s: %v, asked %v", what, m.Ready(), r.asked)
			}
		}
	}
	eventually("the socket is missed", func() bool { return strings.Contains(fmt.Sprint(m.Ready()), socket+" is not there") })
	stop := serveRuntime(t, socket, r)
	defer func() { stop() }()
	eventually("it is asked", m.Current)

	if got, want := m.textOf("a", "web"), `x{namespace="a",pod="web",pod_ip="10.0.0.2",label_app="web",annotation_owner="me"} 1`+"\n"; got != want {
		t.Error(got)
	}
	if p, name := m.ByContainer("containerd://c1"); p == nil || p.Name != "web" || name != "main" || p.Node != "n1" || len(p.IPs) != 2 || len(p.Scrape) != 1 || p.Scrape[0].Port != 8080 {
		t.Errorf("%+v", p)
	}
	if p, _ := m.ByContainer("c0"); p == nil || p.UID != "uid-web" {
		t.Error("the container of an earlier sandbox is not known")
	}
	owners, hosts := m.ByIP(netip.MustParseAddr("192.0.2.1"))
	if names(owners) != "" || names(hosts) != "proxy/uid-proxy" {
		t.Errorf("%s; %s", names(owners), names(hosts))
	}
	if m.Len() != 4 {
		t.Errorf("%d pods", m.Len())
	}
	polls := r.count("list")
	eventually("more polls", func() bool { return r.count("list") > polls+3 })
	if n := r.count("s2"); n != 1 {
		t.Errorf("a sandbox that does not change was asked %d times", n)
	}
	if r.count("s1") != 0 || r.count("s4") < 2 {
		t.Errorf("asked %d times of a sandbox that has ended, %d of one without an address", r.count("s1"), r.count("s4"))
	}
	r.set(func() { r.status["s4"] = madeStatus("10.0.0.4") })
	eventually("a late address", func() bool { p := m.ByUID("uid-late"); return p != nil && len(p.IPs) == 1 })

	// One stops, one is deleted.
	r.set(func() { r.sandboxes = []*runtime.PodSandbox{made("s2", "web", 1, false), made("s4", "late", 0, true)} })
	eventually("a pod has gone", func() bool { p := m.ByUID("uid-proxy"); return p != nil && !p.Gone.IsZero() })
	if got := m.textOf("a", "web"); !strings.Contains(got, "10.0.0.2") {
		t.Error("the last samples of a pod that has stopped lose its address: " + got)
	}
	if pods, _ := m.Scraped(); names(pods) != "late/uid-late" {
		t.Error("asked for metrics: " + names(pods))
	}

	r.set(func() { r.fails = status.Error(codes.Unavailable, "busy") })
	eventually("a failure is seen", func() bool { return !m.Current() })
	stop()
	stop = serveRuntime(t, socket, &runtime.UnimplementedRuntimeServiceServer{})
	eventually("another service is told", func() bool {
		m.mu.RLock()
		defer m.mu.RUnlock()
		return strings.Contains(m.err, "version 1 of the CRI")
	})
	if m.ByUID("uid-late") == nil || m.Ready() != nil {
		t.Error("what was known is lost")
	}
	stop()
	r.set(func() { r.fails = nil })
	stop = serveRuntime(t, socket, r)
	eventually("it is back", m.Current)
}

// FuzzCRI: whatever a runtime says makes pods that can be taken and forgotten.
func FuzzCRI(f *testing.F) {
	seed := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(seed(&runtime.ListPodSandboxResponse{Items: []*runtime.PodSandbox{made("s1", "web", 0, true), made("s2", "web", 1, false)}}), seed(madeStatus("10.0.0.1", "x")),
		seed(&runtime.ListContainersResponse{Containers: []*runtime.Container{{Id: "c", PodSandboxId: "s1", Annotations: map[string]string{portsAnnotation: `[{"containerPort":1}]`}}}}))
	f.Add(seed(&runtime.ListPodSandboxResponse{Items: []*runtime.PodSandbox{{}, {Id: "s"}}}), []byte{}, seed(&runtime.ListContainersResponse{Containers: []*runtime.Container{{}}}))
	f.Fuzz(func(t *testing.T, list, state, all []byte) {
		var l runtime.ListPodSandboxResponse
		var s runtime.PodSandboxStatus
		var k runtime.ListContainersResponse
		if proto.Unmarshal(list, &l) != nil || proto.Unmarshal(state, &s) != nil || proto.Unmarshal(all, &k) != nil {
			return
		}
		known := make(map[string]sandbox)
		for _, p := range l.Items {
			known[p.GetId()] = sandboxOf(&s)
		}
		m := New(Config{Rules: containers.PodRules{Labels: []string{"*"}}, Grace: time.Nanosecond})
		objects := (&CRI{Node: "n"}).objects(l.Items, known, k.Containers)
		m.replace(objects)
		if m.Len() != len(objects) {
			t.Errorf("%d pods of %d", m.Len(), len(objects))
		}
		m.replace(nil)
		time.Sleep(time.Microsecond)
		m.Expire()
		if m.Len() != 0 || len(m.byIP) != 0 || len(m.byContainer) != 0 || len(m.byName) != 0 || m.gone != 0 {
			t.Errorf("left: %+v", m.byUID)
		}
	})
}
