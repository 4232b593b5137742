package grants

import (
	"fmt"
	"regexp"
	"strings"
)

// A Line of a table is about one grant.
type Line struct {
	Granted string
	// Lost are patterns of what is lost without it, in which * is anything, where the API
	// server streams lists, and where it does not.
	Lost, LostUnstreamed []string
	// Same is whether both are the same.
	Same bool
}

// Of a program, or of a program with a component: the heading above its table.
var heading = regexp.MustCompile(`^## ([a-z-]+)(?: with components/([a-z-]+))?$`)

// Tables are those of a document in Markdown, by program and, after a space, component.
// A table has the columns: granted, lost, and of programs that list and watch, lost where
// lists are not streamed. In the last "the same" stands for what the one before it says.
func Tables(text string) (map[string][]Line, error) {
	tables := make(map[string][]Line)
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			section = ""
			if m := heading.FindStringSubmatch(line); m != nil {
				section = strings.TrimSpace(m[1] + " " + m[2])
			}
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || section == "" || strings.TrimSpace(cells[0]) == "granted" {
			continue
		}
		if len(cells) != 2 && len(cells) != 3 {
			return nil, fmt.Errorf("a line of %d cells: %s", len(cells), line)
		}
		l := Line{Granted: strings.TrimSpace(cells[0]), Lost: patterns(cells[1])}
		last := cells[len(cells)-1]
		if l.Same = len(cells) == 2 || strings.TrimSpace(last) == "the same"; l.Same {
			l.LostUnstreamed = l.Lost
		} else {
			l.LostUnstreamed = patterns(last)
		}
		tables[section] = append(tables[section], l)
	}
	return tables, nil
}

var code = regexp.MustCompile("`([^`]+)`")

func patterns(cell string) (all []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// Differ compares a table with what is granted: an error for each grant without a line,
// each line without a grant, and each that says of nothing that it is lost.
func Differ(section string, table []Line, granted []string) (problems []error) {
	lines := make(map[string]int)
	for _, l := range table {
		if lines[l.Granted]++; lines[l.Granted] == 2 {
			problems = append(problems, fmt.Errorf("%s: %q has several lines", section, l.Granted))
		}
		if len(l.Lost)+len(l.LostUnstreamed) == 0 {
			problems = append(problems, fmt.Errorf("%s: nothing is lost without %q: it is not needed", section, l.Granted))
		}
	}
	has := make(map[string]bool)
	for _, what := range granted {
		if has[what] = true; lines[what] == 0 {
			problems = append(problems, fmt.Errorf("%s: %q is granted, and has no line", section, what))
		}
	}
	for _, l := range table {
		if !has[l.Granted] {
			problems = append(problems, fmt.Errorf("%s: %q has a line, and is not granted", section, l.Granted))
		}
	}
	return problems
}
