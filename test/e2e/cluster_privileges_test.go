//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"watchpost/deploy/grants"
	"watchpost/internal/testkube"
)

// privilegesFile has a table for each program: what is granted, and what is lost without it.
const privilegesFile = "../../docs/privileges.md"

// tables are those of the document, by program and component.
func (s *suite) tables() map[string][]grants.Line {
	s.t.Helper()
	text, err := os.ReadFile(privilegesFile)
	if err != nil {
		s.t.Fatal(err)
	}
	tables, err := grants.Tables(string(text))
	if err != nil {
		s.t.Fatalf("%s: %v", privilegesFile, err)
	}
	return tables
}

// granted are the grants that manifests have.
func (s *suite) granted(manifests []*unstructured.Unstructured) []grants.Grant {
	s.t.Helper()
	all, err := grants.Of(manifests)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// plain are objects without the files that they are from.
func plain(objects []testkube.Object) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		out = append(out, o.Unstructured)
	}
	return out
}

// namespaces are those that the pods of the suite's programs are in.
var namespaces = map[string]string{"node-agent": "watchpost-node", "cadvisor-proxy": "watchpost", "state-agent": "watchpost", "collector": "watchpost"}

// testPrivileges holds the table of the document to what is granted, and that to what the API server grants, in each
// namespace.
func (s *suite) testPrivileges() {
	granted, tables := make(map[string][]string), s.tables()
	for _, g := range s.granted(plain(s.manifests)) {
		granted[g.Program] = append(granted[g.Program], g.What)
	}
	everywhere, err := s.Client().CoreV1().Namespaces().List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for program, home := range namespaces {
		for _, err := range grants.Differ(program, tables[program], granted[program]) {
			s.t.Errorf("%s: %v", privilegesFile, err)
		}
		want := slices.DeleteFunc(granted[program], func(what string) bool {
			verb, _, _ := strings.Cut(what, " ")
			return !slices.Contains([]string{"get", "list", "watch"}, verb)
		})
		slices.Sort(want)
		for _, namespace := range everywhere.Items {
			everybody := s.rights("default", "default", namespace.Name)
			got := slices.DeleteFunc(s.rights(home, program, namespace.Name), func(right string) bool { return slices.Contains(everybody, right) })
			if !slices.Equal(got, want) {
				s.t.Errorf("in %s the API server lets %s\n%q, granted is\n%q", namespace.Name, program, got, want)
			}
		}
	}
	s.podSecurity()
}

// firstContainer is that of a workload's pods.
func firstContainer(o *unstructured.Unstructured) map[string]any {
	pod := o.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	return pod["containers"].([]any)[0].(map[string]any)
}

// as is a client of a service account.
func (s *suite) as(namespace, account string) clientset.Interface {
	s.t.Helper()
	config := s.API.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}}
	client, err := clientset.NewForConfig(config)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// rights are all that a service account may in a namespace, as kubectl auth can-i --list has them.
func (s *suite) rights(home, account, namespace string) []string {
	s.t.Helper()
	review, err := s.as(home, account).AuthorizationV1().SelfSubjectRulesReviews().Create(s.t.Context(),
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	if review.Status.Incomplete {
		s.t.Errorf("the rights of %s are incomplete: %s", account, review.Status.EvaluationError)
	}
	var rights []string
	for _, rule := range review.Status.ResourceRules {
		for _, verb := range rule.Verbs {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					rights = append(rights, grants.Right(verb, group, resource, rule.ResourceNames...))
				}
			}
		}
	}
	for _, rule := range review.Status.NonResourceRules {
		for _, verb := range rule.Verbs {
			for _, url := range rule.NonResourceURLs {
				rights = append(rights, grants.Right(verb, "", url))
			}
		}
	}
	slices.Sort(rights)
	return slices.Compact(rights)
}

// podSecurity holds that the namespaces say the strictest level that their pods are let through.
func (s *suite) podSecurity() {
	levels := map[string]string{"watchpost": "restricted", "watchpost-node": "privileged"}
	for name, want := range levels {
		namespace, err := s.Client().CoreV1().Namespaces().Get(s.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; got != want {
			s.t.Errorf("the level of pod security of %s is %q, want %q", name, got, want)
		}
	}
	// What the host's network and files need is refused where the others are.
	agent, err := s.pod(s.t.Context(), "watchpost-node", "node-agent")
	if err != nil {
		s.t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: "watchpost"}, Spec: agent.Spec}
	pod.Spec.NodeName, pod.Spec.ServiceAccountName = "", "default"
	_, err = s.Client().CoreV1().Pods("watchpost").Create(s.t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "PodSecurity") {
		s.t.Errorf("a pod like node-agent's in watchpost: %v, want it refused by PodSecurity", err)
	}
}

// event is what the API server writes down of a request.
type event struct {
	Verb           string
	User           struct{ Username string }
	ObjectRef      struct{ Resource, Namespace, Name string }
	ResponseStatus struct{ Code int }
	ResponseObject map[string]any
}

// events are those of the suite about secrets and config maps.
func (s *suite) events() (found []event, text []byte) {
	s.t.Helper()
	b, err := os.ReadFile(s.audit)
	if err != nil {
		s.t.Fatal(err)
	}
	all := 0
	for line := range bytes.Lines(b) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			continue // it is being written
		}
		all++
		if e.ObjectRef.Resource == "secrets" || e.ObjectRef.Resource == "configmaps" {
			found, text = append(found, e), append(text, line...)
		}
	}
	if all == 0 {
		s.t.Fatalf("%s has no event: nothing is shown by that there is none of secrets", s.audit)
	}
	return found, text
}

// confidential is what the secret and the config map of the samples hold.
const confidential = "quokka-lantern-7319"

// As it is installed the suite asks for no secret and no config map. With components/secrets it shows that they are
// there, and still none of their contents leaves the API server for it.
func (s *suite) testSecrets() {
	s.noTokens()
	if found, text := s.events(); len(found) > 0 {
		s.t.Errorf("the suite has asked for secrets or config maps:\n%.2000s", text)
	}
	objects, err := testkube.ReadObjects(os.DirFS("../../deploy/components/secrets"))
	if err != nil {
		s.t.Fatal(err)
	}
	objects = slices.DeleteFunc(objects, func(o testkube.Object) bool { return o.GetAPIVersion() == "kustomize.config.k8s.io/v1alpha1" })
	for _, o := range s.manifests {
		if o.GetKind() == "Deployment" && grants.ProgramOf(o.Unstructured) == "state-agent" {
			o.Unstructured = o.DeepCopy()
			c := firstContainer(o.Unstructured)
			env := slices.DeleteFunc(c["env"].([]any), func(e any) bool { return e.(map[string]any)["name"] == "STATE_AGENT_RESOURCES" })
			// With a limit it lists: what a list is answered with is written down, unlike the events of a watch. Both ask alike.
			c["env"] = append(env, map[string]any{"name": "STATE_AGENT_OBJECT_LIMIT", "value": "100000"})
			objects = append(objects, o)
		}
	}
	s.apply(objects...)
	for _, expr := range []string{"kube_secret_type{secret=%q, type=\"Opaque\"}", "kube_configmap_info{configmap=%q}"} {
		s.eventually("secrets and config maps are shown", func(context.Context) error {
			_, err := s.query(expr, "confidential")
			return err
		})
	}
	s.eventually("state-agent is the new one", s.rolledOut)
	found, text := s.events()
	lists := 0
	for _, e := range found {
		if e.User.Username != "system:serviceaccount:watchpost:state-agent" || e.Verb != "list" && e.Verb != "watch" || e.ObjectRef.Name != "" {
			s.t.Errorf("%s: %s of %s %s", e.User.Username, e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name)
		}
		kind, _ := e.ResponseObject["kind"].(string)
		if e.ResponseObject != nil && e.ResponseStatus.Code == http.StatusOK && kind != "Table" && kind != "PartialObjectMetadataList" {
			s.t.Errorf("%s of %s was answered with %s", e.Verb, e.ObjectRef.Resource, kind)
		}
		if e.Verb == "list" {
			lists++
		}
		s.t.Logf("%s of %s: %d %s", e.Verb, e.ObjectRef.Resource, e.ResponseStatus.Code, kind)
	}
	if lists == 0 {
		s.t.Error("no list was written down: nothing is shown by what watches were answered with")
	}
	coded := base64.StdEncoding.EncodeToString([]byte(confidential))
	for _, secret := range []string{confidential, coded} {
		if bytes.Contains(text, []byte(secret)) {
			s.t.Errorf("the API server has answered with the content of a secret or a config map")
		}
	}
	// What a watch has told cannot be read there. Nor was it told: a process that had seen it would have it somewhere.
	pod, err := s.pod(s.t.Context(), "watchpost", "state-agent")
	if err != nil {
		s.t.Fatal(err)
	}
	pids, err := s.Processes(pod.Status.ContainerStatuses[0].ContainerID)
	if err != nil {
		s.t.Fatal(err)
	}
	s.changeConfidential()
	for _, pid := range pids {
		if held, err := holds(pid, "confidential", confidential, coded); err != nil {
			s.t.Error(err)
		} else if !held[0] || held[1] || held[2] {
			s.t.Errorf("the memory of state-agent holds the name, the content, and that in base64: %v; want the name alone", held)
		}
	}
}

// pages that a program shows, by its port, where its token could stand.
var pages = map[string][]string{
	"cadvisor-proxy": {":9101/", ":9101/metrics"},
	"state-agent":    {":8080/metrics", ":8081/", ":8081/metrics", ":8081/readyz"},
	"collector":      {":9090/metrics", ":9090/api/v1/status/config", ":9090/api/v1/status/flags", ":9090/api/v1/targets", ":9090/api/v1/scrape_pools"},
}

// noTokens holds that no program says its token, and that node-agent has none.
func (s *suite) noTokens() {
	s.t.Helper()
	for program, namespace := range namespaces {
		pod, err := s.pod(s.t.Context(), namespace, program)
		if err != nil {
			s.t.Fatal(err)
		}
		pids, err := s.Processes(pod.Status.ContainerStatuses[0].ContainerID)
		if err != nil {
			s.t.Fatal(err)
		}
		token, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/var/run/secrets/kubernetes.io/serviceaccount/token", pids[0]))
		if program == "node-agent" {
			if !os.IsNotExist(err) {
				s.t.Errorf("node-agent has a token: %v", err)
			}
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		signature := token[bytes.LastIndexByte(token, '.')+1:]
		if len(signature) < 100 {
			s.t.Fatalf("the token of %s is none: %d bytes", program, len(token))
		}
		said := map[string][]byte{}
		if said["its log"], err = s.Client().CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		for _, page := range pages[program] {
			if said[page], err = textOf(s.t.Context(), "http://"+pod.Status.PodIP+page); err != nil {
				s.t.Fatal(err)
			}
		}
		for where, text := range said {
			if bytes.Contains(text, signature) || len(text) == 0 {
				s.t.Errorf("%s: %s, %d bytes, is empty or has the token", program, where, len(text))
			}
		}
	}
}

// changeConfidential makes the watches tell of the secret and the config map.
func (s *suite) changeConfidential() {
	s.t.Helper()
	began := time.Now()
	for _, of := range []string{"secrets", "configmaps"} {
		patch := []byte(`{"metadata": {"labels": {"seen": "again"}}}`)
		err := s.Client().CoreV1().RESTClient().Patch("application/merge-patch+json").Namespace("shop").Resource(of).Name("confidential").Body(patch).Do(s.t.Context()).Error()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, kind := range []string{"secret", "configmap"} {
		s.eventually("a change is told", func(context.Context) error {
			_, err := s.query("kube_%s_metadata_resource_version{%[1]s=\"confidential\"} and timestamp(kube_%[1]s_metadata_resource_version) > %d", kind, began.Unix())
			return err
		})
	}
}

// holds tells of each text whether it is in the memory of a process.
func holds(pid int, texts ...string) ([]bool, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	found := make([]bool, len(texts))
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if !strings.HasPrefix(mode, "rw") {
			continue
		}
		b := make([]byte, to-from)
		n, err := memory.ReadAt(b, int64(from))
		if n == 0 && err != nil {
			continue // reserved, not there
		}
		for i, text := range texts {
			found[i] = found[i] || bytes.Contains(b[:n], []byte(text))
		}
	}
	return found, nil
}
