package kube

import rbac "k8s.io/api/rbac/v1"

// Who has a role in a namespace.
var roleBindings = resource{
	name: "rolebindings", version: rbac.SchemeGroupVersion, kind: "RoleBinding", namespaced: true,
	labels: []string{"namespace", "rolebinding"},
	families: []family{
		annotations("kube_rolebinding_annotations", "The binding's annotations that are allowed, as labels; always 1."),
		labels("kube_rolebinding_labels", "The binding's labels that are allowed, as labels; always 1."),
		gauge("kube_rolebinding_info", "A binding of a role in a namespace, and the role; always 1.",
			func(l *Lines, b *rbac.RoleBinding) { l.Add(1, b.RoleRef.Kind, b.RoleRef.Name) }, "roleref_kind", "roleref_name"),
		created("kube_rolebinding_created", "When the binding was made, in seconds since the epoch."),
		resourceVersion("kube_rolebinding_metadata_resource_version", "Version of the binding; it changes with every write."),
	},
}
