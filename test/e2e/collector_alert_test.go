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

// While the configuration is taken over again and again, as fast as can be, no scrape is
// left out and none fails: of jobs that stay as they are while others come and go and the
// external labels change, nor of the collector's own metrics, whose job changes each time.
func TestCollectorReloadUnderLoad(t *testing.T) {
	beside(t)
	const targets = 60
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			fmt.Fprintf(w, "x{i=\"%d\"} %[1]d\n", i)
		}
	}))
	defer page.Close()
	var list strings.Builder
	for i := range targets {
		fmt.Fprintf(&list, "{targets: [%q], labels: {__metrics_path__: /%d, instance: t%[2]d}},", strings.TrimPrefix(page.URL, "http://"), i)
	}
	c := newCollector(t, "--standalone", "--web.enable-lifecycle")
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	config := func(n int) {
		c.writeFile(file, fmt.Sprintf(`global: {scrape_interval: 1s, external_labels: {n: "%d"}}
scrape_configs:
- {job_name: collector, sample_limit: %d, static_configs: [{targets: [%q]}]}
- {job_name: node, static_configs: [{targets: [%q]}]}
- {job_name: many, static_configs: [%s]}
- {job_name: extra%d, scrape_interval: %ds, static_configs: [{targets: [%[3]q]}]}
`, n%5, 100_000+n%2, c.web, c.node, list.String(), n%7, 1+n%3))
	}
	config(0)
	c.args = append(c.args, "--config.file="+file)
	c.start()
	c.until("a scrape of each", func() error {
		got, err := c.query(`up{job!~"extra.*"}`)
		if err == nil && len(got) != targets+2 {
			err = fmt.Errorf("%d targets", len(got))
		}
		return err
	})
	began := time.Now()
	reloads := 0
	for ; time.Since(began) < 8*time.Second; reloads++ {
		config(reloads)
		if reloads%2 == 0 { // without waiting for its end
			if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r, err := http.Post("http://"+c.web+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Fatal(r.Status)
		}
	}
	got, err := c.query(`up{job!~"extra.*"}[1m]`)
	if err != nil || len(got) != targets+2 {
		t.Fatalf("%d series, want %d: %v", len(got), targets+2, err)
	}
	for _, s := range got {
		name := s.Metric["job"] + " " + s.Metric["instance"]
		// A loop that were stopped and started again would go on at another moment of the
		// second; one that goes on keeps it, but for what a busy machine makes late.
		first, late := s.Values[0].at, 0
		for i, p := range s.Values {
			if _, phase := splitSecond(p.at - first); phase > 0.25 && phase < 0.75 {
				late++
			}
			if p.value != 1 {
				t.Errorf("%s: sample %d: up is %g", name, i, p.value)
			}
			if i > 0 && p.at-s.Values[i-1].at > 1.9 {
				t.Errorf("%s: sample %d is %.3f s after the one before: a scrape is missing", name, i, p.at-s.Values[i-1].at)
			}
		}
		if late > len(s.Values)/2 {
			t.Errorf("%s: %d of %d samples are at another moment of the second than the first: the loop was started anew", name, late, len(s.Values))
		}
	}
	// A series that is marked as ended is missing at once, until its next sample.
	if n := c.number(`min_over_time(count(x{i="0"})[5s:50ms])`); n != targets {
		t.Errorf("at some moment %g of %d targets have samples", n, targets)
	}
	t.Logf("%d reloads, %d scrapes of each", reloads, len(got[0].Values))
}

// splitSecond rounds to whole seconds, and tells how far it is past the last one.
func splitSecond(s float64) (whole int, phase float64) {
	return int(s + 0.5), s - float64(int(s))
}
