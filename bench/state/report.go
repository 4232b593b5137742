package main

import (
	"fmt"
	"io"
	"time"

	"watchpost/bench/internal/sidebyside"
)

var rows = []sidebyside.Row[cost]{
	{Name: "RSS after the scrapes (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.rss) }, Limit: 0.12},
	{Name: "RSS at most, at the start (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.peak) }, Limit: 0.25},
	{Name: "until a scrape shows all objects (s)", Of: func(c cost) float64 { return c.complete.Seconds() }, Limit: 1},
	{Name: "CPU of a scrape, nothing changed (ms)", Of: func(c cost) float64 { return ms(c.cpu) }, Limit: 0.03},
	{Name: "time of that scrape (ms)", Of: func(c cost) float64 { return ms(c.took) }},
	{Name: "bytes of its answer (MB)", Of: func(c cost) float64 { return sidebyside.MB(int64(c.bytes)) }},
	{Name: "series", Of: func(c cost) float64 { return float64(c.series) }},
	{Name: "CPU while pods change (s)", Of: func(c cost) float64 { return c.churnCPU.Seconds() }, Limit: 0.5},
	{Name: "RSS then (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.churnRSS) }},
	{Name: "RSS at most then (MB)", Of: func(c cost) float64 { return sidebyside.MB(c.churnPeak) }},
	{Name: "scrapes then", Of: func(c cost) float64 { return float64(c.scrapes) }},
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// table prints both side by side, but for what was not measured. With limits the error
// names what is over its limit.
func table(out io.Writer, peer, ours cost, limits bool) error {
	return sidebyside.Table(out, rows, sidebyside.Subject[cost]{Name: peer.name, Cost: peer}, sidebyside.Subject[cost]{Name: ours.name, Cost: ours}, limits, func(p, o float64) []string {
		if p == 0 && o == 0 {
			return nil
		}
		return []string{fmt.Sprintf("%.1f", p), fmt.Sprintf("%.1f", o), fmt.Sprintf("%.4f", o/p)}
	})
}
