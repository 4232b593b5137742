package kube

import "k8s.io/api/core/v1"

// Replication controllers, which replica sets have taken the place of.
var replicationControllers = resource{
	name: "replicationcontrollers", version: v1.SchemeGroupVersion, kind: "ReplicationController", namespaced: true, on: true,
	labels: []string{"namespace", "replicationcontroller"},
	families: []family{
		created("kube_replicationcontroller_created", "When the replication controller was made, in seconds since the epoch."),
		gauge("kube_replicationcontroller_status_replicas", "Pods that there are.",
			func(l *Lines, r *v1.ReplicationController) { l.Add(float64(r.Status.Replicas)) }),
		gauge("kube_replicationcontroller_status_fully_labeled_replicas", "Pods that have all labels of the template.",
			func(l *Lines, r *v1.ReplicationController) { l.Add(float64(r.Status.FullyLabeledReplicas)) }),
		gauge("kube_replicationcontroller_status_ready_replicas", "Pods that are ready.",
			func(l *Lines, r *v1.ReplicationController) { l.Add(float64(r.Status.ReadyReplicas)) }),
		gauge("kube_replicationcontroller_status_available_replicas", "Pods that have been ready for long enough.",
			func(l *Lines, r *v1.ReplicationController) { l.Add(float64(r.Status.AvailableReplicas)) }),
		gauge("kube_replicationcontroller_status_observed_generation", "Generation that the controller acted on last.",
			func(l *Lines, r *v1.ReplicationController) { l.Add(float64(r.Status.ObservedGeneration)) }),
		gauge("kube_replicationcontroller_spec_replicas", "Pods that there should be.",
			func(l *Lines, r *v1.ReplicationController) { Number(l, r.Spec.Replicas) }),
		generation("kube_replicationcontroller_metadata_generation", "Number of the wanted state of the replication controller; each change adds one."),
		owner("kube_replicationcontroller_owner", "What the replication controller belongs to; always 1."),
	},
}
