package cli

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const meminfo = "proc/meminfo"
	const total = "MemTotal:       1000 kB\nMemFree: 1 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"host without control groups", map[string]string{meminfo: total}, 1000 << 10},
		{"version 2, none", map[string]string{meminfo: total, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 1000 << 10},
		{"version 2, its own", map[string]string{meminfo: total, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "4096\n"}, 4096},
		{"version 2, one above", map[string]string{meminfo: total, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "2048\n", "sys/fs/cgroup/a/b/memory.max": "4096\n"}, 2048},
		{"version 2, seen from a container", map[string]string{meminfo: total, "proc/self/cgroup": "0::/kubepods/x\n", "sys/fs/cgroup/memory.max": "8192\n"}, 8192},
		{"version 1", map[string]string{meminfo: total, "proc/self/cgroup": "5:cpu,cpuacct:/x\n9:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "4096\n"}, 4096},
		{"version 1, none", map[string]string{meminfo: total, "proc/self/cgroup": "9:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9223372036854771712\n"}, 1000 << 10},
		{"limit above the host's memory", map[string]string{meminfo: total, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999\n"}, 1000 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got, err := memoryLimit(root); err != nil || got != c.want {
				t.Errorf("got %d, %v; want %d", got, err, c.want)
			}
		})
	}
}

func TestMemoryLimitErrors(t *testing.T) {
	for name, c := range map[string]struct{ meminfo, max, want string }{
		"no MemTotal":  {"MemFree: 1 kB\n", "max", "no line begins with MemTotal"},
		"not a number": {"MemTotal: many kB\n", "max", `line "MemTotal: many kB\n" is not understood`},
		"other unit":   {"MemTotal: 1 MB\n", "max", "is not understood"},
		"limit":        {"MemTotal: 1 kB\n", "12x", `sys/fs/cgroup/memory.max: limit "12x" is not a number of bytes`},
	} {
		_, err := memoryLimit(fstest.MapFS{
			"proc/meminfo":             {Data: []byte(c.meminfo)},
			"proc/self/cgroup":         {Data: []byte("0::/\n")},
			"sys/fs/cgroup/memory.max": {Data: []byte(c.max)},
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestMemoryLimitOfThisHost(t *testing.T) {
	if got, err := memoryLimit(os.DirFS("/")); err != nil || got < 64<<20 {
		t.Errorf("got %d, %v", got, err)
	}
}

func FuzzMemoryLimit(f *testing.F) {
	f.Add("MemTotal: 1 kB\n", "0::/a\n", "max\n")
	f.Add("MemTotal: 18446744073709551615 kB\n", "9:memory:/../..\n", "-1")
	f.Fuzz(func(t *testing.T, meminfo, cgroup, limit string) {
		if total, err := parseMemTotal([]byte(meminfo)); err == nil && total%1024 != 0 {
			t.Errorf("%q: %d bytes", meminfo, total)
		}
		for _, file := range limitFiles([]byte(cgroup)) {
			if !strings.HasPrefix(file, "sys/fs/cgroup/") || strings.Contains(file, "/../") {
				t.Errorf("%q leads to %s", cgroup, file)
			}
		}
		if _, err := parseLimit([]byte(limit)); err == nil && strings.ContainsAny(limit, "-.") {
			t.Errorf("%q is taken for a limit", limit)
		}
	})
}
