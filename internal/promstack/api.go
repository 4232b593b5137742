package promstack

// The HTTP API: Prometheus' own /api/v1, on the parts of this engine.

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/regexp"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/httputil"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"watchpost/internal/scraper"
)

// APIConfig is what the HTTP API says about the program and lets clients do.
type APIConfig struct {
	ExternalURL         *url.URL          // how others reach the program; used in links of alerts
	ListenAddress       string            // host:port of the first listener, to tell own targets apart
	Flags               map[string]string // shown by /api/v1/status/flags
	Origins             *regexp.Regexp    // web origins that may read the API; nil allows the program's own pages only
	Admin               bool              // delete series, clean tombstones, snapshot
	RemoteWriteReceiver bool              // POST /api/v1/write
	OTLPReceiver        bool              // POST /api/v1/otlp/v1/metrics

	ReadSampleLimit int // samples in one remote read answer (50 million)
	ReadConcurrency int // remote reads at a time (10)
	ReadFrameBytes  int // bytes in one frame of a streamed remote read (1 MiB)

	NoteReaders   int      // clients of the live notifications, each of which holds a connection (16)
	WriteMessages []string // names of the messages that the receiver of remote write takes (both)

	Search      bool // the experimental search for names
	SearchLimit int  // most results of it; 0 is no bound

	OTLPToCumulative bool // add up what OTLP sends as differences
	OTLPNativeDelta  bool // keep what OTLP sends as differences as it is
}

func (c *APIConfig) setDefaults() {
	if c.ExternalURL == nil {
		c.ExternalURL = &url.URL{Scheme: "http", Host: "localhost:9090"}
	}
	if c.ListenAddress == "" {
		c.ListenAddress = c.ExternalURL.Host
	}
	if c.Origins == nil {
		c.Origins = regexp.MustCompile("^$")
	}
	orInt(&c.ReadSampleLimit, 50_000_000)
	orInt(&c.ReadConcurrency, 10)
	orInt(&c.ReadFrameBytes, 1<<20)
	orInt(&c.NoteReaders, 16)
	if len(c.WriteMessages) == 0 {
		c.WriteMessages = remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}.Strings()
	}
}

func (c *APIConfig) writeMessages() (types remoteapi.MessageTypes) {
	for _, m := range c.WriteMessages {
		types = append(types, remoteapi.WriteMessageType(m))
	}
	return types
}

// Handler serves the paths below /api/v1, which the caller has stripped off.
// Until the engine is ready it answers 503, except for the progress of the start
// (/status/walreplay).
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", e.gate.through(func(s served) http.Handler { return s.api }))
	mux.HandleFunc("GET /status/walreplay", e.serveReplay)
	mux.HandleFunc("GET /openapi.yaml", e.serveOpenAPI)
	return mux
}

// serveOpenAPI describes the API. The description is made anew each time: it is
// asked for rarely, and the one that the API makes at its start and keeps would
// be half of the heap of a collector that watches one host. That one is
// therefore told to describe no path (see newAPI).
func (e *Engine) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	apiv1.NewOpenAPIBuilder(e.openAPI(), e.log).ServeOpenAPI(w, r)
}

func (e *Engine) openAPI() apiv1.OpenAPIOptions {
	return apiv1.OpenAPIOptions{ExternalURL: e.cfg.API.ExternalURL.String(), Version: engineVersion().Version}
}

// serveReplay is /api/v1/status/walreplay, which clients poll during a start.
func (e *Engine) serveReplay(w http.ResponseWriter, _ *http.Request) {
	type progress struct {
		Min     int `json:"min"`
		Max     int `json:"max"`
		Current int `json:"current"`
	}
	s := e.replay.Head.WALReplayStatus.GetWALReplayStatus()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Status string   `json:"status"`
		Data   progress `json:"data"`
	}{"success", progress{s.Min, s.Max, s.Current}})
}

// apiParts are those parts of the engine that the API asks. In agent mode all but
// store, dir and scrapes are nil, and are not asked.
type apiParts struct {
	queries   promql.QueryEngine
	store     storage.Storage // asked, and given what is received
	exemplars storage.ExemplarQueryable
	db        apiv1.TSDBAdminStats
	dir       string
	scrapes   *scraper.Manager
	rules     *rules.Manager
	alerts    *notifier.Manager
}

// newAPI builds the API on the parts of the engine.
func (e *Engine) newAPI(p apiParts) http.Handler {
	c := &e.cfg.API
	version := engineVersion()
	api := apiv1.NewAPI(
		p.queries, p.store,
		p.store, p.store,
		p.exemplars,
		func(context.Context) apiv1.ScrapePoolsRetriever { return p.scrapes },
		func(context.Context) apiv1.TargetRetriever { return p.scrapes },
		func(context.Context) apiv1.AlertmanagerRetriever { return p.alerts },
		func() config.Config { return *e.reloads.current.Load() },
		c.Flags,
		apiv1.GlobalURLOptions{ListenAddress: c.ListenAddress, Host: c.ExternalURL.Host, Scheme: c.ExternalURL.Scheme},
		func(f http.HandlerFunc) http.HandlerFunc { return f }, // the gate has asked already
		p.db, p.dir,
		c.Admin,
		c.Search, c.SearchLimit,
		e.log.With("component", "api"),
		func(context.Context) apiv1.RulesRetriever { return p.rules },
		c.ReadSampleLimit, c.ReadConcurrency, c.ReadFrameBytes,
		e.cfg.Agent.Enabled,
		c.Origins,
		e.runtimeInfo(time.Now()),
		&version,
		e.notes.Get, e.notes.Sub,
		e.reg, e.reg,
		nil, // the ordinary statistics
		c.RemoteWriteReceiver,
		c.writeMessages(),
		c.OTLPReceiver,
		c.OTLPToCumulative, c.OTLPNativeDelta,
		false, // start timestamps as zero samples
		e.cfg.Query.Lookback,
		false, false, // type and unit labels, metadata in the log
		nil, // the ordinary codes of errors
		e.known,
		apiv1.OpenAPIOptions{IncludePaths: []string{"none"}},
		e.parser,
	)
	e.known.Set(features.Prometheus, "agent_mode", e.cfg.Agent.Enabled)
	e.known.Set(features.Prometheus, "server_mode", !e.cfg.Agent.Enabled)
	e.known.Set(features.API, "admin", c.Admin)
	e.known.Set(features.API, "remote_write_receiver", c.RemoteWriteReceiver)
	e.known.Set(features.API, "otlp_write_receiver", c.OTLPReceiver)

	paths := newPathMetrics(e.reg)
	router := route.New().WithInstrumentation(func(path string, h http.HandlerFunc) http.HandlerFunc {
		return withPath(paths.measure("/api/v1"+path, h))
	})
	api.Register(router)
	return router
}

// withPath notes the request's path for the query log.
func withPath(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r.WithContext(httputil.ContextWithPath(r.Context(), "/api/v1"+r.URL.Path)))
	}
}

// pathMetrics count and time the requests of each path, under the names that
// dashboards for Prometheus ask for.
type pathMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.HistogramVec
}

func newPathMetrics(reg prometheus.Registerer) *pathMetrics {
	m := &pathMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prometheus_http_requests_total",
			Help: "HTTP requests answered.",
		}, []string{"handler", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "prometheus_http_request_duration_seconds",
			Help:    "Time to answer an HTTP request.",
			Buckets: []float64{.1, .2, .4, 1, 3, 8, 20, 60, 120},
		}, []string{"handler"}),
		bytes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "prometheus_http_response_size_bytes",
			Help:    "Size of HTTP answers.",
			Buckets: prometheus.ExponentialBuckets(100, 10, 8),
		}, []string{"handler"}),
	}
	reg.MustRegister(m.requests, m.seconds, m.bytes)
	return m
}

func (m *pathMetrics) measure(path string, h http.HandlerFunc) http.HandlerFunc {
	own := prometheus.Labels{"handler": path}
	return promhttp.InstrumentHandlerCounter(m.requests.MustCurryWith(own),
		promhttp.InstrumentHandlerDuration(m.seconds.MustCurryWith(own),
			promhttp.InstrumentHandlerResponseSize(m.bytes.MustCurryWith(own), h)))
}

// runtimeInfo answers /api/v1/status/runtimeinfo for a process begun at birth.
func (e *Engine) runtimeInfo(birth time.Time) func() (apiv1.RuntimeInfo, error) {
	return func() (apiv1.RuntimeInfo, error) {
		info := apiv1.RuntimeInfo{
			StartTime:        birth.UTC(),
			ServerTime:       time.Now().UTC(),
			GoroutineCount:   runtime.NumGoroutine(),
			GOMAXPROCS:       runtime.GOMAXPROCS(0),
			GOMEMLIMIT:       debug.SetMemoryLimit(-1),
			GODEBUG:          os.Getenv("GODEBUG"),
			StorageRetention: e.retentionText(),
		}
		info.GOGC = strconv.Itoa(e.reloads.current.Load().Runtime.GoGC)
		info.ReloadConfigSuccess = e.reloads.good.Load()
		info.LastConfigTime = time.UnixMilli(e.reloads.since.Load()).UTC()
		info.CWD, _ = os.Getwd()
		var err error
		if info.Hostname, err = os.Hostname(); err != nil {
			return info, err
		}
		families, err := e.reg.Gather()
		for _, f := range families {
			if f.GetName() == "prometheus_tsdb_wal_corruptions_total" {
				info.CorruptionCount = int64(f.GetMetric()[0].GetCounter().GetValue())
			}
		}
		return info, err
	}
}

// retentionText is the retention in force, such as "15d or 512MiB".
func (e *Engine) retentionText() string {
	if e.cfg.Agent.Enabled {
		return ""
	}
	r := e.reloads.current.Load().StorageConfig.TSDBConfig.Retention
	var limits []string
	if r.Time != 0 {
		limits = append(limits, r.Time.String())
	}
	if r.Size != 0 {
		limits = append(limits, r.Size.String())
	}
	if r.Percentage != 0 {
		limits = append(limits, strconv.FormatFloat(r.Percentage, 'g', -1, 64)+"%")
	}
	return strings.Join(limits, " or ")
}

// engineVersion is the version of Prometheus inside, by which clients such as
// Grafana decide what the API can do. As a library its 3.15.0 is called v0.315.0.
func engineVersion() apiv1.PrometheusVersion {
	v := apiv1.PrometheusVersion{Version: "unknown", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/prometheus/prometheus" {
			v.Version = programVersion(dep.Version)
		}
	}
	return v
}

// programVersion turns v0.315.2 into 3.15.2: the second number of the library
// is the first of the program and two digits of its second.
func programVersion(library string) string {
	parts := strings.Split(strings.TrimPrefix(library, "v"), ".")
	if len(parts) != 3 || parts[0] != "0" {
		return strings.TrimPrefix(library, "v")
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return library
	}
	return strconv.Itoa(n/100) + "." + strconv.Itoa(n%100) + "." + parts[2]
}
