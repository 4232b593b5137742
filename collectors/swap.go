package collectors

// Swap areas, from /proc/swaps (kernel: mm/swapfile.c). Sizes are in KiB; blanks
// and newlines in a path are written, and shown, as \ and three octal digits:
//
//	Filename				Type		Size		Used		Priority
//	/dev/zram0                              partition	8388604		76		100

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	swapSize     = expo.Gauge("node_swap_size_bytes", "Size of the swap area.", "device", "swap_type")
	swapUsed     = expo.Gauge("node_swap_used_bytes", "What of the swap area is in use.", "device", "swap_type")
	swapPriority = expo.Gauge("node_swap_priority", "Areas of higher priority are filled first.", "device", "swap_type")
)

type swap struct {
	file  *hostfs.File
	names hostfs.Interner
	areas []swapArea // as last read
}

func newSwap(c Config) (Collector, error) { return &swap{file: c.FS.ProcFile("swaps")}, nil }

// Collect implements Collector.
func (s *swap) Collect(_ context.Context, w *expo.Writer) error {
	b, err := s.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := s.parse(b); err != nil {
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	for _, a := range s.areas {
		w.Sample(swapSize, float64(a.kB)*1024, a.device, a.kind)
	}
	for _, a := range s.areas {
		w.Sample(swapUsed, float64(a.usedKB)*1024, a.device, a.kind)
	}
	for _, a := range s.areas {
		w.Sample(swapPriority, float64(a.priority), a.device, a.kind)
	}
	return nil
}

// swapArea is a line of /proc/swaps.
type swapArea struct {
	device, kind string // kind: "partition", "file"
	swapNumbers
}

type swapNumbers struct {
	kB, usedKB uint64
	priority   int64
}

func (s *swap) parse(b []byte) error {
	s.areas = s.areas[:0]
	_, b = hostfs.NextLine(b) // the headings
	for len(b) > 0 {
		var line []byte
		if line, b = hostfs.NextLine(b); len(line) == 0 {
			continue
		}
		device, kind, n, err := parseSwap(line)
		if err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		s.areas = append(s.areas, swapArea{s.names.String(device), s.names.String(kind), n})
	}
	return nil
}

func parseSwap(line []byte) (device, kind []byte, n swapNumbers, err error) {
	device, rest := hostfs.NextField(line)
	kind, rest = hostfs.NextField(rest)
	f, rest := hostfs.NextField(rest)
	if n.kB, err = hostfs.Uint(f); err != nil {
		return nil, nil, n, err
	}
	f, rest = hostfs.NextField(rest)
	if n.usedKB, err = hostfs.Uint(f); err != nil {
		return nil, nil, n, err
	}
	f, _ = hostfs.NextField(rest)
	n.priority, err = hostfs.Int(f)
	return device, kind, n, err
}
