package kube

import "k8s.io/api/core/v1"

// Resource quotas.
var resourceQuotas = resource{
	name: "resourcequotas", version: v1.SchemeGroupVersion, kind: "ResourceQuota", namespaced: true, on: true,
	labels: []string{"namespace", "resourcequota"},
	families: []family{
		created("kube_resourcequota_created", "When the quota was made, in seconds since the epoch."),
		gauge("kube_resourcequota", "How much of a resource the namespace may have (hard), and has (used).", quotaAmounts, "resource", "type"),
		annotations("kube_resourcequota_annotations", "The quota's annotations that are allowed, as labels; always 1."),
		labels("kube_resourcequota_labels", "The quota's labels that are allowed, as labels; always 1."),
	},
}

func quotaAmounts(l *Lines, q *v1.ResourceQuota) {
	var buf [16]v1.ResourceName
	for _, name := range resourceNames(q.Status.Hard, buf[:0]) {
		l.Milli(q.Status.Hard[name], string(name), "hard")
	}
	for _, name := range resourceNames(q.Status.Used, buf[:0]) {
		l.Milli(q.Status.Used[name], string(name), "used")
	}
}
