//go:build e2e

package e2e

// The collector as a process: its start and end, the ways it is told no, what it
// keeps when it is killed, and whether what it stores of this host is true.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// collector is one that runs, and can be started again on what it has stored.
type collector struct {
	t    *testing.T
	args []string
	web  string // host:port
	node string // host:port of the node metrics, with --standalone
	data string

	cmd  *exec.Cmd
	said *lockedBuffer
	done chan error
}

// newCollector has free addresses and a new folder for its data, unless args say
// otherwise.
func newCollector(t *testing.T, args ...string) *collector {
	t.Helper()
	c := &collector{t: t, web: freeAddress(t), node: freeAddress(t), data: filepath.Join(t.TempDir(), "data")}
	c.args = args
	for _, def := range []string{"--web.listen-address=" + c.web, "--standalone.node-address=" + c.node,
		"--storage.tsdb.path=" + c.data, "--scrape.discovery-reload-interval=100ms"} {
		flag, _, _ := strings.Cut(def, "=")
		if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, flag+"=") }) {
			c.args = append(c.args, def)
		}
	}
	return c
}

// run starts the process, which is killed at the latest when the test ends.
func (c *collector) run() {
	c.t.Helper()
	path := programPath(c.t, "collector")
	c.cmd, c.said, c.done = exec.Command(path, c.args...), new(lockedBuffer), make(chan error, 1)
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	cmd, said, done := c.cmd, c.said, c.done
	go func() { done <- cmd.Wait() }()
	c.t.Cleanup(func() {
		cmd.Process.Kill() // fails where the test has ended it
		if c.t.Failed() {
			c.t.Logf("a collector said:\n%s", said)
		}
	})
}

// start runs it and waits until it is ready.
func (c *collector) start() {
	c.t.Helper()
	c.run()
	c.until("ready", func() error {
		select {
		case err := <-c.done:
			c.t.Fatalf("the collector ended at its start: %v", err)
		default:
		}
		r, err := http.Get("http://" + c.web + "/-/ready")
		if err != nil {
			return err
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return errors.New(r.Status)
		}
		return nil
	})
}

// end sends a signal and waits for the end of the process.
func (c *collector) end(s os.Signal) error {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
	return c.wait()
}

func (c *collector) wait() error {
	c.t.Helper()
	select {
	case err := <-c.done:
		return err
	case <-time.After(patience):
		c.t.Fatal("the collector does not end")
		return nil
	}
}

// until asks until there is no error.
func (c *collector) until(what string, ask func() error) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("not %s within %s: %v", what, patience, err)
		}
	}
}

// point is one sample.
type point struct {
	at    float64 // seconds since 1970
	value float64
}

func (p *point) UnmarshalJSON(b []byte) error {
	var pair [2]any
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	at, isNumber := pair[0].(float64)
	text, isText := pair[1].(string)
	if !isNumber || !isText {
		return fmt.Errorf("%s is not a sample", b)
	}
	value, err := strconv.ParseFloat(text, 64)
	*p = point{at, value}
	return err
}

// series is one of the answers to a query.
type series struct {
	Metric map[string]string
	Value  point   // of an instant vector
	Values []point // of a range vector
}

// query asks the API.
func (c *collector) query(expr string) ([]series, error) {
	return instant(c.web, "query="+url.QueryEscape(expr))
}

// instant asks an API for an instant query.
func instant(address, query string) ([]series, error) {
	r, err := http.Get("http://" + address + "/api/v1/query?" + query)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Status, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", query, answer.Error)
	}
	return answer.Data.Result, nil
}

// number waits until a query has one answer and returns its value.
func (c *collector) number(expr string) float64 {
	c.t.Helper()
	var v float64
	c.until("one number: "+expr, func() error {
		got, err := c.query(expr)
		if err != nil {
			return err
		}
		if len(got) != 1 {
			return fmt.Errorf("%d series", len(got))
		}
		v = got[0].Value.value
		return nil
	})
	return v
}

func (c *collector) metrics() string {
	c.t.Helper()
	return get(c.t, http.DefaultClient, "http://"+c.web+"/metrics").body
}

// configFile writes a prometheus.yml that scrapes the node-agent and the
// collector every second.
func (c *collector) configFile(more string) string {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "prometheus.yml")
	c.writeConfig(file, more)
	return file
}

func (c *collector) writeConfig(file, more string) {
	c.t.Helper()
	text := fmt.Sprintf(`global: {scrape_interval: 1s}
scrape_configs:
- {job_name: collector, static_configs: [{targets: [%q]}]}
- {job_name: node, static_configs: [{targets: [%q]}]}
%s`, c.web, c.node, more)
	c.writeFile(file, text)
}

// writeFile writes as an operator's tools do it: the file is whole at any moment.
func (c *collector) writeFile(file, text string) {
	c.t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		c.t.Fatal(err)
	}
}

func TestCollectorStandalone(t *testing.T) {
	beside(t)
	c := newCollector(t, "--standalone")
	c.start()
	for _, u := range []string{"url=http://" + c.web + "/", "url=http://" + c.node + "/metrics"} {
		if !strings.Contains(c.said.String(), u) {
			t.Errorf("it does not say %s", u)
		}
	}
	if got := get(t, http.DefaultClient, "http://"+c.node+"/metrics"); !strings.Contains(got.body, "node_load1 ") {
		t.Errorf("node metrics: %d, %d bytes", got.status, len(got.body))
	}
	for job, metric := range map[string]string{"collector": "prometheus_tsdb_head_series", "node": "node_load1"} {
		if up := c.number(`up{job="` + job + `"}`); up != 1 {
			t.Errorf("up of %s is %g", job, up)
		}
		c.number(metric)
	}
	kept := c.number(`timestamp(node_load1)`)

	began := time.Now()
	if err := c.end(syscall.SIGINT); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
	if took := time.Since(began); took > 15*time.Second { // 5 s is promised to people; machines of tests are slow
		t.Errorf("the stop took %s", took)
	}
	c.start()
	if got := c.number(fmt.Sprintf("timestamp(node_load1 @ %.3f)", kept)); got != kept {
		t.Errorf("of the last run there is a sample at %f, want %f", got, kept)
	}
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// Killed at any moment, while it scrapes and takes configurations over, it
// starts again and has every sample that was older than two intervals.
func TestCollectorKilled(t *testing.T) {
	beside(t)
	const interval = time.Second
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("WATCHPOST_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	c := newCollector(t, "--standalone", "--web.enable-lifecycle", "--web.enable-admin-api")
	file := c.configFile("")
	c.args = append(c.args, "--config.file="+file)
	const all = `{job=~"collector|node", __name__=~"up|node_load1|prometheus_tsdb_head_series"}[10m]`
	stored := make(map[string][]point) // before the kill, by series
	for round := range kills {
		c.start()
		got, err := c.query(all)
		if err != nil {
			t.Fatal(err)
		}
		have := make(map[string][]point)
		for _, s := range got {
			have[fmt.Sprint(s.Metric)] = s.Values
		}
		for name, want := range stored {
			for _, p := range want {
				if !slices.Contains(have[name], p) {
					t.Errorf("round %d: %s has lost %v", round, name, p)
				}
			}
		}
		if round > 0 && len(stored) == 0 {
			t.Error("nothing was stored that could be lost")
		}

		c.number(fmt.Sprintf(`count(count_over_time(node_load1[%dms]) >= 3)`, (4 * interval).Milliseconds()))
		stop := make(chan struct{})
		var reloading sync.WaitGroup
		reloading.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c.writeConfig(file, fmt.Sprintf("- {job_name: extra%d, static_configs: [{targets: [%q]}]}\n", n%7, c.web))
				if r, err := http.Post("http://"+c.web+"/-/reload", "", nil); err == nil {
					r.Body.Close()
				}
			}
		})
		time.Sleep(time.Duration(random.Int64N(int64(2 * interval))))
		got, err = c.query(all)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(interval / 2))))
		killed := time.Now()
		c.end(syscall.SIGKILL)
		close(stop)
		reloading.Wait()
		clear(stored)
		for _, s := range got {
			for _, p := range s.Values {
				if p.at < float64(killed.Add(-2*interval).UnixMilli())/1000 {
					stored[fmt.Sprint(s.Metric)] = append(stored[fmt.Sprint(s.Metric)], p)
				}
			}
		}
	}
	c.start()
	c.analyze()
}

// analyze lets promtool read all that is stored, where there is one.
func (c *collector) analyze() {
	c.t.Helper()
	program := os.Getenv("WATCHPOST_PROMETHEUS")
	if program == "" {
		return
	}
	r, err := http.Post("http://"+c.web+"/api/v1/admin/tsdb/snapshot", "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	var made struct{ Data struct{ Name string } }
	if err := json.NewDecoder(r.Body).Decode(&made); err != nil || made.Data.Name == "" {
		c.t.Fatalf("snapshot: %s %v", r.Status, err)
	}
	out, err := exec.Command(filepath.Join(filepath.Dir(program), "promtool"), "tsdb", "analyze", "--extended", filepath.Join(c.data, "snapshots", made.Data.Name)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Total Series:") {
		c.t.Errorf("promtool tsdb analyze: %v\n%s", err, out)
	}
	c.t.Logf("promtool tsdb analyze: %.200s", out)
}

// What is wrong with flags or files is told in one line, and nothing is started.
func TestCollectorMistakes(t *testing.T) {
	beside(t)
	dir := t.TempDir()
	broken := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(broken, []byte("global:\n  scrape_interval: 15s\nscrape_configs:\n- job_name: a\n  scrape_intervall: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"configuration", []string{"--config.file=" + broken}, 2, broken + `:5: unknown field "scrape_intervall"`},
		{"no configuration", []string{"--config.file=" + file + ".absent"}, 2, file + ".absent: no such file"},
		{"web configuration", []string{"--web.config.file=" + file + ".absent"}, 2, file + ".absent"},
		{"flag", []string{"--no-such-flag"}, 2, "no-such-flag"},
		{"value", []string{"--storage.tsdb.retention.time=long"}, 2, "long"},
		{"check", []string{"check", "config", broken}, 2, broken + ":5: "},
		{"address", []string{"--web.listen-address=" + taken.Addr().String()}, 1, "cannot listen on " + taken.Addr().String()},
		{"node's address", []string{"--standalone", "--standalone.node-address=" + taken.Addr().String()}, 1, "choose another with --standalone.node-address"},
		{"data", []string{"--storage.tsdb.path=" + file}, 1, "data directory " + file + " is not a directory: choose another one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newCollector(t, c.args...)
			p.run()
			err := p.wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("ended with %v, want code %d", err, c.code)
			}
			said := strings.Split(strings.TrimSpace(p.said.String()), "\n")
			if last := said[len(said)-1]; !strings.HasPrefix(last, "collector: ") || !strings.Contains(last, c.says) {
				t.Errorf("it says %q, want %q", last, c.says)
			}
			if len(said) != 1 {
				t.Errorf("it says %d lines", len(said))
			}
			if _, err := os.Stat(p.data); c.name != "data" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the data directory was made: %v", err)
			}
		})
	}
}

func TestCollectorKeepsOthersOut(t *testing.T) {
	beside(t)
	first := newCollector(t)
	first.start()
	second := newCollector(t, "--storage.tsdb.path="+first.data)
	second.run()
	if err := second.wait(); err == nil {
		t.Error("two collectors use one folder")
	}
	want := "data directory " + first.data + " is in use by another process: stop that one, or choose another directory"
	if said := second.said.String(); !strings.Contains(said, want) {
		t.Errorf("the second says %s, want %s", said, want)
	}
	if err := first.end(syscall.SIGTERM); err != nil {
		t.Errorf("the first: %v", err)
	}
	second.start()
	if err := second.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

func TestCollectorReload(t *testing.T) {
	beside(t)
	c := newCollector(t, "--standalone", "--web.enable-lifecycle", "--web.enable-admin-api")
	file := c.configFile("")
	c.args = append(c.args, "--config.file="+file)
	c.start()
	c.number(`up{job="node"}`)

	c.writeConfig(file, fmt.Sprintf("- {job_name: more, static_configs: [{targets: [%q]}]}\n", c.node))
	if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.number(`up{job="more"}`)

	c.writeConfig(file, "- {job_name: node}\n")
	r, err := http.Post("http://"+c.web+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	const want = `:5: found multiple scrape configs with job name \"node\"`
	if r.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), file+strings.ReplaceAll(want, `\`, "")) {
		t.Errorf("the answer is %s %s, %v", r.Status, body, err)
	}
	c.until("told in the log", func() error {
		if !strings.Contains(c.said.String(), want) {
			return errors.New("nothing there yet")
		}
		return nil
	})
	if !strings.Contains(c.metrics(), "\nprometheus_config_last_reload_successful 0\n") {
		t.Error("the metric does not tell of the broken configuration")
	}
	before := c.number(`max(timestamp(up{job="more"}))`)
	c.until("scraped on", func() error {
		if now := c.number(`max(timestamp(up{job="more"}))`); now <= before {
			return fmt.Errorf("the last sample is from %f", now)
		}
		return nil
	})

	c.writeConfig(file, "")
	if r, err = http.Post("http://"+c.web+"/-/reload", "", nil); err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK || !strings.Contains(c.metrics(), "\nprometheus_config_last_reload_successful 1\n") {
		t.Errorf("the mended configuration: %s", r.Status)
	}
	if r, err = http.Post("http://"+c.web+"/-/quit", "", nil); err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if err := c.wait(); err != nil {
		t.Errorf("after quit: %v", err)
	}
}

func TestCollectorLifecycleIsOff(t *testing.T) {
	beside(t)
	c := newCollector(t)
	c.start()
	for _, path := range []string{"/-/reload", "/-/quit"} {
		r, err := http.Post("http://"+c.web+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

// The host panels that operators have, asked of the store and of /proc.
func TestCollectorHostPanels(t *testing.T) {
	beside(t)
	c := newCollector(t, "--standalone")
	c.args = append(c.args, "--config.file="+c.configFile(""))
	before := readHost(t)
	c.start()
	c.number(`count(count_over_time(node_load1[1m]) >= 3)`) // enough for rates

	// Between two readings of ours, a counter that was stored has its place.
	between := func(name string, got, low, high float64) {
		t.Helper()
		const rounding = 1e-6
		if math.IsNaN(got) || got < low*(1-rounding)-rounding || got > high*(1+rounding)+rounding {
			t.Errorf("%s is %g, which is not between %g and %g", name, got, low, high)
		}
	}
	about := func(name string, got, want, tolerance float64) {
		t.Helper()
		between(name, got, want-tolerance, want+tolerance)
	}

	cores := c.number(`count(node_cpu_seconds_total{mode="system"})`)
	about("cores", cores, float64(before.cores), 0)
	between("CPU use", c.number(`1 - avg(irate(node_cpu_seconds_total{mode="idle"}[2m]))`), -0.05, 1)
	between("cores in use", c.number(`(count(node_cpu_seconds_total{mode="system"}) - sum(irate(node_cpu_seconds_total{mode="idle"}[5m])))`), -0.05*cores, cores)

	total := c.number(`sum(node_memory_MemTotal_bytes)`)
	about("memory", total, before.memory["MemTotal"], 0)
	used := before.memory["MemTotal"] - before.memory["MemFree"] - before.memory["Cached"]
	about("memory in use", c.number(`sum(node_memory_MemTotal_bytes) - sum(node_memory_MemFree_bytes) - sum(node_memory_Cached_bytes)`), used, total/5)
	about("percent of memory in use", c.number(`((sum(node_memory_MemTotal_bytes) - sum(node_memory_MemFree_bytes) - sum(node_memory_Cached_bytes)) / sum(node_memory_MemTotal_bytes)) * 100`), used/total*100, 20)

	const real = `{device!="rootfs",fstype!="fuse.ossfs.ossInode"}`
	filesystems, err := c.query("node_filesystem_size_bytes" + real)
	if err != nil || len(filesystems) == 0 {
		t.Fatalf("filesystems: %v, %v", filesystems, err)
	}
	var size, free float64
	for _, f := range filesystems {
		var st syscall.Statfs_t
		if err := syscall.Statfs(f.Metric["mountpoint"], &st); err != nil {
			t.Errorf("%s: %v", f.Metric["mountpoint"], err)
			continue
		}
		about("size of "+f.Metric["mountpoint"], f.Value.value, float64(st.Blocks)*float64(st.Bsize), 0)
		size += float64(st.Blocks) * float64(st.Bsize)
		free += float64(st.Bfree) * float64(st.Bsize)
	}
	about("percent of disk space in use", c.number(`(sum(node_filesystem_size_bytes`+real+`) - sum(node_filesystem_free_bytes`+real+`)) / sum(node_filesystem_size_bytes`+real+`) * 100`),
		(size-free)/size*100, 2)

	stored := make(map[string][]series)
	for _, name := range []string{"node_cpu_seconds_total", "node_disk_read_bytes_total", "node_disk_written_bytes_total", "node_disk_io_time_seconds_total"} {
		if stored[name], err = c.query(name); err != nil {
			t.Fatal(err)
		}
	}
	after := readHost(t)
	var idle float64
	for _, s := range stored["node_cpu_seconds_total"] {
		if s.Metric["mode"] == "idle" {
			idle += s.Value.value
		}
	}
	between("idle seconds", idle, before.idle, after.idle)
	for metric, of := range map[string]func(disk) float64{
		"node_disk_read_bytes_total":      func(d disk) float64 { return d.read },
		"node_disk_written_bytes_total":   func(d disk) float64 { return d.written },
		"node_disk_io_time_seconds_total": func(d disk) float64 { return d.busy },
	} {
		if len(stored[metric]) == 0 && len(before.disks) > 0 {
			t.Errorf("%s has no series, /proc/diskstats has disks", metric)
		}
		for _, s := range stored[metric] {
			device := s.Metric["device"]
			d, known := before.disks[device]
			if !known {
				t.Errorf("%s: %s is not in /proc/diskstats", metric, device)
				continue
			}
			between(metric+" of "+device, s.Value.value, of(d), of(after.disks[device]))
			between("rate of "+metric, c.number(`sum(rate(`+metric+`{device="`+device+`"}[5m]))`), 0, math.MaxFloat64)
		}
	}
}

// host is what the panels are about, as /proc has it.
type host struct {
	cores  int
	idle   float64            // s, of all cores
	memory map[string]float64 // bytes
	disks  map[string]disk
}

type disk struct{ read, written, busy float64 } // bytes, bytes, s

func readHost(t *testing.T) host {
	t.Helper()
	h := host{memory: make(map[string]float64), disks: make(map[string]disk)}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	eachLine(t, "/proc/stat", func(f []string) {
		if strings.HasPrefix(f[0], "cpu") && f[0] != "cpu" {
			h.cores++
			h.idle += number(f[4]) / 100 // in USER_HZ, which is 100 on every Linux
		}
	})
	eachLine(t, "/proc/meminfo", func(f []string) {
		if len(f) == 3 {
			h.memory[strings.TrimSuffix(f[0], ":")] = number(f[1]) * 1024
		}
	})
	eachLine(t, "/proc/diskstats", func(f []string) {
		h.disks[f[2]] = disk{number(f[5]) * 512, number(f[9]) * 512, number(f[12]) / 1000}
	})
	return h
}

func eachLine(t *testing.T, file string, do func(fields []string)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if fields := strings.Fields(s.Text()); len(fields) > 0 {
			do(fields)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}
