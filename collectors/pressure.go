package collectors

// Pressure stall information: how long tasks waited for want of a resource, from
// /proc/pressure (kernel: Documentation/accounting/psi.rst). `some` is the time in
// which at least one task waited, `full` that in which none could run; totals are
// in microseconds:
//
//	some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802
//	full avg10=0.18 avg60=0.34 avg300=0.10 total=159229614
//
// The cpu file's `full` is not shown: for the whole host it is always 0. The irq
// file (Linux 6.1) has `full` alone. Where the kernel was started with psi=0, or
// without the accounting of interrupts, reading fails with EOPNOTSUPP.

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	pressureCPUSome = expo.Counter("node_pressure_cpu_waiting_seconds_total", "Time in which at least one task waited for a CPU.")
	pressureIOSome  = expo.Counter("node_pressure_io_waiting_seconds_total", "Time in which at least one task waited for I/O.")
	pressureIOFull  = expo.Counter("node_pressure_io_stalled_seconds_total", "Time in which all tasks with work to do waited for I/O.")
	pressureMemSome = expo.Counter("node_pressure_memory_waiting_seconds_total", "Time in which at least one task waited for memory.")
	pressureMemFull = expo.Counter("node_pressure_memory_stalled_seconds_total", "Time in which all tasks with work to do waited for memory.")
	pressureIRQFull = expo.Counter("node_pressure_irq_stalled_seconds_total", "Time in which tasks could not run because interrupts were being served.")
)

// pressureFile is one resource. A nil family is a line that is not shown.
type pressureFile struct {
	file       *hostfs.File
	some, full *expo.Family
}

type pressure []pressureFile

func newPressure(c Config) (Collector, error) {
	return pressure{
		{c.FS.ProcFile("pressure/cpu").Lines(256), pressureCPUSome, nil},
		{c.FS.ProcFile("pressure/io").Lines(256), pressureIOSome, pressureIOFull},
		{c.FS.ProcFile("pressure/memory").Lines(256), pressureMemSome, pressureMemFull},
		{c.FS.ProcFile("pressure/irq").Lines(256), nil, pressureIRQFull},
	}, nil
}

// Collect implements Collector. A resource that cannot be read does not cost the others.
func (p pressure) Collect(_ context.Context, w *expo.Writer) error {
	var failed []error
	none := true
	for _, r := range p {
		b, err := r.file.Read()
		switch {
		case hostfs.Gone(err) || errors.Is(err, unix.EOPNOTSUPP):
			continue
		case err != nil:
			failed = append(failed, err)
			continue
		}
		none = false
		t, err := parsePressure(b)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", r.file.Path(), err))
			continue
		}
		// Divided in two steps, as node_exporter does, for the same last digit.
		if r.some != nil && t.hasSome {
			w.Sample(r.some, float64(t.some)/1000/1000)
		}
		if r.full != nil && t.hasFull {
			w.Sample(r.full, float64(t.full)/1000/1000)
		}
	}
	if none && failed == nil {
		return fmt.Errorf("%w: the kernel keeps no pressure stall information", ErrNoData)
	}
	return errors.Join(failed...)
}

// pressureTotals are the totals of one resource, in microseconds.
type pressureTotals struct {
	some, full       uint64
	hasSome, hasFull bool
}

func parsePressure(b []byte) (t pressureTotals, err error) {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		kind, rest := hostfs.NextField(line)
		to, has := &t.some, &t.hasSome
		switch string(kind) {
		case "some":
		case "full":
			to, has = &t.full, &t.hasFull
		default:
			continue
		}
		_, total, ok := bytes.Cut(rest, []byte(" total="))
		if !ok {
			return pressureTotals{}, fmt.Errorf("want a total in %.100q", line)
		}
		number, _ := hostfs.NextField(total)
		if *to, err = hostfs.Uint(number); err != nil {
			return pressureTotals{}, fmt.Errorf("total in %.100q: %w", line, err)
		}
		*has = true
	}
	return t, nil
}
