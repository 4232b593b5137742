package collectors

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestQdiscFixtures(t *testing.T) {
	fs := tree(t, map[string]string{"results.json": `[
		{"IfaceName": "eth0", "Kind": "fq", "Bytes": 8589934592, "Packets": 2, "Drops": 3, "Requeues": 4, "Overlimits": 5, "Qlen": 6, "Backlog": 7},
		{"IfaceName": "eth0", "Kind": "pfifo", "Parent": 65537, "Bytes": 1},
		{"IfaceName": "lo", "Kind": "noqueue"}]`})
	cfg := on(fs)
	cfg.Qdisc.Fixtures = fs.Root
	cfg.Qdisc.DeviceExclude = "^lo$"
	same(t, render(t, make1(t, "qdisc", cfg)), `# TYPE node_qdisc_bytes_total counter
node_qdisc_bytes_total{device="eth0",kind="fq"} 8589934592
# TYPE node_qdisc_packets_total counter
node_qdisc_packets_total{device="eth0",kind="fq"} 2
# TYPE node_qdisc_drops_total counter
node_qdisc_drops_total{device="eth0",kind="fq"} 3
# TYPE node_qdisc_requeues_total counter
node_qdisc_requeues_total{device="eth0",kind="fq"} 4
# TYPE node_qdisc_overlimits_total counter
node_qdisc_overlimits_total{device="eth0",kind="fq"} 5
# TYPE node_qdisc_current_queue_length gauge
node_qdisc_current_queue_length{device="eth0",kind="fq"} 6
# TYPE node_qdisc_backlog gauge
node_qdisc_backlog{device="eth0",kind="fq"} 7
`)
	write(t, filepath.Join(fs.Root, "results.json"), "{", false)
	if text, err := renderErr(make1(t, "qdisc", cfg)); err == nil || !strings.Contains(err.Error(), "results.json") || text != "" {
		t.Errorf("said %q, %v", text, err)
	}
	cfg.Qdisc.DeviceInclude = "eth"
	if _, err := newQdisc(cfg); err == nil {
		t.Error("both patterns pass")
	}
}

// Each interface of the live host is there once at the most, and only if it exists.
func TestQdiscLive(t *testing.T) {
	c := make1(t, "qdisc", DefaultConfig())
	render(t, c)
	for series := range values(t, render(t, c)) {
		_, device, _ := strings.Cut(series, `device="`)
		device, _, _ = strings.Cut(device, `"`)
		if !exists("/sys/class/net/" + device) {
			t.Errorf("%s: no interface %q", series, device)
		}
	}
}
