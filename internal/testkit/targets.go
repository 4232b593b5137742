package testkit

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// apiServer is the address under which the API server of internal/testkube names
// itself, whose port is another one at each start.
var apiServer = regexp.MustCompile(`192\.0\.2\.1:\d+`)

// Targets is what a Prometheus answers at /api/v1/targets as text that can be
// compared: a line for each target with its job, address and labels, and one for
// each job with the number of what was dropped. It leaves out what changes from run
// to run: health, times, and the port of the API server of the tests.
func Targets(answer []byte) ([]byte, error) {
	var a struct {
		Status, Error string
		Data          struct {
			ActiveTargets []struct {
				Labels                map[string]string
				ScrapePool, ScrapeURL string
			}
			DroppedTargetCounts map[string]int
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("targets: %w in %.200q", err, answer)
	}
	if a.Status != "success" {
		return nil, fmt.Errorf("targets: %s: %s", a.Status, a.Error)
	}
	var lines []string
	for _, t := range a.Data.ActiveTargets {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(t.Labels)) {
			labels = append(labels, name+"="+strconv.Quote(t.Labels[name]))
		}
		lines = append(lines, fmt.Sprintf("%s %s {%s}", t.ScrapePool, t.ScrapeURL, strings.Join(labels, ", ")))
	}
	for job, n := range a.Data.DroppedTargetCounts {
		if n > 0 {
			lines = append(lines, fmt.Sprintf("%s dropped %d", job, n))
		}
	}
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n"
	return apiServer.ReplaceAll([]byte(text), []byte("192.0.2.1:6443")), nil
}
