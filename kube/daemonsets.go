package kube

import apps "k8s.io/api/apps/v1"

// Daemon sets: a pod on each node that fits.
var daemonSets = resource{
	name: "daemonsets", version: apps.SchemeGroupVersion, kind: "DaemonSet", namespaced: true, on: true,
	labels: []string{"namespace", "daemonset"},
	unread: []unread{{fields: "spec.template"}},
	families: []family{
		created("kube_daemonset_created", "When the daemon set was made, in seconds since the epoch."),
		gauge("kube_daemonset_status_current_number_scheduled", "Nodes that have a pod of the daemon set and are to have one.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.CurrentNumberScheduled)) }),
		gauge("kube_daemonset_status_desired_number_scheduled", "Nodes that are to have a pod of the daemon set.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.DesiredNumberScheduled)) }),
		gauge("kube_daemonset_status_number_available", "Nodes that are to have a pod of the daemon set and have one that is available.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.NumberAvailable)) }),
		gauge("kube_daemonset_status_number_misscheduled", "Nodes that have a pod of the daemon set and are to have none.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.NumberMisscheduled)) }),
		gauge("kube_daemonset_status_number_ready", "Nodes that are to have a pod of the daemon set and have one that is ready.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.NumberReady)) }),
		gauge("kube_daemonset_status_number_unavailable", "Nodes that are to have a pod of the daemon set and have none that is available.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.NumberUnavailable)) }),
		gauge("kube_daemonset_status_observed_generation", "Number of the wanted state that the controller has seen.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.ObservedGeneration)) }),
		gauge("kube_daemonset_status_updated_number_scheduled", "Nodes whose pod of the daemon set is made from its present template.",
			func(l *Lines, d *apps.DaemonSet) { l.Add(float64(d.Status.UpdatedNumberScheduled)) }),
		generation("kube_daemonset_metadata_generation", "Number of the wanted state."),
		deleted("kube_daemonset_deletion_timestamp", "When the daemon set that is being deleted is to be gone, in seconds since the epoch."),
		annotations("kube_daemonset_annotations", "The daemon set's annotations that are allowed, as labels; always 1."),
		labels("kube_daemonset_labels", "The daemon set's labels that are allowed, as labels; always 1."),
	},
}
