package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table prints a line for each program, profile and coding.
func table(out io.Writer, costs []cost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "program\tprofile\ttakes\tkubelet (ms)\tthrough (ms)\tadded (ms)\tadded, 9 of 10 (ms)\tCPU (ms)\tRSS (MB)\tat most (MB)\ttext (MB)\twire (MB)\tseries\t")
	for _, c := range costs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.2f\t%.2f\t%d\t\n", c.program, c.profile, c.coding,
			ms(quantile(c.direct, 0.5)), ms(quantile(c.through, 0.5)), ms(c.added()), ms(quantile(c.through, 0.9)-quantile(c.direct, 0.9)),
			ms(c.cpu), float64(c.rss)/1e6, float64(c.peak)/1e6, float64(c.bytes)/1e6, float64(c.wire)/1e6, c.series)
	}
	return w.Flush()
}

// judge is the error of limits that are exceeded.
func (o *options) judge(costs []cost) error {
	var errs []error
	for _, c := range costs {
		if added := c.added(); o.maxAdded > 0 && added > o.maxAdded {
			errs = append(errs, fmt.Errorf("%s, profile %s, %s: %.2f ms are added, more than %.2f", c.program, c.profile, c.coding, ms(added), ms(o.maxAdded)))
		}
		if rss := float64(c.rss) / 1e6; o.maxRSS > 0 && rss > o.maxRSS {
			errs = append(errs, fmt.Errorf("%s, profile %s, %s: RSS of %.1f MB, more than %.1f", c.program, c.profile, c.coding, rss, o.maxRSS))
		}
	}
	return errors.Join(errs...)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
