//go:build e2e

package e2e

// The collector beside the Prometheus program, where WATCHPOST_PROMETHEUS says which,
// with promtool beside it (make prometheus).

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheus is the path of the program to compare with, and promtool's.
func prometheus(t *testing.T) (program, promtool string) {
	t.Helper()
	program = os.Getenv("WATCHPOST_PROMETHEUS")
	if program == "" {
		t.Skip("WATCHPOST_PROMETHEUS does not say where a Prometheus to compare with is")
	}
	return program, filepath.Join(filepath.Dir(program), "promtool")
}

// exposition is five hours of the metrics of a small service, with resets, gaps,
// stale series, NaN and infinities.
func exposition(end time.Time) string {
	var b strings.Builder
	const step = 30 * time.Second
	start := end.Add(-5 * time.Hour)
	each := func(family, kind string, write func(i int, at string)) {
		fmt.Fprintf(&b, "# TYPE %s %s\n", family, kind)
		for i := 0; ; i++ {
			at := start.Add(time.Duration(i) * step)
			if at.After(end) {
				return
			}
			write(i, strconv.FormatInt(at.Unix(), 10))
		}
	}
	each("requests", "counter", func(i int, at string) {
		for j, path := range []string{"/", "/cart", "/pay"} {
			for k, instance := range []string{"a:80", "b:80", "c:81"} {
				if k == 1 && i%100 > 80 {
					continue // a gap
				}
				n := i
				if k == 2 {
					n = i % 170 // a restart
				}
				fmt.Fprintf(&b, "requests_total{job=\"web\",instance=%q,path=%q,code=\"%d\"} %g %s\n", instance, path, 200+100*(j%2)*3, float64(n)*float64(j+1)*1.5, at)
			}
		}
	})
	each("temperature", "gauge", func(i int, at string) {
		for j, instance := range []string{"a:80", "b:80", "c:81", "d:81"} {
			v := math.Sin(float64(i)/20+float64(j))*30 + float64(j)
			text := strconv.FormatFloat(v, 'g', -1, 64)
			switch {
			case j == 3 && i%50 == 7:
				text = "NaN"
			case j == 3 && i%50 == 9:
				text = "+Inf"
			case j == 2 && i > 300:
				continue // it ends
			}
			fmt.Fprintf(&b, "temperature{job=\"web\",instance=%q,rack=\"r%d\"} %s %s\n", instance, j%2, text, at)
		}
	})
	each("latency_seconds", "histogram", func(i int, at string) {
		for j, instance := range []string{"a:80", "b:80"} {
			n := 0
			for k, le := range []string{"0.1", "0.25", "0.5", "1.0", "+Inf"} {
				n += i * (5 - k) / (j + 1)
				fmt.Fprintf(&b, "latency_seconds_bucket{job=\"web\",instance=%q,le=%q} %d %s\n", instance, le, n, at)
			}
			fmt.Fprintf(&b, "latency_seconds_count{job=\"web\",instance=%q} %d %s\n", instance, n, at)
			fmt.Fprintf(&b, "latency_seconds_sum{job=\"web\",instance=%q} %g %s\n", instance, float64(n)*0.3, at)
		}
	})
	each("build", "info", func(i int, at string) {
		for j, instance := range []string{"a:80", "b:80", "c:81"} {
			fmt.Fprintf(&b, "build_info{job=\"web\",instance=%q,version=\"1.%d\"} 1 %s\n", instance, j+i/400, at)
		}
	})
	b.WriteString("# EOF\n")
	return b.String()
}

// questions are what is asked of both.
func questions() []string {
	qs := []string{
		`1`, `"text"`, `time()`, `vector(1)`, `scalar(temperature{instance="a:80"})`, `pi()`, `-temperature`, `absent(nothing)`, `absent(temperature)`,
		`temperature`, `temperature{rack="r0"}`, `temperature{rack!="r0"}`, `temperature{instance=~"[ab]:.*"}`, `temperature{instance!~"a.*"}`, `{__name__=~"temp.*|build_info"}`,
		`temperature offset 1h`, `temperature offset -10m`, `temperature @ start()`, `temperature @ end()`, `requests_total @ end() - requests_total @ start()`,
		`temperature > 10`, `temperature > bool 10`, `temperature == temperature`, `temperature != temperature`, `temperature{rack="r0"} or temperature{rack="r1"}`,
		`temperature and on(instance) requests_total`, `temperature unless on(instance) build_info`, `requests_total / on(instance) group_left(version) build_info`,
		`requests_total * on(instance) group_left temperature`, `temperature % 7`, `temperature ^ 2`, `temperature atan2 3`, `2 ^ 3 ^ 2`, `1 / 0`, `0 / 0`,
		`sum by (path) (rate(requests_total[5m])) / ignoring(path) group_left sum(rate(requests_total[5m]))`,
		`histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))`, `histogram_quantile(0.5, sum by (le) (rate(latency_seconds_bucket[10m])))`,
		`histogram_quantile(2, latency_seconds_bucket)`, `histogram_quantile(NaN, latency_seconds_bucket)`,
		`rate(latency_seconds_sum[5m]) / rate(latency_seconds_count[5m])`,
		`label_replace(temperature, "host", "$1", "instance", "(.*):.*")`, `label_join(temperature, "both", "-", "instance", "rack")`,
		`sort(temperature)`, `sort_desc(temperature)`, `topk(2, temperature)`, `bottomk(2, temperature)`, `topk by (rack) (1, temperature)`, `limitk(2, build_info)`,
		`count_values("v", build_info)`, `quantile(0.3, temperature)`, `quantile by (rack) (1.5, temperature)`, `group(temperature)`, `count by (__name__) ({job="web"})`,
		`max_over_time(rate(requests_total[5m])[30m:1m])`, `avg_over_time((temperature > 0)[1h:5m])`, `sum_over_time(temperature[1h:])`, `rate(requests_total[5m:10s])`,
		`predict_linear(temperature[30m], 600)`, `deriv(temperature[10m])`, `double_exponential_smoothing(temperature[30m], 0.5, 0.5)`, `quantile_over_time(0.7, temperature[20m])`,
		`clamp(temperature, -5, 5)`, `clamp(temperature, 5, -5)`, `clamp_min(temperature, 0)`, `clamp_max(temperature, 0)`, `round(temperature, 0.5)`,
		`day_of_month()`, `day_of_week(vector(0))`, `day_of_year()`, `days_in_month()`, `hour()`, `minute()`, `month()`, `year()`, `timestamp(temperature)`, `timestamp(temperature offset 5m)`,
		`changes(temperature[10m])`, `resets(requests_total[2h])`, `absent_over_time(nothing[5m])`, `absent_over_time(temperature[5m])`, `present_over_time(temperature[5m])`,
		`count(temperature) by (rack)`, `sum without (instance) (temperature)`, `stddev(temperature)`, `stdvar by (rack) (temperature)`, `avg(temperature) keep_metric_names`,
		`temperature[`, `rate(temperature)`, `sum(`, `requests_total + on(job) temperature`, `nothing`, `sum(nothing)`, `count(nothing) or vector(0)`,
		`info(requests_total)`, `sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m])) * 100`, `1 - avg by (instance) (rate(requests_total[2m]))`,
		`increase(requests_total[1h30m])`, `temperature{instance="a:80"} - on() group_right temperature{rack="r1"}`, `sgn(temperature)`, `requests_total{path="/"} > 100 < 500`,
	}
	for _, f := range []string{"abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "tanh", "asinh", "atan", "deg", "rad"} {
		qs = append(qs, f+"(temperature)")
	}
	for _, f := range []string{"rate", "irate", "increase", "delta", "idelta", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time"} {
		qs = append(qs, f+"(requests_total[5m])", f+"(temperature[7m])")
	}
	for _, f := range []string{"sum", "avg", "min", "max", "count", "stddev", "group"} {
		qs = append(qs, f+" by (instance) (requests_total)")
	}
	return qs
}

// reply is what a program says to a request, in an order that does not depend on
// maps where the query gives none.
func reply(t *testing.T, address, path string, query url.Values) string {
	t.Helper()
	r, err := http.Get("http://" + address + "/api/v1" + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var a map[string]any
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%s: %v in %.200s", path, err, body)
	}
	if data, isMap := a["data"].(map[string]any); isMap && !strings.HasPrefix(query.Get("query"), "sort") {
		if list, isList := data["result"].([]any); isList {
			slices.SortFunc(list, func(x, y any) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
		}
	}
	out, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(r.StatusCode) + " " + string(out)
}

// Both programs answer every question alike, on the same blocks.
func TestCollectorAnswersAsPrometheus(t *testing.T) {
	beside(t)
	program, promtool := prometheus(t)
	dir := t.TempDir()
	end := time.Now().Truncate(time.Minute)
	text := filepath.Join(dir, "metrics.txt")
	if err := os.WriteFile(text, []byte(exposition(end)), 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := filepath.Join(dir, "blocks")
	if out, err := exec.Command(promtool, "tsdb", "create-blocks-from", "openmetrics", text, blocks).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {evaluation_interval: 20s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ours := newCollector(t, "--config.file="+config)
	theirs := freeAddress(t)
	theirData := filepath.Join(dir, "theirs")
	for _, to := range []string{ours.data, theirData} {
		if err := os.CopyFS(to, os.DirFS(blocks)); err != nil {
			t.Fatal(err)
		}
	}
	ours.start()
	other := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+theirData, "--web.listen-address="+theirs)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	ours.until("Prometheus is ready", func() error {
		r, err := http.Get("http://" + theirs + "/-/ready")
		if err == nil {
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s", r.Status)
			}
		}
		return err
	})

	asked, empty := 0, 0
	same := func(path string, query url.Values) {
		t.Helper()
		our, their := reply(t, ours.web, path, query), reply(t, theirs, path, query)
		if our != their {
			t.Errorf("%s %v:\n%.500s\nPrometheus:\n%.500s", path, query, our, their)
		}
		asked++
		if strings.Contains(our, `"result":[]`) {
			empty++
		}
	}
	at := func(back time.Duration) string { return strconv.FormatInt(end.Add(-back).Unix(), 10) }
	for _, q := range questions() {
		for _, back := range []time.Duration{10 * time.Minute, 4 * time.Hour} {
			same("/query", url.Values{"query": {q}, "time": {at(back)}})
		}
		same("/query_range", url.Values{"query": {q}, "start": {at(2 * time.Hour)}, "end": {at(time.Hour)}, "step": {"97"}})
	}
	for _, path := range []string{"/labels", "/label/instance/values", "/label/__name__/values"} {
		same(path, url.Values{"start": {at(5 * time.Hour)}, "end": {at(0)}})
		same(path, url.Values{"match[]": {`temperature`}, "limit": {"2"}})
	}
	same("/series", url.Values{"match[]": {`{job="web"}`}, "start": {at(5 * time.Hour)}, "end": {at(0)}})
	same("/format_query", url.Values{"query": {"sum(a)by(b)"}})
	same("/parse_query", url.Values{"query": {"sum(a[5m])by(b)"}})
	t.Logf("%d questions, %d requests, %d of them with an empty answer", len(questions()), asked, empty)
	if len(questions()) < 100 || empty > asked/4 {
		t.Error("too few questions, or too many without an answer")
	}
}
