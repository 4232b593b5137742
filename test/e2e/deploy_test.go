//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	apps "k8s.io/api/apps/v1"
	authorization "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"watchpost/internal/testkube"
)

// With the rights that deploy/ grants, and no others, state-agent shows all that the
// manifest asks it for; nobody can read secrets.
func TestDeployedRights(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	text, err := os.ReadFile("../../deploy/watchpost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all, err := testkube.ReadObjects(fstest.MapFS{"watchpost.yaml": {Data: text}})
	if err != nil {
		t.Fatal(err)
	}
	var granted []byte
	var deployment apps.Deployment
	for _, o := range all {
		switch o.GetKind() {
		case "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding":
			b, err := o.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			granted = append(append(granted, "\n---\n"...), b...)
		case "Deployment":
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &deployment); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Load(t, fstest.MapFS{"rights.yaml": {Data: granted}})
	users := make(map[string]client.Interface)
	var stateAgent string // its kubeconfig
	for _, name := range []string{"state-agent", "cadvisor-proxy", "collector"} {
		kubeconfig, err := c.User("system:serviceaccount:watchpost:"+name, "system:serviceaccounts", "system:serviceaccounts:watchpost")
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if users[name], err = client.NewForConfig(config); err != nil {
			t.Fatal(err)
		}
		if name == "state-agent" {
			stateAgent = kubeconfig
		}
	}

	container := deployment.Spec.Template.Spec.Containers[0]
	var variables []string
	for _, e := range container.Env {
		if e.ValueFrom == nil {
			variables = append(variables, e.Name+"="+e.Value)
		}
	}
	a := startStateAgentIn(t, variables, append(slices.Clone(container.Args), "--kubeconfig="+stateAgent)...).ready()
	page := get(t, http.DefaultClient, a.metrics+"/metrics").body
	if !strings.Contains(page, `kube_namespace_created{namespace="watchpost-node"}`) {
		t.Error("the namespace watchpost-node is not shown")
	}
	for _, no := range []string{"kube_secret_", "kube_configmap_"} {
		if strings.Contains(page, no) {
			t.Errorf("%s is shown", no)
		}
	}
	shown := 0
	for line := range strings.Lines(get(t, http.DefaultClient, a.tele+"/metrics").body) {
		if strings.HasPrefix(line, "watchpost_kube_up{") {
			shown++
			if strings.HasSuffix(line, " 0\n") {
				t.Errorf("not listed: %s", line)
			}
		}
	}
	if shown < 20 {
		t.Errorf("%d resources are shown", shown)
	}

	for name, user := range users {
		for _, namespace := range []string{"", "watchpost", "kube-system"} {
			if _, err := user.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); !errors.IsForbidden(err) {
				t.Errorf("%s lists secrets of %q: %v", name, namespace, err)
			}
			if _, err := user.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{}); !errors.IsForbidden(err) {
				t.Errorf("%s lists config maps of %q: %v", name, namespace, err)
			}
		}
	}
	for _, q := range []struct {
		who, verb, group, resource, sub, path string
		may                                   bool
	}{
		{who: "cadvisor-proxy", verb: "get", resource: "nodes", sub: "metrics", may: true},
		{who: "cadvisor-proxy", verb: "list", resource: "pods", may: true},
		{who: "cadvisor-proxy", verb: "watch", resource: "pods", may: true},
		{who: "cadvisor-proxy", verb: "get", resource: "nodes", sub: "proxy"},
		{who: "cadvisor-proxy", verb: "get", resource: "nodes", sub: "stats"},
		{who: "cadvisor-proxy", verb: "list", resource: "nodes"},
		{who: "cadvisor-proxy", verb: "get", path: "/metrics"},
		{who: "collector", verb: "get", resource: "nodes", sub: "metrics", may: true},
		{who: "collector", verb: "get", path: "/metrics", may: true},
		{who: "collector", verb: "watch", group: "discovery.k8s.io", resource: "endpointslices", may: true},
		{who: "collector", verb: "list", resource: "services", may: true},
		{who: "collector", verb: "get", path: "/logs"},
		{who: "collector", verb: "create", resource: "nodes", sub: "proxy"},
		{who: "collector", verb: "create", resource: "pods", sub: "exec"},
		{who: "collector", verb: "list", group: "networking.k8s.io", resource: "ingresses"},
		{who: "state-agent", verb: "get", resource: "nodes", sub: "metrics"},
		{who: "state-agent", verb: "get", resource: "pods"},
		{who: "state-agent", verb: "delete", resource: "pods"},
	} {
		review := &authorization.SelfSubjectAccessReview{}
		if q.path != "" {
			review.Spec.NonResourceAttributes = &authorization.NonResourceAttributes{Path: q.path, Verb: q.verb}
		} else {
			review.Spec.ResourceAttributes = &authorization.ResourceAttributes{Verb: q.verb, Group: q.group, Resource: q.resource, Subresource: q.sub}
		}
		answer, err := users[q.who].AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		if err != nil || answer.Status.Allowed != q.may {
			t.Errorf("%s: %s %v: %v, want %v", q.who, q.verb, fmt.Sprint(q.group, " ", q.resource, "/", q.sub, q.path), answer.Status.Allowed, q.may)
		}
	}
}

var (
	flagInManifest = regexp.MustCompile(`(?m)(?:^\s*- |value: ["']?)(--[a-z][a-z0-9.-]*)`)
	variableOfFlag = regexp.MustCompile(`\b(?:NODE_AGENT|STATE_AGENT|CADVISOR_PROXY|COLLECTOR)_[A-Z_]+\b`)
)

// What manifests, components and chart set are flags that the programs have, by name or by
// variable; and each flag of the base is taken by its own program.
func TestDeployedFlags(t *testing.T) {
	beside(t)
	help, all := make(map[string]string), ""
	for _, name := range []string{"node-agent", "state-agent", "cadvisor-proxy", "collector"} {
		out, err := exec.Command(programPath(t, name), "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		help[name] = strings.ReplaceAll(string(out), "--[no-]", "--")
		all += help[name]
	}
	has := func(help, flag string) bool {
		return regexp.MustCompile(regexp.QuoteMeta(flag) + `\b[^.-]`).MatchString(help)
	}
	found := 0
	err := filepath.WalkDir("../../deploy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" || strings.Contains(path, "monitoring") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range flagInManifest.FindAllSubmatch(text, -1) {
			found++
			if !has(all, string(m[1])) {
				t.Errorf("%s: no program has %s", path, m[1])
			}
		}
		for _, v := range variableOfFlag.FindAll(text, -1) {
			found++
			if !strings.Contains(all, "($"+string(v)+")") {
				t.Errorf("%s: no program has a flag with the variable %s", path, v)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 40 {
		t.Errorf("only %d flags found", found)
	}
	text, err := os.ReadFile("../../deploy/watchpost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := testkube.ReadObjects(fstest.MapFS{"watchpost.yaml": {Data: text}})
	if err != nil {
		t.Fatal(err)
	}
	programs := 0
	for _, o := range objects {
		var workload apps.DaemonSet // the pods of all kinds are at the same place
		if !slices.Contains([]string{"DaemonSet", "Deployment", "StatefulSet"}, o.GetKind()) {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &workload); err != nil {
			t.Fatal(err)
		}
		programs++
		for _, arg := range workload.Spec.Template.Spec.Containers[0].Args {
			if flag, _, _ := strings.Cut(arg, "="); !has(help[o.GetName()], flag) {
				t.Errorf("%s has no %s", o.GetName(), flag)
			}
		}
	}
	if programs != 4 {
		t.Errorf("%d programs", programs)
	}
}
