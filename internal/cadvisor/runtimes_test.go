package cadvisor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// serve answers at a unix socket.
func serve(t testing.TB, h http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-ended })
	return socket
}

// madeContainerd has containers by namespace and id. Requests that would change
// something are not implemented.
type madeContainerd struct {
	containers.UnimplementedContainersServer
	has   map[string]*containers.Container
	hangs atomic.Bool
	asked atomic.Int32
}

func (m *madeContainerd) Get(ctx context.Context, r *containers.GetContainerRequest) (*containers.GetContainerResponse, error) {
	m.asked.Add(1)
	if m.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if r.ID == "denied" {
		return nil, status.Error(codes.PermissionDenied, "not you")
	}
	of, _ := metadata.FromIncomingContext(ctx)
	c, found := m.has[strings.Join(of["containerd-namespace"], ",")+" "+r.ID]
	if !found {
		return nil, status.Error(codes.NotFound, "no such container")
	}
	return &containers.GetContainerResponse{Container: c}, nil
}

// start answers at a socket until stop, or the end of the test.
func (m *madeContainerd) start(t *testing.T, socket string) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	containers.RegisterContainersServer(s, m)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	stop = sync.OnceFunc(func() { s.Stop(); <-ended })
	t.Cleanup(stop)
	return stop
}

func dialContainerd(t *testing.T, socket string) *containerd {
	t.Helper()
	r, err := newContainerd(socket, []string{"k8s.io", "default"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func TestContainerd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	m := &madeContainerd{has: map[string]*containers.Container{
		"k8s.io id7": {ID: "id7", Image: "registry.example/pause:1", Snapshotter: "overlayfs", CreatedAt: &timestamppb.Timestamp{Seconds: 1700000000, Nanos: 5},
			Labels: map[string]string{"io.cri-containerd.kind": "sandbox", labelPod: "shop-0", labelNamespace: "team-a"}},
		"k8s.io id8":    {ID: "id8", Labels: map[string]string{"io.cri-containerd.kind": "container", labelContainer: "app"}},
		"default demo":  {ID: "demo", Image: "i:1"},
		"k8s.io empty":  nil,
		"k8s.io large":  {ID: "large", Labels: map[string]string{"x": strings.Repeat("x", 16<<20)}},
		"k8s.io middle": {ID: "middle", Labels: map[string]string{"x": strings.Repeat("x", 15<<20)}},
		"other other":   {ID: "other"},
	}}
	m.start(t, socket)
	r := dialContainerd(t, socket)
	for _, c := range []struct {
		id   string
		want container
	}{
		{"id7", container{name: "id7", image: "registry.example/pause:1", pod: "shop-0", namespace: "team-a", network: true, created: time.Unix(1700000000, 5)}},
		{"id8", container{name: "id8", container: "app"}},
		{"demo", container{name: "demo", image: "i:1", network: true}},
		{"middle", container{name: "middle", network: true}},
	} {
		got, err := r.find(t.Context(), c.id)
		if err != nil || got.name != c.want.name || got.image != c.want.image || got.pod != c.want.pod || got.namespace != c.want.namespace ||
			got.container != c.want.container || got.network != c.want.network || !got.created.Equal(c.want.created) {
			t.Errorf("%s: %+v, %v", c.id, got, err)
		}
	}
	for id, want := range map[string]string{
		"nobody": errUnknown.Error(), "other": errUnknown.Error(), "denied": socket + ": rpc error: code = PermissionDenied desc = not you", "empty": "an answer without a container", "large": "larger than max",
	} {
		if _, err := r.find(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
}

// A socket that is not there, or where nobody listens any more, is not a failure;
// containerd is asked as soon as it is there, and again after its restart.
func TestContainerdComesAndGoes(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	m := &madeContainerd{has: map[string]*containers.Container{"k8s.io a": {ID: "a"}}}
	a := &asked{runtime: dialContainerd(t, socket)}
	absent := func(when string) {
		t.Helper()
		if _, err := a.find(t.Context(), "a"); !isAbsent(err) {
			t.Errorf("%s: %v", when, err)
		}
		if _, err := a.ask(t.Context(), "a"); !errors.Is(err, errUnknown) || !a.until.IsZero() {
			t.Errorf("%s: %v, rests until %s", when, err, a.until)
		}
	}
	answers := func(when string) {
		t.Helper()
		if c, err := a.ask(t.Context(), "a"); err != nil || c.name != "a" {
			t.Errorf("%s: %+v, %v", when, c, err)
		}
	}
	absent("before its start")
	if _, once := a.state(); once {
		t.Error("a runtime that is not there counts as asked")
	}
	stop := m.start(t, socket)
	answers("after its start")
	stop()
	absent("after its end")
	abandoned, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	abandoned.SetUnlinkOnClose(false)
	abandoned.Close()
	absent("where it left its socket")
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	m.start(t, socket)
	answers("after its restart")
}

// One that accepts and says nothing, and one that does not answer: both cost the time of
// one call, and are left alone then.
func TestContainerdHangs(t *testing.T) {
	m := new(madeContainerd)
	m.hangs.Store(true)
	slow := filepath.Join(t.TempDir(), "s")
	m.start(t, slow)
	silent := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var both sync.WaitGroup
	for name, socket := range map[string]string{"does not answer": slow, "says nothing": silent} {
		a := &asked{runtime: dialContainerd(t, socket)}
		both.Go(func() {
			if _, err := a.ask(t.Context(), "a"); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := a.ask(t.Context(), "a"); !errors.Is(err, errResting) {
				t.Errorf("%s: asked again: %v", name, err)
			}
			if up, once := a.state(); up != 0 || !once {
				t.Errorf("%s: up %d, asked %t", name, up, once)
			}
		})
	}
	both.Wait()
	if n := m.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestDocker(t *testing.T) {
	health := "starting"
	socket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/containers/a1/json":
			io.WriteString(w, `{"Name":"/web","Created":"2026-11-21T12:00:00.5Z","Config":{"Image":"nginx:1","Labels":{"io.kubernetes.pod.name":"p","io.kubernetes.pod.namespace":"n","io.kubernetes.container.name":"c"}},`+
				`"State":{"Health":{"Status":"`+health+`"}},"HostConfig":{"NetworkMode":"bridge"}}`)
		case "/containers/a2/json":
			io.WriteString(w, `{"Name":"/side","Config":{"Image":"x","Labels":null},"HostConfig":{"NetworkMode":"container:a1"}}`)
		case "/containers/bad/json":
			io.WriteString(w, `{"Name":7}`)
		case "/containers/err/json":
			http.Error(w, "the daemon is ill", http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	})
	r := newDocker(socket)
	c, err := r.find(t.Context(), "a1")
	if err != nil {
		t.Fatal(err)
	}
	if c.name != "web" || c.image != "nginx:1" || c.pod != "p" || c.namespace != "n" || c.container != "c" || !c.network || c.created.Unix() != 1795262400 || c.healthStatus() != "starting" {
		t.Errorf("%+v", c)
	}
	health = "healthy"
	if c.refresh(t.Context()); c.healthStatus() != "healthy" {
		t.Errorf("%+v", c)
	}
	if c, err = r.find(t.Context(), "a2"); err != nil || c.network || c.refresh != nil || c.healthStatus() != "" {
		t.Errorf("%+v, %v", c, err)
	}
	for id, want := range map[string]string{"no": errUnknown.Error(), "../x": errUnknown.Error(), "bad": "cannot unmarshal", "err": "the daemon is ill"} {
		if _, err := r.find(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
}

func TestCRIO(t *testing.T) {
	r := newCRIO(serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/containers/a1":
			io.WriteString(w, `{"name":"k8s_app_p_n_uid_0","pid":7,"image":"i:1","created_time":1700000000000000005,"labels":{"io.kubernetes.pod.name":"p","io.kubernetes.pod.namespace":"n","io.kubernetes.container.name":"app"}}`)
		case "/containers/a2":
			io.WriteString(w, `{"name":"k8s_POD","labels":{"io.kubernetes.container.name":"POD"}}`)
		default:
			http.NotFound(w, r)
		}
	}))
	if c, err := r.find(t.Context(), "a1"); err != nil || c.name != "k8s_app_p_n_uid_0" || c.image != "i:1" || c.container != "app" || c.pod != "p" || c.network || c.created.Unix() != 1700000000 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := r.find(t.Context(), "a2"); err != nil || !c.network {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := r.find(t.Context(), "no"); !errors.Is(err, errUnknown) {
		t.Error(err)
	}
}

// One runtime that is not there, one that hangs, one that answers: the container is
// found, and the one that hangs is left alone for a while.
func TestLookup(t *testing.T) {
	id := strings.Repeat("a", 64)
	asked := 0
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked++
		<-r.Context().Done()
	})
	answers := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, id) {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, `{"Name":"/web"}`)
	})
	all, err := runtimes(Config{Containerd: filepath.Join(t.TempDir(), "none"), ContainerdNamespaces: []string{"k8s.io"}, CRIO: hangs, Docker: answers})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		defer r.close()
	}
	h := &Host{runtimes: all}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 3 {
		if c, err := h.lookup(ctx, "/x/"+id, id); err != nil || c.name != "web" || c.runtime != "docker" {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if asked != 1 {
		t.Errorf("the runtime that hangs was asked %d times", asked)
	}
	if _, err := h.lookup(ctx, "/x/"+id, "other"); !errors.Is(err, errResting) {
		t.Errorf("what one might know that rests: %v", err)
	}
	for i, want := range []struct{ up, once bool }{{false, false}, {false, true}, {true, true}} {
		if up, once := h.runtimes[i].state(); (up == 1) != want.up || once != want.once {
			t.Errorf("%s: up %d, asked %t", h.runtimes[i], up, once)
		}
	}
	// The one that a cgroup is called after comes first.
	if !h.runtimes[2].owns("/system.slice/docker-"+id+".scope") || h.runtimes[1].owns("/docker/"+id) || !h.runtimes[0].owns("/k.slice/cri-containerd-"+id+".scope") {
		t.Error("owns")
	}
}
