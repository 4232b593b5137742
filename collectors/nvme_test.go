package collectors

import (
	"os"
	"testing"

	"watchpost/internal/hostfs"
)

func nvmeTree(t *testing.T) hostfs.FS {
	const c = "sys/class/nvme/nvme0/"
	return tree(t, map[string]string{
		c + "model": "EXAMPLE 1TB \n", c + "serial": "S1\n", c + "firmware_rev": "1.0\n", c + "state": "live\n", c + "cntlid": "6\n",
		c + "nvme0n1/size": "2048\n", c + "nvme0n1/nuse": "100\n", c + "nvme0n1/queue/logical_block_size": "4096\n", c + "nvme0n1/ana_state": "optimized\n",
		c + "power/control": "auto\n", c + "nvme0c0n1/size": "1\n",
		"sys/class/nvme/nvme1/model": "OTHER\n", "sys/class/nvme/nvme1/state": "connecting\n",
	})
}

func TestNVMe(t *testing.T) {
	same(t, render(t, make1(t, "nvme", on(nvmeTree(t)))), `# TYPE node_nvme_info gauge
node_nvme_info{device="nvme0",firmware_revision="1.0",model="EXAMPLE 1TB",serial="S1",state="live",cntlid="6"} 1
node_nvme_info{device="nvme1",firmware_revision="",model="OTHER",serial="",state="connecting",cntlid=""} 1
# TYPE node_nvme_namespace_info gauge
node_nvme_namespace_info{device="nvme0",nsid="1",ana_state="optimized"} 1
# TYPE node_nvme_namespace_capacity_bytes gauge
node_nvme_namespace_capacity_bytes{device="nvme0",nsid="1"} 1048576
# TYPE node_nvme_namespace_size_bytes gauge
node_nvme_namespace_size_bytes{device="nvme0",nsid="1"} 1048576
# TYPE node_nvme_namespace_used_bytes gauge
node_nvme_namespace_used_bytes{device="nvme0",nsid="1"} 409600
# TYPE node_nvme_namespace_logical_block_size_bytes gauge
node_nvme_namespace_logical_block_size_bytes{device="nvme0",nsid="1"} 4096
`)
}

// A controller that cannot be read whole is told as far as it can; a namespace
// that cannot be, is not.
func TestNVMeFaults(t *testing.T) {
	fs := nvmeTree(t)
	unreadable(t, fs.SysPath("class/nvme/nvme0/nvme0n1/nuse"))
	c := make1(t, "nvme", on(fs))
	costs(t, c, "nvme0n1/nuse", `node_nvme_info{device="nvme0"`, "node_nvme_namespace")
	os.RemoveAll(fs.SysPath("class/nvme/nvme0"))
	same(t, render(t, c), `# TYPE node_nvme_info gauge
node_nvme_info{device="nvme1",firmware_revision="",model="OTHER",serial="",state="connecting",cntlid=""} 1
`)
}

func TestNVMeNamespaceID(t *testing.T) {
	for name, want := range map[string]string{"nvme0n1": "1", "nvme12n34": "34", "nvme0c0n1": "", "nvme0": "", "nvmen1": "", "nvme0n": "", "nvme0n1p1": "", "hwmon1": "", "power": ""} {
		if id, ok := nvmeNamespaceID(name); ok != (want != "") || ok && id != want {
			t.Errorf("%s: %q, %v", name, id, ok)
		}
	}
}
