package kube

import (
	"testing"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStorageClasses(t *testing.T) {
	c := &storage.StorageClass{
		ObjectMeta: v1.ObjectMeta{Name: "fast", CreationTimestamp: v1.Unix(1500000000, 0)}, Provisioner: "disk.example",
		ReclaimPolicy: ptr(core.PersistentVolumeReclaimRetain), VolumeBindingMode: ptr(storage.VolumeBindingWaitForFirstConsumer),
	}
	checkRendered(t, &storageClasses, Options{}, c, `
		kube_storageclass_info{storageclass="fast",provisioner="disk.example",reclaim_policy="Retain",volume_binding_mode="WaitForFirstConsumer"} 1
		kube_storageclass_created{storageclass="fast"} 1500000000
	`)
	checkRendered(t, &storageClasses, Options{}, &storage.StorageClass{Provisioner: "disk.example"}, `
		kube_storageclass_info{storageclass="",provisioner="disk.example",reclaim_policy="Delete",volume_binding_mode="Immediate"} 1
	`)
}
