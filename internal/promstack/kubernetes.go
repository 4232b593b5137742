//lint:file-ignore SA1019 Endpoints are deprecated, and configurations that look for them go on to work.

package promstack

// Discovery in Kubernetes with one watch for each kind of object, however many jobs
// and roles look at it, and with objects cut down to what discovery reads of them.
// What becomes of an object is Prometheus' own code; it keeps whole objects, and pods
// and services once for each role that looks at them.

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	core "k8s.io/api/core/v1"
	slices1 "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// kubeWatches are the watches of one engine. Its methods may be called from any
// goroutine.
type kubeWatches struct {
	events   *prometheus.CounterVec
	failures prometheus.Counter
	watches  *prometheus.GaugeVec

	mu   sync.Mutex
	open map[kubeWatch]*sharedInformer
}

// kubeWatch tells one watch from another.
type kubeWatch struct {
	kubeconfig      string // "" is the service account
	kind, namespace string // "" is every namespace
	label, field    string // selectors
}

// sharedInformer is an open watch.
type sharedInformer struct {
	cache.SharedIndexInformer
	users int
	end   context.CancelFunc
}

// newKubeWatches puts its metrics in the place of those that Prometheus' discovery has
// registered under the same names; a registry wants the same help texts for them.
func newKubeWatches(reg prometheus.Registerer, theirs discovery.DiscovererMetrics) *kubeWatches {
	w := &kubeWatches{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prometheus_sd_kubernetes_events_total",
			Help: "The number of Kubernetes events handled.",
		}, []string{"role", "event"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prometheus_sd_kubernetes_failures_total",
			Help: "The number of failed WATCH/LIST requests.",
		}),
		watches: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "watchpost_sd_kubernetes_watches",
			Help: "Open watches of Kubernetes objects.",
		}, []string{"kind"}),
		open: make(map[kubeWatch]*sharedInformer),
	}
	theirs.Unregister()
	reg.MustRegister(w.events, w.failures, w.watches)
	return w
}

// share replaces the discoveries in Kubernetes whose watches can be shared: those of
// the service account or a kubeconfig, without metadata of owners.
func (w *kubeWatches) share(configs discovery.Configs) discovery.Configs {
	out := slices.Clone(configs)
	for i, c := range out {
		k, isKube := c.(*kubernetes.SDConfig)
		if isKube && k.APIServer.URL == nil && !k.AttachMetadata.Deployment && !k.AttachMetadata.Job && !k.AttachMetadata.CronJob {
			out[i] = &sharedDiscovery{k, w}
		}
	}
	return out
}

// sharedDiscovery is a kubernetes_sd_config on shared watches.
type sharedDiscovery struct {
	*kubernetes.SDConfig
	watches *kubeWatches
}

// NewDiscoverer implements discovery.Config.
func (d *sharedDiscovery) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	r := &kubeRole{config: d.SDConfig, watches: d.watches, log: o.Logger, namespaces: slices.Clone(d.NamespaceDiscovery.Names)}
	var err error
	var c *rest.Config
	if d.KubeConfig != "" {
		c, err = clientcmd.BuildConfigFromFlags("", d.KubeConfig)
	} else {
		c, err = rest.InClusterConfig()
	}
	if err != nil {
		return nil, err
	}
	if d.KubeConfig == "" && d.NamespaceDiscovery.IncludeOwnNamespace {
		own, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
		if err != nil || len(own) == 0 {
			return nil, fmt.Errorf("the namespace of this pod is not known: %w", err)
		}
		r.namespaces = append(r.namespaces, string(own))
	}
	if len(r.namespaces) == 0 {
		r.namespaces = []string{metav1.NamespaceAll}
	}
	c.UserAgent = "watchpost-collector"
	c.ContentType = "application/vnd.kubernetes.protobuf"
	r.client, err = client.NewForConfig(c)
	return r, err
}

// kubeRole discovers the objects of one role.
type kubeRole struct {
	config     *kubernetes.SDConfig
	watches    *kubeWatches
	log        *slog.Logger
	client     client.Interface
	namespaces []string
}

// Run implements discovery.Discoverer.
func (r *kubeRole) Run(ctx context.Context, to chan<- []*targetgroup.Group) {
	var used []*borrowed
	defer func() {
		for _, b := range used {
			b.giveBack()
		}
	}()
	watch := func(kind, namespace string) cache.SharedIndexInformer {
		b := r.watches.borrow(r, kind, namespace)
		used = append(used, b)
		return b
	}
	role, log, events := string(r.config.Role), r.log.With("role", string(r.config.Role)), r.watches.events
	if role == "node" {
		kubernetes.NewNode(log, watch("node", ""), events).Run(ctx, to)
		return
	}
	var nodes, namespaces cache.SharedInformer // nil where not asked for
	if r.config.AttachMetadata.Node && role != "service" && role != "ingress" {
		nodes = watch("node", "")
	}
	if r.config.AttachMetadata.Namespace {
		namespaces = watch("namespace", "")
	}
	var work sync.WaitGroup
	for _, ns := range r.namespaces {
		var d discovery.Discoverer
		switch role {
		case "pod":
			d = kubernetes.NewPod(log, watch("pod", ns), nodes, namespaces, nil, nil, false, false, false, events)
		case "service":
			d = kubernetes.NewService(log, watch("service", ns), namespaces, events)
		case "ingress":
			d = kubernetes.NewIngress(log, watch("ingress", ns), namespaces, events)
		case "endpoints":
			d = kubernetes.NewEndpoints(log, watch("endpoints", ns), watch("service", ns), watch("pod", ns), nodes, namespaces, nil, nil, false, false, false, events)
		case "endpointslice":
			d = kubernetes.NewEndpointSlice(log, watch("endpointslice", ns), watch("service", ns), watch("pod", ns), nodes, namespaces, nil, nil, false, false, false, events)
		}
		work.Go(func() { d.Run(ctx, to) })
	}
	work.Wait()
	<-ctx.Done()
}

// borrowed is a shared informer in the hands of one user, whose handlers leave with
// him.
type borrowed struct {
	*sharedInformer
	handlers []cache.ResourceEventHandlerRegistration
	back     func()
}

// AddEventHandler remembers the handler.
func (b *borrowed) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	reg, err := b.sharedInformer.AddEventHandler(h)
	if err == nil {
		b.handlers = append(b.handlers, reg)
	}
	return reg, err
}

func (b *borrowed) giveBack() {
	for _, h := range b.handlers {
		b.RemoveEventHandler(h) // fails where the informer has ended, and all handlers with it
	}
	b.back()
}

// borrow opens a watch, or joins one that is open. It ends with its last user.
func (w *kubeWatches) borrow(r *kubeRole, kind, namespace string) *borrowed {
	key := kubeWatch{kubeconfig: r.config.KubeConfig, kind: kind, namespace: namespace}
	for _, s := range r.config.Selectors {
		if string(s.Role) == kind {
			key.label, key.field = s.Label, s.Field
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.open[key]
	if s == nil {
		ctx, end := context.WithCancel(context.Background())
		s = &sharedInformer{SharedIndexInformer: w.informer(r.client, key), end: end}
		w.open[key] = s
		w.watches.WithLabelValues(kind).Inc()
		go s.RunWithContext(ctx)
	}
	s.users++
	return &borrowed{sharedInformer: s, back: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if s.users--; s.users == 0 {
			delete(w.open, key)
			w.watches.WithLabelValues(kind).Dec()
			s.end()
		}
	}}
}

// informer makes one that does not run yet.
func (w *kubeWatches) informer(c client.Interface, key kubeWatch) cache.SharedIndexInformer {
	k := kubeKinds[key.kind]
	lw := cache.NewFilteredListWatchFromClient(k.client(c), k.resource, key.namespace, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = key.label, key.field
	})
	indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	for name, index := range k.indexes {
		indexers[name] = func(o any) ([]string, error) { return index(o), nil }
	}
	s := cache.NewSharedIndexInformer(lw, k.example, 0, indexers) // 0: nothing is told twice
	s.SetTransform(func(o any) (any, error) {                     // fails only on one that runs
		if m, isObject := o.(metav1.Object); isObject {
			m.SetManagedFields(nil)
		}
		if k.trim != nil {
			k.trim(o)
		}
		return o, nil
	})
	s.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		w.failures.Inc()
		cache.DefaultWatchErrorHandler(ctx, r, err)
	})
	return s
}

// kubeKind is how objects of a kind are watched. The names of the indexes are those
// that Prometheus' discovery looks for.
type kubeKind struct {
	resource string
	example  runtime.Object
	client   func(client.Interface) cache.Getter
	indexes  map[string]func(o any) []string
	trim     func(o any)
}

func coreClient(c client.Interface) cache.Getter { return c.CoreV1().RESTClient() }

var kubeKinds = map[string]kubeKind{
	"node":      {resource: "nodes", example: &core.Node{}, client: coreClient, trim: trimNode},
	"namespace": {resource: "namespaces", example: &core.Namespace{}, client: coreClient},
	"service":   {resource: "services", example: &core.Service{}, client: coreClient},
	"pod": {resource: "pods", example: &core.Pod{}, client: coreClient, trim: trimPod,
		indexes: map[string]func(any) []string{"node": func(o any) []string { return []string{o.(*core.Pod).Spec.NodeName} }}},
	"endpoints": {resource: "endpoints", example: &core.Endpoints{}, client: coreClient,
		indexes: map[string]func(any) []string{"pod": endpointsPods, "node": endpointsNodes}},
	"endpointslice": {resource: "endpointslices", example: &slices1.EndpointSlice{},
		client:  func(c client.Interface) cache.Getter { return c.DiscoveryV1().RESTClient() },
		indexes: map[string]func(any) []string{"service": sliceService, "node": sliceNodes}},
	"ingress": {resource: "ingresses", example: &networking.Ingress{},
		client: func(c client.Interface) cache.Getter { return c.NetworkingV1().RESTClient() }},
}

// trimPod leaves what becomes labels: addresses, phase, conditions, the containers'
// names, images and ports.
func trimPod(o any) {
	p, isPod := o.(*core.Pod)
	if !isPod {
		return
	}
	containers := func(in []core.Container) (out []core.Container) {
		for _, c := range in {
			out = append(out, core.Container{Name: c.Name, Image: c.Image, Ports: c.Ports, RestartPolicy: c.RestartPolicy})
		}
		return out
	}
	statuses := func(in []core.ContainerStatus) (out []core.ContainerStatus) {
		for _, s := range in {
			out = append(out, core.ContainerStatus{Name: s.Name, ContainerID: s.ContainerID})
		}
		return out
	}
	p.Spec = core.PodSpec{NodeName: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork,
		Containers: containers(p.Spec.Containers), InitContainers: containers(p.Spec.InitContainers)}
	s := p.Status
	p.Status = core.PodStatus{Phase: s.Phase, PodIP: s.PodIP, PodIPs: s.PodIPs, HostIP: s.HostIP, Conditions: s.Conditions,
		ContainerStatuses: statuses(s.ContainerStatuses), InitContainerStatuses: statuses(s.InitContainerStatuses)}
}

// trimNode leaves addresses and conditions; the list of images is most of a node.
func trimNode(o any) {
	n, isNode := o.(*core.Node)
	if !isNode {
		return
	}
	n.Spec = core.NodeSpec{ProviderID: n.Spec.ProviderID}
	n.Status = core.NodeStatus{Addresses: n.Status.Addresses, Conditions: n.Status.Conditions, DaemonEndpoints: n.Status.DaemonEndpoints}
}

func endpointsPods(o any) (pods []string) {
	for _, s := range o.(*core.Endpoints).Subsets {
		for _, a := range s.Addresses {
			if a.TargetRef != nil && a.TargetRef.Kind == "Pod" {
				pods = append(pods, a.TargetRef.Namespace+"/"+a.TargetRef.Name)
			}
		}
	}
	return pods
}

// nodeOf is the node that an endpoint is on, as far as it says so.
func nodeOf(target *core.ObjectReference, node *string) []string {
	switch {
	case target != nil && target.Kind == "Node":
		return []string{target.Name}
	case target != nil && target.Kind == "Pod" && node != nil:
		return []string{*node}
	}
	return nil
}

func endpointsNodes(o any) (nodes []string) {
	for _, s := range o.(*core.Endpoints).Subsets {
		for _, a := range s.Addresses {
			nodes = append(nodes, nodeOf(a.TargetRef, a.NodeName)...)
		}
	}
	return nodes
}

func sliceNodes(o any) (nodes []string) {
	for _, e := range o.(*slices1.EndpointSlice).Endpoints {
		nodes = append(nodes, nodeOf(e.TargetRef, e.NodeName)...)
	}
	return nodes
}

func sliceService(o any) []string {
	s := o.(*slices1.EndpointSlice)
	if name, found := s.Labels[slices1.LabelServiceName]; found && strings.TrimSpace(name) != "" {
		return []string{s.Namespace + "/" + name}
	}
	return nil
}
