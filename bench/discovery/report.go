package main

import (
	"fmt"
	"io"

	"watchpost/bench/internal/sidebyside"
)

var rows = []sidebyside.Row[cost]{
	{Name: "targets before relabelling, all jobs", Of: func(c cost) float64 { return c.found }},
	{Name: "until all are known (s)", Of: func(c cost) float64 { return c.complete.Seconds() }},
	{Name: "CPU until then and settled (s)", Of: func(c cost) float64 { return c.cpu.Seconds() }},
	{Name: "RSS at most (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.peak) }},
	{Name: "RSS after a rest (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.rss) }, Limit: 0.5},
	{Name: "heap then (MB)", Of: func(c cost) float64 { return c.heap / 1e6 }},
	{Name: "pods changed", Of: func(c cost) float64 { return float64(c.churnMade) }},
	{Name: "CPU meanwhile (s)", Of: func(c cost) float64 { return c.churnCPU.Seconds() }},
	{Name: "RSS at most meanwhile (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.churnPeak) }},
}

// table prints both side by side. With limits the error names what is over its limit.
func table(out io.Writer, peer, ours cost, limits bool) error {
	return sidebyside.Table(out, rows, sidebyside.Subject[cost]{Name: peer.name, Cost: peer}, sidebyside.Subject[cost]{Name: ours.name, Cost: ours}, limits, func(p, o float64) []string {
		if p == 0 && o == 0 {
			return nil
		}
		ratio := ""
		if p != 0 {
			ratio = fmt.Sprintf("%.3f", o/p)
		}
		return []string{sidebyside.Number(p), sidebyside.Number(o), ratio}
	})
}
