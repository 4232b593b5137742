// Package grants reads from the manifests of a way to install the suite what it lets each
// program do, in the words of the tables of docs/privileges.md, and takes one of these
// grants away. What a manifest says and this package does not know is an error, so that
// nothing is granted that no line is about.
package grants

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Grant is something that the manifests give a program.
type Grant struct {
	Program string // label app.kubernetes.io/name
	What    string // as the table has it: "list pods", "network of the host"

	// of is the object that gives it, by identity, and take takes it away from a copy of that.
	of   string
	take func(*unstructured.Unstructured)
}

// Without are the manifests without a grant; those that it does not change are shared.
func (g Grant) Without(manifests []*unstructured.Unstructured) []*unstructured.Unstructured {
	out := slices.Clone(manifests)
	for i, o := range out {
		if identity(o) == g.of {
			out[i] = o.DeepCopy()
			g.take(out[i])
		}
	}
	return out
}

// ProgramOf is the program that an object is of, "" where it is of none.
func ProgramOf(o *unstructured.Unstructured) string { return o.GetLabels()["app.kubernetes.io/name"] }

func identity(o *unstructured.Unstructured) string {
	return o.GetKind() + " " + strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
}

// plain are kinds that give the suite no right: what a program is told, and who may reach it.
var plain = []string{"ConfigMap", "Ingress", "NetworkPolicy", "PodMonitor", "PriorityClass", "Service", "ServiceAccount", "ServiceMonitor"}

// Of are the grants of all programs, in the order of the manifests.
func Of(manifests []*unstructured.Unstructured) (all []Grant, err error) {
	for _, o := range manifests {
		var found []Grant
		switch kind := o.GetKind(); kind {
		case "ClusterRole", "Role":
			found, err = ofRole(o)
		case "ClusterRoleBinding", "RoleBinding":
			err = checkBinding(o, manifests)
		case "DaemonSet", "Deployment", "StatefulSet":
			found, err = ofPods(o, namespaceOf(o, manifests))
		case "Namespace":
			// Its level of pod security is a grant to the pods in it.
		default:
			if !slices.Contains(plain, kind) {
				err = fmt.Errorf("what this kind grants is not known")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", identity(o), err)
		}
		for _, g := range found {
			if slices.ContainsFunc(all, func(other Grant) bool { return other.Program == g.Program && other.What == g.What }) {
				return nil, fmt.Errorf("%s: %s is granted to %s twice", identity(o), g.What, g.Program)
			}
			all = append(all, g)
		}
	}
	return all, nil
}

// only is the error that names fields of a map which are none of these.
func only(where string, m map[string]any, fields ...string) error {
	for name := range m {
		if !slices.Contains(fields, name) {
			return fmt.Errorf("what %s of %s grants is not known", name, where)
		}
	}
	return nil
}

// maps are those of a list of them.
func maps(m map[string]any, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(m, path...)
	var out []map[string]any
	for _, one := range list {
		of, _ := one.(map[string]any)
		out = append(out, of)
	}
	return out
}

func texts(m map[string]any, name string) []string {
	list, _, _ := unstructured.NestedStringSlice(m, name)
	return list
}

// number is one of a map, which YAML and JSON read as different types.
func number(m map[string]any, name string) (int64, bool) {
	switch n := m[name].(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}

// Right names a right as the table does: "list pods", "watch statefulsets.apps, of them
// collector".
func Right(verb, group, resource string, names ...string) string {
	if group != "" {
		resource += "." + group
	}
	if len(names) > 0 {
		resource += ", of them " + strings.Join(names, ", ")
	}
	return verb + " " + resource
}

// ofRole are the rights of a role, one for each verb of each resource of each group.
func ofRole(o *unstructured.Unstructured) (all []Grant, err error) {
	if err := only("it", o.Object, "apiVersion", "kind", "metadata", "rules"); err != nil {
		return nil, err
	}
	where := ""
	if o.GetKind() == "Role" {
		where = " in its namespace"
	}
	for i, rule := range maps(o.Object, "rules") {
		if err := only("a rule", rule, "apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs"); err != nil {
			return nil, err
		}
		groups := texts(rule, "apiGroups")
		if len(groups) > 1 {
			return nil, fmt.Errorf("a rule is for the groups %q: write one for each", groups)
		}
		for _, field := range []string{"resources", "nonResourceURLs"} {
			for _, one := range texts(rule, field) {
				for _, verb := range texts(rule, "verbs") {
					group := ""
					if field == "resources" {
						group = groups[0]
					}
					all = append(all, Grant{Program: ProgramOf(o), What: Right(verb, group, one, texts(rule, "resourceNames")...) + where, of: identity(o),
						take: func(o *unstructured.Unstructured) { takeRight(o, i, field, one, verb) }})
				}
			}
		}
	}
	return all, nil
}

// takeRight divides a rule into what it says of other resources and, for this one, what it
// says with other verbs.
func takeRight(o *unstructured.Unstructured, i int, field, one, verb string) {
	rules, _, _ := unstructured.NestedSlice(o.Object, "rules")
	divided := &unstructured.Unstructured{Object: rules[i].(map[string]any)}
	alone := divided.DeepCopy()
	set := func(of *unstructured.Unstructured, field string, keep func(string) bool) {
		var kept []any
		for _, text := range texts(of.Object, field) {
			if keep(text) {
				kept = append(kept, text)
			}
		}
		of.Object[field] = kept
	}
	set(divided, field, func(text string) bool { return text != one })
	set(alone, field, func(text string) bool { return text == one })
	set(alone, "verbs", func(text string) bool { return text != verb })
	rules = slices.Delete(rules, i, i+1)
	if len(texts(divided.Object, field)) > 0 {
		rules = append(rules, divided.Object)
	}
	if len(texts(alone.Object, "verbs")) > 0 {
		rules = append(rules, alone.Object)
	}
	o.Object["rules"] = rules
}

// checkBinding is the error for a role of others, or for a role that others get.
func checkBinding(o *unstructured.Unstructured, manifests []*unstructured.Unstructured) error {
	ref, _, _ := unstructured.NestedStringMap(o.Object, "roleRef")
	ours := func(kind, namespace, name string) bool {
		return slices.ContainsFunc(manifests, func(other *unstructured.Unstructured) bool {
			return other.GetKind() == kind && other.GetName() == name && ProgramOf(other) == ProgramOf(o) && (other.GetNamespace() == "" || other.GetNamespace() == namespace)
		})
	}
	if !ours(ref["kind"], o.GetNamespace(), ref["name"]) {
		return fmt.Errorf("%s %s is not a role of %s in these manifests", ref["kind"], ref["name"], ProgramOf(o))
	}
	for _, subject := range maps(o.Object, "subjects") {
		namespace, _ := subject["namespace"].(string)
		name, _ := subject["name"].(string)
		if subject["kind"] != "ServiceAccount" || !ours("ServiceAccount", namespace, name) {
			return fmt.Errorf("%v is not the service account of %s", subject, ProgramOf(o))
		}
	}
	return nil
}

// namespaceOf is the namespace that a workload is in, nil where the manifests do not have it.
func namespaceOf(o *unstructured.Unstructured, manifests []*unstructured.Unstructured) *unstructured.Unstructured {
	for _, n := range manifests {
		if n.GetKind() == "Namespace" && n.GetName() == o.GetNamespace() {
			return n
		}
	}
	return nil
}

// Labels of a namespace that say which pods are let in. The strictest level is restricted.
const (
	enforce  = "pod-security.kubernetes.io/enforce"
	strictly = "restricted"
)

// User of all programs where they are not root.
const nobody = int64(65534)

// Fields of a pod and of a container that give it nothing.
var (
	podFields = []string{"containers", "enableServiceLinks", "imagePullSecrets", "nodeSelector", "serviceAccountName",
		"terminationGracePeriodSeconds", "volumes"} // a volume is one by its mount
	containerFields = []string{"args", "command", "env", "image", "imagePullPolicy", "livenessProbe", "name", "readinessProbe", "resources"}
)

// pods collects the grants of a workload to its pods.
type pods struct {
	workload *unstructured.Unstructured
	all      []Grant
}

// template is the pod of a workload.
func template(o *unstructured.Unstructured) map[string]any {
	spec, _ := o.Object["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	return pod
}

// add adds a grant that take takes away from the pod.
func (p *pods) add(what string, take func(pod map[string]any)) {
	p.all = append(p.all, Grant{Program: ProgramOf(p.workload), What: what, of: identity(p.workload),
		take: func(o *unstructured.Unstructured) { take(template(o)) }})
}

// below is a map in a map, made where it is not there.
func below(m map[string]any, name string) map[string]any {
	of, ok := m[name].(map[string]any)
	if !ok {
		of = map[string]any{}
		m[name] = of
	}
	return of
}

// container is one of a pod by its number.
func container(pod map[string]any, i int) map[string]any {
	return pod["containers"].([]any)[i].(map[string]any)
}

// without is a list without one of its values.
func without(list any, i int) []any {
	return slices.Delete(slices.Clone(list.([]any)), i, i+1)
}

// ofPods are what the pods of a workload have beyond their own processes.
func ofPods(o, namespace *unstructured.Unstructured) ([]Grant, error) {
	p := &pods{workload: o}
	pod := template(o)
	if namespace != nil && namespace.GetLabels()[enforce] != strictly {
		p.all = append(p.all, Grant{Program: ProgramOf(o), What: "pod security level " + namespace.GetLabels()[enforce], of: identity(namespace),
			take: func(n *unstructured.Unstructured) {
				labels := n.GetLabels()
				labels[enforce] = strictly
				n.SetLabels(labels)
			}})
	}
	if err := only("the pod", pod, append([]string{"hostNetwork", "hostPID", "hostIPC", "automountServiceAccountToken", "tolerations",
		"priorityClassName", "securityContext"}, podFields...)...); err != nil {
		return nil, err
	}
	for _, of := range [][2]string{{"hostNetwork", "network of the host"}, {"hostPID", "processes of the host"}, {"hostIPC", "IPC of the host"}} {
		if pod[of[0]] == true {
			p.add(of[1], func(pod map[string]any) {
				delete(pod, of[0])
				if of[0] != "hostNetwork" {
					return
				}
				for _, c := range pod["containers"].([]any) {
					ports, _ := c.(map[string]any)["ports"].([]any)
					for _, port := range ports {
						delete(port.(map[string]any), "hostPort") // which has only said so, and would be one of the host
					}
				}
			})
		}
	}
	if pod["automountServiceAccountToken"] != false {
		p.add("token of the service account", func(pod map[string]any) { pod["automountServiceAccountToken"] = false })
	}
	for i, t := range maps(pod, "tolerations") {
		taint := "every taint"
		if key, _ := t["key"].(string); key != "" {
			taint = "the taint " + key
		}
		p.add("toleration of "+taint, func(pod map[string]any) { pod["tolerations"] = without(pod["tolerations"], i) })
	}
	if class, _ := pod["priorityClassName"].(string); class != "" {
		p.add("priority class "+class, func(pod map[string]any) { delete(pod, "priorityClassName") })
	}
	context, _ := pod["securityContext"].(map[string]any)
	if err := p.security(context); err != nil {
		return nil, err
	}
	for i, c := range maps(pod, "containers") {
		if err := p.container(i, c, pod); err != nil {
			return nil, err
		}
	}
	return p.all, nil
}

// security adds what the security context of the pod gives.
func (p *pods) security(c map[string]any) error {
	if err := only("the pod's securityContext", c, "runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile", "fsGroup", "fsGroupChangePolicy"); err != nil {
		return err
	}
	user, _ := number(c, "runAsUser")
	if group, _ := number(c, "runAsGroup"); c["runAsNonRoot"] != true || user == 0 || group == 0 {
		p.add("user root", func(pod map[string]any) {
			c := below(pod, "securityContext")
			c["runAsNonRoot"], c["runAsUser"], c["runAsGroup"] = true, nobody, nobody
		})
	}
	if profile, _, _ := unstructured.NestedString(c, "seccompProfile", "type"); profile != "RuntimeDefault" {
		p.add("all system calls", func(pod map[string]any) {
			below(pod, "securityContext")["seccompProfile"] = map[string]any{"type": "RuntimeDefault"}
		})
	}
	if group, found := number(c, "fsGroup"); found {
		p.add("volumes of group "+strconv.FormatInt(group, 10), func(pod map[string]any) {
			delete(below(pod, "securityContext"), "fsGroup")
			delete(below(pod, "securityContext"), "fsGroupChangePolicy")
		})
	}
	return nil
}

// container adds what the i-th container of the pod gets.
func (p *pods) container(i int, c, pod map[string]any) error {
	if err := only("the container", c, append([]string{"ports", "securityContext", "volumeMounts"}, containerFields...)...); err != nil {
		return err
	}
	add := func(what string, take func(c map[string]any)) {
		p.add(what, func(pod map[string]any) { take(container(pod, i)) })
	}
	sc, _ := c["securityContext"].(map[string]any)
	if err := only("the container's securityContext", sc, "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities", "privileged"); err != nil {
		return err
	}
	for _, of := range []struct {
		field  string
		strict bool
		what   string
	}{{"privileged", false, "everything, privileged"}, {"allowPrivilegeEscalation", false, "more rights than its parent"}, {"readOnlyRootFilesystem", true, "writing to its root file system"}} {
		if is, found := sc[of.field].(bool); is != of.strict || !found && of.field != "privileged" {
			add(of.what, func(c map[string]any) { below(c, "securityContext")[of.field] = of.strict })
		}
	}
	capabilities, _ := sc["capabilities"].(map[string]any)
	if !slices.Contains(texts(capabilities, "drop"), "ALL") {
		add("capabilities of the runtime", func(c map[string]any) {
			below(below(c, "securityContext"), "capabilities")["drop"] = []any{"ALL"}
		})
	}
	for j, capability := range texts(capabilities, "add") {
		add("capability "+capability, func(c map[string]any) {
			of := below(below(c, "securityContext"), "capabilities")
			of["add"] = without(of["add"], j)
		})
	}
	for j, port := range maps(c, "ports") {
		if n, found := number(port, "hostPort"); found && pod["hostNetwork"] != true {
			add(fmt.Sprintf("port %d of the host", n), func(c map[string]any) { delete(c["ports"].([]any)[j].(map[string]any), "hostPort") })
		}
	}
	for j, mount := range maps(c, "volumeMounts") {
		if err := only("a mount", mount, "name", "mountPath", "readOnly", "mountPropagation"); err != nil {
			return err
		}
		what, path := volume(pod, mount["name"]), mount["mountPath"].(string)
		how := ""
		if mount["readOnly"] == true {
			how = ", read-only"
		}
		add(fmt.Sprintf("volume %s at %s%s", what, path, how), func(c map[string]any) { c["volumeMounts"] = without(c["volumeMounts"], j) })
		if spread, found := mount["mountPropagation"].(string); found && spread != "None" {
			add(fmt.Sprintf("what is mounted later at %s, %s", path, spread), func(c map[string]any) { delete(c["volumeMounts"].([]any)[j].(map[string]any), "mountPropagation") })
		}
	}
	return nil
}

// volume says what a volume is: its name, or the folder of the host.
func volume(pod map[string]any, name any) string {
	for _, v := range maps(pod, "volumes") {
		if v["name"] != name {
			continue
		}
		if path, found, _ := unstructured.NestedString(v, "hostPath", "path"); found {
			return path + " of the host"
		}
		if secret, found, _ := unstructured.NestedString(v, "secret", "secretName"); found {
			return "secret " + secret
		}
	}
	return name.(string)
}
