package collectors

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"watchpost/internal/hostfs"
)

const statText = `cpu  301854 612 111922 8979004 3552 2 3944 0 0 0
cpu0 44490 19 21045 1087069 220 1 3410 0 0 0
intr 8885917 17 0 0 0 0 0 0 0 1 79281
ctxt 38014093
btime 1418183276
processes 26442
procs_running 2
procs_blocked 1
softirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444
`

const statWant = `# TYPE node_intr_total counter
node_intr_total 8885917
# TYPE node_context_switches_total counter
node_context_switches_total 38014093
# TYPE node_forks_total counter
node_forks_total 26442
# TYPE node_boot_time_seconds gauge
node_boot_time_seconds 1418183276
# TYPE node_procs_running gauge
node_procs_running 2
# TYPE node_procs_blocked gauge
node_procs_blocked 1
`

const softirqWant = `# TYPE node_softirqs_total counter
node_softirqs_total{vector="hi"} 250191
node_softirqs_total{vector="timer"} 1481983
node_softirqs_total{vector="net_tx"} 1647
node_softirqs_total{vector="net_rx"} 211099
node_softirqs_total{vector="block"} 186066
node_softirqs_total{vector="block_iopoll"} 0
node_softirqs_total{vector="tasklet"} 1783454
node_softirqs_total{vector="sched"} 622196
node_softirqs_total{vector="hrtimer"} 12499
node_softirqs_total{vector="rcu"} 508444
`

func TestStat(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		softirq          bool
	}{
		{"all but vectors", statText, statWant, false},
		{"all", statText, statWant + softirqWant, true},
		{"nothing", "", "", true},
		{"no softirq line", "ctxt 5\n", "# TYPE node_context_switches_total counter\nnode_context_switches_total 5\n", true},
		{"a line of a later kernel", "news 1 2\nctxt 5\n", "# TYPE node_context_switches_total counter\nnode_context_switches_total 5\n", false},
		{"vectors not asked for are not read", "ctxt 5\nsoftirq x\n", "# TYPE node_context_switches_total counter\nnode_context_switches_total 5\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := on(tree(t, map[string]string{"proc/stat": c.text}))
			cfg.Stat.Softirq = c.softirq
			same(t, render(t, make1(t, "stat", cfg)), c.want)
		})
	}
}

func TestStatBad(t *testing.T) {
	for _, text := range []string{"ctxt\n", "btime x\n", "intr 99999999999999999999\n", "softirq 1 2 3\n", "softirq 1 0 0 0 0 0 0 0 0 0 x\n"} {
		cfg := on(tree(t, map[string]string{"proc/stat": text}))
		cfg.Stat.Softirq = true
		out, err := renderErr(make1(t, "stat", cfg))
		word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/stat: "+word) {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

// The live boot time against the uptime that the kernel tells elsewhere.
func TestStatLive(t *testing.T) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Skip(err)
	}
	up, err := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	v := values(t, render(t, make1(t, "stat", on(hostfs.Default))))
	booted := float64(time.Now().UnixNano())/1e9 - up
	if d := v["node_boot_time_seconds"] - booted; d < -5 || d > 5 {
		t.Errorf("booted at %v, by the uptime at %v", v["node_boot_time_seconds"], booted)
	}
	if v["node_forks_total"] < 1 || v["node_procs_running"] < 1 {
		t.Errorf("not plausible: %v", v)
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte(statText))
	f.Add([]byte("softirq 1 2\nintr\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k kernelStat
		if err := k.parse(b, true); err != nil {
			return
		}
		want := statNumber{}
		for line := range strings.SplitSeq(string(b), "\n") { // the same, the slow way
			if f := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r", r) }); len(f) > 1 && f[0] == "ctxt" {
				n, err := strconv.ParseUint(f[1], 10, 64)
				if err != nil {
					t.Fatalf("accepted %q: %v", line, err)
				}
				want = statNumber{n, true}
			}
		}
		if k.switches != want {
			t.Errorf("%q: %+v, want %+v", b, k.switches, want)
		}
	})
}
