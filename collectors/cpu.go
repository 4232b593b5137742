package collectors

// What each CPU did since boot, from /proc/stat (kernel: fs/proc/stat.c). Of each
// line the numbers are, in hundredths of a second (USER_HZ): user, nice, system,
// idle, iowait, irq, softirq, steal, guest, guest_nice. The last two are in user and
// nice already. Older kernels have fewer.
//
//	cpu0 44490 19 21045 1087069 220 1 3410 0 2 1
//
// iowait and, for a CPU taken offline, everything may go back (man 5 proc, kernel:
// kernel/sched/cputime.c); see cpuTimes.settle. The rest of what this collector
// tells is in cpu_topology.go and cpu_info.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	cpuSeconds = expo.Counter("node_cpu_seconds_total", "Time that a CPU spent in each mode.", "cpu", "mode")
	cpuGuest   = expo.Counter("node_cpu_guest_seconds_total", "Time that a CPU ran virtual machines; part of the modes user and nice of node_cpu_seconds_total.", "cpu", "mode")
)

// CPUConfig configures the cpu collector.
type CPUConfig struct {
	Guest bool // also the time spent in virtual machines
	Info  bool // also what /proc/cpuinfo says of each CPU

	// Frequency adds, with Info, the frequency that /proc/cpuinfo tells. In
	// node_exporter it depends on whether the cpufreq collector runs.
	Frequency bool

	// FlagsInclude and BugsInclude are regular expressions: the flags and bugs of
	// the first CPU to show. Where one is given, Info is on.
	FlagsInclude, BugsInclude string
}

type cpu struct {
	cfg      CPUConfig
	stat     *hostfs.File
	was, now []cpuTimes
	names    hostfs.Interner
	topology *cpuTopology
	info     *cpuInfos // nil: not asked for
}

func newCPU(c Config) (Collector, error) {
	u := &cpu{cfg: c.CPU, stat: c.FS.ProcFile("stat"), topology: &cpuTopology{host: c.FS, now: time.Now}}
	if c.CPU.Info || c.CPU.FlagsInclude != "" || c.CPU.BugsInclude != "" {
		var err error
		if u.info, err = newCPUInfos(c); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// Collect implements Collector. The parts do not depend on one another.
func (c *cpu) Collect(_ context.Context, w *expo.Writer) error {
	err := c.collectTimes(w)
	if more := c.topology.collect(w); more != nil {
		err = errors.Join(err, more)
	}
	if c.info != nil {
		if more := c.info.collect(w); more != nil {
			err = errors.Join(err, more)
		}
	}
	return err
}

func (c *cpu) collectTimes(w *expo.Writer) error {
	b, err := c.stat.Read()
	if err != nil {
		return absent(err)
	}
	c.was, c.now = c.now, c.was
	if c.now, err = parseCPUTimes(c.now[:0], b, &c.names); err != nil {
		c.now = append(c.now[:0], c.was...) // what is known stays known
		return fmt.Errorf("%s: %w", c.stat.Path(), err)
	}
	settleCPUTimes(c.now, c.was)
	for i := range c.now {
		t := &c.now[i]
		for m, mode := range cpuModes {
			w.Sample(cpuSeconds, float64(t.ticks[m])/userHZ, t.cpu, mode)
		}
	}
	if !c.cfg.Guest {
		return nil
	}
	for i := range c.now {
		t := &c.now[i]
		w.Sample(cpuGuest, float64(t.ticks[guestUser])/userHZ, t.cpu, "user")
		w.Sample(cpuGuest, float64(t.ticks[guestNice])/userHZ, t.cpu, "nice")
	}
	return nil
}

// userHZ is the unit of times that the kernel tells programs: 100 to the second on
// every architecture but alpha, whatever the kernel's own tick is.
const userHZ = 100

// The modes in the kernel's order, and the places of those that matter here.
var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

const (
	idleMode  = 3
	guestUser = 8
	guestNice = 9
)

// cpuTimes is a CPU's line in /proc/stat.
type cpuTimes struct {
	n     uint64
	cpu   string // n in decimal
	ticks [10]uint64
}

// parseCPUTimes appends the lines of CPUs, which stand first and in order, to dst.
func parseCPUTimes(dst []cpuTimes, b []byte, names *hostfs.Interner) ([]cpuTimes, error) {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		key, rest := hostfs.NextField(line)
		number, ok := bytes.CutPrefix(key, []byte("cpu"))
		if !ok {
			break
		}
		if len(number) == 0 {
			continue // the sum
		}
		t := cpuTimes{cpu: names.String(number)}
		var err error
		if t.n, err = hostfs.Uint(number); err != nil {
			return dst, fmt.Errorf("CPU: %w", err)
		}
		if len(dst) > 0 && t.n <= dst[len(dst)-1].n {
			return dst, fmt.Errorf("cpu%d comes after cpu%d", t.n, dst[len(dst)-1].n)
		}
		for i := range t.ticks {
			var field []byte
			field, rest = hostfs.NextField(rest)
			if len(field) == 0 && i > idleMode {
				break // an older kernel
			}
			if t.ticks[i], err = hostfs.Uint(field); err != nil {
				return dst, fmt.Errorf("line %.100q: %w", line, err)
			}
		}
		dst = append(dst, t)
	}
	return dst, nil
}

// settleCPUTimes settles every CPU that both have; they are sorted by number.
func settleCPUTimes(now, was []cpuTimes) {
	for i := range now {
		for len(was) > 0 && was[0].n < now[i].n {
			was = was[1:]
		}
		if len(was) > 0 && was[0].n == now[i].n {
			now[i].settle(&was[0])
		}
	}
}

// settle keeps counters from going back: the higher number stands, as long as idle
// time does not go back by 3 seconds or more. Then the CPU was offline meanwhile,
// and all of its counters begin anew. This is node_exporter's rule.
func (t *cpuTimes) settle(was *cpuTimes) {
	if was.ticks[idleMode] >= t.ticks[idleMode]+3*userHZ {
		return
	}
	for i := range t.ticks {
		t.ticks[i] = max(t.ticks[i], was.ticks[i])
	}
}
