// Package proxyagent is the cadvisor-proxy as a value: the sources of this node, what
// is passed on of them, and what it tells of itself. cmd/cadvisor-proxy serves it
// alone, the collector's single-process mode can beside its own pages.
package proxyagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/version"

	"watchpost/internal/containers"
	"watchpost/internal/expo"
	"watchpost/internal/podmap"
	"watchpost/internal/run"
	"watchpost/internal/self"
	"watchpost/internal/serve"
	"watchpost/internal/words"
)

// Config is what a proxy is made from.
type Config struct {
	Sources []Source
	// Labels are put on every series, names and values in turn.
	Labels []string
	// Pods are those of this node; nil: series get no labels of pods.
	Pods *podmap.Map
	// PodsFrom keeps Pods up to date; nil with Pods nil.
	PodsFrom podmap.Source
	// Annotated are sources as well: pods that ask for it. nil is none; else Pods are
	// needed.
	Annotated *Annotated
	// Limit is the most bytes that are read of a source, 0 is DefaultLimit. Held is
	// the most that is held of sources to be joined, 0 is DefaultHeld.
	Limit int64
	Held  int
	// Ceiling is the longest that a scrape may take, 0 is DefaultCeiling.
	Ceiling     time.Duration
	MaxRequests int // scrapes at the same time, 0 is DefaultRequests
	Gzip        GzipMode
	Log         *slog.Logger
}

// Defaults of a Config.
const (
	DefaultLimit    = 64 << 20 // ten times the text of 110 pods
	DefaultHeld     = 16 << 20
	DefaultCeiling  = 10 * time.Second // Prometheus' own
	DefaultRequests = 8
)

// Agent is a cadvisor-proxy.
type Agent struct {
	cfg     Config
	sources []*source
	pods    *podSources // nil is none
	labels  expo.Labels
	self    *self.Metrics
	slots   chan struct{}
	explain chan struct{}
	gzip    chan *expo.GzipWriter // those that nobody uses

	mu      sync.Mutex
	refused uint64            // series left out of the joined page
	scrapes map[string]uint64 // by path and status
	said    map[string]string // the failure that was logged last, by source
}

// New makes a proxy. It asks nobody. The error tells which rule or label is wrong.
func New(cfg Config) (*Agent, error) {
	cfg.Limit, cfg.Held = cmp.Or(cfg.Limit, DefaultLimit), cmp.Or(cfg.Held, DefaultHeld)
	cfg.Ceiling, cfg.MaxRequests = cmp.Or(cfg.Ceiling, DefaultCeiling), cmp.Or(cfg.MaxRequests, DefaultRequests)
	a := &Agent{
		cfg: cfg, self: self.New(), slots: make(chan struct{}, cfg.MaxRequests), explain: make(chan struct{}, 1),
		gzip:    make(chan *expo.GzipWriter, cfg.MaxRequests),
		scrapes: make(map[string]uint64), said: make(map[string]string),
	}
	labels := make(map[string]string)
	for i := 0; i+1 < len(cfg.Labels); i += 2 {
		if cfg.Labels[i+1] != "" {
			labels[cfg.Labels[i]] = cfg.Labels[i+1]
		}
	}
	var err error
	if a.labels, err = expo.ConstLabels(labels); err != nil {
		return nil, err
	}
	taken := make(map[string]bool)
	for _, s := range cfg.Sources {
		if taken[s.Name] {
			return nil, fmt.Errorf("two sources are called %s", s.Name)
		}
		taken[s.Name] = true
		var pods containers.Pods
		if cfg.Pods != nil {
			pods = cfg.Pods
		}
		own, err := newSource(s, pods, cfg.Limit, cfg.Labels)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		a.sources = append(a.sources, own)
	}
	if cfg.Annotated != nil {
		if a.pods, err = newPodSources(*cfg.Annotated, cfg.Pods, cfg.Labels); err != nil {
			return nil, fmt.Errorf("pods with annotations: %w", err)
		}
	}
	return a, nil
}

// Tasks keep the proxy up to date.
func (a *Agent) Tasks() []run.Task {
	tasks := []run.Task{{Name: "first answers", Run: a.warm}}
	for _, s := range a.sources {
		if s.Keep != nil {
			tasks = append(tasks, run.Task{Name: "source " + s.Name, Run: func(ctx context.Context, ready func()) error {
				ready()
				s.Keep(ctx)
				return ctx.Err()
			}})
		}
	}
	if a.cfg.PodsFrom != nil {
		tasks = append(tasks, run.Task{Name: "pods of this node", Run: func(ctx context.Context, ready func()) error {
			ready()
			a.cfg.PodsFrom.Run(ctx, a.cfg.Pods)
			return ctx.Err()
		}})
	}
	return tasks
}

// Pauses between attempts to get a first answer.
const minPause, maxPause = time.Second, 30 * time.Second

// warm asks each source of the kubelet until it has answered once, so that readiness
// does not wait for a scraper, and the filters know the text when one comes.
func (a *Agent) warm(ctx context.Context, ready func()) error {
	ready()
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		missing := false
		for _, s := range a.sources {
			if _, _, answered, _ := s.state(); !s.Kubelet || answered {
				continue
			}
			one, cancel := context.WithTimeout(ctx, a.cfg.Ceiling)
			err := s.fetch(one, io.Discard)
			cancel()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			a.tell(s, err)
			missing = missing || err != nil
		}
		if !missing {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := run.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// tell logs what became of a source, where that is new.
func (a *Agent) tell(s *source, err error) {
	_, up, _, problem := s.state()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, gone := range a.pods.forget() {
		delete(a.said, gone)
	}
	was := a.said[s.Name]
	switch {
	case err != nil && !up && problem != "" && kind(problem) != was:
		a.said[s.Name] = kind(problem)
		a.cfg.Log.Warn("A source of metrics fails", "source", s.Name, "error", problem)
	case up && was != "":
		a.said[s.Name] = ""
		a.cfg.Log.Info("A source of metrics answers again", "source", s.Name)
	}
}

// kind is a problem without its numbers, which change at each scrape.
func kind(problem string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, problem)
}

// Check asks each source once and tells what came of it. Clashes of label rules are
// errors that wrap ErrRules.
func (a *Agent) Check(ctx context.Context) []Report {
	return a.checkAll(ctx, a.sources, len(a.sources))
}

// CheckAnnotated does the same with the pages of pods, of which CheckPods makes known
// which there are.
func (a *Agent) CheckAnnotated(ctx context.Context) []Report {
	if a.pods == nil {
		return nil
	}
	return a.checkAll(ctx, a.pods.all(), cap(a.pods.slots))
}

func (a *Agent) checkAll(ctx context.Context, sources []*source, parallel int) []Report {
	reports := make([]Report, len(sources))
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, s := range sources {
		slots <- struct{}{}
		all.Go(func() {
			reports[i] = a.check(ctx, s)
			<-slots
		})
	}
	all.Wait()
	return reports
}

// Report is what Check found of a source.
type Report struct {
	Source, URL string
	Err         error
	In, Out     uint64 // series
	Took        time.Duration
}

// ErrRules marks the error of rules that would make one series of two.
var ErrRules = errors.New("the rules cannot be used")

func (a *Agent) check(ctx context.Context, s *source) Report {
	r := Report{Source: s.Name, URL: s.URL}
	began := time.Now()
	text, err := a.text(ctx, s)
	r.Took = time.Since(began)
	if err == nil {
		if err = containers.Check(s.Rules, expo.Text, text); err != nil && len(s.Rules.Labels) > 0 {
			err = fmt.Errorf("%w: %w", ErrRules, err)
		}
	}
	if err == nil {
		f, bad := s.filter()
		if err = bad; err == nil {
			err = f.Copy(io.Discard, strings.NewReader(string(text)), expo.Text, s.limit)
			r.In, r.Out = f.SeriesIn, f.SeriesOut
		}
	}
	r.Err = err
	return r
}

// CheckRules tells whether label rules would make one series of two in what the
// sources say. One that does not answer is not judged.
func (a *Agent) CheckRules(ctx context.Context) error {
	for _, s := range a.sources {
		if len(s.Rules.Labels) == 0 {
			continue
		}
		if r := a.check(ctx, s); errors.Is(r.Err, ErrRules) {
			return fmt.Errorf("source %s: %w", s.Name, r.Err)
		} else if r.Err != nil {
			a.cfg.Log.Warn("Whether the label rules make one series of two is not known yet; it is counted", "source", s.Name, "error", words.OneLine(r.Err))
		}
	}
	return nil
}

// text is what a source says, whole. As it is held, one is asked for at a time.
func (a *Agent) text(ctx context.Context, s *source) ([]byte, error) {
	answer, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	most := min(s.limit, int64(a.cfg.Held))
	text, err := io.ReadAll(io.LimitReader(answer, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.URL, err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", s.URL, containers.ErrTooLarge, most)
	}
	return text, nil
}

// Ready tells what is missing: an answer of each page of the kubelet.
func (a *Agent) Ready() error {
	for _, s := range a.sources {
		if _, _, answered, problem := s.state(); s.Kubelet && !answered {
			return fmt.Errorf("%s has not answered yet: %s", s.Name, cmp.Or(problem, "not asked"))
		}
	}
	return nil
}

// Paths of the handlers.
const (
	metricsPath = "/metrics"
	selfPath    = "/metrics/self"
	lookupPath  = "/lookup"
	explainPath = "/debug/explain"
	podsPath    = "/metrics/pods" // of all pods that ask for it
	podPath     = "/metrics/pod"  // of one of them
)

// server is what Serve needs of a serve.Server.
type server interface {
	Handle(pattern string, h http.Handler)
	ReadyWhen(name string, ask func() error)
	SetLanding(serve.Landing)
}

// Serve puts the proxy's pages on its server.
func (a *Agent) Serve(s *serve.Server) { a.serveOn(s) }

func (a *Agent) serveOn(s server) {
	links := []serve.Link{{Path: metricsPath, Text: "All metrics"}}
	s.Handle("GET "+metricsPath, a.page(metricsPath, a.joined))
	s.Handle("GET "+selfPath, a.page(selfPath, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(a.own())
		return err
	}))
	for _, src := range a.sources {
		s.Handle("GET "+src.Path, a.page(src.Path, func(ctx context.Context, w io.Writer) error {
			err := src.fetch(ctx, w)
			a.tell(src, err)
			return err
		}))
		links = append(links, serve.Link{Path: src.Path, Text: src.Name})
	}
	if a.pods != nil {
		a.pods.serve(a, s)
		links = append(links, serve.Link{Path: podsPath, Text: "Pods that ask to be scraped"})
	}
	links = append(links, serve.Link{Path: selfPath, Text: "This program"}, serve.Link{Path: "/readyz", Text: "Readiness"})
	s.Handle("GET "+explainPath, http.HandlerFunc(a.serveExplain))
	s.ReadyWhen("kubelet", a.Ready)
	if a.cfg.Pods != nil {
		s.Handle("GET "+lookupPath, http.HandlerFunc(a.cfg.Pods.ServeLookup))
		s.ReadyWhen("pods", a.cfg.Pods.Ready)
	}
	s.SetLanding(serve.Landing{
		Path: "/{$}", About: "Passes on the container metrics of this node, filtered, with the pod on each series.",
		Links: links, Facts: a.facts,
	})
}

// facts are for people who open the proxy in a browser.
func (a *Agent) facts() []serve.Fact {
	var facts []serve.Fact
	for _, s := range slices.Concat(a.sources, a.pods.all()) {
		s.mu.Lock()
		state := "not asked yet"
		switch {
		case s.heard && s.up:
			state = fmt.Sprintf("up, %s; %d of %d series passed on", s.took.Round(time.Millisecond), s.counts.SeriesOut, s.counts.SeriesIn)
		case s.heard:
			state = s.err
		}
		s.mu.Unlock()
		facts = append(facts, serve.Fact{Name: s.Name + " (" + s.URL + ")", Value: state})
	}
	if a.cfg.Pods != nil {
		state := strconv.Itoa(a.cfg.Pods.Len())
		if err := a.cfg.Pods.Ready(); err != nil {
			state += "; " + err.Error()
		}
		facts = append(facts, serve.Fact{Name: "Pods", Value: state})
	}
	return append(facts, serve.Fact{Name: "Version", Value: version.Info()})
}

// CheckPods asks for the pods of this node and tells how many there are.
func (a *Agent) CheckPods(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Ceiling)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.cfg.PodsFrom.Run(ctx, a.cfg.Pods)
	}()
	defer func() { cancel(); <-done }()
	for {
		err := a.cfg.Pods.Ready()
		if err == nil {
			return a.cfg.Pods.Len(), nil
		}
		if run.Sleep(ctx, 100*time.Millisecond) != nil {
			return 0, err
		}
	}
}
