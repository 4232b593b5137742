package main

// The file of --config: what can be said by flags, in YAML, and comes before them.
// Its keys are kube-state-metrics'; the flags that it does not have are there too,
// with underscores.

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"go.yaml.in/yaml/v3"

	"watchpost/internal/stateagent"
	"watchpost/internal/words"
)

// optionKeys are the keys of kube-state-metrics that are not the flag's name with
// underscores.
var optionKeys = map[string]string{
	"annotations_allow_list":      "metric-annotations-allowlist",
	"labels_allow_list":           "metric-labels-allowlist",
	"custom_resource_config":      "custom-resource-state-config",
	"custom_resource_config_file": "custom-resource-state-config-file", // its old name
	"custom_resources_only":       "custom-resource-state-only",
	"namespace":                   "pod-namespace",
	"use_api_server_cache":        "use-apiserver-cache",
	"auto-gomemlimit":             "auto-gomemlimit",
	"auto-gomemlimit-ratio":       "auto-gomemlimit-ratio",
}

// notOptions are flags that make no sense in the file, or only add to what the
// command line has.
var notOptions = []string{"config", "help", "version", "web.listen-address"}

// isAbsent tells whether a file is not there.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// readOptions reads the file of --config, if there is one, into the flags.
func (f *flags) readOptions() error {
	if f.config == "" {
		return nil
	}
	text, err := stateagent.ReadFile(f.config)
	if err != nil {
		if f.withoutConfig && isAbsent(err) {
			return nil
		}
		return fmt.Errorf("--config: %w", &stateagent.FileError{Name: f.config, Err: err})
	}
	options, err := parseOptions(text)
	if err == nil {
		err = f.setOptions(options)
	}
	if err != nil {
		return &stateagent.FileError{Name: f.config, Err: err}
	}
	return nil
}

// option is one key of the file.
type option struct {
	key    string
	line   int
	values []string // as on the command line; several for what can be given again
}

// parseOptions reads the text of a file: keys with a value, a list, a mapping whose
// keys are the list (as kube-state-metrics has resources: {pods: {}}), or one of
// lists (the keys that become labels, by resource). It does not look into values.
func parseOptions(text []byte) ([]option, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, errors.New(strings.TrimPrefix(words.OneLine(err), "yaml: "))
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return nil, nil // nothing but comments
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want keys with values", root.Line)
	}
	var options []option
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: want a key", k.Line)
		}
		if slices.ContainsFunc(options, func(o option) bool { return o.key == k.Value }) {
			return nil, fmt.Errorf("line %d: %s is there twice", k.Line, k.Value)
		}
		o := option{key: k.Value, line: k.Line}
		var err error
		if o.values, err = optionValues(v); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", v.Line, k.Value, err)
		}
		options = append(options, o)
	}
	return options, nil
}

// optionValues are the values of a node, as on the command line.
func optionValues(n *yaml.Node) ([]string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return nil, errors.New("want a value, not an alias")
	case n.ShortTag() == "!!null":
		return nil, nil
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}, nil
	case n.Kind == yaml.SequenceNode:
		return scalars(n)
	}
	values := []string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode:
			return nil, errors.New("want a name")
		case v.Kind == yaml.SequenceNode: // pods: [app, team]
			of, err := scalars(v)
			if err != nil {
				return nil, err
			}
			values = append(values, k.Value+"=["+strings.Join(of, ",")+"]")
		case v.ShortTag() == "!!null" || v.Kind == yaml.MappingNode && len(v.Content) == 0: // pods: {}
			values = append(values, k.Value)
		case v.Kind == yaml.ScalarNode: // pods: app=a
			values = append(values, k.Value+"="+v.Value)
		default:
			return nil, fmt.Errorf("%s: want a value or a list", k.Value)
		}
	}
	return values, nil
}

func scalars(n *yaml.Node) ([]string, error) {
	values := []string{}
	for _, v := range n.Content {
		if v.Kind != yaml.ScalarNode || v.ShortTag() == "!!null" {
			return nil, errors.New("want a list of values")
		}
		values = append(values, v.Value)
	}
	return values, nil
}

// setOptions sets the flags that a file names, in place of what they had.
func (f *flags) setOptions(options []option) error {
	known := make(map[string]*kingpin.FlagModel)
	for _, m := range f.app.Model().Flags {
		known[m.Name] = m
	}
	set := make(map[string]string) // flag: the key that set it
	for _, o := range options {
		name, renamed := optionKeys[o.key]
		if !renamed {
			name = strings.ReplaceAll(o.key, "_", "-")
			if known[name] == nil { // klog's flags, and those with dots, have their own names
				name = o.key
			}
		}
		m := known[name]
		if m == nil || slices.Contains(notOptions, name) {
			return fmt.Errorf("line %d: %s: there is no such option", o.line, o.key)
		}
		if before, again := set[name]; again {
			return fmt.Errorf("line %d: %s says what %s says", o.line, o.key, before)
		}
		set[name] = o.key
		if err := f.setOption(m, o); err != nil {
			return fmt.Errorf("line %d: %s: %w", o.line, o.key, err)
		}
	}
	return nil
}

// setOption sets one flag.
func (f *flags) setOption(m *kingpin.FlagModel, o option) error {
	if m.Name == "label-selector" {
		f.labelSelectors = make(map[string]string)
	}
	switch v := m.Value.(type) {
	case *wordList:
		*v = nil
	case *keys:
		*v = nil
	default:
		c, ok := m.Value.(interface{ IsCumulative() bool })
		many := ok && c.IsCumulative()
		switch {
		case len(o.values) == 0: // key: without a value leaves what is
			return nil
		case len(o.values) > 1 && !many:
			return errors.New("want one value")
		}
		if m.IsBoolFlag() {
			if _, err := strconv.ParseBool(o.values[0]); err != nil {
				return fmt.Errorf("want true or false, not %q", o.values[0])
			}
		}
	}
	for _, value := range o.values {
		if err := m.Value.Set(value); err != nil {
			return err
		}
	}
	return nil
}

// fixed tells which of the changed options only take effect at the next start.
func (f *flags) fixed(changed *flags, log *slog.Logger) {
	settings := []string{
		"host", "port", "telemetry-host", "telemetry-port", "tls-config", "auth-filter", "auto-gomemlimit", "auto-gomemlimit-ratio", "lookup",
		"server-read-header-timeout", "server-read-timeout", "server-write-timeout", "server-idle-timeout",
		"log.level", "log.format", "log.path", "web.listen-address", "web.config.file", "web.enable-pprof", "web.systemd-socket",
	}
	var differ []string
	for _, name := range settings {
		if f.app.GetFlag(name).Model().Value.String() != changed.app.GetFlag(name).Model().Value.String() {
			differ = append(differ, name)
		}
	}
	if len(differ) > 0 {
		log.Warn("Changed options that take effect at the next start", "options", strings.Join(differ, " "))
	}
}
