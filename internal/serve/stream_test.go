package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchpost/internal/expo"
)

// lines is an exposition of one text, and a Streamer of itself.
type lines struct {
	text  string
	err   error         // of Stream
	cut   error         // of writing, after half of the text
	began chan struct{} // is told that writing has begun, if not nil
	wait  chan struct{} // writing waits for this to be closed, if not nil
}

func (l *lines) Stream(*http.Request) (Stream, error) { return l, l.err }

func (l *lines) whole(f expo.Format) []byte {
	text := l.text
	if f == expo.OpenMetrics {
		text += expo.EOF
	}
	return []byte(text)
}

func (l *lines) GzipSize(f expo.Format) int64 {
	var out bytes.Buffer
	l.gzip(&out, f)
	return int64(out.Len())
}

func (l *lines) gzip(w io.Writer, f expo.Format) error {
	m := expo.NewMember(w)
	m.Add(new(expo.Deflater).Deflate(l.whole(f)))
	return m.Close()
}

func (l *lines) WriteGzip(w io.Writer, f expo.Format) error { return l.gzip(w, f) }

func (l *lines) WriteText(w io.Writer, f expo.Format) error {
	if l.began != nil {
		l.began <- struct{}{}
	}
	if l.wait != nil {
		<-l.wait
	}
	text := l.whole(f)
	if l.cut != nil {
		w.Write(text[:len(text)/2])
		return l.cut
	}
	_, err := w.Write(text)
	return err
}

// streamServer serves a Streamer, and its registry.
func streamServer(t *testing.T, s Streamer, most int) (*httptest.Server, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	srv := httptest.NewServer(NewStream(StreamConfig{Streamer: s, Self: reg, MaxRequests: most, Ceiling: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(srv.Close)
	return srv, reg
}

func request(t *testing.T, method, url string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestStream(t *testing.T) {
	text := strings.Repeat("kube_pod_info{pod=\"a\"} 1\n", 1000)
	srv, reg := streamServer(t, &lines{text: text}, 0)
	for _, tc := range []struct {
		accept, encoding string
		want, coding     string
		contentType      string
	}{
		{"", "", text, "", "text/plain; version=0.0.4; charset=utf-8"},
		{"", "gzip", text, "gzip", "text/plain; version=0.0.4; charset=utf-8"},
		{"application/openmetrics-text;version=1.0.0", "gzip;q=0.5, zstd", text + "# EOF\n", "gzip", "application/openmetrics-text; version=1.0.0; charset=utf-8"},
		{"application/openmetrics-text;version=1.0.0", "gzip;q=0, *", text + "# EOF\n", "", "application/openmetrics-text; version=1.0.0; charset=utf-8"},
		{"", "br, *;q=0.1", text, "gzip", "text/plain; version=0.0.4; charset=utf-8"},
	} {
		t.Run(fmt.Sprint(tc.accept, tc.encoding), func(t *testing.T) {
			res := request(t, "GET", srv.URL, "Accept", tc.accept, "Accept-Encoding", tc.encoding)
			body := io.Reader(res.Body)
			if tc.coding == "gzip" {
				if res.ContentLength <= 0 {
					t.Error("no length")
				}
				body = gunzip(t, body)
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != tc.want {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(tc.want))
			}
			if res.StatusCode != 200 || res.Header.Get("Content-Encoding") != tc.coding || res.Header.Get("Content-Type") != tc.contentType {
				t.Errorf("status %d, %v", res.StatusCode, res.Header)
			}
		})
	}
	if n := testutil.CollectAndCount(reg); n != 2 {
		t.Errorf("%d series of requests, want gzip and identity", n)
	}
}

func TestStreamRefuses(t *testing.T) {
	good, _ := streamServer(t, &lines{text: "a 1\n"}, 0)
	if res := request(t, "POST", good.URL); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
		t.Errorf("POST: %d", res.StatusCode)
	}
	if res := request(t, "HEAD", good.URL, "Accept-Encoding", "gzip"); res.StatusCode != 200 || res.ContentLength <= 0 {
		t.Errorf("HEAD: %d, length %d", res.StatusCode, res.ContentLength)
	}
	for err, status := range map[error]int{
		fmt.Errorf("%w: no such resource", ErrBadRequest): http.StatusBadRequest,
		errors.New("not there yet"):                       http.StatusServiceUnavailable,
	} {
		srv, _ := streamServer(t, &lines{err: err}, 0)
		res := request(t, "GET", srv.URL)
		if text, _ := io.ReadAll(res.Body); res.StatusCode != status || !strings.Contains(string(text), err.Error()) {
			t.Errorf("%v: status %d, %s", err, res.StatusCode, text)
		}
	}
}

// A part of an answer is not taken for the whole.
func TestStreamCut(t *testing.T) {
	srv, reg := streamServer(t, &lines{text: strings.Repeat("a 1\n", 10000), cut: errors.New("broken")}, 0)
	res := request(t, "GET", srv.URL)
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the client does not see that the answer was cut")
	}
	want := `
		# HELP watchpost_scrapes_total Requests for metrics, by HTTP status and content coding; aborted is one that was not sent whole.
		# TYPE watchpost_scrapes_total counter
		watchpost_scrapes_total{code="200",coding="gzip"} 0
		watchpost_scrapes_total{code="200",coding="identity"} 0
		watchpost_scrapes_total{code="aborted",coding="identity"} 1
	`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "watchpost_scrapes_total"); err != nil {
		t.Error(err)
	}
}

// One that gets no turn within its own time is refused, and a turn that ends is
// another's.
func TestStreamTurns(t *testing.T) {
	l := &lines{text: "a 1\n", began: make(chan struct{}, 1), wait: make(chan struct{})}
	srv, _ := streamServer(t, l, 1)
	first := make(chan int, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		res, err := client.Get(srv.URL)
		if err != nil {
			first <- 0
			return
		}
		defer res.Body.Close()
		first <- res.StatusCode
	}()
	<-l.began
	if res := request(t, "GET", srv.URL, ScrapeTimeoutHeader, "0.05"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", res.StatusCode)
	}
	close(l.wait)
	if status := <-first; status != 200 {
		t.Errorf("the first: %d", status)
	}
	if res := request(t, "GET", srv.URL, "Accept-Encoding", "gzip"); res.StatusCode != 200 {
		t.Errorf("after it: %d", res.StatusCode)
	}
}

// A server tells that it runs by the names that Kubernetes' own programs have, and
// shows profiles only to those whom the guard lets.
func TestGuardedProfiles(t *testing.T) {
	s, err := New(Config{Program: "p", Addresses: []string{"127.0.0.1:0"}, Pprof: true, Log: slog.New(slog.DiscardHandler),
		Guard: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Friend") == "" {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				h.ServeHTTP(w, r)
			})
		}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.mux)
	defer srv.Close()
	for path, want := range map[string]int{"/livez": 200, "/healthz": 200, "/debug/pprof/": 403, "/debug/pprof/cmdline": 403, "/debug/pprof/heap": 403} {
		if res := request(t, "GET", srv.URL+path); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap?debug=1"} {
		if res := request(t, "GET", srv.URL+path, "X-Friend", "1"); res.StatusCode != 200 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
