package promstack

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// page asks the handler of the page.
func (e *engine) page(path string, params ...string) *httptest.ResponseRecorder {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	w := httptest.NewRecorder()
	e.PageHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+q.Encode(), nil))
	return w
}

func data[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var a struct{ Data T }
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return a.Data
}

// shop has a target that is well, one that leads elsewhere, one that does not end, one that is broken; and one that is
// dropped.
func shop(t *testing.T) (e *engine, address string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "# TYPE lamps gauge\nlamps{room=\"a\"} 1\nlamps{room=\"b\"} 2\n")
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/secret", http.StatusFound)
	})
	mux.HandleFunc("/secret", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "lamps 1\n")
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		line := []byte("lamps{room=\"" + strings.Repeat("x", 1000) + "\"} 1\n")
		for range 2 * maxRawBytes / len(line) {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	address = strings.TrimPrefix(s.URL, "http://")
	e = startYML(t, t.TempDir(), fmt.Sprintf(`
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
- job_name: shop
  fallback_scrape_protocol: PrometheusText0.0.4
  static_configs: [{targets: [%[1]q], labels: {room: hall}}]
- job_name: away
  metrics_path: /away
  fallback_scrape_protocol: PrometheusText0.0.4
  static_configs: [{targets: [%[1]q]}]
- job_name: long
  metrics_path: /long
  scrape_interval: 1h
  scrape_timeout: 10s
  static_configs: [{targets: [%[1]q]}]
- job_name: broken
  metrics_path: /nothing
  static_configs: [{targets: [%[1]q]}]
- job_name: spare
  relabel_configs:
  - {target_label: x, replacement: y}
  - {source_labels: [room, x], regex: "attic;.*", action: drop}
  static_configs: [{targets: [%[1]q], labels: {room: attic}}]
`, address))
	e.wants(`sum by (job) (lamps)`, "shop", "3")
	return e, address
}

func TestPageTargets(t *testing.T) {
	e, address := shop(t)
	eventually(t, func() error {
		list := data[targetList](t, e.page("/targets"))
		if list.Total != 4 || list.States["up"] != 2 || list.States["down"] != 1 || list.States["dropped"] != 1 {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	list := data[targetList](t, e.page("/targets", "limit", "1"))
	if list.Total != 4 || len(list.Rows) != 1 || list.Rows[0].State != "down" || list.Rows[0].Error == "" {
		t.Errorf("what fails comes first, one of four: %+v", list)
	}
	list = data[targetList](t, e.page("/targets", "q", "ROOM=hall shop", "state", "up"))
	if len(list.Rows) != 1 || list.Rows[0].URL != "http://"+address+"/metrics" || list.Rows[0].Labels["room"] != "hall" || list.Rows[0].LastScrape == 0 {
		t.Errorf("by words: %+v", list)
	}
	list = data[targetList](t, e.page("/targets", "state", "dropped"))
	if len(list.Rows) != 1 || list.Rows[0].DroppedBy != 2 || list.Rows[0].Rule != "drop [room, x] attic;.*" || list.Rows[0].Discovered["room"] != "attic" {
		t.Errorf("dropped: %+v", list)
	}
	pools := data[[]poolRow](t, e.page("/targets/pools"))
	if len(pools) != 5 || pools[4] != (poolRow{Name: "spare", Dropped: 1}) {
		t.Errorf("pools: %+v", pools)
	}
	for _, params := range [][]string{{"state", "fine"}, {"sort", "colour"}, {"limit", "many"}} {
		if w := e.page("/targets", params...); w.Code != http.StatusBadRequest {
			t.Errorf("%v: %d", params, w.Code)
		}
	}
}

func TestRawMetricsOfATarget(t *testing.T) {
	e, address := shop(t)
	w := e.page("/targets/raw", "pool", "shop", "url", "http://"+address+"/metrics")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `lamps{room="b"} 2`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if h := w.Header(); h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("what a target says may not be run: %v", h)
	}
	// Only what is being scraped is asked.
	for _, tc := range [][2]string{
		{"shop", "http://" + address + "/secret"}, {"shop", "http://" + address + "/away"}, {"spare", "http://" + address + "/metrics"},
		{"nobody", "http://" + address + "/metrics"}, {"", ""}, {"shop", "file:///etc/passwd"},
	} {
		if w := e.page("/targets/raw", "pool", tc[0], "url", tc[1]); w.Code != http.StatusNotFound {
			t.Errorf("%v: %d %s", tc, w.Code, w.Body)
		}
	}
	if w := e.page("/targets/raw", "pool", "away", "url", "http://"+address+"/away"); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "302 Found") {
		t.Errorf("a target that leads elsewhere, which a scrape follows and a reader may not: %d %s", w.Code, w.Body)
	}
	w = e.page("/targets/raw", "pool", "long", "url", "http://"+address+"/long")
	if n := w.Body.Len(); w.Code != http.StatusOK || n < maxRawBytes || n > maxRawBytes+100 || !strings.HasSuffix(w.Body.String(), "\n# cut off here, after 16 MiB\n") {
		t.Errorf("a long answer: %d, %d bytes, ends %q", w.Code, n, w.Body.String()[max(0, n-80):])
	}
	places := make(chan struct{}, 1)
	places <- struct{}{}
	full := &rawTargets{engine: e.Engine, places: places}
	w = httptest.NewRecorder()
	full.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/targets/raw", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("too many at a time: %d", w.Code)
	}
}

func TestCardinality(t *testing.T) {
	e, _ := shop(t)
	c := data[cardinality](t, e.page("/cardinality", "by", "job"))
	if c.Series == 0 || c.By != "job" || len(c.Labels) == 0 || c.Values[0].Name != "shop" {
		t.Errorf("%+v", c)
	}
	c = data[cardinality](t, e.page("/cardinality"))
	if c.By != "__name__" || c.Values[0].Count < 2 {
		t.Errorf("%+v", c)
	}
	eventually(t, func() error { // the target that leads elsewhere has the metric as well, a moment later
		m := data[metricCardinality](t, e.page("/cardinality/metric", "name", "lamps"))
		rooms := slices.IndexFunc(m.Labels, func(l labelRow) bool { return l.Name == "exported_room" })
		if m.Series < 3 || rooms < 0 || m.Labels[rooms].Values != 2 || len(m.Labels[rooms].Top) != 2 {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	if m := data[metricCardinality](t, e.page("/cardinality/metric", "name", "nothing")); m.Series != 0 {
		t.Errorf("%+v", m)
	}
	if w := e.page("/cardinality/metric"); w.Code != http.StatusBadRequest {
		t.Errorf("no name: %d", w.Code)
	}
}

func TestQuery(t *testing.T) {
	e, _ := shop(t)
	ask := func(expr string) (series, points int, sum float64, err error) {
		_, err = e.Query(t.Context(), expr, time.Now(), func(l iter.Seq2[string, string], p iter.Seq2[int64, float64]) {
			series++
			for at, v := range p {
				if at < time.Now().Add(-time.Minute).UnixMilli() {
					t.Errorf("%s: a point of %s", expr, time.UnixMilli(at))
				}
				points++
				sum += v
			}
			for range l {
				break // the sequence may be left early
			}
		})
		return series, points, sum, err
	}
	if series, points, sum, err := ask(`lamps{job="shop"}`); series != 2 || points != 2 || sum != 3 || err != nil {
		t.Errorf("vector: %d series, %d points, sum %v, %v", series, points, sum, err)
	}
	if series, points, _, err := ask(`lamps{job="shop"}[1m]`); series != 2 || points < 2 || err != nil {
		t.Errorf("matrix: %d series, %d points, %v", series, points, err)
	}
	if _, _, sum, err := ask(`1 + 1`); sum != 2 || err != nil {
		t.Errorf("scalar: %v, %v", sum, err)
	}
	if _, _, _, err := ask(`lamps{`); err == nil {
		t.Error("a mistake is an error")
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := ask(`lamps`); err == nil || !strings.Contains(err.Error(), ErrNotRunning.Error()) {
		t.Errorf("after the end: %v", err)
	}
	if w := e.page("/targets"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", w.Code)
	}
}
