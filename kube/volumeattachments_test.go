package kube

import (
	"testing"

	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestVolumeAttachments(t *testing.T) {
	a := &storage.VolumeAttachment{
		ObjectMeta: v1.ObjectMeta{Name: "csi-1f2", CreationTimestamp: v1.Unix(1500000000, 0), Labels: map[string]string{"zone": "a"}},
		Spec:       storage.VolumeAttachmentSpec{Attacher: "disk.example", NodeName: "worker-2", Source: storage.VolumeAttachmentSource{PersistentVolumeName: ptr("pvc-6f4")}},
		Status:     storage.VolumeAttachmentStatus{Attached: true, AttachmentMetadata: map[string]string{"devicePath": "/dev/b", "device_path": `C:\`}},
	}
	checkRendered(t, &volumeAttachments, Options{}, a, `
		kube_volumeattachment_labels{volumeattachment="csi-1f2",label_zone="a"} 1
		kube_volumeattachment_info{volumeattachment="csi-1f2",attacher="disk.example",node="worker-2"} 1
		kube_volumeattachment_created{volumeattachment="csi-1f2"} 1500000000
		kube_volumeattachment_spec_source_persistentvolume{volumeattachment="csi-1f2",volumename="pvc-6f4"} 1
		kube_volumeattachment_status_attached{volumeattachment="csi-1f2"} 1
		kube_volumeattachment_status_attachment_metadata{volumeattachment="csi-1f2",metadata_device_path_conflict1="/dev/b",metadata_device_path_conflict2="C:\\"} 1
	`)
	checkRendered(t, &volumeAttachments, Options{}, &storage.VolumeAttachment{}, `
		kube_volumeattachment_labels{volumeattachment=""} 1
		kube_volumeattachment_info{volumeattachment="",attacher="",node=""} 1
		kube_volumeattachment_status_attached{volumeattachment=""} 0
		kube_volumeattachment_status_attachment_metadata{volumeattachment=""} 1
	`)
}
