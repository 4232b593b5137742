package collectors

// How fast each CPU runs, from /sys/devices/system/cpu/cpu*/cpufreq (kernel:
// Documentation/admin-guide/pm/cpufreq.rst), in kHz. What the hardware tells
// (cpuinfo_cur_freq) is readable by root alone.
//
//	cpu0/cpufreq/scaling_cur_freq:              1699981
//	cpu0/cpufreq/scaling_governor:              powersave
//	cpu0/cpufreq/scaling_available_governors:   performance powersave

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var kilohertz = conversion{times: 1000}

// cpuFreqHertz has the name of a family of the cpu collector.
var cpuFreqHertz = expo.Gauge("node_cpu_frequency_hertz", "How fast a CPU runs now, as the hardware tells.", "cpu")

var cpuFreqAttributes = []attribute{
	{"cpuinfo_cur_freq", cpuFreqHertz, kilohertz},
	{"cpuinfo_avg_freq", expo.Gauge("node_cpu_frequency_avg_hertz", "How fast a CPU ran on average since this was asked last.", "cpu"), kilohertz},
	{"cpuinfo_min_freq", expo.Gauge("node_cpu_frequency_min_hertz", "The slowest that a CPU can run.", "cpu"), kilohertz},
	{"cpuinfo_max_freq", expo.Gauge("node_cpu_frequency_max_hertz", "The fastest that a CPU can run.", "cpu"), kilohertz},
	{"scaling_cur_freq", expo.Gauge("node_cpu_scaling_frequency_hertz", "How fast a CPU runs, as the kernel's driver has it.", "cpu"), kilohertz},
	{"scaling_min_freq", expo.Gauge("node_cpu_scaling_frequency_min_hertz", "The slowest that the kernel lets a CPU run.", "cpu"), kilohertz},
	{"scaling_max_freq", expo.Gauge("node_cpu_scaling_frequency_max_hertz", "The fastest that the kernel lets a CPU run.", "cpu"), kilohertz},
}

var cpuFreqGovernor = expo.Gauge("node_cpu_scaling_governor", "Which of the governors that there are sets a CPU's frequency: 1, the others 0.", "cpu", "governor")

type cpuFreq struct {
	deviceClass
	dir       string
	governors []textRow
	available [][]string // governors, by CPU
}

// cpuFreqTexts are the files that tell of governors.
var cpuFreqTexts = [...]string{"scaling_governor"}

func newCPUFreq(c Config) (Collector, error) {
	table := cpuFreqAttributes
	if cpuTellsFrequency(c) {
		table = table[1:] // one family cannot be said twice
	}
	f := &cpuFreq{deviceClass: newDeviceClass(table), dir: c.FS.SysPath("devices/system/cpu")}
	f.list = f.listCPUs
	return f, nil
}

// cpuTellsFrequency tells whether the cpu collector has the frequencies too: it
// was asked to read /proc/cpuinfo, and they are there.
func cpuTellsFrequency(c Config) bool {
	if !c.CPU.Frequency || !c.CPU.Info && c.CPU.FlagsInclude == "" && c.CPU.BugsInclude == "" {
		return false
	}
	b, err := c.FS.ReadProc("cpuinfo")
	return err == nil && bytes.Contains(b, []byte("\ncpu MHz"))
}

// Collect implements Collector. Virtual machines have none of it, which is no
// failure, as in node_exporter.
func (f *cpuFreq) Collect(_ context.Context, w *expo.Writer) error {
	var failed failures
	if err := f.refresh(); err != nil {
		failed.add(err)
	}
	f.write(w, &failed)
	for i := range f.governors {
		r := &f.governors[i]
		if !r.read(&failed) {
			f.stale = true
			continue
		}
		for _, g := range f.available[i] {
			on := 0.0
			if g == r.texts[0] {
				on = 1
			}
			w.Sample(cpuFreqGovernor, on, r.device, g)
		}
	}
	return failed.err()
}

func (f *cpuFreq) listCPUs() error {
	for i := range f.governors {
		f.governors[i].close()
	}
	f.governors, f.available = f.governors[:0], f.available[:0]
	names, err := hostfs.ReadDirNames(f.dir)
	if hostfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	offline, err := f.offline()
	for _, name := range names {
		cpu, ok := strings.CutPrefix(name, "cpu")
		n, notNumber := strconv.ParseUint(cpu, 10, 32)
		if !ok || notNumber != nil {
			continue
		}
		if _, off := slices.BinarySearch(offline, n); off {
			continue
		}
		dir := f.dir + "/" + name + "/cpufreq"
		f.add(dir, cpu)
		if governors, err := hostfs.ReadTrimmed(dir + "/scaling_available_governors"); err == nil {
			r := newTextRow(f.dir, name+"/cpufreq", cpuFreqTexts[:])
			r.device = cpu
			f.governors = append(f.governors, r)
			f.available = append(f.available, strings.Fields(governors))
		}
	}
	return err
}

// offline are the CPUs that are switched off, ascending.
func (f *cpuFreq) offline() ([]uint64, error) {
	b, err := hostfs.Read(f.dir + "/offline")
	if err != nil {
		if hostfs.Gone(err) {
			err = nil
		}
		return nil, err
	}
	return parseCPUList(nil, b)
}
