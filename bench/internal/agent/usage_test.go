package agent

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// process writes /proc/7 with the given files and returns its Usage.
func process(t *testing.T, files map[string]string) *Usage {
	t.Helper()
	u := NewUsage(7)
	u.root = t.TempDir()
	for name, text := range files {
		name = u.path(name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func TestCPU(t *testing.T) {
	u := process(t, map[string]string{
		"task/7/schedstat": "1000000 55 3\n",
		"task/8/schedstat": "2500000 0 1\n",
	})
	expect := func(want time.Duration) {
		t.Helper()
		got, err := u.CPU()
		if err != nil || got != want {
			t.Errorf("CPU is %v, %v; want %v", got, err, want)
		}
	}
	expect(3500 * time.Microsecond)
	// A thread that ended is not forgotten.
	if err := os.RemoveAll(u.path("task/8")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(u.path("task/7/schedstat"), []byte("1500000 55 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(4 * time.Millisecond)
}

func TestRSS(t *testing.T) {
	status := "Name:\tx\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
		err   string
	}{
		{"rollup", map[string]string{"smaps_rollup": "0-1 ---p [rollup]\nRss:  1024 kB\nPss: 1 kB\n", "status": status}, 1 << 20, ""},
		{"status where there is no rollup", map[string]string{"status": status}, 2 << 20, ""},
		{"kernel thread", map[string]string{"status": "Name:\tx\n"}, 0, `no line "VmRSS:"`},
		{"not a size", map[string]string{"smaps_rollup": "Rss: many kB\n"}, 0, `"Rss: many kB\n"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := process(t, c.files).RSS()
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("RSS is %d, %v; want %d, %q", got, err, c.want, c.err)
			}
		})
	}
	if got, err := process(t, map[string]string{"status": status}).PeakRSS(); err != nil || got != 4<<20 {
		t.Errorf("peak is %d, %v", got, err)
	}
}

// The test's own process is one that runs and has memory.
func TestLiveUsage(t *testing.T) {
	u := NewUsage(os.Getpid())
	before, err := u.CPU()
	if err != nil || before <= 0 {
		t.Fatalf("CPU is %v, %v", before, err)
	}
	rss, err := u.RSS()
	if err != nil || rss < 1<<20 {
		t.Errorf("RSS is %d, %v", rss, err)
	}
	peak, err := u.PeakRSS()
	if err != nil || peak < 1<<20 {
		t.Errorf("peak is %d, %v", peak, err)
	}
	const much = 64 << 20
	held := make([]byte, much)
	for i := range held {
		held[i] = 1
	}
	if peak, err = u.PeakRSS(); err != nil || peak < much {
		t.Errorf("peak is %d, %v while %d bytes are held", peak, err, len(held))
	}
	held = nil
	debug.FreeOSMemory()
	if err := u.ResetPeakRSS(); err != nil {
		t.Error(err)
	}
	if after, err := u.PeakRSS(); err != nil || after > peak-much/2 {
		t.Errorf("peak is %d, %v after it was reset at %d", after, err, peak)
	}
}

func FuzzParseSchedstat(f *testing.F) {
	for _, seed := range []string{"1 2 3\n", "", " ", "-1 2 3", "99999999999999999999 1 1", "x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseSchedstat(b); err == nil && d < 0 {
			t.Errorf("%q ran %v", b, d)
		}
	})
}
