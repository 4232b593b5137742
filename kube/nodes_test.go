package kube

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// object is an object of a resource from JSON, with the metadata of all tests: the
// namespace a, the name o and the uid u.
func object(t testing.TB, r *resource, text string) v1.Object {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	typed, err := scheme.New(r.version.WithKind(r.kind))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), typed); err != nil {
		t.Fatal(err)
	}
	o := typed.(v1.Object)
	o.SetNamespace("a")
	o.SetName("o")
	o.SetUID("u")
	return o
}

func TestNodes(t *testing.T) {
	checkRendered(t, &nodes, Options{}, object(t, &nodes, `{}`), `
		kube_node_info{node="o",kernel_version="",os_image="",container_runtime_version="",kubelet_version="",kubeproxy_version="deprecated",provider_id="",pod_cidr="",system_uuid="",internal_ip=""} 1
		kube_node_spec_unschedulable{node="o"} 0
	`)
	checkRendered(t, &nodes, Options{}, object(t, &nodes, `{
		"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:01Z",
			"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/": "x", "node-role.kubernetes.io/a\"b": "", "role": "no"}},
		"spec": {"unschedulable": true, "providerID": "aws:///i-1", "podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00::/64", "10.244.1.0/24"],
			"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "k", "effect": "NoExecute"}]},
		"status": {"nodeInfo": {"kernelVersion": "6.12", "osImage": "Debian", "containerRuntimeVersion": "containerd://2", "kubeletVersion": "v1.36.3", "kubeProxyVersion": "v1", "systemUUID": "s"},
			"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "o"}, {"type": "InternalIP", "address": "fd00::1"}],
			"capacity": {"cpu": "8", "memory": "32Gi", "pods": "110", "example.com/fpga": "1500m", "hugepages-1Gi": "0", "odd": "1"}, "allocatable": {"cpu": "7910m", "memory": "1500m", "storage": "100Pi"},
			"conditions": [{"type": "Ready", "status": "Unknown"}, {"type": "KernelDeadlock", "status": "false"}, {"type": "Ready", "status": "True"}]}}`), `
		kube_node_created{node="o"} 1767225600
		kube_node_deletion_timestamp{node="o"} 1767225601
		kube_node_info{node="o",kernel_version="6.12",os_image="Debian",container_runtime_version="containerd://2",kubelet_version="v1.36.3",kubeproxy_version="deprecated",provider_id="aws:///i-1",pod_cidr="10.244.1.0/24",system_uuid="s",internal_ip="fd00::1"} 1
		kube_node_role{node="o",role=""} 1
		kube_node_role{node="o",role="a\"b"} 1
		kube_node_role{node="o",role="worker"} 1
		kube_node_spec_pod_cidrs{node="o",pod_cidr="10.244.1.0/24"} 1
		kube_node_spec_pod_cidrs{node="o",pod_cidr="fd00::/64"} 1
		kube_node_spec_taint{node="o",key="k",value="v",effect="NoSchedule"} 1
		kube_node_spec_taint{node="o",key="k",value="",effect="NoExecute"} 1
		kube_node_spec_unschedulable{node="o"} 1
		kube_node_status_allocatable{node="o",resource="cpu",unit="core"} 7.91
		kube_node_status_allocatable{node="o",resource="memory",unit="byte"} 1.5
		kube_node_status_allocatable{node="o",resource="storage",unit="byte"} 1.125899906842624e+17
		kube_node_status_capacity{node="o",resource="cpu",unit="core"} 8
		kube_node_status_capacity{node="o",resource="example_com_fpga",unit="integer"} 1.5
		kube_node_status_capacity{node="o",resource="hugepages_1Gi",unit="byte"} 0
		kube_node_status_capacity{node="o",resource="memory",unit="byte"} 34359738368
		kube_node_status_capacity{node="o",resource="pods",unit="integer"} 110
		kube_node_status_condition{node="o",condition="Ready",status="true"} 0
		kube_node_status_condition{node="o",condition="Ready",status="false"} 0
		kube_node_status_condition{node="o",condition="Ready",status="unknown"} 1
		kube_node_status_condition{node="o",condition="KernelDeadlock",status="true"} 0
		kube_node_status_condition{node="o",condition="KernelDeadlock",status="false"} 0
		kube_node_status_condition{node="o",condition="KernelDeadlock",status="unknown"} 0
		kube_node_status_addresses{node="o",type="InternalIP",address="10.0.0.1"} 1
		kube_node_status_addresses{node="o",type="Hostname",address="o"} 1
		kube_node_status_addresses{node="o",type="InternalIP",address="fd00::1"} 1
	`)
}
