package collectors

import "testing"

func TestFibrechannel(t *testing.T) {
	const h = "sys/class/fc_host/host0/"
	fs := tree(t, map[string]string{
		h + "speed": "16 Gbit\n", h + "port_state": "Online\n", h + "port_type": "Point-To-Point (direct nport connection)\n",
		h + "port_id": "0x000002\n", h + "port_name": "0x1000e0071b000001\n", h + "fabric_name": "0x0\n", h + "symbolic_name": "HBA \"x\"\n",
		h + "supported_classes": "Class 3\n", h + "supported_speeds": "8 Gbit, 16 Gbit\n", h + "dev_loss_tmo": "30\n",
		h + "statistics/dumped_frames": "0xffffffffffffffff\n", h + "statistics/tx_frames": "0x13\n", h + "statistics/nos_count": "0x0\n",
		h + "statistics/reset_statistics": "", "sys/class/fc_host/host1/port_state": "Linkdown\n",
	})
	c := make1(t, "fibrechannel", on(fs))
	same(t, render(t, c), `# TYPE node_fibrechannel_info gauge
node_fibrechannel_info{fc_host="host0",speed="16 Gbit",port_state="Online",port_type="Point-To-Point (direct nport connection)",port_id="000002",port_name="1000e0071b000001",fabric_name="0",symbolic_name="HBA \"x\"",supported_classes="Class 3",supported_speeds="8 Gbit, 16 Gbit",dev_loss_tmo="30"} 1
node_fibrechannel_info{fc_host="host1",speed="",port_state="Linkdown",port_type="",port_id="",port_name="",fabric_name="",symbolic_name="",supported_classes="",supported_speeds="",dev_loss_tmo=""} 1
# TYPE node_fibrechannel_nos_total counter
node_fibrechannel_nos_total{fc_host="host0"} 0
# TYPE node_fibrechannel_tx_frames_total counter
node_fibrechannel_tx_frames_total{fc_host="host0"} 19
`)

	write(t, fs.SysPath("class/fc_host/host0/statistics/nos_count"), "0xzz\n", false)
	costs(t, c, `nos_count: "0xzz"`, `node_fibrechannel_tx_frames_total{fc_host="host0"} 19`, "node_fibrechannel_nos_total")
}
