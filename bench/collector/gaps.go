package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"watchpost/bench/internal/store"
)

// gaps is what a program did not store though its targets were there all the time.
type gaps struct {
	missed int // scrapes that should have been and were not
	failed int // scrapes that failed
	short  int // scrapes with another number of samples than the target shows
	holes  int // series with fewer samples than scrapes of their target
}

func (g gaps) sum() int { return g.missed + g.failed + g.short + g.holes }

// inspect looks in the store for the samples of all targets between two times.
func (r *rival) inspect(ctx context.Context, begin, end time.Time, interval time.Duration, t *targets) error {
	span := strconv.FormatInt(end.Sub(begin).Milliseconds(), 10) + "ms"
	of := func(metric string) string { return fmt.Sprintf("%s{job=%q}[%s]", metric, job, span) }
	up, err := r.store().Query(ctx, of("up"), end)
	if err != nil {
		return err
	}
	r.gaps.missed = (len(t.addresses) - len(up)) * int(end.Sub(begin)/interval)
	for _, s := range up {
		missed, failed := gapsIn(s, begin, end, interval)
		r.gaps.missed += missed
		r.gaps.failed += failed
	}
	sizes, err := r.store().Query(ctx, of("scrape_samples_scraped"), end)
	if err != nil {
		return err
	}
	r.samples = 0
	for _, s := range sizes {
		for _, v := range s.Values {
			r.samples += int(v.Value)
			if int(v.Value) != t.perTarget {
				r.gaps.short++
			}
		}
	}
	// By name, since count_over_time forgets it.
	r.gaps.holes = len(t.addresses) * t.perTarget
	for _, name := range t.names() {
		whole, err := r.store().Query(ctx, fmt.Sprintf("count(count_over_time(%s) == on(instance) group_left count_over_time(%s))", of(name), of("up")), end)
		if err != nil {
			return err
		}
		for _, s := range whole {
			r.gaps.holes -= int(s.Value.Value)
		}
	}
	return nil
}

// gapsIn are the scrapes between begin and end of which up knows nothing, and those that
// it says failed.
func gapsIn(r store.Series, begin, end time.Time, interval time.Duration) (missed, failed int) {
	last := begin
	between := func(at time.Time) {
		// Half an interval late is late and not missed.
		if n := int((at.Sub(last) + interval/2) / interval); n > 1 {
			missed += n - 1
		}
		last = at
	}
	for _, v := range r.Values {
		between(v.At)
		if v.Value != 1 {
			failed++
		}
	}
	between(end)
	return missed, failed
}
