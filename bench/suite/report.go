package main

import (
	"fmt"
	"io"

	"watchpost/bench/internal/sidebyside"
)

// result is what the table tells of a suite.
type result struct {
	name    string
	parts   map[string]cost // by job
	all     cost            // the sums
	series  map[string]float64
	samples float64
	disk    int64
}

func (s *suite) result() result {
	r := result{name: s.name, parts: map[string]cost{}, series: s.series, samples: s.samples, disk: s.disk}
	for _, p := range s.all() {
		r.parts[p.job] = p.cost
		r.all.cpu += p.cpu
		r.all.start += p.start
		r.all.rss += p.rss
		r.all.peak += p.peak
	}
	return r
}

// jobs are the parts in the order of the table.
var jobs = []struct{ job, peer, ours string }{
	{nodeJob, "node_exporter", "node-agent"},
	{stateJob, "kube-state-metrics", "state-agent"},
	{containersJob, "", "cadvisor-proxy"},
	{storeJob, "prometheus", "collector"},
}

// rows are the lines of the table.
func rows() []sidebyside.Row[result] {
	list := []sidebyside.Row[result]{
		{Name: "CPU, all (s)", Of: func(r result) float64 { return r.all.cpu.Seconds() }, Limit: 0.5},
		{Name: "RSS, all, mean of the last third (MB)", Of: func(r result) float64 { return sidebyside.MB(r.all.rss) }, Limit: 0.5},
		{Name: "RSS at most, all (MB)", Of: func(r result) float64 { return sidebyside.MB(r.all.peak) }},
		{Name: "CPU before, all (s)", Of: func(r result) float64 { return r.all.start.Seconds() }},
	}
	for _, j := range jobs {
		name := j.ours
		if j.peer != "" {
			name = j.peer + ", " + j.ours
		}
		list = append(list,
			sidebyside.Row[result]{Name: name + ": CPU (s)", Of: func(r result) float64 { return r.parts[j.job].cpu.Seconds() }},
			sidebyside.Row[result]{Name: "RSS (MB)", Of: func(r result) float64 { return sidebyside.MB(r.parts[j.job].rss) }},
			sidebyside.Row[result]{Name: "series", Of: func(r result) float64 { return r.series[j.job] }})
	}
	return append(list,
		sidebyside.Row[result]{Name: "series, all", Of: func(r result) (sum float64) {
			for _, n := range r.series {
				sum += n
			}
			return sum
		}},
		sidebyside.Row[result]{Name: "samples stored", Of: func(r result) float64 { return r.samples }},
		sidebyside.Row[result]{Name: "disk (MB)", Of: func(r result) float64 { return sidebyside.MB(r.disk) }})
}

// table prints both side by side. With limits the error names what is over its limit.
func table(out io.Writer, peer, ours result, limits bool) error {
	return sidebyside.Table(out, rows(), sidebyside.Subject[result]{Name: peer.name, Cost: peer}, sidebyside.Subject[result]{Name: ours.name, Cost: ours}, limits, func(p, o float64) []string {
		switch {
		case p == 0 && o == 0:
			return nil // no kubelet
		case p == 0:
			return []string{"", sidebyside.Number(o), ""}
		}
		return []string{sidebyside.Number(p), sidebyside.Number(o), fmt.Sprintf("%.3f", o/p)}
	})
}
