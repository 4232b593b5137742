package collectors

// The scheduler's run queues, from /proc/schedstat (kernel:
// Documentation/scheduler/sched-stats.rst). A line of a CPU has nine numbers, of
// which the last three are the time it ran tasks and the time tasks waited for
// it, both in ns, and how often a task got it:
//
//	cpu0 0 0 0 0 0 0 2045936778163039 343796328169361 4767485306

import (
	"bytes"
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// schedFamilies are the 7th number of a line and those after it.
var schedFamilies = [schedNumbers]struct {
	family *expo.Family
	unit   float64
}{
	{expo.Counter("node_schedstat_running_seconds_total", "Time that the CPU ran tasks.", "cpu"), 1e9},
	{expo.Counter("node_schedstat_waiting_seconds_total", "Time that tasks waited in the CPU's run queue, those at the same time added up.", "cpu"), 1e9},
	{expo.Counter("node_schedstat_timeslices_total", "How often a task was given the CPU.", "cpu"), 1},
}

const (
	schedNumbers = 3
	schedSkipped = 6 // numbers before them
)

type schedstat struct {
	file  *hostfs.File
	names hostfs.Interner
	cpus  []schedCPU // as last read
}

func newSchedstat(c Config) (Collector, error) {
	return &schedstat{file: c.FS.ProcFile("schedstat")}, nil
}

// Collect implements Collector.
func (s *schedstat) Collect(_ context.Context, w *expo.Writer) error {
	b, err := s.file.Read()
	if err != nil {
		return absent(err) // built without CONFIG_SCHEDSTATS
	}
	if err := s.parse(b); err != nil {
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	for i, f := range schedFamilies {
		for _, c := range s.cpus {
			w.Sample(f.family, float64(c.v[i])/f.unit, c.name)
		}
	}
	return nil
}

// schedCPU is the line of a CPU.
type schedCPU struct {
	name string // "0"
	v    [schedNumbers]uint64
}

func (s *schedstat) parse(b []byte) error {
	s.cpus = s.cpus[:0]
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if !bytes.HasPrefix(line, []byte("cpu")) {
			continue // version, timestamp, domains of a CPU
		}
		name, v, err := parseSchedCPU(line)
		if err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		s.cpus = append(s.cpus, schedCPU{s.names.String(name), v})
	}
	return nil
}

func parseSchedCPU(line []byte) (name []byte, v [schedNumbers]uint64, err error) {
	name, rest := hostfs.NextField(line)
	if name = bytes.TrimPrefix(name, []byte("cpu")); len(name) == 0 {
		return nil, v, fmt.Errorf("a CPU without a number")
	}
	for range schedSkipped {
		_, rest = hostfs.NextField(rest)
	}
	for i := range v {
		var f []byte
		f, rest = hostfs.NextField(rest)
		if v[i], err = hostfs.Uint(f); err != nil {
			return nil, v, err
		}
	}
	return name, v, nil
}
