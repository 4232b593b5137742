package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"watchpost/internal/promstack"
)

// feature is a name that Prometheus knows in --enable-feature. A manifest that
// names one without an effect here still starts, with a warning.
type feature struct {
	name   string
	apply  func(*promstack.Config) // nil: no effect
	always bool                    // on without being named
}

var featureTable = []feature{
	{name: "exemplar-storage", apply: func(c *promstack.Config) { c.Storage.Exemplars = true }},
	{name: "promql-experimental-functions", apply: experimentalPromQL},
	{name: "promql-extended-range-selectors", apply: experimentalPromQL},
	{name: "promql-binop-fill-modifiers", apply: experimentalPromQL},
	{name: "promql-duration-expr", always: true},
	{name: "memory-snapshot-on-shutdown", always: true},
	{name: "native-histograms", always: true}, // by job, with scrape_native_histograms
	{name: "ooo-native-histograms", always: true},

	{name: "auto-reload-config", always: true}, // as --config.auto-reload, see flags.options
	{name: "concurrent-rule-eval", apply: func(c *promstack.Config) { c.Alerts.ConcurrentRules = true }},
	{name: "created-timestamp-zero-ingestion"},
	{name: "delayed-compaction", apply: func(c *promstack.Config) { c.Storage.Delayed = true }},
	{name: "extra-scrape-metrics"},
	{name: "fast-startup"},
	{name: "histograms-st-encoding", apply: func(c *promstack.Config) { c.Storage.HistogramStart = true }},
	{name: "metadata-wal-records"},
	{name: "old-ui"},
	{name: "openmetrics2"},
	{name: "otlp-deltatocumulative", apply: func(c *promstack.Config) { c.API.OTLPToCumulative = true }},
	{name: "otlp-native-delta-ingestion", apply: func(c *promstack.Config) { c.API.OTLPNativeDelta = true }},
	{name: "promql-delayed-name-removal", apply: func(c *promstack.Config) { c.Query.DelayedNameRemoval = true }},
	{name: "promql-per-step-stats", apply: func(c *promstack.Config) { c.Query.PerStepStats = true }},
	{name: "search-api", apply: func(c *promstack.Config) { c.API.Search = true }},
	{name: "st-storage"},
	{name: "st-synthesis"},
	{name: "type-and-unit-labels"},
	{name: "use-start-timestamps"},
	{name: "use-uncached-io", apply: func(c *promstack.Config) { c.Storage.UncachedIO = true }},
	{name: "xor2-encoding", apply: func(c *promstack.Config) { c.Storage.XOR2 = true }},
	{name: "zstd-scrape"},
}

func experimentalPromQL(c *promstack.Config) { c.Query.Experimental = true }

// featureNames are those that change something.
func featureNames() []string {
	var names []string
	for _, f := range featureTable {
		if f.apply != nil {
			names = append(names, f.name)
		}
	}
	return names
}

// enableFeatures turns features on; each item may hold several names.
func enableFeatures(items []string, c *promstack.Config, log *slog.Logger) error {
	for _, item := range items {
		for name := range strings.SplitSeq(item, ",") {
			i := slices.IndexFunc(featureTable, func(f feature) bool { return f.name == name })
			if i < 0 {
				return fmt.Errorf("--enable-feature %q is unknown; there are %s", name, strings.Join(featureNames(), ", "))
			}
			switch f := featureTable[i]; {
			case f.apply != nil:
				f.apply(c)
			case !f.always:
				log.Warn("A feature of Prometheus has no effect here", "enable-feature", name)
			}
		}
	}
	if c.API.OTLPToCumulative && c.API.OTLPNativeDelta {
		return errors.New("--enable-feature: otlp-deltatocumulative and otlp-native-delta-ingestion do not go together")
	}
	return nil
}

// namesFeature tells whether a feature is among the items.
func namesFeature(items []string, name string) bool {
	return slices.ContainsFunc(items, func(item string) bool {
		return slices.Contains(strings.Split(item, ","), name)
	})
}
