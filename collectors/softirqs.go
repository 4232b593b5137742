package collectors

// Soft interrupts by kind and CPU, from /proc/softirqs (kernel: fs/proc/softirqs.c).
// The header names the CPUs; each line has a kind and its count on each of them:
//
//	                    CPU0       CPU1
//	      TIMER:     162230     175496

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var softirqsFunctions = expo.Counter("node_softirqs_functions_total", "Soft interrupts that the CPU handled, by kind.", "cpu", "type")

type softirqs struct {
	file  *hostfs.File
	cpus  cpuColumns
	kinds hostfs.Interner
}

func newSoftirqs(c Config) (Collector, error) { return &softirqs{file: c.FS.ProcFile("softirqs")}, nil }

// Collect implements Collector.
func (s *softirqs) Collect(_ context.Context, w *expo.Writer) error {
	b, err := s.file.Read()
	if err != nil {
		return absent(err)
	}
	start := len(w.Bytes())
	if err := s.collect(b, w); err != nil {
		w.Truncate(start)
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	return nil
}

func (s *softirqs) collect(b []byte, w *expo.Writer) error {
	header, b := hostfs.NextLine(b)
	if err := s.cpus.parse(header); err != nil {
		return err
	}
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		kind, rest := hostfs.NextField(line)
		if len(kind) == 0 {
			continue
		}
		if kind[len(kind)-1] != ':' {
			return fmt.Errorf("want a kind and a colon in %.100q", line)
		}
		name := s.kinds.String(kind[:len(kind)-1])
		for _, cpu := range s.cpus.names {
			var field []byte
			field, rest = hostfs.NextField(rest)
			n, err := hostfs.Uint(field)
			if err != nil {
				return fmt.Errorf("line %.100q: %w", line, err)
			}
			w.Uint(softirqsFunctions, n, cpu, name)
		}
	}
	return nil
}

// cpuColumns are the CPUs of a header line, "CPU0 CPU2".
type cpuColumns struct {
	line  string // which was parsed last
	names []string
}

// parse reads the line, which is nearly always the same.
func (c *cpuColumns) parse(line []byte) error {
	if c.line == string(line) && len(c.names) > 0 {
		return nil
	}
	c.line, c.names = "", nil
	for rest := line; ; {
		var field []byte
		if field, rest = hostfs.NextField(rest); len(field) == 0 {
			break
		}
		if len(field) <= len("CPU") || string(field[:len("CPU")]) != "CPU" {
			return fmt.Errorf("want CPUs in the header %.100q", line)
		}
		if _, err := hostfs.Uint(field[len("CPU"):]); err != nil {
			return fmt.Errorf("header %.100q: %w", line, err)
		}
		c.names = append(c.names, string(field[len("CPU"):]))
	}
	if len(c.names) == 0 {
		return fmt.Errorf("no CPUs in the header %.100q", line)
	}
	c.line = string(line)
	return nil
}
