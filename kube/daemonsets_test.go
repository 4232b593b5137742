package kube

import (
	"testing"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDaemonSets(t *testing.T) {
	gone := v1.Unix(1500000600, 0)
	d := &apps.DaemonSet{
		ObjectMeta: v1.ObjectMeta{Namespace: "platform", Name: "agent", Generation: 4, CreationTimestamp: v1.Unix(1500000000, 0), DeletionTimestamp: &gone},
		Status: apps.DaemonSetStatus{
			CurrentNumberScheduled: 1, DesiredNumberScheduled: 2, NumberAvailable: 3, NumberMisscheduled: 4,
			NumberReady: 5, NumberUnavailable: 6, ObservedGeneration: 7, UpdatedNumberScheduled: 8,
		},
	}
	checkRendered(t, &daemonSets, Options{}, d, `
		kube_daemonset_created{namespace="platform",daemonset="agent"} 1500000000
		kube_daemonset_status_current_number_scheduled{namespace="platform",daemonset="agent"} 1
		kube_daemonset_status_desired_number_scheduled{namespace="platform",daemonset="agent"} 2
		kube_daemonset_status_number_available{namespace="platform",daemonset="agent"} 3
		kube_daemonset_status_number_misscheduled{namespace="platform",daemonset="agent"} 4
		kube_daemonset_status_number_ready{namespace="platform",daemonset="agent"} 5
		kube_daemonset_status_number_unavailable{namespace="platform",daemonset="agent"} 6
		kube_daemonset_status_observed_generation{namespace="platform",daemonset="agent"} 7
		kube_daemonset_status_updated_number_scheduled{namespace="platform",daemonset="agent"} 8
		kube_daemonset_metadata_generation{namespace="platform",daemonset="agent"} 4
		kube_daemonset_deletion_timestamp{namespace="platform",daemonset="agent"} 1500000600
	`)
}
