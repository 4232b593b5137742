//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"watchpost/internal/testkit"
)

// unreadable are files that the program may not read, in the host of the archives,
// with the collector that reads them and the series that they cost it.
var unreadable = []struct{ file, collector, cost string }{
	{"proc/loadavg", "loadavg", `node_load\d+"`},
	{"proc/meminfo", "meminfo", `node_memory_[A-Z]`},
	{"proc/mdstat", "mdadm", `node_md_`},
	{"proc/slabinfo", "slabinfo", `node_slabinfo_`},
	{"proc/net/sockstat6", "sockstat", `node_sockstat_[A-Z]+6_`},
	{"proc/pressure/io", "pressure", `node_pressure_io_`},
	{"sys/class/thermal/thermal_zone1/temp", "thermal_zone", `node_thermal_zone_temp".*zone="1"`},
	{"sys/class/powercap/intel-rapl:0/energy_uj", "rapl", `node_rapl_package_joules_total".*index="0"`},
	{"textfile/second.prom", "textfile", `node_textfile_mtime_seconds".*second\.prom|"backup_size_bytes"`},
}

// As a user who may not read some files, the program says which ones and what to
// do about it, and serves all the rest.
func TestNodeAgentUnreadable(t *testing.T) {
	beside(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	archives, err := filepath.Glob("../../collectors/testdata/*.txt")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	dir := testkit.Unpack(t, archives...)
	open(t, dir)
	args := slices.DeleteFunc(everything(), func(flag string) bool { // what reads no files
		return slices.Contains([]string{"ntp", "perf", "supervisord", "systemd", "logind"}, strings.TrimPrefix(flag, "--collector."))
	})
	args = append(args, "--collector.disable-defaults",
		"--path.procfs="+dir+"/proc", "--path.sysfs="+dir+"/sys", "--path.rootfs="+dir, "--path.udev.data="+dir+"/udev",
		"--collector.textfile.directory="+dir+"/textfile", "--collector.qdisc.fixtures="+dir+"/qdisc", "--collector.wifi.fixtures="+dir+"/wifi",
		"--collector.runit.servicedir="+dir+"/service")
	whole := scrapeAsNobody(t, dir, args)
	for _, u := range unreadable {
		if whole.succeeded()[u.collector] != 1 {
			t.Errorf("%s failed though all can be read", u.collector)
		}
		if err := os.Chmod(filepath.Join(dir, u.file), 0); err != nil {
			t.Fatal(err)
		}
	}

	check := asNobody(exec.CommandContext(t.Context(), program(t, dir), append([]string{"check"}, args...)...))
	out, err := check.CombinedOutput()
	if code := check.ProcessState.ExitCode(); code != 1 {
		t.Errorf("check: %v\n%s", err, out)
	}
	for _, u := range unreadable {
		line := regexp.MustCompile(`(?m)^` + u.collector + ` +FAILED .*` + regexp.QuoteMeta(filepath.Base(u.file)) + `.*permission denied.*\n +-> run it as root, or give its user the right to read`)
		if !line.Match(out) {
			t.Errorf("check does not tell of %s:\n%s", u.file, regexp.MustCompile(`(?m)^`+u.collector+` .*\n.*$`).Find(out))
		}
	}
	if n := bytes.Count(out, []byte(" FAILED ")); n != len(unreadable) {
		t.Errorf("check has %d failures for %d files:\n%s", n, len(unreadable), out)
	}

	rest := scrapeAsNobody(t, dir, args)
	var costs []*regexp.Regexp
	for _, u := range unreadable {
		costs = append(costs, regexp.MustCompile(u.cost))
		// Of text files, each tells of itself.
		if rest.succeeded()[u.collector] != 0 && (u.collector != "textfile" || rest.series[`{__name__="node_textfile_scrape_error"}`] != 1) {
			t.Errorf("%s succeeded without %s", u.collector, u.file)
		}
	}
	lost := make([]int, len(costs))
	for _, s := range slices.Sorted(maps.Keys(whole.series)) {
		if _, ok := rest.series[s]; ok {
			continue
		}
		i := slices.IndexFunc(costs, func(r *regexp.Regexp) bool { return r.MatchString(s) })
		if i < 0 {
			t.Errorf("%s is lost as well", s)
			continue
		}
		lost[i]++
	}
	for i, u := range unreadable {
		if lost[i] == 0 {
			t.Errorf("%s cannot be read, and yet nothing is lost", u.file)
		}
	}
	for c, v := range rest.succeeded() {
		if v != whole.succeeded()[c] && !slices.ContainsFunc(unreadable, func(u struct{ file, collector, cost string }) bool { return u.collector == c }) {
			t.Errorf("%s: success %v, %v when all can be read", c, v, whole.succeeded()[c])
		}
	}
}

// open lets everybody into the folder, which the test alone may enter by default.
func open(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// program is a copy of the program that everybody may start.
func program(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(programPath(t, "node-agent"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "node-agent")
	// A process that another test starts meanwhile would have the file open for a moment, and then it cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// asNobody makes a command run as a user who owns nothing.
func asNobody(cmd *exec.Cmd) *exec.Cmd {
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	return cmd
}

// scrapeAsNobody starts the program as nobody, scrapes twice and ends it.
func scrapeAsNobody(t *testing.T, dir string, args []string) parsed {
	t.Helper()
	a := startAgent(t, asNobody(exec.Command(program(t, dir), append(slices.Clone(args), "--web.listen-address=127.0.0.1:0")...)))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil || !strings.Contains(string(status), "\nUid:\t65534") {
		t.Fatalf("not nobody: %v\n%s", err, status)
	}
	a.scrape("", "Accept", acceptText)
	p := parse(t, a.scrape("", "Accept", acceptText))
	if err := a.stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	return p
}
