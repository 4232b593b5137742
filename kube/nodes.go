package kube

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/api/core/v1"
)

// Nodes.
var nodes = resource{
	name: "nodes", version: v1.SchemeGroupVersion, kind: "Node", on: true,
	labels: []string{"node"},
	families: []family{
		annotations("kube_node_annotations", "The node's annotations that are allowed, as labels; always 1."),
		created("kube_node_created", "When the node was registered, in seconds since the epoch."),
		deleted("kube_node_deletion_timestamp", "When the node that is being deleted is to be gone, in seconds since the epoch."),
		gauge("kube_node_info", "What the node runs on and where; always 1.", nodeInfo,
			"kernel_version", "os_image", "container_runtime_version", "kubelet_version", "kubeproxy_version", "provider_id", "pod_cidr", "system_uuid", "internal_ip"),
		labels("kube_node_labels", "The node's labels that are allowed, as labels; always 1."),
		gauge("kube_node_role", "A role of the node, from its labels node-role.kubernetes.io/*; always 1.", nodeRoles, "role"),
		gauge("kube_node_spec_pod_cidrs", "A range that the node's pods get their addresses from; always 1.", nodePodCIDRs, "pod_cidr"),
		gauge("kube_node_spec_taint", "A taint, which keeps pods away that do not tolerate it; always 1.", nodeTaints, "key", "value", "effect"),
		gauge("kube_node_spec_unschedulable", "Whether new pods are kept from the node (cordoned).", func(l *Lines, n *v1.Node) { l.Bool(n.Spec.Unschedulable) }),
		gauge("kube_node_status_allocatable", "Amount of a resource that pods can have.",
			func(l *Lines, n *v1.Node) { nodeAmounts(l, n.Status.Allocatable) }, "resource", "unit"),
		gauge("kube_node_status_capacity", "Amount of a resource that the node has, with what is set aside for the system.",
			func(l *Lines, n *v1.Node) { nodeAmounts(l, n.Status.Capacity) }, "resource", "unit"),
		gauge("kube_node_status_condition", "1 for the status of each condition of the node, 0 for the others.", nodeConditions, "condition", "status"),
		gauge("kube_node_status_addresses", "An address or name of the node; always 1.", nodeAddresses, "type", "address"),
	},
}

func nodeInfo(l *Lines, n *v1.Node) {
	ip := ""
	for _, a := range n.Status.Addresses {
		if a.Type == v1.NodeInternalIP {
			ip = a.Address // the last one, where there are several
		}
	}
	i := &n.Status.NodeInfo
	l.Add(1, i.KernelVersion, i.OSImage, i.ContainerRuntimeVersion, i.KubeletVersion,
		"deprecated", // the kubelet does not know it
		n.Spec.ProviderID, n.Spec.PodCIDR, i.SystemUUID, ip)
}

func nodeRoles(l *Lines, n *v1.Node) {
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		if role, ok := strings.CutPrefix(key, "node-role.kubernetes.io/"); ok {
			l.Add(1, role)
		}
	}
}

func nodePodCIDRs(l *Lines, n *v1.Node) {
	for _, r := range n.Spec.PodCIDRs {
		l.Add(1, r)
	}
}

func nodeTaints(l *Lines, n *v1.Node) {
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		l.Add(1, t.Key, t.Value, string(t.Effect))
	}
}

func nodeAmounts(l *Lines, list v1.ResourceList) {
	var buf [16]v1.ResourceName
	for _, name := range resourceNames(list, buf[:0]) {
		label, unit := ofResource(name)
		if name == v1.ResourcePods {
			label, unit = "pods", "integer"
		}
		if unit != "" {
			l.Milli(list[name], label, unit)
		}
	}
}

func nodeConditions(l *Lines, n *v1.Node) {
	for i := range n.Status.Conditions {
		c := &n.Status.Conditions[i]
		l.Status(string(c.Status), string(c.Type))
	}
}

func nodeAddresses(l *Lines, n *v1.Node) {
	for _, a := range n.Status.Addresses {
		l.Add(1, string(a.Type), a.Address)
	}
}
