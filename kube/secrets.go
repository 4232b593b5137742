package kube

import "k8s.io/api/core/v1"

// Secrets, of which only the metadata and the type are read.
var secrets = resource{
	name: "secrets", version: v1.SchemeGroupVersion, kind: "Secret", namespaced: true, on: true, fetch: fetchColumns,
	labels: []string{"namespace", "secret"},
	families: []family{
		info("kube_secret_info", "A secret; always 1."),
		gauge("kube_secret_type", "What kind of secret it is; always 1.", func(l *Lines, s *row) { l.Add(1, s.columns["Type"]) }, "type"),
		annotations("kube_secret_annotations", "The secret's annotations that are allowed, as labels; always 1."),
		labels("kube_secret_labels", "The secret's labels that are allowed, as labels; always 1."),
		created("kube_secret_created", "When the secret was made, in seconds since the epoch."),
		resourceVersion("kube_secret_metadata_resource_version", "Version of the secret; it changes with every write."),
		owner("kube_secret_owner", "What the secret belongs to; always 1."),
	},
}
