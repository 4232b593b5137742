package collectors

// The kernel's counters since boot, from /proc/stat (kernel:
// Documentation/filesystems/proc.rst, fs/proc/stat.c). Of intr and softirq the
// first number is the sum, the others are counts of each interrupt or vector:
//
//	intr 8885917 17 0 0 0 0 0 0 0 1 79281 0 0
//	ctxt 38014093
//	btime 1418183276
//	processes 26442
//	procs_running 2
//	procs_blocked 1
//	softirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	statInterrupts = expo.Counter("node_intr_total", "Interrupts of all kinds served since boot.")
	statSwitches   = expo.Counter("node_context_switches_total", "Context switches on all CPUs since boot.")
	statForks      = expo.Counter("node_forks_total", "Processes and threads created since boot.")
	statBootTime   = expo.Gauge("node_boot_time_seconds", "When the host was booted, in seconds since 1970.")
	statRunning    = expo.Gauge("node_procs_running", "Tasks that run or are ready to run.")
	statBlocked    = expo.Gauge("node_procs_blocked", "Tasks that wait for I/O and cannot be interrupted.")
	statSoftirqs   = expo.Counter("node_softirqs_total", "Softirqs handled since boot, by vector.", "vector")
)

// StatConfig configures the stat collector.
type StatConfig struct {
	Softirq bool // also the softirqs by vector
}

type stat struct {
	cfg  StatConfig
	file *hostfs.File
}

func newStat(c Config) (Collector, error) { return stat{c.Stat, c.FS.ProcFile("stat")}, nil }

// Collect implements Collector.
func (s stat) Collect(_ context.Context, w *expo.Writer) error {
	b, err := s.file.Read()
	if err != nil {
		return absent(err)
	}
	var k kernelStat
	if err := k.parse(b, s.cfg.Softirq); err != nil {
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	for _, n := range [...]struct {
		family *expo.Family
		statNumber
	}{
		{statInterrupts, k.interrupts}, {statSwitches, k.switches}, {statForks, k.forks},
		{statBootTime, k.bootTime}, {statRunning, k.running}, {statBlocked, k.blocked},
	} {
		if n.there {
			w.Uint(n.family, n.n)
		}
	}
	if k.softirqs {
		for i, n := range k.softirq {
			w.Uint(statSoftirqs, n, softirqVectors[i])
		}
	}
	return nil
}

// statNumber is a number that not every kernel tells.
type statNumber struct {
	n     uint64
	there bool
}

// kernelStat is /proc/stat without the lines of CPUs.
type kernelStat struct {
	interrupts, switches, forks, bootTime, running, blocked statNumber

	softirq  [len(softirqVectors)]uint64
	softirqs bool // whether they were read
}

// softirqVectors are in the kernel's order (include/linux/interrupt.h).
var softirqVectors = [...]string{"hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"}

// parse reads the file; the softirqs, which some kernels lack, if they are wanted.
func (k *kernelStat) parse(b []byte, softirqs bool) error {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		key, rest := hostfs.NextField(line)
		var to *statNumber
		switch string(key) {
		case "intr":
			to = &k.interrupts
		case "ctxt":
			to = &k.switches
		case "processes":
			to = &k.forks
		case "btime":
			to = &k.bootTime
		case "procs_running":
			to = &k.running
		case "procs_blocked":
			to = &k.blocked
		case "softirq":
			if !softirqs {
				continue
			}
			if err := k.parseSoftirq(rest); err != nil {
				return fmt.Errorf("softirq: %w", err)
			}
			continue
		default:
			continue // CPUs are the cpu collector's; lines of later kernels
		}
		field, _ := hostfs.NextField(rest)
		n, err := hostfs.Uint(field)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		*to = statNumber{n, true}
	}
	return nil
}

// parseSoftirq reads the sum, which nothing here needs, and the vectors.
func (k *kernelStat) parseSoftirq(b []byte) error {
	_, b = hostfs.NextField(b)
	for i := range k.softirq {
		var field []byte
		field, b = hostfs.NextField(b)
		n, err := hostfs.Uint(field)
		if err != nil {
			return fmt.Errorf("vector %s: %w", softirqVectors[i], err)
		}
		k.softirq[i] = n
	}
	k.softirqs = true
	return nil
}
