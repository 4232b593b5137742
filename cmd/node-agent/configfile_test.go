package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"

	"watchpost/cmd/internal/cli"
)

// writeFile writes a configuration file.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "node-agent.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// commandLineOnly are the flags that no file can set.
var commandLineOnly = []string{"help", "help-long", "help-man", "completion-bash", "completion-script-bash", "completion-script-zsh", "version", "config.file"}

// example is a flag as a file sets it and as the command line does, to something
// else than its default.
type example struct {
	name, yaml string
	args       []string
}

// exampleOf finds a value that the flag takes.
func exampleOf(t *testing.T, m *kingpin.FlagModel) example {
	t.Helper()
	def := strings.Join(m.Default, ",")
	if m.IsBoolFlag() {
		if def == "true" {
			return example{m.Name, "false", []string{"--no-" + m.Name}}
		}
		return example{m.Name, "true", []string{"--" + m.Name}}
	}
	if c, ok := m.Value.(interface{ IsCumulative() bool }); ok && c.IsCumulative() {
		for _, values := range [][]string{{"a=b", "c=d"}, {"a", "b"}} {
			args := []string{"--" + m.Name + "=" + values[0], "--" + m.Name + "=" + values[1]}
			if _, err := newFlags().app.Parse(args); err == nil {
				return example{m.Name, fmt.Sprintf("[%q, %q]", values[0], values[1]), args}
			}
		}
		t.Fatalf("--%s: no example; add one here", m.Name)
	}
	// The words are for flags with a choice of them.
	for _, v := range []string{"some text", "17", "17s", "1.5", "debug", "json", "warn", "tcp", "none"} {
		args := []string{"--" + m.Name + "=" + v}
		if _, err := newFlags().app.Parse(args); err == nil && v != def {
			return example{m.Name, v, args}
		}
	}
	t.Fatalf("--%s: no example; add one here", m.Name)
	return example{}
}

// values are what all flags stand at.
func values(app *cli.App) map[string]string {
	all := make(map[string]string)
	for _, m := range app.Model().Flags {
		if m.Name != "config.file" {
			all[m.Name] = m.Value.String()
		}
	}
	return all
}

// same compares what a configuration file does with what a command line does.
func same(t *testing.T, file string, args []string) {
	t.Helper()
	byFile, byArgs := newFlags(), newFlags()
	if _, err := byFile.app.Parse([]string{"--config.file=" + writeFile(t, file)}); err != nil {
		t.Errorf("%s\n%v", file, err)
		return
	}
	if _, err := byArgs.app.Parse(args); err != nil {
		t.Error(err)
		return
	}
	got, want := values(byFile.app), values(byArgs.app)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("--%s: %q by the file, %q by the command line", name, got[name], want[name])
		}
		if byFile.app.Given(name) != byArgs.app.Given(name) {
			t.Errorf("--%s: given %t by the file, %t by the command line", name, byFile.app.Given(name), byArgs.app.Given(name))
		}
	}
}

// TestEveryFlagByFile: a configuration file can say what the command line can, of
// every flag that the program has.
func TestEveryFlagByFile(t *testing.T) {
	var flat strings.Builder
	var args []string
	defaults := newFlags()
	if _, err := defaults.app.Parse(nil); err != nil {
		t.Fatal(err)
	}
	untouched := values(defaults.app)
	n := 0
	for _, m := range newFlags().app.Model().Flags {
		if slices.Contains(commandLineOnly, m.Name) {
			continue
		}
		n++
		e := exampleOf(t, m)
		set := newFlags()
		if _, err := set.app.Parse(e.args); err != nil {
			t.Fatal(err)
		}
		if values(set.app)[m.Name] == untouched[m.Name] {
			t.Errorf("--%s: the example %q is the default", m.Name, e.args)
		}
		args = append(args, e.args...)
		fmt.Fprintf(&flat, "%s: %s\n", e.name, e.yaml)
		path := strings.Split(e.name, ".")
		if m.IsBoolFlag() {
			path = append(path, "enabled")
			if !hasFlagsBelow(m.Name) {
				path = path[:len(path)-1]
			}
		}
		same(t, strings.Join(path, ": {")+": "+e.yaml+strings.Repeat("}", len(path)-1)+"\n", e.args)
	}
	if n < 40 {
		t.Errorf("only %d flags", n)
	}
	same(t, flat.String(), args)
}

func hasFlagsBelow(name string) bool {
	return slices.ContainsFunc(newFlags().app.Model().Flags, func(m *kingpin.FlagModel) bool { return strings.HasPrefix(m.Name, name+".") })
}

// TestEnabledIsNoFlag: in nested form, enabled is the switch above it.
func TestEnabledIsNoFlag(t *testing.T) {
	for _, m := range newFlags().app.Model().Flags {
		if m.Name == "enabled" || strings.HasSuffix(m.Name, ".enabled") {
			t.Errorf("--%s cannot be set by a configuration file", m.Name)
		}
	}
}

func TestCommandLineOnly(t *testing.T) {
	for _, name := range commandLineOnly {
		_, err := newFlags().app.Parse([]string{"--config.file=" + writeFile(t, name+": x\n")})
		if err == nil || !strings.Contains(err.Error(), name+": is for the command line only") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMistakesBehindFlags: what only a part behind the flags can find wrong is told
// with file and line too.
func TestMistakesBehindFlags(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"collector: {vmstat: true}\ncollector.vmstat.fields: '('\n", "2: collector.vmstat.fields: "},
		{"collector:\n  netdev:\n    device-include: a\n    device-exclude: b\n", "3: collector.netdev.device-include: "},
		{"external-label:\n  a-b: c\n", "1: external-label: "},
		{"web: {max-requests: -1}\n", "1: web.max-requests: "},
		{"web:\n  config.file: /nowhere/web.yml\n", "2: web.config.file: "},
		{"web.listen-address: []\n", "1: web.listen-address: "},
		{"log.path: /proc/nowhere\n", "1: log.path: "},
		{"runtime: {gomaxprocs: 0}\n", "1: runtime.gomaxprocs: "},
	} {
		name := writeFile(t, tc.text)
		err := nodeAgent(t.Context(), []string{"check", "config", name})
		if err == nil || !strings.HasPrefix(err.Error(), name+":"+tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", tc.text, err, tc.want)
		}
	}
}
