package kube

import (
	"testing"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStatefulSets(t *testing.T) {
	s := &apps.StatefulSet{
		ObjectMeta: v1.ObjectMeta{Namespace: "search", Name: "search", Generation: 9},
		Spec: apps.StatefulSetSpec{
			Replicas: ptr(int32(3)), Ordinals: &apps.StatefulSetOrdinals{Start: 5},
			PersistentVolumeClaimRetentionPolicy: &apps.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: "Retain"},
		},
		Status: apps.StatefulSetStatus{
			Replicas: 1, AvailableReplicas: 2, CurrentReplicas: 3, ReadyReplicas: 4, UpdatedReplicas: 5, ObservedGeneration: 6, CurrentRevision: "search-6d8", UpdateRevision: "search-7b9",
		},
	}
	checkRendered(t, &statefulSets, Options{}, s, `
		kube_statefulset_status_replicas{namespace="search",statefulset="search"} 1
		kube_statefulset_status_replicas_available{namespace="search",statefulset="search"} 2
		kube_statefulset_status_replicas_current{namespace="search",statefulset="search"} 3
		kube_statefulset_status_replicas_ready{namespace="search",statefulset="search"} 4
		kube_statefulset_status_replicas_updated{namespace="search",statefulset="search"} 5
		kube_statefulset_status_observed_generation{namespace="search",statefulset="search"} 6
		kube_statefulset_replicas{namespace="search",statefulset="search"} 3
		kube_statefulset_ordinals_start{namespace="search",statefulset="search"} 5
		kube_statefulset_metadata_generation{namespace="search",statefulset="search"} 9
		kube_statefulset_persistentvolumeclaim_retention_policy{namespace="search",statefulset="search",when_deleted="Retain",when_scaled=""} 1
		kube_statefulset_status_current_revision{namespace="search",statefulset="search",revision="search-6d8"} 1
		kube_statefulset_status_update_revision{namespace="search",statefulset="search",revision="search-7b9"} 1
	`)
	// What is not given has no sample, but for the revisions.
	bare := &apps.StatefulSet{Spec: apps.StatefulSetSpec{PersistentVolumeClaimRetentionPolicy: &apps.StatefulSetPersistentVolumeClaimRetentionPolicy{}}}
	checkRendered(t, &statefulSets, Options{}, bare, `
		kube_statefulset_status_current_revision{namespace="",statefulset="",revision=""} 1
	`, "kube_statefulset_replicas", "kube_statefulset_ordinals_start", "kube_statefulset_persistentvolumeclaim_retention_policy", "kube_statefulset_status_current_revision")
}
