package collectors

// Load averages, from /proc/loadavg (kernel: Documentation/filesystems/proc.rst,
// kernel/sched/loadavg.c): tasks that run or wait in uninterruptible sleep,
// averaged over 1, 5 and 15 minutes. Then tasks runnable/all and the last PID:
//
//	0.21 0.37 0.39 1/719 19737

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	load1  = expo.Gauge("node_load1", "Tasks running or waiting uninterruptibly, averaged over 1 minute.")
	load5  = expo.Gauge("node_load5", "Tasks running or waiting uninterruptibly, averaged over 5 minutes.")
	load15 = expo.Gauge("node_load15", "Tasks running or waiting uninterruptibly, averaged over 15 minutes.")
)

type loadavg struct{ file *hostfs.File }

func newLoadavg(c Config) (Collector, error) {
	return loadavg{c.FS.ProcFile("loadavg").Lines(128)}, nil
}

// Collect implements Collector.
func (l loadavg) Collect(_ context.Context, w *expo.Writer) error {
	b, err := l.file.Read()
	if err != nil {
		return absent(err)
	}
	loads, err := parseLoadavg(b)
	if err != nil {
		return fmt.Errorf("%s: %w", l.file.Path(), err)
	}
	w.Sample(load1, loads[0])
	w.Sample(load5, loads[1])
	w.Sample(load15, loads[2])
	return nil
}

// parseLoadavg reads the averages over 1, 5 and 15 minutes.
func parseLoadavg(b []byte) (loads [3]float64, err error) {
	rest, field := b, []byte(nil)
	for i := range loads {
		field, rest = hostfs.NextField(rest)
		if loads[i], err = strconv.ParseFloat(string(field), 64); err != nil || !(loads[i] >= 0 && loads[i] <= math.MaxFloat64) {
			return loads, fmt.Errorf("want three averages first in %.200q", b)
		}
	}
	return loads, nil
}
