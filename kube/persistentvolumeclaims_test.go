package kube

import "testing"

func TestPersistentVolumeClaims(t *testing.T) {
	checkRendered(t, &persistentVolumeClaims, Options{}, object(t, &persistentVolumeClaims, `{
		"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:01Z", "annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
		"spec": {"storageClassName": "new", "volumeName": "v", "volumeMode": "Block", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
		"status": {"phase": "Lost", "conditions": [{"type": "Resizing", "status": "True"}]}}`), `
		kube_persistentvolumeclaim_info{namespace="a",persistentvolumeclaim="o",storageclass="old",volumename="v",volumemode="Block"} 1
		kube_persistentvolumeclaim_status_phase{namespace="a",persistentvolumeclaim="o",phase="Lost"} 1
		kube_persistentvolumeclaim_status_phase{namespace="a",persistentvolumeclaim="o",phase="Bound"} 0
		kube_persistentvolumeclaim_status_phase{namespace="a",persistentvolumeclaim="o",phase="Pending"} 0
		kube_persistentvolumeclaim_resource_requests_storage_bytes{namespace="a",persistentvolumeclaim="o"} 1073741824
		kube_persistentvolumeclaim_access_mode{namespace="a",persistentvolumeclaim="o",access_mode="ReadWriteMany"} 1
		kube_persistentvolumeclaim_status_condition{namespace="a",persistentvolumeclaim="o",condition="Resizing",status="true"} 1
		kube_persistentvolumeclaim_status_condition{namespace="a",persistentvolumeclaim="o",condition="Resizing",status="false"} 0
		kube_persistentvolumeclaim_status_condition{namespace="a",persistentvolumeclaim="o",condition="Resizing",status="unknown"} 0
		kube_persistentvolumeclaim_created{namespace="a",persistentvolumeclaim="o"} 1767225600
		kube_persistentvolumeclaim_deletion_timestamp{namespace="a",persistentvolumeclaim="o"} 1767225601
	`)
	checkRendered(t, &persistentVolumeClaims, Options{}, object(t, &persistentVolumeClaims, `{"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": ""}}, "spec": {"storageClassName": "new"}}`), `
		kube_persistentvolumeclaim_info{namespace="a",persistentvolumeclaim="o",storageclass="",volumename="",volumemode=""} 1
	`)
}
