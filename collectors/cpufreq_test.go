package collectors

import (
	"strings"
	"testing"
)

func cpufreqTree() map[string]string {
	files := map[string]string{"sys/devices/system/cpu/offline": "2\n", "sys/devices/system/cpu/cpuidle/driver": "none\n"}
	for _, cpu := range []string{"0", "1", "2"} {
		dir := "sys/devices/system/cpu/cpu" + cpu + "/cpufreq/"
		files[dir+"cpuinfo_cur_freq"] = "2100000\n"
		files[dir+"cpuinfo_min_freq"] = "800000\n"
		files[dir+"cpuinfo_max_freq"] = "3700000\n"
		files[dir+"scaling_cur_freq"] = "1699981\n"
		files[dir+"scaling_governor"] = "powersave\n"
		files[dir+"scaling_available_governors"] = "performance powersave \n"
	}
	files["sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_cur_freq"] = "<unknown>\n"
	return files
}

func TestCPUFreq(t *testing.T) {
	const rest = `# TYPE node_cpu_frequency_min_hertz gauge
node_cpu_frequency_min_hertz{cpu="0"} 800000000
node_cpu_frequency_min_hertz{cpu="1"} 800000000
# TYPE node_cpu_frequency_max_hertz gauge
node_cpu_frequency_max_hertz{cpu="0"} 3700000000
node_cpu_frequency_max_hertz{cpu="1"} 3700000000
# TYPE node_cpu_scaling_frequency_hertz gauge
node_cpu_scaling_frequency_hertz{cpu="0"} 1699981000
node_cpu_scaling_frequency_hertz{cpu="1"} 1699981000
# TYPE node_cpu_scaling_governor gauge
node_cpu_scaling_governor{cpu="0",governor="performance"} 0
node_cpu_scaling_governor{cpu="0",governor="powersave"} 1
node_cpu_scaling_governor{cpu="1",governor="performance"} 0
node_cpu_scaling_governor{cpu="1",governor="powersave"} 1
`
	const now = "# TYPE node_cpu_frequency_hertz gauge\nnode_cpu_frequency_hertz{cpu=\"0\"} 2100000000\n"
	files := cpufreqTree()
	same(t, render(t, make1(t, "cpufreq", on(tree(t, files)))), now+rest)

	// Where the cpu collector tells frequencies, the family is its own.
	files["proc/cpuinfo"] = "processor\t: 0\ncpu MHz\t\t: 2100.000\n"
	cfg := on(tree(t, files))
	same(t, render(t, make1(t, "cpufreq", cfg)), now+rest)
	cfg.CPU.Info = true
	same(t, render(t, make1(t, "cpufreq", cfg)), rest)
	files["proc/cpuinfo"] = "processor\t: 0\nBogoMIPS\t: 38.40\n" // an ARM machine's
	cfg = on(tree(t, files))
	cfg.CPU.Info = true
	same(t, render(t, make1(t, "cpufreq", cfg)), now+rest)
}

func TestCPUFreqBad(t *testing.T) {
	files := cpufreqTree()
	files["sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"] = "fast\n"
	text, err := renderErr(make1(t, "cpufreq", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "cpu0/cpufreq/scaling_cur_freq") || !strings.Contains(err.Error(), `"fast"`) {
		t.Errorf("error %v", err)
	}
	if v := values(t, text); len(v) != 1+2+2+1+4 || v[`node_cpu_scaling_frequency_hertz{cpu="1"}`] != 1699981000 {
		t.Errorf("said %v", v)
	}
	files = cpufreqTree()
	files["sys/devices/system/cpu/offline"] = "2-1\n"
	if _, err := renderErr(make1(t, "cpufreq", on(tree(t, files)))); err == nil {
		t.Error("a list of CPUs that makes no sense was taken")
	}
}
