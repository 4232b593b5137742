package collectors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"watchpost/internal/expo"
)

// statOf is a stat file.
func statOf(pid int, name, state string, threads int) string {
	return fmt.Sprintf("%d (%s) %s 1 1 1 0 -1 4194560 9 9 0 0 3 9 5 1 20 0 %d 0 29 109604864 2507 0\n", pid, name, state, threads)
}

func processHost() map[string]string {
	return map[string]string{
		"proc/1/stat":                 statOf(1, "init", "S", 1),
		"proc/1/task/1/stat":          statOf(1, "init", "S", 1),
		"proc/70/stat":                statOf(70, "a (b) R 3", "R", 3),
		"proc/70/task/70/stat":        statOf(70, "a (b) R 3", "R", 3),
		"proc/70/task/71/stat":        statOf(71, ") S (", "S", 3),
		"proc/70/task/72/stat":        statOf(72, "w", "D", 3),
		"proc/80/comm":                "ended meanwhile\n",
		"proc/sys/kernel/threads-max": "7801\n",
		"proc/sys/kernel/pid_max":     "32768\n",
		"proc/stat":                   "cpu 1\n",
	}
}

func TestProcesses(t *testing.T) {
	same(t, render(t, make1(t, "processes", on(tree(t, processHost())))), `# TYPE node_processes_threads gauge
node_processes_threads 4
# TYPE node_processes_max_threads gauge
node_processes_max_threads 7801
# TYPE node_processes_state gauge
node_processes_state{state="R"} 1
node_processes_state{state="S"} 1
# TYPE node_processes_threads_state gauge
node_processes_threads_state{thread_state="D"} 1
node_processes_threads_state{thread_state="R"} 1
node_processes_threads_state{thread_state="S"} 2
# TYPE node_processes_pids gauge
node_processes_pids 2
# TYPE node_processes_max_processes gauge
node_processes_max_processes 32768
`)
}

// One process that is not understood costs itself.
func TestProcessesBad(t *testing.T) {
	for _, text := range []string{"", "9 (x", "9 (x) SS 1 2", "9 (x) S 1 2", strings.Replace(statOf(9, "x", "S", 8), " 8 ", " y ", 1), "9 (x) \xff 1"} {
		files := processHost()
		files["proc/9/stat"] = text
		out, err := renderErr(make1(t, "processes", on(tree(t, files))))
		if err == nil || !strings.Contains(err.Error(), "proc/9/stat") {
			t.Errorf("%q: error %v", text, err)
		}
		if v := values(t, out); v["node_processes_pids"] != 2 || v["node_processes_max_processes"] != 32768 {
			t.Errorf("%q: said\n%s", text, out)
		}
	}
	files := processHost()
	delete(files, "proc/sys/kernel/threads-max")
	out, err := renderErr(make1(t, "processes", on(tree(t, files))))
	if err == nil || errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "threads-max") || !strings.Contains(out, "node_processes_max_processes 32768") {
		t.Errorf("without a limit: %v, said\n%s", err, out)
	}
}

func TestProcessesDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var w expo.Writer
	if err := make1(t, "processes", DefaultConfig()).Collect(ctx, &w); !errors.Is(err, context.Canceled) || len(w.Bytes()) > 0 {
		t.Errorf("%v, said %s", err, w.Bytes())
	}
}

// On this host: the threads by state add up, and this process with its threads is
// among them.
func TestProcessesLive(t *testing.T) {
	out, err := renderErr(make1(t, "processes", DefaultConfig()))
	if err != nil {
		t.Fatal(err)
	}
	v := values(t, out)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for series, n := range v {
		if strings.HasPrefix(series, "node_processes_state{") {
			sum += n
		}
	}
	if sum != v["node_processes_pids"] || v["node_processes_threads"] < float64(len(tasks)) || v["node_processes_threads"] < sum {
		t.Errorf("%v processes by state, %d threads here, said\n%s", sum, len(tasks), out)
	}
}

func FuzzProcesses(f *testing.F) {
	f.Add([]byte(statOf(70, "a (b) R 3", "R", 3)))
	f.Add([]byte("9 (x) S 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseProcessStat(b)
		if err == nil && (s.state == 0 && !strings.Contains(string(b), "\x00") || s.state >= 128) {
			t.Errorf("%q: %+v", b, s)
		}
	})
}
