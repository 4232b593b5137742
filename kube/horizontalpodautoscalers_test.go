package kube

import (
	"testing"

	autoscaling "k8s.io/api/autoscaling/v2"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestHorizontalPodAutoscalers(t *testing.T) {
	a := &autoscaling.HorizontalPodAutoscaler{
		ObjectMeta: v1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: v1.Unix(1500000000, 0)},
		Spec: autoscaling.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			MinReplicas:    ptr(int32(0)), MaxReplicas: 20,
			Behavior: &autoscaling.HorizontalPodAutoscalerBehavior{
				ScaleUp: &autoscaling.HPAScalingRules{Tolerance: ptr(quantity.MustParse("50m"))}, ScaleDown: &autoscaling.HPAScalingRules{Tolerance: ptr(quantity.MustParse("0.00001"))},
			},
		},
		Status: autoscaling.HorizontalPodAutoscalerStatus{CurrentReplicas: 8, DesiredReplicas: 9, Conditions: []autoscaling.HorizontalPodAutoscalerCondition{
			{Type: "AbleToScale", Status: "True"}, {Type: "AbleToScale", Status: "False"},
		}},
	}
	checkRendered(t, &horizontalPodAutoscalers, Options{}, a, `
		kube_horizontalpodautoscaler_info{namespace="shop",horizontalpodautoscaler="web",scaletargetref_api_version="apps/v1",scaletargetref_kind="Deployment",scaletargetref_name="web"} 1
		kube_horizontalpodautoscaler_metadata_generation{namespace="shop",horizontalpodautoscaler="web"} 0
		kube_horizontalpodautoscaler_spec_max_replicas{namespace="shop",horizontalpodautoscaler="web"} 20
		kube_horizontalpodautoscaler_spec_min_replicas{namespace="shop",horizontalpodautoscaler="web"} 0
		kube_horizontalpodautoscaler_spec_behavior_scale_down_tolerance{namespace="shop",horizontalpodautoscaler="web"} 0.001
		kube_horizontalpodautoscaler_spec_behavior_scale_up_tolerance{namespace="shop",horizontalpodautoscaler="web"} 0.05
		kube_horizontalpodautoscaler_status_current_replicas{namespace="shop",horizontalpodautoscaler="web"} 8
		kube_horizontalpodautoscaler_status_desired_replicas{namespace="shop",horizontalpodautoscaler="web"} 9
		kube_horizontalpodautoscaler_status_condition{namespace="shop",horizontalpodautoscaler="web",condition="AbleToScale",status="true"} 1
		kube_horizontalpodautoscaler_status_condition{namespace="shop",horizontalpodautoscaler="web",condition="AbleToScale",status="false"} 0
		kube_horizontalpodautoscaler_status_condition{namespace="shop",horizontalpodautoscaler="web",condition="AbleToScale",status="unknown"} 0
		kube_horizontalpodautoscaler_created{namespace="shop",horizontalpodautoscaler="web"} 1500000000
	`)
	bare := &autoscaling.HorizontalPodAutoscaler{Spec: autoscaling.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscaling.CrossVersionObjectReference{Kind: "ReplicationController", Name: "old"}, Behavior: &autoscaling.HorizontalPodAutoscalerBehavior{},
	}}
	checkRendered(t, &horizontalPodAutoscalers, Options{}, bare, `
		kube_horizontalpodautoscaler_info{namespace="",horizontalpodautoscaler="",scaletargetref_kind="ReplicationController",scaletargetref_name="old"} 1
		kube_horizontalpodautoscaler_metadata_generation{namespace="",horizontalpodautoscaler=""} 0
		kube_horizontalpodautoscaler_spec_max_replicas{namespace="",horizontalpodautoscaler=""} 0
		kube_horizontalpodautoscaler_spec_min_replicas{namespace="",horizontalpodautoscaler=""} 1
		kube_horizontalpodautoscaler_status_current_replicas{namespace="",horizontalpodautoscaler=""} 0
		kube_horizontalpodautoscaler_status_desired_replicas{namespace="",horizontalpodautoscaler=""} 0
	`)
}

// TestHorizontalPodAutoscalersMetrics: every kind of metric, one whose source is
// missing, one of an unknown kind, and two of one name.
func TestHorizontalPodAutoscalersMetrics(t *testing.T) {
	queue := autoscaling.MetricIdentifier{Name: "queue"}
	value := func(s string) autoscaling.MetricTarget {
		return autoscaling.MetricTarget{AverageValue: ptr(quantity.MustParse(s))}
	}
	a := &autoscaling.HorizontalPodAutoscaler{}
	a.Spec.Metrics = []autoscaling.MetricSpec{
		{Type: "Resource", Resource: &autoscaling.ResourceMetricSource{Name: "cpu", Target: autoscaling.MetricTarget{AverageUtilization: ptr(int32(70))}}},
		{Type: "ContainerResource", ContainerResource: &autoscaling.ContainerResourceMetricSource{Name: "cpu", Container: "web", Target: value("250500m")}},
		{Type: "Pods", Pods: &autoscaling.PodsMetricSource{Metric: autoscaling.MetricIdentifier{Name: "rate"}, Target: value("800Mi")}},
		{Type: "Object", Object: &autoscaling.ObjectMetricSource{Metric: autoscaling.MetricIdentifier{Name: `a"b`}, Target: autoscaling.MetricTarget{Value: ptr(quantity.MustParse("10k"))}}},
		{Type: "External", External: &autoscaling.ExternalMetricSource{Metric: queue, Target: value("30")}},
		{Type: "External", External: &autoscaling.ExternalMetricSource{Metric: queue, Target: value("31")}},
		{Type: "External"}, {Type: "Pods"}, {Type: "Object"}, {Type: "Resource"}, {Type: "ContainerResource"},
		{Type: "Future", Pods: &autoscaling.PodsMetricSource{Target: value("1")}},
	}
	current := autoscaling.MetricValueStatus{Value: ptr(quantity.MustParse("96")), AverageValue: ptr(quantity.MustParse("0.0001")), AverageUtilization: ptr(int32(81))}
	a.Status.CurrentMetrics = []autoscaling.MetricStatus{
		{Type: "Resource", Resource: &autoscaling.ResourceMetricStatus{Name: "cpu", Current: current}},
		{Type: "ContainerResource", ContainerResource: &autoscaling.ContainerResourceMetricStatus{Name: "cpu", Container: "web", Current: autoscaling.MetricValueStatus{Value: current.Value}}},
		{Type: "Pods", Pods: &autoscaling.PodsMetricStatus{Metric: autoscaling.MetricIdentifier{Name: "rate"}}},
		{Type: "Object", Object: &autoscaling.ObjectMetricStatus{Metric: autoscaling.MetricIdentifier{Name: "hits"}, Current: autoscaling.MetricValueStatus{Value: current.Value}}},
		{Type: "External", External: &autoscaling.ExternalMetricStatus{Metric: queue, Current: autoscaling.MetricValueStatus{Value: current.Value}}},
		{}, {Type: "External"},
	}
	checkRendered(t, &horizontalPodAutoscalers, Options{}, a, `
		kube_horizontalpodautoscaler_spec_target_metric{namespace="",horizontalpodautoscaler="",metric_name="cpu",metric_target_type="utilization",container=""} 70
		kube_horizontalpodautoscaler_spec_target_metric{namespace="",horizontalpodautoscaler="",metric_name="cpu",metric_target_type="average",container="web"} 250.5
		kube_horizontalpodautoscaler_spec_target_metric{namespace="",horizontalpodautoscaler="",metric_name="rate",metric_target_type="average",container=""} 838860800
		kube_horizontalpodautoscaler_spec_target_metric{namespace="",horizontalpodautoscaler="",metric_name="a\"b",metric_target_type="value",container=""} 10000
		kube_horizontalpodautoscaler_spec_target_metric{namespace="",horizontalpodautoscaler="",metric_name="queue",metric_target_type="average",container=""} 30
		kube_horizontalpodautoscaler_status_target_metric{namespace="",horizontalpodautoscaler="",metric_name="cpu",metric_target_type="value",container=""} 96
		kube_horizontalpodautoscaler_status_target_metric{namespace="",horizontalpodautoscaler="",metric_name="cpu",metric_target_type="average",container=""} 0.001
		kube_horizontalpodautoscaler_status_target_metric{namespace="",horizontalpodautoscaler="",metric_name="cpu",metric_target_type="utilization",container=""} 81
		kube_horizontalpodautoscaler_status_target_metric{namespace="",horizontalpodautoscaler="",metric_name="cpu",metric_target_type="value",container="web"} 96
		kube_horizontalpodautoscaler_status_target_metric{namespace="",horizontalpodautoscaler="",metric_name="hits",metric_target_type="value",container=""} 96
		kube_horizontalpodautoscaler_status_target_metric{namespace="",horizontalpodautoscaler="",metric_name="queue",metric_target_type="value",container=""} 96
	`, "kube_horizontalpodautoscaler_spec_target_metric", "kube_horizontalpodautoscaler_status_target_metric")
}
