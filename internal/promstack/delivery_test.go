package promstack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// An unchanged prometheus.yml with rules, an Alertmanager and remote write does
// what it says.
func TestRulesAlertsAndRemoteWrite(t *testing.T) {
	// What comes after the first of each is not asked for, and must hold nobody up.
	fired, written := make(chan string, 1), make(chan int64, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/alerts", func(_ http.ResponseWriter, r *http.Request) {
		var alerts []struct {
			Labels       map[string]string
			GeneratorURL string
		}
		if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
			t.Errorf("alerts: %v", err)
			return
		}
		for _, a := range alerts {
			select {
			case fired <- a.Labels["alertname"] + " " + a.Labels["region"] + " " + a.GeneratorURL:
			default:
			}
		}
	})
	mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) {
		select {
		case written <- r.ContentLength:
		default:
		}
		w.WriteHeader(http.StatusNoContent)
	})
	peers := httptest.NewServer(mux)
	defer peers.Close()

	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "rules.yml"), `
groups:
  - name: g
    rules:
      - {record: "job:answer:sum", expr: "sum by (job) (answer)"}
      - {alert: Answered, expr: "job:answer:sum > 0"}
`)
	cfg, log := testConfig(t, t.TempDir(), "")
	cfg.Source.File = filepath.Join(dir, "prometheus.yml")
	writeFile(t, cfg.Source.File, strings.Replace(jobs(map[string]string{"a": target(t, "answer 42\n")}),
		"global: {", "global: {external_labels: {region: north}, ", 1)+fmt.Sprintf(`
rule_files: [rules*.yml]
alerting: {alertmanagers: [{static_configs: [{targets: [%[1]q]}]}]}
remote_write: [{url: "http://%[1]s/write", queue_config: {batch_send_deadline: 100ms}}]
`, strings.TrimPrefix(peers.URL, "http://")))
	e := start(t, cfg, log)

	e.wants("job:answer:sum", "a", "42")
	if got, want := <-fired, "Answered north http://localhost:9090/graph?"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := <-written; n == 0 {
		t.Error("remote write sent nothing")
	}
	if err := e.stop(); err != nil { // while the peers are still there to take what is queued
		t.Error(err)
	}
}
