package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is one line of the table: a number of each program, and how much of the peer's
// ours may be (docs/performance.md); 0 is no promise.
type row struct {
	name  string
	of    func(cost) float64
	limit float64
}

var rows = []row{
	{"RSS, mean of the last third (MB)", func(c cost) float64 { return mb(c.rss) }, 0.7},
	{"RSS at most (MB)", func(c cost) float64 { return mb(c.peak) }, 0},
	{"CPU, from the start on (s)", func(c cost) float64 { return c.cpu.Seconds() }, 1},
	{"CPU of the second half (s)", func(c cost) float64 { return c.steady.Seconds() }, 1},
	{"samples of the targets stored", func(c cost) float64 { return float64(c.samples) }, 0},
	{"scrapes missed", func(c cost) float64 { return float64(c.gaps.missed) }, 0},
	{"scrapes failed", func(c cost) float64 { return float64(c.gaps.failed) }, 0},
	{"scrapes not stored whole", func(c cost) float64 { return float64(c.gaps.short) }, 0},
	{"series with gaps", func(c cost) float64 { return float64(c.gaps.holes) }, 0},
	{"disk (MB)", func(c cost) float64 { return mb(c.disk) }, 0},
	{"stop (s)", func(c cost) float64 { return c.stop.Seconds() }, 0},
	{"start until ready (s)", func(c cost) float64 { return c.restart.Seconds() }, 1},
	{"start until ready, after kill -9 (s)", func(c cost) float64 { return c.recover.Seconds() }, 0},
}

func mb(b int64) float64 { return float64(b) / 1e6 }

// table prints both side by side. With limits the error names what is over its limit,
// and any gap in ours.
func table(out io.Writer, peer, ours cost, limits bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t%s\tratio\tat most\t\n", peer.name, ours.name)
	var over []error
	for _, r := range rows {
		p, o := r.of(peer), r.of(ours)
		ratio, limit := "", ""
		if p != 0 {
			ratio = fmt.Sprintf("%.3f", o/p)
		}
		if r.limit > 0 {
			limit = fmt.Sprint(r.limit)
			if limits && o > p*r.limit {
				over = append(over, fmt.Errorf("%s: ratio %.3f is over %g", r.name, o/p, r.limit))
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", r.name, number(p), number(o), ratio, limit)
	}
	if n := ours.gaps.sum(); limits && n > 0 {
		over = append(over, fmt.Errorf("%d gaps in what %s stored: %+v", n, ours.name, ours.gaps))
	}
	return errors.Join(append(over, w.Flush())...)
}

// number writes counts whole and the rest with what is worth reading of it.
func number(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// progress is a line about a run under way.
func progress(begun time.Time, rs []*rival) {
	fmt.Printf("%6s", time.Since(begun).Round(time.Second))
	for _, r := range rs {
		cpu, err := r.proc.CPU()
		if err != nil {
			return // the next sample tells
		}
		fmt.Printf("  %s: %.1f MB, %.1f s", r.name, mb(r.sizes[len(r.sizes)-1]), cpu.Seconds())
	}
	fmt.Println()
}
