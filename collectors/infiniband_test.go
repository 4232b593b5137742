package collectors

import (
	"strings"
	"testing"
)

func infinibandTree() map[string]string {
	const hca = "sys/class/infiniband/mlx5_0/"
	const port = hca + "ports/1/"
	return map[string]string{
		hca + "fw_ver": "20.38.1002\n", hca + "board_id": "HRN0417\n", hca + "hca_type": "MT4123\n",
		port + "state": "4: ACTIVE\n", port + "phys_state": "5: LinkUp\n", port + "rate": "2.5 Gb/sec (1X SDR)\n",
		port + "counters/port_rcv_data": "100\n", port + "counters/symbol_error": "N/A (no PMA)\n", port + "counters/VL15_dropped": "3\n",
		port + "hw_counters/lifespan": "10\n", port + "hw_counters/out_of_buffer": "18446744073709551615\n",
		"sys/class/infiniband/irdma0/fw_ver": "1.60\n", "sys/class/infiniband/irdma0/ports/1/state": "1: DOWN\n",
	}
}

func TestInfiniband(t *testing.T) {
	fs := tree(t, infinibandTree())
	want := `node_infiniband_info{board_id="HRN0417",device="mlx5_0",firmware_version="20.38.1002",hca_type="MT4123"} 1
# TYPE node_infiniband_state_id gauge
node_infiniband_state_id{device="mlx5_0",port="1"} 4
# TYPE node_infiniband_physical_state_id gauge
node_infiniband_physical_state_id{device="mlx5_0",port="1"} 5
# TYPE node_infiniband_rate_bytes_per_second gauge
node_infiniband_rate_bytes_per_second{device="mlx5_0",port="1"} 312500000
# TYPE node_infiniband_port_data_received_bytes_total counter
node_infiniband_port_data_received_bytes_total{device="mlx5_0",port="1"} 400
# TYPE node_infiniband_vl15_dropped_total counter
node_infiniband_vl15_dropped_total{device="mlx5_0",port="1"} 3
# TYPE node_infiniband_lifespan_seconds gauge
node_infiniband_lifespan_seconds{device="mlx5_0",port="1"} 0.01
# TYPE node_infiniband_out_of_buffer_drops_total counter
node_infiniband_out_of_buffer_drops_total{device="mlx5_0",port="1"} 1.8446744073709552e+19
`
	cfg := on(fs)
	cfg.Infiniband.DeviceInclude = "^mlx"
	same(t, render(t, make1(t, "infiniband", cfg)), "# TYPE node_infiniband_info gauge\n"+want)

	cfg = on(fs)
	cfg.Infiniband.DeviceExclude = "^mlx"
	same(t, render(t, make1(t, "infiniband", cfg)), `# TYPE node_infiniband_info gauge
node_infiniband_info{board_id="",device="irdma0",firmware_version="1.60",hca_type=""} 1
# TYPE node_infiniband_state_id gauge
node_infiniband_state_id{device="irdma0",port="1"} 1
`)
	cfg.Infiniband.DeviceInclude = "x"
	if _, err := build(cfg, []string{"infiniband"}); err == nil {
		t.Error("patterns that contradict one another were taken")
	}
}

// One file that makes no sense costs its own sample, and is named.
func TestInfinibandBad(t *testing.T) {
	for _, name := range []string{"ports/1/state", "ports/1/rate", "ports/1/counters/VL15_dropped", "ports/1/hw_counters/lifespan"} {
		files := infinibandTree()
		files["sys/class/infiniband/mlx5_0/"+name] = "none\n"
		text, err := renderErr(make1(t, "infiniband", on(tree(t, files))))
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), `"none`) {
			t.Errorf("%s: error %v", name, err)
		}
		if v := values(t, text); len(v) != 9 {
			t.Errorf("%s: said %v", name, v)
		}
	}
}

func FuzzInfinibandText(f *testing.F) {
	for _, s := range []string{"4: ACTIVE", "100 Gb/sec (4X EDR)", "2.5 Gb/sec", ":", "", "1e400 Gb/sec", "NaN Gb/sec"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseInfinibandState(b); err == nil && !(n >= 0 && n < 1<<32) {
			t.Errorf("state %q: %v", b, n)
		}
		if n, err := parseInfinibandRate(b); err == nil && !(n >= 0 && n < 1e20) {
			t.Errorf("rate %q: %v", b, n)
		}
	})
}
