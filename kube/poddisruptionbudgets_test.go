package kube

import (
	"testing"

	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodDisruptionBudgets(t *testing.T) {
	gone := v1.Unix(1500000600, 0)
	b := &policy.PodDisruptionBudget{
		ObjectMeta: v1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: v1.Unix(1500000000, 0), DeletionTimestamp: &gone},
		Status:     policy.PodDisruptionBudgetStatus{CurrentHealthy: 6, DesiredHealthy: 5, DisruptionsAllowed: 1, ExpectedPods: 8, ObservedGeneration: 2},
	}
	checkRendered(t, &podDisruptionBudgets, Options{}, b, `
		kube_poddisruptionbudget_created{namespace="shop",poddisruptionbudget="web"} 1500000000
		kube_poddisruptionbudget_status_current_healthy{namespace="shop",poddisruptionbudget="web"} 6
		kube_poddisruptionbudget_status_desired_healthy{namespace="shop",poddisruptionbudget="web"} 5
		kube_poddisruptionbudget_status_pod_disruptions_allowed{namespace="shop",poddisruptionbudget="web"} 1
		kube_poddisruptionbudget_status_expected_pods{namespace="shop",poddisruptionbudget="web"} 8
		kube_poddisruptionbudget_status_observed_generation{namespace="shop",poddisruptionbudget="web"} 2
		kube_poddisruptionbudget_deletion_timestamp{namespace="shop",poddisruptionbudget="web"} 1500000600
	`)
}
