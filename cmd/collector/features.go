package main

import (
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

	{name: "auto-reload-config"},
	{name: "concurrent-rule-eval"},
	{name: "created-timestamp-zero-ingestion"},
	{name: "delayed-compaction"},
	{name: "extra-scrape-metrics"},
	{name: "fast-startup"},
	{name: "histograms-st-encoding"},
	{name: "metadata-wal-records"},
	{name: "old-ui"},
	{name: "openmetrics2"},
	{name: "otlp-deltatocumulative"},
	{name: "otlp-native-delta-ingestion"},
	{name: "promql-delayed-name-removal"},
	{name: "promql-per-step-stats"},
	{name: "search-api"},
	{name: "st-storage"},
	{name: "st-synthesis"},
	{name: "type-and-unit-labels"},
	{name: "use-start-timestamps"},
	{name: "use-uncached-io"},
	{name: "xor2-encoding"},
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
	return nil
}
