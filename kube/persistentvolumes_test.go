package kube

import (
	"strings"
	"testing"
)

func TestPersistentVolumes(t *testing.T) {
	checkRendered(t, &persistentVolumes, Options{Keep: func(string, bool) bool { return true }}, object(t, &persistentVolumes, `{
		"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-01T00:00:01Z"},
		"spec": {"capacity": {"storage": "1500m", "iops": "3"}, "claimRef": {"name": "c", "namespace": "n"}, "volumeMode": "Block", "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteOnce"],
			"csi": {"driver": "d", "volumeHandle": "h", "volumeAttributes": {"mounter": "rbd-nbd", "other": "x"}}},
		"status": {"phase": "Bound"}}`), `
		kube_persistentvolume_claim_ref{persistentvolume="o",name="c",claim_namespace="n"} 1
		kube_persistentvolume_status_phase{persistentvolume="o",phase="Pending"} 0
		kube_persistentvolume_status_phase{persistentvolume="o",phase="Available"} 0
		kube_persistentvolume_status_phase{persistentvolume="o",phase="Bound"} 1
		kube_persistentvolume_status_phase{persistentvolume="o",phase="Released"} 0
		kube_persistentvolume_status_phase{persistentvolume="o",phase="Failed"} 0
		`+volumeInfoLine(`csi_driver="d"`, `csi_volume_handle="h"`)+`
		kube_persistentvolume_capacity_bytes{persistentvolume="o"} 2
		kube_persistentvolume_created{persistentvolume="o"} 1767225600
		kube_persistentvolume_deletion_timestamp{persistentvolume="o"} 1767225601
		kube_persistentvolume_csi_attributes{persistentvolume="o",csi_mounter="rbd-nbd",csi_map_options=""} 1
		kube_persistentvolume_volume_mode{persistentvolume="o",volumemode="Block"} 1
		kube_persistentvolume_access_mode{persistentvolume="o",access_mode="ReadWriteOnce"} 1
		kube_persistentvolume_access_mode{persistentvolume="o",access_mode="ReadOnlyMany"} 1
	`)
	checkRendered(t, &persistentVolumes, Options{Keep: func(string, bool) bool { return true }}, object(t, &persistentVolumes, `{}`), `
		`+volumeInfoLine()+`
		kube_persistentvolume_capacity_bytes{persistentvolume="o"} 0
		kube_persistentvolume_volume_mode{persistentvolume="o",volumemode="Filesystem"} 1
	`)
	for spec, set := range map[string][]string{
		`"storageClassName": "s", "persistentVolumeReclaimPolicy": "Retain"`: {`storageclass="s"`, `reclaim_policy="Retain"`},
		`"gcePersistentDisk": {"pdName": "d"}`:                               {`gce_persistent_disk_name="d"`},
		`"awsElasticBlockStore": {"volumeID": "v"}`:                          {`ebs_volume_id="v"`},
		`"azureDisk": {"diskName": "d"}`:                                     {`azure_disk_name="d"`},
		`"fc": {"wwids": ["1", "2"], "targetWWNs": ["3", "4"], "lun": 0}`:    {`fc_wwids="1,2"`, `fc_target_wwns="3,4"`, `fc_lun="0"`},
		`"fc": {}`: {},
		`"iscsi": {"targetPortal": "p", "iqn": "q"}`:                                 {`iscsi_target_portal="p"`, `iscsi_iqn="q"`, `iscsi_lun="0"`},
		`"iscsi": {"lun": 7, "initiatorName": "i"}`:                                  {`iscsi_lun="7"`, `iscsi_initiator_name="i"`},
		`"nfs": {"server": "s", "path": "/p"}`:                                       {`nfs_server="s"`, `nfs_path="/p"`},
		`"local": {"path": "/p", "fsType": "xfs"}`:                                   {`local_path="/p"`, `local_fs="xfs"`},
		`"hostPath": {"path": "/p", "type": "Directory"}`:                            {`host_path="/p"`, `host_path_type="Directory"`},
		`"hostPath": {"path": "/p"}, "awsElasticBlockStore": {"volumeID": "first!"}`: {`ebs_volume_id="first!"`},
	} {
		checkRendered(t, &persistentVolumes, Options{}, object(t, &persistentVolumes, `{"spec": {`+spec+`}}`), volumeInfoLine(set...)+"\n", "kube_persistentvolume_info")
	}
}

// volumeInfoLine is a sample of kube_persistentvolume_info with these labels set,
// the others empty.
func volumeInfoLine(set ...string) string {
	labels := `storageclass="",gce_persistent_disk_name="",ebs_volume_id="",azure_disk_name="",fc_wwids="",fc_lun="",fc_target_wwns="",iscsi_target_portal="",iscsi_iqn="",` +
		`iscsi_lun="",iscsi_initiator_name="",nfs_server="",nfs_path="",csi_driver="",csi_volume_handle="",local_path="",local_fs="",host_path="",host_path_type="",reclaim_policy=""`
	for _, s := range set {
		name, _, _ := strings.Cut(s, "=")
		labels = strings.Replace(labels, name+`=""`, s, 1)
	}
	return `kube_persistentvolume_info{persistentvolume="o",` + labels + `} 1`
}
