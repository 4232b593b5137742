package promstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

const addedTo = `global: {scrape_interval: 15s, external_labels: {cluster: a}}
scrape_configs:
- {job_name: own, static_configs: [{targets: ["localhost:1"]}]}
`

// folder has files of these names and texts.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), text)
	}
	return dir
}

func TestAdditions(t *testing.T) {
	dir := folder(t, map[string]string{
		"add/a-rules.yml":   "rule_files: [rules/*.yml]\n",
		"add/rules/one.yml": "groups: [{name: g, rules: [{record: a:b, expr: up}]}]\n",
		"add/b-write.yml": `global: {evaluation_interval: 7s, external_labels: {zone: z, cluster: b}}
remote_write:
- {url: "http://localhost:2/write", basic_auth: {username: u, password_file: secret/p}, headers: {x_file: stays}}
scrape_configs:
- {job_name: more, static_configs: [{targets: ["localhost:3"]}]}
alerting: {alertmanagers: [{static_configs: [{targets: ["localhost:4"]}]}]}
rule_files:
`,
		"add/c-nothing.yml": "# only words\n",
	})
	s := Source{Text: []byte(addedTo), Add: []string{filepath.Join(dir, "add/*.yml"), filepath.Join(dir, "none/*.yml"), filepath.Join(dir, "add/b-write.yml")}}
	c, err := s.load(parser.NewParser(parser.Options{}), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.ScrapeConfigs) != 2 || c.ScrapeConfigs[1].JobName != "more" || time.Duration(c.ScrapeConfigs[1].ScrapeInterval) != 15*time.Second {
		t.Errorf("jobs: %+v", c.ScrapeConfigs)
	}
	if got := c.GlobalConfig.ExternalLabels.String(); got != `{cluster="b", zone="z"}` || time.Duration(c.GlobalConfig.EvaluationInterval) != 7*time.Second {
		t.Errorf("global: %s %v", got, c.GlobalConfig.EvaluationInterval)
	}
	if len(c.RuleFiles) != 1 || c.RuleFiles[0] != filepath.Join(dir, "add/rules/*.yml") {
		t.Errorf("rule files: %q", c.RuleFiles)
	}
	if len(c.AlertingConfig.AlertmanagerConfigs) != 1 {
		t.Errorf("alerting: %+v", c.AlertingConfig)
	}
	if len(c.RemoteWriteConfigs) != 1 {
		t.Fatalf("remote write: %+v", c.RemoteWriteConfigs)
	}
	w := c.RemoteWriteConfigs[0]
	if got := w.HTTPClientConfig.BasicAuth.PasswordFile; got != filepath.Join(dir, "add/secret/p") || w.Headers["x_file"] != "stays" {
		t.Errorf("password file %q, headers %v", got, w.Headers)
	}
	if sum, err := s.Check(QueryConfig{}); err != nil || sum.Jobs != 2 || sum.RuleFiles != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestAdditionsOfAFile(t *testing.T) {
	dir := folder(t, map[string]string{
		"main/prometheus.yml": addedTo + "rule_files: [r.yml]\nruntime: {gogc: 60}\n",
		"main/r.yml":          "groups: []\n",
		"other/add.yml":       "rule_files: [r.yml]\nruntime: {gogc: 40}\n",
		"other/r.yml":         "groups: []\n",
	})
	t.Chdir(dir)
	s := Source{File: "main/prometheus.yml", Add: []string{"other/add.yml"}}
	c, err := s.load(parser.NewParser(parser.Options{}), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.RuleFiles) != 2 || c.RuleFiles[0] != "main/r.yml" || c.RuleFiles[1] != filepath.Join(dir, "other/r.yml") || c.Runtime.GoGC != 40 {
		t.Errorf("%q %+v", c.RuleFiles, c.Runtime)
	}
}

func TestAdditionsAreWrong(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"syntax":      {"rule_files: [\n", "add.yml:1: "},
		"a field":     {"\nremote_rite: []\n", `add.yml:2: unknown field "remote_rite"`},
		"a value":     {"scrape_configs:\n- job_name: a\n  scrape_interval: soon\n", "add.yml:3: "},
		"no sections": {"- a\n", "add.yml"},
		"job twice":   {"scrape_configs: [{job_name: own}]\n", `the built-in configuration with its additions: found multiple scrape configs with job name "own"`},
		"rules":       {"rule_files: [add.yml]\n", "add.yml"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"add.yml": c.text})
			_, err := Source{Text: []byte(addedTo), Add: []string{filepath.Join(dir, "add.yml")}}.Check(QueryConfig{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := (Source{Text: []byte(addedTo), Add: []string{"absent.yml"}}).Check(QueryConfig{}); err == nil || !strings.Contains(err.Error(), "absent.yml: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// What a reload by itself looks at.
func TestChecksumOfAdditions(t *testing.T) {
	dir := folder(t, map[string]string{"add.yml": "rule_files: [r.yml]\n", "r.yml": "groups: []\n"})
	s := Source{Text: []byte(addedTo), Add: []string{filepath.Join(dir, "*.yml")}}
	seen := map[string]string{}
	sum := func(what string) {
		t.Helper()
		got, err := s.Checksum()
		if err != nil {
			t.Fatal(err)
		}
		if before, again := seen[got]; again {
			t.Errorf("%s: the same as %s", what, before)
		}
		seen[got] = what
	}
	s.Add = []string{filepath.Join(dir, "a*.yml")}
	sum("the beginning")
	writeFile(t, filepath.Join(dir, "r.yml"), "groups: [{name: g}]\n")
	sum("a rule file")
	writeFile(t, filepath.Join(dir, "add2.yml"), "")
	sum("another file")
	writeFile(t, filepath.Join(dir, "add.yml"), "rule_files: []\n")
	sum("the file")
	if err := os.Remove(filepath.Join(dir, "add2.yml")); err != nil {
		t.Fatal(err)
	}
	sum("one less")
}

func FuzzMerge(f *testing.F) {
	f.Add(addedTo, "rule_files: [a]\nglobal: {external_labels: {a: b}}\n")
	f.Add("a: &x [1]\nb: *x\n", "a: &x {ca_file: c}\nb: [*x]\nc:\n")
	f.Add("a: {b: 1}\n", "a: [1]\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		to, err := mapping([]byte(a))
		if err != nil {
			return
		}
		from, err := mapping([]byte(b))
		if err != nil {
			return
		}
		rebase(from, "/dir")
		merge(to, from)
		for i := 0; i+1 < len(from.Content); i += 2 {
			if from.Content[i+1].ShortTag() != "!!null" && field(to, from.Content[i].Value) == nil {
				t.Errorf("%s is missing", from.Content[i].Value)
			}
		}
	})
}
