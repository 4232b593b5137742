package stateagent

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Settings are what can change while the agent runs: which cluster is asked for
// what, and what of it is shown.
type Settings struct {
	APIServer  string // URL; "" is what the kubeconfig or the pod says
	Kubeconfig string // file; "" is the pod's service account
	QPS        float64
	Burst      int

	Resources         []string // nil are those that are on without being asked for
	CustomResources   string   // configuration of custom resource state metrics, YAML; "" is none
	Namespaces        []string // none are all
	NamespacesDenied  []string
	NamespaceSelector string            // of labels
	LabelSelectors    map[string]string // by resource
	Node              string            // show its pods only
	UnscheduledPods   bool              // show those without a node only
	ObjectLimit       int64             // of each resource; 0 is none
	CachedLists       bool              // take lists from the API server's cache
	SkipFinishedAfter time.Duration     // how long pods that have ended are shown; 0 is for ever
	Shard, Shards     int               // static; see Pod
	Pod, PodNamespace string            // this program's pod: the shard follows from it
	MetricAllow       []string          // patterns
	MetricDeny        []string
	MetricOptIn       []string
	Labels            map[string][]string // keys by resource
	Annotations       map[string][]string
	PodLabels         []string // keys
	TrueOnly          bool
}

// Defaults of Settings: enough for a start in some hundred namespaces at once,
// and little beside what an API server takes from one client.
const (
	DefaultQPS   = 50
	DefaultBurst = 100
)

// check finds what in the settings contradicts itself.
func (s *Settings) check() error {
	switch {
	case s.Shards < 1:
		return fmt.Errorf("--total-shards %d must be at least 1", s.Shards)
	case s.Shard < 0 || s.Shard >= s.Shards:
		return fmt.Errorf("--shard %d must be from 0 to %d, one less than --total-shards", s.Shard, s.Shards-1)
	case (s.Pod == "") != (s.PodNamespace == ""):
		return errors.New("--pod and --pod-namespace need each other")
	case s.ObjectLimit < 0:
		return fmt.Errorf("--object-limit %d cannot be negative", s.ObjectLimit)
	case s.QPS <= 0 || s.Burst < 1:
		return errors.New("--kube-api-qps and --kube-api-burst must be above 0")
	case s.SkipFinishedAfter < 0:
		return errors.New("--pods.skip-finished-after cannot be negative")
	}
	if s.Node != "" || s.UnscheduledPods {
		for _, r := range s.Resources {
			if r != podsResource {
				return fmt.Errorf("--resources: %s are not tied to a node; with --node or --track-unscheduled-pods only pods can be shown", r)
			}
		}
	}
	return nil
}

// podsResource is the resource that belongs to nodes.
const podsResource = "pods"

// ParseKeys reads an allow list: resource=[key,key],resource=[*]. Both the keys
// and the resources may be "*" for all.
func ParseKeys(list string) (map[string][]string, error) {
	keys := make(map[string][]string)
	rest := strings.TrimSpace(list)
	for rest != "" {
		resource, after, ok := strings.Cut(rest, "=[")
		inside, next, closed := strings.Cut(after, "]")
		resource = strings.TrimSpace(resource)
		switch {
		case !ok || !closed || resource == "" || strings.ContainsAny(resource, ",[]") || strings.Contains(inside, "["):
			return nil, fmt.Errorf("%q: want resource=[key,key],resource=[*]", list)
		case keys[resource] != nil:
			return nil, fmt.Errorf("%q: %s is there twice", list, resource)
		}
		keys[resource] = []string{}
		if strings.TrimSpace(inside) != "" {
			for key := range strings.SplitSeq(inside, ",") {
				if key = strings.TrimSpace(key); key == "" {
					return nil, fmt.Errorf("%q: an empty key of %s", list, resource)
				}
				keys[resource] = append(keys[resource], key)
			}
		}
		if next = strings.TrimSpace(next); next == "" {
			break
		}
		if rest, ok = strings.CutPrefix(next, ","); !ok || strings.TrimSpace(rest) == "" {
			return nil, fmt.Errorf("%q: want a comma and another resource after %s=[...]", list, resource)
		}
		rest = strings.TrimSpace(rest)
	}
	return keys, nil
}
