package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchpost/internal/run"
)

// The custom resource definitions of a cluster, of which only names, scope and
// versions are decoded: with its schemas one of them takes up to a megabyte.
// https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
const (
	crdPath   = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	crdAccept = "application/json"
	// crdPage is how many definitions are asked for at once.
	crdPage = 20
	// A list that takes longer than crdList is given up. A watch is ended by the
	// server after crdWatch to twice that, and given up crdSlack later.
	crdList  = time.Minute
	crdWatch = 5 * time.Minute
	crdSlack = 30 * time.Second
	// After a failure it is tried again in crdFirst, then in twice that, up to crdLast.
	crdFirst = time.Second
	crdLast  = time.Minute
)

// crd is a CustomResourceDefinition.
type crd struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Plural string `json:"plural"`
			Kind   string `json:"kind"`
		} `json:"names"`
		Scope    string `json:"scope"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
		} `json:"versions"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// crdPageOf is a page of their list.
type crdPageOf struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []crd `json:"items"`
}

// crdEvent is an event of their watch.
type crdEvent struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
	Object json.RawMessage `json:"object"`
}

// definition is what is kept of a custom resource definition.
type definition struct {
	group, kind, plural string
	namespaced          bool
	versions            []string // that are served
}

// define is what is kept of c. One that is not established yet, or not any more,
// serves nothing.
func (c *crd) define() definition {
	d := definition{group: c.Spec.Group, kind: c.Spec.Names.Kind, plural: c.Spec.Names.Plural, namespaced: c.Spec.Scope == "Namespaced"}
	for _, condition := range c.Status.Conditions {
		if condition.Type != "Established" || condition.Status != "True" {
			continue
		}
		for _, v := range c.Spec.Versions {
			if v.Served {
				d.versions = append(d.versions, v.Name)
			}
		}
	}
	return d
}

// CustomStats counts what becomes of custom resources. The names that
// kube-state-metrics has are the same here.
type CustomStats struct {
	added, updated, deleted prometheus.Counter
	definitions             prometheus.Gauge
	errors                  *prometheus.CounterVec
	log                     *slog.Logger
}

// NewCustomStats starts at zero, and logs to log.
func NewCustomStats(log *slog.Logger) *CustomStats {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &CustomStats{
		added:   counter("kube_state_metrics_custom_resource_state_add_events_total", "Custom resource definitions that were listed or created."),
		updated: counter("kube_state_metrics_custom_resource_state_update_events_total", "Changes of custom resource definitions."),
		deleted: counter("kube_state_metrics_custom_resource_state_delete_events_total", "Custom resource definitions that were deleted."),
		definitions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kube_state_metrics_custom_resource_state_cache", Help: "Custom resource definitions that are known at present.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kube_state_metrics_custom_resource_state_errors_total",
			Help: "Samples of custom resources that could not be made, by what was wrong.",
		}, []string{"resource", "family", "reason"}),
		log: log,
	}
}

// Collectors are the counts, for a registry.
func (s *CustomStats) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.added, s.updated, s.deleted, s.definitions, s.errors}
}

// customEvents is told what a customWatch finds, by one goroutine.
type customEvents struct {
	// changed tells which resources are there that were not, and which are gone. One
	// that stays is in neither, and is the same *resource as before. The first call
	// comes with the first whole list, and may be about none; others are about some.
	changed func(added, removed []*resource)
	// failed tells that the definitions could not be listed or watched, and with nil
	// that they can again. It is tried again all the time.
	failed func(error)
}

// customWatch keeps up with the custom resource definitions of a cluster and tells
// which of the resources of a configuration are there.
type customWatch struct {
	config      *CustomConfig
	stats       *CustomStats
	events      customEvents
	definitions map[string]definition // by name of the definition
	live        map[customKey]*resource
	told        bool // of the first list
	open        opener
}

// customKey tells resources apart; one of another kind or scope is another.
type customKey struct {
	schema.GroupVersionResource
	kind       string
	namespaced bool
}

// opener makes a GET request of the API server and returns the body of its answer.
// A refusal is an *apierrors.StatusError.
type opener func(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error)

// watchCustom tells events of the resources of a configuration until the context ends.
func watchCustom(ctx context.Context, open opener, c *CustomConfig, stats *CustomStats, events customEvents) {
	w := newCustomWatch(c, stats, events)
	w.open = open
	for pause := crdFirst; ; pause = min(2*pause, crdLast) {
		version, err := w.list(ctx)
		for listed := err == nil; err == nil; {
			if listed {
				listed, pause = false, crdFirst
				events.failed(nil)
			}
			version, err = w.follow(ctx, version)
		}
		if ctx.Err() != nil {
			return
		}
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) { // nothing is wrong: the list is too old to go on from
			pause = crdFirst
		} else {
			events.failed(fmt.Errorf("custom resource definitions: %w", err))
		}
		if run.Sleep(ctx, pause+rand.N(pause)/2) != nil {
			return
		}
	}
}

func newCustomWatch(c *CustomConfig, stats *CustomStats, events customEvents) *customWatch {
	return &customWatch{config: c, stats: stats, events: events, definitions: map[string]definition{}, live: map[customKey]*resource{}}
}

// list reads all definitions, and returns the version to watch from.
func (w *customWatch) list(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, crdList)
	defer cancel()
	all := map[string]definition{}
	for next := ""; ; {
		query := url.Values{"limit": {strconv.Itoa(crdPage)}}
		if next != "" {
			query.Set("continue", next)
		}
		page, err := w.page(ctx, query)
		if err != nil {
			return "", fmt.Errorf("list: %w", err)
		}
		for i := range page.Items {
			c := &page.Items[i]
			all[c.Metadata.Name] = c.define()
		}
		if next = page.Metadata.Continue; next == "" {
			w.replace(all)
			return page.Metadata.ResourceVersion, nil
		}
	}
}

func (w *customWatch) page(ctx context.Context, query url.Values) (page crdPageOf, err error) {
	body, err := w.open(ctx, crdPath, query, crdAccept)
	if err != nil {
		return page, err
	}
	defer body.Close()
	return page, json.NewDecoder(body).Decode(&page)
}

// follow reads what happens to the definitions after a version, until the server
// ends it; then the error is nil, and the version the last one that was seen.
func (w *customWatch) follow(ctx context.Context, version string) (string, error) {
	timeout := crdWatch + rand.N(crdWatch)
	ctx, cancel := context.WithTimeout(ctx, timeout+crdSlack)
	defer cancel()
	body, err := w.open(ctx, crdPath, url.Values{
		"watch": {"1"}, "resourceVersion": {version}, "allowWatchBookmarks": {"true"},
		"timeoutSeconds": {strconv.Itoa(int(timeout.Seconds()))},
	}, crdAccept)
	if err != nil {
		return version, fmt.Errorf("watch: %w", err)
	}
	defer body.Close()
	begun := time.Now()
	for in := json.NewDecoder(body); ; {
		var e crdEvent
		if err := in.Decode(&e); errors.Is(err, io.EOF) && (in.InputOffset() > 0 || time.Since(begun) > crdFirst) {
			return version, nil
		} else if err != nil { // also an end at once, so that a server that only ends watches is not asked without pause
			return version, fmt.Errorf("watch: %w", err)
		}
		if version, err = w.event(&e); err != nil {
			return version, fmt.Errorf("watch: %w", err)
		}
	}
}

// event takes over an event and returns its version.
func (w *customWatch) event(e *crdEvent) (version string, err error) {
	if e.Type == "ERROR" {
		status := &apierrors.StatusError{}
		if err := json.Unmarshal(e.Object, &status.ErrStatus); err != nil {
			return "", err
		}
		return "", status
	}
	var c crd
	if err := json.Unmarshal(e.Object, &c); err != nil {
		return "", fmt.Errorf("event %.20q: %w", e.Type, err)
	}
	switch e.Type {
	case "ADDED":
		w.stats.added.Inc()
	case "MODIFIED":
		w.stats.updated.Inc()
	case "DELETED":
		w.stats.deleted.Inc()
		delete(w.definitions, c.Metadata.Name)
		w.apply()
		return c.Metadata.ResourceVersion, nil
	default: // BOOKMARK
		return c.Metadata.ResourceVersion, nil
	}
	w.definitions[c.Metadata.Name] = c.define()
	w.apply()
	return c.Metadata.ResourceVersion, nil
}

// replace takes over a whole list.
func (w *customWatch) replace(all map[string]definition) {
	for name := range all {
		if _, known := w.definitions[name]; !known {
			w.stats.added.Inc()
		}
	}
	for name := range w.definitions {
		if _, stays := all[name]; !stays {
			w.stats.deleted.Inc()
		}
	}
	w.definitions = all
	w.apply()
}

// apply tells what the definitions change.
func (w *customWatch) apply() {
	w.stats.definitions.Set(float64(len(w.definitions)))
	wanted := map[customKey]definition{}
	for _, d := range w.definitions {
		for _, v := range d.versions {
			wanted[customKey{schema.GroupVersionResource{Group: d.group, Version: v, Resource: d.plural}, d.kind, d.namespaced}] = d
		}
	}
	var added, removed []*resource
	for _, key := range sortedKeys(w.live) {
		if _, ok := wanted[key]; !ok {
			removed = append(removed, w.live[key])
			delete(w.live, key)
		}
	}
	for _, key := range sortedKeys(wanted) {
		if w.live[key] != nil {
			continue
		}
		if r := w.config.resourceOf(wanted[key], key.Version, w.stats); r != nil {
			w.live[key] = r
			added = append(added, r)
		}
	}
	if !w.told || len(added)+len(removed) > 0 {
		w.told = true
		w.events.changed(added, removed)
	}
}

func sortedKeys[V any](m map[customKey]V) []customKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b customKey) int {
		return slices.Compare([]string{a.Group, a.Resource, a.Version, a.kind}, []string{b.Group, b.Resource, b.Version, b.kind})
	})
}
