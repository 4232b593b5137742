package kube

import (
	autoscaling "k8s.io/api/autoscaling/v2"
	quantity "k8s.io/apimachinery/pkg/api/resource"
)

// Horizontal pod autoscalers.
var horizontalPodAutoscalers = resource{
	name: "horizontalpodautoscalers", version: autoscaling.SchemeGroupVersion, kind: "HorizontalPodAutoscaler", namespaced: true, on: true,
	labels: []string{"namespace", "horizontalpodautoscaler"},
	families: []family{
		gauge("kube_horizontalpodautoscaler_info", "An autoscaler and what it scales; always 1.", autoscalerInfo,
			"scaletargetref_api_version", "scaletargetref_kind", "scaletargetref_name"),
		generation("kube_horizontalpodautoscaler_metadata_generation", "Number of the wanted state; API servers leave it 0."),
		gauge("kube_horizontalpodautoscaler_spec_max_replicas", "The most pods that the autoscaler may ask for.",
			func(l *Lines, a *autoscaling.HorizontalPodAutoscaler) { l.Add(float64(a.Spec.MaxReplicas)) }),
		gauge("kube_horizontalpodautoscaler_spec_min_replicas", "The fewest pods that the autoscaler may ask for.", autoscalerMin),
		gauge("kube_horizontalpodautoscaler_spec_target_metric", "What the autoscaler tries to keep a metric at, in the metric's unit or in percent of what pods request.",
			autoscalerTargets, "metric_name", "metric_target_type", "container"),
		gauge("kube_horizontalpodautoscaler_spec_behavior_scale_down_tolerance", "By what share a metric must be below its target before pods are taken away.",
			func(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
				if b := a.Spec.Behavior; b != nil {
					tolerance(l, b.ScaleDown)
				}
			}),
		gauge("kube_horizontalpodautoscaler_spec_behavior_scale_up_tolerance", "By what share a metric must be above its target before pods are added.",
			func(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
				if b := a.Spec.Behavior; b != nil {
					tolerance(l, b.ScaleUp)
				}
			}),
		gauge("kube_horizontalpodautoscaler_status_target_metric", "What the autoscaler last saw a metric at, in the metric's unit or in percent of what pods request.",
			autoscalerMetrics, "metric_name", "metric_target_type", "container"),
		gauge("kube_horizontalpodautoscaler_status_current_replicas", "Pods that the autoscaler last saw.",
			func(l *Lines, a *autoscaling.HorizontalPodAutoscaler) { l.Add(float64(a.Status.CurrentReplicas)) }),
		gauge("kube_horizontalpodautoscaler_status_desired_replicas", "Pods that the autoscaler last asked for.",
			func(l *Lines, a *autoscaling.HorizontalPodAutoscaler) { l.Add(float64(a.Status.DesiredReplicas)) }),
		annotations("kube_horizontalpodautoscaler_annotations", "The autoscaler's annotations that are allowed, as labels; always 1."),
		labels("kube_horizontalpodautoscaler_labels", "The autoscaler's labels that are allowed, as labels; always 1."),
		gauge("kube_horizontalpodautoscaler_status_condition", "Whether a condition of the autoscaler is in a state.",
			func(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
				for _, c := range a.Status.Conditions {
					l.Status(string(c.Status), string(c.Type))
				}
			}, "condition", "status"),
		created("kube_horizontalpodautoscaler_created", "When the autoscaler was made, in seconds since the epoch."),
		deleted("kube_horizontalpodautoscaler_deletion_timestamp", "When the autoscaler that is being deleted is to be gone, in seconds since the epoch."),
	},
}

// autoscalerInfo leaves the version of the API out where it is not known.
func autoscalerInfo(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
	ref := a.Spec.ScaleTargetRef
	if ref.APIVersion == "" {
		l.AddOnly(1, pair{"scaletargetref_kind", ref.Kind}, pair{"scaletargetref_name", ref.Name})
		return
	}
	l.Add(1, ref.APIVersion, ref.Kind, ref.Name)
}

func autoscalerMin(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
	if a.Spec.MinReplicas == nil {
		l.Add(1) // the API's default
		return
	}
	l.Add(float64(*a.Spec.MinReplicas))
}

func tolerance(l *Lines, rules *autoscaling.HPAScalingRules) {
	if rules != nil && rules.Tolerance != nil {
		l.Milli(*rules.Tolerance)
	}
}

// autoscalerTargets writes the targets of the metrics. Which of the sources a
// metric has is said by its type; one that is missing is passed over.
func autoscalerTargets(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
	target := func(name, container string, t autoscaling.MetricTarget) {
		amounts(l, name, container, t.Value, t.AverageValue, t.AverageUtilization)
	}
	for _, m := range a.Spec.Metrics {
		switch {
		case m.Type == autoscaling.ObjectMetricSourceType && m.Object != nil:
			target(m.Object.Metric.Name, "", m.Object.Target)
		case m.Type == autoscaling.PodsMetricSourceType && m.Pods != nil:
			target(m.Pods.Metric.Name, "", m.Pods.Target)
		case m.Type == autoscaling.ResourceMetricSourceType && m.Resource != nil:
			target(string(m.Resource.Name), "", m.Resource.Target)
		case m.Type == autoscaling.ContainerResourceMetricSourceType && m.ContainerResource != nil:
			target(string(m.ContainerResource.Name), m.ContainerResource.Container, m.ContainerResource.Target)
		case m.Type == autoscaling.ExternalMetricSourceType && m.External != nil:
			target(m.External.Metric.Name, "", m.External.Target)
		}
	}
}

// autoscalerMetrics writes the present values of the metrics, as autoscalerTargets
// writes their targets.
func autoscalerMetrics(l *Lines, a *autoscaling.HorizontalPodAutoscaler) {
	current := func(name, container string, v autoscaling.MetricValueStatus) {
		amounts(l, name, container, v.Value, v.AverageValue, v.AverageUtilization)
	}
	for _, m := range a.Status.CurrentMetrics {
		switch {
		case m.Type == autoscaling.ObjectMetricSourceType && m.Object != nil:
			current(m.Object.Metric.Name, "", m.Object.Current)
		case m.Type == autoscaling.PodsMetricSourceType && m.Pods != nil:
			current(m.Pods.Metric.Name, "", m.Pods.Current)
		case m.Type == autoscaling.ResourceMetricSourceType && m.Resource != nil:
			current(string(m.Resource.Name), "", m.Resource.Current)
		case m.Type == autoscaling.ContainerResourceMetricSourceType && m.ContainerResource != nil:
			current(string(m.ContainerResource.Name), m.ContainerResource.Container, m.ContainerResource.Current)
		case m.Type == autoscaling.ExternalMetricSourceType && m.External != nil:
			current(m.External.Metric.Name, "", m.External.Current)
		}
	}
}

// amounts writes what is given of a metric: a value, one a pod, and a percentage.
func amounts(l *Lines, name, container string, value, average *quantity.Quantity, utilization *int32) {
	if value != nil {
		l.Milli(*value, name, "value", container)
	}
	if average != nil {
		l.Milli(*average, name, "average", container)
	}
	Number(l, utilization, name, "utilization", container)
}
