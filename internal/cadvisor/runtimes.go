package cadvisor

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// container is what a runtime knows of a container.
type container struct {
	runtime        string
	name, image    string
	pod, namespace string // of Kubernetes
	container      string // in the pod
	created        time.Time
	network        bool // whether it has interfaces of its own
	health         string
	refresh        func(context.Context) // asks again for what changes; nil: nothing does
}

// Labels that Kubernetes' runtimes put on containers
// (k8s.io/kubelet/pkg/types/labels.go).
const (
	labelContainer = "io.kubernetes.container.name"
	labelPod       = "io.kubernetes.pod.name"
	labelNamespace = "io.kubernetes.pod.namespace"
)

// kubernetes takes what Kubernetes calls it from its labels.
func (c *container) kubernetes(labels map[string]string) {
	c.container, c.pod, c.namespace = labels[labelContainer], labels[labelPod], labels[labelNamespace]
}

func (c *container) healthStatus() string { return c.health }

// errUnknown is the error of a runtime that has no such container.
var errUnknown = errors.New("no runtime knows this container")

// runtime is a container runtime.
type runtime interface {
	// find asks for a container; the error is errUnknown if it has none of that id.
	find(ctx context.Context, id string) (*container, error)
	// owns tells whether the name of a cgroup says that it is of this runtime.
	owns(cgroup string) bool
	// close ends its connections; it is not asked again.
	close()
	String() string
}

// asked is a runtime with how it answered.
type asked struct {
	runtime
	mu    sync.Mutex
	once  bool
	up    bool
	until time.Time // it is left alone so long
}

// restAfterFailure is how long a runtime that does not answer is left alone: hundreds
// of containers must not wait for it one after another.
const restAfterFailure = 20 * time.Second

// resting is the error for those that would have asked it.
var errResting = errors.New("the runtime did not answer a short time ago: it is asked again later")

// isAbsent tells whether an error is that nobody listens at a socket.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

func (a *asked) ask(ctx context.Context, id string) (*container, error) {
	a.mu.Lock()
	resting := time.Now().Before(a.until)
	a.mu.Unlock()
	if resting {
		return nil, errResting
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c, err := a.find(ctx, id)
	absent := isAbsent(err)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case absent:
		return nil, errUnknown
	case err == nil || errors.Is(err, errUnknown):
		a.once, a.up = true, true
	default:
		a.once, a.up, a.until = true, false, time.Now().Add(restAfterFailure)
	}
	return c, err
}

// state tells whether it answered last (1 or 0), and whether it was there to be asked.
func (a *asked) state() (up uint64, once bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.up {
		up = 1
	}
	return up, a.once
}

// runtimes are those that may be asked.
func runtimes(cfg Config) (all []*asked, err error) {
	if cfg.Containerd != "" {
		r, err := newContainerd(cfg.Containerd, cfg.ContainerdNamespaces)
		if err != nil {
			return nil, err
		}
		all = append(all, &asked{runtime: r})
	}
	if cfg.CRIO != "" {
		all = append(all, &asked{runtime: newCRIO(cfg.CRIO)})
	}
	if cfg.Docker != "" {
		all = append(all, &asked{runtime: newDocker(cfg.Docker)})
	}
	return all, nil
}

// idPattern is the id of a container as runtimes make them: a hash in hexadecimal.
var idPattern = regexp.MustCompile(`[0-9a-f]{64}`)

// containerID is the id of the container that a cgroup is of, by its name:
//
//	/kubepods/besteffort/pod…/ID, /docker/ID
//	/kubepods.slice/…/cri-containerd-ID.scope, docker-ID.scope, crio-ID.scope
//	/NAMESPACE/ID   (containerd's own, where the id is a name that someone gave)
//
// It is empty where the name is not that of a container.
func (h *Host) containerID(cgroup string) string {
	base := path.Base(cgroup)
	if strings.HasPrefix(base, "crio-conmon-") { // the supervisor beside a container of CRI-O
		return ""
	}
	if id := idPattern.FindString(base); id != "" {
		return id
	}
	parts := strings.Split(cgroup, "/")
	if len(parts) == 3 && h.cfg.Containerd != "" {
		for _, namespace := range h.cfg.ContainerdNamespaces {
			if parts[1] == namespace {
				return parts[2]
			}
		}
	}
	return ""
}

// lookup asks the runtimes for a container: first that whose name is in the cgroup's.
func (h *Host) lookup(ctx context.Context, cgroup, id string) (*container, error) {
	result := errUnknown
	for _, own := range []bool{true, false} {
		for _, r := range h.runtimes {
			if r.owns(cgroup) != own {
				continue
			}
			c, err := r.ask(ctx, id)
			if err == nil {
				c.runtime = r.String()
				return c, nil
			}
			if !errors.Is(err, errUnknown) {
				result = err
			}
		}
	}
	return nil, result
}
