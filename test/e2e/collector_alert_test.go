//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// alertmanager is the path of a real one: Debian's package prometheus-alertmanager, or
// what WATCHPOST_ALERTMANAGER names.
func alertmanager(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("WATCHPOST_ALERTMANAGER"); path != "" {
		return path
	}
	for _, name := range []string{"prometheus-alertmanager", "alertmanager"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Alertmanager is installed (package prometheus-alertmanager), and WATCHPOST_ALERTMANAGER names none")
	return ""
}

// An alert reaches a real Alertmanager and, through it, who is to be told; so does its
// end.
func TestCollectorAlerts(t *testing.T) {
	beside(t)
	program := alertmanager(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var sick atomic.Bool
	sick.Store(true)
	told := make(chan string, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		v := 0
		if sick.Load() {
			v = 1
		}
		fmt.Fprintf(w, "sick %d\n", v)
	})
	mux.HandleFunc("/hook", func(_ http.ResponseWriter, r *http.Request) {
		var m struct {
			Alerts []struct {
				Status              string
				Labels, Annotations map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		for _, a := range m.Alerts {
			select {
			case told <- a.Status + " " + a.Labels["alertname"] + " " + a.Labels["site"] + " " + a.Annotations["summary"]:
			default:
			}
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()

	address := freeAddress(t)
	manager := exec.Command(program, "--config.file="+write("alertmanager.yml", "route: {receiver: hook, group_wait: 1s, group_interval: 1s, repeat_interval: 1h}\nreceivers: [{name: hook, webhook_configs: [{url: \""+s.URL+"/hook\"}]}]\n"),
		"--web.listen-address="+address, "--cluster.listen-address=", "--storage.path="+filepath.Join(dir, "alertmanager"))
	said := new(lockedBuffer)
	manager.Stdout, manager.Stderr = said, said
	manager.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		manager.Process.Kill()
		manager.Wait()
		if t.Failed() {
			t.Logf("Alertmanager said:\n%s", said)
		}
	})
	rules := write("rules.yml", "groups: [{name: g, rules: [{alert: Sick, expr: sick == 1, for: 1s, annotations: {summary: \"{{ $labels.job }} is {{ $value }}\"}}]}]\n")
	c := newCollector(t, "--config.file="+write("prometheus.yml", fmt.Sprintf(`global: {scrape_interval: 500ms, evaluation_interval: 500ms, external_labels: {site: north}}
rule_files: [%s]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs: [{job_name: a, static_configs: [{targets: [%q]}]}]
`, rules, address, strings.TrimPrefix(s.URL, "http://"))), "--rules.alert.resend-delay=1s")
	c.start()
	wants := func(want string) {
		t.Helper()
		for end := time.After(2 * patience); ; {
			select {
			case got := <-told:
				if got == want {
					return
				}
				t.Logf("told: %s", got)
			case <-end:
				t.Fatalf("nobody was told: %s", want)
			}
		}
	}
	wants("firing Sick north a is 1")
	sick.Store(false)
	wants("resolved Sick north a is 1")
}

// While the configuration is taken over again and again, no scrape of a job that stays
// as it is is left out.
func TestCollectorReloadUnderLoad(t *testing.T) {
	beside(t)
	c := newCollector(t, "--standalone", "--web.enable-lifecycle")
	file := c.configFile("")
	c.args = append(c.args, "--config.file="+file)
	c.start()
	c.number("node_load1")
	began := time.Now()
	reloads := 0
	for ; time.Since(began) < 10*time.Second; reloads++ {
		c.writeConfig(file, fmt.Sprintf("- {job_name: extra%d, scrape_interval: %ds, static_configs: [{targets: [%q]}]}\n", reloads%7, 1+reloads%3, c.web))
		r, err := http.Post("http://"+c.web+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Fatal(r.Status)
		}
		time.Sleep(20 * time.Millisecond) // the scrapes need some of the machine, too
	}
	got, err := c.query(`up{job="node"}[1m]`)
	if err != nil || len(got) != 1 {
		t.Fatalf("%v %v", got, err)
	}
	points := got[0].Values
	// A loop that were stopped and started again would begin at another moment of the
	// second; one that goes on keeps it, however late a machine is.
	first := points[0].at
	for i, p := range points {
		if _, phase := splitSecond(p.at - first); phase > 0.25 && phase < 0.75 {
			t.Errorf("sample %d is %.3f s after the first: the loop was started anew", i, p.at-first)
		}
		if p.value != 1 {
			t.Errorf("sample %d: up is %g", i, p.value)
		}
	}
	whole, _ := splitSecond(points[len(points)-1].at - first)
	if missing := whole + 1 - len(points); missing > 0 {
		t.Errorf("%d of %d scrapes are missing after %d reloads", missing, whole+1, reloads)
	}
	t.Logf("%d reloads, %d scrapes", reloads, len(points))
}

// splitSecond rounds to whole seconds, and tells how far it is past the last one.
func splitSecond(s float64) (whole int, phase float64) {
	return int(s + 0.5), s - float64(int(s))
}
