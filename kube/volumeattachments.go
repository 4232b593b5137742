package kube

import storage "k8s.io/api/storage/v1"

// Attachments of volumes to nodes.
var volumeAttachments = resource{
	name: "volumeattachments", version: storage.SchemeGroupVersion, kind: "VolumeAttachment", on: true,
	labels: []string{"volumeattachment"},
	families: []family{
		gauge("kube_volumeattachment_labels", "The attachment's labels, all of them, as labels; always 1.",
			func(l *Lines, a *storage.VolumeAttachment) { l.AddPairs(1, promLabels("label_", a.Labels, allKeys)) }),
		gauge("kube_volumeattachment_info", "An attachment of a volume to a node, and what attaches it; always 1.",
			func(l *Lines, a *storage.VolumeAttachment) { l.Add(1, a.Spec.Attacher, a.Spec.NodeName) }, "attacher", "node"),
		created("kube_volumeattachment_created", "When the attachment was made, in seconds since the epoch."),
		gauge("kube_volumeattachment_spec_source_persistentvolume", "The persistent volume that is attached; always 1.", attachedVolume, "volumename"),
		gauge("kube_volumeattachment_status_attached", "Whether the volume is attached.",
			func(l *Lines, a *storage.VolumeAttachment) { l.Bool(a.Status.Attached) }),
		gauge("kube_volumeattachment_status_attachment_metadata", "What the attacher says of the attachment, as labels; always 1.",
			func(l *Lines, a *storage.VolumeAttachment) {
				l.AddPairs(1, promLabels("metadata_", a.Status.AttachmentMetadata, allKeys))
			}),
	},
}

// allKeys is an allow list that names every key.
var allKeys = []string{"*"}

func attachedVolume(l *Lines, a *storage.VolumeAttachment) {
	if v := a.Spec.Source.PersistentVolumeName; v != nil {
		l.Add(1, *v)
	}
}
