package kube

import "k8s.io/api/core/v1"

// Persistent volume claims.
var persistentVolumeClaims = resource{
	name: "persistentvolumeclaims", version: v1.SchemeGroupVersion, kind: "PersistentVolumeClaim", namespaced: true, on: true,
	labels: []string{"namespace", "persistentvolumeclaim"},
	families: []family{
		labels("kube_persistentvolumeclaim_labels", "The claim's labels that are allowed, as labels; always 1."),
		annotations("kube_persistentvolumeclaim_annotations", "The claim's annotations that are allowed, as labels; always 1."),
		gauge("kube_persistentvolumeclaim_info", "The storage that the claim asks for and the volume that it got; always 1.", claimInfo,
			"storageclass", "volumename", "volumemode"),
		gauge("kube_persistentvolumeclaim_status_phase", "1 for the phase that the claim is in, 0 for the others.", claimPhase, "phase"),
		gauge("kube_persistentvolumeclaim_resource_requests_storage_bytes", "Bytes that the claim asks for.", claimRequest),
		gauge("kube_persistentvolumeclaim_access_mode", "A way that the claim wants its volume mounted; always 1.", claimAccess, "access_mode"),
		gauge("kube_persistentvolumeclaim_status_condition", "1 for the status of each condition of the claim, 0 for the others.", claimConditions,
			"condition", "status"),
		created("kube_persistentvolumeclaim_created", "When the claim was made, in seconds since the epoch."),
		deleted("kube_persistentvolumeclaim_deletion_timestamp", "When the claim that is being deleted is to be gone, in seconds since the epoch."),
	},
}

func claimInfo(l *Lines, c *v1.PersistentVolumeClaim) {
	class, old := c.Annotations[v1.BetaStorageClassAnnotation] // it outranks the field
	if !old && c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	mode := ""
	if c.Spec.VolumeMode != nil {
		mode = string(*c.Spec.VolumeMode)
	}
	l.Add(1, class, c.Spec.VolumeName, mode)
}

var claimPhases = []string{string(v1.ClaimLost), string(v1.ClaimBound), string(v1.ClaimPending)}

func claimPhase(l *Lines, c *v1.PersistentVolumeClaim) {
	if c.Status.Phase != "" {
		l.OneOf(claimPhases, string(c.Status.Phase))
	}
}

func claimRequest(l *Lines, c *v1.PersistentVolumeClaim) {
	if q, ok := c.Spec.Resources.Requests[v1.ResourceStorage]; ok {
		l.Whole(q)
	}
}

func claimAccess(l *Lines, c *v1.PersistentVolumeClaim) {
	for _, m := range c.Spec.AccessModes {
		l.Add(1, string(m))
	}
}

func claimConditions(l *Lines, c *v1.PersistentVolumeClaim) {
	for i := range c.Status.Conditions {
		k := &c.Status.Conditions[i]
		l.Status(string(k.Status), string(k.Type))
	}
}
