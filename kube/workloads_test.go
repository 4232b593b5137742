package kube

import (
	"bytes"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	networking "k8s.io/api/networking/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type workload struct {
	resource *resource
	object   v1.Object
}

// workloads are objects whose status changes all the time, each as it usually is.
func workloads() map[string]workload {
	meta := v1.ObjectMeta{
		Namespace: "storefront", Name: "web-7c9d8f6b5d", ResourceVersion: "332", Generation: 12, CreationTimestamp: v1.Unix(1795238177, 0),
		OwnerReferences: []v1.OwnerReference{{Kind: "Deployment", Name: "web", Controller: ptr(true)}},
	}
	share, start := intstr.FromString("25%"), v1.Unix(1795238190, 0)
	return map[string]workload{
		"daemonsets": {&daemonSets, &apps.DaemonSet{ObjectMeta: meta}},
		"deployments": {&deployments, &apps.Deployment{ObjectMeta: meta,
			Spec: apps.DeploymentSpec{Replicas: ptr(int32(7)), Strategy: apps.DeploymentStrategy{RollingUpdate: &apps.RollingUpdateDeployment{MaxUnavailable: &share, MaxSurge: &share}}},
			Status: apps.DeploymentStatus{Conditions: []apps.DeploymentCondition{
				{Type: "Available", Status: "True", Reason: "MinimumReplicasAvailable"}, {Type: "Progressing", Status: "True", Reason: "NewReplicaSetAvailable"},
			}}}},
		"horizontalpodautoscalers": {&horizontalPodAutoscalers, &autoscaling.HorizontalPodAutoscaler{ObjectMeta: meta,
			Spec: autoscaling.HorizontalPodAutoscalerSpec{MinReplicas: ptr(int32(2)), Metrics: []autoscaling.MetricSpec{
				{Type: "Resource", Resource: &autoscaling.ResourceMetricSource{Name: "cpu", Target: autoscaling.MetricTarget{AverageUtilization: ptr(int32(70))}}},
			}},
			Status: autoscaling.HorizontalPodAutoscalerStatus{CurrentMetrics: []autoscaling.MetricStatus{
				{Type: "Resource", Resource: &autoscaling.ResourceMetricStatus{Name: "cpu", Current: autoscaling.MetricValueStatus{AverageValue: ptr(quantity.MustParse("405m"))}}},
			}, Conditions: []autoscaling.HorizontalPodAutoscalerCondition{{Type: "AbleToScale", Status: "True"}, {Type: "ScalingActive", Status: "True"}}}}},
		"ingresses": {&ingresses, &networking.Ingress{ObjectMeta: meta, Spec: networking.IngressSpec{Rules: []networking.IngressRule{{Host: "a.example",
			IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{Paths: []networking.HTTPIngressPath{
				{Path: "/", PathType: ptr(networking.PathTypePrefix), Backend: networking.IngressBackend{Service: &networking.IngressServiceBackend{Name: "web", Port: networking.ServiceBackendPort{Number: 8080}}}},
			}}}}}}}},
		"jobs": {&jobs, &batch.Job{ObjectMeta: meta, Status: batch.JobStatus{Failed: 1, StartTime: &start, Conditions: []batch.JobCondition{
			{Type: "FailureTarget", Status: "True", Reason: "BackoffLimitExceeded"}, {Type: "Failed", Status: "True", Reason: "BackoffLimitExceeded"},
		}}}},
		"replicasets":  {&replicaSets, &apps.ReplicaSet{ObjectMeta: meta, Spec: apps.ReplicaSetSpec{Replicas: ptr(int32(7))}}},
		"statefulsets": {&statefulSets, &apps.StatefulSet{ObjectMeta: meta, Status: apps.StatefulSetStatus{CurrentRevision: "web-1", UpdateRevision: "web-2"}}},
	}
}

// TestRenderWorkloadsAllocatesNothing guards what a cluster that changes all the time costs.
func TestRenderWorkloadsAllocatesNothing(t *testing.T) {
	for name, w := range workloads() {
		r := newRenderer(w.resource, Options{})
		var out rendering
		if n := testing.AllocsPerRun(10, func() { r.render(w.object, &out) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if len(out.text) == 0 {
			t.Errorf("%s: no lines", name)
		}
	}
}

func BenchmarkRenderWorkloads(b *testing.B) {
	for name, w := range workloads() {
		b.Run(name, func(b *testing.B) {
			r := newRenderer(w.resource, Options{})
			var out rendering
			b.ReportAllocs()
			for b.Loop() {
				r.render(w.object, &out)
			}
			b.ReportMetric(float64(bytes.Count(out.text, []byte{'\n'})), "lines")
		})
	}
}
