package collectors

import "testing"

func TestTapestats(t *testing.T) {
	files := make(map[string]string)
	for name, v := range map[string]string{"in_flight": "1", "io_ns": "9247011087720", "other_cnt": "14", "read_byte_cnt": "512", "read_cnt": "3",
		"read_ns": "33788355744", "resid_cnt": "2", "write_byte_cnt": "1024", "write_cnt": "4", "write_ns": "5233597394395"} {
		files["sys/class/scsi_tape/st0/stats/"+name] = v + "\n"
		files["sys/class/scsi_tape/st7/stats/"+name] = "7\n"
	}
	files["sys/class/scsi_tape/nst0/"] = ""
	files["sys/class/scsi_tape/st0m/"] = ""
	fs := tree(t, files)
	cfg := on(fs)
	cfg.Tapestats.IgnoredDevices = "^st7$"
	same(t, render(t, make1(t, "tapestats", cfg)), `# TYPE node_tape_io_now gauge
node_tape_io_now{device="st0"} 1
# TYPE node_tape_io_others_total counter
node_tape_io_others_total{device="st0"} 14
# TYPE node_tape_io_time_seconds_total counter
node_tape_io_time_seconds_total{device="st0"} 9247.01108772
# TYPE node_tape_read_bytes_total counter
node_tape_read_bytes_total{device="st0"} 512
# TYPE node_tape_read_time_seconds_total counter
node_tape_read_time_seconds_total{device="st0"} 33.788355744
# TYPE node_tape_reads_completed_total counter
node_tape_reads_completed_total{device="st0"} 3
# TYPE node_tape_residual_total counter
node_tape_residual_total{device="st0"} 2
# TYPE node_tape_write_time_seconds_total counter
node_tape_write_time_seconds_total{device="st0"} 5233.597394395
# TYPE node_tape_writes_completed_total counter
node_tape_writes_completed_total{device="st0"} 4
# TYPE node_tape_written_bytes_total counter
node_tape_written_bytes_total{device="st0"} 1024
`)

	write(t, fs.SysPath("class/scsi_tape/st7/stats/read_cnt"), "many\n", false)
	costs(t, make1(t, "tapestats", on(fs)), `st7/stats/read_cnt: "many"`, `node_tape_reads_completed_total{device="st0"} 3`, `node_tape_reads_completed_total{device="st7"}`)
	cfg.Tapestats.IgnoredDevices = "("
	if _, err := newTapestats(cfg); err == nil {
		t.Error("a bad pattern was taken")
	}
}
