package collectors

import (
	"os"
	"testing"
)

func TestNVMeSubsystem(t *testing.T) {
	const s = "sys/class/nvme-subsystem/nvme-subsys0/"
	fs := tree(t, map[string]string{
		s + "subsysnqn": "nqn.2014-08.org.example:1\n", s + "model": "ARRAY\n", s + "serial": "A1\n", s + "iopolicy": "numa\n",
		s + "nvme0/state": "live\n", s + "nvme0/transport": "tcp\n",
		s + "nvme1/state": "deleting (no IO)\n", s + "nvme1/transport": "rdma\n",
		s + "nvme0n1/": "", s + "nvme0c1n1/": "", s + "power/": "",
		"sys/class/nvme-subsystem/other/": "",
	})
	c := make1(t, "nvmesubsystem", on(fs))
	same(t, render(t, c), `# TYPE node_nvmesubsystem_info gauge
node_nvmesubsystem_info{subsystem="nvme-subsys0",nqn="nqn.2014-08.org.example:1",model="ARRAY",serial="A1",iopolicy="numa"} 1
# TYPE node_nvmesubsystem_namespace_info gauge
node_nvmesubsystem_namespace_info{subsystem="nvme-subsys0",device="nvme0n1"} 1
# TYPE node_nvmesubsystem_paths gauge
node_nvmesubsystem_paths{subsystem="nvme-subsys0"} 2
# TYPE node_nvmesubsystem_paths_live gauge
node_nvmesubsystem_paths_live{subsystem="nvme-subsys0"} 1
# TYPE node_nvmesubsystem_path_state gauge
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="connecting"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="dead"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="deleting"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="live"} 1
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="new"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="resetting"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme0",transport="tcp",state="unknown"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="connecting"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="dead"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="deleting"} 1
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="live"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="new"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="resetting"} 0
node_nvmesubsystem_path_state{subsystem="nvme-subsys0",controller="nvme1",transport="rdma",state="unknown"} 0
`)

	unreadable(t, fs.SysPath("class/nvme-subsystem/nvme-subsys0/nvme1/state"))
	costs(t, c, "nvme1/state", `node_nvmesubsystem_paths{subsystem="nvme-subsys0"} 1`, `controller="nvme1"`)
	os.RemoveAll(fs.SysPath("class/nvme-subsystem/nvme-subsys0"))
	same(t, render(t, c), "")
}

func TestNVMeState(t *testing.T) {
	for in, want := range map[string]string{"live": "live", "deleting": "deleting", "": "unknown", "something new": "unknown"} {
		if got := nvmeState(in); got != want {
			t.Errorf("%q is %s", in, got)
		}
	}
}
