package collectors

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// Collectors of one scrape get one answer, those of another their own, and
// tables are used again when nobody reads them.
func TestLinks(t *testing.T) {
	l := newLinks()
	first, endFirst := context.WithCancel(t.Context())
	second, endSecond := context.WithCancel(t.Context())
	defer endFirst()
	defer endSecond()
	take := func(ctx context.Context) *linkTable {
		t.Helper()
		table, err := l.take(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(table.links) == 0 {
			t.Fatal("no interface: not even lo")
		}
		return table
	}
	a, b := take(first), take(first)
	if a != b {
		t.Error("two answers in one scrape")
	}
	c := take(second)
	if c == a {
		t.Error("one answer for two scrapes")
	}
	a.release()
	if d := take(second); d != c {
		t.Error("two answers in the second scrape")
	}
	e := take(context.Background())
	if e == a || e == c {
		t.Error("a table was filled again that is being read")
	}
	b.release()
	if f := take(context.Background()); f != a {
		t.Error("the table of the first scrape, given back, was not used again")
	}
}

func TestLinksWaits(t *testing.T) {
	l := newLinks()
	l.turn <- struct{}{} // the kernel is being asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.take(ctx); !errors.Is(err, errLinksBusy) {
		t.Errorf("got %v", err)
	}
}

func TestLinksConcurrent(t *testing.T) {
	l := newLinks()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				for range 2 {
					wg.Go(func() {
						table, err := l.take(ctx)
						if err != nil {
							return // the scrape was over
						}
						if table.links[0].Name == "" {
							t.Error("an interface without a name")
						}
						table.release()
					})
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if n := len(l.spare); n > 10 {
		t.Errorf("%d tables are kept", n)
	}
}
