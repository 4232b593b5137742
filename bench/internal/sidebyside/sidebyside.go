// Package sidebyside prints what two programs cost, and holds ours to its limits.
package sidebyside

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// Row is one line of a table: a number of each program, and how much of the peer's
// ours may be (docs/performance.md); 0 is no promise.
type Row[C any] struct {
	Name  string
	Of    func(C) float64
	Limit float64
}

// Subject is a program and what it cost.
type Subject[C any] struct {
	Name string
	Cost C
}

// Table prints both side by side, in the cells that a pair of numbers has; a pair
// without cells is left out. With limits the error names what is over its limit.
func Table[C any](out io.Writer, rows []Row[C], peer, ours Subject[C], limits bool, cells func(peer, ours float64) []string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t%s\tratio\tat most\t\n", peer.Name, ours.Name)
	var over []error
	for _, r := range rows {
		p, o := r.Of(peer.Cost), r.Of(ours.Cost)
		c := cells(p, o)
		if c == nil {
			continue
		}
		limit := ""
		if r.Limit > 0 {
			limit = fmt.Sprint(r.Limit)
			if limits && o > p*r.Limit {
				over = append(over, fmt.Errorf("%s: ratio %.4f is over %g", r.Name, o/p, r.Limit))
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", r.Name, c[0], c[1], c[2], limit)
	}
	return errors.Join(append(over, w.Flush())...)
}

// MB is a size in 10^6 bytes.
func MB(b int64) float64 { return float64(b) / 1e6 }

// Number writes counts whole and the rest with what is worth reading of it.
func Number(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
