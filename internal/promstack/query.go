package promstack

// The PromQL engine and its bounds.

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/logging"
)

// QueryConfig bounds what one query and all queries together may cost.
type QueryConfig struct {
	Timeout        time.Duration // per query (2m)
	MaxConcurrency int           // queries at a time (20)
	MaxSamples     int           // samples of 16 bytes or more that one query may hold (50 million)
	Lookback       time.Duration // age at which a sample no longer counts as current (5m)
	// Experimental lets queries use functions and syntax that Prometheus keeps
	// behind --enable-feature.
	Experimental bool

	DelayedNameRemoval bool // drop the name of a metric at the end of a query, not in the middle
	PerStepStats       bool // statistics of each step, where they are asked for
}

func (c *QueryConfig) setDefaults() {
	orDuration(&c.Timeout, 2*time.Minute)
	orInt(&c.MaxConcurrency, 20)
	orInt(&c.MaxSamples, 50_000_000)
	orDuration(&c.Lookback, 5*time.Minute)
}

// parser is the one language for queries, rules and checks.
func (c *QueryConfig) parser() parser.Parser {
	return parser.NewParser(parser.Options{
		ExperimentalDurationExpr:     true, // on in the Prometheus program, off in the library
		EnableExperimentalFunctions:  c.Experimental,
		EnableExtendedRangeSelectors: c.Experimental,
		EnableBinopFillModifiers:     c.Experimental,
	})
}

// queries is the query engine with what a configuration changes about it.
type queries struct {
	*promql.Engine
	subqueryStep atomic.Int64 // ms; step of a subquery that names none
}

func (e *Engine) newQueries() (*queries, error) {
	// Remembers running queries in a file, so that a crash can be told from the
	// log of the next start. It refuses a query beyond MaxConcurrency.
	tracker, err := promql.NewActiveQueryTracker(e.cfg.Storage.Dir, e.cfg.Query.MaxConcurrency, e.log.With("component", "query tracker"))
	if err != nil {
		return nil, dirError(e.cfg.Storage.Dir, err)
	}
	q := &queries{}
	q.subqueryStep.Store(time.Duration(config.DefaultGlobalConfig.EvaluationInterval).Milliseconds())
	q.Engine = promql.NewEngine(promql.EngineOpts{
		Logger:                   e.log.With("component", "query"),
		Reg:                      e.reg,
		MaxSamples:               e.cfg.Query.MaxSamples,
		Timeout:                  e.cfg.Query.Timeout,
		ActiveQueryTracker:       tracker,
		LookbackDelta:            e.cfg.Query.Lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return q.subqueryStep.Load() },
		// Off in the library, part of the language since Prometheus 2.33.
		EnableAtModifier:     true,
		EnableNegativeOffset: true,

		EnableDelayedNameRemoval: e.cfg.Query.DelayedNameRemoval,
		EnablePerStepStats:       e.cfg.Query.PerStepStats,
		FeatureRegistry:          e.known,
		Parser:                   e.parser,
	})
	return q, nil
}

// apply takes the query log and the step of subqueries from c.
func (q *queries) apply(c *config.Config) error {
	q.subqueryStep.Store(time.Duration(c.GlobalConfig.EvaluationInterval).Milliseconds())
	if c.GlobalConfig.QueryLogFile == "" {
		q.SetQueryLogger(nil)
		return nil
	}
	l, err := logging.NewJSONFileLogger(c.GlobalConfig.QueryLogFile)
	if err != nil {
		return fmt.Errorf("query_log_file: %w", err)
	}
	q.SetQueryLogger(l)
	return nil
}
