package collectors

import (
	"errors"
	"strings"
	"testing"
)

const softnetText = `0000000a 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000003 00000004 00000005 00000006 00000000 00000000 00000000
000000ff 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000002 00000000 00000000
`

func TestSoftnet(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"with the CPU's number", softnetText, `# TYPE node_softnet_processed_total counter
node_softnet_processed_total{cpu="0"} 10
node_softnet_processed_total{cpu="2"} 255
# TYPE node_softnet_dropped_total counter
node_softnet_dropped_total{cpu="0"} 1
node_softnet_dropped_total{cpu="2"} 0
# TYPE node_softnet_times_squeezed_total counter
node_softnet_times_squeezed_total{cpu="0"} 2
node_softnet_times_squeezed_total{cpu="2"} 0
# TYPE node_softnet_cpu_collision_total counter
node_softnet_cpu_collision_total{cpu="0"} 3
node_softnet_cpu_collision_total{cpu="2"} 0
# TYPE node_softnet_received_rps_total counter
node_softnet_received_rps_total{cpu="0"} 4
node_softnet_received_rps_total{cpu="2"} 0
# TYPE node_softnet_flow_limit_count_total counter
node_softnet_flow_limit_count_total{cpu="0"} 5
node_softnet_flow_limit_count_total{cpu="2"} 0
# TYPE node_softnet_backlog_len gauge
node_softnet_backlog_len{cpu="0"} 6
node_softnet_backlog_len{cpu="2"} 0
`},
		{"of an old kernel", "00000001 00000002 00000003 00000000 00000000 00000000 00000000 00000000 00000004", `# TYPE node_softnet_processed_total counter
node_softnet_processed_total{cpu="0"} 1
# TYPE node_softnet_dropped_total counter
node_softnet_dropped_total{cpu="0"} 2
# TYPE node_softnet_times_squeezed_total counter
node_softnet_times_squeezed_total{cpu="0"} 3
# TYPE node_softnet_cpu_collision_total counter
node_softnet_cpu_collision_total{cpu="0"} 4
# TYPE node_softnet_received_rps_total counter
node_softnet_received_rps_total{cpu="0"} 0
# TYPE node_softnet_flow_limit_count_total counter
node_softnet_flow_limit_count_total{cpu="0"} 0
# TYPE node_softnet_backlog_len gauge
node_softnet_backlog_len{cpu="0"} 0
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, render(t, make1(t, "softnet", on(tree(t, map[string]string{"proc/net/softnet_stat": c.text})))), c.want)
		})
	}
}

// refuses checks that a collector rejects texts of a file, naming the file and
// quoting the text, and says nothing.
func refuses(t *testing.T, collector, file string, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		said, err := renderErr(make1(t, collector, on(tree(t, map[string]string{file: text}))))
		if err == nil || errors.Is(err, ErrNoData) || said != "" || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%s: said %q, %v", name, said, err)
		}
	}
}

func TestSoftnetRefuses(t *testing.T) {
	refuses(t, "softnet", "proc/net/softnet_stat", map[string]string{
		"few columns": "00000001 00000002\n", "not hex": strings.Replace(softnetText, "0000000a", "0000000x", 1),
		"binary": "\x00\x01\xff\n", "too large": strings.Replace(softnetText, "0000000a", "fffffffffffffffff", 1),
	})
}

func FuzzSoftnet(f *testing.F) {
	f.Add([]byte(softnetText))
	f.Add([]byte("1 2 3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rows, err := parseSoftnet(b, nil); err == nil && len(rows) > len(b)/softnetFewest {
			t.Errorf("%d rows of %d bytes", len(rows), len(b))
		}
	})
}
