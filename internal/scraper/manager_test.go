package scraper

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
)

// running is a manager that scrapes.
type running struct {
	*Manager
	t     *testing.T
	store *recorder
	sets  chan map[string][]*targetgroup.Group
	log   *bytes.Buffer
}

func runOurs(t *testing.T, yml string) *running {
	t.Helper()
	r := &running{t: t, store: newRecorder(time.Minute), sets: make(chan map[string][]*targetgroup.Group), log: &bytes.Buffer{}}
	r.Manager = newOurs(t, r.store, false, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&locked{w: r.log}, nil)))
	r.apply(yml)
	var work sync.WaitGroup
	work.Go(func() { r.Run(r.sets) })
	t.Cleanup(work.Wait)
	t.Cleanup(r.Stop)
	return r
}

type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func load(t testing.TB, yml string) *config.Config {
	t.Helper()
	c, err := config.Load(yml, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *running) apply(yml string) {
	r.t.Helper()
	if err := r.ApplyConfig(load(r.t, yml)); err != nil {
		r.t.Fatal(err)
	}
}

// set makes these the targets of a job, a list of labels each.
func (r *running) set(job string, targets ...model.LabelSet) {
	r.sets <- map[string][]*targetgroup.Group{job: {{Targets: targets}}}
}

func at(address string, more ...string) model.LabelSet {
	l := model.LabelSet{model.AddressLabel: model.LabelValue(address)}
	for i := 0; i < len(more); i += 2 {
		l[model.LabelName(more[i])] = model.LabelValue(more[i+1])
	}
	return l
}

// serve is a target.
func serve(t *testing.T, text string) (address string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer{text: text}.write(w, r) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

const fast = "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n"

// has tells whether a job has stored a line with all of these parts.
func (r *running) has(job string, parts ...string) bool {
	for _, c := range r.store.of(job) {
		for line := range strings.Lines(c) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				return true
			}
		}
	}
	return false
}

// What a reload does is what it does in the library: distinct is what was stored by then.
func TestReloadLikeLibrary(t *testing.T) {
	t.Parallel()
	const slow = "global: {scrape_interval: 800ms, scrape_timeout: 800ms}\nscrape_configs:\n"
	for _, c := range []struct{ name, before, after string }{
		{"limit", "  - job_name: a\n", "  - {job_name: a, sample_limit: 5}\n"},
		{"limit that is met", "  - job_name: a\n", "  - {job_name: a, sample_limit: 1}\n"},
		{"names", "  - job_name: a\n", "  - {job_name: a, metric_relabel_configs: [{source_labels: [__name__], regex: x, target_label: __name__, replacement: y}]}\n"},
		{"removed", "  - job_name: a\n  - job_name: b\n", "  - job_name: b\n"},
		{"same", "  - job_name: a\n", "  - job_name: a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var distinct [2]map[string]bool
			for i, name := range []string{"library", "ours"} {
				address := serve(t, "x 1\nz 2\n")
				store, reg, sets := newRecorder(800*time.Millisecond), prometheus.NewRegistry(), make(chan map[string][]*targetgroup.Group)
				s := &subject{}
				if name == "library" {
					m := newLibrary(t, store, reg)
					s.manager, s.run = m, func(c <-chan map[string][]*targetgroup.Group) { m.Run(c) }
				} else {
					m := newOurs(t, store, false, reg, slog.New(slog.DiscardHandler))
					s.manager, s.run = m, m.Run
				}
				if err := s.manager.ApplyConfig(load(t, slow+c.before)); err != nil {
					t.Fatal(err)
				}
				var work sync.WaitGroup
				work.Go(func() { s.run(sets) })
				defer work.Wait()
				defer s.manager.Stop()
				group := []*targetgroup.Group{{Targets: []model.LabelSet{at(address, "instance", "i")}}}
				sets <- map[string][]*targetgroup.Group{"a": group, "b": group}
				eventually(t, "scrapes", func() bool { return len(store.of("a")) > 1 })
				conf := load(t, slow+c.after)
				if err := s.manager.ApplyConfig(conf); err != nil {
					t.Fatal(err)
				}
				if c.name == "removed" {
					sets <- map[string][]*targetgroup.Group{"b": group}
					n := len(store.of("b"))
					eventually(t, "scrapes of the other job", func() bool { return len(store.of("b")) > n+4 })
				} else {
					n := len(store.of("a"))
					eventually(t, "scrapes after the reload", func() bool { return len(store.of("a")) > n+5 })
				}
				distinct[i] = make(map[string]bool)
				for _, text := range store.of("a") {
					for line := range strings.Lines(text) {
						distinct[i][strings.TrimSpace(line)] = true
					}
				}
				if store.isLate("a") {
					t.Skip("scrapes of this very process took too long")
				}
			}
			for line := range distinct[0] {
				if !distinct[1][line] {
					t.Errorf("the library alone has %s", line)
				}
			}
			for line := range distinct[1] {
				if !distinct[0][line] {
					t.Errorf("we alone have %s", line)
				}
			}
		})
	}
}

// upLog is a storage that notes each target's up, and what ends.
type upLog struct {
	mu    sync.Mutex
	ups   map[string][]up // by instance
	stale []string
	most  float64 // seconds that a scrape of the job took which no reload touches
}

type up struct {
	at    int64 // in ms since 1970
	value float64
}

// AppenderV2 implements storage.AppendableV2.
func (u *upLog) AppenderV2(context.Context) storage.AppenderV2 { return &upAppender{log: u} }

type upAppender struct {
	log *upLog
	all []func()
}

// Append implements storage.AppenderV2. It gives no references, so that each sample comes with its labels.
func (a *upAppender) Append(_ storage.SeriesRef, ls labels.Labels, _, t int64, v float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	a.all = append(a.all, func() {
		switch name := ls.Get(model.MetricNameLabel); {
		case value.IsStaleNaN(v):
			a.log.stale = append(a.log.stale, ls.String())
		case name == "up":
			a.log.ups[ls.Get("instance")] = append(a.log.ups[ls.Get("instance")], up{t, v})
		case name == "scrape_duration_seconds":
			if ls.Get("job") == "steady" {
				a.log.most = max(a.log.most, v)
			}
		}
	})
	return 0, nil
}

// Commit implements storage.AppenderV2.
func (a *upAppender) Commit() error {
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	for _, f := range a.all {
		f()
	}
	return nil
}

// Rollback implements storage.AppenderV2.
func (a *upAppender) Rollback() error { return nil }

// However often a configuration is taken over, no scrape is left out, none fails and no
// series ends: of jobs that stay as they are while others come and go, of one that changes
// all the time, and of the one that asks this very manager for its metrics. A target that
// takes long makes each reload that touches it wait.
func TestReloadsLeaveNothingOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		slow bool
	}{{"as fast as can be", false}, {"while a target takes long", true}} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); reloadsLeaveNothingOut(t, c.slow) })
	}
}

func reloadsLeaveNothingOut(t *testing.T, withSlow bool) {
	const interval, times = time.Second, 6
	store, reg := &upLog{ups: make(map[string][]up)}, prometheus.NewRegistry()
	m := newOurs(t, store, false, reg, slog.New(slog.DiscardHandler))
	own := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	t.Cleanup(own.Close)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(interval * 3 / 4):
		}
		answer{text: "x 1\n"}.write(w, r)
	}))
	t.Cleanup(slow.Close)
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	address := serve(t, "x 1\n")
	var many []model.LabelSet
	for i := range 60 {
		many = append(many, at(address, "instance", fmt.Sprint("steady ", i)))
	}
	groups := func(targets ...model.LabelSet) []*targetgroup.Group { return []*targetgroup.Group{{Targets: targets}} }
	all := map[string][]*targetgroup.Group{
		"steady": groups(many...), "changing": groups(at(address, "instance", "changing")),
		"own": groups(at(host(own), "instance", "own")),
	}
	if withSlow {
		all["slow"] = groups(at(host(slow), "instance", "slow"))
	}
	config := func(n int) *config.Config {
		text := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {n: "%d"}}
scrape_configs:
- {job_name: steady, metric_relabel_configs: [{source_labels: [y], regex: "(a|b)+", action: drop}]}
- {job_name: changing, sample_limit: %d}
- {job_name: own, sample_limit: %d}
`, n, 1000+n%2, 10000+n%2)
		if withSlow {
			text += fmt.Sprintf("- {job_name: slow, sample_limit: %d}\n", 1000+n%2)
		}
		if n%2 == 1 {
			text += fmt.Sprintf("- {job_name: extra%d}\n", n)
		}
		return load(t, text)
	}
	if err := m.ApplyConfig(config(0)); err != nil {
		t.Fatal(err)
	}
	sets := make(chan map[string][]*targetgroup.Group)
	var work sync.WaitGroup
	work.Go(func() { m.Run(sets) })
	t.Cleanup(work.Wait)
	t.Cleanup(m.Stop)
	sets <- all
	scraped := func(times int) bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		if len(store.ups) < len(many)+len(all)-1 {
			return false
		}
		for _, of := range store.ups {
			if len(of) < times {
				return false
			}
		}
		return true
	}
	eventually(t, "a scrape of each", func() bool { return scraped(1) })
	n := 0
	for end := time.Now().Add(15 * interval); !scraped(times) && time.Now().Before(end); n++ {
		if err := m.ApplyConfig(config(n)); err != nil {
			t.Fatal(err)
		}
		with := maps.Clone(all)
		if n%2 == 1 {
			with[fmt.Sprint("extra", n)] = groups(at(address, "instance", "extra"))
		}
		sets <- with
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	t.Logf("%d reloads, the longest scrape of one that does not change took %.3f s", n, store.most)
	// What a busy machine explains is no fault.
	wrong := func(explained bool, format string, args ...any) {
		if explained {
			t.Logf(format, args...)
		} else {
			t.Errorf(format, args...)
		}
	}
	tight := interval.Seconds() / 4
	for instance, of := range store.ups {
		if instance == "extra" {
			continue
		}
		if len(of) < times {
			wrong(store.most > tight, "%s: %d scrapes, want %d", instance, len(of), times)
		}
		for i, u := range of {
			if u.value != 1 {
				wrong(store.most > 2*tight, "%s: scrape %d is up %g", instance, i, u.value)
			}
			if i > 0 && u.at-of[i-1].at > interval.Milliseconds()*3/2 {
				wrong(store.most > tight, "%s: scrape %d is %d ms after the one before", instance, i, u.at-of[i-1].at)
			}
		}
	}
	for _, s := range store.stale {
		wrong(store.most > 2*tight, "ended: %s", s)
	}
}

func TestTargetLimit(t *testing.T) {
	t.Parallel()
	r := runOurs(t, fast+"  - {job_name: a, target_limit: 1}\n")
	address := serve(t, "x 1\n")
	r.set("a", at(address, "n", "1"), at(address, "n", "2"))
	eventually(t, "a refused scrape", func() bool { return r.has("a", `"up"`, "} 0 ") })
	if r.has("a", `"x"`) {
		t.Error("a target was scraped though there are too many")
	}
	for _, target := range r.TargetsActive()["a"] {
		if err := target.LastError(); err != nil && err.Error() != "target_limit exceeded (number of targets: 2, limit: 1)" {
			t.Error(err)
		}
	}
	r.set("a", at(address, "n", "1"))
	eventually(t, "a scrape", func() bool { return r.has("a", `"x"`, `n="1"`) })
}

func TestDropped(t *testing.T) {
	t.Parallel()
	r := runOurs(t, fast+"  - {job_name: a, keep_dropped_targets: 2, relabel_configs: [{source_labels: [n], regex: d, action: drop}]}\n")
	address := serve(t, "x 1\n")
	r.set("a", at(address, "n", "d"), at(address, "n", "d", "m", "1"), at(address), at(address, "n", "d", "m", "2"), at("", "n", "x"))
	eventually(t, "a scrape", func() bool { return r.has("a", `"x"`) })
	if got := len(r.TargetsDropped()["a"]); got != 2 {
		t.Errorf("%d dropped targets are kept, want 2", got)
	}
	if got := r.TargetsDroppedCounts()["a"]; got != 3 {
		t.Errorf("%d dropped targets are counted, want 3", got)
	}
	if got := r.ScrapePools(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("jobs %v", got)
	}
	if _, err := r.ScrapePoolConfig("b"); err == nil {
		t.Error("there is a job b")
	}
	if c, err := r.ScrapePoolConfig("a"); err != nil || c.KeepDroppedTargets != 2 {
		t.Error(c, err)
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	r := runOurs(t, fast+"  - job_name: a\n")
	dir := t.TempDir()
	var targets []model.LabelSet
	for i := range 2 {
		path := filepath.Join(dir, fmt.Sprint(i))
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer{text: fmt.Sprintf("x %d\n", i)}.write(w, r)
		})}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		targets = append(targets, at("localhost:80", "n", fmt.Sprint(i), scrape.UnixSocketLabel, path))
	}
	r.set("a", targets...)
	for i, bits := range []string{"0", "3ff0000000000000"} {
		eventually(t, "a scrape of each socket", func() bool { return r.has("a", `"x"`, fmt.Sprintf("n=%q", fmt.Sprint(i)), "} "+bits+" ") })
	}
	r.set("a")
	eventually(t, "no target", func() bool { return len(r.TargetsActive()["a"]) == 0 })
}

func TestFailureLog(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "failures.log")
	yml := fast + "  - {job_name: a, scrape_failure_log_file: " + file + "}\n"
	r := runOurs(t, yml)
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	r.set("a", at(strings.TrimPrefix(s.URL, "http://")))
	logged := func() bool {
		b, _ := os.ReadFile(file)
		return bytes.Contains(b, []byte("404 Not Found")) && bytes.Contains(b, []byte(`"job_name":"a"`)) && bytes.Contains(b, []byte(s.URL+"/metrics"))
	}
	eventually(t, "a line about the failure", logged)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.apply(yml) // opens it anew
	eventually(t, "a line in the new file", logged)
	if err := r.ApplyConfig(load(t, fast+"  - {job_name: a, scrape_failure_log_file: "+filepath.Join(file, "none")+"}\n")); err == nil {
		t.Error("a file that cannot be opened is accepted")
	}
}

// The storage may have forgotten a series that has ended; then there is nothing to mark.
func TestForgottenSeriesEnds(t *testing.T) {
	var n atomic.Int32
	r := runOurs(t, fast+"  - job_name: forgotten\n") // whose series go after the second scrape
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) <= 2 {
			answer{text: "x 1\n"}.write(w, r)
			return
		}
		answer{text: "y 1\n"}.write(w, r)
	}))
	t.Cleanup(s.Close)
	r.set("forgotten", at(strings.TrimPrefix(s.URL, "http://")))
	eventually(t, "four scrapes", func() bool { return len(r.store.of("forgotten")) >= 4 })
	if r.has("forgotten", `"x"`, "stale") {
		t.Error("a series that is not there was made to end")
	}
	if !r.has("forgotten", `"y"`) {
		t.Error("the scrape was not stored")
	}
}

func TestAlign(t *testing.T) {
	begin := time.Unix(1000, 0)
	p := &pool{manager: &Manager{opts: Options{Tolerance: 2 * time.Millisecond}}}
	l := &loop{pool: p, interval: 10 * time.Second, aligned: begin}
	for _, c := range []struct{ now, want time.Duration }{
		{0, 0},
		{10*time.Second + time.Millisecond, 10 * time.Second},
		{20*time.Second + 2*time.Millisecond, 20 * time.Second},
		{30*time.Second + 3*time.Millisecond, 30*time.Second + 3*time.Millisecond},
		{65*time.Second + time.Millisecond, 65*time.Second + time.Millisecond},
		{70*time.Second + time.Millisecond, 70 * time.Second},
	} {
		if got := l.align(begin.Add(c.now)); !got.Equal(begin.Add(c.want)) {
			t.Errorf("%s is moved to %s, want %s", c.now, got.Sub(begin), c.want)
		}
	}
	l = &loop{pool: p, interval: 100 * time.Millisecond, aligned: begin} // a hundredth at most
	if now := begin.Add(101*time.Millisecond + 500*time.Microsecond); !l.align(now).Equal(now) {
		t.Error("a time is moved by more than a hundredth of the interval")
	}
}

// Each target has a place of its own in the interval, the same at each start.
func TestOffset(t *testing.T) {
	m := &Manager{}
	m.seed.Store(0xabcdef)
	places := make(map[time.Duration]bool)
	for i := range 50 {
		lset := labels.FromStrings(model.AddressLabel, fmt.Sprintf("host%d:80", i), model.SchemeLabel, "http", model.MetricsPathLabel, "/metrics")
		target := scrape.NewTarget(lset, &config.ScrapeConfig{}, nil, nil)
		l := &loop{pool: &pool{manager: m}, interval: 10 * time.Second, hash: hashOf(target, lset)}
		var place time.Duration
		for j, now := range []time.Time{time.Unix(1000, 0), time.Unix(1003, 999), time.Unix(1019, 999_999_999)} {
			wait := l.offset(now)
			if wait < 0 || wait > l.interval {
				t.Fatalf("the first scrape is after %s", wait)
			}
			p := time.Duration(now.Add(wait).UnixNano()) % l.interval
			if j > 0 && p != place {
				t.Errorf("target %d is scraped at %s, and at %s", i, p, place)
			}
			place = p
		}
		places[place] = true
	}
	if len(places) != 50 {
		t.Errorf("50 targets have %d places", len(places))
	}
}
