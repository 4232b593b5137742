package grants

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// read reads objects, one a paragraph, of the program p.
func read(t *testing.T, text string) (all []*unstructured.Unstructured) {
	t.Helper()
	for part := range strings.SplitSeq(text, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(part), &o.Object); err != nil {
			t.Fatalf("%v:\n%s", err, part)
		}
		o.SetLabels(map[string]string{"app.kubernetes.io/name": "p", enforce: o.GetLabels()[enforce]})
		all = append(all, o)
	}
	return all
}

func whats(all []Grant) (names []string) {
	for _, g := range all {
		names = append(names, g.What)
	}
	return names
}

const strictPod = `{kind: Deployment, metadata: {name: p, namespace: n}, spec: {template: {spec: {automountServiceAccountToken: false, POD
securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, seccompProfile: {type: RuntimeDefault}, CONTEXT},
containers: [{name: p, image: p, CONTAINER securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}}]}}}}`

func podWith(pod, context, container string) string {
	return strings.NewReplacer("POD", pod, "CONTEXT", context, "CONTAINER", container).Replace(strictPod)
}

// What is granted, and that each can be taken away: then all but it is granted.
func TestGrants(t *testing.T) {
	const role = "{kind: ClusterRole, metadata: {name: p}, rules: [%s]}"
	for _, test := range []struct {
		manifests string
		want      []string
	}{
		{fmt.Sprintf(role, `{apiGroups: [""], resources: [nodes, pods], verbs: [list, watch]}`), []string{"list nodes", "watch nodes", "list pods", "watch pods"}},
		{fmt.Sprintf(role, `{apiGroups: [apps], resources: [statefulsets], resourceNames: [a, b], verbs: [get]}`), []string{"get statefulsets.apps, of them a, b"}},
		{fmt.Sprintf(role, `{nonResourceURLs: [/metrics, /healthz], verbs: [get]}`), []string{"get /metrics", "get /healthz"}},
		{fmt.Sprintf(role, `{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}`), []string{"* *.*"}},
		{`{kind: Role, metadata: {name: p, namespace: n}, rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`, []string{"get secrets in its namespace"}},
		{podWith("", "", ""), nil},
		{podWith("hostNetwork: true, hostPID: true, hostIPC: true,", "", ""), []string{"network of the host", "processes of the host", "IPC of the host"}},
		{podWith("tolerations: [{operator: Exists}, {key: example.com/a, operator: Exists}],", "", ""), []string{"toleration of every taint", "toleration of the taint example.com/a"}},
		{podWith("priorityClassName: high,", "fsGroup: 7", ""), []string{"priority class high", "volumes of group 7"}},
		{podWith(`volumes: [{name: h, hostPath: {path: /proc}}, {name: s, secret: {secretName: k}}, {name: d, emptyDir: {}}],`, "",
			`volumeMounts: [{name: h, mountPath: /p, readOnly: true, mountPropagation: HostToContainer}, {name: s, mountPath: /s}, {name: d, mountPath: /d}],`),
			[]string{"volume /proc of the host at /p, read-only", "what is mounted later at /p, HostToContainer", "volume secret k at /s", "volume d at /d"}},
		{podWith("", "", "ports: [{hostPort: 80, containerPort: 80}, {containerPort: 81}],"), []string{"port 80 of the host"}},
		{podWith("hostNetwork: true,", "", "ports: [{hostPort: 80, containerPort: 80}],"), []string{"network of the host"}},
		{`{kind: DaemonSet, metadata: {name: p, namespace: n}, spec: {template: {spec: {containers: [{name: p, image: p, securityContext: {privileged: true, capabilities: {add: [SYS_NICE]}}}]}}}}`,
			[]string{"token of the service account", "user root", "all system calls", "everything, privileged", "more rights than its parent",
				"writing to its root file system", "capabilities of the runtime", "capability SYS_NICE"}},
		{"{kind: Namespace, metadata: {name: n, labels: {pod-security.kubernetes.io/enforce: baseline}}}\n---\n" + podWith("", "", ""), []string{"pod security level baseline"}},
		{"{kind: Namespace, metadata: {name: n, labels: {pod-security.kubernetes.io/enforce: restricted}}}\n---\n" + podWith("", "", ""), nil},
		{"{kind: ConfigMap, metadata: {name: c}}\n---\n{kind: ServiceAccount, metadata: {name: p, namespace: n}}\n---\n" + fmt.Sprintf(role, "") +
			"\n---\n{kind: ClusterRoleBinding, metadata: {name: p}, roleRef: {kind: ClusterRole, name: p}, subjects: [{kind: ServiceAccount, name: p, namespace: n}]}", nil},
	} {
		manifests := read(t, test.manifests)
		all, err := Of(manifests)
		if err != nil || !slices.Equal(whats(all), test.want) {
			t.Errorf("%s:\n%q, %v, want\n%q", test.manifests, whats(all), err, test.want)
			continue
		}
		for i, g := range all {
			less, err := Of(g.Without(manifests))
			want := slices.Delete(slices.Clone(test.want), i, i+1)
			if strings.HasPrefix(g.What, "volume /proc") {
				want = slices.Delete(want, i, i+1) // nothing is mounted later where nothing is
			}
			got := whats(less)
			slices.Sort(got)
			slices.Sort(want)
			if err != nil || g.Program != "p" || !slices.Equal(got, want) {
				t.Errorf("without %q of %s: %q, %v, want %q", g.What, g.Program, got, err, want)
			}
		}
		if again, err := Of(manifests); err != nil || !slices.Equal(whats(again), test.want) {
			t.Errorf("taking away has changed the manifests: %q, %v", whats(again), err)
		}
	}
}

// What is not known is told, not passed over.
func TestUnknown(t *testing.T) {
	for manifests, want := range map[string]string{
		"{kind: SecurityContextConstraints, metadata: {name: p}}":                                                               "SecurityContextConstraints p: what this kind",
		"{kind: ClusterRole, metadata: {name: p}, aggregationRule: {}}":                                                         "aggregationRule",
		"{kind: ClusterRole, metadata: {name: p}, rules: [{apiGroups: [a, b], resources: [c], verbs: [get]}]}":                  `["a" "b"]`,
		"{kind: ClusterRoleBinding, metadata: {name: p}, roleRef: {kind: ClusterRole, name: cluster-admin}, subjects: []}":      "ClusterRole cluster-admin is not a role of p",
		podWith("shareProcessNamespace: true,", "", ""):                                                                         "shareProcessNamespace of the pod",
		podWith("", "supplementalGroups: [4]", ""):                                                                              "supplementalGroups",
		podWith("", "", "volumeDevices: [],"):                                                                                   "volumeDevices",
		podWith("initContainers: [],", "", ""):                                                                                  "initContainers",
		"{kind: Role, metadata: {name: p, namespace: n}, rules: [{apiGroups: [\"\"], resources: [pods, pods], verbs: [list]}]}": "granted to p twice",
		"{kind: ClusterRole, metadata: {name: p}}\n---\n{kind: ClusterRoleBinding, metadata: {name: p}, roleRef: {kind: ClusterRole, name: p}, subjects: [{kind: Group, name: g}]}": "not the service account of p",
	} {
		if all, err := Of(read(t, manifests)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%q, %v, want an error with %q", manifests, whats(all), err, want)
		}
	}
}

func TestTables(t *testing.T) {
	tables, err := Tables("# T\n\n| granted | lost |\n|---|---|\n| before all | `x` |\n\n## a-b\n\n| granted | lost without it |\n|---|---|\n| list pods | `x_*`, `y`: why |\n" +
		"\n## a-b with components/c\n\n| granted | lost, where | lost, where not |\n|---|---|---|\n| get p | nothing | `z` |\n| get q | `q` | the same |\n\n## Something else\n\n| h | i |\n")
	if err != nil {
		t.Fatal(err)
	}
	want := "map[a-b:[{list pods [x_* y] [x_* y] true}] a-b c:[{get p [] [z] false} {get q [q] [q] true}]]"
	if got := fmt.Sprint(tables); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if _, err := Tables("## p\n| one | two | three | four |\n"); err == nil {
		t.Error("a line of four cells is taken")
	}
	problems := fmt.Sprint(Differ("s", []Line{{Granted: "a", Lost: []string{"x"}}, {Granted: "b"}, {Granted: "a", Lost: []string{"x"}}}, []string{"a", "c"}))
	for _, want := range []string{`"a" has several lines`, `nothing is lost without "b"`, `"c" is granted, and has no line`, `"b" has a line, and is not granted`} {
		if !strings.Contains(problems, want) {
			t.Errorf("%s: no %s", problems, want)
		}
	}
}
