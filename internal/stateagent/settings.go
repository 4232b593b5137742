package stateagent

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"watchpost/kube"
)

// Settings are what can change while the agent runs: which cluster is asked for
// what, and what of it is shown.
type Settings struct {
	APIServer  string // URL; "" is what the kubeconfig or the pod says
	Kubeconfig string // file; "" is the pod's service account
	QPS        float64
	Burst      int

	Resources           []string // nil are those that are on without being asked for
	CustomResources     string   // configuration of custom resource state metrics, YAML; "" is none
	CustomResourcesFile string   // where it comes from; "" is the command line
	Namespaces          []string // none are all
	NamespacesDenied    []string
	NamespaceSelector   string            // of labels
	LabelSelectors      map[string]string // by resource
	Node                string            // show its pods only
	UnscheduledPods     bool              // show those without a node only
	ObjectLimit         int64             // of each resource; 0 is none
	CachedLists         bool              // take lists from the API server's cache
	SkipFinishedAfter   time.Duration     // how long pods that have ended are shown; 0 is for ever
	Shard, Shards       int               // static; see Pod
	Pod, PodNamespace   string            // this program's pod: the shard follows from it
	MetricAllow         []string          // patterns
	MetricDeny          []string
	MetricOptIn         []string
	Labels              map[string][]string // keys by resource
	Annotations         map[string][]string
	PodLabels           []string // keys
	TrueOnly            bool
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

// dependent tells whether which part of the cluster is shown is to be learnt from it.
func (s *Settings) dependent() bool { return s.Pod != "" || s.NamespaceSelector != "" }

// client is how the API server is reached.
func (s *Settings) client() (*kube.Client, error) {
	return kube.NewClient(kube.ClientConfig{
		Kubeconfig: s.Kubeconfig, Server: s.APIServer, QPS: float32(s.QPS), Burst: s.Burst,
		UserAgent: "watchpost-state-agent/" + cmp.Or(version.Version, "unknown"),
	})
}

// cluster is what is watched of a part of the cluster.
func (s *Settings) cluster(p part) (kube.Config, error) {
	filter, err := newMetricFilter(s.MetricAllow, s.MetricDeny, s.MetricOptIn)
	if err != nil {
		return kube.Config{}, err
	}
	for flag, list := range map[string]map[string][]string{"metric-labels-allowlist": s.Labels, "metric-annotations-allowlist": s.Annotations} {
		for _, resource := range slices.Sorted(maps.Keys(list)) {
			if resource != "*" && !slices.Contains(kube.Resources(), resource) {
				return kube.Config{}, fmt.Errorf("--%s: resource %q does not exist; there are: %s", flag, resource, strings.Join(kube.Resources(), ", "))
			}
		}
	}
	client, err := s.client()
	if err != nil {
		return kube.Config{}, err
	}
	var custom *kube.CustomConfig
	if s.CustomResources != "" {
		if custom, err = kube.ParseCustom([]byte(s.CustomResources)); err != nil {
			if s.CustomResourcesFile != "" {
				return kube.Config{}, &FileError{s.CustomResourcesFile, err}
			}
			return kube.Config{}, fmt.Errorf("--custom-resource-state-config: %w", err)
		}
	}
	cfg := kube.Config{
		Custom: custom,
		Client: client, Resources: s.Resources,
		Namespaces: s.Namespaces, NamespacesDenied: s.NamespacesDenied,
		Node: s.Node, Unscheduled: s.UnscheduledPods, LabelSelectors: s.LabelSelectors,
		ObjectLimit: s.ObjectLimit, Cached: s.CachedLists,
		Shard: p.shard, Shards: p.shards, FinishedPods: s.SkipFinishedAfter,
		Options: kube.Options{Labels: s.Labels, Annotations: s.Annotations, Keep: filter.keep, TrueOnly: s.TrueOnly, PodLabels: s.PodLabels},
	}
	if s.UnscheduledPods {
		cfg.Node = ""
	}
	if p.namespaces != nil {
		cfg.Namespaces = p.namespaces
		cfg.LabelSelectors = maps.Clone(s.LabelSelectors)
		if cfg.LabelSelectors == nil {
			cfg.LabelSelectors = make(map[string]string)
		}
		if own := cfg.LabelSelectors[namespacesResource]; own != "" {
			cfg.LabelSelectors[namespacesResource] = own + "," + s.NamespaceSelector
		} else {
			cfg.LabelSelectors[namespacesResource] = s.NamespaceSelector
		}
	}
	return cfg, nil
}

// namespacesResource is the resource that --namespace-selector is about.
const namespacesResource = "namespaces"

// among are those of the names that the settings let through.
func (s *Settings) among(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return len(s.Namespaces) > 0 && !slices.Contains(s.Namespaces, name) || slices.Contains(s.NamespacesDenied, name)
	})
}
