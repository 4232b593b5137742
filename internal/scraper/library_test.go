package scraper

// The same answers, to Prometheus' own manager and to ours: what they append must be the
// same, sample by sample.

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// answer is one answer of a target; its zero value is an empty page.
type answer struct {
	text    string
	kind    string // content type; "" is that of the plain text format
	status  int    // 0 is 200
	coding  string // of the text: gzip, broken or zstd
	handler http.Handler
}

func plain(texts ...string) (all []answer) {
	for _, t := range texts {
		all = append(all, answer{text: t})
	}
	return all
}

const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

func open(texts ...string) (all []answer) {
	for _, t := range texts {
		all = append(all, answer{text: t + "# EOF\n", kind: openMetricsType})
	}
	return all
}

// lines are n series.
func lines(n int, name string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s{i=\"%d\"} %d\n", name, i, i)
	}
	return b.String()
}

type answersCase struct {
	name    string
	conf    string // further lines of the job
	labels  string // further labels of the target
	answers []answer
	forget  int // after how many scrapes the storage forgets all series; 0 is never
	fail    int // which commit fails
}

var answersCases = []answersCase{
	{name: "same", answers: plain("a 1\nb 2\n", "a 1\nb 3\n", "a 2\nb 4\n")},
	{name: "vanishing", answers: plain("a 1\nb 2\nc 3\n", "a 1\nc 3\n", "a 1\nb 2\nc 3\n", "c 1\n", "d 1\n", "c 1\n")},
	{name: "order", answers: plain("a 1\nb 2\nc 3\n", "c 1\nb 2\na 3\n", "b 1\nc 2\na 3\n", "a 1\nb 2\nc 3\nd 4\n", "d 4\nc 3\n")},
	{name: "duplicates", answers: plain("a 1\na 2\nb 1\nb 1\n", "b 1\na 2\na 2\n", "a 1\na 1\n", "a 3\n")},
	{name: "labels in another order", answers: plain(`a{b="1",c="2"} 1`, `a{c="2",b="1"} 2`, `a{b="1",c="2"} 1`+"\n"+`a{c="2",b="1"} 1`, `a{c="2",b="1"} 2`, "b 1\n")},
	{name: "times", answers: plain("a 1 1000\nb 1\n", "a 2 2000\nb 2\n", "a 3 1500\nb 3\n", "b 4\n", "a 5 3000\na 6 3000\na 7 3001\n", "a 1\n")},
	{name: "times out of bounds", answers: plain("a 1 1000\nb 1\n", "a 1 100\n", "a 1 32503680000000\nb 1 32503680000000\n", "a 1\n", "b 1\n")},
	{name: "times not honored", conf: "honor_timestamps: false", answers: plain("a 1 1000\na 2 2000\n", "a 2 2000\n", "b 1\n")},
	{name: "times that end", conf: "track_timestamps_staleness: true", answers: plain("a 1 1000\nb 1\n", "a 2 2000\nb 2\n", "b 3\n", "a 1 5000\n")},
	{name: "broken in the middle", answers: plain("a 1\nb 2\nc 3\n", "a 1\nb x\nc 3\n", "a 1\nb 2\nc 3\n", "a 1\n!\n", "b 1\nx{\n", "c 1\n")},
	{name: "broken from the start", answers: plain("!\n", "a 1\n!\n", "a 1\n", "!\n", "!\n", "a 2\n")},
	{name: "empty", answers: plain("a 1\n", "", "a 2\n", "", "", "b 1\n", "# nothing\n", "a 1\n")},
	{name: "failing", answers: []answer{{text: "a 1\n"}, {status: 500}, {text: "a 2\n"}, {status: 404, text: "a 3\n"}, {text: "a 4\n"}}},
	{name: "no type", answers: []answer{{text: "a 1\n", kind: "-"}, {text: "a 1\n"}, {text: "a 2\n", kind: "application/json"}, {text: "a 1\n", kind: "text/plain;;"}, {text: "a 1\n"}}},
	{name: "fallback", conf: "fallback_scrape_protocol: OpenMetricsText1.0.0", answers: []answer{{text: "a 1\n# EOF\n", kind: "-"}, {text: "a 1\n", kind: "application/json"}, {text: "a 1\n"}, {text: "a 1 1.5\n# EOF\n", kind: "text/html"}}},
	{name: "fallback text", conf: "fallback_scrape_protocol: PrometheusText0.0.4", answers: []answer{{text: "a 1\n", kind: "-"}, {text: "b 1\n", kind: "text/html"}, {text: "a 1\n# EOF\n", kind: openMetricsType}}},
	{name: "gzip", answers: []answer{{text: "a 1\nb 1\n", coding: "gzip"}, {text: "a 2\n"}, {text: lines(300, "a"), coding: "gzip"}, {text: lines(100, "a"), coding: "broken"}, {text: "a 1\n", coding: "zstd"}, {text: lines(300, "a"), coding: "gzip"}}},
	{name: "not compressed", conf: "enable_compression: false", answers: plain("a 1\n")},
	{name: "sample limit", conf: "sample_limit: 3", answers: plain("a 1\nb 2\n", "a 1\nb 2\nc 3\nd 4\ne 5\n", "a 1\nb 2\n", "x 1\ny 1\nz 1\nu 1\n", "a 1\na 2\na 3\na 4\nb 1\n", "a 1\n", "a 1\nb 2\nc 3\n!\n")},
	{name: "sample limit and dropped", conf: "sample_limit: 2\n    metric_relabel_configs: [{source_labels: [__name__], regex: 'd.*', action: drop}]", answers: plain("d1 1\nd2 1\nd3 1\na 1\n", "d1 1\na 1\nb 1\n", "d1 1\na 1\nb 1\nc 1\n", "d1 1\nd1 2\nd2 1\n")},
	{name: "body size limit", conf: "body_size_limit: 100B", answers: append(plain("a 1\n", lines(20, "a"), "a 1\n", strings.Repeat("#", 99)+"\n", strings.Repeat("#", 98)+"\n"), answer{text: lines(20, "a"), coding: "gzip"})},
	{name: "label limit", conf: "label_limit: 4", answers: plain(`a{b="1"} 1`, `a{b="1"} 1`+"\n"+`a{b="1",c="2"} 1`, `a{b="1"} 1`)},
	{name: "label name limit", conf: "label_name_length_limit: 9", answers: plain(`a{b="1"} 1`, `a{abcdefghij="1"} 1`, `a{b="1"} 1`)},
	{name: "label value limit", conf: "label_value_length_limit: 25", answers: plain(`a{b="1"} 1`, `a{b="12345678901234567890123456"} 1`, `a{b="1"} 1`)},
	{name: "relabelled", conf: `metric_relabel_configs:
    - {source_labels: [__name__], regex: 'd.*', action: drop}
    - {source_labels: [x], target_label: y, regex: '(.*)z', replacement: '$1'}
    - {regex: x, action: labeldrop}`, answers: plain("d 1\na{x=\"1z\"} 1\na{x=\"2z\"} 2\n", "a{x=\"1z\"} 1\na{x=\"1\"} 3\nd 1\n", "a{x=\"1\",y=\"1\"} 1\nd 2\nd 3\n", "a{x=\"1\",y=\"1\"} 1\na{x=\"3\",y=\"1\"} 1\n", "d 1\n")},
	{name: "name relabelled away", conf: "metric_relabel_configs: [{source_labels: [__name__], regex: b, target_label: __name__, replacement: ''}]", answers: plain("a 1\n", "a 1\nb 1\nc 1\n", "a 1\n")},
	{name: "clash", labels: ", zone: here, exported_job: x", answers: plain(`a{job="1",instance="2",exported_job="3",zone="there"} 1`, `a{job="",zone=""} 1`, `a{exported_zone="x",zone="there"} 1`+"\n"+`a{exported_exported_job="x",job="y"} 1`)},
	{name: "honor", conf: "honor_labels: true", labels: ", zone: here", answers: plain(`a{job="1",instance="2",zone="there"} 1`, `a{job="",zone=""} 1`, `a{job="1"} 1`, `a{job="1",instance="2",zone="there"} 1`+"\n"+`b{job="1",instance="2",zone="there"} 1`)},
	{name: "extra metrics", conf: "extra_scrape_metrics: true\n    sample_limit: 2\n    body_size_limit: 1KB", answers: plain("a 1\n", lines(3, "a"), lines(200, "a"), "a 1\n")},
	{name: "legacy names", conf: "metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: underscores", answers: plain("a 1\n", "{\"a.b\"} 1\n", "a{\"b.c\"=\"1\"} 1\n", "a 1\n")},
	{name: "any names", answers: plain("{\"a.b\",c=\"d\"} 1\na 1\n", "a{\"b.c\"=\"1\"} 1\n{\"a.b\", c=\"d\"} 2\n", "a 1\n{\"a.b\",c=\"d\"} 3\n")},
	{name: "odd lines", answers: plain(" a 1\nb\t1\n", "a{ b=\"c\" } 1\na { b=\"d\"} 2\n", "a{b=\"c\nd\"} 1\n# HELP a b\na 1\n", "a 0x10\n", "a 1_0\n", "a{b=\"\\n\\\\\\\"\"} 1\n", "a 1\r\n")},
	{name: "twice in one line", answers: plain(`a{b="1",b="2"} 1`, "a 1\n", `c 1`+"\n"+`a{b="1",b="1"} 1`)},
	{name: "empty label", answers: plain(`a{b=""} 1`, "a 1\n", `a{b=""} 2`+"\n"+"a 3\n")},
	{name: "numbers", answers: plain("a NaN\nb +Inf\nc -Inf\nd 1e-5\ne 12345678901234567890\nf -0\ng 0.1\n")},
	{name: "buckets", answers: plain("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\n# TYPE b summary\nb{quantile=\"1\"} 1\nb{quantile=\"0.5\",le=\"1\"} 1\n# TYPE c gauge\nc{le=\"1\"} 1\n",
		"a_bucket{le=\"1\"} 1\n# TYPE a histogram\na_bucket{le=\"2\"} 1\n a_bucket{le=\"3\"} 1\n")},
	{name: "custom buckets", conf: "convert_classic_histograms_to_nhcb: true", answers: plain("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\nb 1\n", "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 3\na_sum 4\na_count 3\nb 1\n", "b 1\n", "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\nb x\n")},
	{name: "custom buckets by label", labels: ", __convert_classic_histograms_to_nhcb__: 'true', __always_scrape_classic_histograms__: 'true'", answers: plain("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\n")},
	{name: "custom buckets over the limit", conf: "convert_classic_histograms_to_nhcb: true\n    native_histogram_bucket_limit: 1", answers: plain("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\nb 1\n", "b 1\n")},
	{name: "native histograms", conf: "scrape_native_histograms: true\n    native_histogram_bucket_limit: 4\n    native_histogram_min_bucket_factor: 1.5", answers: []answer{{handler: native(1)}, {handler: native(3)}, {text: "a 1\n"}, {handler: native(40)}}},
	{name: "open metrics", answers: open("# TYPE a counter\n# UNIT a_seconds seconds\na_total 1\n", "# TYPE a counter\na_total 1 1.5\na_created 5\n", "a 1 # {b=\"c\"} 2 3\nb 1\n", "a 1 # {b=\"c\"} 2\n", "a 1 2.5 # {b=\"c\"} 2 1000\na 1 2.6\n", "{\"a\"} 1\n", "b 1\n")},
	{name: "open metrics broken", answers: []answer{{text: "a 1\n# EOF\n", kind: openMetricsType}, {text: "a 1\n", kind: openMetricsType}, {text: "a 1\n# EOF\n", kind: openMetricsType}, {text: "a 1\n# EOF\nb 1\n", kind: openMetricsType}, {text: "a  1\n# EOF\n", kind: openMetricsType}, {text: "a 1\n# EOF", kind: openMetricsType}, {text: "a 1\n"}}},
	{name: "open metrics 2", answers: []answer{{text: "a 1\n# EOF\n", kind: "application/openmetrics-text; version=2.0.0"}, {text: "a 1\n# EOF\n", kind: openMetricsType}}},
	{name: "forgotten", forget: 2, answers: plain("a 1\nb 1\nc 1\n", "a 1\nb 1\nc 1\n", "a 2\nb 2\nc 2\n", "a 3\n", "a 4\nb 5\n")},
	{name: "forgotten and relabelled", forget: 2, conf: "metric_relabel_configs: [{source_labels: [x], target_label: y}]", answers: plain("a{x=\"1\"} 1\n", "a{x=\"1\"} 2\n", "a{x=\"1\"} 3\n", "a{x=\"1\"} 4\n")},
	{name: "commit fails", fail: 2, answers: plain("a 1\nb 1\n", "a 1\nb 1\n", "a 2\n", "a 3\nb 3\n")},
	{name: "many", answers: plain(lines(500, "a"), lines(400, "a")+lines(300, "b"), lines(300, "b")+lines(500, "a"), lines(10, "a"), "!", lines(500, "a"))},
	{name: "many and failing", answers: plain("a 1\n", lines(900, "b")+"!", lines(900, "c")+"!", lines(900, "d")+"!", lines(900, "e")+"!", "a 1\n", lines(900, "b")+"!")},
	{name: "no target limit", conf: "target_limit: 1", answers: plain("a 1\n")},
	{name: "families", answers: plain("# HELP a x\n# TYPE a gauge\na 1\n# TYPE b counter\nb 1\n", "# TYPE b gauge\n# HELP b y\n# HELP a z\n# HELP c u\\nv\nc 1\n", "# TYPE d histogram\n# HELP \"e f\" g\n!\n")},
}

// native is a page with native histograms, in protobuf.
func native(n int) http.Handler {
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "A histogram.", NativeHistogramBucketFactor: 1.1, Buckets: []float64{1, 10}})
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "A counter."})
	reg.MustRegister(h, c)
	for i := range n {
		h.Observe(1 + float64(i)*1.7)
		c.Add(2)
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// player plays all targets, for one manager.
type player struct {
	mu    sync.Mutex
	asked map[string]int
}

// ServeHTTP answers as the case says whose name is the path. After the last answer the
// target is broken.
func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, c := range answersCases {
		if slug(c.name) != r.URL.Path[1:] {
			continue
		}
		p.mu.Lock()
		n := p.asked[c.name]
		p.asked[c.name]++
		p.mu.Unlock()
		if n >= len(c.answers) {
			http.Error(w, "no more", http.StatusServiceUnavailable)
			return
		}
		c.answers[n].write(w, r)
		return
	}
	http.NotFound(w, r)
}

func slug(name string) string { return strings.ReplaceAll(name, " ", "_") }

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	if a.handler != nil {
		a.handler.ServeHTTP(w, r)
		return
	}
	body := []byte(a.text)
	switch a.coding {
	case "gzip", "broken":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close()
		body = b.Bytes()
		if a.coding == "broken" {
			body = body[:len(body)-10]
		}
		w.Header().Set("Content-Encoding", "gzip")
	case "zstd":
		w.Header().Set("Content-Encoding", "zstd")
	}
	switch a.kind {
	case "":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	case "-":
		w.Header()["Content-Type"] = nil
	default:
		w.Header().Set("Content-Type", a.kind)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	w.Write(body)
}

// recorder is a storage that notes what it is given, and refuses as the head does.
type recorder struct {
	mu      sync.Mutex
	refs    map[string]storage.SeriesRef
	series  map[storage.SeriesRef]*recorded
	commits map[string][]string // by job: what was committed, a commit each
	late    map[string]bool     // by job: a scrape took more than half of the time it had, and may have been given up
	most    time.Duration       // that it had
}

type recorded struct {
	labels string
	job    string
	last   int64
	value  uint64
}

func newRecorder(most time.Duration) *recorder {
	return &recorder{most: most, refs: make(map[string]storage.SeriesRef), series: make(map[storage.SeriesRef]*recorded), commits: make(map[string][]string), late: make(map[string]bool)}
}

// AppenderV2 implements storage.AppendableV2.
func (r *recorder) AppenderV2(context.Context) storage.AppenderV2 { return &recording{r: r} }

type recording struct {
	r     *recorder
	job   string
	lines []string
	done  []func()
}

// Append implements storage.AppenderV2.
func (a *recording) Append(ref storage.SeriesRef, ls labels.Labels, _, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if t < 500 {
		return 0, storage.ErrOutOfBounds
	}
	s, ok := r.series[ref]
	if !ok {
		ls = ls.WithoutEmpty()
		if ls.IsEmpty() {
			return 0, fmt.Errorf("nothing: %w", tsdb.ErrInvalidSample)
		}
		if name, twice := ls.HasDuplicateLabelNames(); twice {
			return 0, fmt.Errorf("%s is there twice: %w", name, tsdb.ErrInvalidSample)
		}
		text := ls.String()
		if ref, ok = r.refs[text]; !ok {
			ref = storage.SeriesRef(len(r.refs) + 1)
			r.refs[text] = ref
		}
		if s, ok = r.series[ref]; !ok {
			s = &recorded{labels: text, job: ls.Get("job"), last: math.MinInt64}
			r.series[ref] = s
		}
	}
	what := fmt.Sprintf("%x", math.Float64bits(v))
	switch {
	case h != nil:
		what = h.String()
	case fh != nil:
		what = fh.String()
	case value.IsStaleNaN(v):
		what = "stale"
	case strings.Contains(s.labels, `__name__="scrape_duration_seconds"`):
		what = "duration"
		r.late[s.job] = r.late[s.job] || v > r.most.Seconds()/2
	}
	bits := math.Float64bits(v)
	switch {
	case t < s.last:
		return 0, storage.ErrOutOfOrderSample
	case t == s.last && bits != s.value:
		return 0, storage.ErrDuplicateSampleForTimestamp
	}
	at := fmt.Sprint(t)
	if t > 1e12 {
		at = "now"
	}
	line := fmt.Sprintf("%s %s @%s", s.labels, what, at)
	for _, e := range o.Exemplars {
		if e.Ts > 1e12 {
			e.Ts = 0
		}
		line += fmt.Sprintf(" # %s %v %d", e.Labels, e.Value, e.Ts)
	}
	if strings.Contains(s.labels, `__name__="up"`) {
		a.job = s.job
	}
	a.lines = append(a.lines, line)
	a.done = append(a.done, func() { s.last, s.value = t, bits })
	return ref, nil
}

// Commit implements storage.AppenderV2.
func (a *recording) Commit() error {
	r := a.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range a.done {
		f()
	}
	slices.Sort(a.lines) // stale markers come in any order
	r.commits[a.job] = append(r.commits[a.job], strings.Join(a.lines, "\n"))
	for _, c := range answersCases {
		if slug(c.name) != a.job {
			continue
		}
		if n := len(r.commits[a.job]); c.fail == n {
			return fmt.Errorf("there is no room")
		} else if c.forget == n {
			for ref, s := range r.series {
				if s.job == a.job {
					delete(r.series, ref)
					delete(r.refs, s.labels)
					r.refs[fmt.Sprint("gone ", ref)] = ref // so that no reference is used again
				}
			}
		}
	}
	return nil
}

// Rollback implements storage.AppenderV2.
func (a *recording) Rollback() error { return nil }

func (r *recorder) of(job string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.commits[job])
}

func (r *recorder) isLate(job string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late[job]
}

// subject is a manager under test.
type subject struct {
	name    string
	manager interface {
		ApplyConfig(*config.Config) error
		Stop()
		TargetsActive() map[string][]*scrape.Target
	}
	run     func(<-chan map[string][]*targetgroup.Group)
	store   *recorder
	reg     *prometheus.Registry
	address string
	sets    chan map[string][]*targetgroup.Group
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func newOurs(t testing.TB, store storage.AppendableV2, exemplars bool, reg prometheus.Registerer, log *slog.Logger) *Manager {
	m, err := NewManager(Options{Dial: dial, Every: 10 * time.Millisecond, Exemplars: exemplars}, log, store, reg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newLibrary(t *testing.T, store storage.AppendableV2, reg prometheus.Registerer) *scrape.Manager {
	m, err := scrape.NewManager(&scrape.Options{DiscoveryReloadInterval: model.Duration(10 * time.Millisecond), DiscoveryReloadOnStartup: true}, nil, nil, nil, store, reg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// jobsOf is the configuration of these cases.
func jobsOf(t *testing.T, cases []answersCase, interval time.Duration) *config.Config {
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: %dms, scrape_timeout: %[1]dms}\nscrape_configs:\n", interval.Milliseconds())
	for _, c := range cases {
		fmt.Fprintf(&b, "  - job_name: %s\n    metrics_path: /%[1]s\n", slug(c.name))
		if c.conf != "" {
			fmt.Fprintf(&b, "    %s\n", c.conf)
		}
	}
	c, err := config.Load(b.String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *subject) targets(cases []answersCase) map[string][]*targetgroup.Group {
	sets := make(map[string][]*targetgroup.Group)
	for _, c := range cases {
		l := model.LabelSet{model.AddressLabel: model.LabelValue(s.address), model.InstanceLabel: model.LabelValue(slug(c.name))}
		for pair := range strings.SplitSeq(c.labels, ",") {
			if name, v, ok := strings.Cut(strings.TrimSpace(pair), ": "); ok {
				l[model.LabelName(name)] = model.LabelValue(strings.Trim(v, "'"))
			}
		}
		sets[slug(c.name)] = []*targetgroup.Group{{Targets: []model.LabelSet{l}}}
	}
	return sets
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 3000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("half a minute has passed without %s", what)
}

func TestLikeLibrary(t *testing.T) {
	t.Parallel()
	// Where a machine is so busy that a scrape may have been given up, nothing can be said.
	left, interval := answersCases, 800*time.Millisecond
	for range 5 {
		if left = likeLibrary(t, left, interval); len(left) == 0 {
			return
		}
		interval *= 2
	}
	t.Fatalf("scrapes of this very process take longer than %s, so that %d cases were not compared", interval/4, len(left))
}

// likeLibrary compares these cases, and returns those for which a scrape took too long.
func likeLibrary(t *testing.T, cases []answersCase, interval time.Duration) (late []answersCase) {
	var subjects []*subject
	for _, name := range []string{"library", "ours", "ours with exemplars"} {
		s := &subject{name: name, store: newRecorder(interval), reg: prometheus.NewRegistry(), sets: make(chan map[string][]*targetgroup.Group, 1)}
		if strings.HasPrefix(name, "library") {
			m := newLibrary(t, s.store, s.reg)
			s.manager, s.run = m, func(c <-chan map[string][]*targetgroup.Group) { m.Run(c) }
		} else {
			m := newOurs(t, s.store, name == "ours with exemplars", s.reg, slog.New(slog.DiscardHandler))
			s.manager, s.run = m, m.Run
		}
		server := httptest.NewServer(&player{asked: make(map[string]int)})
		defer server.Close()
		s.address = strings.TrimPrefix(server.URL, "http://")
		if err := s.manager.ApplyConfig(jobsOf(t, cases, interval)); err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		work.Go(func() { s.run(s.sets) })
		defer work.Wait()
		defer s.manager.Stop()
		s.sets <- s.targets(cases)
		subjects = append(subjects, s)
	}
	metadata := make([]map[string][]string, len(subjects))
	for i, s := range subjects {
		for _, c := range cases {
			eventually(t, "all answers of "+c.name+" in "+s.name, func() bool { return len(s.store.of(slug(c.name))) > len(c.answers)+1 })
		}
		metadata[i] = make(map[string][]string)
		for job, targets := range s.manager.TargetsActive() {
			for _, target := range targets {
				for _, m := range target.ListMetadata() {
					metadata[i][job] = append(metadata[i][job], fmt.Sprintf("%q", m))
				}
				slices.Sort(metadata[i][job])
				metadata[i][job] = append(metadata[i][job], fmt.Sprint(target.SizeMetadata(), target.LengthMetadata(), target.LastError(), target.URL().Path))
			}
		}
		s.sets <- map[string][]*targetgroup.Group{} // as when a discovery finds nothing for a job
		none := make(map[string][]*targetgroup.Group)
		for _, c := range cases {
			none[slug(c.name)] = nil
		}
		s.sets <- none
	}
	for _, s := range subjects {
		for _, c := range cases {
			eventually(t, "the end of "+c.name+" in "+s.name, func() bool {
				all := s.store.of(slug(c.name))
				return strings.Contains(all[len(all)-1], `__name__="up"`) && strings.Contains(all[len(all)-1], "stale")
			})
		}
	}
	for _, c := range cases {
		if slices.ContainsFunc(subjects, func(s *subject) bool { return s.store.isLate(slug(c.name)) }) {
			late = append(late, c)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for i, ours := range subjects[1:] {
				want, got := subjects[0].store.of(slug(c.name)), ours.store.of(slug(c.name))
				for n := range want {
					if ours.name == "ours" { // which does not read exemplars
						want[n] = exemplarText.ReplaceAllString(want[n], "")
					}
				}
				for n := range len(c.answers) + 2 {
					if want[n] != got[n] {
						t.Errorf("%s, scrape %d:\n--- library\n%s\n--- ours\n%s", ours.name, n, want[n], got[n])
					}
				}
				if w, g := want[len(want)-1], got[len(got)-1]; w != g {
					t.Errorf("%s, at the end:\n--- library\n%s\n--- ours\n%s", ours.name, w, g)
				}
				if w, g := metadata[0][slug(c.name)], metadata[i+1][slug(c.name)]; !slices.Equal(w, g) || len(w) == 0 {
					t.Errorf("%s, families:\n--- library\n%s\n--- ours\n%s", ours.name, strings.Join(w, "\n"), strings.Join(g, "\n"))
				}
			}
		})
	}
	want, got := counters(t, subjects[0].reg), counters(t, subjects[1].reg)
	if len(late) == 0 && !slices.Equal(want, got) {
		t.Errorf("counters:\n--- library\n%s\n--- ours\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	return late
}

// counters are the metrics of a manager; values are those of counters that do not depend
// on how long it ran.
func counters(t *testing.T, reg *prometheus.Registry) (all []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		line := f.GetName() + " " + f.GetType().String()
		for _, l := range f.GetMetric()[0].GetLabel() {
			line += " " + l.GetName()
		}
		if strings.HasPrefix(f.GetName(), "prometheus_target_scrapes_") {
			line += fmt.Sprint(" ", f.GetMetric()[0].GetCounter().GetValue())
		}
		all = append(all, line)
	}
	return all
}

var exemplarText = regexp.MustCompile(` # [^\n]*`)
