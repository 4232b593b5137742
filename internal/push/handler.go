package push

// The paths, as pushgateway has them below its route prefix:
//
//	GET              /metrics
//	PUT POST DELETE  /metrics/job/JOB{/LABEL/VALUE}   and /metrics/job@base64/…
//	GET              /api/v1/metrics  /api/v1/status
//	PUT              /api/v1/admin/wipe
//	GET              /-/healthy  /-/ready

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protodelim"

	"watchpost/internal/serve"
)

// Handler serves all paths. They come without the prefix below which they are,
// and uncleaned: "//" in a path is an empty value.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelError), MaxRequestsInFlight: maxScrapes,
	}))
	mux.Handle("GET /api/v1/metrics", g.counted("api/v1/metrics", g.listGroups))
	mux.Handle("GET /api/v1/status", g.counted("api/v1/status", g.status))
	if g.cfg.Admin {
		mux.Handle("PUT /api/v1/admin/wipe", g.counted("wipe", g.wipe))
	}
	for path, name := range map[string]string{"GET /-/healthy": "healthy", "GET /-/ready": "ready"} {
		mux.Handle(path, g.counted(name, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "OK") }))
	}
	pushes := http.StripPrefix("/metrics", g.Pushes())
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/metrics/") {
			pushes.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// Pushes serves what stands behind /metrics in a push: /job/JOB and so on.
func (g *Gateway) Pushes() http.Handler {
	p := &pusher{Gateway: g, methods: map[string]http.Handler{http.MethodDelete: g.counted("delete", g.delete)}}
	for method, replace := range map[string]bool{http.MethodPut: true, http.MethodPost: false} {
		p.methods[method] = promhttp.InstrumentHandlerRequestSize(g.metrics.size,
			promhttp.InstrumentHandlerDuration(g.metrics.seconds,
				g.counted("push", func(w http.ResponseWriter, r *http.Request) { g.push(w, r, replace) })))
	}
	// A page of another site must not push from its reader's browser.
	return http.NewCrossOriginProtection().Handler(p)
}

func (g *Gateway) counted(name string, h http.HandlerFunc) http.Handler {
	return promhttp.InstrumentHandlerCounter(g.metrics.requests.MustCurryWith(prometheus.Labels{"handler": name}), h)
}

// pusher serves pushes and deletions.
type pusher struct {
	*Gateway
	methods map[string]http.Handler
}

// ServeHTTP implements http.Handler.
func (p *pusher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := p.methods[r.Method]
	switch {
	case !strings.HasPrefix(r.URL.Path, "/job/") && !strings.HasPrefix(r.URL.Path, "/job"+base64Suffix+"/"):
		http.NotFound(w, r)
	case !ok:
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(p.methods)), ", "))
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	default:
		h.ServeHTTP(w, r)
	}
}

// maxError bounds the text of an answer, which may quote what was pushed.
const maxError = 2 << 10

func refuse(w http.ResponseWriter, status int, err error) {
	text := err.Error()
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	http.Error(w, text, status)
}

// push takes families into a group.
func (g *Gateway) push(w http.ResponseWriter, r *http.Request, replace bool) {
	labels, err := parseKey(r.URL.Path, g.cfg.scheme())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-r.Context().Done():
		return
	}
	families, err := g.read(r)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), errors.Is(err, errLarge):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("%w of %d bytes", errLarge, g.cfg.MaxBody))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
		return
	}
	err = g.change(func(s *store) error { return s.push(labels, families, replace, g.now()) })
	switch {
	case errors.Is(err, errFull):
		g.cfg.Log.Warn("A push found no room", "group", labels, "from", r.RemoteAddr, "err", err)
		refuse(w, http.StatusServiceUnavailable, err)
	case err != nil:
		g.cfg.Log.Warn("A push was refused", "group", labels, "from", r.RemoteAddr, "err", err)
		refuse(w, http.StatusBadRequest, fmt.Errorf("pushed metrics are invalid or inconsistent with existing metrics: %w", err))
	}
}

// delete forgets a group; that it is not there is no error.
func (g *Gateway) delete(w http.ResponseWriter, r *http.Request) {
	labels, err := parseKey(r.URL.Path, g.cfg.scheme())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	g.change(func(s *store) error { s.remove(keyOf(labels)); return nil })
	w.WriteHeader(http.StatusAccepted)
}

// wipe forgets all groups.
func (g *Gateway) wipe(w http.ResponseWriter, _ *http.Request) {
	g.change(func(s *store) error {
		for key := range s.groups {
			s.remove(key)
		}
		return nil
	})
	g.cfg.Log.Info("All pushed metrics were deleted")
	w.WriteHeader(http.StatusAccepted)
}

// errLarge is of a push that is larger than allowed.
var errLarge = errors.New("the push is larger than the limit")

// read reads the families of a request.
func (g *Gateway) read(r *http.Request) (map[string]*dto.MetricFamily, error) {
	in := io.Reader(http.MaxBytesReader(nil, r.Body, g.cfg.MaxBody))
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = &limited{z, g.cfg.MaxBody}
	case "snappy": // in frames
		in = &limited{snappy.NewReader(in), g.cfg.MaxBody}
	}
	return g.decode(in, r.Header.Get("Content-Type"))
}

// limited fails, unlike io.LimitReader, where there is more than it may read.
type limited struct {
	io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.Reader.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errLarge
	}
	return n, err
}

// decode reads delimited protobuf where the content type says so, the text format
// otherwise.
func (g *Gateway) decode(in io.Reader, contentType string) (map[string]*dto.MetricFamily, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/vnd.google.protobuf" || params["encoding"] != "delimited" || params["proto"] != "io.prometheus.client.MetricFamily" {
		parser := expfmt.NewTextParser(g.cfg.scheme())
		return parser.TextToMetricFamilies(in)
	}
	families := make(map[string]*dto.MetricFamily)
	buffered := bufio.NewReader(in)
	limits := protodelim.UnmarshalOptions{MaxSize: g.cfg.MaxBody}
	for {
		mf := new(dto.MetricFamily)
		switch err := limits.UnmarshalFrom(buffered, mf); {
		case errors.Is(err, io.EOF):
			return families, nil
		case err != nil:
			return nil, err
		}
		families[mf.GetName()] = mf
	}
}

// answer is an answer of the API.
func answer(w http.ResponseWriter, data any) {
	serve.WriteJSON(w, http.StatusOK, map[string]any{"status": "success", "data": data})
}

func (g *Gateway) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"flags": g.cfg.Flags, "start_time": g.born, "build_information": g.cfg.Build})
}

// apiFamily is a family in the API.
type apiFamily struct {
	Timestamp time.Time        `json:"time_stamp"`
	Type      string           `json:"type"`
	Help      string           `json:"help,omitempty"`
	Metrics   []map[string]any `json:"metrics"`
}

func (g *Gateway) listGroups(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	groups := make([]*group, 0, len(g.store.groups))
	for _, key := range slices.Sorted(maps.Keys(g.store.groups)) {
		groups = append(groups, g.store.groups[key]) // which is replaced as a whole, never changed
	}
	g.mu.Unlock()
	list := make([]map[string]any, 0, len(groups))
	for _, gr := range groups {
		one := map[string]any{"labels": gr.labels, "last_push_successful": seconds(gr, failedName) <= seconds(gr, pushName)}
		for n, f := range gr.families {
			shown := apiFamily{Timestamp: f.at, Type: f.mf.GetType().String(), Help: f.mf.GetHelp()}
			for _, m := range f.mf.GetMetric() {
				shown.Metrics = append(shown.Metrics, apiMetric(f.mf.GetType(), m))
			}
			one[n] = shown
		}
		list = append(list, one)
	}
	answer(w, list)
}

// seconds is the value of one of a group's own families.
func seconds(g *group, n string) float64 {
	if ms := g.families[n].mf.GetMetric(); len(ms) == 1 {
		return ms[0].GetGauge().GetValue()
	}
	return 0
}

// apiMetric is a series in the API: numbers are text, as JSON has no infinity.
func apiMetric(kind dto.MetricType, m *dto.Metric) map[string]any {
	labels := make(map[string]string, len(m.Label))
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	shown := map[string]any{"labels": labels}
	switch kind {
	case dto.MetricType_SUMMARY:
		quantiles := make(map[string]string)
		for _, q := range m.GetSummary().GetQuantile() {
			quantiles[fmt.Sprint(q.GetQuantile())] = fmt.Sprint(q.GetValue())
		}
		shown["quantiles"] = quantiles
		shown["count"], shown["sum"] = fmt.Sprint(m.GetSummary().GetSampleCount()), fmt.Sprint(m.GetSummary().GetSampleSum())
	case dto.MetricType_HISTOGRAM:
		h := m.GetHistogram()
		buckets := make(map[string]string)
		for _, b := range h.GetBucket() {
			buckets[fmt.Sprint(b.GetUpperBound())] = number(b.GetCumulativeCountFloat(), b.GetCumulativeCount())
		}
		shown["buckets"] = buckets
		shown["count"], shown["sum"] = number(h.GetSampleCountFloat(), h.GetSampleCount()), fmt.Sprint(h.GetSampleSum())
	default:
		shown["value"] = fmt.Sprint(cmp.Or(m.GetGauge().GetValue(), m.GetCounter().GetValue(), m.GetUntyped().GetValue()))
	}
	return shown
}

// number is a count of a histogram, which is of floats or of integers.
func number(float float64, integer uint64) string {
	if float > 0 {
		return fmt.Sprint(float)
	}
	return fmt.Sprint(integer)
}
