package promstack

// Additions: files in the format of prometheus.yml whose sections are added to the
// configuration. So a configuration that is built in, or made by somebody else, gets
// rules, remote write or further jobs without being written anew.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// additions are the files of the patterns in Add, each pattern's in the order of their
// names. A pattern may fit none; a plain name must be there.
func (s Source) additions() ([]string, error) {
	var all []string
	for _, pattern := range s.Add {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, &ConfigError{File: pattern, Reason: err.Error()}
		}
		if len(files) == 0 && !strings.ContainsAny(pattern, `*?[`) {
			files = []string{pattern} // reading it tells why
		}
		for _, f := range files {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// extend is the text with the additions in it. Each of them is checked alone before, so
// that what is wrong is told by its own file and line.
func (s Source) extend(text []byte) ([]byte, error) {
	files, err := s.additions()
	if err != nil || len(files) == 0 {
		return text, err
	}
	whole, err := mapping(text)
	if err != nil {
		return nil, s.explain(text, err)
	}
	for _, f := range files {
		add := Source{File: f}
		text, err := add.read()
		if err != nil {
			return nil, err
		}
		if _, err := config.Load(string(text), quiet()); err != nil {
			return nil, add.explain(text, err)
		}
		part, err := mapping(text)
		if err != nil {
			return nil, add.explain(text, err)
		}
		dir, err := filepath.Abs(filepath.Dir(f))
		if err != nil {
			return nil, &ConfigError{File: f, Reason: err.Error()}
		}
		rebase(part, dir)
		merge(whole, part)
	}
	return yaml.Marshal(whole)
}

// mapping is the text as a mapping; an empty one where it says nothing.
func mapping(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	if root := doc.Content[0]; root.Kind == yaml.MappingNode {
		return root, nil
	}
	return nil, fmt.Errorf("yaml: line %d: want sections with their names", doc.Content[0].Line)
}

// merge adds a mapping to another: lists grow, mappings are merged in turn, and of other
// values the added one counts. A key without a value changes nothing.
func merge(to, from *yaml.Node) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		old := field(to, key.Value)
		switch {
		case value.ShortTag() == "!!null":
		case old == nil:
			to.Content = append(to.Content, key, value)
		case old.Kind == yaml.SequenceNode && value.Kind == yaml.SequenceNode:
			old.Content = append(old.Content, value.Content...)
			old.Style = 0
		case old.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			merge(old, value)
		default:
			*old = *value
		}
	}
}

// field is the value of a key in a mapping, or nil.
func field(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// rebase makes the paths in a configuration count from dir, as Prometheus does for the
// paths of each file. They are the values of keys that say so by their names.
func rebase(n *yaml.Node, dir string) {
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			rebase(c, dir)
		}
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch {
		case slices.Contains([]string{"labels", "external_labels", "params", "headers"}, key): // whose keys are the user's
		case strings.HasSuffix(key, "_file") && value.Kind == yaml.ScalarNode:
			join(value, dir)
		case (strings.HasSuffix(key, "_files") || key == "files") && value.Kind == yaml.SequenceNode:
			for _, v := range value.Content {
				join(v, dir)
			}
		default:
			rebase(value, dir)
		}
	}
}

func join(path *yaml.Node, dir string) {
	if path.Kind == yaml.ScalarNode && path.Value != "" && !filepath.IsAbs(path.Value) {
		path.Value = filepath.Join(dir, path.Value)
	}
}

// checksumAdded changes when an addition, or a file that it names, does, and when one
// comes or goes.
func (s Source) checksumAdded() (string, error) {
	files, err := s.additions()
	if err != nil {
		return "", err
	}
	var sums []string
	for _, f := range files {
		sum, err := config.GenerateChecksum(f)
		switch {
		case errors.Is(err, os.ErrNotExist): // it goes just now
			sum = "gone"
		case err != nil:
			return "", explainIn(f, err)
		}
		sums = append(sums, f+"="+sum)
	}
	return strings.Join(sums, " "), nil
}
