// Package nodeagent is the node-agent as a value: the collectors, the metrics
// about itself and its page. cmd/node-agent serves it alone, the collector's
// single-process mode beside its own pages.
package nodeagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"watchpost/collectors"
	"watchpost/internal/expo"
	"watchpost/internal/self"
	"watchpost/internal/serve"
)

// Defaults of Config, those of node_exporter where it has them.
const (
	DefaultMaxRequests = 40
	DefaultCeiling     = 10 * time.Second
)

// Config is what a node-agent is made from.
type Config struct {
	Collectors  collectors.Config
	Enabled     []string          // names of collectors
	Labels      map[string]string // on every series
	MaxRequests int               // scrapes worked on at the same time; 0 is no limit
	Ceiling     time.Duration     // the longest that a scrape may take
	HideSelf    bool              // leave out the go_, process_, promhttp_ and watchpost_ metrics
	Log         *slog.Logger
}

// Agent is a node-agent.
type Agent struct {
	cfg     Config
	set     *collectors.Set
	labels  expo.Labels
	counts  *prometheus.Registry // of what the program does beside; nil: nothing
	self    *self.Metrics        // of what it costs
	scrapes atomic.Uint64

	aboutMu   sync.Mutex
	aboutText expo.Writer
}

var (
	buildInfo = expo.Gauge("node_exporter_build_info", "Which build of the program this is; always 1.",
		"branch", "goarch", "goos", "goversion", "revision", "tags", "version")
	scrapesTotal     = expo.Counter("watchpost_scrapes_total", "Requests for metrics that were answered with a collection, their own or a shared one.")
	collectionsTotal = expo.Counter("watchpost_collections_total", "Times the collectors were run; requests at the same time share one.")
)

// DefaultEnabled are the collectors that run unless told otherwise.
func DefaultEnabled() []string {
	var names []string
	for _, c := range collectors.List() {
		if c.On {
			names = append(names, c.Name)
		}
	}
	return names
}

// New makes a node-agent. The error tells what in cfg is wrong.
func New(cfg Config) (*Agent, error) {
	labels, err := expo.ConstLabels(cfg.Labels)
	if err != nil {
		return nil, fmt.Errorf("external label: %w", err)
	}
	cfg.Collectors.Log = cfg.Log
	set, err := collectors.NewSet(cfg.Collectors, cfg.Enabled, labels)
	if err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, set: set, labels: labels, self: self.New()}
	a.aboutText.SetConstLabels(labels)
	return a, nil
}

// Count adds metrics of what the program does beside the agent's work. To be
// called before it is scraped.
func (a *Agent) Count(metrics ...prometheus.Collector) {
	if a.counts == nil {
		a.counts = prometheus.NewRegistry()
	}
	prometheus.WrapRegistererWith(a.cfg.Labels, a.counts).MustRegister(metrics...)
}

// Metrics is the handler for the metrics path. To be called once.
func (a *Agent) Metrics() http.Handler {
	h := serve.Metrics(serve.MetricsConfig{
		Scraper: a, Self: a.counts, Labels: a.labels, HideSelf: a.cfg.HideSelf,
		MaxRequests: a.cfg.MaxRequests, Ceiling: a.cfg.Ceiling, Log: a.cfg.Log,
	})
	for _, f := range []expo.Format{expo.Text, expo.OpenMetrics} {
		a.set.Reserve(f, a.ownFamilies(h, f))
	}
	return h
}

// ownFamilies are the names of the families that are not the collectors', as a
// format spells them.
func (a *Agent) ownFamilies(h *serve.MetricsHandler, f expo.Format) (names []string) {
	text := new(bytes.Buffer)
	a.about(f, func(b []byte) bool { text.Write(b); return true })
	h.WriteSelf(text, f) // a Buffer takes all
	for name := range expo.FamilyNames(text.Bytes()) {
		names = append(names, string(name))
	}
	return names
}

// Scrape implements serve.Scraper. The query's collect[] and exclude[] choose
// collectors, as node_exporter has it.
func (a *Agent) Scrape(r *http.Request, f expo.Format, deadline time.Duration) (serve.Answer, error) {
	req := collectors.Request{Format: f, Deadline: deadline}
	if r.URL.RawQuery != "" {
		q := r.URL.Query()
		req.Only, req.Except = q["collect[]"], q["exclude[]"]
	}
	res, err := a.set.Scrape(r.Context(), req)
	if err != nil {
		if bad := new(collectors.RequestError); errors.As(err, &bad) {
			return nil, fmt.Errorf("%w: %w", serve.ErrBadRequest, err)
		}
		return nil, err
	}
	a.scrapes.Add(1)
	return answer{res, a, f}, nil
}

// answer is the collectors' text and the program's own.
type answer struct {
	*collectors.Result
	agent  *Agent
	format expo.Format
}

// Segments implements serve.Answer.
func (a answer) Segments(yield func([]byte) bool) {
	more := true
	a.Result.Segments(func(b []byte) bool { more = yield(b); return more })
	if more {
		a.agent.about(a.format, yield)
	}
}

// about yields what the agent tells of itself without a registry.
func (a *Agent) about(f expo.Format, yield func([]byte) bool) {
	a.aboutMu.Lock()
	defer a.aboutMu.Unlock()
	w := &a.aboutText
	w.Reset(f)
	w.Sample(buildInfo, 1, version.Branch, runtime.GOARCH, runtime.GOOS, runtime.Version(), version.GetRevision(), version.GetTags(), version.Version)
	if !a.cfg.HideSelf {
		if err := a.self.Write(w); err != nil {
			a.cfg.Log.Debug("The metrics of this program are not complete", "err", err)
		}
		w.Uint(scrapesTotal, a.scrapes.Load())
		w.Uint(collectionsTotal, a.set.Collections())
	}
	yield(w.Bytes())
}

// Landing is the page for people who open the agent in a browser.
func (a *Agent) Landing(metricsPath string) serve.Landing {
	return serve.Landing{
		Path:  "/{$}",
		About: "Tells how this host is, in the metrics of node_exporter.",
		Links: []serve.Link{{Path: metricsPath, Text: "Metrics"}, {Path: "/readyz", Text: "Readiness"}, {Path: "/healthz", Text: "Health"}},
		Facts: a.facts,
	}
}

func (a *Agent) facts() []serve.Fact {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown: " + err.Error()
	}
	fs := a.cfg.Collectors.FS
	return []serve.Fact{
		{Name: "Host", Value: host},
		{Name: "Reads", Value: strings.Join([]string{fs.Proc, fs.Sys, fs.Root}, ", ")},
		{Name: "Collectors", Value: strings.Join(a.set.Names(), ", ")},
		{Name: "Scrapes", Value: strconv.FormatUint(a.scrapes.Load(), 10) + ", by " + strconv.FormatUint(a.set.Collections(), 10) + " collections"},
	}
}

// Check runs every collector once and tells what it can read here.
func (a *Agent) Check(ctx context.Context) []collectors.Report {
	return a.set.Check(ctx, a.cfg.Ceiling)
}
