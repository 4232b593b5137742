package promstack

// Shards: several collectors with one configuration that divide its targets among
// them, and the labels by which what they send is told apart.

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// UnshardedLabel, where a target has it with any value, keeps the target in every
// shard. The name is that of the Prometheus operator.
const UnshardedLabel = "__tmp_disable_sharding"

// shardLabel holds a target's shard while its labels are made.
const shardLabel = "__tmp_watchpost_shard"

// Shard is the part of the targets that a collector scrapes.
type Shard struct {
	Index int // from 0
	Total int // 1, or 0, is one collector for everything
}

// rules are the last two steps of each job. What is hashed is where a target is, as
// its own rules have left it: the address alone would be the same for all that are
// reached through the API server or a prober.
func (s Shard) rules() []*relabel.Config {
	hash, keep := relabel.DefaultRelabelConfig, relabel.DefaultRelabelConfig
	hash.Action = relabel.HashMod
	hash.SourceLabels = model.LabelNames{model.AddressLabel, model.MetricsPathLabel, model.ParamLabelPrefix + "target"}
	hash.Modulus, hash.TargetLabel = uint64(s.Total), shardLabel
	keep.Action = relabel.Keep
	keep.SourceLabels = model.LabelNames{shardLabel, UnshardedLabel}
	keep.Regex = relabel.MustNewRegexp(fmt.Sprintf("%d;|.+;.+", s.Index))
	rules := []*relabel.Config{&hash, &keep}
	for _, r := range rules {
		r.NameValidationScheme = model.UTF8Validation
	}
	return rules
}

// divide adds the rules of the shard to all jobs, those of scrape files included.
func (s Shard) divide(c *config.Config) error {
	if s.Total <= 1 {
		return nil
	}
	jobs, err := c.GetScrapeConfigs()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		j.RelabelConfigs = append(j.RelabelConfigs, s.rules()...)
	}
	c.ScrapeConfigs, c.ScrapeConfigFiles = jobs, nil
	return nil
}

// SetShard makes the engine scrape another part of the targets, at once where it runs.
func (e *Engine) SetShard(s Shard) error {
	e.shard.Store(&s)
	if err := e.Reload(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return nil
}

// source is where the configuration comes from, with the shard as it is.
func (e *Engine) source() Source {
	s := e.cfg.Source
	if shard := e.shard.Load(); shard != nil {
		s.Shard = *shard
	}
	return s
}

// withLabels adds labels to the external ones of a configuration; they count before
// those of the file.
func withLabels(c *config.Config, add map[string]string) {
	if len(add) == 0 {
		return
	}
	b := labels.NewBuilder(c.GlobalConfig.ExternalLabels)
	for name, value := range add {
		b.Set(name, value)
	}
	c.GlobalConfig.ExternalLabels = b.Labels()
}

// currentShard is nil until SetShard is called.
type currentShard = atomic.Pointer[Shard]
