package kube

import (
	"strings"

	"k8s.io/api/core/v1"
)

// Persistent volumes.
var persistentVolumes = resource{
	name: "persistentvolumes", version: v1.SchemeGroupVersion, kind: "PersistentVolume", on: true,
	labels: []string{"persistentvolume"},
	families: []family{
		gauge("kube_persistentvolume_claim_ref", "The claim that the volume is bound to; always 1.", volumeClaim, "name", "claim_namespace"),
		annotations("kube_persistentvolume_annotations", "The volume's annotations that are allowed, as labels; always 1."),
		labels("kube_persistentvolume_labels", "The volume's labels that are allowed, as labels; always 1."),
		gauge("kube_persistentvolume_status_phase", "1 for the phase that the volume is in, 0 for the others.", volumePhase, "phase"),
		gauge("kube_persistentvolume_info", "What the volume is made of; always 1.", volumeInfo,
			"storageclass", "gce_persistent_disk_name", "ebs_volume_id", "azure_disk_name", "fc_wwids", "fc_lun", "fc_target_wwns",
			"iscsi_target_portal", "iscsi_iqn", "iscsi_lun", "iscsi_initiator_name", "nfs_server", "nfs_path", "csi_driver", "csi_volume_handle",
			"local_path", "local_fs", "host_path", "host_path_type", "reclaim_policy"),
		gauge("kube_persistentvolume_capacity_bytes", "Size of the volume in bytes.",
			func(l *Lines, v *v1.PersistentVolume) { l.Whole(v.Spec.Capacity[v1.ResourceStorage]) }),
		created("kube_persistentvolume_created", "When the volume was made, in seconds since the epoch."),
		deleted("kube_persistentvolume_deletion_timestamp", "When the volume that is being deleted is to be gone, in seconds since the epoch."),
		gauge("kube_persistentvolume_csi_attributes", "How a volume of a CSI driver is attached, as Ceph's driver has it; always 1.", volumeCSI,
			"csi_mounter", "csi_map_options").optional(),
		gauge("kube_persistentvolume_volume_mode", "Whether pods see a file system or a block device; always 1.", volumeMode, "volumemode"),
		gauge("kube_persistentvolume_access_mode", "A way that the volume can be mounted; always 1.", volumeAccess, "access_mode"),
	},
}

func volumeClaim(l *Lines, v *v1.PersistentVolume) {
	if c := v.Spec.ClaimRef; c != nil {
		l.Add(1, c.Name, c.Namespace)
	}
}

var volumePhases = []string{string(v1.VolumePending), string(v1.VolumeAvailable), string(v1.VolumeBound), string(v1.VolumeReleased), string(v1.VolumeFailed)}

func volumePhase(l *Lines, v *v1.PersistentVolume) {
	if v.Status.Phase != "" {
		l.OneOf(volumePhases, string(v.Status.Phase))
	}
}

func volumeInfo(l *Lines, v *v1.PersistentVolume) {
	var gce, ebs, azure, wwids, fcLUN, wwns, portal, iqn, iscsiLUN, initiator, server, export, driver, handle, localPath, localFS, hostPath, hostType string
	switch s := &v.Spec.PersistentVolumeSource; {
	case s.GCEPersistentDisk != nil:
		gce = s.GCEPersistentDisk.PDName
	case s.AWSElasticBlockStore != nil:
		ebs = s.AWSElasticBlockStore.VolumeID
	case s.AzureDisk != nil:
		azure = s.AzureDisk.DiskName
	case s.FC != nil:
		wwids, wwns = strings.Join(s.FC.WWIDs, ","), strings.Join(s.FC.TargetWWNs, ",")
		if s.FC.Lun != nil {
			fcLUN = l.Digits(int64(*s.FC.Lun))
		}
	case s.ISCSI != nil:
		portal, iqn, iscsiLUN = s.ISCSI.TargetPortal, s.ISCSI.IQN, l.Digits(int64(s.ISCSI.Lun))
		if s.ISCSI.InitiatorName != nil {
			initiator = *s.ISCSI.InitiatorName
		}
	case s.NFS != nil:
		server, export = s.NFS.Server, s.NFS.Path
	case s.CSI != nil:
		driver, handle = s.CSI.Driver, s.CSI.VolumeHandle
	case s.Local != nil:
		localPath = s.Local.Path
		if s.Local.FSType != nil {
			localFS = *s.Local.FSType
		}
	case s.HostPath != nil:
		hostPath = s.HostPath.Path
		if s.HostPath.Type != nil {
			hostType = string(*s.HostPath.Type)
		}
	}
	l.Add(1, v.Spec.StorageClassName, gce, ebs, azure, wwids, fcLUN, wwns, portal, iqn, iscsiLUN, initiator, server, export, driver, handle,
		localPath, localFS, hostPath, hostType, string(v.Spec.PersistentVolumeReclaimPolicy))
}

func volumeCSI(l *Lines, v *v1.PersistentVolume) {
	if v.Spec.CSI != nil {
		l.Add(1, v.Spec.CSI.VolumeAttributes["mounter"], v.Spec.CSI.VolumeAttributes["mapOptions"])
	}
}

func volumeMode(l *Lines, v *v1.PersistentVolume) {
	mode := v1.PersistentVolumeFilesystem // what it is where nothing is said
	if v.Spec.VolumeMode != nil {
		mode = *v.Spec.VolumeMode
	}
	l.Add(1, string(mode))
}

func volumeAccess(l *Lines, v *v1.PersistentVolume) {
	for _, m := range v.Spec.AccessModes {
		l.Add(1, string(m))
	}
}
