package kube

import (
	"testing"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestReplicaSets(t *testing.T) {
	r := &apps.ReplicaSet{
		ObjectMeta: v1.ObjectMeta{Namespace: "shop", Name: "web-7c9", Generation: 2, OwnerReferences: []v1.OwnerReference{{Kind: "Deployment", Name: "web", Controller: ptr(true)}}},
		Spec:       apps.ReplicaSetSpec{Replicas: ptr(int32(4))},
		Status:     apps.ReplicaSetStatus{Replicas: 5, FullyLabeledReplicas: 3, ReadyReplicas: 2, TerminatingReplicas: ptr(int32(1)), ObservedGeneration: 6},
	}
	checkRendered(t, &replicaSets, Options{}, r, `
		kube_replicaset_status_replicas{namespace="shop",replicaset="web-7c9"} 5
		kube_replicaset_status_fully_labeled_replicas{namespace="shop",replicaset="web-7c9"} 3
		kube_replicaset_status_ready_replicas{namespace="shop",replicaset="web-7c9"} 2
		kube_replicaset_status_terminating_replicas{namespace="shop",replicaset="web-7c9"} 1
		kube_replicaset_status_observed_generation{namespace="shop",replicaset="web-7c9"} 6
		kube_replicaset_spec_replicas{namespace="shop",replicaset="web-7c9"} 4
		kube_replicaset_metadata_generation{namespace="shop",replicaset="web-7c9"} 2
		kube_replicaset_owner{namespace="shop",replicaset="web-7c9",owner_kind="Deployment",owner_name="web",owner_is_controller="true"} 1
	`)
	checkRendered(t, &replicaSets, Options{}, &apps.ReplicaSet{}, "", "kube_replicaset_spec_replicas", "kube_replicaset_status_terminating_replicas")
}
