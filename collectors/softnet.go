package collectors

// How each CPU takes packets from the network, from /proc/net/softnet_stat
// (kernel: net/core/net-procfs.c). One line for each CPU that is online, in hex:
// packets processed, dropped, times out of budget, five zeros, collisions; later
// kernels add wake-ups for packet steering, the flow limit, the backlog and the
// CPU's number.
//
//	000dbd14 00000000 00000001 00000000 ... 00000000 00000000 00000000 00000000 00000003

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// softnetFamilies are the families and the columns that they are in.
var softnetFamilies = []struct {
	family *expo.Family
	column int
}{
	{expo.Counter("node_softnet_processed_total", "Packets that the CPU processed.", "cpu"), 0},
	{expo.Counter("node_softnet_dropped_total", "Packets dropped because the CPU's backlog was full.", "cpu"), 1},
	{expo.Counter("node_softnet_times_squeezed_total", "Times the CPU had to stop with packets left, its budget used up.", "cpu"), 2},
	{expo.Counter("node_softnet_cpu_collision_total", "Collisions with another CPU on the lock of a device, while sending.", "cpu"), 8},
	{expo.Counter("node_softnet_received_rps_total", "Times the CPU was woken up by another to process packets (RPS).", "cpu"), 9},
	{expo.Counter("node_softnet_flow_limit_count_total", "Times the flow limit was reached.", "cpu"), 10},
	{expo.Gauge("node_softnet_backlog_len", "Packets that wait in the CPU's backlog.", "cpu"), 11},
}

const (
	softnetFewest = 9  // columns of the oldest kernels
	softnetCPU    = 12 // where the CPU's number is
)

type softnet struct {
	file *hostfs.File
	cpus cpuNames
	rows []softnetRow
}

type softnetRow struct {
	cpu    uint64
	values [softnetCPU + 1]uint64 // 0 where the kernel has no such column
}

func newSoftnet(c Config) (Collector, error) {
	return &softnet{file: c.FS.ProcFile("net/softnet_stat").Lines(512)}, nil
}

// Collect implements Collector.
func (s *softnet) Collect(_ context.Context, w *expo.Writer) error {
	b, err := s.file.Read()
	if err != nil {
		return absent(err)
	}
	if s.rows, err = parseSoftnet(b, s.rows[:0]); err != nil {
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	for _, f := range softnetFamilies {
		for i := range s.rows {
			w.Uint(f.family, s.rows[i].values[f.column], s.cpus.name(s.rows[i].cpu))
		}
	}
	return nil
}

// parseSoftnet appends a row for each line.
func parseSoftnet(b []byte, rows []softnetRow) ([]softnetRow, error) {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		row := softnetRow{cpu: uint64(len(rows))}
		n := 0
		for rest := line; n < len(row.values); n++ {
			var field []byte
			if field, rest = hostfs.NextField(rest); len(field) == 0 {
				break
			}
			var err error
			if row.values[n], err = hostfs.Hex(field); err != nil {
				return rows, fmt.Errorf("line %.100q: %w", line, err)
			}
		}
		switch {
		case n == 0:
			continue
		case n < softnetFewest:
			return rows, fmt.Errorf("want at least %d numbers in %.100q", softnetFewest, line)
		case n > softnetCPU:
			row.cpu = row.values[softnetCPU]
		default:
			row.values[softnetCPU-1] = 0 // without the number, this was not the backlog
		}
		rows = append(rows, row)
	}
	return rows, nil
}
