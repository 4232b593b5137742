package main

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// allowance is one line of the file of allowed differences:
//
//	kind  pattern  reason in words
//
// The pattern is a regular expression for the whole family name, or for the
// whole series, name{label="value"}, where it holds a brace.
type allowance struct {
	kind    string
	pattern *regexp.Regexp
	reason  string
}

var kinds = []string{familyMissing, familyAdded, typeDiffers, labelsDiffer, helpMissing, seriesMissing, seriesAdded, valueDiffers, valueFar}

// parseAllowed reads such lines. Empty ones and those that begin with # say nothing.
func parseAllowed(text []byte) ([]allowance, error) {
	var all []allowance
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
		all = append(all, allowance{f[0], re, strings.Join(f[2:], " ")})
	}
	return all, lines.Err()
}

// reason is why a difference is allowed, or "".
func reason(all []allowance, d difference) string {
	for _, a := range all {
		if a.kind == d.kind && a.pattern.MatchString(d.subject) {
			return a.reason
		}
	}
	return ""
}
