package cadvisor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"watchpost/internal/runtimesock"
)

// containerd answers by gRPC on its socket. One method is called, Containers/Get, with
// the namespace as a header
// (https://github.com/containerd/containerd/blob/main/api/services/containers/v1/containers.proto).
type containerd struct {
	conn       *grpc.ClientConn
	client     containers.ContainersClient
	socket     string
	namespaces []string
}

func newContainerd(socket string, namespaces []string) (*containerd, error) {
	conn, err := runtimesock.Dial(socket)
	if err != nil {
		return nil, fmt.Errorf("containerd at %s: %w", socket, err)
	}
	return &containerd{conn: conn, client: containers.NewContainersClient(conn), socket: socket, namespaces: namespaces}, nil
}

func (*containerd) String() string { return "containerd" }

// owns: with cgroups of systemd, the CRI of containerd writes its name before the id.
func (*containerd) owns(cgroup string) bool { return strings.Contains(cgroup, "/cri-containerd-") }

func (r *containerd) close() { r.conn.Close() } // fails where it is closed

func (r *containerd) find(ctx context.Context, id string) (*container, error) {
	for _, namespace := range r.namespaces {
		answer, err := r.get(metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace), id)
		if status.Code(err) == codes.NotFound {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("containerd at %s: %w", r.socket, err)
		}
		c, err := containerOf(answer)
		if err != nil {
			return nil, fmt.Errorf("containerd at %s: container %s: %w", r.socket, id, err)
		}
		return c, nil
	}
	return nil, errUnknown
}

// get asks once. Without a connection there is a pause between attempts to make one, in
// which calls fail: where somebody listens by now, it is not waited for.
func (r *containerd) get(ctx context.Context, id string) (*containers.Container, error) {
	request := &containers.GetContainerRequest{ID: id}
	answer, err := r.client.Get(ctx, request)
	if status.Code(err) == codes.Unavailable {
		conn, missing := runtimesock.Connect(ctx, r.socket)
		if missing != nil {
			return nil, missing
		}
		conn.Close() // nothing was written
		r.conn.ResetConnectBackoff()
		answer, err = r.client.Get(ctx, request, grpc.WaitForReady(true))
	}
	return answer.GetContainer(), err
}

// containerOf reads what containerd has of a container.
func containerOf(k *containers.Container) (*container, error) {
	if k.GetID() == "" {
		return nil, errors.New("an answer without a container")
	}
	c := &container{name: k.ID, image: k.Image}
	if k.CreatedAt != nil {
		c.created = k.CreatedAt.AsTime()
	}
	c.kubernetes(k.Labels)
	// The containers of a pod use the interfaces of its sandbox; others have their own.
	kind := k.Labels["io.cri-containerd.kind"]
	c.network = kind == "sandbox" || kind == ""
	return c, nil
}
