package test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"

	"watchpost/internal/testkube"
)

var cluster testkube.Shared

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// server is a real API server, and what it warned of.
type server struct {
	t       *testing.T
	client  kubernetes.Interface
	objects dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper

	mu       sync.Mutex
	warnings []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (s *server) HandleWarningHeader(_ int, _, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, text)
}

func (s *server) warned() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.warnings
	s.warnings = nil
	return w
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t}
	c := cluster.Get(t)
	config := c.Config()
	config.WarningHandler = s
	var err error
	if s.objects, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.client.Discovery()))
	return s
}

// apply is kubectl apply --server-side, with strict validation.
func (s *server) apply(o *unstructured.Unstructured, dry bool) error {
	s.t.Helper()
	kind := o.GroupVersionKind()
	m, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return fmt.Errorf("%s: %w", id(o), err)
	}
	text, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	options := meta.PatchOptions{FieldManager: "kubectl", Force: &force, FieldValidation: meta.FieldValidationStrict}
	if dry {
		options.DryRun = []string{meta.DryRunAll}
	}
	_, err = s.objects.Resource(m.Resource).Namespace(o.GetNamespace()).Patch(context.Background(), o.GetName(), types.ApplyPatchType, text, options)
	return err
}

// first are the kinds that others need.
var first = []string{"Namespace", "PriorityClass"}

// kubectl apply --dry-run=server, for each variant, and nothing is warned of: neither
// deprecations nor what the levels of pod security forbid.
func TestServerTakesAll(t *testing.T) {
	s := newServer(t)
	_, base := build(t, "..")
	for _, o := range base {
		if slices.Contains(first, o.GetKind()) {
			if err := s.apply(o, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			for _, o := range v.kustomize(t) {
				if o.GroupVersionKind().Group == "monitoring.coreos.com" {
					continue // not defined here: TestSchemas holds these to their types
				}
				if err := s.apply(o, true); err != nil {
					t.Errorf("%s: %v", id(o), err)
				}
				for _, w := range s.warned() {
					t.Errorf("%s: the server warns: %s", id(o), w)
				}
			}
		})
	}
	wrong := find(t, base, "DaemonSet", "node-agent").DeepCopy()
	wrong.Object["spec"].(map[string]any)["surprise"] = true
	if err := s.apply(wrong, true); err == nil || !strings.Contains(err.Error(), "surprise") {
		t.Errorf("an unknown field: %v", err)
	}
}

// template is the pod of a workload.
func template(t *testing.T, o *unstructured.Unstructured) (core.PodTemplateSpec, bool) {
	t.Helper()
	switch o.GetKind() {
	case "DaemonSet":
		return into[apps.DaemonSet](t, o).Spec.Template, true
	case "Deployment":
		return into[apps.Deployment](t, o).Spec.Template, true
	case "StatefulSet":
		set := into[apps.StatefulSet](t, o)
		for _, claim := range set.Spec.VolumeClaimTemplates { // as its controller does
			set.Spec.Template.Spec.Volumes = append(set.Spec.Template.Spec.Volumes, core.Volume{Name: claim.Name, VolumeSource: core.VolumeSource{
				PersistentVolumeClaim: &core.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-" + set.Name + "-0"},
			}})
		}
		return set.Spec.Template, true
	}
	return core.PodTemplateSpec{}, false
}

// Each pod may be created in its namespace, and those on the host in that one alone.
func TestPodSecurity(t *testing.T) {
	s := newServer(t)
	for _, v := range variants {
		for _, o := range v.kustomize(t) {
			if slices.Contains(first, o.GetKind()) {
				if err := s.apply(o, false); err != nil {
					t.Fatal(err)
				}
			}
			template, ok := template(t, o)
			if !ok {
				continue
			}
			pod := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: o.GetName() + "-0", Labels: template.Labels}, Spec: template.Spec}
			create := func(namespace string) error {
				_, err := s.client.CoreV1().Pods(namespace).Create(t.Context(), pod, meta.CreateOptions{DryRun: []string{meta.DryRunAll}, FieldValidation: meta.FieldValidationStrict})
				return err
			}
			if err := create(o.GetNamespace()); err != nil {
				t.Errorf("%s: %s: %v", v.name, id(o), err)
			}
			if o.GetName() == "node-agent" {
				if err := create("watchpost"); !errors.IsForbidden(err) || !strings.Contains(err.Error(), "PodSecurity") {
					t.Errorf("%s: node-agent in the restricted namespace: %v", v.name, err)
				}
			}
		}
	}
}

// resource is what a rule is about.
type resource struct{ group, name string }

// rules are the resources of a role, which has these verbs for all of them.
func rules(t *testing.T, role []rbac.PolicyRule, verbs ...string) (all []resource) {
	t.Helper()
	for _, r := range role {
		if !slices.Equal(r.Verbs, verbs) {
			t.Errorf("verbs %q, want %q", r.Verbs, verbs)
		}
		for _, g := range r.APIGroups {
			for _, n := range r.Resources {
				all = append(all, resource{g, n})
			}
		}
	}
	sort(all)
	return all
}

func sort(all []resource) {
	slices.SortFunc(all, func(a, b resource) int { return strings.Compare(a.group+" "+a.name, b.group+" "+b.name) })
}

// state-agent may list and watch what it shows, and nothing else.
func TestStateAgentRights(t *testing.T) {
	s := newServer(t)
	groups := make(map[string]string) // of the preferred version, by resource
	lists, err := s.client.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		version, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range l.APIResources {
			if _, known := groups[r.Name]; !known || version.Group == "" {
				groups[r.Name] = version.Group
			}
		}
	}
	_, all := build(t, "..")
	var shown []resource
	for _, c := range into[apps.Deployment](t, find(t, all, "Deployment", "state-agent")).Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if e.Name == "STATE_AGENT_RESOURCES" {
				for name := range strings.SplitSeq(e.Value, ",") {
					group, known := groups[name]
					if name == "endpointslices" || name == "leases" {
						group = map[string]string{"endpointslices": "discovery.k8s.io", "leases": "coordination.k8s.io"}[name]
					}
					if !known {
						t.Errorf("the server knows no %s", name)
					}
					shown = append(shown, resource{group, name})
				}
			}
		}
	}
	sort(shown)
	may := rules(t, into[rbac.ClusterRole](t, find(t, all, "ClusterRole", "watchpost-state-agent")).Rules, "list", "watch")
	if len(shown) == 0 || !slices.Equal(shown, may) {
		t.Errorf("it shows %v, and may see %v", shown, may)
	}
}

// Nobody has a right that is not here, and none is to contents of secrets and config maps.
func TestRights(t *testing.T) {
	want := map[string]string{
		"ClusterRole watchpost-cadvisor-proxy": "get nodes/metrics; list,watch pods",
		"ClusterRole watchpost-collector":      "list,watch nodes,pods,services; list,watch discovery.k8s.io endpointslices; get nodes/metrics; get /metrics",
		"ClusterRole watchpost-state-agent":    "TestStateAgentRights",
	}
	_, all := build(t, "..")
	for _, o := range all {
		switch o.GetKind() {
		case "Role":
			t.Errorf("%s", id(o))
		case "ClusterRole":
			role := into[rbac.ClusterRole](t, o)
			var parts []string
			for _, r := range role.Rules {
				of := strings.Join(append(slices.Clone(r.Resources), r.NonResourceURLs...), ",")
				parts = append(parts, strings.TrimSpace(strings.Join(r.Verbs, ",")+" "+strings.TrimSpace(strings.Join(r.APIGroups, ",")+" "+of)))
				for _, n := range r.Resources {
					if n == "*" || strings.HasPrefix(n, "secrets") || strings.HasPrefix(n, "configmaps") || n == "nodes/proxy" {
						t.Errorf("%s: %s", role.Name, n)
					}
				}
			}
			key := "ClusterRole " + role.Name
			if w := want[key]; w == "" || w != "TestStateAgentRights" && w != strings.Join(parts, "; ") {
				t.Errorf("%s: %s", key, strings.Join(parts, "; "))
			}
			delete(want, key)
		case "ServiceAccount":
			if a := into[core.ServiceAccount](t, o); a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
				t.Errorf("%s has its token mounted wherever it is used", a.Name)
			}
		}
		if pod, ok := template(t, o); ok {
			if token := *pod.Spec.AutomountServiceAccountToken; token == (o.GetName() == "node-agent") {
				t.Errorf("%s: token mounted: %v", o.GetName(), token)
			}
		}
	}
	for missing := range want {
		t.Error("no", missing)
	}
}

// What is said of a pod in a policy, a service and a monitor fits the pods; ports are there.
func TestSelectors(t *testing.T) {
	for _, v := range variants {
		all := v.kustomize(t)
		pods := make(map[string]core.PodTemplateSpec) // by namespace and label app.kubernetes.io/name
		for _, o := range all {
			if p, ok := template(t, o); ok {
				pods[o.GetNamespace()+"/"+p.Labels["app.kubernetes.io/name"]] = p
			}
		}
		for _, o := range all {
			if o.GetKind() != "Service" {
				continue
			}
			service := into[core.Service](t, o)
			pod, ok := pods[service.Namespace+"/"+service.Spec.Selector["app.kubernetes.io/name"]]
			if !ok {
				t.Errorf("%s: %s selects no pod", v.name, service.Name)
				continue
			}
			for _, port := range service.Spec.Ports {
				if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p core.ContainerPort) bool {
					return p.Name == port.TargetPort.StrVal && p.ContainerPort == port.Port
				}) {
					t.Errorf("%s: %s: no port %s", v.name, service.Name, port.Name)
				}
			}
		}
	}
}
