package collectors

// What /proc/cpuinfo says of each CPU (kernel: arch/x86/kernel/cpu/proc.c,
// arch/arm64/kernel/cpuinfo.c): a name, a colon and a value on each line, a line
// of `processor` before each CPU. What an architecture does not tell is empty.
//
//	processor	: 0
//	vendor_id	: GenuineIntel
//	cpu MHz		: 799.998
//	flags		: fpu vme de pse tsc
//
// The kernel works out the frequency when it is read, so this file is costly.

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	cpuInfoFamily = expo.Gauge("node_cpu_info", "What /proc/cpuinfo says of a CPU; always 1.",
		"cachesize", "core", "cpu", "family", "microcode", "model", "model_name", "package", "stepping", "vendor")
	cpuFrequency = expo.Gauge("node_cpu_frequency_hertz", "How fast a CPU runs now, as /proc/cpuinfo has it.", "core", "cpu", "package")
	cpuFlagInfo  = expo.Gauge("node_cpu_flag_info", "Features of the first CPU; always 1.", "flag")
	cpuBugInfo   = expo.Gauge("node_cpu_bug_info", "Hardware faults of the first CPU that the kernel knows of; always 1.", "bug")
)

type cpuInfos struct {
	file        *hostfs.File
	frequency   bool
	flags, bugs *Filter // nil: not shown
	names       hostfs.Interner
	parsed      cpuInfoText
}

func newCPUInfos(c Config) (*cpuInfos, error) {
	i := &cpuInfos{file: c.FS.ProcFile("cpuinfo"), frequency: c.CPU.Frequency}
	var err error
	if c.CPU.FlagsInclude != "" {
		if i.flags, err = NewFilter(c.CPU.FlagsInclude, ""); err != nil {
			return nil, fmt.Errorf("flags: %w", err)
		}
	}
	if c.CPU.BugsInclude != "" {
		if i.bugs, err = NewFilter(c.CPU.BugsInclude, ""); err != nil {
			return nil, fmt.Errorf("bugs: %w", err)
		}
	}
	return i, nil
}

func (i *cpuInfos) collect(w *expo.Writer) error {
	b, err := i.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := i.parsed.parse(b, &i.names); err != nil {
		return fmt.Errorf("%s: %w", i.file.Path(), err)
	}
	for _, c := range i.parsed.cpus {
		w.Sample(cpuInfoFamily, 1, c.cacheSize, c.core, c.cpu, c.family, c.microcode, c.model, c.modelName, c.pkg, c.stepping, c.vendor)
	}
	if i.frequency {
		for _, c := range i.parsed.cpus {
			if c.hasMHz {
				w.Sample(cpuFrequency, c.mhz*1e6, c.core, c.cpu, c.pkg)
			}
		}
	}
	i.words(w, cpuFlagInfo, i.flags, i.parsed.flags)
	i.words(w, cpuBugInfo, i.bugs, i.parsed.bugs)
	return nil
}

// words writes a sample for each word that the filter keeps.
func (i *cpuInfos) words(w *expo.Writer, family *expo.Family, keep *Filter, b []byte) {
	for keep != nil {
		var word []byte
		word, b = hostfs.NextField(b)
		if len(word) == 0 {
			return
		}
		if s := i.names.String(word); keep.Keep(s) {
			w.Sample(family, 1, s)
		}
	}
}

// cpuInfoText is /proc/cpuinfo.
type cpuInfoText struct {
	cpus        []cpuInfo
	flags, bugs []byte // of the first CPU, as they stand in the text
}

type cpuInfo struct {
	cpu, pkg, core, vendor, family, model, modelName, microcode, stepping, cacheSize string

	mhz    float64
	hasMHz bool
}

func (t *cpuInfoText) parse(b []byte, names *hostfs.Interner) error {
	*t = cpuInfoText{cpus: t.cpus[:0]}
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue // an empty line between CPUs
		}
		key, value = bytes.TrimSpace(key), bytes.TrimSpace(value)
		if string(key) == "processor" {
			if _, err := hostfs.Uint(value); err != nil {
				return fmt.Errorf("processor: %w", err)
			}
			t.cpus = append(t.cpus, cpuInfo{cpu: names.String(value)})
			continue
		}
		if len(t.cpus) == 0 {
			continue // of the machine, not of a CPU
		}
		if err := t.parseField(key, value, names); err != nil {
			return err
		}
	}
	return nil
}

func (t *cpuInfoText) parseField(key, value []byte, names *hostfs.Interner) (err error) {
	c := &t.cpus[len(t.cpus)-1]
	var to *string
	switch string(key) {
	case "physical id":
		to = &c.pkg
	case "core id":
		to = &c.core
	case "vendor", "vendor_id":
		to = &c.vendor
	case "cpu family":
		to = &c.family
	case "model":
		to = &c.model
	case "model name":
		to = &c.modelName
	case "microcode":
		to = &c.microcode
	case "stepping":
		to = &c.stepping
	case "cache size":
		to = &c.cacheSize
	case "cpu MHz":
		if c.mhz, err = strconv.ParseFloat(string(value), 64); err != nil || !(c.mhz >= 0 && c.mhz <= math.MaxFloat32) {
			return fmt.Errorf("cpu MHz: %.200q is not a number", value)
		}
		c.hasMHz = true
		return nil
	case "flags", "Features":
		if len(t.cpus) == 1 {
			t.flags = value
		}
		return nil
	case "bugs":
		if len(t.cpus) == 1 {
			t.bugs = value
		}
		return nil
	default:
		return nil
	}
	*to = names.String(value)
	return nil
}
