package collectors

import (
	"strings"
	"testing"
)

func TestSchedstat(t *testing.T) {
	c := make1(t, "schedstat", on(tree(t, map[string]string{"proc/schedstat": `version 17
timestamp 4295031012
cpu0 0 0 0 0 0 0 2500000000 125000000 42
domain0 MC 00000003 1 2 3
cpu11 9 8 7 6 5 4 3 2 1
`})))
	same(t, render(t, c), `# TYPE node_schedstat_running_seconds_total counter
node_schedstat_running_seconds_total{cpu="0"} 2.5
node_schedstat_running_seconds_total{cpu="11"} 3e-09
# TYPE node_schedstat_waiting_seconds_total counter
node_schedstat_waiting_seconds_total{cpu="0"} 0.125
node_schedstat_waiting_seconds_total{cpu="11"} 2e-09
# TYPE node_schedstat_timeslices_total counter
node_schedstat_timeslices_total{cpu="0"} 42
node_schedstat_timeslices_total{cpu="11"} 1
`)
}

func TestSchedstatBad(t *testing.T) {
	for _, text := range []string{"cpu0 0 0 0 0 0 0 1 2", "cpu 0 0 0 0 0 0 1 2 3", "cpu0 0 0 0 0 0 0 1 2 x"} {
		c := make1(t, "schedstat", on(tree(t, map[string]string{"proc/schedstat": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/schedstat") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

func FuzzSchedstat(f *testing.F) {
	f.Add([]byte("cpu0 0 0 0 0 0 0 2500000000 125000000 42"))
	f.Add([]byte("cpu0 1 2"))
	f.Add([]byte("version 17\ncpu0 0 0 0 0 0 0 2500000000 125000000 42\ndomain0 3\n"))
	c, _ := newSchedstat(DefaultConfig())
	f.Fuzz(func(t *testing.T, line []byte) {
		c.(*schedstat).parse(line)
		if name, _, err := parseSchedCPU(line); err == nil && len(name) == 0 {
			t.Errorf("%q: no name", line)
		}
	})
}
