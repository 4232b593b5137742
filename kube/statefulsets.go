package kube

import apps "k8s.io/api/apps/v1"

// Stateful sets: pods with numbers and volumes of their own.
var statefulSets = resource{
	name: "statefulsets", version: apps.SchemeGroupVersion, kind: "StatefulSet", namespaced: true, on: true,
	labels: []string{"namespace", "statefulset"},
	unread: []unread{{fields: "spec.template"}},
	families: []family{
		created("kube_statefulset_created", "When the stateful set was made, in seconds since the epoch."),
		gauge("kube_statefulset_status_replicas", "Pods of the stateful set.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(float64(s.Status.Replicas)) }),
		gauge("kube_statefulset_status_replicas_available", "Pods of the stateful set that have been ready for long enough.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(float64(s.Status.AvailableReplicas)) }),
		gauge("kube_statefulset_status_replicas_current", "Pods of the stateful set that are made from the template before the update.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(float64(s.Status.CurrentReplicas)) }),
		gauge("kube_statefulset_status_replicas_ready", "Pods of the stateful set that are ready.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(float64(s.Status.ReadyReplicas)) }),
		gauge("kube_statefulset_status_replicas_updated", "Pods of the stateful set that are made from its present template.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(float64(s.Status.UpdatedReplicas)) }),
		gauge("kube_statefulset_status_observed_generation", "Number of the wanted state that the controller has seen.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(float64(s.Status.ObservedGeneration)) }),
		gauge("kube_statefulset_replicas", "Pods that the stateful set is to have.",
			func(l *Lines, s *apps.StatefulSet) { Number(l, s.Spec.Replicas) }),
		gauge("kube_statefulset_ordinals_start", "Number of the stateful set's first pod.", firstOrdinal),
		generation("kube_statefulset_metadata_generation", "Number of the wanted state."),
		gauge("kube_statefulset_persistentvolumeclaim_retention_policy", "What becomes of the claims to volumes when the stateful set is deleted or made smaller; always 1.",
			claimRetention, "when_deleted", "when_scaled"),
		annotations("kube_statefulset_annotations", "The stateful set's annotations that are allowed, as labels; always 1."),
		labels("kube_statefulset_labels", "The stateful set's labels that are allowed, as labels; always 1."),
		gauge("kube_statefulset_status_current_revision", "The template before the update; always 1.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(1, s.Status.CurrentRevision) }, "revision"),
		gauge("kube_statefulset_status_update_revision", "The present template; always 1.",
			func(l *Lines, s *apps.StatefulSet) { l.Add(1, s.Status.UpdateRevision) }, "revision"),
		deleted("kube_statefulset_deletion_timestamp", "When the stateful set that is being deleted is to be gone, in seconds since the epoch."),
	},
}

func firstOrdinal(l *Lines, s *apps.StatefulSet) {
	if o := s.Spec.Ordinals; o != nil {
		l.Add(float64(o.Start))
	}
}

func claimRetention(l *Lines, s *apps.StatefulSet) {
	if p := s.Spec.PersistentVolumeClaimRetentionPolicy; p != nil && (p.WhenDeleted != "" || p.WhenScaled != "") {
		l.Add(1, string(p.WhenDeleted), string(p.WhenScaled))
	}
}
