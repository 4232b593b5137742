package collectors

// Counters and gauges of the memory management, from /proc/vmstat (kernel:
// mm/vmstat.c). A line is a name and a number; which is a counter is not said:
//
//	pgpgin 14299580
//	oom_kill 0

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// DefaultVmstatFields are the fields shown unless told otherwise.
const DefaultVmstatFields = "^(oom_kill|pgpg|pswp|pg.*fault).*"

// VmstatConfig configures the vmstat collector.
type VmstatConfig struct {
	Fields string // a regular expression: the fields to show
}

// vmstatFamilies are those of the default fields; others are made when they are seen.
var vmstatFamilies = []*expo.Family{
	expo.Untyped("node_vmstat_oom_kill", "Processes killed for want of memory since boot."),
	expo.Untyped("node_vmstat_pgfault", "Page faults since boot, with and without reading from disk."),
	expo.Untyped("node_vmstat_pgmajfault", "Page faults since boot that had to read from disk."),
	expo.Untyped("node_vmstat_pgpgin", "KiB read from block devices since boot."),
	expo.Untyped("node_vmstat_pgpgout", "KiB written to block devices since boot."),
	expo.Untyped("node_vmstat_pswpin", "Pages swapped in since boot."),
	expo.Untyped("node_vmstat_pswpout", "Pages swapped out since boot."),
}

type vmstat struct {
	file  *hostfs.File
	names kernelNames
}

func newVmstat(c Config) (Collector, error) {
	fields, err := NewFilter(c.Vmstat.Fields, "")
	if err != nil {
		return nil, fmt.Errorf("fields: %w", err)
	}
	return &vmstat{c.FS.ProcFile("vmstat").Lines(128), kernelNames{family: func(field string) *expo.Family {
		if !fields.Keep(field) {
			return nil
		}
		name := expo.CleanName(field)
		if f := pickFamily(vmstatFamilies, "node_vmstat_"+name); f != nil {
			return f
		}
		return expo.Untyped("node_vmstat_"+name, "Field "+field+" of /proc/vmstat.")
	}}}, nil
}

// Collect implements Collector.
func (v *vmstat) Collect(_ context.Context, w *expo.Writer) error {
	b, err := v.file.Read()
	if err != nil {
		return absent(err)
	}
	start := len(w.Bytes())
	if err := v.collect(b, w); err != nil {
		w.Truncate(start)
		return fmt.Errorf("%s: %w", v.file.Path(), err)
	}
	return nil
}

func (v *vmstat) collect(b []byte, w *expo.Writer) error {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		field, rest := hostfs.NextField(line)
		if len(field) == 0 {
			continue
		}
		family := v.names.get(field)
		if family == nil {
			continue
		}
		number, _ := hostfs.NextField(rest)
		n, err := hostfs.Uint(number)
		if err != nil {
			return fmt.Errorf("line %.100q: %w", line, err)
		}
		w.Uint(family, n)
	}
	return nil
}
