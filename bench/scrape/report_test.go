package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		vs   []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(c.vs)
		if got := median(c.vs); got != c.want || !slices.Equal(before, c.vs) {
			t.Errorf("median of %v is %v, want %v", before, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var took []time.Duration
	for i := 10; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 5, 0.9: 9, 0.91: 10, 1: 10} {
		if got := quantile(took, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	run := func(cpu time.Duration, rss int64) cost {
		return cost{name: "x", cpu: cpu, rss: rss, took: []time.Duration{time.Millisecond}}
	}
	peer := []cost{run(100, 24e6), run(300, 24e6), run(100, 24e6)}
	ours := []cost{run(20, 10e6), run(30, 13e6), run(90, 11e6)} // ratios 0.2, 0.1, 0.9; median 0.2
	for _, c := range []struct {
		maxRatio, maxRSS float64
		want             []string
	}{
		{0, 0, nil},
		{0.2, 11, nil},
		{0.19, 11, []string{"CPU ratio 0.2000 is over"}},
		{0.19, 10.5, []string{"CPU ratio", "11.0 MB are over"}},
	} {
		err := (&options{maxRatio: c.maxRatio, maxRSS: c.maxRSS}).judge(peer, ours)
		if (err == nil) != (c.want == nil) {
			t.Errorf("limits %v, %v: %v", c.maxRatio, c.maxRSS, err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("limits %v, %v: %q does not say %q", c.maxRatio, c.maxRSS, err, want)
			}
		}
	}
	var out strings.Builder
	if err := table(&out, peer, ours); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "0.2000") || !strings.Contains(out.String(), "0.1000 .. 0.9000") {
		t.Errorf("table without the ratios:\n%s", out.String())
	}
}
