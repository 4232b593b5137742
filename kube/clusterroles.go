package kube

import rbac "k8s.io/api/rbac/v1"

// Roles of the whole cluster, of which only the metadata is read.
var clusterRoles = resource{
	name: "clusterroles", version: rbac.SchemeGroupVersion, kind: "ClusterRole", fetch: fetchMetadata,
	labels: []string{"clusterrole"},
	families: []family{
		annotations("kube_clusterrole_annotations", "The role's annotations that are allowed, as labels; always 1."),
		labels("kube_clusterrole_labels", "The role's labels that are allowed, as labels; always 1."),
		info("kube_clusterrole_info", "A role of the whole cluster; always 1."),
		created("kube_clusterrole_created", "When the role was made, in seconds since the epoch."),
		resourceVersion("kube_clusterrole_metadata_resource_version", "Version of the role; it changes with every write."),
	},
}
