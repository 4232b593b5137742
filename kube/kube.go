// Package kube is the state-agent's view of a cluster: each Kubernetes resource
// is one file with a table of metric families, and each of these a function from
// the typed object to its sample lines.
//
// No object is kept. A watch event is rendered at once (resource, renderer), its
// text goes into the store (store), compressed, and the object is dropped.
package kube

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchpost/internal/expo"
)

// resources is the table of all that the state-agent knows, by the names that
// --resources has. A new resource is one file and one row here.
var resources = []*resource{
	&certificateSigningRequests,
	&clusterRoleBindings,
	&clusterRoles,
	&configMaps,
	&cronJobs,
	&daemonSets,
	&deployments,
	&endpoints,
	&endpointSlices,
	&horizontalPodAutoscalers,
	&ingressClasses,
	&ingresses,
	&jobs,
	&leases,
	&limitRanges,
	&mutatingAdmissionPolicies,
	&mutatingAdmissionPolicyBindings,
	&mutatingWebhookConfigurations,
	&namespaces,
	&networkPolicies,
	&nodes,
	&persistentVolumeClaims,
	&persistentVolumes,
	&podDisruptionBudgets,
	&pods,
	&replicaSets,
	&replicationControllers,
	&resourceQuotas,
	&roleBindings,
	&roles,
	&secrets,
	&serviceAccounts,
	&services,
	&statefulSets,
	&storageClasses,
	&validatingAdmissionPolicies,
	&validatingAdmissionPolicyBindings,
	&validatingWebhookConfigurations,
	&volumeAttachments,
}

// resource describes how the objects of one Kubernetes resource become metrics.
type resource struct {
	name       string // plural, as --resources and the API's paths have it
	version    schema.GroupVersion
	kind       string // of one object
	namespaced bool
	on         bool // without --resources asking for it
	fetch      fetch

	// labels are the names of the labels that tell objects apart, which every
	// sample has first: namespace and uid are the object's, another is its name.
	labels []string
	// identify gives the values of labels where the rule above does not fit.
	identify func(v1.Object) []string

	families []family
	unread   []unread // what need not be decoded
}

// isPods tells whether these are Kubernetes' own pods: a custom resource may have
// their name.
func (r *resource) isPods() bool { return r.name == "pods" && r.version.Group == "" }

// fetch is how much of an object is asked for.
type fetch uint8

const (
	// fetchWhole asks for the typed object, in protobuf.
	fetchWhole fetch = iota
	// fetchMetadata asks for *v1.PartialObjectMetadata: what an object holds
	// beside its metadata does not leave the API server.
	fetchMetadata
	// fetchColumns asks for the metadata and what kubectl prints, a *row.
	fetchColumns
	// fetchAny asks for *unstructured.Unstructured, in JSON: custom resources.
	fetchAny
)

// row is an object of fetchColumns: its metadata and the columns that the API
// server prints of it.
type row struct {
	v1.ObjectMeta
	columns map[string]string // by name, as "Type"
}

// family is one metric family of a resource.
type family struct {
	*expo.Family // with the labels that come after the resource's own
	write        func(*Lines, v1.Object)
	keys         keys
	optIn        bool // written only where --metric-opt-in-list names it
}

// keys says that a family turns an object's labels or annotations into labels,
// those that an allow list names. It is written only where there is such a list.
type keys uint8

const (
	noKeys keys = iota
	labelKeys
	annotationKeys
)

// gauge declares a family of gauges: its whole name, its help text, the function
// that writes an object's samples, and the labels after the resource's own.
func gauge[T v1.Object](name, help string, write func(*Lines, T), labels ...string) family {
	return family{Family: expo.Gauge(name, help, labels...), write: typed(write)}
}

// counter declares a family of counters, as gauge does one of gauges.
func counter[T v1.Object](name, help string, write func(*Lines, T), labels ...string) family {
	return family{Family: expo.Counter(name, help, labels...), write: typed(write)}
}

// typed adapts a function of one type of object. An object of another type is a
// fault of the program.
func typed[T v1.Object](write func(*Lines, T)) func(*Lines, v1.Object) {
	return func(l *Lines, o v1.Object) { write(l, o.(T)) }
}

// optional is the family as one that is written only where it is asked for by name.
func (f family) optional() family {
	f.optIn = true
	return f
}

// Options choose what is rendered and how.
type Options struct {
	// Labels and Annotations are the keys that become labels in the families
	// kube_*_labels and kube_*_annotations, by resource. The key "*" stands for
	// all, and the resource "*" for those that are not named.
	Labels, Annotations map[string][]string
	// Keep tells of a family whether it is written; nil keeps all but those that
	// have to be asked for.
	Keep func(name string, optIn bool) bool
	// TrueOnly leaves out the zeros of enumerations: of the states a thing can
	// be in only the one that it is in is written.
	TrueOnly bool
	// Sidecars counts init containers that are started again whenever they end,
	// native sidecars, as containers too: the families kube_pod_container_* have
	// them beside kube_pod_init_container_*.
	Sidecars bool
	// PodLabels are keys of pods' labels that become labels of every sample of pods.
	PodLabels []string
}

// renderer renders the objects of one resource. It is not safe for concurrent use.
type renderer struct {
	*resource
	chosen []family
	lines  Lines
	extra  []string // keys of object labels that become labels of every sample
	ids    []string // the object's values of labels; used again
}

// newRenderer is the renderer of a resource with what the options choose of it.
func newRenderer(r *resource, o Options) *renderer {
	n := &renderer{resource: r}
	n.lines.trueOnly, n.lines.sidecars = o.TrueOnly, o.Sidecars
	n.lines.labelKeys = allowed(o.Labels, r.name)
	n.lines.annotationKeys = allowed(o.Annotations, r.name)
	if r.isPods() {
		n.extra = o.PodLabels
	}
	for _, f := range r.families {
		switch {
		case f.keys == labelKeys && n.lines.labelKeys == nil, f.keys == annotationKeys && n.lines.annotationKeys == nil:
		case o.Keep == nil && f.optIn, o.Keep != nil && !o.Keep(f.Name(), f.optIn):
		default:
			n.chosen = append(n.chosen, f)
		}
	}
	return n
}

// allowed are the keys that an allow list has for a resource; nil is none.
func allowed(list map[string][]string, name string) []string {
	if keys, ok := list[name]; ok {
		return keys
	}
	return list["*"]
}

// rendering is the text of one object: the i-th family's ends at ends[i] and
// begins where the one before ends.
type rendering struct {
	text []byte
	ends []int
}

// of is the text of the i-th family.
func (r *rendering) of(i int) []byte {
	begin := 0
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.text[begin:r.ends[i]]
}

// render renders an object into to, whose memory is used again.
func (n *renderer) render(o v1.Object, to *rendering) {
	l := &n.lines
	l.identify(n.labels, n.values(o))
	if len(n.extra) > 0 {
		l.addIdentity(promLabels("label_", o.GetLabels(), n.extra))
	}
	l.text, to.ends = to.text[:0], to.ends[:0]
	for i := range n.chosen {
		l.family = n.chosen[i].Family
		n.chosen[i].write(l, o)
		to.ends = append(to.ends, len(l.text))
	}
	to.text, l.text = l.text, nil
}

// values are those of the labels that tell objects apart, until the next call. A
// namespace's own name stands under the label namespace.
func (n *renderer) values(o v1.Object) []string {
	if n.resource.identify != nil {
		return n.resource.identify(o)
	}
	n.ids = n.ids[:0]
	for _, name := range n.labels {
		switch {
		case name == "namespace" && n.namespaced:
			n.ids = append(n.ids, o.GetNamespace())
		case name == "uid":
			n.ids = append(n.ids, string(o.GetUID()))
		default:
			n.ids = append(n.ids, o.GetName())
		}
	}
	return n.ids
}
