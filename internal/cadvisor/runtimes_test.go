package cadvisor

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// serve answers at a unix socket, by HTTP/1 and by HTTP/2 without TLS.
func serve(t testing.TB, h http.HandlerFunc) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: h, Protocols: protocols}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-ended })
	return socket
}

// message is one in protobuf: numbers and texts in turn, or messages.
func message(pairs ...any) (m []byte) {
	for i := 0; i < len(pairs); i += 2 {
		number := protowire.Number(pairs[i].(int))
		switch v := pairs[i+1].(type) {
		case string:
			m = protowire.AppendString(protowire.AppendTag(m, number, protowire.BytesType), v)
		case []byte:
			m = protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), v)
		case int:
			m = protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), uint64(v))
		}
	}
	return m
}

var sandbox = message(1, message(
	1, "id7", 2, message(1, "io.cri-containerd.kind", 2, "sandbox"), 2, message(1, labelPod, 2, "shop-0"), 2, message(1, labelNamespace, 2, "team-a"),
	3, "registry.example/pause:1", 4, message(1, "io.containerd.runc.v2"), 6, "overlayfs", 8, message(1, 1700000000, 2, 5),
))

func TestContainerd(t *testing.T) {
	plain := message(1, message(1, "demo", 3, "i:1"))
	member := message(1, message(1, "id8", 2, message(1, "io.cri-containerd.kind", 2, "container"), 2, message(1, labelContainer, 2, "app")))
	status := func(w http.ResponseWriter, code, text string) {
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", code)
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", text)
	}
	socket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || r.Header.Get("Content-Type") != "application/grpc" ||
			r.URL.Path != "/containerd.services.containers.v1.Containers/Get" || len(body) < 7 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			t.Errorf("%v %v %q %v", r.Proto, r.URL, body, err)
			return
		}
		answer := map[string][]byte{"k8s.io id7": sandbox, "k8s.io id8": member, "default demo": plain}[r.Header.Get("Containerd-Namespace")+" "+string(body[7:])]
		w.Header().Set("Content-Type", "application/grpc")
		switch id := string(body[7:]); {
		case answer != nil:
			w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer))), answer...))
			status(w, "0", "")
		case id == "denied":
			w.Header().Set("Grpc-Status", "7") // without a body it is in the header
			w.Header().Set("Grpc-Message", "not%20you")
		case id == "cut":
			w.Write([]byte{0, 0, 0, 0, 9, 1})
			status(w, "0", "")
		case id == "garbage":
			w.Write([]byte{0, 0, 0, 0, 2, 0xff, 0xff})
			status(w, "0", "")
		case id == "web":
			w.WriteHeader(http.StatusTeapot)
		default:
			status(w, "5", "no such container")
		}
	})
	r := newContainerd(socket, []string{"k8s.io", "default"})
	for _, c := range []struct {
		id   string
		want container
	}{
		{"id7", container{name: "id7", image: "registry.example/pause:1", pod: "shop-0", namespace: "team-a", network: true, created: time.Unix(1700000000, 5)}},
		{"id8", container{name: "id8", container: "app"}},
		{"demo", container{name: "demo", image: "i:1", network: true}},
	} {
		got, err := r.find(t.Context(), c.id)
		if err != nil || got.name != c.want.name || got.image != c.want.image || got.pod != c.want.pod || got.namespace != c.want.namespace ||
			got.container != c.want.container || got.network != c.want.network || !got.created.Equal(c.want.created) {
			t.Errorf("%s: %+v, %v", c.id, got, err)
		}
	}
	for id, want := range map[string]string{
		"nobody": errUnknown.Error(), "denied": "gRPC status 7: not you", "cut": "not one whole message", "garbage": "container garbage: not a message", "web": "HTTP status 418",
	} {
		if _, err := r.find(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
}

func FuzzParseContainerd(f *testing.F) {
	f.Add(sandbox)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := parseContainerd(text); err == nil && c.name == "" {
			t.Error("a container without a name")
		}
	})
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
	h := &Host{runtimes: runtimes(Config{Containerd: filepath.Join(t.TempDir(), "none"), ContainerdNamespaces: []string{"k8s.io"}, CRIO: hangs, Docker: answers})}
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
