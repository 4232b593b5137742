package kube

import "k8s.io/api/core/v1"

// Namespaces.
var namespaces = resource{
	name: "namespaces", version: v1.SchemeGroupVersion, kind: "Namespace", on: true,
	labels: []string{"namespace"},
	families: []family{
		created("kube_namespace_created", "When the namespace was made, in seconds since the epoch."),
		annotations("kube_namespace_annotations", "The namespace's annotations that are allowed, as labels; always 1."),
		labels("kube_namespace_labels", "The namespace's labels that are allowed, as labels; always 1."),
		gauge("kube_namespace_status_phase", "1 for the phase that the namespace is in, 0 for the others.", namespacePhase, "phase"),
		gauge("kube_namespace_status_condition", "1 for the status of each condition of the namespace, 0 for the others.", namespaceConditions, "condition", "status"),
	},
}

var namespacePhases = []string{string(v1.NamespaceActive), string(v1.NamespaceTerminating)}

func namespacePhase(l *Lines, n *v1.Namespace) {
	l.OneOf(namespacePhases, string(n.Status.Phase))
}

func namespaceConditions(l *Lines, n *v1.Namespace) {
	for i := range n.Status.Conditions {
		c := &n.Status.Conditions[i]
		l.Status(string(c.Status), string(c.Type))
	}
}
