//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The commands that promtool has too, on a collector that runs and on its folder; and
// promtool's own on the same, where there is one.
func TestCollectorTools(t *testing.T) {
	beside(t)
	c := newCollector(t, "--standalone", "--web.enable-admin-api")
	c.start()
	c.number("node_load1")
	r, err := http.Post("http://"+c.web+"/api/v1/admin/tsdb/snapshot", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	blocks, err := filepath.Glob(filepath.Join(c.data, "snapshots", "*", "01*"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("%v %v", blocks, err)
	}
	snapshot, block := filepath.Dir(blocks[0]), filepath.Base(blocks[0])
	path := programPath(t, "collector")
	good, bad := filepath.Join(t.TempDir(), "good.yml"), filepath.Join(t.TempDir(), "bad.yml")
	for file, text := range map[string]string{good: "groups: [{name: g, rules: [{record: a, expr: sum(b)}]}]\n", bad: "groups:\n- name: g\n  rules:\n  - record: a\n    expr: sum(\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	web := "http://" + c.web
	for _, k := range []struct {
		args, in, out string
		code          int
		promtool      bool // takes the same
	}{
		{args: "check rules " + good, out: "good.yml", promtool: true},
		{args: "check rules " + good + " " + bad, out: "bad.yml:", code: 1},
		{args: "check metrics", in: "# HELP a_total x\n# TYPE a_total counter\na_total 1\n", promtool: true},
		{args: "check metrics", in: "# TYPE aB gauge\naB 1\n", out: "aB", code: 1},
		{args: "check metrics", in: "a{ 1\n", out: "cannot be read", code: 1},
		{args: "query instant " + web + " up{job='node'}", out: `job="node"} => 1 @[`, promtool: true},
		{args: "query instant " + web + " sum(", out: "parse error", code: 1},
		{args: "query instant --time=soon " + web + " up", out: "want RFC 3339", code: 2},
		{args: "query -o json instant " + web + " vector(7)", out: `"7"`, promtool: true},
		{args: "query range --step=1s " + web + " vector(7)", out: "7 @[", promtool: true},
		{args: "query series --match=node_load1 " + web, out: `job="node"`, promtool: true},
		{args: "query labels " + web + " job", out: "node\n", promtool: true},
		{args: "query labels http://127.0.0.1:1 job", out: "http://127.0.0.1:1: ", code: 1},
		{args: "tsdb list " + snapshot, out: block, promtool: true},
		{args: "tsdb list -r " + snapshot, out: "MiB"},
		{args: "tsdb analyze " + snapshot, out: "Total Series: ", promtool: true},
		{args: "tsdb analyze --limit=1 " + snapshot, out: "Highest cardinality labels:"},
		{args: "tsdb analyze " + t.TempDir(), out: "no block yet", code: 1},
		{args: "tsdb dump --match=node_load1 " + c.data, out: `__name__="node_load1"`}, // from the log of one that runs
	} {
		run := func(program string, code int) {
			t.Helper()
			cmd := exec.Command(program, strings.Fields(k.args)...)
			cmd.Stdin = strings.NewReader(k.in)
			out, _ := cmd.CombinedOutput() // the code says how it ended
			if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), k.out) {
				t.Errorf("%s %s: code %d, want %d:\n%.600s\nwant %s", filepath.Base(program), k.args, got, code, out, k.out)
			}
		}
		run(path, k.code)
		if program := os.Getenv("WATCHPOST_PROMETHEUS"); program != "" && k.promtool {
			run(filepath.Join(filepath.Dir(program), "promtool"), k.code)
		}
	}
}
