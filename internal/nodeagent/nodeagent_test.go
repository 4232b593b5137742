package nodeagent

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"watchpost/collectors"
	"watchpost/internal/expo"
)

// reserved are families of the program itself that a text file has as well, each
// with a value that the program does not say.
const reserved = `# TYPE go_goroutines gauge
go_goroutines 4711
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 4711
# TYPE promhttp_metric_handler_requests_total counter
promhttp_metric_handler_requests_total{code="200"} 4711
# TYPE watchpost_scrapes_total counter
watchpost_scrapes_total 4711
# TYPE node_exporter_build_info gauge
node_exporter_build_info{version="mine"} 4711
# TYPE go_of_mine gauge
go_of_mine 4711
# TYPE backup_age_seconds gauge
backup_age_seconds 4711
`

// scrape is what an agent says to a client that accepts a format; each family has
// one header in it.
func scrape(t *testing.T, h http.Handler, accept string) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	text := w.Body.String()
	seen := make(map[string]bool)
	for sc := expo.NewScanner([]byte(text)); sc.Next(); {
		if l := sc.Line(); l.Kind == expo.TypeLine && string(l.Name) != "go_memstats_alloc_bytes" {
			if seen[string(l.Name)] {
				t.Errorf("%s: %s has two headers", accept, l.Name)
			}
			seen[string(l.Name)] = true
		}
	}
	return text
}

// A family of a text file that the program itself has too gives way, whatever the
// format; one that is merely named like those stays.
func TestReservedNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.prom"), []byte(reserved), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		hide   bool
		accept string
		kept   []string
	}{
		{"text", false, "text/plain", []string{"backup_age_seconds", "go_of_mine"}},
		{"openmetrics", false, "application/openmetrics-text", []string{"backup_age_seconds", "go_of_mine"}},
		{"without its own", true, "text/plain", []string{"backup_age_seconds", "go_goroutines", "go_of_mine",
			"process_cpu_seconds_total", `promhttp_metric_handler_requests_total{code="200"}`, "watchpost_scrapes_total"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := Config{Collectors: collectors.DefaultConfig(), Enabled: []string{"textfile"}, HideSelf: tc.hide,
				Ceiling: DefaultCeiling, Log: slog.New(slog.DiscardHandler)}
			cfg.Collectors.Textfile.Directories = []string{dir}
			a, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			kept := make(map[string]bool)
			text := scrape(t, a.Metrics(), tc.accept)
			for line := range strings.Lines(text) {
				if series, ok := strings.CutSuffix(strings.TrimSpace(line), " 4711"); ok {
					kept[series] = true
				}
				if series, ok := strings.CutSuffix(strings.TrimSpace(line), " 4711.0"); ok {
					kept[series] = true
				}
			}
			if got := slices.Sorted(maps.Keys(kept)); !slices.Equal(got, tc.kept) {
				t.Errorf("kept of the file: %q, want %q", got, tc.kept)
			}
			if !strings.Contains(text, `node_scrape_collector_success{collector="textfile"} 0`) {
				t.Error("the collector does not say that something was left out")
			}
		})
	}
}
