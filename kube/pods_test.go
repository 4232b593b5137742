package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// pod is the pod of a text in YAML's subset JSON, in namespace a with the name p.
func pod(t testing.TB, text string) *v1.Pod {
	t.Helper()
	var p v1.Pod
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	p.Namespace, p.Name, p.UID = "a", "p", "u"
	return &p
}

func TestPods(t *testing.T) {
	for name, tc := range map[string]struct {
		pod, want string
		families  []string
	}{
		"what always is": {`{"spec": {"nodeName": "n", "restartPolicy": "Never", "serviceAccountName": "s", "schedulerName": "d"}, "status": {}}`, `
			kube_pod_info{namespace="a",pod="p",uid="u",host_ip="",pod_ip="",node="n",created_by_kind="",created_by_name="",priority_class="",host_network="false"} 1
			kube_pod_owner{namespace="a",pod="p",uid="u",owner_kind="",owner_name="",owner_is_controller=""} 1
			kube_pod_restart_policy{namespace="a",pod="p",uid="u",type="Never"} 1
			kube_pod_service_account{namespace="a",pod="p",uid="u",service_account="s"} 1
			kube_pod_scheduler{namespace="a",pod="p",uid="u",name="d"} 1
		`, nil},
		"owners": {`{"metadata": {"ownerReferences": [{"kind": "Node", "name": "n"}, {"kind": "ReplicaSet", "name": "r", "controller": true}, {"kind": "Node", "name": "n"}]},
			"spec": {"hostNetwork": true, "priorityClassName": "high"}, "status": {"hostIP": "10.0.0.1", "podIP": "::1"}}`, `
			kube_pod_info{namespace="a",pod="p",uid="u",host_ip="10.0.0.1",pod_ip="::1",node="",created_by_kind="ReplicaSet",created_by_name="r",priority_class="high",host_network="true"} 1
			kube_pod_owner{namespace="a",pod="p",uid="u",owner_kind="Node",owner_name="n",owner_is_controller="false"} 1
			kube_pod_owner{namespace="a",pod="p",uid="u",owner_kind="ReplicaSet",owner_name="r",owner_is_controller="true"} 1
		`, []string{"kube_pod_info", "kube_pod_owner"}},
		"addresses": {`{"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "::ffff:10.0.0.2"}, {"ip": "here"}, {"ip": ""}, {"ip": "10.0.0.1"}]}}`, `
			kube_pod_ips{namespace="a",pod="p",uid="u",ip="10.0.0.1",ip_family="4"} 1
			kube_pod_ips{namespace="a",pod="p",uid="u",ip="fd00::1",ip_family="6"} 1
			kube_pod_ips{namespace="a",pod="p",uid="u",ip="::ffff:10.0.0.2",ip_family="4"} 1
		`, []string{"kube_pod_ips"}},
		"phase and class": {`{"status": {"phase": "Failed", "qosClass": "Odd"}}`, `
			kube_pod_status_phase{namespace="a",pod="p",uid="u",phase="Pending"} 0
			kube_pod_status_phase{namespace="a",pod="p",uid="u",phase="Succeeded"} 0
			kube_pod_status_phase{namespace="a",pod="p",uid="u",phase="Failed"} 1
			kube_pod_status_phase{namespace="a",pod="p",uid="u",phase="Unknown"} 0
			kube_pod_status_phase{namespace="a",pod="p",uid="u",phase="Running"} 0
			kube_pod_status_qos_class{namespace="a",pod="p",uid="u",qos_class="BestEffort"} 0
			kube_pod_status_qos_class{namespace="a",pod="p",uid="u",qos_class="Burstable"} 0
			kube_pod_status_qos_class{namespace="a",pod="p",uid="u",qos_class="Guaranteed"} 0
		`, []string{"kube_pod_status_phase", "kube_pod_status_qos_class"}},
		"conditions": {`{"status": {"conditions": [
				{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"},
				{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
				{"type": "ContainersReady", "status": "true", "lastTransitionTime": "2026-01-01T00:00:02Z"},
				{"type": "Initialized", "status": "True", "lastTransitionTime": null},
				{"type": "PodScheduled", "status": "False", "lastTransitionTime": "2026-01-01T00:00:03Z"}]}}`, `
			kube_pod_status_ready{namespace="a",pod="p",uid="u",condition="true"} 0
			kube_pod_status_ready{namespace="a",pod="p",uid="u",condition="false"} 1
			kube_pod_status_ready{namespace="a",pod="p",uid="u",condition="unknown"} 0
			kube_pod_status_ready_time{namespace="a",pod="p",uid="u"} 1767225601
			kube_pod_status_initialized_time{namespace="a",pod="p",uid="u"} -62135596800
			kube_pod_status_scheduled{namespace="a",pod="p",uid="u",condition="true"} 0
			kube_pod_status_scheduled{namespace="a",pod="p",uid="u",condition="false"} 1
			kube_pod_status_scheduled{namespace="a",pod="p",uid="u",condition="unknown"} 0
			kube_pod_status_unschedulable{namespace="a",pod="p",uid="u"} 1
			kube_pod_status_unscheduled_time{namespace="a",pod="p",uid="u"} 1767225603
		`, []string{"kube_pod_status_ready", "kube_pod_status_ready_time", "kube_pod_status_initialized_time", "kube_pod_status_container_ready_time",
			"kube_pod_status_scheduled", "kube_pod_status_scheduled_time", "kube_pod_status_unschedulable", "kube_pod_status_unscheduled_time"}},
		"reasons": {`{"status": {"reason": "OutOfcpu", "conditions": [{"type": "DisruptionTarget", "status": "False", "reason": "DeletionByPodGC"},
				{"type": "DisruptionTarget", "reason": "Whim"}, {"type": "Ready", "reason": "NodeLost"}],
				"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 137, "reason": "Evicted"}}}, {"name": "d", "state": {"terminated": {"exitCode": 137, "reason": "Evicted"}}}],
				"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 137, "reason": "Shutdown"}}}]}}`, `
			kube_pod_status_reason{namespace="a",pod="p",uid="u",reason="Evicted"} 1
			kube_pod_status_reason{namespace="a",pod="p",uid="u",reason="NodeLost"} 1
			kube_pod_status_reason{namespace="a",pod="p",uid="u",reason="Other"} 1
			kube_pod_status_disruption_reason{namespace="a",pod="p",uid="u",reason="DeletionByPodGC"} 1
			kube_pod_status_disruption_reason{namespace="a",pod="p",uid="u",reason="Other"} 1
		`, []string{"kube_pod_status_reason", "kube_pod_status_disruption_reason"}},
		"volumes": {`{"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": true}}, {"name": "e", "ephemeral": {}}]}}`, `
			kube_pod_spec_volumes_persistentvolumeclaims_info{namespace="a",pod="p",uid="u",volume="v",persistentvolumeclaim="c",ephemeral="false"} 1
			kube_pod_spec_volumes_persistentvolumeclaims_info{namespace="a",pod="p",uid="u",volume="e",persistentvolumeclaim="p-e",ephemeral="true"} 1
			kube_pod_spec_volumes_persistentvolumeclaims_readonly{namespace="a",pod="p",uid="u",volume="v",persistentvolumeclaim="c",ephemeral="false"} 1
			kube_pod_spec_volumes_persistentvolumeclaims_readonly{namespace="a",pod="p",uid="u",volume="e",persistentvolumeclaim="p-e",ephemeral="true"} 0
		`, []string{"kube_pod_spec_volumes_persistentvolumeclaims_info", "kube_pod_spec_volumes_persistentvolumeclaims_readonly"}},
		"claims of devices": {`{"spec": {"resourceClaims": [{"name": "x", "resourceClaimName": "rx"}, {"name": "y", "resourceClaimTemplateName": "ty"}, {"name": "z", "resourceClaimTemplateName": "tz"}, {"name": "none"}]},
				"status": {"resourceClaimStatuses": [{"name": "y", "resourceClaimName": "ry"}, {"name": "z"}]}}`, `
			kube_pod_resourceclaim_info{namespace="a",pod="p",uid="u",claim_name="x",resourceclaim_name="rx",resourceclaim_template_name=""} 1
			kube_pod_resourceclaim_info{namespace="a",pod="p",uid="u",claim_name="y",resourceclaim_name="ry",resourceclaim_template_name="ty"} 1
			kube_pod_resourceclaim_info{namespace="a",pod="p",uid="u",claim_name="z",resourceclaim_name="",resourceclaim_template_name="tz"} 1
		`, []string{"kube_pod_resourceclaim_info"}},
		"tolerations": {`{"spec": {"tolerations": [{"operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": -1}, {"operator": "Exists"},
				{"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": -1}, {"key": "k", "value": "v", "effect": "NoExecute"}]}}`, `
			kube_pod_tolerations{namespace="a",pod="p",uid="u",key="",operator="Exists",value="",effect="",toleration_seconds=""} 1
			kube_pod_tolerations{namespace="a",pod="p",uid="u",key="k",operator="",value="v",effect="NoExecute",toleration_seconds="-1"} 1
			kube_pod_tolerations{namespace="a",pod="p",uid="u",key="k",operator="",value="v",effect="NoExecute",toleration_seconds=""} 1
		`, []string{"kube_pod_tolerations"}},
		"the rest": {`{"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:30Z"},
				"spec": {"runtimeClassName": "gvisor", "overhead": {"cpu": "250m", "memory": "1.5", "storage": "1"}, "nodeSelector": {"a/b": "1", "a-b": "2", "cpuKind": "x"}},
				"status": {"startTime": "1969-12-31T23:59:58.5Z"}}`, `
			kube_pod_created{namespace="a",pod="p",uid="u"} 1767225600
			kube_pod_deletion_timestamp{namespace="a",pod="p",uid="u"} 1767225630
			kube_pod_overhead_cpu_cores{namespace="a",pod="p",uid="u"} 0.25
			kube_pod_overhead_memory_bytes{namespace="a",pod="p",uid="u"} 2
			kube_pod_runtimeclass_name_info{namespace="a",pod="p",uid="u",runtimeclass_name="gvisor"} 1
			kube_pod_start_time{namespace="a",pod="p",uid="u"} -2
			kube_pod_nodeselectors{namespace="a",pod="p",uid="u",nodeselector_a_b_conflict1="2",nodeselector_a_b_conflict2="1",nodeselector_cpu_kind="x"} 1
		`, []string{"kube_pod_created", "kube_pod_deletion_timestamp", "kube_pod_overhead_cpu_cores", "kube_pod_overhead_memory_bytes", "kube_pod_runtimeclass_name_info",
			"kube_pod_start_time", "kube_pod_nodeselectors"}},
	} {
		t.Run(name, func(t *testing.T) { checkRendered(t, &pods, Options{}, pod(t, tc.pod), tc.want, tc.families...) })
	}
}

func TestPodOptions(t *testing.T) {
	p := pod(t, `{"metadata": {"labels": {"team": "x", "app.kubernetes.io/name": "y"}}, "spec": {"restartPolicy": "Always"},
		"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "Unknown"}]}}`)
	checkRendered(t, &pods, Options{TrueOnly: true}, p, `
		kube_pod_status_phase{namespace="a",pod="p",uid="u",phase="Running"} 1
		kube_pod_status_ready{namespace="a",pod="p",uid="u",condition="unknown"} 1
	`, "kube_pod_status_phase", "kube_pod_status_ready")
	checkRendered(t, &pods, Options{PodLabels: []string{"team"}, Labels: map[string][]string{"pods": {"*"}}}, p, `
		kube_pod_labels{namespace="a",pod="p",uid="u",label_team="x",label_app_kubernetes_io_name="y"} 1
		kube_pod_restart_policy{namespace="a",pod="p",uid="u",label_team="x",type="Always"} 1
	`, "kube_pod_labels", "kube_pod_restart_policy")
}

// BenchmarkRenderPod renders the largest pod of a usual cluster's shape: three
// containers, one of them an init container, all that a kubelet writes.
func BenchmarkRenderPod(b *testing.B) {
	p := usualPod(b)
	r := newRenderer(&pods, Options{})
	var out rendering
	r.render(p, &out)
	b.SetBytes(int64(len(out.text)))
	b.ReportAllocs()
	for b.Loop() {
		r.render(p, &out)
	}
	b.ReportMetric(float64(bytes.Count(out.text, []byte{'\n'})), "lines")
}

// usualPod is a web server with a side process, made by a replica set.
func usualPod(t testing.TB) *v1.Pod {
	const status = `{"name": %q, "ready": true, "restartCount": 1, "image": "registry.example/shop/web:2.4.1", "imageID": "registry.example/shop/web@sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
		"containerID": "containerd://0d4e1a2b3c4d5e6f70819203a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7", "state": {%s},
		"lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-11-20T09:55:14Z", "finishedAt": "2026-11-20T09:55:58Z"}}}`
	const spec = `{"name": %q, "image": "registry.example/shop/web:2.4.1", "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}}`
	const running, ended = `"running": {"startedAt": "2026-11-20T09:56:00Z"}`, `"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": "2026-11-20T09:55:07Z", "finishedAt": "2026-11-20T09:55:11Z"}`
	const condition = `{"type": %q, "status": "True", "lastTransitionTime": "2026-11-20T09:56:00Z"}`
	p := pod(t, fmt.Sprintf(`{"metadata": {"creationTimestamp": "2026-11-20T09:55:00Z", "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7c9d8f6b5d", "controller": true}]},
		"spec": {"nodeName": "worker-1", "restartPolicy": "Always", "serviceAccountName": "web", "schedulerName": "default-scheduler", "priorityClassName": "high",
			"containers": [`+spec+`, `+spec+`], "initContainers": [`+spec+`], "tolerations": [
			{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
			{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
		"status": {"phase": "Running", "qosClass": "Burstable", "hostIP": "10.0.1.11", "podIP": "10.244.1.17", "podIPs": [{"ip": "10.244.1.17"}], "startTime": "2026-11-20T09:55:03Z",
			"containerStatuses": [`+status+`, `+status+`], "initContainerStatuses": [`+status+`],
			"conditions": [`+condition+`, `+condition+`, `+condition+`, `+condition+`, `+condition+`]}}`,
		"web", "cache", "migrate", "web", running, "cache", running, "migrate", ended, "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"))
	p.Namespace, p.Name, p.UID = "storefront", "web-7c9d8f6b5d-4kq2x", "a7e48a1f-f728-4162-902a-9aebf8093be7"
	return p
}

// TestRenderPodAllocatesNothing guards what a cluster that changes all the time costs.
func TestRenderPodAllocatesNothing(t *testing.T) {
	p := usualPod(t)
	r := newRenderer(&pods, Options{})
	var out rendering
	if n := testing.AllocsPerRun(10, func() { r.render(p, &out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A custom resource may be called pods: what is said of pods is not of it.
func TestIsPods(t *testing.T) {
	foreign := &resource{name: "pods", version: schema.GroupVersion{Group: "shop.example", Version: "v1"}, kind: "Pod", namespaced: true, fetch: fetchAny}
	if !pods.isPods() || foreign.isPods() {
		t.Errorf("pods: %t, another group's: %t", pods.isPods(), foreign.isPods())
	}
	if n := newRenderer(foreign, Options{PodLabels: []string{"app"}}); len(n.extra) > 0 {
		t.Errorf("labels of pods on %s: %q", foreign.version, n.extra)
	}
	if q := (&Config{Node: "n1"}).selectors(foreign); len(q) > 0 {
		t.Errorf("restricted to a node: %v", q)
	}
}
