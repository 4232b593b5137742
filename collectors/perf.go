package collectors

// Performance counters, from perf_event_open(2): of the hardware, of the kernel,
// of caches, and tracepoints. Each event is counted on each CPU by a descriptor of
// its own, for all processes. That needs CAP_PERFMON (or CAP_SYS_ADMIN), or
// kernel.perf_event_paranoid at 0 or below; virtual machines often have no
// hardware counters.
//
// The number of a tracepoint is in tracefs:
//
//	/sys/kernel/tracing/events/sched/sched_process_fork/id:   322

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// PerfConfig configures the perf collector.
type PerfConfig struct {
	CPUs        string   // list of CPUs, 0,2-4 or 1-10:5 for every fifth; empty is all
	Tracepoints []string // subsystem:event
	// Hardware, Software and Cache name the counters, as node_exporter does; empty is all.
	Hardware, Software, Cache       []string
	NoHardware, NoSoftware, NoCache bool
}

type perf struct {
	listing
	host        hostfs.FS
	cpus        []uint64 // nil: those that are online
	counters    []perfCounter
	tracepoints []perfTracepoint
	open        [][]perfEvent // by place of the counter
	refused     error         // what could not be opened, by an administrator's choice or mistake
}

// perfEvent is a counter at work on one CPU.
type perfEvent struct {
	cpu   uint64
	label string
	fd    int
}

type perfTracepoint struct{ subsystem, event string }

// name is what its family is called by.
func (t perfTracepoint) name() string { return t.subsystem + "_" + t.event }

func newPerf(c Config) (Collector, error) {
	p := &perf{listing: listing{now: time.Now}, host: c.FS}
	var err error
	if c.Perf.CPUs != "" {
		if p.cpus, err = parsePerfCPUs(c.Perf.CPUs); err != nil {
			return nil, err
		}
	}
	for _, t := range c.Perf.Tracepoints {
		subsystem, event, ok := strings.Cut(t, ":")
		if !ok || !expo.ValidName(subsystem) || !expo.ValidName(event) {
			return nil, fmt.Errorf("tracepoint %q is not subsystem:event", t)
		}
		if slices.ContainsFunc(p.tracepoints, func(o perfTracepoint) bool { return o.name() == subsystem+"_"+event }) {
			return nil, fmt.Errorf("tracepoint %q is there twice", t)
		}
		p.tracepoints = append(p.tracepoints, perfTracepoint{subsystem, event})
	}
	for _, group := range []struct {
		what  string
		all   []perfCounter
		names []string
		off   bool
	}{
		{"hardware", perfHardware, c.Perf.Hardware, c.Perf.NoHardware},
		{"software", perfSoftware, c.Perf.Software, c.Perf.NoSoftware},
		{"cache", perfCache, c.Perf.Cache, c.Perf.NoCache},
	} {
		picked, err := pickPerfCounters(group.what, group.all, group.names)
		if err != nil {
			return nil, err
		}
		if !group.off {
			p.counters = append(p.counters, picked...)
		}
	}
	return p, nil
}

// pickPerfCounters are the counters of those names, all where none is named.
func pickPerfCounters(what string, all []perfCounter, names []string) ([]perfCounter, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, c := range all {
		known = append(known, c.name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("no %s profiler is named %q; there are %s", what, n, strings.Join(known, ", "))
		}
	}
	var picked []perfCounter
	for _, c := range all {
		if slices.Contains(names, c.name) {
			picked = append(picked, c)
		}
	}
	return picked, nil
}

// Collect implements Collector. A counter that the hardware or the kernel lacks
// has no samples; it is an error if there is none at all.
func (p *perf) Collect(_ context.Context, w *expo.Writer) error {
	if !p.host.Live() {
		return fmt.Errorf("%w: counters are of the running kernel, not of captured files", ErrNoData)
	}
	if p.due() {
		p.refused = p.start()
	}
	var failed failures
	for i, events := range p.open {
		kept := events[:0]
		for _, e := range events {
			n, err := readPerf(e.fd)
			if err != nil { // as a rule its CPU went offline
				p.stale = true
				unix.Close(e.fd)
				if !errors.Is(err, errPerfEnd) {
					failed.add(fmt.Errorf("%s of CPU %s: %w", p.counters[i].family.Name(), e.label, err))
				}
				continue
			}
			w.Uint(p.counters[i].family, n, e.label)
			kept = append(kept, e)
		}
		p.open[i] = kept
	}
	if p.refused != nil {
		failed.add(p.refused)
	}
	return failed.err()
}

// start opens what is not open yet.
func (p *perf) start() error {
	failed := p.findTracepoints()
	cpus := p.cpus
	if cpus == nil {
		b, err := p.host.ReadSys("devices/system/cpu/online")
		if err != nil {
			return err
		}
		if cpus, err = parseCPUList(nil, []byte(b)); err != nil {
			return fmt.Errorf("devices/system/cpu/online: %w", err)
		}
	}
	p.open = append(p.open, make([][]perfEvent, len(p.counters)-len(p.open))...)
	working := 0
	var lacking error
	for i, c := range p.counters {
		for _, cpu := range cpus {
			if slices.ContainsFunc(p.open[i], func(e perfEvent) bool { return e.cpu == cpu }) {
				continue
			}
			fd, err := openPerf(c, cpu)
			if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
				return fmt.Errorf("perf_event_open: %w: it needs CAP_PERFMON or kernel.perf_event_paranoid at 0", err)
			}
			if err != nil {
				lacking = fmt.Errorf("perf_event_open of %s: %w", c.name, err)
				continue
			}
			p.open[i] = append(p.open[i], perfEvent{cpu, strconv.FormatUint(cpu, 10), fd})
		}
		slices.SortFunc(p.open[i], func(a, b perfEvent) int { return cmp.Compare(a.cpu, b.cpu) })
		working += len(p.open[i])
	}
	if working == 0 && lacking != nil {
		failed.add(lacking)
	}
	return failed.err()
}

// findTracepoints adds the tracepoints whose numbers can be read to the counters.
func (p *perf) findTracepoints() *failures {
	failed := &failures{}
	var missing []perfTracepoint
	for _, t := range p.tracepoints {
		id, err := p.tracepointID(t)
		if err != nil {
			failed.add(err)
			missing = append(missing, t)
			continue
		}
		p.counters = append(p.counters, perfCounter{
			name: t.subsystem + ":" + t.event, typ: unix.PERF_TYPE_TRACEPOINT, config: id,
			family: expo.Counter("node_perf_"+t.subsystem+"_"+t.event, "Times that the kernel passed the tracepoint "+t.subsystem+":"+t.event+".", "cpu"),
		})
	}
	p.tracepoints = missing
	return failed
}

// tracefs are where the tracing file system may be mounted, below sysfs.
var tracefs = [...]string{"kernel/tracing", "kernel/debug/tracing"}

func (p *perf) tracepointID(t perfTracepoint) (id uint64, err error) {
	var text string
	for _, at := range tracefs {
		if text, err = p.host.ReadSys(at + "/events/" + t.subsystem + "/" + t.event + "/id"); err == nil {
			return strconv.ParseUint(text, 10, 64)
		}
	}
	return 0, err
}

// parsePerfCPUs are the CPUs of a list such as 0,2-4 or 1-10:5, which is 1 and 6.
func parsePerfCPUs(list string) ([]uint64, error) {
	var cpus []uint64
	for item := range strings.SplitSeq(list, ",") {
		span, every, stepped := strings.Cut(item, ":")
		first, last, isRange := strings.Cut(span, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 32)
		to, err2 := strconv.ParseUint(last, 10, 32)
		step, err3 := uint64(1), error(nil)
		if stepped {
			step, err3 = strconv.ParseUint(every, 10, 32)
		}
		if errors.Join(err1, err2, err3) != nil || to < from || to >= maxCPUs || step == 0 || stepped && !isRange {
			return nil, fmt.Errorf("%.200q is not a list of CPUs such as 0,2-4 or 1-10:5", list)
		}
		for n := from; n <= to; n += step {
			cpus = append(cpus, n)
		}
	}
	slices.Sort(cpus)
	return slices.Compact(cpus), nil
}

var errPerfEnd = errors.New("the CPU is offline")

// readPerf reads how often an event happened.
func readPerf(fd int) (uint64, error) {
	var b [24]byte // value, time enabled, time running
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, err
	}
	if n < 8 {
		return 0, errPerfEnd
	}
	return binary.NativeEndian.Uint64(b[:8]), nil
}

// openPerf opens a counter of all processes on one CPU, and starts it.
func openPerf(c perfCounter, cpu uint64) (int, error) {
	attr := unix.PerfEventAttr{
		Type: c.typ, Config: c.config, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Bits:        unix.PerfBitExcludeHv,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
	}
	return unix.PerfEventOpen(&attr, -1, int(cpu), -1, unix.PERF_FLAG_FD_CLOEXEC)
}
