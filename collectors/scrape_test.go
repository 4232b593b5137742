package collectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"watchpost/internal/expo"
)

// fake is a collector made of a function.
type fake func(ctx context.Context, w *expo.Writer) error

func (f fake) Collect(ctx context.Context, w *expo.Writer) error { return f(ctx, w) }

// alien is a fake whose families are named by others.
type alien struct{ fake }

func (alien) foreign() {}

var (
	fakeOne = expo.Gauge("fake_one", "One.")
	fakeTwo = expo.Gauge("fake_two", "Two.")
)

func says(f *expo.Family) fake {
	return func(_ context.Context, w *expo.Writer) error {
		w.Sample(f, 1)
		return nil
	}
}

// setOf makes a Set of named fakes, in the order given: name, collector, ...
func setOf(pairs ...any) *Set {
	s := &Set{log: slog.New(slog.DiscardHandler), now: time.Now, running: make(map[key]*pass)}
	for i := 0; i < len(pairs); i += 2 {
		s.units = append(s.units, &unit{name: pairs[i].(string), collector: pairs[i+1].(Collector), turn: make(chan struct{}, 1)})
	}
	return s
}

// text scrapes and returns the text, without durations.
func text(t *testing.T, s *Set, r Request) string {
	t.Helper()
	res, err := s.Scrape(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Release()
	var out strings.Builder
	for part := range res.Segments {
		for line := range strings.Lines(string(part)) {
			if !strings.Contains(line, "node_scrape_collector_duration_seconds{") && !strings.HasPrefix(line, "#") {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}

func TestScrapeTellsOfEachCollector(t *testing.T) {
	s := setOf(
		"fine", says(fakeOne),
		"absent", fake(func(context.Context, *expo.Writer) error { return fmt.Errorf("no such device: %w", ErrNoData) }),
		"half", fake(func(_ context.Context, w *expo.Writer) error { w.Sample(fakeTwo, 2); return errors.New("broken") }),
		"panics", fake(func(context.Context, *expo.Writer) error { panic("oh") }),
	)
	want := `fake_one 1
fake_two 2
node_scrape_collector_success{collector="fine"} 1
node_scrape_collector_success{collector="absent"} 0
node_scrape_collector_success{collector="half"} 0
node_scrape_collector_success{collector="panics"} 0
`
	for range 3 { // buffers are used again
		if got := text(t, s, Request{}); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestScrapeFilters(t *testing.T) {
	s := setOf("a", says(fakeOne), "b", says(fakeTwo))
	for _, tc := range []struct {
		r    Request
		want string
	}{
		{Request{Only: []string{"b"}}, "fake_two 1\nnode_scrape_collector_success{collector=\"b\"} 1\n"},
		{Request{Except: []string{"b", "unknown"}}, "fake_one 1\nnode_scrape_collector_success{collector=\"a\"} 1\n"},
		{Request{Except: []string{"a", "b"}}, ""},
	} {
		if got := text(t, s, tc.r); got != tc.want {
			t.Errorf("%+v: got\n%s\nwant\n%s", tc.r, got, tc.want)
		}
	}
	for _, r := range []Request{{Only: []string{"c"}}, {Only: []string{"a"}, Except: []string{"b"}}} {
		_, err := s.Scrape(t.Context(), r)
		if bad := new(RequestError); !errors.As(err, &bad) {
			t.Errorf("%+v: error %v", r, err)
		}
	}
}

// A collector that hangs costs itself: the others are served at the deadline,
// later scrapes do not wait for it, and it works again when it comes back.
func TestScrapeLeavesTheStuckBehind(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 100)
	s := setOf("hangs", fake(func(_ context.Context, w *expo.Writer) error {
		entered <- struct{}{}
		<-release
		w.Sample(fakeTwo, 2)
		return nil
	}), "fine", says(fakeOne))
	want := "fake_one 1\nnode_scrape_collector_success{collector=\"hangs\"} 0\nnode_scrape_collector_success{collector=\"fine\"} 1\n"
	if got := text(t, s, Request{Deadline: 300 * time.Millisecond}); got != want {
		t.Fatalf("first: got\n%s\nwant\n%s", got, want)
	}
	for range 20 { // each at once: with the default deadline of 10 s they would show
		if got := text(t, s, Request{}); got != want {
			t.Fatalf("later: got\n%s\nwant\n%s", got, want)
		}
	}
	if len(entered) != 1 {
		t.Errorf("the stuck collector was called %d times", len(entered))
	}
	close(release)
	back := "fake_two 2\nfake_one 1\nnode_scrape_collector_success{collector=\"hangs\"} 1\nnode_scrape_collector_success{collector=\"fine\"} 1\n"
	for i := 0; text(t, s, Request{}) != back; i++ {
		if i > 1000 {
			t.Fatal("it came back and is not asked again")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestScrapeIsShared(t *testing.T) {
	const clients = 50
	release := make(chan struct{})
	s := setOf("slow", fake(func(_ context.Context, w *expo.Writer) error {
		<-release
		w.Sample(fakeOne, 1)
		return nil
	}))
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			if got := text(t, s, Request{}); !strings.HasPrefix(got, "fake_one 1\n") {
				t.Errorf("got %q", got)
			}
		})
	}
	for waiting := 0; waiting < clients; {
		s.mu.Lock()
		if p := s.running[key{}]; p != nil {
			waiting = p.waiting
		}
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	close(release)
	all.Wait()
	if n := s.Collections(); n != 1 {
		t.Errorf("%d collections for %d scrapes at the same time", n, clients)
	}
	if len(s.running) != 0 {
		t.Error("a pass was not forgotten")
	}
}

// Scrapes that follow closely on another wait for each other, and share.
func TestScrapesInABurstAreShared(t *testing.T) {
	const clients = 50
	s := setOf("fast", says(fakeOne))
	s.gap = time.Second / 2
	text(t, s, Request{}) // the first one never waits
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			if got := text(t, s, Request{}); !strings.HasPrefix(got, "fake_one 1\n") {
				t.Errorf("got %q", got)
			}
		})
	}
	all.Wait()
	if n := s.Collections(); n != 2 {
		t.Errorf("%d collections for 1 and %d scrapes", n, clients)
	}
}

// What is made of a shared result is made once, and outlives it.
func TestPagesAreShared(t *testing.T) {
	s := setOf("a", says(fakeOne))
	res, err := s.Scrape(t.Context(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := res.Page(1, func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	made := 0
	render := func() ([]byte, error) { made++; return []byte("page"), nil }
	for _, key := range []any{1, 1, 2} {
		if page, err := res.Page(key, render); string(page) != "page" || err != nil {
			t.Errorf("%q, %v", page, err)
		}
	}
	if made != 2 {
		t.Errorf("made %d times for two keys", made)
	}
	res.Release()
}

// Scrapes that cannot share run the same collector one after the other.
func TestScrapesOfDifferentKindsTakeTurns(t *testing.T) {
	var inside sync.Mutex
	s := setOf("a", fake(func(_ context.Context, w *expo.Writer) error {
		if !inside.TryLock() {
			return errors.New("two at the same time")
		}
		time.Sleep(time.Millisecond)
		inside.Unlock()
		w.Sample(fakeOne, 1)
		return nil
	}))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			r := Request{Format: expo.Format(i % 2)}
			if i%3 == 0 {
				r.Only = []string{"a"}
			}
			if got := text(t, s, r); !strings.HasPrefix(got, "fake_one 1\n") {
				t.Errorf("got %q", got)
			}
		})
	}
	all.Wait()
}

func TestScrapeEndsWithItsClient(t *testing.T) {
	release := make(chan struct{})
	told := make(chan struct{})
	s := setOf("slow", fake(func(ctx context.Context, w *expo.Writer) error {
		<-ctx.Done() // the last client has gone
		close(told)
		<-release
		return nil
	}))
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := s.Scrape(ctx, Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-told
}

func TestForeignFamiliesGiveWay(t *testing.T) {
	s := setOf("own", says(fakeOne), "textfile", alien{func(_ context.Context, w *expo.Writer) error {
		w.Append([]byte("# HELP fake_one Taken.\n# TYPE fake_one gauge\nfake_one{x=\"y\"} 5\n# TYPE other gauge\nother 6\n"))
		return nil
	}})
	want := "fake_one 1\nother 6\nnode_scrape_collector_success{collector=\"own\"} 1\nnode_scrape_collector_success{collector=\"textfile\"} 0\n"
	if got := text(t, s, Request{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckTells(t *testing.T) {
	s := setOf("fine", says(fakeOne), "hangs", fake(func(ctx context.Context, _ *expo.Writer) error { select {} }),
		"absent", fake(func(context.Context, *expo.Writer) error { return ErrNoData }))
	reports := s.Check(t.Context(), 20*time.Millisecond)
	if r := reports[0]; r.Err != nil || r.Families != 1 || r.Series != 1 {
		t.Errorf("%+v", r)
	}
	if r := reports[1]; r.Err == nil || !strings.Contains(r.Err.Error(), "stuck") {
		t.Errorf("%+v", r)
	}
	if r := reports[2]; !r.Absent() || r.Advice == "" {
		t.Errorf("%+v", r)
	}
}

func TestUnknownCollectorIsNamed(t *testing.T) {
	_, err := NewSet(DefaultConfig(), []string{"nonsense"}, expo.Labels{})
	if bad := new(UnknownError); !errors.As(err, &bad) || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("error %v", err)
	}
}

func TestTableIsSorted(t *testing.T) {
	for i := 1; i < len(table); i++ {
		if table[i-1].name >= table[i].name {
			t.Errorf("%s stands before %s", table[i-1].name, table[i].name)
		}
	}
}
