package promstack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"watchpost/internal/testkit"
)

// targetLines are those of the targets that an engine scrapes, for one job.
func (e *engine) targetLines(job string) ([]string, error) {
	text, err := testkit.Targets(e.get("/targets", nil).Body.Bytes())
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, job+" http") {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// Every target is in exactly one of the shards, also where all have one address and
// where they come from another file; those that say so are in each.
func TestShards(t *testing.T) {
	dir := t.TempDir()
	var targets strings.Builder
	for i := range 40 {
		fmt.Fprintf(&targets, "%q, ", fmt.Sprintf("192.0.2.%d:9100", i+1))
	}
	writeFile(t, filepath.Join(dir, "more.yml"), "scrape_configs:\n- job_name: more\n  static_configs: [{targets: ["+targets.String()+"]}]\n")
	yml := `scrape_config_files: [` + dir + `/more.yml]
scrape_configs:
- job_name: proxied
  static_configs: [{targets: [` + targets.String() + `]}]
  relabel_configs:
  - {source_labels: [__address__], target_label: __metrics_path__, replacement: /nodes/$1/metrics}
  - {source_labels: [__address__], target_label: instance}
  - {target_label: __address__, replacement: "192.0.2.200:6443"}
- job_name: everywhere
  static_configs: [{targets: ["192.0.2.1:9090"], labels: {__tmp_disable_sharding: "true"}}]
`
	const shards = 3
	seen := make(map[string]int)
	for i := range shards {
		cfg, log := testConfig(t, t.TempDir(), yml)
		cfg.Source.Shard = Shard{i, shards}
		e := start(t, cfg, log)
		eventually(t, func() error {
			lines, err := e.targetLines("everywhere")
			if err == nil && len(lines) != 1 {
				err = fmt.Errorf("shard %d: %q", i, lines)
			}
			return err
		})
		for _, job := range []string{"proxied", "more"} {
			lines, err := e.targetLines(job)
			if err != nil {
				t.Fatal(err)
			}
			if len(lines) < 4 {
				t.Errorf("shard %d has only %d targets of %s", i, len(lines), job)
			}
			for _, l := range lines {
				seen[l]++
			}
		}
		if err := e.stop(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 80 || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("%d targets of 80 in the shards, or some twice: %v", len(seen), seen)
	}
}

func TestShardChanges(t *testing.T) {
	const all = 20
	var targets strings.Builder
	for i := range all {
		fmt.Fprintf(&targets, "%q, ", fmt.Sprintf("127.0.0.1:%d", i+1))
	}
	cfg, log := testConfig(t, t.TempDir(), "scrape_configs:\n- job_name: a\n  static_configs: [{targets: ["+targets.String()+"]}]\n")
	e := start(t, cfg, log)
	wants := func(what string, right func(lines []string) bool) (lines []string) {
		eventually(t, func() (err error) {
			if lines, err = e.targetLines("a"); err == nil && !right(lines) {
				err = fmt.Errorf("%s: %d of %d targets: %q", what, len(lines), all, lines)
			}
			return err
		})
		return lines
	}
	wants("no shard", func(lines []string) bool { return len(lines) == all })
	if err := e.SetShard(Shard{0, 2}); err != nil {
		t.Fatal(err)
	}
	first := wants("shard 0", func(lines []string) bool { return len(lines) > 0 && len(lines) < all })
	if err := e.SetShard(Shard{1, 2}); err != nil {
		t.Fatal(err)
	}
	wants("shard 1", func(lines []string) bool {
		return len(lines) == all-len(first) && !slices.ContainsFunc(lines, func(l string) bool { return slices.Contains(first, l) })
	})
}

func TestExternalLabels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte("global: {external_labels: {replica: b, site: x}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum, err := Source{File: file, Labels: map[string]string{"replica": "a"}}.Check(QueryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sum.Effective, "replica: a\n") || !strings.Contains(sum.Effective, "site: x\n") || strings.Contains(sum.Effective, "replica: b") {
		t.Error(sum.Effective)
	}
}
