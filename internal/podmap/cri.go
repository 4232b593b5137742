package podmap

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"watchpost/internal/runtimesock"
)

// CRI asks the container runtime for the pods of this node at intervals, by the
// interface that the kubelet uses, version 1: for hosts where neither the API server nor
// the kubelet may be asked. It only reads.
// (https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto)
type CRI struct {
	// Socket is the path of the runtime's. It need not be there yet.
	Socket string
	// Node is the name of this node, HostIP its address, which is that of pods on the
	// host's network: the runtime knows neither.
	Node, HostIP string
	Interval     time.Duration
	Log          *slog.Logger

	runtime   runtime.RuntimeServiceClient
	sandboxes map[string]sandbox // by id, what is known of those that run
}

// sandbox is what does not change while a sandbox runs.
type sandbox struct {
	ips         []string
	hostNetwork bool
}

// Sockets are those of the usual runtimes: containerd, CRI-O, cri-dockerd.
func Sockets() []string {
	return []string{"/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock"}
}

// criTimeout is for one request of a runtime.
const criTimeout = 10 * time.Second

// Run implements Source.
func (c *CRI) Run(ctx context.Context, m *Map) {
	conn, err := runtimesock.Dial(c.Socket)
	if err != nil { // which the path of a socket does not cause
		m.state(err)
		c.Log.Error("The client of the container runtime cannot be made", "error", err)
		<-ctx.Done()
		return
	}
	defer conn.Close()
	c.runtime = runtime.NewRuntimeServiceClient(conn)
	poll(ctx, m, c.Interval, c.Log, "Cannot ask the container runtime for its pods; what was known stays", c.once)
}

func (c *CRI) once(ctx context.Context, m *Map) error {
	objects, err := c.list(ctx)
	if err != nil {
		return c.explain(err)
	}
	m.replace(objects)
	return nil
}

// explain names the socket in an error, and what can be done.
func (c *CRI) explain(err error) error {
	if _, missing := os.Stat(c.Socket); errors.Is(missing, os.ErrNotExist) {
		return fmt.Errorf("container runtime: %s is not there: name its socket by --pods.cri-socket", c.Socket)
	}
	s, known := status.FromError(err)
	if !known {
		return fmt.Errorf("container runtime at %s: %w", c.Socket, err)
	}
	hint := ""
	switch {
	case s.Code() == codes.Unimplemented:
		hint = "; it does not speak version 1 of the CRI (containerd before 1.6, or its cri plugin is disabled)"
	case strings.Contains(s.Message(), "permission denied"):
		hint = "; this program's user may not use the socket"
	}
	return fmt.Errorf("container runtime at %s: %s: %s%s", c.Socket, s.Code(), s.Message(), hint)
}

// list are the pods as the runtime has them.
func (c *CRI) list(ctx context.Context) ([]*object, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	sandboxes, err := ask(ctx, c.runtime.ListPodSandbox, &runtime.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	known := make(map[string]sandbox)
	for _, s := range sandboxes.Items {
		if s.State != runtime.PodSandboxState_SANDBOX_READY {
			continue
		}
		of, found := c.sandboxes[s.Id]
		if !found { // Nothing of it changes later.
			answer, err := ask(ctx, c.runtime.PodSandboxStatus, &runtime.PodSandboxStatusRequest{PodSandboxId: s.Id})
			if status.Code(err) == codes.NotFound {
				continue // gone since
			}
			if err != nil {
				return nil, err
			}
			of = sandboxOf(answer.Status)
		}
		known[s.Id] = of
	}
	containers, err := ask(ctx, c.runtime.ListContainers, &runtime.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	c.sandboxes = maps.Clone(known)
	maps.DeleteFunc(c.sandboxes, func(_ string, of sandbox) bool { return len(of.ips) == 0 && !of.hostNetwork }) // it may get one
	return c.objects(sandboxes.Items, known, containers.Containers), nil
}

// ask makes one request.
func ask[Request, Answer any](ctx context.Context, call func(context.Context, Request, ...grpc.CallOption) (Answer, error), r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, criTimeout)
	defer cancel()
	return call(ctx, r)
}

// sandboxOf reads the status of a sandbox.
func sandboxOf(s *runtime.PodSandboxStatus) (of sandbox) {
	of.hostNetwork = s.GetLinux().GetNamespaces().GetOptions().GetNetwork() == runtime.NamespaceMode_NODE
	if ip := s.GetNetwork().GetIp(); ip != "" {
		of.ips = append(of.ips, ip)
	}
	for _, more := range s.GetNetwork().GetAdditionalIps() {
		if ip := more.GetIp(); ip != "" {
			of.ips = append(of.ips, ip)
		}
	}
	return of
}

// What the kubelet notes at sandboxes and containers beside the pod's own labels and
// annotations (pkg/kubelet/kuberuntime/labels.go).
const (
	kubeletPrefix   = "io.kubernetes."
	portsAnnotation = "io.kubernetes.container.ports" // JSON, as in the pod
)

// Phases of pods that a runtime knows of. It does not know how one ended.
const (
	running = "Running"
	stopped = "Stopped"
)

// objects makes pods of sandboxes and containers. Of several sandboxes of one pod,
// which has been restarted, the one that runs counts, or the last.
func (c *CRI) objects(sandboxes []*runtime.PodSandbox, known map[string]sandbox, containers []*runtime.Container) []*object {
	pods := make(map[string]*object)                // by UID
	current := make(map[string]*runtime.PodSandbox) // the sandbox that counts, by UID
	owner := make(map[string]string)                // UIDs by sandbox
	var uids []string
	for _, s := range sandboxes {
		uid := s.GetMetadata().GetUid()
		if uid == "" || s.GetMetadata().GetName() == "" || s.GetId() == "" {
			continue // of something else than a kubelet
		}
		owner[s.Id] = uid
		if _, found := current[uid]; !found {
			uids = append(uids, uid)
		}
		if other := current[uid]; other == nil || newer(s, other) {
			current[uid] = s
		}
	}
	objects := make([]*object, 0, len(uids))
	for _, uid := range uids {
		s := current[uid]
		o := new(object)
		o.Metadata.Namespace, o.Metadata.Name, o.Metadata.UID = s.Metadata.Namespace, s.Metadata.Name, uid
		o.Metadata.Labels, o.Metadata.Annotations = make(map[string]string), s.Annotations
		for name, value := range s.Labels {
			if !strings.HasPrefix(name, kubeletPrefix) {
				o.Metadata.Labels[name] = value
			}
		}
		of := known[s.Id]
		o.Spec.NodeName, o.Spec.HostNetwork = c.Node, of.hostNetwork
		o.Status.Phase, o.Status.HostIP = stopped, c.HostIP
		if s.State == runtime.PodSandboxState_SANDBOX_READY {
			o.Status.Phase = running
		}
		if of.hostNetwork && len(of.ips) == 0 && c.HostIP != "" {
			of.ips = []string{c.HostIP}
		}
		for _, ip := range of.ips {
			o.Status.PodIPs = append(o.Status.PodIPs, struct {
				IP string `json:"ip"`
			}{ip})
		}
		pods[uid] = o
		objects = append(objects, o)
	}
	for _, k := range containers {
		o := pods[owner[k.GetPodSandboxId()]]
		if o == nil || k.GetId() == "" {
			continue
		}
		o.Status.Containers = append(o.Status.Containers, containerStatus{Name: k.GetMetadata().GetName(), ID: "cri://" + k.Id})
		var ports []port
		if text := k.Annotations[portsAnnotation]; text != "" && json.Unmarshal([]byte(text), &ports) == nil && current[o.Metadata.UID].Id == k.PodSandboxId {
			o.Spec.Containers = append(o.Spec.Containers, spec{ports})
		}
	}
	return objects
}

// newer tells whether a sandbox counts instead of another of the same pod.
func newer(s, other *runtime.PodSandbox) bool {
	if s.State != other.State {
		return s.State == runtime.PodSandboxState_SANDBOX_READY
	}
	return cmp.Or(cmp.Compare(s.Metadata.Attempt, other.Metadata.Attempt), cmp.Compare(s.CreatedAt, other.CreatedAt)) > 0
}
