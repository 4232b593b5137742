package testkit

import (
	"os"
	"path/filepath"
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
