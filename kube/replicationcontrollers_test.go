package kube

import "testing"

func TestReplicationControllers(t *testing.T) {
	checkRendered(t, &replicationControllers, Options{}, object(t, &replicationControllers, `{
		"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3, "ownerReferences": [{"kind": "DeploymentConfig", "name": "d", "controller": true}]},
		"spec": {"replicas": 0}, "status": {"replicas": 5, "fullyLabeledReplicas": 4, "readyReplicas": 3, "availableReplicas": 2, "observedGeneration": 1}}`), `
		kube_replicationcontroller_created{namespace="a",replicationcontroller="o"} 1767225600
		kube_replicationcontroller_status_replicas{namespace="a",replicationcontroller="o"} 5
		kube_replicationcontroller_status_fully_labeled_replicas{namespace="a",replicationcontroller="o"} 4
		kube_replicationcontroller_status_ready_replicas{namespace="a",replicationcontroller="o"} 3
		kube_replicationcontroller_status_available_replicas{namespace="a",replicationcontroller="o"} 2
		kube_replicationcontroller_status_observed_generation{namespace="a",replicationcontroller="o"} 1
		kube_replicationcontroller_spec_replicas{namespace="a",replicationcontroller="o"} 0
		kube_replicationcontroller_metadata_generation{namespace="a",replicationcontroller="o"} 3
		kube_replicationcontroller_owner{namespace="a",replicationcontroller="o",owner_kind="DeploymentConfig",owner_name="d",owner_is_controller="true"} 1
	`)
	checkRendered(t, &replicationControllers, Options{}, object(t, &replicationControllers, `{}`), "", "kube_replicationcontroller_spec_replicas", "kube_replicationcontroller_created")
}
