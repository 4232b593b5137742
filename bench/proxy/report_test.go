package main

import (
	"strings"
	"testing"
	"time"
)

// costOf is one with those medians, in ms.
func costOf(direct, through int, rss int64) cost {
	all := func(ms int) (took []time.Duration) {
		for _, d := range []int{ms + 7, ms, ms - 1} { // the median is ms
			took = append(took, time.Duration(d)*time.Millisecond)
		}
		return took
	}
	return cost{program: "p", profile: "none", coding: "identity", direct: all(direct), through: all(through), rss: rss, series: 12}
}

func TestJudge(t *testing.T) {
	costs := []cost{costOf(10, 14, 20e6), costOf(40, 12, 24e6)} // 4 ms more, 28 ms less
	for _, c := range []struct {
		added time.Duration
		rss   float64
		want  []string
	}{
		{0, 0, nil},
		{4 * time.Millisecond, 24, nil},
		{3999 * time.Microsecond, 24, []string{"p, profile none, identity: 4.00 ms are added"}},
		{3 * time.Millisecond, 19, []string{"4.00 ms are added", "RSS of 20.0 MB", "RSS of 24.0 MB"}},
	} {
		err := (&options{maxAdded: c.added, maxRSS: c.rss}).judge(costs)
		if (err == nil) != (c.want == nil) {
			t.Errorf("limits %v, %v: %v", c.added, c.rss, err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("limits %v, %v: %q does not say %q", c.added, c.rss, err, want)
			}
		}
	}
	var out strings.Builder
	if err := table(&out, costs); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 4 || !strings.Contains(lines[1], "4.00") || !strings.Contains(lines[2], "-28.00") {
		t.Errorf("table:\n%s", out.String())
	}
}
