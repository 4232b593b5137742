package hostfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestLister(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 3000 { // more than one buffer holds
		name := fmt.Sprintf("a rather long name of a file, number %d", i)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	slices.Sort(want)
	var l Lister
	for range 2 {
		var got []string
		if err := l.Each(dir, func(name []byte) bool { got = append(got, string(name)); return true }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%d names, want %d", len(got), len(want))
		}
	}
	n := 0
	if err := l.Each(dir, func([]byte) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("%d names after the end, %v", n, err)
	}
	if err := l.Each(filepath.Join(dir, "none"), nil); !Gone(err) {
		t.Errorf("an absent folder: %v", err)
	}
	if err := l.Each(filepath.Join(dir, want[0]), nil); !Gone(err) { // ENOTDIR
		t.Errorf("a file: %v", err)
	}
}

func TestReadInto(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("some text"), 0o600); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 64)
	b, err := ReadInto(path, buf)
	if err != nil || string(b) != "some text" || &b[0] != &buf[:1][0] {
		t.Errorf("%q, %v", b, err)
	}
	if b, err = ReadInto(path+"x", b); !Gone(err) || len(b) != 0 || cap(b) == 0 {
		t.Errorf("absent: %q, %v", b, err)
	}
}
