package kube

import (
	"slices"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Deployments.
var deployments = resource{
	name: "deployments", version: apps.SchemeGroupVersion, kind: "Deployment", namespaced: true, on: true,
	labels: []string{"namespace", "deployment"},
	unread: []unread{{fields: "spec.template"}},
	families: []family{
		gauge("kube_deployment_owner", "What the deployment belongs to, with empty labels where that is nothing; always 1.", deploymentOwner, "owner_kind", "owner_name"),
		created("kube_deployment_created", "When the deployment was made, in seconds since the epoch."),
		gauge("kube_deployment_status_replicas", "Pods of the deployment.",
			func(l *Lines, d *apps.Deployment) { l.Add(float64(d.Status.Replicas)) }),
		gauge("kube_deployment_status_replicas_ready", "Pods of the deployment that are ready.",
			func(l *Lines, d *apps.Deployment) { l.Add(float64(d.Status.ReadyReplicas)) }),
		gauge("kube_deployment_status_replicas_available", "Pods of the deployment that have been ready for long enough.",
			func(l *Lines, d *apps.Deployment) { l.Add(float64(d.Status.AvailableReplicas)) }),
		gauge("kube_deployment_status_replicas_unavailable", "Pods that the deployment lacks to have all available.",
			func(l *Lines, d *apps.Deployment) { l.Add(float64(d.Status.UnavailableReplicas)) }),
		gauge("kube_deployment_status_replicas_updated", "Pods of the deployment that are made from its present template.",
			func(l *Lines, d *apps.Deployment) { l.Add(float64(d.Status.UpdatedReplicas)) }),
		gauge("kube_deployment_status_terminating_replicas", "Pods of the deployment that are being deleted.",
			func(l *Lines, d *apps.Deployment) { Number(l, d.Status.TerminatingReplicas) }),
		gauge("kube_deployment_status_observed_generation", "Number of the wanted state that the controller has seen.",
			func(l *Lines, d *apps.Deployment) { l.Add(float64(d.Status.ObservedGeneration)) }),
		gauge("kube_deployment_status_condition", "Whether a condition of the deployment is in a state, and why.", deploymentConditions, "reason", "condition", "status"),
		gauge("kube_deployment_spec_replicas", "Pods that the deployment is to have.",
			func(l *Lines, d *apps.Deployment) { Number(l, d.Spec.Replicas) }),
		gauge("kube_deployment_spec_paused", "Whether the deployment's changes are not to be carried out.",
			func(l *Lines, d *apps.Deployment) { l.Bool(d.Spec.Paused) }),
		gauge("kube_deployment_spec_strategy_rollingupdate_max_unavailable", "Pods that may be unavailable during a rolling update.", deploymentMaxUnavailable),
		gauge("kube_deployment_spec_strategy_rollingupdate_max_surge", "Pods that a rolling update may make beyond the wanted number.", deploymentMaxSurge),
		generation("kube_deployment_metadata_generation", "Number of the wanted state."),
		deleted("kube_deployment_deletion_timestamp", "When the deployment that is being deleted is to be gone, in seconds since the epoch."),
		annotations("kube_deployment_annotations", "The deployment's annotations that are allowed, as labels; always 1."),
		labels("kube_deployment_labels", "The deployment's labels that are allowed, as labels; always 1."),
	},
}

// deploymentReasons are the reasons that the deployment controller gives (and
// none); others, which only other controllers write, become "unknown".
var deploymentReasons = []string{
	"ReplicaSetUpdated", "ReplicaSetCreateError", "NewReplicaSetCreated", "FoundNewReplicaSet", "NewReplicaSetAvailable",
	"ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed", "MinimumReplicasAvailable", "MinimumReplicasUnavailable", "",
}

func deploymentOwner(l *Lines, d *apps.Deployment) {
	if len(d.OwnerReferences) == 0 {
		l.Add(1, "", "")
	}
	for _, r := range d.OwnerReferences {
		l.Add(1, r.Kind, r.Name)
	}
}

func deploymentConditions(l *Lines, d *apps.Deployment) {
	for _, c := range d.Status.Conditions {
		reason := c.Reason
		if !slices.Contains(deploymentReasons, reason) {
			reason = "unknown"
		}
		l.Status(string(c.Status), reason, string(c.Type))
	}
}

func deploymentMaxUnavailable(l *Lines, d *apps.Deployment) {
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		deploymentShare(l, d, r.MaxUnavailable, false)
	}
}

func deploymentMaxSurge(l *Lines, d *apps.Deployment) {
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		deploymentShare(l, d, r.MaxSurge, true)
	}
}

// deploymentShare writes a number of pods that is given as such or in percent of
// the wanted number, rounded. What is neither is not written.
func deploymentShare(l *Lines, d *apps.Deployment, share *intstr.IntOrString, up bool) {
	replicas := 1 // the API's default
	if d.Spec.Replicas != nil {
		replicas = int(*d.Spec.Replicas)
	}
	if n, err := intstr.GetScaledValueFromIntOrPercent(share, replicas, up); err == nil {
		l.Add(float64(n))
	}
}
