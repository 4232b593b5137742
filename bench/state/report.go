package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is one line of the table: a number of each program, and how much of the
// peer's ours may be (docs/performance.md); 0 is no promise.
type row struct {
	name  string
	of    func(cost) float64
	limit float64
}

var rows = []row{
	{"RSS after the scrapes (MB)", func(c cost) float64 { return mb(c.rss) }, 0.12},
	{"RSS at most, at the start (MB)", func(c cost) float64 { return mb(c.peak) }, 0.25},
	{"until a scrape shows all objects (s)", func(c cost) float64 { return c.complete.Seconds() }, 1},
	{"CPU of a scrape, nothing changed (ms)", func(c cost) float64 { return ms(c.cpu) }, 0.03},
	{"time of that scrape (ms)", func(c cost) float64 { return ms(c.took) }, 0},
	{"bytes of its answer (MB)", func(c cost) float64 { return mb(int64(c.bytes)) }, 0},
	{"series", func(c cost) float64 { return float64(c.series) }, 0},
	{"CPU while pods change (s)", func(c cost) float64 { return c.churnCPU.Seconds() }, 0.5},
	{"RSS then (MB)", func(c cost) float64 { return mb(c.churnRSS) }, 0},
	{"RSS at most then (MB)", func(c cost) float64 { return mb(c.churnPeak) }, 0},
	{"scrapes then", func(c cost) float64 { return float64(c.scrapes) }, 0},
}

func mb(b int64) float64         { return float64(b) / 1e6 }
func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// table prints both side by side. With limits the error names what is over its limit.
func table(out io.Writer, peer, ours cost, limits bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t%s\tratio\tat most\t\n", peer.name, ours.name)
	var over []error
	for _, r := range rows {
		p, o := r.of(peer), r.of(ours)
		if p == 0 && o == 0 {
			continue // not measured
		}
		limit := ""
		if r.limit > 0 {
			limit = fmt.Sprint(r.limit)
			if limits && o > p*r.limit {
				over = append(over, fmt.Errorf("%s: ratio %.4f is over %g", r.name, o/p, r.limit))
			}
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.4f\t%s\t\n", r.name, p, o, o/p, limit)
	}
	return errors.Join(append(over, w.Flush())...)
}
