package promstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func newTestOutage(t *testing.T, limit int64) *outage {
	t.Helper()
	dir := t.TempDir()
	db, err := tsdb.Open(dir, quiet(), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newOutage(db, dir, limit, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

// storedSamples are how many samples of each series a querier sees.
func storedSamples(t *testing.T, open func(mint, maxt int64) (storage.Querier, error)) map[string]int {
	t.Helper()
	q, err := open(0, time.Now().Add(24*time.Hour).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	found := make(map[string]int)
	set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			found[set.At().Labels().Get("n")]++
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return found
}

// While writers go on, the memory is entered and left again and again: each sample is
// seen at any time, by both kinds of appenders, and is on the disk in the end.
func TestOutageLosesNothing(t *testing.T) {
	t.Parallel()
	const writers, rounds = 8, 300
	o := newTestOutage(t, 0)
	from := time.Now().Add(-rounds * 10 * time.Second)
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			old, refs := w%2 == 0, make([]storage.SeriesRef, 10)
			for round := range rounds {
				at := from.Add(time.Duration(round) * 10 * time.Second).UnixMilli()
				var errs []error
				if old {
					app := o.appender(t.Context())
					for i := range refs {
						ref, err := app.Append(refs[i], labels.FromStrings("__name__", "x", "n", fmt.Sprint(w, i)), at, float64(at))
						refs[i], errs = ref, append(errs, err)
					}
					errs = append(errs, app.Commit())
				} else {
					app := o.appenderV2(t.Context())
					for i := range refs {
						var h *histogram.Histogram
						if i == 0 {
							h = &histogram.Histogram{Count: 1, Sum: float64(at), ZeroCount: 1, ZeroThreshold: 1e-9}
						}
						// As the scrapes do: what is known is named by its reference alone.
						ref, err := app.Append(refs[i], labels.EmptyLabels(), 0, at, float64(at), h, nil, storage.AOptions{})
						if errors.Is(err, tsdb.ErrInvalidSample) {
							ref, err = app.Append(0, labels.FromStrings("__name__", "x", "n", fmt.Sprint(w, i)), 0, at, float64(at), h, nil, storage.AOptions{})
						}
						refs[i], errs = ref, append(errs, err)
					}
					errs = append(errs, app.Commit())
				}
				if err := errors.Join(errs...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	entered := 0
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(time.Millisecond):
		}
		if err := o.begin(); err != nil {
			t.Fatal(err)
		}
		entered++
		before := storedSamples(t, o.querier)
		time.Sleep(2 * time.Millisecond)
		if err := o.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n, was := range before {
			if is := storedSamples(t, o.db.Querier)[n]; is < was {
				t.Errorf("series %s: %d samples, were %d", n, is, was)
			}
			break // one is enough for a look in the middle
		}
	}
	if entered < 3 {
		t.Skipf("the memory was entered %d times alone", entered)
	}
	got := storedSamples(t, o.db.Querier)
	for w := range writers {
		for i := range 10 {
			if n := got[fmt.Sprint(w, i)]; n != rounds {
				t.Errorf("series %d of writer %d: %d samples, want %d", i, w, n, rounds)
			}
		}
	}
	if held, _ := o.held(); held != 0 || o.inUse() {
		t.Errorf("%d samples are in memory yet", held)
	}
}

// An hour of memory comes back in the order of time: the TSDB takes all of it.
func TestOutageOfHours(t *testing.T) {
	t.Parallel()
	o := newTestOutage(t, 0)
	if err := o.begin(); err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-3 * time.Hour)
	rounds := 0
	for at := from; at.Before(time.Now()); at = at.Add(15 * time.Second) {
		app := o.appenderV2(t.Context())
		for i := range 100 {
			if _, err := app.Append(0, labels.FromStrings("__name__", "x", "n", fmt.Sprint(i)), 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
		rounds++
	}
	if held, since := o.held(); held != int64(100*rounds) || since.IsZero() {
		t.Errorf("%d samples are in memory since %s, want %d", held, since, 100*rounds)
	}
	if err := o.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := storedSamples(t, o.db.Querier)
	for i := range 100 {
		if n := got[fmt.Sprint(i)]; n != rounds {
			t.Fatalf("series %d: %d samples, want %d", i, n, rounds)
		}
	}
}

// Where the memory is used up the oldest samples go, and are counted.
func TestOutageIsBounded(t *testing.T) {
	t.Parallel()
	o := newTestOutage(t, 40_000)
	if err := o.begin(); err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-time.Hour)
	const rounds = 5000
	for round := range rounds {
		app := o.appenderV2(t.Context())
		at := from.Add(time.Duration(round) * 100 * time.Millisecond).UnixMilli()
		for i := range 5 {
			if _, err := app.Append(0, labels.FromStrings("__name__", "x", "n", fmt.Sprint(i)), 0, at, 1, nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
		o.bound()
	}
	held, _ := o.held()
	if dropped := o.dropped.Load(); held+dropped != 5*rounds || dropped == 0 || held > 8000 || held < 3000 {
		t.Errorf("%d held and %d dropped of %d", held, dropped, 5*rounds)
	}
	if n := storedSamples(t, o.querier)["0"]; int64(n) != held/5 {
		t.Errorf("a query sees %d, want %d", n, held/5)
	}
}

func TestNoSpace(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("write to WAL: %w", syscall.ENOSPC): true,
		syscall.EDQUOT: true, syscall.EIO: false, nil: false,
	} {
		if noSpace(err) != want {
			t.Errorf("%v", err)
		}
	}
}
