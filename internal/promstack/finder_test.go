package promstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// script is a discovery that says what a test lets it say.
type script struct {
	Called string // equal names are equal configurations
	Broken bool
	world  *world
}

// world is what tests see of scripts.
type world struct {
	mu      sync.Mutex
	started map[string]int
	say     map[string]chan []*targetgroup.Group
	ended   map[string]chan struct{}
}

func newWorld() *world {
	return &world{started: map[string]int{}, say: map[string]chan []*targetgroup.Group{}, ended: map[string]chan struct{}{}}
}

func (w *world) script(name string) script {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.say[name] == nil {
		w.say[name], w.ended[name] = make(chan []*targetgroup.Group), make(chan struct{})
	}
	return script{Called: name, world: w}
}

func (script) Name() string { return "script" }

func (script) NewDiscovererMetrics(prometheus.Registerer, discovery.RefreshMetricsInstantiator) discovery.DiscovererMetrics {
	return nil
}

func (s script) NewDiscoverer(discovery.DiscovererOptions) (discovery.Discoverer, error) {
	if s.Broken {
		return nil, errors.New("it is broken")
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.started[s.Called]++
	return s, nil
}

// Run implements discovery.Discoverer. A nil list ends what it says.
func (s script) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	s.world.mu.Lock()
	say, ended := s.world.say[s.Called], s.world.ended[s.Called]
	s.world.mu.Unlock()
	defer close(ended)
	for {
		select {
		case <-ctx.Done():
			return
		case groups := <-say:
			if groups == nil {
				close(up)
				<-ctx.Done()
				return
			}
			select {
			case up <- groups:
			case <-ctx.Done():
				return
			}
		}
	}
}

func group(source string, addresses ...string) *targetgroup.Group {
	g := &targetgroup.Group{Source: source}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	return g
}

// shown is what was handed on, in one line.
func shown(all map[string][]*targetgroup.Group) string {
	var jobs []string
	for job, groups := range all {
		var addresses []string
		for _, g := range groups {
			for _, t := range g.Targets {
				addresses = append(addresses, string(t[model.AddressLabel]))
			}
		}
		slices.Sort(addresses)
		jobs = append(jobs, job+"="+strings.Join(addresses, ","))
	}
	slices.Sort(jobs)
	return strings.Join(jobs, " ")
}

// startFinder runs one that hands on at once.
func startFinder(t *testing.T) (f *finder, reg *prometheus.Registry, expect func(want string)) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	reg = prometheus.NewRegistry()
	library, err := discovery.CreateAndRegisterSDMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = newFinder(ctx, "scrape", slog.New(slog.DiscardHandler), reg, library, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- f.Run() }()
	t.Cleanup(func() {
		end()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended by %v", err)
		}
		if _, open := <-f.SyncCh(); open {
			t.Error("who listens is not told of the end")
		}
	})
	return f, reg, func(want string) {
		t.Helper()
		last, patience := "nothing", time.After(10*time.Second)
		for last != want {
			select {
			case all := <-f.SyncCh():
				last = shown(all)
			case <-patience:
				t.Fatalf("found %q, want %q", last, want)
			}
		}
	}
}

func TestFinder(t *testing.T) {
	f, reg, expect := startFinder(t)
	w := newWorld()
	apply := func(jobs map[string]discovery.Configs) {
		t.Helper()
		if err := f.ApplyConfig(jobs); err != nil {
			t.Fatal(err)
		}
	}
	static := discovery.StaticConfig{group("0", "s:1")}
	apply(map[string]discovery.Configs{"a": {w.script("one"), static}, "b": {w.script("one"), w.script("two")}, "empty": nil})
	expect("a=s:1 b= empty=")
	w.say["one"] <- []*targetgroup.Group{group("x", "1:1", "1:2"), nil, group("y", "1:3")}
	expect("a=1:1,1:2,1:3,s:1 b=1:1,1:2,1:3 empty=")
	w.say["two"] <- []*targetgroup.Group{group("x", "2:1")}
	expect("a=1:1,1:2,1:3,s:1 b=1:1,1:2,1:3,2:1 empty=")
	w.say["one"] <- []*targetgroup.Group{group("x"), group("y", "1:4")}
	expect("a=1:4,s:1 b=1:4,2:1 empty=")
	w.say["two"] <- nil // it has nothing more to say
	if w.started["one"] != 1 {
		t.Errorf("two jobs of one configuration have %d discoveries", w.started["one"])
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP prometheus_sd_discovered_targets Current number of discovered targets.
# TYPE prometheus_sd_discovered_targets gauge
prometheus_sd_discovered_targets{config="a",name="scrape"} 2
prometheus_sd_discovered_targets{config="b",name="scrape"} 2
prometheus_sd_discovered_targets{config="empty",name="scrape"} 0
`), "prometheus_sd_discovered_targets"); err != nil {
		t.Error(err)
	}

	// A reload keeps what goes on, with what it has found; the rest ends before it returns.
	apply(map[string]discovery.Configs{"b": {w.script("two")}, "c": {w.script("two"), w.script("three"), script{Called: "broken", Broken: true}}})
	select {
	case <-w.ended["one"]:
	case <-time.After(10 * time.Second):
		t.Error("a discovery that no job has goes on")
	}
	expect("b=2:1 c=2:1")
	if w.started["two"] != 1 {
		t.Errorf("it was started %d times", w.started["two"])
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP prometheus_sd_discovered_targets Current number of discovered targets.
# TYPE prometheus_sd_discovered_targets gauge
prometheus_sd_discovered_targets{config="b",name="scrape"} 1
prometheus_sd_discovered_targets{config="c",name="scrape"} 1
# HELP prometheus_sd_failed_configs Current number of service discovery configurations that failed to load.
# TYPE prometheus_sd_failed_configs gauge
prometheus_sd_failed_configs{name="scrape"} 1
`), "prometheus_sd_discovered_targets", "prometheus_sd_failed_configs"); err != nil {
		t.Error(err)
	}
	apply(nil)
	expect("")
	if n, err := testutil.GatherAndCount(reg, "prometheus_sd_discovered_targets", "prometheus_sd_last_update_timestamp_seconds"); n != 0 || err != nil {
		t.Errorf("%d series of jobs that are gone, %v", n, err)
	}
}

// However much is found, and however slow who listens is: in the end it has the last.
func TestFinderBusy(t *testing.T) {
	f, reg, expect := startFinder(t)
	w := newWorld()
	if err := f.ApplyConfig(map[string]discovery.Configs{"a": {w.script("one")}}); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		w.say["one"] <- []*targetgroup.Group{group("x", fmt.Sprint("1:", i))}
		if i%300 == 0 {
			<-f.SyncCh()
		}
	}
	expect("a=1:999")
	sent, err := testutil.GatherAndCount(reg, "prometheus_sd_updates_total")
	if err != nil || sent != 1 {
		t.Errorf("%d, %v", sent, err)
	}
	if got := testutil.ToFloat64(f.metrics.ReceivedUpdates); got != 1000 {
		t.Errorf("%v updates received", got)
	}
	if testutil.ToFloat64(f.metrics.DelayedUpdates) == 0 {
		t.Error("nobody listened, and nothing was delayed")
	}
}

func TestFinderTwice(t *testing.T) {
	f, reg, _ := startFinder(t)
	if _, err := newFinder(t.Context(), "scrape", f.log, reg, f.library, time.Second); err == nil {
		t.Error("two have the same metrics")
	}
}
