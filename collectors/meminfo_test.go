package collectors

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

func TestMeminfo(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"usual", `MemTotal:       24684084 kB
Active(anon):       1560 kB
Committed_AS:    1187940 kB
VmallocTotal:   34359738367 kB
HugePages_Total:       3
Hugepagesize:       2048 kB
`, `# TYPE node_memory_MemTotal_bytes gauge
node_memory_MemTotal_bytes 25276502016
# TYPE node_memory_Active_anon_bytes gauge
node_memory_Active_anon_bytes 1597440
# TYPE node_memory_Committed_AS_bytes gauge
node_memory_Committed_AS_bytes 1216450560
# TYPE node_memory_VmallocTotal_bytes gauge
node_memory_VmallocTotal_bytes 35184372087808
# TYPE node_memory_HugePages_Total gauge
node_memory_HugePages_Total 3
# TYPE node_memory_Hugepagesize_bytes gauge
node_memory_Hugepagesize_bytes 2097152
`},
		{"of Linux 6.18", "KReclaimable: 1 kB\nSecPageTables: 2 kB\nFileHugePages: 3 kB\nFilePmdMapped: 4 kB\nBalloon: 5 kB\nHugetlb: 6 kB\n",
			`# TYPE node_memory_KReclaimable_bytes gauge
node_memory_KReclaimable_bytes 1024
# TYPE node_memory_SecPageTables_bytes gauge
node_memory_SecPageTables_bytes 2048
# TYPE node_memory_FileHugePages_bytes gauge
node_memory_FileHugePages_bytes 3072
# TYPE node_memory_FilePmdMapped_bytes gauge
node_memory_FilePmdMapped_bytes 4096
# TYPE node_memory_Balloon_bytes gauge
node_memory_Balloon_bytes 5120
# TYPE node_memory_Hugetlb_bytes gauge
node_memory_Hugetlb_bytes 6144
`},
		{"of a later kernel", "Warm(gpu-0): 1 kB\nNews: 2\n", `# TYPE node_memory_Warm_gpu_0_bytes gauge
node_memory_Warm_gpu_0_bytes 1024
# TYPE node_memory_News gauge
node_memory_News 2
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, render(t, make1(t, "meminfo", on(tree(t, map[string]string{"proc/meminfo": c.text})))), c.want)
		})
	}
}

func TestMeminfoBad(t *testing.T) {
	for _, line := range []string{"MemFree 5 kB", ": 5 kB", "MemFree: -5 kB", "MemFree:", "MemFree: 5 MB"} {
		fs := tree(t, map[string]string{"proc/meminfo": "MemTotal: 1 kB\n" + line + "\n"})
		out, err := renderErr(make1(t, "meminfo", on(fs)))
		if err == nil || out != "" || !strings.Contains(err.Error(), `proc/meminfo: line "`+line) {
			t.Errorf("%q: error %v, said %q", line, err, out)
		}
	}
}

// The kernel's answer to sysinfo(2) is of the same pages.
func TestMeminfoLive(t *testing.T) {
	v := values(t, render(t, make1(t, "meminfo", on(hostfs.Default))))
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	unit := float64(info.Unit)
	if got, want := v["node_memory_MemTotal_bytes"], float64(info.Totalram)*unit; got != want {
		t.Errorf("total %v, by sysinfo %v", got, want)
	}
	if got, want := v["node_memory_SwapTotal_bytes"], float64(info.Totalswap)*unit; got != want {
		t.Errorf("swap %v, by sysinfo %v", got, want)
	}
	if free, total := v["node_memory_MemFree_bytes"], v["node_memory_MemTotal_bytes"]; free <= 0 || free >= total {
		t.Errorf("free %v of %v", free, total)
	}
}

// What the kernel makes up as it goes is not kept for ever.
func TestKernelNamesBounded(t *testing.T) {
	made := 0
	k := kernelNames{family: func(key string) *expo.Family { made++; return nil }}
	key := func(i int) []byte { return []byte(strconv.Itoa(i)) }
	for i := range 3 * maxKernelNames {
		k.get(key(i))
	}
	if made != 3*maxKernelNames || len(k.made) > maxKernelNames {
		t.Errorf("made %d, holds %d", made, len(k.made))
	}
	k.get(key(3*maxKernelNames - 1))
	if made != 3*maxKernelNames {
		t.Error("the last key was made twice")
	}
}

func FuzzMemField(f *testing.F) {
	f.Add([]byte("MemTotal:       24684084 kB"))
	f.Add([]byte("Active(anon): 1 kB"))
	f.Add([]byte("HugePages_Total: 0"))
	f.Add([]byte(":"))
	f.Fuzz(func(t *testing.T, line []byte) {
		field, err := parseMemField(line)
		if err != nil {
			return
		}
		for _, unit := range []string{"", "_bytes"} {
			if name := meminfoFamily(string(field.name), unit).Name(); !expo.ValidName(name) || !strings.HasPrefix(name, "node_memory_") {
				t.Errorf("%q gives the metric %q", line, name)
			}
		}
	})
}
