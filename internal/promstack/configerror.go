package promstack

// Errors of a configuration, as one line that begins with file and line.
// Prometheus' reader gives the line of syntax errors and unknown fields only;
// for what it finds wrong in a value the line is found here.

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// ConfigError is what is wrong with a configuration file.
type ConfigError struct {
	File   string
	Line   int // counted from 1; 0 where no single line is to blame
	Reason string
}

// Error is one line: file:line: reason.
func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

var (
	// yaml: line 7: did not find expected key
	//   line 3: field x not found in type config.plain
	lineInError = regexp.MustCompile(`(?:^|\s)line (\d+): ([^\n]*)`)
	// rules.yml: 5:11: group "g", rule 1, "r": could not parse expression: ...
	columnInError = regexp.MustCompile(`^(\d+):\d+: (?:\d+:\d+: )?([^\n]*)`)
	// "/etc/jobs.yml": yaml: line 3: ...
	fileInError  = regexp.MustCompile(`^"([^"]+)": `)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type \S+$`)
	goType       = regexp.MustCompile(` in type \S+$`)
)

// explain turns an error of reading text into one that names file and line.
func (s Source) explain(text []byte, err error) *ConfigError {
	e := explainIn(s.String(), err)
	if n := syntaxLine(text); n != 0 {
		e.Line = n
	}
	if e.Line == 0 {
		e.Line = blame(text, func(text []byte) string {
			if _, err := config.Load(string(text), quiet()); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	return e
}

// explainIn makes one line of err, which was found in file unless it names
// another one itself.
func explainIn(file string, err error) *ConfigError {
	text := strings.TrimPrefix(err.Error(), file+": ")
	if m := fileInError.FindStringSubmatch(text); m != nil {
		file, text = m[1], text[len(m[0]):]
	}
	e := &ConfigError{File: file}
	switch m, rule := lineInError.FindStringSubmatch(text), columnInError.FindStringSubmatch(text); {
	case m != nil:
		e.Line, _ = strconv.Atoi(m[1])
		e.Reason = m[2]
	case rule != nil:
		e.Line, _ = strconv.Atoi(rule[1])
		e.Reason = rule[2]
	default:
		e.Reason = strings.ReplaceAll(strings.TrimPrefix(text, "yaml: "), "\n", "; ")
	}
	e.Reason = readable(e.Reason)
	return e
}

// readable puts the words of the YAML decoder into ours.
func readable(reason string) string {
	m := unknownField.FindStringSubmatch(reason)
	switch {
	case m == nil:
		return goType.ReplaceAllString(reason, "")
	case strings.HasSuffix(m[1], "_sd_configs"):
		return fmt.Sprintf("%s is not built into this program, which knows %s", m[1], kinds())
	}
	return fmt.Sprintf("unknown field %q", m[1])
}

// pathReason is the part of a file error that does not repeat the path.
func pathReason(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// wellFormed tells whether text is YAML at all.
func wellFormed(text []byte) bool {
	var doc yaml.Node
	return yaml.Unmarshal(text, &doc) == nil
}

// openLines is how many lines a bracket or quote may stay open for syntaxLine to
// see its end.
const openLines = 64

// syntaxLine is the line that keeps text from being YAML; 0 if it is. The
// decoder gives the line where the surrounding block begins, which may be
// hundreds of lines above. Here it is the line after the longest run of lines
// from the start that is YAML by itself.
func syntaxLine(text []byte) int {
	if wellFormed(text) {
		return 0
	}
	ends := []int{0} // of each line, and of the run of no lines
	for i, c := range text {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	if ends[len(ends)-1] != len(text) {
		ends = append(ends, len(text))
	}
	sound := func(lines int) bool { return wellFormed(text[:ends[lines]]) }
	good, bad := 0, len(ends)-1
	for {
		for bad-good > 1 {
			if half := (good + bad) / 2; sound(half) {
				good = half
			} else {
				bad = half
			}
		}
		// Perhaps only something open there, which closes a few lines on.
		closed := 0
		for n := good + 2; n < len(ends) && n <= good+openLines; n++ {
			if sound(n) {
				closed = n
			}
		}
		if closed == 0 {
			return good + 1
		}
		good, bad = closed, len(ends)-1
	}
}

// blame finds the line of an error that names none, by leaving parts of the text
// out and looking whether the error goes away: of a mapping one key at a time,
// of a sequence everything from some element on. It then descends into the part
// that is to blame. The cost is some tens of readings of the file, paid only
// when the file is broken.
func blame(text []byte, failure func(text []byte) string) int {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return 0
	}
	want := failure(text)
	with := func(n *yaml.Node, content []*yaml.Node) string {
		whole := n.Content
		n.Content = content
		defer func() { n.Content = whole }()
		out, err := yaml.Marshal(&doc)
		if err != nil {
			return want
		}
		return failure(out)
	}
	line := 0
	for n := doc.Content[0]; n != nil; {
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			if i := blamedKey(n, want, with); i >= 0 {
				line, next = n.Content[i].Line, n.Content[i+1]
			}
		case yaml.SequenceNode:
			if i := blamedElement(n, want, with); i >= 0 {
				line, next = n.Content[i].Line, n.Content[i]
			}
		}
		n = next
	}
	return line
}

// blamedKey is the index of the last key without which there is no error, or at
// least another one; -1 if there is none such.
func blamedKey(n *yaml.Node, want string, with func(*yaml.Node, []*yaml.Node) string) int {
	other := -1
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		rest := append(append([]*yaml.Node{}, n.Content[:i]...), n.Content[i+2:]...)
		switch with(n, rest) {
		case want:
		case "":
			return i
		default:
			other = max(other, i)
		}
	}
	return other
}

// blamedElement is the index of the element with which the error begins; -1 if
// it is there without any.
func blamedElement(n *yaml.Node, want string, with func(*yaml.Node, []*yaml.Node) string) int {
	good, bad := 0, len(n.Content) // with so many elements
	if bad == 0 || with(n, nil) == want {
		return -1
	}
	for bad-good > 1 {
		if half := (good + bad) / 2; with(n, n.Content[:half]) == want {
			bad = half
		} else {
			good = half
		}
	}
	return bad - 1
}
