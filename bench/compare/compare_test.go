package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watchpost/internal/metricdiff"
)

// head declares the family of the tests.
const head = `# HELP a_total Help.
# TYPE a_total counter
`

func TestBuiltinAllowed(t *testing.T) {
	if _, err := metricdiff.ParseAllowed(builtinAllowed); err != nil {
		t.Error(err)
	}
}

// Files stand in for programs.
func TestRunOnFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	first, second := file("1.txt", head+"a_total 1\ngo_x 1\n"), file("2.txt", head+"a_total 3\ngo_x 1\n")
	allowed := file("allowed.txt", "family-added more it is new\n")
	run := func(ours string) (string, error) {
		o := options{peer: first + "," + second, ours: file("ours.txt", ours), allowed: allowed, rounds: 1}
		var out bytes.Buffer
		err := o.run(context.Background(), &out)
		return out.String(), err
	}
	out, err := run(head + "a_total 2\n# HELP more Help.\nmore 1\n")
	if err != nil || !strings.Contains(out, "allowed  family-added") || !strings.Contains(out, "only the peer has: [go_x]") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = run(head + "a_total 4\n")
	if err == nil || !strings.Contains(out, "WRONG    range") || !strings.Contains(out, "1 of them not allowed") {
		t.Errorf("%v\n%s", err, out)
	}
}
