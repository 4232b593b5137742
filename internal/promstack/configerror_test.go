package promstack

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigErrors(t *testing.T) {
	const job = "scrape_configs:\n- job_name: a\n  static_configs: [{targets: [x]}]\n"
	for _, c := range []struct{ name, yml, want string }{
		{"syntax", "global:\n  scrape_interval: 15s\n bad\n", ":3: did not find expected key"},
		{"syntax far down", "scrape_configs:\n" + manyJobs(40) + " - job_name: last\n", ":82: did not find expected key"},
		{"quote left open", "global:\n  external_labels:\n    a: 'x\n    b: y\n", ":3: found unexpected end of stream"},
		{"bracket closed further on", "rule_files: [\n a,\n b,\n]\nglobal:\n  a: b: c\n", ":6: mapping values are not allowed in this context"},
		{"tab", "global:\n\tscrape_interval: 15s\n", ":2: found character that cannot start any token"},
		{"unknown field", "global:\n  scrape_interval: 15s\nscrape_config: []\n", `:3: unknown field "scrape_config"`},
		{"unknown field in a job", job + "  metric_path: /m\n", `:4: unknown field "metric_path"`},
		{"wrong type", job + "  sample_limit: many\n", ":4: cannot unmarshal !!str `many` into uint"},
		{"kind of discovery", job + "- job_name: b\n  ec2_sd_configs: [{region: x}]\n",
			":5: ec2_sd_configs is not built into this program, which knows consul_sd_configs, dns_sd_configs, file_sd_configs, http_sd_configs, kubernetes_sd_configs, static_configs"},
		{"job twice", job + "- job_name: b\n- job_name: a\n", `:5: found multiple scrape configs with job name "a"`},
		{"timeout", job + "  scrape_interval: 10s\n  scrape_timeout: 11s\n", `:5: scrape timeout greater than scrape interval for scrape config with job name "a"`},
		{"duration", "global:\n  evaluation_interval: 1m\n  scrape_interval: soon\n", `:3: not a valid duration string: "soon"`},
		{"duration in a long list", "scrape_configs:\n" + manyJobs(40) + "- job_name: last\n  scrape_interval: soon\n" + strings.ReplaceAll(manyJobs(9), "j", "k"),
			`:83: not a valid duration string: "soon"`},
		{"regular expression", job + "  relabel_configs:\n  - {source_labels: [b], target_label: c}\n  - source_labels: [a]\n    regex: '('\n",
			":7: error parsing regexp: missing closing ): `^(?s:()$`"},
		{"relabel action", job + "  relabel_configs:\n  - source_labels: [a]\n    action: drop_all\n", `:6: unknown relabel action "drop_all"`},
		{"no job name", "scrape_configs:\n- static_configs: [{targets: [x]}]\n", ":2: job_name is empty"},
		{"role", "scrape_configs:\n- job_name: a\n  kubernetes_sd_configs:\n  - role: pods\n", `:4: unknown Kubernetes SD role "pods"`},
		{"remote write", "remote_write:\n- name: a\n", ":2: url for remote_write is empty"},
		{"external label", "global:\n  external_labels:\n    ok: x\n    '': y\n", `:4: "" is not a valid label name`},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "prometheus.yml")
			writeFile(t, file, c.yml)
			_, err := Source{File: file}.Check(QueryConfig{})
			if err == nil || err.Error() != file+c.want {
				t.Errorf("got  %v\nwant %s", err, file+c.want)
			}
			if !errors.As(err, new(*ConfigError)) {
				t.Errorf("%T is no ConfigError", err)
			}
		})
	}
}

func manyJobs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("- job_name: j" + strings.Repeat("x", i+1) + "\n  static_configs: []\n")
	}
	return b.String()
}

// Errors in the files that a configuration names are told with those files.
func TestErrorsInOtherFiles(t *testing.T) {
	dir := t.TempDir()
	main, rules, scrapes := filepath.Join(dir, "prometheus.yml"), filepath.Join(dir, "rules.yml"), filepath.Join(dir, "jobs.yml")
	const good = "groups: [{name: g, rules: [{record: r, expr: '1'}]}]"
	for _, c := range []struct{ name, rules, scrapes, want string }{
		{"rule expression", "groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(\n", "scrape_configs: []",
			rules + `:5: group "g", rule 1, "r": could not parse expression: 1:5: parse error: unclosed left parenthesis`},
		{"rule field", "groups:\n- name: g\n  rule: []\n", "scrape_configs: []", rules + `:3: unknown field "rule"`},
		{"scrape file field", good, "scrape_configs:\n- job_name: a\n  path: /\n", scrapes + `:3: unknown field "path"`},
		{"scrape file value", good, "scrape_configs:\n- job_name: ''\n", scrapes + `: job_name is empty`},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeFile(t, main, "rule_files: [rules.yml]\nscrape_config_files: [jobs.yml]\n")
			writeFile(t, rules, c.rules)
			writeFile(t, scrapes, c.scrapes)
			_, err := Source{File: main}.Check(QueryConfig{})
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	_, err := New(Config{Source: Source{File: file}})
	if want := file + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCheckTellsWhatThereIs(t *testing.T) {
	sum, err := Source{Text: []byte("scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: geheim}\n")}.Check(QueryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Jobs != 1 || sum.RuleFiles != 0 || !strings.Contains(sum.Effective, "scrape_timeout: 10s") {
		t.Errorf("got %+v", sum)
	}
	if strings.Contains(sum.Effective, "geheim") {
		t.Errorf("the password is printed:\n%s", sum.Effective)
	}
}

// Whatever is wrong, the error is one line that names the source.
func FuzzConfigErrors(f *testing.F) {
	for _, s := range []string{"", "global: []", "scrape_configs:\n- job_name: a\n  scrape_interval: x\n", "a: &x [*x]", "? [a]\n: b", "\t", "scrape_configs: [null]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 2000 || strings.Contains(s, "rule_files") || strings.Contains(s, "scrape_config_files") {
			return // would look for files
		}
		_, err := Source{Text: []byte(s)}.Check(QueryConfig{})
		if err == nil {
			return
		}
		if text := err.Error(); !strings.HasPrefix(text, "the built-in configuration:") || strings.Contains(text, "\n") {
			t.Errorf("%q: %q", s, text)
		}
		if e := (*ConfigError)(nil); !errors.As(err, &e) || e.Line > strings.Count(s, "\n")+2 {
			t.Errorf("%q: %#v", s, err)
		}
	})
}
