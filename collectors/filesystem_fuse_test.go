package collectors

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
	"watchpost/internal/testkit"
)

// TestFilesystemFUSE mounts a file system that is told when to answer.
func TestFilesystemFUSE(t *testing.T) { testkit.World(t, testFilesystemFUSE) }

func testFilesystemFUSE(t *testing.T) {
	dir := t.TempDir()
	paths := make(map[string]string)
	for _, name := range []string{"slow", "again", "tmp"} {
		paths[name] = filepath.Join(dir, name)
		if err := os.Mkdir(paths[name], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	server := testkit.MountFUSE(t, paths["slow"])
	for what, err := range map[string]error{
		"bind mount": unix.Mount(paths["slow"], paths["again"], "", unix.MS_BIND, ""),
		"tmpfs":      unix.Mount("scratch", paths["tmp"], "tmpfs", 0, "size=1m"),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	defer unix.Unmount(paths["tmp"], unix.MNT_DETACH)
	defer unix.Unmount(paths["again"], unix.MNT_DETACH)
	cfg := on(hostfs.Default)
	cfg.Filesystem.MountPointsExclude, cfg.Filesystem.MountPointsInclude = "", "^"+dir
	cfg.Filesystem.MountTimeout, cfg.Filesystem.Duplicates = 300*time.Millisecond, true
	c := make1(t, "filesystem", cfg)
	labels := func(name, problem string) string {
		source, fstype := "never", "fuse"
		if name == "tmp" {
			source, fstype = "scratch", "tmpfs"
		}
		return `{device="` + source + `",device_error="` + problem + `",fstype="` + fstype + `",mountpoint="` + paths[name] + `"}`
	}
	expect := func(v map[string]float64, series string, want float64) {
		t.Helper()
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s: %v (%v), want %v", series, got, ok, want)
		}
	}

	v := values(t, render(t, c))
	for _, name := range []string{"slow", "again"} {
		expect(v, "node_filesystem_size_bytes"+labels(name, ""), 1000*4096) // and not times bsize
		expect(v, "node_filesystem_avail_bytes"+labels(name, ""), 250*4096)
		expect(v, "node_filesystem_files_free"+labels(name, ""), 7)
	}
	if n := server.Asked(); n != 1 {
		t.Errorf("asked %d times for two mounts of one file system", n)
	}

	server.Hang(true)
	threads := 0
	for scrape := range 100 {
		v := values(t, render(t, c))
		for _, name := range []string{"slow", "again"} {
			expect(v, "node_filesystem_device_error"+labels(name, mountTimeout), 1)
			expect(v, "node_filesystem_readonly"+labels(name, mountTimeout), 0)
		}
		expect(v, "node_filesystem_size_bytes"+labels("tmp", ""), 1<<20)
		if len(v) != 2*2+9 {
			t.Errorf("scrape %d: %v", scrape, v)
		}
		if n := server.Asked(); n != 2 {
			t.Fatalf("scrape %d: asked %d times, though it hangs", scrape, n-1)
		}
		n := runtime.NumGoroutine()
		if scrape == 0 {
			threads = n
		} else if n > threads {
			t.Errorf("scrape %d: %d goroutines, %d after the first", scrape, n, threads)
		}
	}

	server.Hang(false)
	until(t, "the series are back", func() bool {
		_, ok := values(t, render(t, c))["node_filesystem_size_bytes"+labels("again", "")]
		return ok
	})
	if err := unix.Unmount(paths["slow"], unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	v = values(t, render(t, c))
	expect(v, "node_filesystem_device_error"+labels("again", ""), 0)
	if len(v) != 2*9 {
		t.Errorf("after unmounting one: %v", v)
	}
}
