//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// sixteen are the collectors that every host has something for.
var sixteen = []string{"cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "netclass", "netdev", "netstat",
	"pressure", "sockstat", "stat", "textfile", "time", "uname", "vmstat"}

// The formats, as a scraper asks for them.
const (
	acceptText        = "text/plain;version=0.0.4"
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0"
)

// nodeAgent is a running one.
type nodeAgent struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string // of the metrics
	base string // of the rest
	said *lockedBuffer
	done chan error
}

// lockedBuffer is what a program says, to be read while it does.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// servingURL finds it in the log, in either of its formats.
var servingURL = regexp.MustCompile(`"Serving node metrics"[ ,]"?url"?[=:]"?([^"\s]+)`)

// startNodeAgent starts it on a free port, unless args say where to listen, and
// ends it with the test.
func startNodeAgent(t *testing.T, args ...string) *nodeAgent {
	t.Helper()
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--web.listen-address") }) {
		args = append(args, "--web.listen-address=127.0.0.1:0")
	}
	cmd := exec.Command(programPath(t, "node-agent"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return startAgent(t, cmd)
}

// startAgent starts a command that is the program.
func startAgent(t *testing.T, cmd *exec.Cmd) *nodeAgent {
	t.Helper()
	a := &nodeAgent{t: t, cmd: cmd, said: new(lockedBuffer), done: make(chan error, 1)}
	a.cmd.Stdout, a.cmd.Stderr = a.said, a.said
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { a.done <- a.cmd.Wait() }()
	t.Cleanup(func() {
		a.cmd.Process.Kill() // fails where the test has ended it
		if t.Failed() {
			t.Logf("node-agent said:\n%s", a.said.String())
		}
	})
	for {
		if m := servingURL.FindStringSubmatch(a.said.String()); m != nil {
			a.url, a.base = m[1], strings.TrimSuffix(m[1], "/metrics")
			return a
		}
		select {
		case err := <-a.done:
			t.Fatalf("node-agent ended at start: %v", err)
		case <-t.Context().Done():
			t.Fatal("node-agent did not say where it serves")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends it with a signal and returns how it ended.
func (a *nodeAgent) stop(s os.Signal) error {
	a.t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
	return <-a.done
}

// answer is an HTTP answer, read whole.
type answer struct {
	status      int
	contentType string
	encoding    string
	body        string
}

func get(t *testing.T, c *http.Client, url string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header.Get("Content-Type"), res.Header.Get("Content-Encoding"), string(body)}
}

// scrape asks for metrics that have to be there.
func (a *nodeAgent) scrape(query string, headers ...string) answer {
	a.t.Helper()
	got := get(a.t, http.DefaultClient, a.url+query, headers...)
	if got.status != http.StatusOK {
		a.t.Fatalf("%s%s: %d %s", a.url, query, got.status, got.body)
	}
	return got
}

// parsed is an exposition as Prometheus' parser has it.
type parsed struct {
	types  map[string]model.MetricType
	series map[string]float64 // by {__name__="…",label="…"}
}

func parse(t *testing.T, got answer) parsed {
	t.Helper()
	p, err := textparse.New([]byte(got.body), got.contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatalf("content type %q: %v", got.contentType, err)
	}
	out := parsed{make(map[string]model.MetricType), make(map[string]float64)}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("Prometheus' parser: %v", err)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			if _, twice := out.types[string(name)]; twice {
				t.Errorf("family %s comes twice", name)
			}
			out.types[string(name)] = kind
		case textparse.EntrySeries:
			var ls labels.Labels
			p.Labels(&ls)
			_, _, value := p.Series()
			if _, twice := out.series[ls.String()]; twice {
				t.Errorf("series %s comes twice", ls)
			}
			out.series[ls.String()] = value
		}
	}
}

// named are the metric names that begin with prefix, sorted.
func (p parsed) named(prefix string) []string {
	names := make(map[string]bool)
	for s := range p.series {
		name, _, _ := strings.Cut(strings.TrimPrefix(s, `{__name__="`), `"`)
		if strings.HasPrefix(name, prefix) {
			names[name] = true
		}
	}
	var sorted []string
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	return sorted
}

// succeeded are the collectors that tell of themselves, with their success.
func (p parsed) succeeded() map[string]float64 {
	out := make(map[string]float64)
	for s, v := range p.series {
		if name, ok := strings.CutPrefix(s, `{__name__="node_scrape_collector_success", collector="`); ok {
			out[strings.TrimSuffix(name, `"}`)] = v
		}
	}
	return out
}

func TestNodeAgentFormats(t *testing.T) {
	beside(t)
	a := startNodeAgent(t)
	text := a.scrape("", "Accept", acceptText)
	om := a.scrape("", "Accept", acceptOpenMetrics)
	if !strings.HasPrefix(om.contentType, "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(om.body, "# EOF\n") {
		t.Errorf("OpenMetrics is %q and ends in %q", om.contentType, om.body[max(0, len(om.body)-20):])
	}
	if !strings.HasPrefix(text.contentType, "text/plain; version=0.0.4") || strings.Contains(text.body, "# EOF") {
		t.Errorf("text is %q", text.contentType)
	}
	inText, inOM := parse(t, text), parse(t, om)
	if a, b := inText.named("node_"), inOM.named("node_"); !slices.Equal(a, b) {
		t.Errorf("the formats differ: %d names in text, %d in OpenMetrics", len(a), len(b))
	}
	for _, want := range []string{"node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_filesystem_size_bytes", "node_network_receive_bytes_total",
		"node_load1", "node_boot_time_seconds", "node_uname_info", "node_time_seconds", "node_exporter_build_info", "watchpost_collections_total",
		"go_goroutines", "process_cpu_seconds_total", "promhttp_metric_handler_requests_total"} {
		if !slices.Contains(inText.named(want), want) {
			t.Errorf("%s is missing", want)
		}
	}
	success := inText.succeeded()
	for _, c := range sixteen {
		if v, ok := success[c]; !ok || v != 1 {
			t.Errorf("success of collector %s is %v, %v", c, v, ok)
		}
	}
}

// What node_exporter's names are, promtool finds fault with; nothing else may be.
var fixedNames = map[string]*regexp.Regexp{
	"metric names should be written in 'snake_case' not 'camelCase'": regexp.MustCompile(`^node_(memory|netstat)_`),
	`use base unit "bytes" instead of "bits"`:                        regexp.MustCompile(`^node_(entropy_.*_bits|wifi_station_.*_bits_per_second)$`),
}

func TestNodeAgentLint(t *testing.T) {
	beside(t)
	a := startNodeAgent(t)
	problems, err := promlint.New(strings.NewReader(a.scrape("", "Accept", acceptText).body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if names := fixedNames[p.Text]; names == nil || !names.MatchString(p.Metric) {
			t.Errorf("%s %s", p.Metric, p.Text)
		}
	}
}

func TestNodeAgentFilters(t *testing.T) {
	beside(t)
	a := startNodeAgent(t)
	collectorsOf := func(query string) []string {
		t.Helper()
		var names []string
		for n := range parse(t, a.scrape(query)).succeeded() {
			names = append(names, n)
		}
		slices.Sort(names)
		return names
	}
	all := collectorsOf("")
	if got := collectorsOf("?collect[]=loadavg&collect[]=time"); !slices.Equal(got, []string{"loadavg", "time"}) {
		t.Errorf("collect[]: %v", got)
	}
	without := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return n == "cpu" })
	if got := collectorsOf("?exclude[]=cpu"); !slices.Equal(got, without) {
		t.Errorf("exclude[]: %v", got)
	}
	everything := url.Values{"exclude[]": all}
	if got := collectorsOf("?" + everything.Encode()); len(got) != 0 {
		t.Errorf("all excluded, yet %v", got)
	}
	only := parse(t, a.scrape("?collect[]=loadavg"))
	want := []string{"node_exporter_build_info", "node_load1", "node_load15", "node_load5", "node_scrape_collector_duration_seconds", "node_scrape_collector_success"}
	if got := only.named("node_"); !slices.Equal(got, want) {
		t.Errorf("collect[]=loadavg gives %v", got)
	}
	for query, want := range map[string]string{
		"?collect[]=nope":                   "missing collector: nope",
		"?collect[]=cpu&exclude[]=loadavg":  "cannot be combined",
		"?collect[]=loadavg&collect[]=nope": "missing collector: nope",
	} {
		if got := get(t, http.DefaultClient, a.url+query); got.status != http.StatusBadRequest || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

func TestNodeAgentEncodings(t *testing.T) {
	beside(t)
	a := startNodeAgent(t)
	for _, c := range []struct {
		ask, encoding string
		open          func(io.Reader) (io.Reader, error)
	}{
		{"identity", "", func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"gzip", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"zstd", "zstd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) }},
		{"br, gzip;q=0", "", func(r io.Reader) (io.Reader, error) { return r, nil }},
	} {
		got := a.scrape("", "Accept", acceptText, "Accept-Encoding", c.ask)
		if got.encoding != c.encoding {
			t.Errorf("%s: encoded as %q", c.ask, got.encoding)
			continue
		}
		r, err := c.open(strings.NewReader(got.body))
		if err != nil {
			t.Errorf("%s: %v", c.ask, err)
			continue
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Errorf("%s: %v", c.ask, err)
			continue
		}
		got.body = string(body)
		if len(parse(t, got).series) < 100 {
			t.Errorf("%s: only %d bytes", c.ask, len(body))
		}
	}
}

func TestNodeAgentOptions(t *testing.T) {
	beside(t)
	a := startNodeAgent(t, "--collector.disable-defaults", "--collector.loadavg", "--collector.time",
		"--external-label=cluster=c1", "--external-label=node=n1", "--web.telemetry-path=/node", "--web.disable-exporter-metrics")
	if !strings.HasSuffix(a.url, "/node") {
		t.Fatalf("serves at %s", a.url)
	}
	base := strings.TrimSuffix(a.url, "/node")
	got := parse(t, a.scrape(""))
	for s := range got.series {
		if !strings.Contains(s, `cluster="c1"`) || !strings.Contains(s, `node="n1"`) || !strings.HasPrefix(s, `{__name__="node_`) {
			t.Errorf("series %s", s)
		}
	}
	if len(got.series) == 0 {
		t.Error("no series")
	}
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 200, "/metrics": 404, "/debug/pprof/": 404} {
		if got := get(t, http.DefaultClient, base+path); got.status != status {
			t.Errorf("%s: %d, want %d", path, got.status, status)
		}
	}
	if page := get(t, http.DefaultClient, base+"/"); !strings.Contains(page.body, `href="/node"`) && !strings.Contains(page.body, `href=/node`) {
		t.Errorf("the page does not link to the metrics:\n%s", page.body)
	}
}

func TestNodeAgentUnixSocket(t *testing.T) {
	beside(t)
	socket := filepath.Join(t.TempDir(), "node.sock")
	a := startNodeAgent(t, "--web.listen-address=unix:"+socket, "--web.listen-address=127.0.0.1:0")
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer c.CloseIdleConnections()
	if got := get(t, c, "http://socket/metrics"); got.status != http.StatusOK || len(parse(t, got).series) < 100 {
		t.Errorf("%d, %d bytes", got.status, len(got.body))
	}
	if err := a.stop(syscall.SIGTERM); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// A mistake is told in one line and nothing is started: exit code 2.
func TestNodeAgentMistakes(t *testing.T) {
	beside(t)
	bad := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(bad, []byte("tls_server_config: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "node-agent.yml")
	if err := os.WriteFile(file, []byte("collector:\n  netdev:\n    device-exlude: ^veth\n  vmstat.fields: (\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(t.TempDir(), "pattern.yml")
	if err := os.WriteFile(pattern, []byte("# why\ncollector.vmstat.fields: (\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"flag", []string{"--no-such-flag"}, 2, "no-such-flag"},
		{"collector", []string{"--collector.nope"}, 2, "collector.nope"},
		{"number", []string{"--web.max-requests=many"}, 2, "many"},
		{"range", []string{"--web.max-requests=-1"}, 2, "--web.max-requests"},
		{"log level", []string{"--log.level=loud"}, 2, "loud"},
		{"path", []string{"--web.telemetry-path=metrics"}, 2, "--web.telemetry-path"},
		{"pattern", []string{"--collector.netdev.device-exclude=("}, 2, "netdev"},
		{"two filters", []string{"--collector.netdev.device-exclude=a", "--collector.netdev.device-include=b"}, 2, "netdev"},
		{"label", []string{"--external-label=1x=y"}, 2, "1x"},
		{"web configuration", []string{"--web.config.file=" + bad}, 2, bad},
		{"no web configuration", []string{"--web.config.file=" + bad + ".absent"}, 2, bad + ".absent"},
		{"configuration file", []string{"--config.file=" + file}, 2, file + ":3: collector.netdev.device-exlude: "},
		{"configuration file, a value", []string{"--config.file=" + pattern}, 2, pattern + ":2: collector.vmstat.fields: "},
		{"configuration file, checked", []string{"check", "config", pattern}, 2, pattern + ":2: collector.vmstat.fields: "},
		{"no configuration file", []string{"--config.file=" + file + ".absent"}, 2, file + ".absent"},
		{"Consul's address", []string{"--consul.register=ftp://localhost"}, 2, "ftp://localhost"},
		{"no port for Consul", []string{"--consul.register=localhost:8500", "--web.listen-address=unix:" + file + ".sock"}, 2, "--consul.port"},
		{"address taken", []string{"--web.listen-address=" + taken.Addr().String()}, 1, taken.Addr().String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--web.listen-address") {
				args = append([]string{"--web.listen-address=127.0.0.1:0"}, args...)
			}
			cmd := exec.CommandContext(t.Context(), programPath(t, "node-agent"), args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			timeout := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
			defer timeout.Stop()
			cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if stdout.Len() > 0 || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("stdout %q, stderr %q; want one line with %q", stdout.String(), stderr.String(), c.says)
			}
		})
	}
}

// The file, the environment and the command line: the later one counts.
func TestNodeAgentConfigFile(t *testing.T) {
	beside(t)
	file := filepath.Join(t.TempDir(), "node-agent.yml")
	if err := os.WriteFile(file, []byte(`
web: {listen-address: ["127.0.0.1:0"], telemetry-path: /file}
collector: {disable-defaults: true, loadavg: true, uname: true}
external-label: {cluster: c, zone: z}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), programPath(t, "node-agent"), "check", "config", file).CombinedOutput()
	if want := file + ": 6 settings, no mistakes\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
	cmd := exec.Command(programPath(t, "node-agent"), "--no-collector.uname")
	cmd.Env = append(os.Environ(), "NODE_AGENT_CONFIG_FILE="+file, "NODE_AGENT_WEB_TELEMETRY_PATH=/environment")
	a := startAgent(t, cmd)
	if !strings.HasSuffix(a.url, "/environment") {
		t.Errorf("serves %s", a.url)
	}
	p := parse(t, a.scrape(""))
	if v, ok := p.series[`{__name__="node_load1", cluster="c", zone="z"}`]; !ok {
		t.Errorf("no load with the labels: %v", v)
	}
	if got := p.named("node_uname"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestNodeAgentCheck(t *testing.T) {
	beside(t)
	var enable []string
	for _, c := range sixteen {
		enable = append(enable, "--collector."+c)
	}
	args := append([]string{"check", "--collector.disable-defaults"}, enable...)
	out, err := exec.CommandContext(t.Context(), programPath(t, "node-agent"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range sixteen {
		line := regexp.MustCompile(`(?m)^` + c + ` +(ok|none) +\S.*$`)
		if !line.Match(out) {
			t.Errorf("nothing about %s in\n%s", c, out)
		}
	}
	// On a host that has nothing, it says so, in words.
	empty := t.TempDir()
	args = append(args, "--path.procfs="+empty, "--path.sysfs="+empty, "--path.rootfs="+empty)
	out, _ = exec.CommandContext(t.Context(), programPath(t, "node-agent"), args...).CombinedOutput()
	if !regexp.MustCompile(`(?m)^meminfo +(none|FAILED) .*meminfo`).Match(out) {
		t.Errorf("on an empty host:\n%s", out)
	}
}

// A client that sends one byte a second is cut off, and costs nobody else anything.
func TestNodeAgentSlowClient(t *testing.T) {
	beside(t)
	a := startNodeAgent(t)
	u, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Filler: " + strings.Repeat("a", 1000)
	buf := make([]byte, 512)
	for i := range request {
		if i == 60 {
			t.Fatal("not cut off within a minute")
		}
		if _, err := conn.Write([]byte{request[i]}); err != nil {
			break
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := conn.Read(buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		a.scrape("?collect[]=loadavg")
	}
}

// 200 scrapers at once for 5 s, or WATCHPOST_SCRAPE=1m: no error, memory bounded, collections shared.
func TestNodeAgentManyScrapers(t *testing.T) {
	beside(t)
	const (
		scrapers = 200
		memory   = 64e6 // bytes; at rest it is near 20e6, each connection holds some 10e3
	)
	a := startNodeAgent(t)
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: scrapers}, Timeout: 15 * time.Second}
	defer c.CloseIdleConnections()
	var answers, failures atomic.Int64
	var failure atomic.Value
	until := time.Now().Add(duration(t, "WATCHPOST_SCRAPE", 5*time.Second))
	var all sync.WaitGroup
	for range scrapers {
		all.Go(func() {
			for time.Now().Before(until) {
				if err := scrapeWhole(c, a.url); err != nil {
					failures.Add(1)
					failure.Store(err.Error())
					continue
				}
				answers.Add(1)
			}
		})
	}
	all.Wait()
	if n := failures.Load(); n > 0 {
		t.Errorf("%d scrapes failed, one with: %v", n, failure.Load())
	}
	got := parse(t, a.scrape("", "Accept", acceptText))
	scrapes, collections := got.series[`{__name__="watchpost_scrapes_total"}`], got.series[`{__name__="watchpost_collections_total"}`]
	if scrapes < float64(answers.Load()) || collections < 1 || collections > scrapes/2 {
		t.Errorf("%v collections for %v answers", collections, scrapes)
	}
	peak := a.peakMemory()
	if peak > memory {
		t.Errorf("%d bytes of memory", peak)
	}
	t.Logf("%d answers by %v collections, %d bytes of memory at most", answers.Load(), collections, peak)
}

// scrapeWhole scrapes and checks that the answer is whole.
func scrapeWhole(c *http.Client, url string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", acceptOpenMetrics)
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !bytes.HasSuffix(body, []byte("# EOF\n")) {
		return fmt.Errorf("%s, %d bytes", res.Status, len(body))
	}
	return nil
}

var vmHWM = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most that was resident at any time, in bytes.
func (a *nodeAgent) peakMemory() int64 {
	a.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	m := vmHWM.FindSubmatch(b)
	if m == nil {
		a.t.Fatalf("no VmHWM in %s", b)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		a.t.Fatal(err)
	}
	return kb << 10
}

// It ends well when told to, also with connections open, and tells readiness meanwhile.
func TestNodeAgentStops(t *testing.T) {
	beside(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			a := startNodeAgent(t)
			idle := &http.Client{Transport: &http.Transport{}}
			defer idle.CloseIdleConnections()
			get(t, idle, a.url)
			begun := time.Now()
			if err := a.stop(signal); err != nil {
				t.Errorf("ended with %v", err)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if _, err := net.Dial("tcp", strings.TrimPrefix(a.base, "http://")); err == nil {
				t.Error("still listens")
			}
		})
	}
}

// The log is machine-readable where that is asked for, also in the file.
func TestNodeAgentLog(t *testing.T) {
	beside(t)
	dir := t.TempDir()
	a := startNodeAgent(t, "--log.format=json", "--log.path="+dir)
	if err := a.stop(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "node-agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	if string(file) != a.said.String() {
		t.Errorf("the file has\n%s\nstderr\n%s", file, a.said.String())
	}
	for line := range strings.Lines(string(file)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}
