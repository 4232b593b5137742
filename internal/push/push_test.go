package push

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	clientpush "github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// gateway is one with its server.
type gateway struct {
	t   *testing.T
	g   *Gateway
	reg *prometheus.Registry
	url string
}

func newGateway(t *testing.T, change ...func(*Config)) gateway {
	t.Helper()
	reg := prometheus.NewRegistry()
	cfg := Config{Registry: reg, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(server.Close)
	return gateway{t, g, reg, server.URL}
}

// do sends a request; pairs are headers.
func (g gateway) do(method, path, body string, pairs ...string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (g gateway) expect(status int, method, path, body string, pairs ...string) {
	g.t.Helper()
	if got, text := g.do(method, path, body, pairs...); got != status {
		g.t.Errorf("%s %s: %d %s, want %d", method, path, got, text, status)
	}
}

var times = regexp.MustCompile(`(?m)^(push_(failure_)?time_seconds\{.*\}) [1-9].*$`)

// page is what a scrape shows, without help texts and with times as T.
func (g gateway) page() string {
	g.t.Helper()
	status, text := g.do("GET", "/metrics", "")
	if status != http.StatusOK {
		g.t.Fatalf("the scrape fails: %d %s", status, text)
	}
	text = regexp.MustCompile(`(?m)^# HELP .*\n`).ReplaceAllString(text, "")
	return times.ReplaceAllString(text, "$1 T")
}

func (g gateway) shows(want string) {
	g.t.Helper()
	if got := g.page(); got != want {
		g.t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
}

func TestLifeOfGroups(t *testing.T) {
	g := newGateway(t)
	g.shows("")
	g.expect(200, "PUT", "/metrics/job/backup", "# TYPE bytes counter\nbytes{disk=\"a\",job=\"own\"} 3\nend 1\n")
	g.expect(200, "POST", "/metrics/job/backup/instance/db1", "bytes_b 7\n")
	g.shows(`# TYPE bytes counter
bytes{disk="a",instance="",job="backup"} 3
# TYPE bytes_b untyped
bytes_b{instance="db1",job="backup"} 7
# TYPE end untyped
end{instance="",job="backup"} 1
# TYPE push_failure_time_seconds gauge
push_failure_time_seconds{instance="",job="backup"} 0
push_failure_time_seconds{instance="db1",job="backup"} 0
# TYPE push_time_seconds gauge
push_time_seconds{instance="",job="backup"} T
push_time_seconds{instance="db1",job="backup"} T
`)
	// POST replaces families of the same name, PUT the group, each in its group alone.
	g.expect(200, "POST", "/metrics/job/backup", "# TYPE bytes gauge\nbytes 4\n")
	g.expect(200, "PUT", "/metrics/job/backup/instance/db1", "other 8\n")
	g.shows(`# TYPE bytes gauge
bytes{instance="",job="backup"} 4
# TYPE end untyped
end{instance="",job="backup"} 1
# TYPE other untyped
other{instance="db1",job="backup"} 8
# TYPE push_failure_time_seconds gauge
push_failure_time_seconds{instance="",job="backup"} 0
push_failure_time_seconds{instance="db1",job="backup"} 0
# TYPE push_time_seconds gauge
push_time_seconds{instance="",job="backup"} T
push_time_seconds{instance="db1",job="backup"} T
`)
	g.expect(202, "DELETE", "/metrics/job/backup/instance/db1", "")
	g.expect(202, "DELETE", "/metrics/job/never", "")
	g.expect(200, "PUT", "/metrics/job/backup", "") // empties it, but for the times
	g.shows(`# TYPE push_failure_time_seconds gauge
push_failure_time_seconds{instance="",job="backup"} 0
# TYPE push_time_seconds gauge
push_time_seconds{instance="",job="backup"} T
`)
	g.expect(202, "DELETE", "/metrics/job/backup", "")
	g.shows("")
}

func TestInconsistentPushes(t *testing.T) {
	const before = "# TYPE a gauge\na{x=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE s summary\ns_sum 1\ns_count 1\n# TYPE c_count counter\nc_count 1\n"
	for _, c := range []struct{ name, path, text, says string }{
		{"type of another group", "/metrics/job/other", "# TYPE a counter\na 1\n", "another group"},
		{"series of another group", "/metrics/job/j", "a{i=\"1\",x=\"1\"} 1\n", "is a UNTYPED here and a GAUGE"},
		{"the same series of another group", "/metrics/job/j", "# TYPE a gauge\na{i=\"1\",x=\"1\"} 1\n", "collected before"},
		{"the same series of another key", "/metrics/job/j/x/1", "# TYPE a gauge\na{i=\"1\"} 1\n", "collected before"},
		{"twice in one push", "/metrics/job/j/i/2", "b{x=\"1\"} 1\nb{x=\"1\"} 2\n", "collected before"},
		{"the same but for an empty label", "/metrics/job/j/i/2", "b 1\nb{y=\"\"} 2\n", "collected before"},
		{"part of a histogram", "/metrics/job/j/i/2", "h_bucket 1\n", `collides with the HISTOGRAM "h"`},
		{"part of a summary", "/metrics/job/j/i/2", "s_sum 1\n", `collides with the SUMMARY "s"`},
		{"a whole over a part", "/metrics/job/j/i/2", "# TYPE c histogram\nc_bucket{le=\"+Inf\"} 1\nc_sum 1\nc_count 1\n", `collides with the metric "c_count"`},
		{"timestamp", "/metrics/job/j/i/2", "b 1 1600000000000\n", "timestamps"},
		{"reserved label", "/metrics/job/j/i/2", "b{__x=\"1\"} 1\n", "invalid name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t)
			g.expect(200, "PUT", "/metrics/job/j/i/1", before)
			old := g.page()
			status, text := g.do("POST", c.path, c.text)
			if status != http.StatusBadRequest || !strings.Contains(text, c.says) {
				t.Errorf("%d %s, want 400 and %q", status, text, c.says)
			}
			now := g.page()
			if strings.Count(now, "push_failure_time_seconds{") != 2 || !regexp.MustCompile(`push_failure_time_seconds\{.*\} T`).MatchString(now) {
				t.Errorf("the failure is not told:\n%s", now)
			}
			if i := strings.Index(old, "# TYPE push_"); !strings.HasPrefix(now, old[:i]) {
				t.Errorf("the page was\n%s\nand is\n%s", old, now)
			}
			// The group is not lost: a sound push makes it good.
			g.expect(200, "PUT", c.path, "fine 1\n")
			g.expect(200, "PUT", "/metrics/job/j/i/1", before)
		})
	}
	t.Run("part of a summary that is none", func(t *testing.T) {
		g := newGateway(t)
		g.expect(200, "PUT", "/metrics/job/j/i/1", before)
		g.expect(200, "PUT", "/metrics/job/j/i/2", "s_bucket 1\n")
	})
}

// A failed push whose own note would be somebody else's series leaves none.
func TestFailureWithoutPlace(t *testing.T) {
	g := newGateway(t)
	g.expect(200, "PUT", "/metrics/job/j", "a 1\n")
	g.expect(400, "PUT", "/metrics/job/j/instance@base64/=", "a 1\n")
	g.shows("# TYPE a untyped\na{instance=\"\",job=\"j\"} 1\n# TYPE push_failure_time_seconds gauge\npush_failure_time_seconds{instance=\"\",job=\"j\"} 0\n# TYPE push_time_seconds gauge\npush_time_seconds{instance=\"\",job=\"j\"} T\n")
}

func TestBrokenPushes(t *testing.T) {
	g := newGateway(t)
	for _, c := range []struct{ method, path, body, encoding string }{
		{"PUT", "/metrics/job/j", "a 1", ""},
		{"PUT", "/metrics/job/j", "a{\n", ""},
		{"PUT", "/metrics/job/j", "a 1\n", "gzip"},
		{"POST", "/metrics/job/j", "a 1\n", "snappy"},
		{"PUT", "/metrics/job//a/b", "a 1\n", ""},
		{"PUT", "/metrics/job/j/a", "a 1\n", ""},
		{"PUT", "/metrics/job/j/__a/b", "a 1\n", ""},
		{"PUT", "/metrics/job/%ff", "a 1\n", ""},
		{"PUT", "/metrics/job@base64/!", "a 1\n", ""},
		{"DELETE", "/metrics/job/j/a", "", ""},
	} {
		if status, text := g.do(c.method, c.path, c.body, "Content-Encoding", c.encoding); status != http.StatusBadRequest {
			t.Errorf("%s %s %q: %d %s, want 400", c.method, c.path, c.body, status, text)
		}
	}
	g.expect(405, "GET", "/metrics/job/j", "")
	g.expect(404, "PUT", "/metrics/work/j", "")
	g.expect(403, "PUT", "/metrics/job/j", "a 1\n", "Sec-Fetch-Site", "cross-site")
	g.shows("")
}

func TestEncodings(t *testing.T) {
	g := newGateway(t)
	var zipped, snapped, delimited bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "zipped 1\n")
	z.Close()
	s := snappy.NewBufferedWriter(&snapped)
	io.WriteString(s, "snapped 1\n")
	s.Close()
	for _, n := range []string{"first", "second"} {
		if _, err := protodelim.MarshalTo(&delimited, &dto.MetricFamily{Name: proto.String(n), Type: dto.MetricType_COUNTER.Enum(),
			Metric: []*dto.Metric{{Counter: &dto.Counter{Value: proto.Float64(2)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	const protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	g.expect(200, "PUT", "/metrics/job/a", zipped.String(), "Content-Encoding", "gzip")
	g.expect(200, "PUT", "/metrics/job/b", snapped.String(), "Content-Encoding", "Snappy")
	g.expect(200, "PUT", "/metrics/job/c", delimited.String(), "Content-Type", protobuf)
	g.expect(400, "PUT", "/metrics/job/d", delimited.String()[:5], "Content-Type", protobuf)
	page := g.page()
	for _, want := range []string{`zipped{instance="",job="a"} 1`, `snapped{instance="",job="b"} 1`, `first{instance="",job="c"} 2`, `second{instance="",job="c"} 2`} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
}

// What only protobuf can say, and would make a page that nobody can read.
func TestUnwritableFamilies(t *testing.T) {
	g := newGateway(t)
	gauge := func(labels ...string) []*dto.Metric {
		m := &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(1)}}
		for i := 0; i < len(labels); i += 2 {
			m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(labels[i]), Value: proto.String(labels[i+1])})
		}
		return []*dto.Metric{m}
	}
	for name, mf := range map[string]*dto.MetricFamily{
		"no name":         {Type: dto.MetricType_GAUGE.Enum(), Metric: gauge()},
		"name":            {Name: proto.String("a b"), Type: dto.MetricType_GAUGE.Enum(), Metric: gauge()},
		"no value":        {Name: proto.String("a"), Type: dto.MetricType_COUNTER.Enum(), Metric: gauge()},
		"label":           {Name: proto.String("a"), Type: dto.MetricType_GAUGE.Enum(), Metric: gauge("x\n", "1")},
		"label twice":     {Name: proto.String("a"), Type: dto.MetricType_GAUGE.Enum(), Metric: gauge("x", "1", "y", "2", "x", "3")},
		"gauge histogram": {Name: proto.String("a"), Type: dto.MetricType_GAUGE_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: &dto.Histogram{}}}},
		"own quantile": {Name: proto.String("a"), Type: dto.MetricType_SUMMARY.Enum(), Metric: []*dto.Metric{{Summary: &dto.Summary{},
			Label: []*dto.LabelPair{{Name: proto.String("quantile"), Value: proto.String("1")}}}}},
	} {
		if err := g.g.store.push(map[string]string{"job": "j"}, map[string]*dto.MetricFamily{mf.GetName(): mf}, true, time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if page := g.page(); strings.Contains(page, "\na{") {
		t.Errorf("something of it is shown:\n%s", page)
	}
}

// client_golang's own client, with the names it has to encode.
func TestClient(t *testing.T) {
	g := newGateway(t)
	done := prometheus.NewGauge(prometheus.GaugeOpts{Name: "done", Help: "Of the job."})
	sizes := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sizes", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1})
	done.Set(2)
	sizes.Observe(3)
	p := clientpush.New(g.url, "a job/with+odd ü").Grouping("path", "/var/x").Grouping("empty", "").Grouping("dots", "..").Collector(done).Collector(sizes)
	for name, send := range map[string]func() error{"push": p.Push, "add": p.Add, "text": p.Format(expfmt.NewFormat(expfmt.TypeTextPlain)).Add} {
		if err := send(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const labels = `dots="..",empty="",instance="",job="a job/with+odd ü",path="/var/x"`
	page := g.page()
	for _, want := range []string{"done{" + labels + "} 2", "sizes_count{" + labels + "} 1", `sizes_bucket{` + labels + `,le="1"} 0`} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if err := p.Delete(); err != nil {
		t.Error(err)
	}
	g.shows("")
}

// A scraper that takes protobuf gets native histograms too.
func TestNativeHistogram(t *testing.T) {
	g := newGateway(t)
	sizes := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sizes", NativeHistogramBucketFactor: 1.1})
	sizes.Observe(3)
	if err := clientpush.New(g.url, "j").Collector(sizes).Push(); err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", g.url+"/metrics", nil)
	r.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for d := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header)); ; {
		var mf dto.MetricFamily
		if err := d.Decode(&mf); err != nil {
			t.Fatalf("no native histogram: %v", err)
		}
		if mf.GetName() == "sizes" && len(mf.Metric[0].Histogram.PositiveSpan) > 0 {
			return
		}
	}
}

func TestBounds(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.MaxBody, c.MaxGroups, c.MaxSeries = 1000, 2, 10 })
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(bytes.Repeat([]byte("#\n"), 1<<20))
	z.Close()
	g.expect(413, "PUT", "/metrics/job/a", strings.Repeat("#\n", 600))
	g.expect(400, "PUT", "/metrics/job/a", bomb.String()[:900], "Content-Encoding", "deflate")
	if bomb.Len() > 1000 {
		bomb.Truncate(1000)
	}
	if status, _ := g.do("PUT", "/metrics/job/a", bomb.String(), "Content-Encoding", "gzip"); status != 413 {
		t.Errorf("a gzip bomb: %d", status)
	}
	g.expect(200, "PUT", "/metrics/job/a", "a 1\n")
	g.expect(200, "PUT", "/metrics/job/b", "a 1\n")
	before := g.page()
	g.expect(503, "PUT", "/metrics/job/c", "a 1\n")
	g.expect(503, "PUT", "/metrics/job/b", "a{x=\"1\"} 1\na{x=\"2\"} 1\na{x=\"3\"} 1\na{x=\"4\"} 1\na{x=\"5\"} 1\na{x=\"6\"} 1\n")
	g.shows(before)
	g.expect(202, "DELETE", "/metrics/job/a", "")
	g.expect(200, "PUT", "/metrics/job/c", "a 1\n")
}

// running runs the gateway's task until the test, or stop, ends it.
func (g gateway) running() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.g.Task().Run(ctx, func() {}) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	g.t.Cleanup(func() { stop() })
	return stop
}

func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "pushed")
	with := func(c *Config) { c.File = file }
	g := newGateway(t, with)
	stop := g.running()
	g.expect(200, "PUT", "/metrics/job/j/x/1", "# HELP h Some.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")
	g.expect(400, "PUT", "/metrics/job/j/x/1", "a 1 1\n")
	want := g.page()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	next := newGateway(t, with)
	next.shows(want)
	next.expect(400, "POST", "/metrics/job/j", "h_count 1\n") // the index is there again
	if names, _ := filepath.Glob(filepath.Dir(file) + "/*"); len(names) != 1 {
		t.Errorf("files are left: %q", names)
	}
}

func TestSavedWhileRunning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pushed")
	g := newGateway(t, func(c *Config) { c.File, c.Interval = file, time.Millisecond })
	g.running()
	g.expect(200, "PUT", "/metrics/job/j", "a 1\n")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing is written")
		}
	}
}

// A folder that cannot be written costs the file, not the pushes.
func TestUnwritableFile(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file", "pushed")
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{File: blocked, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a file within a file is taken")
	}
	file := filepath.Join(dir, "later", "pushed")
	g := newGateway(t, func(c *Config) { c.File, c.Interval = file, time.Millisecond })
	stop := g.running()
	if err := os.WriteFile(filepath.Dir(file), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.expect(200, "PUT", "/metrics/job/j", "a 1\n")
	if err := stop(); err == nil || !strings.Contains(err.Error(), "later") {
		t.Errorf("the stop says %v", err)
	}
}

func TestBrokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pushed")
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, func(c *Config) { c.File = file })
	g.expect(200, "PUT", "/metrics/job/j", "a 1\n")
	if b, err := os.ReadFile(file + ".broken"); err != nil || string(b) != "something else" {
		t.Errorf("not set aside: %q %v", b, err)
	}
}

// Groups of an unchecked pushgateway that do not go together: the sound ones stay.
func TestFileWithConflicts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pushed")
	metric := func(kind dto.MetricType) map[string]gobFamily {
		return map[string]gobFamily{"a": {time.Now(), (*gobMessage)(&dto.MetricFamily{Name: proto.String("a"), Type: kind.Enum(),
			Metric: []*dto.Metric{{Gauge: &dto.Gauge{}, Counter: &dto.Counter{}}}})}}
	}
	err := save(file, map[string]gobGroup{
		"1": {map[string]string{"job": "one"}, metric(dto.MetricType_GAUGE)},
		"2": {map[string]string{"job": "two"}, metric(dto.MetricType_COUNTER)},
		"3": {map[string]string{}, metric(dto.MetricType_GAUGE)},
		"4": {map[string]string{"job": "four"}, map[string]gobFamily{"b": {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, func(c *Config) { c.File = file })
	g.shows("# TYPE a gauge\na{instance=\"\",job=\"one\"} 0\n")
}

func TestAPI(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.Flags, c.Admin = map[string]string{"push": "true"}, true })
	g.expect(200, "PUT", "/metrics/job/j/x/1", "# HELP c Count.\n# TYPE c counter\nc{y=\"2\"} 3\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n# TYPE s summary\ns{quantile=\"0.5\"} 4\ns_sum 5\ns_count 6\n# TYPE n gauge\nn NaN\n")
	g.expect(400, "PUT", "/metrics/job/failed", "a 1 1\n")
	_, text := g.do("GET", "/api/v1/metrics", "")
	var answer struct {
		Status string
		Data   []map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Status != "success" || len(answer.Data) != 2 {
		t.Fatalf("%v %s", err, text)
	}
	for i, want := range []map[string]string{
		{"labels": `{"job":"failed"}`, "last_push_successful": "false"},
		{
			"labels": `{"job":"j","x":"1"}`, "last_push_successful": "true",
			"c": `"type":"COUNTER","help":"Count.","metrics":[{"labels":{"instance":"","job":"j","x":"1","y":"2"},"value":"3"}]`,
			"h": `"metrics":[{"buckets":{"+Inf":"1"},"count":"1","labels":{"instance":"","job":"j","x":"1"},"sum":"2"}]`,
			"s": `"metrics":[{"count":"6","labels":{"instance":"","job":"j","x":"1"},"quantiles":{"0.5":"4"},"sum":"5"}]`,
			"n": `"value":"NaN"`,
		},
	} {
		for key, part := range want {
			if got := string(answer.Data[i][key]); !strings.Contains(got, part) {
				t.Errorf("%s is %s, want %s", key, got, part)
			}
		}
	}
	if _, text := g.do("GET", "/api/v1/status", ""); !strings.Contains(text, `"flags":{"push":"true"}`) {
		t.Error(text)
	}
	g.expect(200, "GET", "/-/ready", "")
	g.expect(202, "PUT", "/api/v1/admin/wipe", "")
	g.shows("")
	newGateway(t).expect(404, "PUT", "/api/v1/admin/wipe", "")
}

func TestOwnMetrics(t *testing.T) {
	g := newGateway(t)
	g.expect(200, "PUT", "/metrics/job/j", "a 1\nb 1\n")
	g.expect(400, "POST", "/metrics/job/j", "a\n")
	families, err := g.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, mf := range families {
		expfmt.MetricFamilyToText(&text, mf)
	}
	for _, want := range []string{
		`pushgateway_http_requests_total{code="200",handler="push",method="put"} 1`, `pushgateway_http_requests_total{code="400",handler="push",method="post"} 1`,
		`pushgateway_http_push_size_bytes_count{method="put"} 1`, "watchpost_push_groups 1", "watchpost_push_series 4",
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.File, c.Interval = filepath.Join(t.TempDir(), "pushed"), time.Microsecond })
	stop := g.running()
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for n := range 10 {
				g.expect(200, "PUT", fmt.Sprintf("/metrics/job/j/worker/%d", i), fmt.Sprintf("# TYPE n gauge\nn{i=\"%d\"} %d\n", n%3, n))
				g.page()
				g.do("GET", "/api/v1/metrics", "")
			}
		})
	}
	work.Wait()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := len(g.g.store.series); n != 8*3 {
		t.Errorf("%d series, want 24", n)
	}
}

func TestUTF8Names(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.UTF8Names = true })
	g.expect(200, "PUT", "/metrics/job/j/U__my_2e_label/v", "{\"my.metric\",\"a b\"=\"1\"} 1\n")
	r, _ := http.NewRequest("GET", g.url+"/metrics", nil)
	r.Header.Set("Accept", "text/plain;version=1.0.0;escaping=allow-utf-8")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if want := `{"my.metric","a b"="1",instance="",job="j","my.label"="v"} 1`; !strings.Contains(string(b), want) {
		t.Errorf("no %s in\n%s", want, b)
	}
	newGateway(t).expect(400, "PUT", "/metrics/job/j", "{\"my.metric\"} 1\n")
}

func FuzzPush(f *testing.F) {
	f.Add("# TYPE a gauge\na{x=\"1\"} 1\n", "a{x=\"1\"} 1\n", true)
	f.Add("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", "h_count 1\n", false)
	f.Add("a{x=\"\"} 1\na 2\n", "a NaN\n", false)
	f.Fuzz(func(t *testing.T, one, two string, replace bool) {
		s := newStore(model.LegacyValidation, 3, 100)
		for i, text := range []string{one, two, one, two} {
			parser := expfmt.NewTextParser(model.LegacyValidation)
			families, err := parser.TextToMetricFamilies(strings.NewReader(text))
			if err != nil {
				continue
			}
			s.push(map[string]string{"job": "j", "g": fmt.Sprint(i / 2)}, families, replace, time.Now())
		}
		// Whatever was pushed, client_golang finds nothing to object to.
		page, err := prometheus.Gatherers{prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return s.gather(), nil })}.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var series int
		for _, mf := range page {
			series += len(mf.Metric)
			if _, err := expfmt.MetricFamilyToText(io.Discard, mf); err != nil {
				t.Fatal(err)
			}
		}
		if series != len(s.series) || len(page) != len(s.names) {
			t.Fatalf("%d series and %d names are shown, %d and %d in the index", series, len(page), len(s.series), len(s.names))
		}
		for key := range s.groups {
			s.remove(key)
		}
		if len(s.series) != 0 || len(s.names) != 0 {
			t.Fatalf("left in the index: %v %v", s.series, s.names)
		}
	})
}

func FuzzRestore(f *testing.F) {
	s := newStore(model.LegacyValidation, 3, 100)
	s.push(map[string]string{"job": "j"}, map[string]*dto.MetricFamily{"a": timestamp("a", "", time.Now())}, true, time.Now())
	file := filepath.Join(f.TempDir(), "pushed")
	if err := save(file, s.snapshot()); err != nil {
		f.Fatal(err)
	}
	sound, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStore(model.LegacyValidation, 3, 100)
		s.read(bytes.NewReader(b))
		for _, mf := range s.gather() {
			if _, err := expfmt.MetricFamilyToText(io.Discard, mf); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// BenchmarkPush is one of many jobs that push the same families.
func BenchmarkPush(b *testing.B) {
	s := newStore(model.LegacyValidation, DefaultMaxGroups, math.MaxInt)
	families := func() map[string]*dto.MetricFamily {
		fs := make(map[string]*dto.MetricFamily)
		for i := range 20 {
			n := fmt.Sprintf("job_metric_%d", i)
			fs[n] = timestamp(n, "Some help.", time.Time{})
		}
		return fs
	}
	for i := range 1000 {
		if err := s.push(map[string]string{"job": fmt.Sprint(i)}, families(), true, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.push(map[string]string{"job": fmt.Sprint(i % 1000)}, families(), true, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
