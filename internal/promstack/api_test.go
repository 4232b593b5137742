package promstack

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"go.yaml.in/yaml/v3"
)

// ask sends a request to the API.
func (e *engine) ask(method, path, contentType string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if contentType == "application/x-protobuf" {
		r.Header.Set("Content-Encoding", "snappy")
	}
	e.Handler().ServeHTTP(w, r)
	return w
}

// Every path of Prometheus' API is answered. The table has to name each that the
// description of the API has, so that an upgrade shows what is new.
func TestEveryPathOfTheAPI(t *testing.T) {
	cfg, log := testConfig(t, t.TempDir(), jobs(map[string]string{"a": target(t, "# TYPE answer gauge\n# HELP answer It.\nanswer 42\n")}))
	cfg.API.Admin, cfg.API.RemoteWriteReceiver, cfg.API.OTLPReceiver = true, true, true
	cfg.Storage.Exemplars = true
	e := start(t, cfg, log)
	e.wants("answer", "a", "42")

	marshal := func(m interface{ Marshal() ([]byte, error) }) []byte {
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return snappy.Encode(nil, b)
	}
	write := marshal(&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:  []prompb.Label{{Name: "__name__", Value: "written"}, {Name: "job", Value: "w"}},
		Samples: []prompb.Sample{{Value: 7, Timestamp: 1000 * time.Now().Unix()}},
	}}})
	read := marshal(&prompb.ReadRequest{Queries: []*prompb.Query{{StartTimestampMs: 0, EndTimestampMs: 1 << 60,
		Matchers: []*prompb.LabelMatcher{{Name: "__name__", Value: "answer"}}}}})
	const form = "application/x-www-form-urlencoded"
	type asked struct {
		query  string // of GET; the form of POST
		body   []byte // instead
		kind   string // of the body
		code   int    // 200 unless given
		answer string // part of it
	}
	get := map[string]asked{
		"/query":                 {query: "query=answer", answer: `"42"`},
		"/query_range":           {query: "query=answer&start=0&end=100&step=50", answer: `"matrix"`},
		"/query_exemplars":       {query: "query=answer&start=0&end=100", answer: `"data":[]`},
		"/format_query":          {query: "query=sum(a)by(b)", answer: `"sum by (b) (a)"`},
		"/parse_query":           {query: "query=a", answer: `"vectorSelector"`},
		"/labels":                {answer: `"__name__"`},
		"/label/{name}/values":   {answer: `"a"`},
		"/series":                {query: "match[]=answer", answer: `"instance"`},
		"/scrape_pools":          {answer: `["a"]`},
		"/scrape_pools/config":   {query: "scrapePool=a", answer: `job_name: a`},
		"/targets":               {answer: `"health":"up"`},
		"/targets/metadata":      {answer: `"metric":"answer"`},
		"/targets/relabel_steps": {query: `scrapePool=a&labels={"a":"b"}`, answer: `"steps"`},
		"/alertmanagers":         {answer: `"activeAlertmanagers"`},
		"/metadata":              {answer: `"help":"It."`},
		"/status/config":         {answer: "job_name: a"},
		"/status/runtimeinfo":    {answer: `"storageRetention"`},
		"/status/buildinfo":      {answer: `"version"`},
		"/status/flags":          {answer: `"data"`},
		"/status/tsdb":           {answer: `"numSeries"`},
		"/status/tsdb/blocks":    {answer: `"blocks"`},
		"/status/walreplay":      {answer: `"current"`},
		"/status/self_metrics":   {answer: `prometheus_ready`},
		"/features":              {answer: `"admin":true`},
		"/notifications":         {answer: `"data"`},
		"/alerts":                {answer: `"alerts"`},
		"/rules":                 {answer: `"groups"`},
		"/openapi.yaml":          {answer: "openapi:"},
		// Behind a flag of Prometheus that has no effect here.
		"/search/metric_names": {code: http.StatusInternalServerError, answer: "search API disabled"},
		"/search/label_names":  {code: http.StatusInternalServerError, answer: "search API disabled"},
		"/search/label_values": {code: http.StatusInternalServerError, answer: "search API disabled"},
	}
	post := map[string]asked{
		"/query":                       get["/query"],
		"/query_range":                 get["/query_range"],
		"/query_exemplars":             get["/query_exemplars"],
		"/format_query":                get["/format_query"],
		"/parse_query":                 get["/parse_query"],
		"/labels":                      get["/labels"],
		"/series":                      get["/series"],
		"/search/metric_names":         get["/search/metric_names"],
		"/search/label_names":          get["/search/label_names"],
		"/search/label_values":         get["/search/label_values"],
		"/write":                       {body: write, kind: "application/x-protobuf", code: http.StatusNoContent},
		"/read":                        {body: read, kind: "application/x-protobuf"},
		"/otlp/v1/metrics":             {body: []byte(`{"resourceMetrics":[]}`), kind: "application/json"},
		"/admin/tsdb/delete_series":    {query: "match[]=nothing", code: http.StatusNoContent},
		"/admin/tsdb/clean_tombstones": {code: http.StatusNoContent},
		"/admin/tsdb/snapshot":         {answer: `"name"`},
	}
	check := func(method, path string, a asked) {
		t.Helper()
		full, body, kind := strings.Replace(path, "{name}", "job", 1), a.body, a.kind
		if method == http.MethodGet || method == http.MethodPut {
			full += "?" + encode(a.query)
		} else if body == nil {
			body, kind = []byte(encode(a.query)), form
		}
		if a.code == 0 {
			a.code = http.StatusOK
		}
		if w := e.ask(method, full, kind, body); w.Code != a.code || !strings.Contains(w.Body.String(), a.answer) {
			t.Errorf("%s %s: %d %.300s\nwant %d %s", method, full, w.Code, w.Body, a.code, a.answer)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(get)) {
		check(http.MethodGet, path, get[path])
	}
	for _, path := range slices.Sorted(maps.Keys(post)) {
		check(http.MethodPost, path, post[path])
		if strings.HasPrefix(path, "/admin/") {
			check(http.MethodPut, path, post[path])
		}
	}
	e.wants("written", "w", "7") // what was sent to /write

	var described struct {
		Paths map[string]map[string]yaml.Node
	}
	if err := yaml.Unmarshal(e.get("/openapi.yaml", nil).Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	if len(described.Paths) < 30 {
		t.Errorf("only %d paths are described", len(described.Paths))
	}
	for path, methods := range described.Paths {
		for method := range methods {
			_, isGet := get[path]
			_, isPost := post[path]
			known := map[string]bool{"get": isGet, "post": isPost, "put": isPost, "options": true}[method]
			if !known && path != "/notifications/live" { // which does not end
				t.Errorf("%s %s is described, and not asked here", method, path)
			}
		}
	}
}

// encode makes a query of one that is written as people read it.
func encode(query string) string {
	v := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, found := strings.Cut(pair, "="); found {
			v.Add(name, value)
		}
	}
	return v.Encode()
}

// What Prometheus asks of Prometheus by /federate.
func TestFederation(t *testing.T) {
	yml := strings.Replace(jobs(map[string]string{"a": target(t, "# TYPE answer gauge\nanswer 42\nother{region=\"own\"} 1\n")}),
		"global: {", "global: {external_labels: {region: north}, ", 1)
	e := startYML(t, t.TempDir(), yml)
	if w := httptest.NewRecorder(); true {
		e.Federate().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/federate?match[]=(", nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("a broken selector: %d %s", w.Code, w.Body)
		}
	}
	e.wants("other", "a", "1")
	second := startYML(t, t.TempDir(), strings.Replace(jobs(map[string]string{"f": serveHandler(t, e.Federate())}),
		"- job_name: f\n", "- job_name: f\n    metrics_path: /federate\n    honor_labels: true\n    params: {'match[]': ['{__name__=~\"answer|other\"}', answer]}\n", 1))
	second.wants("answer", "a", "42") // under its own job, not that of the federation
	second.wants(`answer{region="north",instance!=""}`, "a", "42")
	second.wants(`other{region="own"}`, "a", "1")

	w := httptest.NewRecorder()
	e.Federate().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/federate?match[]=answer", nil))
	if want := `answer{instance=`; !strings.Contains(w.Body.String(), want) || strings.Count(w.Body.String(), "answer{") != 1 || !strings.Contains(w.Body.String(), "# TYPE answer untyped") {
		t.Errorf("%s", w.Body)
	}
}

// serveHandler serves a handler until the test ends.
func serveHandler(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// A receiver of remote write 2.0 that says it has stored nothing is told of: samples
// are counted as failed, and the log names the receiver's answer.
func TestRemoteWriteThatStoresNothing(t *testing.T) {
	receiver := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	e := startYML(t, t.TempDir(), jobs(map[string]string{"a": target(t, "answer 42\n")})+fmt.Sprintf(
		"remote_write: [{url: \"http://%s/write\", protobuf_message: io.prometheus.write.v2.Request, queue_config: {batch_send_deadline: 100ms}}]\n", receiver))
	eventually(t, func() error {
		families, err := e.reg.Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			if f.GetName() == "prometheus_remote_storage_samples_failed_total" && f.GetMetric()[0].GetCounter().GetValue() > 0 &&
				strings.Contains(e.log.String(), "the endpoint answers with success, but not that it has stored anything") {
				return nil
			}
		}
		return fmt.Errorf("nothing is told of it")
	})
}

// An agent scrapes and forwards, also what a receiver did not take at first, and says
// of what it cannot do that it cannot.
func TestAgent(t *testing.T) {
	cfg, log := testConfig(t, t.TempDir(), "global: {scrape_interval: 1h}\n")
	cfg.API.RemoteWriteReceiver = true
	keeper := start(t, cfg, log)
	up := make(chan struct{})
	receiver := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-up:
			http.StripPrefix("/api/v1", keeper.Handler()).ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	cfg, log = testConfig(t, "", jobs(map[string]string{"a": target(t, "answer 42\n")})+
		fmt.Sprintf("remote_write: [{url: \"http://%s/api/v1/write\", queue_config: {batch_send_deadline: 100ms, min_backoff: 10ms}}]\n", receiver))
	cfg.Agent = AgentConfig{Enabled: true, Dir: t.TempDir()}
	agent := start(t, cfg, log)
	eventually(t, func() error {
		if got := agent.counter("prometheus_remote_storage_samples_retried_total"); got == 0 {
			return fmt.Errorf("nothing was refused")
		}
		return nil
	})
	refused := float64(time.Now().UnixMilli()) / 1000
	for path, code := range map[string]int{
		"/query?query=1": http.StatusUnprocessableEntity, "/rules": http.StatusUnprocessableEntity, "/status/tsdb": http.StatusUnprocessableEntity,
		"/targets": http.StatusOK, "/status/config": http.StatusOK, "/status/runtimeinfo": http.StatusOK, "/metadata": http.StatusOK,
	} {
		if w := agent.ask(http.MethodGet, path, "", nil); w.Code != code {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	agent.Federate().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/federate?match[]=a", nil))
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("federation: %d", w.Code)
	}
	close(up)
	keeper.wants("answer", "a", "42")
	keeper.wants(fmt.Sprintf("count_over_time(answer[1h] @ %.3f) > bool 0", refused), "a", "1") // of while it was refused
	if err := agent.stop(); err != nil {
		t.Error(err)
	}
}

func TestAgentRefusesWhatItCannot(t *testing.T) {
	for section, yml := range map[string]string{
		"alerting":    "alerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\n",
		"rule_files":  "rule_files: [none*.yml]\n",
		"remote_read": "remote_read: [{url: \"http://a\"}]\n",
	} {
		cfg, _ := testConfig(t, t.TempDir(), yml)
		cfg.Agent.Enabled = true
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "field "+section+" is not allowed in agent mode") {
			t.Errorf("%s: %v", section, err)
		}
	}
}

// counter is the sum of one of the engine's own counters.
func (e *engine) counter(name string) (sum float64) {
	e.t.Helper()
	families, err := e.reg.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
