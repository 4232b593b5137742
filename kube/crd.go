package kube

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// The custom resource definitions of a cluster, of which only names, scope and
// versions are decoded: with its schemas one of them takes up to a megabyte.
// https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
var crdVersion = schema.GroupVersion{Group: "apiextensions.k8s.io", Version: "v1"}

// crdPage is how many definitions are asked for at once where the server does not
// stream them.
const crdPage = 20

// crd is a CustomResourceDefinition.
type crd struct {
	v1.TypeMeta `json:",inline"`
	Metadata    struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
		Annotations     struct {
			End string `json:"k8s.io/initial-events-end"` // of a streamed list, on a bookmark
		} `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Plural string `json:"plural"`
			Kind   string `json:"kind"`
		} `json:"names"`
		Scope    string `json:"scope"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
		} `json:"versions"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// GetObjectMeta implements v1.ObjectMetaAccessor with what a watch needs.
func (c *crd) GetObjectMeta() v1.Object {
	m := &v1.ObjectMeta{Name: c.Metadata.Name, ResourceVersion: c.Metadata.ResourceVersion}
	if end := c.Metadata.Annotations.End; end != "" {
		m.Annotations = map[string]string{v1.InitialEventsAnnotationKey: end}
	}
	return m
}

// DeepCopyObject implements runtime.Object.
func (c *crd) DeepCopyObject() runtime.Object {
	d := *c
	d.Spec.Versions = slices.Clone(c.Spec.Versions)
	d.Status.Conditions = slices.Clone(c.Status.Conditions)
	return &d
}

// crdList is a list of them.
type crdList struct {
	v1.TypeMeta `json:",inline"`
	v1.ListMeta `json:"metadata"`
	Items       []crd `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *crdList) DeepCopyObject() runtime.Object {
	d := *l
	d.Items = make([]crd, len(l.Items))
	for i := range l.Items {
		d.Items[i] = *l.Items[i].DeepCopyObject().(*crd)
	}
	return &d
}

// definition is what is kept of a custom resource definition.
type definition struct {
	group, kind, plural string
	namespaced          bool
	versions            []string // that are served
}

// define is what is kept of c. One that is not established yet, or not any more,
// serves nothing.
func (c *crd) define() definition {
	d := definition{group: c.Spec.Group, kind: c.Spec.Names.Kind, plural: c.Spec.Names.Plural, namespaced: c.Spec.Scope == "Namespaced"}
	for _, condition := range c.Status.Conditions {
		if condition.Type != "Established" || condition.Status != "True" {
			continue
		}
		for _, v := range c.Spec.Versions {
			if v.Served {
				d.versions = append(d.versions, v.Name)
			}
		}
	}
	return d
}

// CustomStats counts what becomes of custom resources. The names that
// kube-state-metrics has are the same here.
type CustomStats struct {
	added, updated, deleted prometheus.Counter
	definitions             prometheus.Gauge
	errors                  *prometheus.CounterVec
	log                     *slog.Logger
}

// NewCustomStats starts at zero, and logs to log.
func NewCustomStats(log *slog.Logger) *CustomStats {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &CustomStats{
		added:   counter("kube_state_metrics_custom_resource_state_add_events_total", "Custom resource definitions that were listed or created."),
		updated: counter("kube_state_metrics_custom_resource_state_update_events_total", "Changes of custom resource definitions."),
		deleted: counter("kube_state_metrics_custom_resource_state_delete_events_total", "Custom resource definitions that were deleted."),
		definitions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kube_state_metrics_custom_resource_state_cache", Help: "Custom resource definitions that are known at present.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kube_state_metrics_custom_resource_state_errors_total",
			Help: "Samples of custom resources that could not be made, by what was wrong.",
		}, []string{"resource", "family", "reason"}),
		log: log,
	}
}

// Collectors are the counts, for a registry.
func (s *CustomStats) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.added, s.updated, s.deleted, s.definitions, s.errors}
}

// customEvents is told what a customWatch finds, by one goroutine.
type customEvents struct {
	// changed tells which resources are there that were not, and which are gone. One
	// that stays is in neither, and is the same *resource as before. The first call
	// comes with the first whole list, and may be about none; others are about some.
	changed func(added, removed []*resource)
	// failed tells that the definitions could not be listed or watched, and with nil
	// that they can again. It is tried again all the time.
	failed func(error)
}

// customWatch keeps up with the custom resource definitions of a cluster and tells
// which of the resources of a configuration are there. It is a cache.ReflectorStore.
type customWatch struct {
	config      *CustomConfig
	stats       *CustomStats
	events      customEvents
	definitions map[string]definition // by name of the definition
	live        map[customKey]*resource
	told        bool // of the first list
}

// customKey tells resources apart; one of another kind or scope is another.
type customKey struct {
	schema.GroupVersionResource
	kind       string
	namespaced bool
}

// watchCustom tells events of the resources of a configuration until the context
// ends. The error is of a cluster configuration that no client can be made from.
func watchCustom(ctx context.Context, cluster *rest.Config, c *CustomConfig, stats *CustomStats, events customEvents) error {
	client, err := crdClient(cluster)
	if err != nil {
		return fmt.Errorf("client for custom resource definitions: %w", err)
	}
	w := newCustomWatch(c, stats, events)
	source := cache.NewListWatchFromClient(client, "customresourcedefinitions", v1.NamespaceAll, nil)
	r := cache.NewReflectorWithOptions(&toldListWatch{source, events.failed}, &crd{}, w, cache.ReflectorOptions{Name: "custom resource definitions"})
	r.WatchListPageSize = crdPage
	r.RunWithContext(ctx)
	return nil
}

func newCustomWatch(c *CustomConfig, stats *CustomStats, events customEvents) *customWatch {
	return &customWatch{config: c, stats: stats, events: events, definitions: map[string]definition{}, live: map[customKey]*resource{}}
}

// crdClient is a client that knows custom resource definitions alone.
func crdClient(cluster *rest.Config) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(crdVersion.WithKind("CustomResourceDefinition"), &crd{})
	scheme.AddKnownTypeWithName(crdVersion.WithKind("CustomResourceDefinitionList"), &crdList{})
	v1.AddToGroupVersion(scheme, crdVersion)
	c := rest.CopyConfig(cluster)
	c.APIPath, c.GroupVersion = "/apis", &crdVersion
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return rest.RESTClientFor(c)
}

// toldListWatch tells of each list and watch whether it worked.
type toldListWatch struct {
	cache.ListerWatcher
	tell func(error)
}

func (t *toldListWatch) List(o v1.ListOptions) (runtime.Object, error) {
	list, err := t.ListerWatcher.List(o) //nolint:staticcheck
	t.tell(err)
	return list, err
}

func (t *toldListWatch) Watch(o v1.ListOptions) (watch.Interface, error) {
	events, err := t.ListerWatcher.Watch(o) //nolint:staticcheck
	t.tell(err)
	return events, err
}

// Add implements cache.ReflectorStore.
func (w *customWatch) Add(o any) error {
	w.stats.added.Inc()
	return w.put(o)
}

// Update implements cache.ReflectorStore.
func (w *customWatch) Update(o any) error {
	w.stats.updated.Inc()
	return w.put(o)
}

func (w *customWatch) put(o any) error {
	c := o.(*crd)
	w.definitions[c.Metadata.Name] = c.define()
	w.apply()
	return nil
}

// Delete implements cache.ReflectorStore.
func (w *customWatch) Delete(o any) error {
	w.stats.deleted.Inc()
	delete(w.definitions, o.(*crd).Metadata.Name)
	w.apply()
	return nil
}

// Replace implements cache.ReflectorStore: a whole list.
func (w *customWatch) Replace(list []any, _ string) error {
	before := w.definitions
	w.definitions = make(map[string]definition, len(list))
	for _, o := range list {
		c := o.(*crd)
		w.definitions[c.Metadata.Name] = c.define()
		if _, known := before[c.Metadata.Name]; !known {
			w.stats.added.Inc()
		}
		delete(before, c.Metadata.Name)
	}
	w.stats.deleted.Add(float64(len(before)))
	w.apply()
	return nil
}

// Resync implements cache.ReflectorStore; it is never asked for.
func (w *customWatch) Resync() error { return nil }

// apply tells what the definitions change.
func (w *customWatch) apply() {
	w.stats.definitions.Set(float64(len(w.definitions)))
	wanted := map[customKey]definition{}
	for _, d := range w.definitions {
		for _, v := range d.versions {
			wanted[customKey{schema.GroupVersionResource{Group: d.group, Version: v, Resource: d.plural}, d.kind, d.namespaced}] = d
		}
	}
	var added, removed []*resource
	for _, key := range sortedKeys(w.live) {
		if _, ok := wanted[key]; !ok {
			removed = append(removed, w.live[key])
			delete(w.live, key)
		}
	}
	for _, key := range sortedKeys(wanted) {
		if w.live[key] != nil {
			continue
		}
		if r := w.config.resourceOf(wanted[key], key.Version, w.stats); r != nil {
			w.live[key] = r
			added = append(added, r)
		}
	}
	if !w.told || len(added)+len(removed) > 0 {
		w.told = true
		w.events.changed(added, removed)
	}
}

func sortedKeys[V any](m map[customKey]V) []customKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b customKey) int {
		return slices.Compare([]string{a.Group, a.Resource, a.Version, a.kind}, []string{b.Group, b.Resource, b.Version, b.kind})
	})
}
