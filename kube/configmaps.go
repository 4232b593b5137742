package kube

import "k8s.io/api/core/v1"

// Config maps, of which only the metadata is read.
var configMaps = resource{
	name: "configmaps", version: v1.SchemeGroupVersion, kind: "ConfigMap", namespaced: true, on: true, fetch: fetchMetadata,
	labels: []string{"namespace", "configmap"},
	families: []family{
		annotations("kube_configmap_annotations", "The config map's annotations that are allowed, as labels; always 1."),
		labels("kube_configmap_labels", "The config map's labels that are allowed, as labels; always 1."),
		info("kube_configmap_info", "A config map; always 1."),
		created("kube_configmap_created", "When the config map was made, in seconds since the epoch."),
		resourceVersion("kube_configmap_metadata_resource_version", "Version of the config map; it changes with every write."),
	},
}
