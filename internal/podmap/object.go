package podmap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"watchpost/internal/containers"
)

// object is what is read of a pod as the API server and the kubelet have it in JSON
// (k8s.io/api/core/v1, Pod).
type object struct {
	Metadata struct {
		Namespace       string            `json:"namespace"`
		Name            string            `json:"name"`
		UID             string            `json:"uid"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels"`
		Annotations     map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		NodeName    string `json:"nodeName"`
		HostNetwork bool   `json:"hostNetwork"`
		Containers  []spec `json:"containers"`
		Init        []spec `json:"initContainers"`
	} `json:"spec"`
	Status struct {
		Phase  string `json:"phase"`
		HostIP string `json:"hostIP"`
		PodIP  string `json:"podIP"`
		PodIPs []struct {
			IP string `json:"ip"`
		} `json:"podIPs"`
		Containers []containerStatus `json:"containerStatuses"`
		Init       []containerStatus `json:"initContainerStatuses"`
		Ephemeral  []containerStatus `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

// spec is what is read of a container's.
type spec struct {
	Ports []port `json:"ports"`
}

// containerStatus is that of a container.
type containerStatus struct {
	Name string `json:"name"`
	ID   string `json:"containerID"` // containerd://1f8d…
	Last struct {
		Terminated struct {
			ID string `json:"containerID"`
		} `json:"terminated"`
	} `json:"lastState"`
}

// staticUID is the annotation that has the UID by which the kubelet knows a static
// pod; the API server has another for its mirror.
const staticUID = "kubernetes.io/config.hash"

// pod is what is kept of the object.
func (o *object) pod(rules *containers.PodRules) *Pod {
	p := &Pod{
		Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, UID: o.Metadata.UID,
		Node: o.Spec.NodeName, Phase: o.Status.Phase, HostIP: o.Status.HostIP, HostNetwork: o.Spec.HostNetwork,
		Containers: make(map[string]string),
	}
	if hash := o.Metadata.Annotations[staticUID]; hash != p.UID {
		p.cgroup = hash
	}
	for _, ip := range o.Status.PodIPs {
		p.IPs = append(p.IPs, ip.IP)
	}
	if len(p.IPs) == 0 && o.Status.PodIP != "" {
		p.IPs = []string{o.Status.PodIP}
	}
	for _, list := range [][]containerStatus{o.Status.Init, o.Status.Containers, o.Status.Ephemeral} {
		for _, s := range list {
			for _, id := range []string{s.ID, s.Last.Terminated.ID} {
				if _, id, found := strings.Cut(id, "://"); found && id != "" {
					p.Containers[id] = s.Name
				}
			}
		}
	}
	ip := ""
	if len(p.IPs) > 0 {
		ip = p.IPs[0]
	}
	if o.Metadata.Annotations[scrapeAnnotation] != "" {
		var ports []port
		for _, c := range slices.Concat(o.Spec.Containers, o.Spec.Init) {
			ports = append(ports, c.Ports...)
		}
		p.Scrape, p.more = targets(o.Metadata.Annotations, ports)
	}
	p.labels = rules.Render(o.Metadata.Labels, o.Metadata.Annotations, podIP, ip)
	return p
}

// list is a list of pods.
type list struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []*object `json:"items"`
}

// Bounds of what is read, in bytes: some thousand pods, and one pod as etcd holds it
// at the most (1.5 MiB), in JSON.
const (
	maxList  = 64 << 20
	maxEvent = 4 << 20
)

// readList reads a list of pods.
func readList(r io.Reader) (*list, error) {
	in := &io.LimitedReader{R: r, N: maxList}
	l := new(list)
	if err := json.NewDecoder(in).Decode(l); err != nil {
		if in.N <= 0 {
			return nil, fmt.Errorf("the list of pods is longer than %d bytes", maxList)
		}
		return nil, fmt.Errorf("list of pods: %w", eof(err))
	}
	for _, o := range l.Items {
		if o == nil || o.Metadata.UID == "" || o.Metadata.Name == "" {
			return nil, errors.New("list of pods: one has no name or UID")
		}
	}
	return l, nil
}

// event is a line of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// errExpired is that of a watch from a version that the server has forgotten.
var errExpired = errors.New("the API server does not know what happened since")

// perEvent gives a reader only so much for each event.
type perEvent struct {
	r    io.Reader
	left int
}

func (p *perEvent) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, fmt.Errorf("an event is longer than %d bytes", maxEvent)
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// readEvents reads a watch until it ends; see is called for each event with the pod,
// which for bookmarks has its version alone.
func readEvents(r io.Reader, see func(verb string, o *object)) error {
	in := &perEvent{r, maxEvent}
	d := json.NewDecoder(in)
	for {
		in.left = maxEvent
		var e event
		if err := d.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("watch of pods: %w", err)
		}
		if e.Type == "ERROR" {
			var s struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal(e.Object, &s); err != nil {
				return fmt.Errorf("watch of pods: %w", err)
			}
			if s.Code == http.StatusGone {
				return errExpired
			}
			return fmt.Errorf("watch of pods: the API server says %d %q", s.Code, s.Message)
		}
		o := new(object)
		if err := json.Unmarshal(e.Object, o); err != nil {
			return fmt.Errorf("watch of pods: %w", err)
		}
		if e.Type != "BOOKMARK" && (o.Metadata.UID == "" || o.Metadata.Name == "") {
			return errors.New("watch of pods: one has no name or UID")
		}
		see(e.Type, o)
	}
}

// eof is the error of a text that ended in the middle.
func eof(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
