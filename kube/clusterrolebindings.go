package kube

import rbac "k8s.io/api/rbac/v1"

// Who has a cluster role in the whole cluster.
var clusterRoleBindings = resource{
	name: "clusterrolebindings", version: rbac.SchemeGroupVersion, kind: "ClusterRoleBinding",
	labels: []string{"clusterrolebinding"},
	families: []family{
		annotations("kube_clusterrolebinding_annotations", "The binding's annotations that are allowed, as labels; always 1."),
		labels("kube_clusterrolebinding_labels", "The binding's labels that are allowed, as labels; always 1."),
		gauge("kube_clusterrolebinding_info", "A binding of a role in the whole cluster, and the role; always 1.",
			func(l *Lines, b *rbac.ClusterRoleBinding) { l.Add(1, b.RoleRef.Kind, b.RoleRef.Name) }, "roleref_kind", "roleref_name"),
		created("kube_clusterrolebinding_created", "When the binding was made, in seconds since the epoch."),
		resourceVersion("kube_clusterrolebinding_metadata_resource_version", "Version of the binding; it changes with every write."),
	},
}
