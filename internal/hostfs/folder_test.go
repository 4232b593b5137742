package hostfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// quiet puts a folder's time of change far enough back to be told from the next.
func quiet(t *testing.T, path string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	f := NewFolder(path)
	defer f.Close()
	asked := func(what string, want bool) {
		t.Helper()
		if got := f.Changed(); got != want {
			t.Errorf("%s: changed is %v", what, got)
		}
	}
	asked("first question", true)
	asked("still absent", false)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	asked("made", true)
	quiet(t, path)
	asked("another time", true)
	asked("nothing happened", false)
	if err := os.WriteFile(filepath.Join(path, "b8:0"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	asked("a file was added", true)
	quiet(t, path)
	asked("another time", true)
	asked("nothing happened", false)
	if n := testing.AllocsPerRun(10, func() { f.Changed() }); n != 0 {
		t.Errorf("%v allocations", n)
	}

	// Removed and made anew: the descriptor held is of the old one.
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	asked("removed", true)
	asked("still absent", false)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	asked("made anew", true)
}
