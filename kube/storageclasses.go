package kube

import (
	"cmp"

	"k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
)

// Storage classes.
var storageClasses = resource{
	name: "storageclasses", version: storage.SchemeGroupVersion, kind: "StorageClass", on: true,
	labels: []string{"storageclass"},
	families: []family{
		gauge("kube_storageclass_info", "A storage class, what makes its volumes, and what becomes of them; always 1.",
			storageClassInfo, "provisioner", "reclaim_policy", "volume_binding_mode"),
		created("kube_storageclass_created", "When the storage class was made, in seconds since the epoch."),
		annotations("kube_storageclass_annotations", "The storage class's annotations that are allowed, as labels; always 1."),
		labels("kube_storageclass_labels", "The storage class's labels that are allowed, as labels; always 1."),
	},
}

// storageClassInfo fills in the API's defaults.
func storageClassInfo(l *Lines, c *storage.StorageClass) {
	l.Add(1, c.Provisioner,
		cmp.Or(word(c.ReclaimPolicy), string(v1.PersistentVolumeReclaimDelete)),
		cmp.Or(word(c.VolumeBindingMode), string(storage.VolumeBindingImmediate)))
}
