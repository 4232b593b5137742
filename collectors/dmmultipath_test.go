package collectors

import (
	"os"
	"testing"
)

func TestDMMultipath(t *testing.T) {
	const b = "sys/block/"
	fs := tree(t, map[string]string{
		b + "dm-0/dm/uuid": "LVM-abc\n", b + "dm-0/dm/name": "vg-root\n",
		b + "dm-5/dm/uuid": "mpath-36001\n", b + "dm-5/dm/name": "mpatha\n", b + "dm-5/dm/suspended": "0\n", b + "dm-5/size": "2048\n",
		b + "dm-5/slaves/sdi": "-> ../../sdi", b + "dm-5/slaves/sdj": "-> ../../sdj", b + "dm-5/slaves/nvme1n1": "-> ../../nvme1n1",
		b + "dm-6/dm/uuid": "mpath-36002\n", b + "dm-6/dm/name": "mpathb\n", b + "dm-6/dm/suspended": "1\n", b + "dm-6/size": "4096\n",
		b + "sdi/device/state": "running\n", b + "sdj/device/state": "offline\n", b + "nvme1n1/device/state": "live\n",
	})
	c := make1(t, "dmmultipath", on(fs))
	same(t, render(t, c), `# TYPE node_dmmultipath_device_info gauge
node_dmmultipath_device_info{device="mpatha",sysfs_name="dm-5",uuid="mpath-36001"} 1
node_dmmultipath_device_info{device="mpathb",sysfs_name="dm-6",uuid="mpath-36002"} 1
# TYPE node_dmmultipath_device_active gauge
node_dmmultipath_device_active{device="mpatha",sysfs_name="dm-5"} 1
node_dmmultipath_device_active{device="mpathb",sysfs_name="dm-6"} 0
# TYPE node_dmmultipath_device_size_bytes gauge
node_dmmultipath_device_size_bytes{device="mpatha",sysfs_name="dm-5"} 1048576
node_dmmultipath_device_size_bytes{device="mpathb",sysfs_name="dm-6"} 2097152
# TYPE node_dmmultipath_device_paths gauge
node_dmmultipath_device_paths{device="mpatha",sysfs_name="dm-5"} 3
node_dmmultipath_device_paths{device="mpathb",sysfs_name="dm-6"} 0
# TYPE node_dmmultipath_device_paths_active gauge
node_dmmultipath_device_paths_active{device="mpatha",sysfs_name="dm-5"} 2
node_dmmultipath_device_paths_active{device="mpathb",sysfs_name="dm-6"} 0
# TYPE node_dmmultipath_device_paths_failed gauge
node_dmmultipath_device_paths_failed{device="mpatha",sysfs_name="dm-5"} 1
node_dmmultipath_device_paths_failed{device="mpathb",sysfs_name="dm-6"} 0
# TYPE node_dmmultipath_path_state gauge
node_dmmultipath_path_state{device="mpatha",path="nvme1n1",state="live"} 1
node_dmmultipath_path_state{device="mpatha",path="sdi",state="running"} 1
node_dmmultipath_path_state{device="mpatha",path="sdj",state="offline"} 1
`)

	// A path that vanishes is no path; a device that cannot be read costs itself.
	os.RemoveAll(fs.SysPath("block/sdj"))
	if v := values(t, render(t, c))[`node_dmmultipath_device_paths{device="mpatha",sysfs_name="dm-5"}`]; v != 2 {
		t.Errorf("%v paths", v)
	}
	unreadable(t, fs.SysPath("block/dm-6/dm/uuid"))
	costs(t, c, "dm-6/dm/uuid", `device="mpatha"`, `device="mpathb"`)
}
