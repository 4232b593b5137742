package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"watchpost/bench/internal/sidebyside"
)

var rows = []sidebyside.Row[cost]{
	{Name: "RSS, mean of the last third (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.rss) }, Limit: 0.7},
	{Name: "RSS at most (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.peak) }},
	{Name: "CPU, from the start on (s)", Of: func(c cost) float64 { return c.cpu.Seconds() }, Limit: 1},
	{Name: "CPU of the second half (s)", Of: func(c cost) float64 { return c.steady.Seconds() }, Limit: 1},
	{Name: "samples of the targets stored", Of: func(c cost) float64 { return float64(c.samples) }},
	{Name: "scrapes missed", Of: func(c cost) float64 { return float64(c.gaps.missed) }},
	{Name: "scrapes failed", Of: func(c cost) float64 { return float64(c.gaps.failed) }},
	{Name: "scrapes not stored whole", Of: func(c cost) float64 { return float64(c.gaps.short) }},
	{Name: "series with gaps", Of: func(c cost) float64 { return float64(c.gaps.holes) }},
	{Name: "disk (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.disk) }},
	{Name: "stop (s)", Of: func(c cost) float64 { return c.stop.Seconds() }},
	{Name: "start until ready (s)", Of: func(c cost) float64 { return c.restart.Seconds() }, Limit: 1},
	{Name: "start until ready, after kill -9 (s)", Of: func(c cost) float64 { return c.recover.Seconds() }},
}

// table prints both side by side. With limits the error names what is over its limit,
// and any gap in ours.
func table(out io.Writer, peer, ours cost, limits bool) error {
	err := sidebyside.Table(out, rows, sidebyside.Subject[cost]{Name: peer.name, Cost: peer}, sidebyside.Subject[cost]{Name: ours.name, Cost: ours}, limits, func(p, o float64) []string {
		ratio := ""
		if p != 0 {
			ratio = fmt.Sprintf("%.3f", o/p)
		}
		return []string{sidebyside.Number(p), sidebyside.Number(o), ratio}
	})
	if n := ours.gaps.sum(); limits && n > 0 {
		err = errors.Join(err, fmt.Errorf("%d gaps in what %s stored: %+v", n, ours.name, ours.gaps))
	}
	return err
}

// progress is a line about a run under way.
func progress(begun time.Time, rs []*rival) {
	fmt.Printf("%6s", time.Since(begun).Round(time.Second))
	for _, r := range rs {
		cpu, err := r.proc.CPU()
		if err != nil {
			return // the next sample tells
		}
		fmt.Printf("  %s: %.1f MB, %.1f s", r.name, sidebyside.MB(r.sizes[len(r.sizes)-1]), cpu.Seconds())
	}
	fmt.Println()
}
