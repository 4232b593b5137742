package metricdiff

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Allowance is one line of the file of allowed differences:
//
//	kind  pattern  reason in words
//
// The pattern is a regular expression for the whole family name, or for the
// whole series, name{label="value"}, where it holds a brace.
type Allowance struct {
	kind    string
	pattern *regexp.Regexp
	reason  string
}

var kinds = []string{FamilyMissing, FamilyAdded, TypeDiffers, LabelsDiffer, HelpMissing, SeriesMissing, SeriesAdded, ValueDiffers, ValueFar}

// ParseAllowed reads such lines. Empty ones and those that begin with # say nothing.
func ParseAllowed(text []byte) ([]Allowance, error) {
	var all []Allowance
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("line %d: want kind, pattern and reason in %q", n, line)
		}
		if !slices.Contains(kinds, f[0]) {
			return nil, fmt.Errorf("line %d: kind %q is none of %s", n, f[0], strings.Join(kinds, ", "))
		}
		tail := `(\{.*\})?`
		if strings.Contains(f[1], "{") {
			tail = ""
		}
		re, err := regexp.Compile("^(?:" + f[1] + ")" + tail + "$")
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, Allowance{f[0], re, strings.Join(f[2:], " ")})
	}
	return all, lines.Err()
}

// Reason is why a difference is allowed, or "".
func Reason(all []Allowance, d Difference) string {
	for _, a := range all {
		if a.kind == d.Kind && a.pattern.MatchString(d.Subject) {
			return a.reason
		}
	}
	return ""
}
