package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
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
	up, err := r.query(ctx, of("up"), end)
	if err != nil {
		return err
	}
	r.gaps.missed = (len(t.addresses) - len(up)) * int(end.Sub(begin)/interval)
	for _, s := range up {
		missed, failed := s.gaps(begin, end, interval)
		r.gaps.missed += missed
		r.gaps.failed += failed
	}
	sizes, err := r.query(ctx, of("scrape_samples_scraped"), end)
	if err != nil {
		return err
	}
	r.samples = 0
	for _, s := range sizes {
		for _, v := range s.Values {
			r.samples += int(v.value)
			if int(v.value) != t.perTarget {
				r.gaps.short++
			}
		}
	}
	// By name, since count_over_time forgets it.
	r.gaps.holes = len(t.addresses) * t.perTarget
	for _, name := range t.names() {
		whole, err := r.query(ctx, fmt.Sprintf("count(count_over_time(%s) == on(instance) group_left count_over_time(%s))", of(name), of("up")), end)
		if err != nil {
			return err
		}
		for _, s := range whole {
			r.gaps.holes -= int(s.Value.value)
		}
	}
	return nil
}

// result is a series of an answer: one value of an instant, or those of a span.
type result struct {
	Metric map[string]string
	Value  value
	Values []value
}

// value is [seconds, "number"].
type value struct {
	at    time.Time
	value float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *value) UnmarshalJSON(b []byte) error {
	var at float64
	var text string
	if err := json.Unmarshal(b, &[]any{&at, &text}); err != nil {
		return err
	}
	v.at = time.UnixMilli(int64(math.Round(at * 1000)))
	var err error
	v.value, err = strconv.ParseFloat(text, 64)
	return err
}

// gaps are the scrapes between begin and end of which up knows nothing, and those that
// it says failed.
func (r *result) gaps(begin, end time.Time, interval time.Duration) (missed, failed int) {
	last := begin
	between := func(at time.Time) {
		// Half an interval late is late and not missed.
		if n := int((at.Sub(last) + interval/2) / interval); n > 1 {
			missed += n - 1
		}
		last = at
	}
	for _, v := range r.Values {
		between(v.at)
		if v.value != 1 {
			failed++
		}
	}
	between(end)
	return missed, failed
}

// query asks for the value of q at that time.
func (r *rival) query(ctx context.Context, q string, at time.Time) ([]result, error) {
	args := url.Values{"query": {q}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.proc.Base+"/api/v1/query?"+args.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []result }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: query %s: %s: %w", r.name, q, resp.Status, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: query %s: %s", r.name, q, answer.Error)
	}
	return answer.Data.Result, nil
}
