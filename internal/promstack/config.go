package promstack

// Reading a configuration: a prometheus.yml with everything it refers to, or
// the text built into the program.

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// Source is where a configuration comes from.
type Source struct {
	File string // path of a prometheus.yml; "" for Text
	Text []byte // used without a file: the program's own default

	Add []string // patterns of files that are added to it, in the same format

	Labels map[string]string // external labels, which count before those of the file
	Shard  Shard             // part of the targets
	agent  bool              // nothing is kept that could be asked
}

// String names the source for people.
func (s Source) String() string {
	if s.File == "" {
		return "the built-in configuration"
	}
	return s.File
}

// read is the text of the file, or the built-in one, without additions.
func (s Source) read() ([]byte, error) {
	if s.File == "" {
		return s.Text, nil
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		return nil, &ConfigError{File: s.File, Reason: pathReason(err)}
	}
	return text, nil
}

// load reads the configuration, the scrape files and the rule files it names,
// and checks them. Every error is a *ConfigError.
func (s Source) load(p parser.Parser, log *slog.Logger) (*config.Config, error) {
	text, err := s.read()
	if err != nil {
		return nil, err
	}
	c, err := config.Load(string(text), log)
	if err != nil {
		return nil, s.explain(text, err)
	}
	if len(s.Add) > 0 {
		if text, err = s.extend(text); err != nil {
			return nil, err
		}
		if c, err = config.Load(string(text), log); err != nil { // each part is right by itself
			return nil, &ConfigError{File: s.String() + " with its additions", Reason: explainIn("", err).Reason}
		}
	}
	c.SetDirectory(filepath.Dir(s.File))
	if _, err := c.GetScrapeConfigs(); err != nil {
		return nil, explainIn(s.String(), err)
	}
	files, err := ruleFiles(c)
	if err != nil {
		return nil, explainIn(s.String(), err)
	}
	for _, f := range files {
		if _, errs := rulefmt.ParseFile(f, false, c.GlobalConfig.MetricNameValidationScheme, p, log); len(errs) > 0 {
			return nil, explainIn(f, errs[0])
		}
	}
	if s.agent {
		if err := forwardOnly(c); err != nil {
			return nil, explainIn(s.String(), err)
		}
	}
	withLabels(c, s.Labels)
	if err := s.Shard.divide(c); err != nil {
		return nil, explainIn(s.String(), err)
	}
	return c, nil
}

// Checksum changes when the file, an addition, or a scrape or rule file that one of them
// names, does.
func (s Source) Checksum() (string, error) {
	added, err := s.checksumAdded()
	if s.File == "" || err != nil {
		return added, err
	}
	sum, err := config.GenerateChecksum(s.File)
	if err != nil {
		return "", explainIn(s.File, err)
	}
	return sum + added, nil
}

// logLevel is runtime.log_level, or "" where the file says nothing: Prometheus'
// own reader fills in a default there and so hides the difference.
func (s Source) logLevel() (string, error) {
	text, err := s.read()
	if err == nil {
		text, err = s.extend(text)
	}
	if err != nil {
		return "", err
	}
	var c struct {
		Runtime struct {
			LogLevel string `yaml:"log_level"`
		}
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		return "", explainIn(s.String(), err)
	}
	return strings.ToLower(c.Runtime.LogLevel), nil
}

// quiet is a logger for checks whose findings are returned as errors.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Summary is what a checked configuration consists of.
type Summary struct {
	Jobs      int
	RuleFiles int
	Effective string // the configuration with all its defaults, secrets left out
}

// Check reads a configuration as an engine would.
func (s Source) Check(q QueryConfig) (Summary, error) {
	c, err := s.load(q.parser(), quiet())
	if err != nil {
		return Summary{}, err
	}
	jobs, err := c.GetScrapeConfigs()
	if err != nil {
		return Summary{}, explainIn(s.String(), err)
	}
	rules, err := ruleFiles(c)
	if err != nil {
		return Summary{}, explainIn(s.String(), err)
	}
	return Summary{Jobs: len(jobs), RuleFiles: len(rules), Effective: c.String()}, nil
}

// kinds are the discoveries this program knows, as they are spelled in a file.
func kinds() string {
	names := discovery.RegisteredConfigNames()
	for i, n := range names {
		names[i] = n + "_sd_configs"
		if n == "static" {
			names[i] = "static_configs"
		}
	}
	return fmt.Sprint(strings.Join(names, ", "))
}
