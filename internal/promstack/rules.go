package promstack

// Recording and alerting rules, and the delivery of alerts to Alertmanager.

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/rules"
)

// AlertsConfig bounds the alerting rules and the delivery to Alertmanager.
type AlertsConfig struct {
	OutageTolerance time.Duration // how long a pause may be for the "for" state to survive it (1h)
	GracePeriod     time.Duration // least time between a restored "for" state and the alert (10m)
	ResendDelay     time.Duration // least time between two deliveries of one alert (1m)
	QueueCapacity   int           // undelivered notifications kept (10000)
	BatchSize       int           // notifications in one request (256)
	DropAtStop      bool          // do not send what waits at a stop

	ConcurrentRules    bool  // evaluate rules that do not need one another at the same time
	MaxConcurrentRules int64 // how many of them (4)
}

func (c *AlertsConfig) setDefaults() {
	orDuration(&c.OutageTolerance, time.Hour)
	orDuration(&c.GracePeriod, 10*time.Minute)
	orDuration(&c.ResendDelay, time.Minute)
	orInt(&c.QueueCapacity, 10_000)
	orInt(&c.BatchSize, notifier.DefaultMaxBatchSize)
	if c.MaxConcurrentRules == 0 {
		c.MaxConcurrentRules = 4
	}
}

// newNotifier makes the sender of alerts. At a stop it sends what is queued,
// until late ends.
func (e *Engine) newNotifier(late context.Context) *notifier.Manager {
	return notifier.NewManager(&notifier.Options{
		QueueCapacity:   e.cfg.Alerts.QueueCapacity,
		MaxBatchSize:    e.cfg.Alerts.BatchSize,
		DrainOnShutdown: !e.cfg.Alerts.DropAtStop,
		Registerer:      e.reg,
		Do: func(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, error) {
			// The caller reads the answer after Do has returned and then ends its
			// context: that, not the return, is where the cut is forgotten.
			cuttable, cut := context.WithCancel(ctx)
			forget := context.AfterFunc(late, cut)
			context.AfterFunc(ctx, func() { forget() })
			return client.Do(req.WithContext(cuttable))
		},
	}, e.first.GlobalConfig.MetricNameValidationScheme, e.log.With("component", "notifier"))
}

// newRules makes the evaluator of rules; the end of late cuts evaluations off.
func (e *Engine) newRules(late context.Context, s *stores, q *queries, n *notifier.Manager) *rules.Manager {
	return rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: e.first.GlobalConfig.MetricNameValidationScheme,
		Appendable:           s.all,
		Queryable:            s.local,
		QueryFunc:            rules.EngineQueryFunc(q.Engine, s.all),
		NotifyFunc:           rules.SendAlerts(n, e.cfg.API.ExternalURL.String()),
		Context:              late,
		ExternalURL:          e.cfg.API.ExternalURL,
		Registerer:           e.reg,
		Logger:               e.log.With("component", "rules"),
		OutageTolerance:      e.cfg.Alerts.OutageTolerance,
		ForGracePeriod:       e.cfg.Alerts.GracePeriod,
		ResendDelay:          e.cfg.Alerts.ResendDelay,

		ConcurrentEvalsEnabled: e.cfg.Alerts.ConcurrentRules,
		MaxConcurrentEvals:     e.cfg.Alerts.MaxConcurrentRules,
		DefaultRuleQueryOffset: func() time.Duration {
			return time.Duration(e.reloads.current.Load().GlobalConfig.RuleQueryOffset)
		},
		FeatureRegistry: e.known,
		Parser:          e.parser,
	})
}

// applyRules loads the rule files that the configuration names now.
func (e *Engine) applyRules(m *rules.Manager) func(*config.Config) error {
	return func(c *config.Config) error {
		files, err := ruleFiles(c)
		if err != nil {
			return err
		}
		return m.Update(time.Duration(c.GlobalConfig.EvaluationInterval), files,
			c.GlobalConfig.ExternalLabels, e.cfg.API.ExternalURL.String(), nil)
	}
}

// ruleFiles are the files that the patterns under rule_files match.
func ruleFiles(c *config.Config) ([]string, error) {
	var files []string
	for _, pattern := range c.RuleFiles {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("rule_files: %q: %w", pattern, err)
		}
		files = append(files, found...)
	}
	return files, nil
}
