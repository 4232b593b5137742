package podmap

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
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

// ServeLookup answers /lookup?ip=ADDRESS, ?pod=NAMESPACE/NAME or a UID, ?container=ID
// or ?cgroup=PATH, in JSON.
func (m *Map) ServeLookup(w http.ResponseWriter, r *http.Request) {
	answer, err := m.lookup(r.URL.Query())
	switch {
	case err != nil:
		serve.WriteJSON(w, http.StatusBadRequest, err)
	case len(answer.Pods)+len(answer.OnHost) == 0:
		serve.WriteJSON(w, http.StatusNotFound, errors.New("no pod of this node is known by that"))
	default:
		serve.WriteJSON(w, http.StatusOK, answer)
	}
}

func (m *Map) lookup(q url.Values) (f found, err error) {
	f.Pods = []*Pod{}
	var by, value string
	for _, key := range []string{"ip", "pod", "container", "cgroup"} {
		if text := q.Get(key); text != "" && by != "" {
			by, value = "", ""
			break
		} else if text != "" {
			by, value = key, text
		}
	}
	add := func(p *Pod, container string) {
		if p != nil {
			f.Pods, f.Container = append(f.Pods, p), container
		}
	}
	switch by {
	case "ip":
		a, err := netip.ParseAddr(value)
		if err != nil {
			return f, errors.New("ip is not an address")
		}
		owners, onHost := m.ByIP(a)
		f.Pods, f.OnHost = append(f.Pods, owners...), onHost
	case "pod":
		namespace, name, both := strings.Cut(value, "/")
		if !both {
			namespace, name = "", value
			if p := m.ByUID(strings.TrimPrefix(value, "pod")); p != nil {
				add(p, "")
				return f, nil
			}
		}
		f.Pods = append(f.Pods, m.ByName(namespace, name)...)
	case "container":
		add(m.ByContainer(value))
	case "cgroup":
		add(m.ByCgroup(value))
	default:
		return f, errors.New("want one of ?ip=ADDRESS, ?pod=NAMESPACE/NAME, ?pod=UID, ?container=ID and ?cgroup=PATH")
	}
	return f, nil
}
