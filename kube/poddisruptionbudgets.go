package kube

import policy "k8s.io/api/policy/v1"

// Pod disruption budgets: how many pods may be taken away on purpose.
var podDisruptionBudgets = resource{
	name: "poddisruptionbudgets", version: policy.SchemeGroupVersion, kind: "PodDisruptionBudget", namespaced: true, on: true,
	labels: []string{"namespace", "poddisruptionbudget"},
	families: []family{
		annotations("kube_poddisruptionbudget_annotations", "The budget's annotations that are allowed, as labels; always 1."),
		labels("kube_poddisruptionbudget_labels", "The budget's labels that are allowed, as labels; always 1."),
		created("kube_poddisruptionbudget_created", "When the budget was made, in seconds since the epoch."),
		gauge("kube_poddisruptionbudget_status_current_healthy", "Pods of the budget that are healthy.",
			func(l *Lines, b *policy.PodDisruptionBudget) { l.Add(float64(b.Status.CurrentHealthy)) }),
		gauge("kube_poddisruptionbudget_status_desired_healthy", "The fewest pods of the budget that are to be healthy.",
			func(l *Lines, b *policy.PodDisruptionBudget) { l.Add(float64(b.Status.DesiredHealthy)) }),
		gauge("kube_poddisruptionbudget_status_pod_disruptions_allowed", "Pods of the budget that may be taken away at present.",
			func(l *Lines, b *policy.PodDisruptionBudget) { l.Add(float64(b.Status.DisruptionsAllowed)) }),
		gauge("kube_poddisruptionbudget_status_expected_pods", "Pods that the budget is about.",
			func(l *Lines, b *policy.PodDisruptionBudget) { l.Add(float64(b.Status.ExpectedPods)) }),
		gauge("kube_poddisruptionbudget_status_observed_generation", "Number of the wanted state that the controller has seen.",
			func(l *Lines, b *policy.PodDisruptionBudget) { l.Add(float64(b.Status.ObservedGeneration)) }),
		deleted("kube_poddisruptionbudget_deletion_timestamp", "When the budget that is being deleted is to be gone, in seconds since the epoch."),
	},
}
