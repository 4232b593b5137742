package podmap

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"watchpost/internal/serve"
)

// found is the answer to a question.
type found struct {
	Pods []*Pod `json:"pods"`
	// OnHost are pods that use the address because it is the host's.
	OnHost []*Pod `json:"onHost,omitempty"`
	// Container is the name of the container that was asked for.
	Container string `json:"container,omitempty"`
}

// ServeLookup answers /lookup?ip=ADDRESS, ?pod=NAMESPACE/NAME or a UID, or
// ?container=ID, in JSON.
func (m *Map) ServeLookup(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	answer, err := m.lookup(q.Get("ip"), q.Get("pod"), q.Get("container"))
	switch {
	case err != nil:
		serve.WriteJSON(w, http.StatusBadRequest, err)
	case len(answer.Pods)+len(answer.OnHost) == 0:
		serve.WriteJSON(w, http.StatusNotFound, errors.New("no pod of this node is known by that"))
	default:
		serve.WriteJSON(w, http.StatusOK, answer)
	}
}

func (m *Map) lookup(ip, pod, container string) (f found, err error) {
	f.Pods = []*Pod{}
	switch {
	case ip != "" && pod == "" && container == "":
		a, err := netip.ParseAddr(ip)
		if err != nil {
			return f, errors.New("ip is not an address")
		}
		owners, onHost := m.ByIP(a)
		f.Pods, f.OnHost = append(f.Pods, owners...), onHost
	case pod != "" && ip == "" && container == "":
		namespace, name, both := strings.Cut(pod, "/")
		if !both {
			namespace, name = "", pod
			if p := m.ByUID(strings.TrimPrefix(pod, "pod")); p != nil {
				f.Pods = append(f.Pods, p)
				return f, nil
			}
		}
		f.Pods = append(f.Pods, m.ByName(namespace, name)...)
	case container != "" && ip == "" && pod == "":
		if p, name := m.ByContainer(container); p != nil {
			f.Pods, f.Container = append(f.Pods, p), name
		}
	default:
		return f, errors.New("want one of ?ip=ADDRESS, ?pod=NAMESPACE/NAME, ?pod=UID and ?container=ID")
	}
	return f, nil
}
