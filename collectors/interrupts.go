package collectors

// Interrupts by line and CPU, from /proc/interrupts (kernel: fs/proc/interrupts.c,
// kernel/irq/proc.c). The header names the CPUs that are online. A line has a
// number or a name, the count on each of them, and what it is for; numbered ones
// their chip first and the devices last. Sums over all CPUs (ERR, MIS) have no
// such text and are left out.
//
//	           CPU0       CPU1
//	 24:          1          0  IO-APIC   5-edge      ACPI:Ged
//	LOC:     174326     135776   Local timer interrupts
//	ERR:          0

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var interruptsTotal = expo.Counter("node_interrupts_total", "Interrupts that the CPU handled; type is the interrupt's number or name, info its chip or what it is for.",
	"cpu", "type", "info", "devices")

// InterruptsConfig configures the interrupts collector. The patterns are for
// "type;info;devices"; both may be given.
type InterruptsConfig struct {
	NameInclude  string // keep only interrupts that match
	NameExclude  string // leave out interrupts that match
	IncludeZeros bool   // also those that never happened
}

type interrupts struct {
	cfg    InterruptsConfig
	filter *Filter
	file   *hostfs.File
	cpus   cpuColumns
	lines  []interruptLine // by place in the file
	counts []uint64        // of one line
}

// interruptLine is what a line says besides its counts; it is nearly always the same.
type interruptLine struct {
	raw, rawAbout      string
	typ, info, devices string
	keep, parsed       bool
}

func newInterrupts(c Config) (Collector, error) {
	filter, err := NewFilter(c.Interrupts.NameInclude, c.Interrupts.NameExclude)
	if err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	return &interrupts{cfg: c.Interrupts, filter: filter, file: c.FS.ProcFile("interrupts")}, nil
}

// Collect implements Collector.
func (i *interrupts) Collect(_ context.Context, w *expo.Writer) error {
	b, err := i.file.Read()
	if err != nil {
		return absent(err)
	}
	start := len(w.Bytes())
	if err := i.collect(b, w); err != nil {
		w.Truncate(start)
		return fmt.Errorf("%s: %w", i.file.Path(), err)
	}
	return nil
}

func (i *interrupts) collect(b []byte, w *expo.Writer) error {
	header, b := hostfs.NextLine(b)
	if err := i.cpus.parse(header); err != nil {
		return err
	}
	for at := 0; len(b) > 0; {
		var line []byte
		line, b = hostfs.NextLine(b)
		name, rest, ok := bytes.Cut(line, []byte(":")) // the first count may stand right behind it
		if !ok {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			return fmt.Errorf("want a name and a colon in %.100q", line)
		}
		i.counts = i.counts[:0]
		for range i.cpus.names {
			field, after := hostfs.NextField(rest)
			if len(field) == 0 || len(i.counts) == 0 && (field[0] < '0' || field[0] > '9') {
				break // a sum over all CPUs, or no counts at all, such as FIQ of ARM
			}
			n, err := hostfs.Uint(field)
			if err != nil {
				return fmt.Errorf("line %.100q: %w", line, err)
			}
			rest = after
			i.counts = append(i.counts, n)
		}
		if at == len(i.lines) {
			i.lines = append(i.lines, interruptLine{})
		}
		l := &i.lines[at]
		at++
		l.update(name, rest, i.filter)
		if len(i.counts) < len(i.cpus.names) || !l.keep {
			continue
		}
		for c, cpu := range i.cpus.names {
			if i.counts[c] > 0 || i.cfg.IncludeZeros {
				w.Uint(interruptsTotal, i.counts[c], cpu, l.typ, l.info, l.devices)
			}
		}
	}
	return nil
}

// update takes over what the line says, if that is not what it said before.
func (l *interruptLine) update(name, about []byte, filter *Filter) {
	if l.parsed && l.raw == string(name) && l.rawAbout == string(about) {
		return
	}
	*l = interruptLine{raw: string(name), rawAbout: string(about), parsed: true, typ: strings.TrimSpace(string(name))}
	words := strings.Fields(l.rawAbout)
	if len(words) == 0 {
		return // not kept
	}
	if _, err := hostfs.Uint([]byte(l.typ)); err == nil {
		l.info, l.devices = words[0], strings.Join(words[1:], " ")
	} else {
		l.info = strings.Join(words, " ")
	}
	l.keep = filter.Keep(l.typ + ";" + l.info + ";" + l.devices)
}
