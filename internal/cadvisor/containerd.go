package cadvisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// containerd answers by gRPC on its socket. One method is called:
//
//	containerd.services.containers.v1.Containers/Get {id = 1} -> {container = 1}
//
// with the namespace as a header (api/services/containers/v1/containers.proto).
type containerd struct {
	client     *grpcClient
	namespaces []string
}

func newContainerd(socket string, namespaces []string) *containerd {
	return &containerd{client: newGRPC(socket), namespaces: namespaces}
}

func (*containerd) String() string { return "containerd" }

// owns: with cgroups of systemd, the CRI of containerd writes its name before the id.
func (*containerd) owns(cgroup string) bool { return strings.Contains(cgroup, "/cri-containerd-") }

func (r *containerd) find(ctx context.Context, id string) (*container, error) {
	request := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), id)
	for _, namespace := range r.namespaces {
		answer, err := r.client.call(ctx, "/containerd.services.containers.v1.Containers/Get", request, "Containerd-Namespace", namespace)
		if status := new(grpcError); errors.As(err, &status) && status.code == grpcNotFound {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("containerd: %w", err)
		}
		c, err := parseContainerd(answer)
		if err != nil {
			return nil, fmt.Errorf("containerd: container %s: %w", id, err)
		}
		return c, nil
	}
	return nil, errUnknown
}

// parseContainerd reads a GetContainerResponse: of its container the fields id = 1,
// labels = 2 (a map), image = 3 and created_at = 8.
func parseContainerd(message []byte) (*container, error) {
	c := new(container)
	labels := make(map[string]string)
	err := fields(message, func(number protowire.Number, value []byte, _ uint64) error {
		if number != 1 {
			return nil
		}
		return fields(value, func(number protowire.Number, value []byte, _ uint64) error {
			switch number {
			case 1:
				c.name = string(value)
			case 2:
				var key, text string
				if err := fields(value, func(number protowire.Number, value []byte, _ uint64) error {
					switch number {
					case 1:
						key = string(value)
					case 2:
						text = string(value)
					}
					return nil
				}); err != nil {
					return err
				}
				labels[key] = text
			case 3:
				c.image = string(value)
			case 8:
				var seconds, nanos uint64
				if err := fields(value, func(number protowire.Number, _ []byte, n uint64) error {
					switch number {
					case 1:
						seconds = n
					case 2:
						nanos = n
					}
					return nil
				}); err != nil {
					return err
				}
				c.created = time.Unix(int64(seconds), int64(nanos))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if c.name == "" {
		return nil, errors.New("an answer without a container")
	}
	c.kubernetes(labels)
	// The containers of a pod use the interfaces of its sandbox; others have their own.
	kind := labels["io.cri-containerd.kind"]
	c.network = kind == "sandbox" || kind == ""
	return c, nil
}

// fields calls f for each field of a message in protobuf: with its bytes, or with its
// number.
func fields(message []byte, f func(number protowire.Number, value []byte, n uint64) error) error {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return fmt.Errorf("not a message: %w", protowire.ParseError(size))
		}
		message = message[size:]
		var value []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		default:
			size = protowire.ConsumeFieldValue(number, kind, message)
		}
		if size < 0 {
			return fmt.Errorf("field %d: %w", number, protowire.ParseError(size))
		}
		message = message[size:]
		if err := f(number, value, n); err != nil {
			return err
		}
	}
	return nil
}
