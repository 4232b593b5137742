package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one line of the table: a number of each run.
type row struct {
	name   string
	format string
	of     func(cost) float64
}

var rows = []row{
	{"CPU a scrape, first included (ms)", "%.3f", func(c cost) float64 { return ms(c.cpu) }},
	{"CPU of the first scrape (ms)", "%.3f", func(c cost) float64 { return ms(c.firstCPU) }},
	{"CPU until it listens (ms)", "%.1f", func(c cost) float64 { return ms(c.startCPU) }},
	{"RSS after the scrapes (MB)", "%.1f", rssMB},
	{"RSS at most (MB)", "%.1f", func(c cost) float64 { return float64(c.peak) / 1e6 }},
	{"bytes an answer, gzip", "%.0f", func(c cost) float64 { return float64(c.bytes) }},
	{"series an answer", "%.0f", func(c cost) float64 { return float64(c.series) }},
	{"time an answer takes, half of them (ms)", "%.2f", func(c cost) float64 { return quantile(c.took, 0.5) }},
	{"time an answer takes, 9 of 10 (ms)", "%.2f", func(c cost) float64 { return quantile(c.took, 0.9) }},
	{"time an answer takes, all (ms)", "%.2f", func(c cost) float64 { return quantile(c.took, 1) }},
}

// table prints the medians of the runs side by side. The ratio is the median of
// the runs' ratios, which a disturbance of both at once does not move.
func table(out io.Writer, peer, ours []cost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "medians of %d runs\t%s\t%s\tratio\tratios of the runs\t\n", len(ours), peer[0].name, ours[0].name)
	for _, r := range rows {
		var rs []float64
		for i := range ours {
			rs = append(rs, r.of(ours[i])/r.of(peer[i]))
		}
		fmt.Fprintf(w, "%s\t"+r.format+"\t"+r.format+"\t%.4f\t%.4f .. %.4f\t\n",
			r.name, median(each(peer, r.of)), median(each(ours, r.of)), median(rs), slices.Min(rs), slices.Max(rs))
	}
	return w.Flush()
}

// ratio is ours' CPU for a scrape by the peer's.
func ratio(ours, peer cost) float64 { return float64(ours.cpu) / float64(peer.cpu) }

func ratios(ours, peer []cost) []float64 {
	var rs []float64
	for i := range ours {
		rs = append(rs, ratio(ours[i], peer[i]))
	}
	return rs
}

func each(cs []cost, of func(cost) float64) []float64 {
	var vs []float64
	for _, c := range cs {
		vs = append(vs, of(c))
	}
	return vs
}

func rssMB(c cost) float64 { return float64(c.rss) / 1e6 }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median is the middle one, of an even number the mean of the middle two.
func median(vs []float64) float64 {
	vs = slices.Sorted(slices.Values(vs))
	n := len(vs)
	return (vs[(n-1)/2] + vs[n/2]) / 2
}

// quantile is the smallest time, in ms, that a share q of the times does not exceed.
func quantile(took []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(took))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return ms(sorted[max(i, 0)])
}
