package testkit

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestUnpack(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "tree.txt")
	text := "a comment\n-- a/b:c --\none\ntwo\n-- empty/ --\n-- link -> a/b:c --\n-- none --\n"
	if err := os.WriteFile(archive, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := Unpack(t, archive)
	for path, want := range map[string]string{"a/b:c": "one\ntwo\n", "link": "one\ntwo\n", "none": ""} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "empty")); err != nil || !info.IsDir() {
		t.Errorf("empty folder: %v", err)
	}
	if err := unpack(dir, []byte("-- ../x --\n")); err == nil {
		t.Error("a path that leads out of the tree was written")
	}
}

func TestDiff(t *testing.T) {
	for _, tc := range []struct{ want, got, diff string }{
		{"a\nb\n", "a\nb\n", ""},
		{"a\nb\nc\n", "a\nc\n", "- b\n"},
		{"a\nc\n", "a\nb\nc\n", "+ b\n"},
		{"a\nb\nc\n", "a\nx\nc\n", "- b\n+ x\n"},
	} {
		if got := Diff(tc.want, tc.got); got != tc.diff {
			t.Errorf("%q to %q: got %q, want %q", tc.want, tc.got, got, tc.diff)
		}
	}
}

// TestPage: the part between the marks is compared, the rest is left as it is.
func TestPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	table := Table([]string{"metric", "meaning"}, [][]string{{"`a_total`", "one | two"}, {"`b`", ""}})
	if want := "| metric | meaning |\n|---|---|\n| `a_total` | one \\| two |\n| `b` |  |\n"; table != want {
		t.Errorf("table %q, want %q", table, want)
	}
	for name, tc := range map[string]struct {
		page   string
		failed bool
	}{
		"same":     {"# a\n" + pageBegin + table + pageEnd + "tail\n", false},
		"other":    {"# a\n" + pageBegin + "| old |\n" + pageEnd + "tail\n", true},
		"no marks": {"# a\n" + table, true},
		"not shut": {"# a\n" + pageBegin + table, true},
	} {
		if err := os.WriteFile(path, []byte(tc.page), 0o644); err != nil {
			t.Fatal(err)
		}
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() { defer close(done); Page(r, path, table) }()
		<-done
		if r.failed != tc.failed {
			t.Errorf("%s: failed is %v", name, r.failed)
		}
	}
}

// recorder notes that a test failed, and does not fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }
