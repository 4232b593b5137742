//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"watchpost/internal/testkube"
)

// privilegesFile has a table for each program: what is granted, and what is lost without it.
const privilegesFile = "../../docs/privileges.md"

// grants are what a program may, in the words of the table, each with what takes it away from the manifests.
type grants map[string]func(*testkube.Object)

// rightOf names a rule's resource or path as kubectl does.
func rightOf(verbs []string, group, resource string) string {
	if group != "" {
		resource += "." + group
	}
	return strings.Join(verbs, ", ") + " " + resource
}

// convert makes a typed object of one of a file.
func convert[T any](s *suite, o testkube.Object) T {
	s.t.Helper()
	var out T
	if err := k8sruntime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &out); err != nil {
		s.t.Fatalf("%s: %v", o, err)
	}
	return out
}

// replace puts a typed object in the place of one of a file.
func replace(o *testkube.Object, by any) {
	m, err := k8sruntime.DefaultUnstructuredConverter.ToUnstructured(by)
	if err != nil {
		panic(err) // it came from there
	}
	delete(m, "status")
	unstructured.RemoveNestedField(m, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(m, "spec", "template", "metadata", "creationTimestamp")
	kept := o.Unstructured
	o.Unstructured = &unstructured.Unstructured{Object: m}
	o.SetAPIVersion(kept.GetAPIVersion())
	o.SetKind(kept.GetKind())
}

// programOf is the program that an object is of.
func programOf(o testkube.Object) string { return o.GetLabels()["app.kubernetes.io/name"] }

// granted are the grants of each program, as the manifests have them.
func (s *suite) granted() map[string]grants {
	all := map[string]grants{}
	add := func(o testkube.Object, what string, remove func(*testkube.Object)) {
		of := programOf(o)
		if all[of] == nil {
			all[of] = grants{}
		}
		all[of][what] = func(other *testkube.Object) {
			if other.GetKind() == o.GetKind() && other.GetName() == o.GetName() {
				remove(other)
			}
		}
	}
	for _, o := range s.manifests {
		switch o.GetKind() {
		case "ClusterRole":
			for i, rule := range convert[rbacv1.ClusterRole](s, o).Rules {
				for j, resource := range rule.Resources {
					add(o, rightOf(rule.Verbs, rule.APIGroups[0], resource), func(other *testkube.Object) {
						role := convert[rbacv1.ClusterRole](s, *other)
						role.Rules[i].Resources = slices.Delete(slices.Clone(role.Rules[i].Resources), j, j+1)
						if len(role.Rules[i].Resources) == 0 {
							role.Rules = slices.Delete(role.Rules, i, i+1)
						}
						replace(other, &role)
					})
				}
				for j, url := range rule.NonResourceURLs {
					add(o, rightOf(rule.Verbs, "", url), func(other *testkube.Object) {
						role := convert[rbacv1.ClusterRole](s, *other)
						role.Rules[i].NonResourceURLs = slices.Delete(slices.Clone(role.Rules[i].NonResourceURLs), j, j+1)
						if len(role.Rules[i].NonResourceURLs) == 0 {
							role.Rules = slices.Delete(role.Rules, i, i+1)
						}
						replace(other, &role)
					})
				}
			}
		case "DaemonSet", "Deployment", "StatefulSet":
			s.grantedToPods(o, add)
		}
	}
	return all
}

// withPods calls change with the pod that a workload makes.
func (s *suite) withPods(o *testkube.Object, change func(*corev1.PodSpec)) {
	s.t.Helper()
	switch o.GetKind() {
	case "DaemonSet":
		w := convert[appsv1.DaemonSet](s, *o)
		change(&w.Spec.Template.Spec)
		replace(o, &w)
	case "Deployment":
		w := convert[appsv1.Deployment](s, *o)
		change(&w.Spec.Template.Spec)
		replace(o, &w)
	case "StatefulSet":
		w := convert[appsv1.StatefulSet](s, *o)
		change(&w.Spec.Template.Spec)
		replace(o, &w)
	}
}

// grantedToPods adds what the pods of a workload have beyond their own processes.
func (s *suite) grantedToPods(o testkube.Object, add func(testkube.Object, string, func(*testkube.Object))) {
	var pod corev1.PodSpec
	workload := o
	workload.Unstructured = o.DeepCopy()
	s.withPods(&workload, func(spec *corev1.PodSpec) { pod = *spec.DeepCopy() })
	without := func(what string, change func(*corev1.PodSpec)) {
		add(o, what, func(other *testkube.Object) { s.withPods(other, change) })
	}
	if pod.HostNetwork {
		without("network of the host", func(p *corev1.PodSpec) { p.HostNetwork = false })
	}
	if pod.HostPID {
		without("processes of the host", func(p *corev1.PodSpec) { p.HostPID = false })
	}
	if pod.HostIPC {
		without("IPC of the host", func(p *corev1.PodSpec) { p.HostIPC = false })
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		without("token of the service account", func(p *corev1.PodSpec) { p.AutomountServiceAccountToken = new(false) })
	}
	if pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot {
		without("root", func(*corev1.PodSpec) {})
	}
	for i, c := range pod.Containers {
		sc := c.SecurityContext
		if sc == nil || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem {
			without("writing to its root file system", func(*corev1.PodSpec) {})
		}
		if sc == nil || sc.Capabilities == nil || !slices.Contains(sc.Capabilities.Drop, "ALL") {
			without("capabilities of the runtime", func(*corev1.PodSpec) {})
		}
		if sc != nil && sc.Capabilities != nil {
			for _, capability := range sc.Capabilities.Add {
				without("capability "+string(capability), func(*corev1.PodSpec) {})
			}
		}
		if sc != nil && sc.Privileged != nil && *sc.Privileged {
			without("privileged", func(*corev1.PodSpec) {})
		}
		for _, port := range c.Ports {
			if port.HostPort != 0 && !pod.HostNetwork { // with the host's network it only says so
				without(fmt.Sprintf("port %d of the host", port.HostPort), func(*corev1.PodSpec) {})
			}
		}
		for j, mount := range c.VolumeMounts {
			from := mount.Name
			for _, v := range pod.Volumes {
				if v.Name == mount.Name && v.HostPath != nil {
					from = v.HostPath.Path + " of the host"
				}
			}
			how := ""
			if mount.ReadOnly {
				how = ", read-only"
			}
			without(fmt.Sprintf("volume %s at %s%s", from, mount.MountPath, how), func(p *corev1.PodSpec) {
				p.Containers[i].VolumeMounts = slices.Delete(slices.Clone(p.Containers[i].VolumeMounts), j, j+1)
			})
		}
	}
}

// privilege is a line of the table.
type privilege struct {
	granted string
	lost    []string // patterns
}

// privileges are the tables of the document, by program.
func (s *suite) privileges() map[string][]privilege {
	s.t.Helper()
	text, err := os.ReadFile(privilegesFile)
	if err != nil {
		s.t.Fatal(err)
	}
	tables := map[string][]privilege{}
	program := ""
	code := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, found := strings.CutPrefix(line, "## "); found {
			program = name
			continue
		}
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 2 || strings.HasPrefix(line, "| granted") {
			continue
		}
		p := privilege{granted: strings.TrimPrefix(cells[0], "| ")}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			p.lost = append(p.lost, m[1])
		}
		tables[program] = append(tables[program], p)
	}
	return tables
}

// testPrivileges holds the table of the document to what is granted, and that to what the API server grants.
func (s *suite) testPrivileges() {
	granted, table := s.granted(), s.privileges()
	for program, of := range granted {
		for what := range of {
			if !slices.ContainsFunc(table[program], func(p privilege) bool { return p.granted == what }) {
				s.t.Errorf("%s: %q is granted to %s, and has no line", privilegesFile, what, program)
			}
		}
	}
	for program, lines := range table {
		for _, p := range lines {
			if granted[program][p.granted] == nil {
				s.t.Errorf("%s: %q is not granted to %s", privilegesFile, p.granted, program)
			}
			if len(p.lost) == 0 {
				s.t.Errorf("%s: nothing is lost without %q of %s", privilegesFile, p.granted, program)
			}
		}
	}
	everybody := s.rights("default", "default")
	for program, namespace := range map[string]string{"node-agent": "watchpost-node", "cadvisor-proxy": "watchpost", "state-agent": "watchpost", "collector": "watchpost"} {
		var want []string
		for what := range granted[program] {
			if verb, resource, _ := strings.Cut(what, " "); slices.Contains([]string{"get", "list", "list,"}, verb) && resource != "" {
				want = append(want, what)
			}
		}
		got := slices.DeleteFunc(s.rights(namespace, program), func(right string) bool { return slices.Contains(everybody, right) })
		slices.Sort(want)
		if !slices.Equal(got, want) {
			s.t.Errorf("the API server lets %s\n%q, granted is\n%q", program, got, want)
		}
	}
	s.podSecurity()
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

// rights are all that a service account may, as kubectl auth can-i --list has them.
func (s *suite) rights(namespace, account string) []string {
	s.t.Helper()
	review, err := s.as(namespace, account).AuthorizationV1().SelfSubjectRulesReviews().Create(s.t.Context(),
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	if review.Status.Incomplete {
		s.t.Errorf("the rights of %s are incomplete: %s", account, review.Status.EvaluationError)
	}
	var rights []string
	for _, rule := range review.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				right := rightOf(rule.Verbs, group, resource)
				if len(rule.ResourceNames) > 0 {
					right += " " + strings.Join(rule.ResourceNames, ", ")
				}
				rights = append(rights, right)
			}
		}
	}
	for _, rule := range review.Status.NonResourceRules {
		for _, url := range rule.NonResourceURLs {
			rights = append(rights, rightOf(rule.Verbs, "", url))
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
	if found, text := s.events(); len(found) > 0 {
		s.t.Errorf("the suite has asked for secrets or config maps:\n%.2000s", text)
	}
	objects, err := testkube.ReadObjects(os.DirFS("../../deploy/components/secrets"))
	if err != nil {
		s.t.Fatal(err)
	}
	objects = slices.DeleteFunc(objects, func(o testkube.Object) bool { return o.GetAPIVersion() == "kustomize.config.k8s.io/v1alpha1" })
	for _, o := range s.manifests {
		if o.GetKind() == "Deployment" && programOf(o) == "state-agent" {
			o.Unstructured = o.DeepCopy()
			s.withPods(&o, func(p *corev1.PodSpec) {
				p.Containers[0].Env = slices.DeleteFunc(p.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "STATE_AGENT_RESOURCES" })
				// With a limit it lists: what a list is answered with is written down, unlike the events of a watch. Both ask alike.
				p.Containers[0].Env = append(p.Containers[0].Env, corev1.EnvVar{Name: "STATE_AGENT_OBJECT_LIMIT", Value: "100000"})
			})
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

// things are what a program tells, in words to compare by: of node-agent and cadvisor-proxy their families, with the
// device; of state-agent the families of the kinds that it could list; of the collector the jobs whose targets are up.
func (s *suite) things(ctx context.Context, program string) (map[string]bool, error) {
	things := map[string]bool{}
	if program == "collector" {
		pod, err := s.pod(ctx, "watchpost", "collector")
		if err != nil {
			return nil, err
		}
		running := pod.Status.ContainerStatuses[0].State.Running
		if running == nil {
			return nil, fmt.Errorf("%+v", pod.Status.ContainerStatuses[0].State)
		}
		c := collector{t: s.t, web: pod.Status.PodIP + ":9090"}
		up, err := c.query(fmt.Sprintf("up == 1 and timestamp(up) > %d", running.StartedAt.Unix())) // what was up before it knows, too
		if err != nil {
			return nil, err
		}
		for _, one := range up {
			things["job "+one.Metric["job"]] = true
		}
		if old, err := c.query("time() - min_over_time(timestamp(up{job=\"collector\"})[1h:5s]) > 60"); err == nil && len(old) > 0 {
			things["samples from before the restart"] = true
		}
		var rules struct {
			Data struct{ Groups []struct{ Name string } }
		}
		if err := ask(ctx, "http://"+c.web+"/api/v1/rules", &rules); err != nil {
			return nil, err
		}
		for _, g := range rules.Data.Groups {
			things["rules "+g.Name] = true
		}
		return things, nil
	}
	pod, err := s.pod(ctx, agents[program], program)
	if err != nil {
		return nil, err
	}
	address := map[string]string{"node-agent": s.Node().String() + ":9100", "cadvisor-proxy": pod.Status.PodIP + ":9101", "state-agent": pod.Status.PodIP + ":8081"}[program]
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		return nil, err
	}
	listed := regexp.MustCompile(`^kube_state_metrics_list_total\{result="success",resource="\*v\d\w*\.(\w+)"\}`)
	device := regexp.MustCompile(`[{,]device="([^"]*)"`)
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if program == "state-agent" {
			if m := listed.FindStringSubmatch(line); m != nil {
				things["kube_"+strings.ToLower(m[1])+"_"] = true
			}
			continue
		}
		family := line[:strings.IndexAny(line, "{ ")]
		if m := device.FindStringSubmatch(line); m != nil {
			family += " of " + m[1]
		}
		things[family] = true
		if strings.Contains(line, `pod_ip="1`) {
			things["label pod_ip"] = true
		}
	}
	return things, nil
}

// Each grant is taken away alone, and what is lost is what the table says.
func (s *suite) testRemoved() {
	if os.Getenv("WATCHPOST_CLUSTER") != "long" {
		s.t.Skip("takes half an hour: WATCHPOST_CLUSTER=long")
	}
	granted, table := s.granted(), s.privileges()
	only, err := regexp.Compile(os.Getenv("WATCHPOST_PRIVILEGE")) // of a program and what is granted to it
	if err != nil {
		s.t.Fatal(err)
	}
	for _, program := range slices.Sorted(maps.Keys(table)) {
		lines := slices.DeleteFunc(table[program], func(p privilege) bool {
			return !only.MatchString(program+" "+p.granted) || granted[program][p.granted] == nil // of which testPrivileges has told
		})
		if len(lines) == 0 {
			continue
		}
		s.restart(program, s.manifests)
		whole, err := s.steady(program, nil)
		if err != nil || len(whole) == 0 {
			s.t.Fatalf("%s tells %v: %v", program, whole, err)
		}
		for _, line := range lines {
			remove := granted[program][line.granted]
			var objects []testkube.Object
			for _, o := range s.manifests {
				o.Unstructured = o.DeepCopy()
				remove(&o)
				objects = append(objects, o)
			}
			s.restart(program, objects)
			now, err := s.steady(program, whole)
			var lost []string
			for thing := range whole {
				if !now[thing] {
					lost = append(lost, thing)
				}
			}
			slices.Sort(lost)
			s.t.Logf("%s without %q: lost %.400q; %v", program, line.granted, lost, err)
			for _, pattern := range line.lost {
				if !slices.ContainsFunc(lost, func(thing string) bool { return matches(pattern, thing) }) {
					s.t.Errorf("%s without %q still has %s", program, line.granted, pattern)
				}
			}
			more := slices.DeleteFunc(lost, func(thing string) bool {
				return slices.ContainsFunc(line.lost, func(pattern string) bool { return matches(pattern, thing) })
			})
			if len(more) > 0 {
				s.t.Errorf("%s without %q has lost %.1000q, too, of which %s says nothing", program, line.granted, more, privilegesFile)
			}
		}
		s.restart(program, s.manifests)
	}
}

// matches tells whether a thing is what a pattern of the document means, in which * is anything.
func matches(pattern, thing string) bool {
	before, after, any := strings.Cut(pattern, "*")
	if !any {
		return pattern == thing
	}
	return strings.HasPrefix(thing, before) && strings.HasSuffix(thing, after)
}

// restart applies manifests and starts the pods of a program anew.
func (s *suite) restart(program string, objects []testkube.Object) {
	s.t.Helper()
	s.apply(objects...)
	namespace := cmp.Or(agents[program], "watchpost")
	err := s.Client().CoreV1().Pods(namespace).DeleteCollection(s.t.Context(), metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))},
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + program})
	if err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the pods of "+program+" are gone", func(ctx context.Context) error {
		list, err := s.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + program})
		if err == nil && slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }) {
			err = errors.New("one is still there")
		}
		return err
	})
}

// steady are the things that a program tells once it has run for a while: all of want, or what has stayed the same over
// some scrapes; none where it answers nothing.
func (s *suite) steady(program string, want map[string]bool) (things map[string]bool, err error) {
	const same = 10 // seconds
	for end, since := time.Now().Add(45*time.Second), time.Now(); time.Now().Before(end); time.Sleep(time.Second) {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		var now map[string]bool
		now, err = s.things(ctx, program)
		cancel()
		if !maps.Equal(now, things) {
			things, since = now, time.Now()
		}
		if want != nil && maps.Equal(things, want) || len(things) > 0 && time.Since(since) > same*time.Second {
			break
		}
	}
	return things, err
}
