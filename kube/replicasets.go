package kube

import apps "k8s.io/api/apps/v1"

// Replica sets, one for each state of a deployment's template that is remembered.
var replicaSets = resource{
	name: "replicasets", version: apps.SchemeGroupVersion, kind: "ReplicaSet", namespaced: true, on: true,
	labels: []string{"namespace", "replicaset"},
	unread: []unread{{fields: "spec.template"}},
	families: []family{
		created("kube_replicaset_created", "When the replica set was made, in seconds since the epoch."),
		gauge("kube_replicaset_status_replicas", "Pods of the replica set.",
			func(l *Lines, r *apps.ReplicaSet) { l.Add(float64(r.Status.Replicas)) }),
		gauge("kube_replicaset_status_fully_labeled_replicas", "Pods of the replica set that have all labels of its template.",
			func(l *Lines, r *apps.ReplicaSet) { l.Add(float64(r.Status.FullyLabeledReplicas)) }),
		gauge("kube_replicaset_status_ready_replicas", "Pods of the replica set that are ready.",
			func(l *Lines, r *apps.ReplicaSet) { l.Add(float64(r.Status.ReadyReplicas)) }),
		gauge("kube_replicaset_status_terminating_replicas", "Pods of the replica set that are being deleted.",
			func(l *Lines, r *apps.ReplicaSet) { Number(l, r.Status.TerminatingReplicas) }),
		gauge("kube_replicaset_status_observed_generation", "Number of the wanted state that the controller has seen.",
			func(l *Lines, r *apps.ReplicaSet) { l.Add(float64(r.Status.ObservedGeneration)) }),
		gauge("kube_replicaset_spec_replicas", "Pods that the replica set is to have.",
			func(l *Lines, r *apps.ReplicaSet) { Number(l, r.Spec.Replicas) }),
		generation("kube_replicaset_metadata_generation", "Number of the wanted state."),
		owner("kube_replicaset_owner", "What the replica set belongs to, with empty labels where that is nothing; always 1."),
		annotations("kube_replicaset_annotations", "The replica set's annotations that are allowed, as labels; always 1."),
		labels("kube_replicaset_labels", "The replica set's labels that are allowed, as labels; always 1."),
	},
}
