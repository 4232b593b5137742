package kube

import rbac "k8s.io/api/rbac/v1"

// Roles of a namespace, of which only the metadata is read.
var roles = resource{
	name: "roles", version: rbac.SchemeGroupVersion, kind: "Role", namespaced: true, fetch: fetchMetadata,
	labels: []string{"namespace", "role"},
	families: []family{
		annotations("kube_role_annotations", "The role's annotations that are allowed, as labels; always 1."),
		labels("kube_role_labels", "The role's labels that are allowed, as labels; always 1."),
		info("kube_role_info", "A role of a namespace; always 1."),
		created("kube_role_created", "When the role was made, in seconds since the epoch."),
		resourceVersion("kube_role_metadata_resource_version", "Version of the role; it changes with every write."),
	},
}
