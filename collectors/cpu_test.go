package collectors

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"watchpost/internal/hostfs"
)

const cpuText = `cpu  300 30 60 4000 8 0 2 4 10 2
cpu0 100 10 20 1000 3 0 1 2 5 1
cpu2 200 20 40 3000 5 0 1 2 5 1
intr 8885917 17 0
`

const cpuWant = `# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="user"} 1
node_cpu_seconds_total{cpu="0",mode="nice"} 0.1
node_cpu_seconds_total{cpu="0",mode="system"} 0.2
node_cpu_seconds_total{cpu="0",mode="idle"} 10
node_cpu_seconds_total{cpu="0",mode="iowait"} 0.03
node_cpu_seconds_total{cpu="0",mode="irq"} 0
node_cpu_seconds_total{cpu="0",mode="softirq"} 0.01
node_cpu_seconds_total{cpu="0",mode="steal"} 0.02
node_cpu_seconds_total{cpu="2",mode="user"} 2
node_cpu_seconds_total{cpu="2",mode="nice"} 0.2
node_cpu_seconds_total{cpu="2",mode="system"} 0.4
node_cpu_seconds_total{cpu="2",mode="idle"} 30
node_cpu_seconds_total{cpu="2",mode="iowait"} 0.05
node_cpu_seconds_total{cpu="2",mode="irq"} 0
node_cpu_seconds_total{cpu="2",mode="softirq"} 0.01
node_cpu_seconds_total{cpu="2",mode="steal"} 0.02
`

const cpuGuestWant = `# TYPE node_cpu_guest_seconds_total counter
node_cpu_guest_seconds_total{cpu="0",mode="user"} 0.05
node_cpu_guest_seconds_total{cpu="0",mode="nice"} 0.01
node_cpu_guest_seconds_total{cpu="2",mode="user"} 0.05
node_cpu_guest_seconds_total{cpu="2",mode="nice"} 0.01
`

func TestCPU(t *testing.T) {
	fs := tree(t, map[string]string{"proc/stat": cpuText})
	same(t, render(t, make1(t, "cpu", on(fs))), cpuWant+cpuGuestWant)
	cfg := on(fs)
	cfg.CPU.Guest = false
	same(t, render(t, make1(t, "cpu", cfg)), cpuWant)

	// Linux 2.6.0 told four modes.
	old := values(t, render(t, make1(t, "cpu", on(tree(t, map[string]string{"proc/stat": "cpu0 1 2 3 4\nintr 1\n"})))))
	if old[`node_cpu_seconds_total{cpu="0",mode="idle"}`] != 0.04 || old[`node_cpu_seconds_total{cpu="0",mode="steal"}`] != 0 {
		t.Errorf("of an old kernel: %v", old)
	}
}

func TestCPUBad(t *testing.T) {
	for _, text := range []string{"cpu0 1 2 3\n", "cpu0 1 2 3 x\n", "cpux 1 2 3 4\n", "cpu1 1 2 3 4\ncpu0 1 2 3 4\n", "cpu0 1 2 3 4\ncpu0 1 2 3 4\n", "cpu0 1 2 3 4 -1\n"} {
		out, err := renderErr(make1(t, "cpu", on(tree(t, map[string]string{"proc/stat": text}))))
		if err == nil || errors.Is(err, ErrNoData) || out != "" || !strings.Contains(err.Error(), "proc/stat: ") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

// Counters never go back, except those of a CPU that was offline.
func TestCPUNeverBack(t *testing.T) {
	times := func(n, user, idle, iowait uint64) cpuTimes {
		return cpuTimes{n: n, ticks: [10]uint64{0: user, 3: idle, 4: iowait}}
	}
	for _, c := range []struct {
		name           string
		was, now, want []cpuTimes
	}{
		{"forward", []cpuTimes{times(0, 1, 1000, 1)}, []cpuTimes{times(0, 2, 1001, 1)}, []cpuTimes{times(0, 2, 1001, 1)}},
		{"iowait goes back", []cpuTimes{times(0, 1, 1000, 5)}, []cpuTimes{times(0, 2, 1001, 4)}, []cpuTimes{times(0, 2, 1001, 5)}},
		{"idle goes back a little", []cpuTimes{times(0, 1, 1000, 5)}, []cpuTimes{times(0, 2, 701, 6)}, []cpuTimes{times(0, 2, 1000, 6)}},
		{"idle goes back by 3 s: all begins anew", []cpuTimes{times(0, 7, 1000, 5)}, []cpuTimes{times(0, 2, 700, 1)}, []cpuTimes{times(0, 2, 700, 1)}},
		{"one CPU goes, one comes", []cpuTimes{times(0, 1, 5, 9), times(1, 1, 1, 1), times(4, 1, 1, 8)},
			[]cpuTimes{times(0, 2, 5, 5), times(2, 3, 3, 3), times(4, 2, 2, 2)}, []cpuTimes{times(0, 2, 5, 9), times(2, 3, 3, 3), times(4, 2, 2, 8)}},
		{"first reading", nil, []cpuTimes{times(0, 1, 2, 3)}, []cpuTimes{times(0, 1, 2, 3)}},
	} {
		settleCPUTimes(c.now, c.was)
		if !slices.Equal(c.now, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.now, c.want)
		}
	}

	// The same through files, where a bad reading comes between.
	fs := tree(t, map[string]string{"proc/stat": "cpu0 10 0 0 1000 50\n"})
	c := make1(t, "cpu", on(fs))
	render(t, c)
	write(t, fs.ProcPath("stat"), "cpu0 10 0 0 x\n", false)
	if _, err := renderErr(c); err == nil {
		t.Error("no error of a bad line")
	}
	write(t, fs.ProcPath("stat"), "cpu0 11 0 0 999 40\n", false)
	v := values(t, render(t, c))
	for mode, want := range map[string]float64{"user": 0.11, "idle": 10, "iowait": 0.5} {
		if got := v[`node_cpu_seconds_total{cpu="0",mode="`+mode+`"}`]; got != want {
			t.Errorf("%s: %v, want %v", mode, got, want)
		}
	}
}

// throttled are the files of a host of two packages with two threads in each core;
// the first package has no count of its own.
var throttled = map[string]string{
	"proc/stat":                     "",
	"sys/devices/system/cpu/power/": "",
	"sys/devices/system/cpu/cpu0/topology/physical_package_id":              "0\n",
	"sys/devices/system/cpu/cpu0/topology/core_id":                          "0\n",
	"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count":      "5\n",
	"sys/devices/system/cpu/cpu1/topology/physical_package_id":              "1\n",
	"sys/devices/system/cpu/cpu1/topology/core_id":                          "0\n",
	"sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count":      "7\n",
	"sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count":   "9\n",
	"sys/devices/system/cpu/cpu10/topology/physical_package_id":             "1\n",
	"sys/devices/system/cpu/cpu10/topology/core_id":                         "0\n",
	"sys/devices/system/cpu/cpu10/thermal_throttle/core_throttle_count":     "8\n",
	"sys/devices/system/cpu/cpu10/thermal_throttle/package_throttle_count":  "10\n",
	"sys/devices/system/cpu/cpu2/topology/physical_package_id":              "-1\n",
	"sys/devices/system/cpu/cpu2/topology/core_id":                          "0\n",
	"sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count":      "1\n",
	"sys/devices/system/cpu/cpu3/thermal_throttle/package_throttle_count":   "1\n",
	"sys/devices/system/cpu/cpufreq/policy0/thermal_throttle/not_a_counter": "1\n",
}

func TestCPUThrottles(t *testing.T) {
	fs := tree(t, throttled)
	c := make1(t, "cpu", on(fs))
	now := time.Unix(1e9, 0)
	c.(*cpu).topology.now = func() time.Time { return now }
	want := `# TYPE node_cpu_package_throttles_total counter
node_cpu_package_throttles_total{package="1"} 9
# TYPE node_cpu_core_throttles_total counter
node_cpu_core_throttles_total{core="0",package="0"} 5
node_cpu_core_throttles_total{core="0",package="1"} 7
`
	same(t, render(t, c), want)

	// Counts are read each time.
	write(t, fs.SysPath("devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"), "6\n", false)
	want = strings.Replace(want, `package="0"} 5`, `package="0"} 6`, 1)
	same(t, render(t, c), want)

	// cpu1 goes offline: its open files fail as sysfs makes them fail. One scrape
	// misses the counts of its core, the next has them from the other thread.
	dir := fs.SysPath("devices/system/cpu/cpu1/")
	for _, gone := range []string{"topology", "thermal_throttle"} {
		if err := os.RemoveAll(dir + "/" + gone); err != nil {
			t.Fatal(err)
		}
	}
	for _, held := range [][]cpuThrottle{c.(*cpu).topology.packages, c.(*cpu).topology.cores} {
		for _, h := range held {
			h.file.Close() // a plain file that is removed can still be read
		}
	}
	same(t, render(t, c), "# TYPE node_cpu_core_throttles_total counter\nnode_cpu_core_throttles_total{core=\"0\",package=\"0\"} 6\n")
	want = strings.NewReplacer(`} 9`, `} 10`, `} 7`, `} 8`).Replace(want)
	same(t, render(t, c), want)

	// A CPU that appears is found when the list is old.
	write(t, fs.SysPath("devices/system/cpu/cpu11/topology/physical_package_id"), "0", false)
	write(t, fs.SysPath("devices/system/cpu/cpu11/topology/core_id"), "3", false)
	write(t, fs.SysPath("devices/system/cpu/cpu11/thermal_throttle/core_throttle_count"), "4", false)
	same(t, render(t, c), want)
	now = now.Add(cpuTopologyAge)
	same(t, render(t, c), want+"node_cpu_core_throttles_total{core=\"3\",package=\"0\"} 4\n")
}

func TestCPUOnline(t *testing.T) {
	files := map[string]string{
		"proc/stat":                          "",
		"sys/devices/system/cpu/online":      "0-1,10\n",
		"sys/devices/system/cpu/cpu1/online": "1\n",
		"sys/devices/system/cpu/cpu2/online": "0\n", "sys/devices/system/cpu/cpu10/online": "1\n",
		"sys/devices/system/cpu/cpu0/":    "",
		"sys/devices/system/cpu/isolated": "\n",
	}
	same(t, render(t, make1(t, "cpu", on(tree(t, files)))), "")
	files["sys/devices/system/cpu/cpu0/online"] = "1\n"
	fs := tree(t, files)
	c := make1(t, "cpu", on(fs))
	want := `# TYPE node_cpu_online gauge
node_cpu_online{cpu="0"} 1
node_cpu_online{cpu="1"} 1
node_cpu_online{cpu="2"} 0
node_cpu_online{cpu="10"} 1
`
	same(t, render(t, c), want)
	write(t, fs.SysPath("devices/system/cpu/online"), "0-2\n", false)
	same(t, render(t, c), strings.NewReplacer(`"2"} 0`, `"2"} 1`, `"10"} 1`, `"10"} 0`).Replace(want))

	write(t, fs.SysPath("devices/system/cpu/online"), "2-0\n", false)
	if _, err := renderErr(c); err == nil || !strings.Contains(err.Error(), "cpu/online: ") {
		t.Errorf("a bad list: %v", err)
	}
}

func TestCPUIsolated(t *testing.T) {
	fs := tree(t, map[string]string{"proc/stat": "", "sys/devices/system/cpu/isolated": "1,3-5,9\n"})
	same(t, render(t, make1(t, "cpu", on(fs))), `# TYPE node_cpu_isolated gauge
node_cpu_isolated{cpu="1"} 1
node_cpu_isolated{cpu="3"} 1
node_cpu_isolated{cpu="4"} 1
node_cpu_isolated{cpu="5"} 1
node_cpu_isolated{cpu="9"} 1
`)
	// A list that cannot be read does not cost the times of the CPUs.
	fs = tree(t, map[string]string{"proc/stat": cpuText, "sys/devices/system/cpu/isolated": "1-\n"})
	text, err := renderErr(make1(t, "cpu", on(fs)))
	if err == nil || !strings.Contains(err.Error(), "cpu/isolated: ") {
		t.Errorf("a bad list: %v", err)
	}
	same(t, text, cpuWant+cpuGuestWant)
}

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string][]uint64{
		"": nil, "\n": nil, "0\n": {0}, "0-3,6\n": {0, 1, 2, 3, 6}, "2-2": {2},
	} {
		if got, err := parseCPUList(nil, []byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"3-1", "0,0", "1,0", "a", "1-", "-1", "1,,2", "0-99999999999", "1-2-3"} {
		if got, err := parseCPUList(nil, []byte(text)); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

const cpuinfoText = `processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 142
model name	: Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz
stepping	: 10
microcode	: 0xb4
cpu MHz		: 799.998
cache size	: 8192 KB
physical id	: 0
core id		: 1
flags		: fpu aes avx avx2
bugs		: cpu_meltdown spectre_v1 mds
bogomips	: 4224.00

processor	: 1
vendor_id	: GenuineIntel
cpu MHz		: 800.5
flags		: fpu aes smx
bugs		:

`

const cpuInfoWant = `# TYPE node_cpu_info gauge
node_cpu_info{cachesize="8192 KB",core="1",cpu="0",family="6",microcode="0xb4",model="142",model_name="Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz",package="0",stepping="10",vendor="GenuineIntel"} 1
node_cpu_info{cachesize="",core="",cpu="1",family="",microcode="",model="",model_name="",package="",stepping="",vendor="GenuineIntel"} 1
`

func TestCPUInfo(t *testing.T) {
	files := map[string]string{"proc/stat": "", "proc/cpuinfo": cpuinfoText}
	frequency := `# TYPE node_cpu_frequency_hertz gauge
node_cpu_frequency_hertz{core="1",cpu="0",package="0"} 799998000
node_cpu_frequency_hertz{core="",cpu="1",package=""} 800500000
`
	words := `# TYPE node_cpu_flag_info gauge
node_cpu_flag_info{flag="aes"} 1
node_cpu_flag_info{flag="avx"} 1
node_cpu_flag_info{flag="avx2"} 1
# TYPE node_cpu_bug_info gauge
node_cpu_bug_info{bug="mds"} 1
`
	for _, c := range []struct {
		name, want string
		cfg        CPUConfig
	}{
		{"not asked for", "", CPUConfig{Frequency: true}},
		{"info", cpuInfoWant + frequency, CPUConfig{Info: true, Frequency: true}},
		{"without cpufreq", cpuInfoWant, CPUConfig{Info: true}},
		{"flags and bugs bring it on", cpuInfoWant + words, CPUConfig{FlagsInclude: "^(aes|avx.?)$", BugsInclude: "mds"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := on(tree(t, files))
			cfg.CPU = c.cfg
			same(t, render(t, make1(t, "cpu", cfg)), c.want)
		})
	}
}

// An arm64 host has features instead of flags and no frequency.
func TestCPUInfoArm(t *testing.T) {
	cfg := on(tree(t, map[string]string{"proc/stat": "", "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n\nHardware\t: x\n"}))
	cfg.CPU = CPUConfig{Info: true, Frequency: true, FlagsInclude: "simd"}
	same(t, render(t, make1(t, "cpu", cfg)), `# TYPE node_cpu_info gauge
node_cpu_info{cachesize="",core="",cpu="0",family="",microcode="",model="",model_name="",package="",stepping="",vendor=""} 1
# TYPE node_cpu_flag_info gauge
node_cpu_flag_info{flag="asimd"} 1
`)
}

func TestCPUInfoBad(t *testing.T) {
	for _, c := range []CPUConfig{{FlagsInclude: "("}, {BugsInclude: "("}} {
		cfg := on(hostfs.Default)
		cfg.CPU = c
		if _, err := newCPU(cfg); err == nil || !strings.Contains(err.Error(), "include pattern") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, text := range []string{"processor : x\n", "processor:\n", "processor: 0\ncpu MHz: fast\n", "processor: 0\ncpu MHz: NaN\n"} {
		cfg := on(tree(t, map[string]string{"proc/stat": cpuText, "proc/cpuinfo": text}))
		cfg.CPU.Info = true
		out, err := renderErr(make1(t, "cpu", cfg))
		if err == nil || !strings.Contains(err.Error(), "proc/cpuinfo: ") {
			t.Errorf("%q: %v", text, err)
		}
		same(t, out, cpuWant+cpuGuestWant)
	}
}

// Every CPU that the test may run on is there, and its time goes on.
func TestCPULive(t *testing.T) {
	c := make1(t, "cpu", on(hostfs.Default))
	before := values(t, render(t, c))
	time.Sleep(300 * time.Millisecond)
	after := values(t, render(t, c))
	cpus, grown := 0, 0.0
	for series, v := range after {
		if !strings.HasPrefix(series, "node_cpu_seconds_total{") {
			continue
		}
		if strings.Contains(series, `mode="idle"`) {
			cpus++
		}
		if d := v - before[series]; d < 0 {
			t.Errorf("%s went back by %v", series, -d)
		} else {
			grown += d
		}
	}
	b, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		t.Skip(err)
	}
	online, err := parseCPUList(nil, b)
	if err != nil || len(online) != cpus {
		t.Errorf("%d CPUs, sysfs has %s online (%v)", cpus, strconv.Quote(string(b)), err)
	}
	if grown == 0 {
		t.Error("no CPU did anything, not even idle")
	}
}

func BenchmarkCPUInfo(b *testing.B) {
	cfg := DefaultConfig()
	cfg.CPU.Info, cfg.CPU.FlagsInclude = true, "^avx"
	benchmarkCollect(b, make1(b, "cpu", cfg))
}

func FuzzCPUTimes(f *testing.F) {
	f.Add([]byte(cpuText))
	f.Add([]byte("cpu0 1 2 3 4\ncpu1 1 2 3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var names hostfs.Interner
		times, err := parseCPUTimes(nil, b, &names)
		for i, c := range times {
			if n, parseErr := strconv.ParseUint(c.cpu, 10, 64); parseErr != nil || n != c.n || i > 0 && n <= times[i-1].n {
				t.Errorf("%q: CPU %q, %d, %v", b, c.cpu, c.n, err)
			}
		}
	})
}

func FuzzCPUList(f *testing.F) {
	for _, s := range []string{"0-3,6\n", "1,3-5,9", "3-1", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseCPUList(nil, b)
		if err == nil && (!slices.IsSorted(list) || len(slices.Compact(list)) != len(list) || len(list) > maxCPUs) {
			t.Errorf("%q: %v", b, list)
		}
	})
}

func FuzzCPUInfo(f *testing.F) {
	f.Add([]byte(cpuinfoText))
	f.Add([]byte("processor: 0\ncpu MHz: 1e9\nflags"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var info cpuInfoText
		var names hostfs.Interner
		err := info.parse(b, &names)
		for _, c := range info.cpus {
			if _, parseErr := strconv.ParseUint(c.cpu, 10, 64); parseErr != nil || err == nil && !(c.mhz >= 0) {
				t.Errorf("%q: %+v", b, c)
			}
		}
	})
}
