package stateagent

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"watchpost/internal/expo"
	"watchpost/internal/serve"
)

// What the agent tells of itself, by the names that kube-state-metrics has.

var buildInfo = expo.Gauge("kube_state_metrics_build_info", "Which build of the program this is; always 1.",
	"branch", "client_go_version", "goarch", "goos", "goversion", "revision", "tags", "version")

// shardMetrics tell which part of the cluster is shown.
type shardMetrics struct {
	ordinal *prometheus.GaugeVec
	total   prometheus.Gauge
}

func newShardMetrics(r prometheus.Registerer) *shardMetrics {
	m := &shardMetrics{
		ordinal: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kube_state_metrics_shard_ordinal", Help: "Which shard this is, from 0."}, []string{"shard_ordinal"}),
		total: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kube_state_metrics_total_shards", Help: "Number of shards."}),
	}
	r.MustRegister(m.ordinal, m.total)
	return m
}

func (m *shardMetrics) set(shard, shards int) {
	m.ordinal.Reset()
	m.ordinal.WithLabelValues(strconv.Itoa(shard)).Set(float64(shard))
	m.total.Set(float64(shards))
}

// Most scrapes of the agent's own metrics at once, and the longest that one takes.
const (
	telemetryRequests = 10
	telemetryCeiling  = 10 * time.Second
)

// telemetry is the handler of the agent's own metrics.
func (a *Agent) telemetry() http.Handler {
	return serve.Metrics(serve.MetricsConfig{
		Scraper: a, Self: a.own, MaxRequests: telemetryRequests, Ceiling: telemetryCeiling, Log: a.cfg.Log,
	})
}

// Scrape implements serve.Scraper: what the agent tells of itself.
func (a *Agent) Scrape(_ *http.Request, f expo.Format, _ time.Duration) (serve.Answer, error) {
	var w expo.Writer
	w.Reset(f)
	w.Sample(buildInfo, 1, version.Branch, clientVersion(), runtime.GOARCH, runtime.GOOS, runtime.Version(), version.GetRevision(), version.GetTags(), version.Version)
	a.view().cluster.Write(&w)
	if err := a.self.Write(&w); err != nil {
		a.cfg.Log.Debug("The metrics of this program are not complete", "error", err)
	}
	return &about{text: w.Bytes()}, nil
}

// clientVersion is that of the Kubernetes client library in this program.
var clientVersion = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "k8s.io/client-go" {
				return m.Version
			}
		}
	}
	return "unknown"
})

// about is an answer that belongs to one request.
type about struct{ text []byte }

// Segments implements serve.Answer.
func (a *about) Segments(yield func([]byte) bool) { yield(a.text) }

// Page implements serve.Answer.
func (*about) Page(_ any, make func() ([]byte, error)) ([]byte, error) { return make() }

// Release implements serve.Answer.
func (*about) Release() {}
