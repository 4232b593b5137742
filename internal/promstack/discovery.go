package promstack

// Discovery of scrape targets and Alertmanagers. The kinds this program knows
// are those imported here; importing Prometheus' discovery/install would bring
// the client libraries of some twenty clouds.

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/consul"
	_ "github.com/prometheus/prometheus/discovery/dns"
	_ "github.com/prometheus/prometheus/discovery/file"
	_ "github.com/prometheus/prometheus/discovery/http"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/logging"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// newDiscovery makes what finds the targets of scrapes and the
// Alertmanagers. Their work ends with ctx.
func (e *Engine) newDiscovery(ctx context.Context) (targets, managers *finder, watches *kubeWatches, err error) {
	// client-go logs to a process-wide logger of its own; without this its lines
	// would go to standard error in another format.
	klog.SetSlogLogger(e.log.With("component", "kubernetes client"))
	// The role endpoints of many a prometheus.yml is deprecated: said once, not at
	// every watch.
	rest.SetDefaultWarningHandlerWithContext(logging.NewDedupDeprecationWarningLogger())
	if err := discovery.RegisterK8sClientMetricsWithPrometheus(e.reg); err != nil {
		return nil, nil, nil, fmt.Errorf("discovery: %w", err)
	}
	metrics, err := discovery.CreateAndRegisterSDMetrics(e.reg)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("discovery: %w", err)
	}
	if e.known != nil {
		for _, name := range discovery.RegisteredConfigNames() {
			e.known.Enable(features.ServiceDiscoveryProviders, name)
		}
	}
	for _, f := range []struct {
		name string
		to   **finder
	}{{"scrape", &targets}, {"notify", &managers}} {
		*f.to, err = newFinder(ctx, f.name, e.log.With("component", "discovery", "for", f.name), e.reg, metrics, e.cfg.DiscoveryInterval)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("discovery: %w", err)
		}
	}
	return targets, managers, newKubeWatches(e.reg, metrics.MechanismMetrics[(*kubernetes.SDConfig)(nil).Name()]), nil
}

// applyTargets hands the discoveries of all scrape jobs to m.
func applyTargets(m *finder, watches *kubeWatches) func(*config.Config) error {
	return func(c *config.Config) error {
		jobs, err := c.GetScrapeConfigs()
		if err != nil {
			return err
		}
		byJob := make(map[string]discovery.Configs, len(jobs))
		for _, j := range jobs {
			byJob[j.JobName] = watches.share(j.ServiceDiscoveryConfigs)
		}
		return m.ApplyConfig(byJob)
	}
}

// applyAlertmanagers hands the discoveries of all Alertmanagers to m.
func applyAlertmanagers(m *finder) func(*config.Config) error {
	return func(c *config.Config) error {
		sets := make(map[string]discovery.Configs)
		for name, am := range c.AlertingConfig.AlertmanagerConfigs.ToMap() {
			sets[name] = am.ServiceDiscoveryConfigs
		}
		return m.ApplyConfig(sets)
	}
}
