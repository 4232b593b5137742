package promstack

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/prometheus/prometheus/util/notifications"
)

// testReceiver keeps the times of the samples of each series in the order in which
// they came, and answers as it is told. Histograms and exemplars have series of their
// own, by their kind.
type testReceiver struct {
	t      *testing.T
	url    *url.URL
	mu     sync.Mutex
	got    map[string][]int64
	answer http.HandlerFunc // instead of taking the request
}

func newTestReceiver(t *testing.T) *testReceiver {
	r := &testReceiver{t: t, got: make(map[string][]int64)}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.url, _ = url.Parse(s.URL + "/write")
	return r
}

func (r *testReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // it was cut off
	}
	raw, err := compression.Decode(compression.Snappy, body, compression.NewConcurrentDecodeBuffer())
	if err != nil {
		r.t.Errorf("a request that is not compressed: %v", err)
		return
	}
	b := labels.NewScratchBuilder(0)
	var stored remote.WriteResponseStats
	if strings.Contains(req.Header.Get("Content-Type"), "v2.Request") {
		var wr writev2.Request
		if err := wr.Unmarshal(raw); err != nil {
			r.t.Errorf("not a request: %v", err)
		}
		for _, ts := range wr.Timeseries {
			l, err := ts.ToLabels(&b, wr.Symbols)
			if err != nil {
				r.t.Error(err)
			}
			for _, s := range ts.Samples {
				r.got[l.String()] = append(r.got[l.String()], s.Timestamp)
				stored.Samples++
			}
			for _, h := range ts.Histograms {
				r.got["histogram "+l.String()] = append(r.got["histogram "+l.String()], h.Timestamp)
				stored.Histograms++
			}
			for _, e := range ts.Exemplars {
				r.got["exemplar "+l.String()] = append(r.got["exemplar "+l.String()], e.Timestamp)
				stored.Exemplars++
			}
		}
		stored.SetHeaders(w)
	} else {
		var wr prompb.WriteRequest
		if err := wr.Unmarshal(raw); err != nil {
			r.t.Errorf("not a request: %v", err)
		}
		for _, ts := range wr.Timeseries {
			l := ts.ToLabels(&b, nil).String()
			for _, s := range ts.Samples {
				r.got[l] = append(r.got[l], s.Timestamp)
			}
			for _, h := range ts.Histograms {
				r.got["histogram "+l] = append(r.got["histogram "+l], h.Timestamp)
			}
			for _, e := range ts.Exemplars {
				r.got["exemplar "+l] = append(r.got["exemplar "+l], e.Timestamp)
			}
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *testReceiver) says(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *testReceiver) down() {
	r.says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
}

// has waits until a series has exactly these samples, in this order.
func (r *testReceiver) has(series string, want []int64) {
	r.t.Helper()
	eventually(r.t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if got := r.got[series]; !slices.Equal(got, want) {
			return fmt.Errorf("%s has %d samples %v, want %d %v; there are %v", series, len(got), ends(got), len(want), ends(want), slices.Collect(maps.Keys(r.got)))
		}
		return nil
	})
}

func ends(all []int64) []int64 {
	if len(all) < 8 {
		return all
	}
	return append(slices.Clone(all[:4]), all[len(all)-4:]...)
}

// testLog is a log on disk that a test writes.
type testLog struct {
	t   *testing.T
	dir string // of the data
	log *wlog.WL
}

func newTestLog(t *testing.T) *testLog {
	l := &testLog{t: t, dir: t.TempDir()}
	l.open()
	t.Cleanup(func() { l.log.Close() })
	return l
}

// open begins a new segment, as each start of the storage does.
func (l *testLog) open() {
	l.t.Helper()
	var err error
	if l.log != nil {
		l.log.Close()
	}
	if l.log, err = wlog.NewSize(slog.New(slog.DiscardHandler), nil, filepath.Join(l.dir, "wal"), 32<<10, compression.Snappy); err != nil {
		l.t.Fatal(err)
	}
}

func (l *testLog) write(recs ...[]byte) {
	l.t.Helper()
	if err := l.log.Log(recs...); err != nil {
		l.t.Fatal(err)
	}
}

// series introduces the series s{n="ref"}.
func (l *testLog) series(refs ...chunks.HeadSeriesRef) {
	l.t.Helper()
	var all []record.RefSeries
	for _, ref := range refs {
		all = append(all, record.RefSeries{Ref: ref, Labels: labels.FromStrings("__name__", "s", "n", fmt.Sprint(ref))})
	}
	l.write(new(record.Encoder).Series(all, nil))
}

// samples writes one sample of each series for each time, a record for each time.
func (l *testLog) samples(times []int64, refs ...chunks.HeadSeriesRef) {
	l.t.Helper()
	for _, at := range times {
		var all []record.RefSample
		for _, ref := range refs {
			all = append(all, record.RefSample{Ref: ref, T: at, V: float64(at)})
		}
		l.write(new(record.Encoder).Samples(all, nil))
	}
}

// times are n times from a first one on.
func times(from int64, n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = from + int64(i)
	}
	return all
}

// forward starts a forwarder with its endpoints, after the storage, as a start does.
func (l *testLog) forward(endpoints ...*config.RemoteWriteConfig) (*forwarder, *prometheus.Registry) {
	l.t.Helper()
	l.open()
	reg := prometheus.NewRegistry()
	log := slog.New(slog.NewTextHandler(testWriter{l.t}, nil))
	f := newForwarder(l.dir, log, reg, notifications.NewNotifications(1, nil), nil, 100*time.Millisecond)
	l.apply(f, endpoints...)
	return f, reg
}

func (l *testLog) apply(f *forwarder, endpoints ...*config.RemoteWriteConfig) {
	l.t.Helper()
	c := config.DefaultConfig
	c.GlobalConfig.ExternalLabels = labels.FromStrings("cluster", "c")
	c.RemoteWriteConfigs = endpoints
	if err := f.ApplyConfig(&c); err != nil {
		l.t.Fatal(err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

func endpoint(r *testReceiver) *config.RemoteWriteConfig {
	c := config.DefaultRemoteWriteConfig
	c.URL = &commonconfig.URL{URL: r.url}
	c.QueueConfig.BatchSendDeadline = model.Duration(20 * time.Millisecond)
	c.QueueConfig.MaxSamplesPerSend = 7
	c.QueueConfig.Capacity = 20
	c.QueueConfig.MinShards = 3
	c.QueueConfig.MinBackoff, c.QueueConfig.MaxBackoff = model.Duration(time.Millisecond), model.Duration(5*time.Millisecond)
	c.MetadataConfig.Send = false
	return &c
}

func sName(ref int) string { return fmt.Sprintf(`{__name__="s", cluster="c", n="%d"}`, ref) }

// What was written while nobody sent it is sent at the next start, once, in order, and
// whatever the number of shards was and is. An endpoint begins with what is new to it.
func TestForwardGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	for _, message := range []remoteapi.WriteMessageType{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType} {
		t.Run(string(message), func(t *testing.T) {
			l, r := newTestLog(t), newTestReceiver(t)
			refs := []chunks.HeadSeriesRef{1, 2, 3, 4, 5}
			l.series(refs...)
			l.samples(times(1, 100), refs...) // before the endpoint was configured
			e := endpoint(r)
			e.ProtobufMessage = message
			f, _ := l.forward(e)
			marked(t, f) // at the end of the log
			l.samples(times(1001, 500), refs...)
			f.Notify()
			for _, ref := range refs {
				r.has(sName(int(ref)), times(1001, 500))
			}
			r.down()
			l.samples(times(2001, 300), refs...)
			f.Notify()
			f.Close()
			l.samples(times(3001, 200), refs...)
			l.open()
			r.says(nil)
			e2 := *e
			e2.QueueConfig.MinShards = 2
			f, _ = l.forward(&e2)
			l.samples(times(4001, 10), refs...)
			f.Notify()
			want := slices.Concat(times(1001, 500), times(2001, 300), times(3001, 200), times(4001, 10))
			for _, ref := range refs {
				r.has(sName(int(ref)), want)
			}
			f.Close()
			for n := range 3 { // nothing is sent again, wherever it ended
				r.down()
				f, reg := l.forward(&e2)
				l.samples(times(int64(5001+n), 1), refs...)
				f.Notify()
				eventually(t, func() error {
					if sum(t, reg, "prometheus_remote_storage_samples_retried_total") == 0 {
						return fmt.Errorf("nothing was refused")
					}
					return nil
				})
				f.Close()
				r.says(nil)
			}
			f, _ = l.forward(&e2)
			for _, ref := range refs {
				r.has(sName(int(ref)), append(want[:len(want):len(want)], times(5001, 3)...))
			}
			f.Close()
		})
	}
}

// A queue that ends without a word, as with a kill, is followed by one that leaves
// nothing out, and sends again only what came after the last mark.
func TestForwardAfterAKill(t *testing.T) {
	t.Parallel()
	l, r := newTestLog(t), newTestReceiver(t)
	refs := []chunks.HeadSeriesRef{1, 2, 3, 4, 5}
	l.series(refs...)
	f, _ := l.forward(endpoint(r))
	q := (*f.all.Load())[0]
	marked(t, f)
	l.samples(times(1001, 100), refs...)
	f.Notify()
	r.has(sName(1), times(1001, 100))
	var kept []byte
	eventually(t, func() (err error) {
		kept, err = os.ReadFile(markFile(f.marks, q.key))
		if m, wrong := parseMark(kept); wrong != nil || m.first() != at(1, 100) || m.last() != m.first() {
			return fmt.Errorf("%s %v %v", kept, wrong, err)
		}
		return err
	})
	l.samples(times(2001, 100), refs...)
	f.Notify()
	r.has(sName(1), slices.Concat(times(1001, 100), times(2001, 100)))
	f.Close()
	// The mark of before, as a kill leaves it.
	if err := os.WriteFile(markFile(f.marks, q.key), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	l.open()
	f, _ = l.forward(endpoint(r))
	for _, ref := range refs {
		r.has(sName(int(ref)), slices.Concat(times(1001, 100), times(2001, 100), times(2001, 100)))
	}
	f.Close()
}

// A reload changes what is sent, not whether it is.
func TestForwardThroughReloads(t *testing.T) {
	t.Parallel()
	l, r := newTestLog(t), newTestReceiver(t)
	l.series(1, 2)
	f, reg := l.forward(endpoint(r))
	q := (*f.all.Load())[0]
	marked(t, f)
	r.down()
	l.samples(times(1001, 100), 1, 2)
	f.Notify()
	eventually(t, func() error {
		if n := sum(t, reg, "prometheus_remote_storage_samples_retried_total"); n == 0 {
			return fmt.Errorf("nothing was refused")
		}
		return nil
	})
	e := endpoint(r)
	e.WriteRelabelConfigs = []*relabel.Config{{
		SourceLabels: model.LabelNames{"n"}, Regex: relabel.MustNewRegexp("2"), Action: relabel.Drop, Separator: ";", NameValidationScheme: model.UTF8Validation,
	}}
	l.apply(f, e)
	same := (*f.all.Load())[0]
	l.apply(f, e)
	if got := (*f.all.Load())[0]; got != same || got == q {
		t.Error("an equal section has begun a new queue, or another one has not")
	}
	r.says(nil)
	r.has(sName(1), times(1001, 100))
	r.mu.Lock()
	if got := r.got[sName(2)]; len(got) != 0 {
		t.Errorf("the series that is dropped came: %v", got)
	}
	r.mu.Unlock()
	if n := sum(t, reg, "prometheus_remote_storage_samples_dropped_total"); n != 100 {
		t.Errorf("dropped: %g", n)
	}
	l.apply(f) // forgotten
	if left, _ := filepath.Glob(filepath.Join(f.marks, "*")); len(left) != 0 {
		t.Errorf("marks of nothing: %v", left)
	}
	if n := sum(t, reg, "prometheus_remote_storage_shards"); n != 0 {
		t.Errorf("metrics of nothing: %g", n)
	}
	l.samples(times(2001, 10), 1)
	l.apply(f, endpoint(r)) // begins anew
	marked(t, f)
	l.samples(times(3001, 10), 1)
	f.Notify()
	r.has(sName(1), slices.Concat(times(1001, 100), times(3001, 10)))
	f.Close()
}

// marked waits until the first endpoint has noted where it is.
func marked(t *testing.T, f *forwarder) {
	t.Helper()
	eventually(t, func() error { _, err := os.Stat(markFile(f.marks, (*f.all.Load())[0].key)); return err })
}

// What has left the log for its checkpoint is sent from there.
func TestForwardFromTheCheckpoint(t *testing.T) {
	t.Parallel()
	l, r := newTestLog(t), newTestReceiver(t)
	l.series(1, 2)
	f, _ := l.forward(endpoint(r))
	q := (*f.all.Load())[0]
	marked(t, f)
	l.samples(times(1001, 100), 1, 2)
	f.Notify()
	r.has(sName(2), times(1001, 100))
	f.Close()
	m, err := readMark(f.marks, q.key)
	if err != nil {
		t.Fatal(err)
	}
	m.Time = 1100 // which would be of now, were it not for the times of this test
	if err := m.write(f.marks, q.key, false); err != nil {
		t.Fatal(err)
	}
	l.samples(times(2001, 2000), 1, 2) // more than a segment
	l.open()
	_, last, err := wlog.Segments(l.log.Dir())
	if err != nil || last < 2 {
		t.Fatalf("%d segments, %v", last+1, err)
	}
	all := func(chunks.HeadSeriesRef) bool { return true }
	if _, err := wlog.Checkpoint(slog.New(slog.DiscardHandler), l.log, 0, last-1, all, 1, false); err != nil {
		t.Fatal(err)
	}
	if err := l.log.Truncate(last); err != nil {
		t.Fatal(err)
	}
	l.samples(times(5001, 100), 1, 2)
	f, reg := l.forward(endpoint(r))
	for _, ref := range []int{1, 2} {
		r.has(sName(ref), slices.Concat(times(1001, 100), times(2001, 2000), times(5001, 100)))
	}
	if n := sum(t, reg, "watchpost_remote_write_log_gaps_total"); n != 1 {
		t.Errorf("%g gaps are told of", n)
	}
	f.Close()
}

// Series that the log does not know any more are forgotten.
func TestForwardForgetsSeries(t *testing.T) {
	t.Parallel()
	l, r := newTestLog(t), newTestReceiver(t)
	l.series(1, 2)
	f, _ := l.forward(endpoint(r))
	q := (*f.all.Load())[0]
	marked(t, f)
	l.samples(times(1, 1), 1, 2)
	f.Notify()
	r.has(sName(2), times(1, 1))
	l.open()
	l.open()
	l.series(3)
	l.samples(times(2, 1), 1, 3)
	f.Notify()
	r.has(sName(3), times(2, 1))
	_, last, _ := wlog.Segments(l.log.Dir())
	if _, err := wlog.Checkpoint(slog.New(slog.DiscardHandler), l.log, 0, last-1, func(ref chunks.HeadSeriesRef) bool { return ref == 1 }, 1, false); err != nil {
		t.Fatal(err)
	}
	if err := l.log.Truncate(last); err != nil {
		t.Fatal(err)
	}
	l.open() // at the end of a segment the checkpoint is looked for
	l.samples(times(3, 1), 1, 3)
	f.Notify()
	r.has(sName(1), times(1, 3))
	f.Close()
	if got := slices.Sorted(maps.Keys(q.series)); !slices.Equal(got, []chunks.HeadSeriesRef{1, 3}) {
		t.Errorf("known are %v", got)
	}
}

// An endpoint that answers with success, but is no receiver, is told of, and gets its
// samples once it is one.
func TestForwardToWhatStoresNothing(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "\n<!DOCTYPE html><html><body>Log in") }
	for name, answer := range map[string]http.HandlerFunc{
		"page": page,
		"redirection": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.WriteHeader(http.StatusOK)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, r := newTestLog(t), newTestReceiver(t)
			r.says(answer)
			l.series(1)
			f, reg := l.forward(endpoint(r))
			l.samples(times(1, 20), 1)
			f.Notify()
			told := func(want float64) {
				t.Helper()
				eventually(t, func() error {
					if got := sum(t, reg, "watchpost_remote_write_not_stored"); got != want {
						return fmt.Errorf("watchpost_remote_write_not_stored is %g, want %g", got, want)
					}
					if got := len(f.notes.Get()); got != int(want) {
						return fmt.Errorf("%d notes", got)
					}
					return nil
				})
			}
			told(1)
			r.says(nil)
			r.has(sName(1), times(1, 20))
			told(0)
			if n := sum(t, reg, "prometheus_remote_storage_samples_failed_total"); n != 0 {
				t.Errorf("%g are said to be lost", n)
			}
			f.Close()
		})
	}
}

// Answers of receivers that have words to say are answers of receivers.
func TestForwardTakesWordsForSuccess(t *testing.T) {
	t.Parallel()
	l, r := newTestLog(t), newTestReceiver(t)
	r.says(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8") // as some frameworks call any text
		io.WriteString(w, "OK "+strings.Repeat("and more ", 1000))
	})
	l.series(1)
	f, reg := l.forward(endpoint(r))
	l.samples(times(1, 20), 1)
	f.Notify()
	eventually(t, func() error {
		if sum(t, reg, "prometheus_remote_storage_samples_total") != 20 || sum(t, reg, "prometheus_remote_storage_samples_pending") != 0 {
			return fmt.Errorf("not sent")
		}
		return nil
	})
	if n := sum(t, reg, "prometheus_remote_storage_samples_retried_total") + sum(t, reg, "watchpost_remote_write_not_stored"); n != 0 {
		t.Errorf("%g", n)
	}
	f.Close()
}

func TestIsPage(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "OK": false, `{"status":"success"}`: false, "html": false, "<response/>": false,
		"<html>": true, "\ufeff \r\n<!doctype HTML>": true, "<!-- a --><HTML lang=en>": true, "<!-- never closed": true, "<!-- a --> ok": false,
	} {
		if got := isPage([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0,
		"Sat, 21 Nov 2026 12:01:00 GMT": time.Minute, "Sat, 21 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestShardsFor(t *testing.T) {
	for _, c := range []struct {
		n             int
		busy, blocked float64
		want          int
	}{
		{1, 0, 0, 1}, {1, 0.6, 0, 1}, {1, 0.8, 0, 2}, {4, 4, 0.9, 7}, {4, 4, 0.1, 6}, {40, 40, 1, 50}, {10, 1, 0, 2},
	} {
		if got := shardsFor(c.n, c.busy, c.blocked, 1, 50); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// More shards take over without a series being overtaken by itself.
func TestForwardScales(t *testing.T) {
	l, r := newTestLog(t), newTestReceiver(t)
	refs := []chunks.HeadSeriesRef{1, 2, 3, 4, 5, 6, 7}
	l.series(refs...)
	f, _ := l.forward(endpoint(r))
	marked(t, f)
	f.Close()
	l.samples(times(1, 1000), refs...)
	l.open()
	reg := prometheus.NewRegistry()
	f2 := newForwarder(l.dir, f.log, reg, f.notes, nil, time.Second)
	w, err := f2.wanted(&config.Config{RemoteWriteConfigs: []*config.RemoteWriteConfig{endpoint(r)}})
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(f2, w[0], labels.FromStrings("cluster", "c"))
	q.gauges = f2.metrics.queue(q)
	q.begin()
	q.makeShards(3)
	q.scaling.begin(time.Now().Add(-scaleEach)) // at once
	q.scaling.busy.Store(int64(3 * scaleEach))
	q.finished.Go(q.run)
	for _, ref := range refs {
		r.has(sName(int(ref)), times(1, 1000))
	}
	q.finish()
	if got := len(q.shards); got < 5 || got > 8 { // more than once, where all of this takes long
		t.Errorf("%d shards", got)
	}
}

// Native histograms and exemplars go where they are asked for; histograms with buckets
// of their own only with 2.0.
func TestForwardHistogramsAndExemplars(t *testing.T) {
	t.Parallel()
	for message, custom := range map[remoteapi.WriteMessageType][]int64{remoteapi.WriteV1MessageType: nil, remoteapi.WriteV2MessageType: {3}} {
		for _, asked := range []bool{true, false} {
			t.Run(fmt.Sprint(message, asked), func(t *testing.T) {
				l, r := newTestLog(t), newTestReceiver(t)
				e := endpoint(r)
				e.ProtobufMessage, e.SendNativeHistograms, e.SendExemplars = message, asked, asked
				f, reg := l.forward(e)
				l.series(1, 2)
				h := &histogram.Histogram{Schema: 1, Count: 3, Sum: 2.5, ZeroThreshold: 0.1, PositiveSpans: []histogram.Span{{Length: 2}}, PositiveBuckets: []int64{1, 1}}
				own := &histogram.Histogram{Schema: histogram.CustomBucketsSchema, Count: 1, Sum: 1, CustomValues: []float64{1}, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{1}}
				var enc record.Encoder
				one, _ := enc.HistogramSamples([]record.RefHistogramSample{{Ref: 1, T: 1, H: h}}, nil)
				two, _ := enc.FloatHistogramSamples([]record.RefFloatHistogramSample{{Ref: 1, T: 2, FH: h.ToFloat(nil)}}, nil)
				l.write(one, two, enc.CustomBucketsHistogramSamples([]record.RefHistogramSample{{Ref: 2, T: 3, H: own}}, nil),
					enc.Exemplars([]record.RefExemplar{{Ref: 1, T: 4, V: 1, Labels: labels.FromStrings("trace_id", "x")}}, nil))
				l.samples(times(5, 1), 1, 2)
				f.Notify()
				r.has(sName(1), times(5, 1))
				want := map[string][]int64{"histogram " + sName(1): {1, 2}, "histogram " + sName(2): custom, "exemplar " + sName(1): {4}}
				for name, times := range want {
					if !asked {
						times = nil
					}
					r.has(name, times)
				}
				if asked && message == remoteapi.WriteV1MessageType {
					if n := sum(t, reg, "prometheus_remote_storage_histograms_dropped_total"); n != 1 {
						t.Errorf("dropped: %g", n)
					}
				}
				if n := sum(t, reg, "prometheus_remote_storage_histograms_failed_total") + sum(t, reg, "prometheus_remote_storage_exemplars_failed_total"); n != 0 {
					t.Errorf("%g are said to be lost", n)
				}
				f.Close()
			})
		}
	}
}

// A log that was repaired, and so cut off before what was sent, goes on behind.
func TestForwardAfterARepair(t *testing.T) {
	t.Parallel()
	l, r := newTestLog(t), newTestReceiver(t)
	l.series(1, 2)
	f, _ := l.forward(endpoint(r))
	q := (*f.all.Load())[0]
	f.Close()
	m := mark{Shards: []place{at(9, 17), at(8, 3)}, Time: 1}
	if err := m.write(f.marks, q.key, false); err != nil {
		t.Fatal(err)
	}
	l.open()
	f, _ = l.forward(endpoint(r))
	l.samples(times(1, 10), 1, 2)
	f.Notify()
	r.has(sName(1), times(1, 10))
	r.has(sName(2), times(1, 10))
	f.Close()
}

// What the scrapes know of their metrics goes along with 1.0.
func TestWireMetadata(t *testing.T) {
	var w wire
	w.metadata([]scrape.MetricMetadata{{MetricFamily: "a", Type: model.MetricTypeCounter, Help: "help", Unit: "s"}, {MetricFamily: "b"}})
	var got prompb.WriteRequest
	if err := got.Unmarshal(w.raw); err != nil {
		t.Fatal(err)
	}
	if m := got.Metadata; len(m) != 2 || m[0].MetricFamilyName != "a" || m[0].Type != prompb.MetricMetadata_COUNTER || m[0].Help != "help" || m[0].Unit != "s" || m[1].MetricFamilyName != "b" {
		t.Errorf("%+v", got)
	}
}

// The bytes are those that the messages' own code writes.
func TestWireV1(t *testing.T) {
	h := &histogram.Histogram{Schema: 1, Count: 3, Sum: 2.5, ZeroThreshold: 0.1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1}}
	l := labels.FromStrings("__name__", "a", "empty", "", "long", strings.Repeat("x", 300))
	items := []item{
		{labels: l, time: 1_800_000_000_000, value: 42},
		{labels: l, time: 0, value: 0},
		{labels: l, time: -5, value: -1.5},
		{labels: l, time: 7, value: math.Inf(1), more: &itemMore{kind: kindExemplar, exemplar: labels.FromStrings("trace_id", "x")}},
		{labels: l, time: 8, more: &itemMore{kind: kindHistogram, histogram: h}},
		{labels: l, time: 9, more: &itemMore{kind: kindHistogram, floats: h.ToFloat(nil)}},
	}
	series := func(ts prompb.TimeSeries) prompb.TimeSeries { ts.Labels = prompb.FromLabels(l, nil); return ts }
	want := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		series(prompb.TimeSeries{Samples: []prompb.Sample{{Value: 42, Timestamp: 1_800_000_000_000}}}),
		series(prompb.TimeSeries{Samples: []prompb.Sample{{}}}),
		series(prompb.TimeSeries{Samples: []prompb.Sample{{Value: -1.5, Timestamp: -5}}}),
		series(prompb.TimeSeries{Exemplars: []prompb.Exemplar{{Labels: []prompb.Label{{Name: "trace_id", Value: "x"}}, Value: math.Inf(1), Timestamp: 7}}}),
		series(prompb.TimeSeries{Histograms: []prompb.Histogram{prompb.FromIntHistogram(8, h)}}),
		series(prompb.TimeSeries{Histograms: []prompb.Histogram{prompb.FromFloatHistogram(9, h.ToFloat(nil))}}),
	}}
	wanted, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var w wire
	for range 2 { // the second in used buffers
		w.v1(items)
		if string(w.raw) != string(wanted) {
			var got prompb.WriteRequest
			err := got.Unmarshal(w.raw)
			t.Errorf("got  %v %v\nwant %v", got, err, want)
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add([]byte(`{"endpoint":"http://a/","shards":["3:17","4:0"],"time_ms":1800000000000}`))
	f.Add([]byte(`{"shards":["-1:0"]}`))
	f.Add([]byte(`{"shards":[]}`))
	f.Add([]byte(`{"shards":[3]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMark(b)
		if err != nil {
			return
		}
		dir := t.TempDir()
		if err := m.write(dir, "k", false); err != nil {
			t.Fatal(err)
		}
		again, err := readMark(dir, "k")
		if err != nil || !slices.Equal(again.Shards, m.Shards) || again.Time != m.Time || again.first() > again.last() {
			t.Errorf("%s: %+v, %v", b, again, err)
		}
	})
}

func BenchmarkWireV1(b *testing.B) {
	items := make([]item, 2000)
	for i := range items {
		items[i] = item{labels: labels.FromStrings("__name__", "node_cpu_seconds_total", "cpu", fmt.Sprint(i), "instance", "10.0.0.1:9100", "job", "node", "mode", "idle"),
			time: 1_800_000_000_000, value: float64(i) * 1.1}
	}
	c := config.DefaultRemoteWriteConfig
	q := &queue{conf: &c}
	var w wire
	b.ReportAllocs()
	for b.Loop() {
		w.request(q, items)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/sample")
}

// sum is that of a metric's samples.
func sum(t *testing.T, reg *prometheus.Registry, name string) (s float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			s += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return s
}
