package stateagent

import (
	"bytes"
	"cmp"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/serve"
)

// The question "whose address is this?", and the one for a pod by name, answered
// from what is shown: the text of three families is inflated and searched. Nothing
// is kept for it in memory, so it is for people and for tools that ask now and then.

// Families that pods are found in.
const (
	familyPodInfo  = "kube_pod_info"
	familyPodIPs   = "kube_pod_ips"
	familyPodOwner = "kube_pod_owner"
	familyPodPhase = "kube_pod_status_phase"
)

// lookups is how many questions are worked on at the same time.
const lookups = 2

// maxFound bounds the pods of an answer: an address of the host network is that
// of many.
const maxFound = 1000

// Pod is a pod as an answer tells it.
type Pod struct {
	Pod       string   `json:"pod"`
	Namespace string   `json:"namespace"`
	UID       string   `json:"uid"`
	Node      string   `json:"node,omitempty"`
	HostIP    string   `json:"hostIP,omitempty"`
	PodIPs    []string `json:"podIPs,omitempty"`
	Owner     *Owner   `json:"owner,omitempty"`
	Phase     string   `json:"phase,omitempty"`
}

// Owner is the object that a pod belongs to.
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// families gives the text of a family, in parts that hold whole lines; false is
// that there is no such family.
type families func(name string, part func(text []byte) error) (found bool, err error)

// errNotShown is for a question about pods where they are not shown.
var errNotShown = errors.New("pods are not shown here: --resources, --metric-allowlist or --metric-denylist leave " + familyPodInfo + " out")

// question is what is asked.
type question struct {
	ip             string // or
	namespace, pod string // namespace may be ""
}

// parseQuestion reads a request's query.
func parseQuestion(ip, pod string) (q question, err error) {
	switch {
	case (ip == "") == (pod == ""):
		return q, errors.New("want either ?ip=ADDRESS or ?pod=NAME or ?pod=NAMESPACE/NAME")
	case ip != "":
		parsed := net.ParseIP(ip)
		if parsed == nil {
			return q, errors.New("ip is not an address")
		}
		return question{ip: parsed.String()}, nil
	}
	if namespace, name, both := strings.Cut(pod, "/"); both {
		q = question{namespace: namespace, pod: name}
	} else {
		q = question{pod: pod}
	}
	if q.pod == "" || strings.Contains(q.pod, "/") {
		return q, errors.New("pod is not NAME or NAMESPACE/NAME")
	}
	return q, nil
}

// answer finds the pods that are asked for, in the order of their names.
func (q question) answer(text families) ([]*Pod, error) {
	pods := make(map[string]*Pod) // by uid
	if q.ip != "" {               // addresses beside the first are in a family of their own
		if _, err := eachSample(text, familyPodIPs, []byte(q.ip), func(l labels) {
			if sameIP(l.get("ip"), q.ip) && len(pods) < maxFound {
				pods[l.get("uid")] = nil
			}
		}); err != nil {
			return nil, err
		}
	}
	hint := cmp.Or(q.ip, q.pod)
	if len(pods) > 0 {
		hint = "" // the info of a pod has its first address only
	}
	_, err := eachSample(text, familyPodInfo, []byte(hint), func(l labels) {
		uid := l.get("uid")
		_, known := pods[uid]
		switch {
		case !known && q.ip != "" && !sameIP(l.get("pod_ip"), q.ip):
			return
		case q.pod != "" && (l.get("pod") != q.pod || q.namespace != "" && l.get("namespace") != q.namespace):
			return
		case !known && len(pods) >= maxFound:
			return
		}
		p := &Pod{Pod: l.get("pod"), Namespace: l.get("namespace"), UID: uid, Node: l.get("node"), HostIP: l.get("host_ip")}
		if ip := l.get("pod_ip"); ip != "" {
			p.PodIPs = []string{ip}
		}
		if kind := l.get("created_by_kind"); kind != "" && kind != "<none>" {
			p.Owner = &Owner{kind, l.get("created_by_name")}
		}
		pods[uid] = p
	})
	if err != nil {
		return nil, err
	}
	var found []*Pod
	for _, p := range pods {
		if p != nil {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b *Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.UID, b.UID))
	})
	return found, complete(text, pods, found)
}

// complete adds what other families say of the pods that were found.
func complete(text families, pods map[string]*Pod, found []*Pod) error {
	hint := []byte(nil)
	if len(found) == 1 {
		hint = []byte(found[0].UID)
	}
	for _, family := range []struct {
		name string
		add  func(*Pod, labels)
	}{
		{familyPodIPs, func(p *Pod, l labels) {
			if ip := l.get("ip"); ip != "" && !slices.Contains(p.PodIPs, ip) {
				p.PodIPs = append(p.PodIPs, ip)
			}
		}},
		{familyPodOwner, func(p *Pod, l labels) {
			if kind := l.get("owner_kind"); kind != "" && kind != "<none>" && (p.Owner == nil || l.get("owner_is_controller") == "true") {
				p.Owner = &Owner{kind, l.get("owner_name")}
			}
		}},
		{familyPodPhase, func(p *Pod, l labels) {
			if l.value == "1" {
				p.Phase = l.get("phase")
			}
		}},
	} {
		if _, err := eachSample(text, family.name, hint, func(l labels) {
			if p := pods[l.get("uid")]; p != nil {
				family.add(p, l)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// sameIP tells whether a text is that address, however it is written.
func sameIP(text, ip string) bool {
	if text == ip {
		return true
	}
	return strings.Contains(text, ":") && strings.Contains(ip, ":") && net.ParseIP(text).String() == ip
}

// labels are those of a sample, and its value.
type labels struct {
	line  *expo.Line
	value string
}

// get is the value of a label, "" where there is none.
func (l labels) get(name string) string {
	v, _ := l.line.Label(name)
	return v
}

// eachSample calls see for the samples of a family whose line holds the hint: a
// text that lines which are of interest hold for certain. IPv6 addresses can be
// written in several ways, so they are no hint.
func eachSample(text families, family string, hint []byte, see func(labels)) (found bool, err error) {
	if bytes.Contains(hint, []byte(":")) {
		hint = nil
	}
	return text(family, func(part []byte) error {
		for len(part) > 0 {
			lines := part
			if len(hint) > 0 { // Fast path: over all lines but one.
				at := bytes.Index(part, hint)
				if at < 0 {
					return nil
				}
				lines = part[bytes.LastIndexByte(part[:at], '\n')+1:]
			}
			line := lines
			if end := bytes.IndexByte(lines, '\n'); end >= 0 {
				line = lines[:end+1]
			}
			part = lines[len(line):]
			sc := expo.NewScanner(line)
			for sc.Next() {
				if l := sc.Line(); l.Kind == expo.Sample && string(l.Name) == family {
					see(labels{l, string(l.Value)})
				}
			}
			if err := sc.Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// lookup is the handler of questions.
type lookup struct {
	slots chan struct{}
	text  func() (families, error)
}

// ServeHTTP implements http.Handler.
func (h *lookup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	q, err := parseQuestion(query.Get("ip"), query.Get("pod"))
	if err != nil {
		serve.WriteJSON(w, http.StatusBadRequest, err)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return
	}
	text, err := h.text()
	if err != nil {
		serve.WriteJSON(w, http.StatusNotFound, err)
		return
	}
	pods, err := q.answer(text)
	switch {
	case err != nil:
		serve.WriteJSON(w, http.StatusInternalServerError, err)
	case len(pods) == 0:
		serve.WriteJSON(w, http.StatusNotFound, errors.New("no pod here has this address or name"))
	default:
		serve.WriteJSON(w, http.StatusOK, pods)
	}
}
