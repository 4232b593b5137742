// Package testkit helps the tests of all packages: golden files and pages of
// documentation that one flag refreshes, and host trees kept as text archives. Only _test.go files import it.
package testkit

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files with what the programs say now")

// Golden compares got with the file at path, or rewrites the file with -update.
// A difference is shown line by line.
func Golden(t testing.TB, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; `make golden` writes it", err)
	}
	if d := Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (- expected, + now); `make golden` accepts it:\n%s", path, d)
	}
}

// The marks between which a page of documentation holds what is made from the code.
const (
	pageBegin = "<!-- metrics: made by `make golden` from the code -->\n"
	pageEnd   = "<!-- end of metrics -->\n"
)

// Page compares the part of the page at path that is made from the code, which
// stands between two marks, with what it is now, or writes it anew with -update.
// The rest of the page is written by hand.
func Page(t testing.TB, path, made string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write the page: what it tells, with what privilege, at what cost, and the line\n%s", err, pageBegin)
	}
	head, rest, found := bytes.Cut(page, []byte(pageBegin))
	_, tail, closed := bytes.Cut(rest, []byte(pageEnd))
	if !found || len(rest) > 0 && !closed {
		t.Fatalf("%s: the marks of what is made from the code are missing:\n%s%s", path, pageBegin, pageEnd)
	}
	Golden(t, path, bytes.Join([][]byte{head, []byte(pageBegin + made + pageEnd), tail}, nil))
}

// Table is a table of a page.
func Table(head []string, rows [][]string) string {
	var b strings.Builder
	row := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", "\\|") + " ")
		}
		b.WriteString("|\n")
	}
	row(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		row(r)
	}
	return b.String()
}

// maxDiff bounds the lines that a difference shows.
const maxDiff = 60

// Diff is the difference of two texts as lines with - and +, "" if they are equal.
// Lines that only moved are not shown as long as their neighbours moved with them.
func Diff(want, got string) string {
	if want == got {
		return ""
	}
	a, b := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out strings.Builder
	n := 0
	show := func(sign, line string) {
		if n++; n <= maxDiff {
			fmt.Fprintf(&out, "%s %s\n", sign, strings.TrimSuffix(line, "\n"))
		}
	}
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(a) > 0 && len(b) > 0 && a[0] == b[0]:
			a, b = a[1:], b[1:]
		case len(b) == 0 || len(a) > 0 && !contains(b, a[0]):
			show("-", a[0])
			a = a[1:]
		default:
			show("+", b[0])
			b = b[1:]
		}
	}
	if n > maxDiff {
		fmt.Fprintf(&out, "… and %d more\n", n-maxDiff)
	}
	return out.String()
}

// lookahead is how far a line may have moved and still be known again.
const lookahead = 200

func contains(lines []string, line string) bool {
	for i := range min(len(lines), lookahead) {
		if lines[i] == line {
			return true
		}
	}
	return false
}

// Unpack writes the trees of archive files into one temporary folder and returns
// the folder. An archive is text: a line "-- PATH --" begins a file, which goes
// on to the next such line; "-- PATH -> TARGET --" is a symbolic link and
// "-- PATH/ --" an empty folder. Lines before the first are a comment.
//
// Trees of /sys hold links, and colons in file names, which a published Go
// module may not have; as text they are also readable in a diff.
func Unpack(t testing.TB, archives ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, archive := range archives {
		text, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := unpack(dir, text); err != nil {
			t.Fatalf("%s: %v", archive, err)
		}
	}
	return dir
}

func unpack(dir string, text []byte) error {
	var path string
	var content []byte
	flush := func() error {
		if path == "" {
			return nil
		}
		return put(dir, path, content)
	}
	for line := range bytes.Lines(text) {
		head, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("-- "))
		head, ok2 := bytes.CutSuffix(head, []byte(" --"))
		if !ok || !ok2 {
			content = append(content, line...)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		path, content = string(head), nil
	}
	return flush()
}

func put(dir, path string, content []byte) error {
	path, target, link := strings.Cut(path, " -> ")
	full := filepath.Join(dir, path)
	if !strings.HasPrefix(full, dir+string(filepath.Separator)) {
		return fmt.Errorf("%s leads out of the tree", path)
	}
	if strings.HasSuffix(path, "/") {
		return os.MkdirAll(full, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if link {
		return os.Symlink(target, full)
	}
	return os.WriteFile(full, content, 0o644)
}
