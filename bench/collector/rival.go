package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/store"
	"watchpost/internal/run"
)

// How long a program may take to answer a question about a million series, and to end,
// when it writes some hundred megabytes.
const (
	answerTimeout = 5 * time.Minute
	stopTimeout   = 2 * time.Minute
)

// job is the name of the scrape job of the fake targets.
const job = "targets"

// configuration is the prometheus.yml that both programs run.
var configuration = template.Must(template.New("prometheus.yml").Parse(`global:
  scrape_interval: {{.Interval}}
  scrape_timeout: {{.Interval}}
  external_labels: {cluster: bench}
scrape_configs:
  - job_name: targets
    static_configs:
      - targets:
{{- range .Targets}}
          - "{{.}}"
{{- end}}
`))

// cost is what one program needed.
type cost struct {
	name      string
	cpu       time.Duration // from its start to the end of the run
	steady    time.Duration // of that, in the second half
	rss, peak int64         // bytes: mean of the last third; at most
	disk      int64         // bytes
	samples   int           // of the targets, stored
	gaps      gaps
	stop      time.Duration // from SIGTERM to the end
	restart   time.Duration // from the start after that until ready
	recover   time.Duration // the same after kill -9
}

// rival is a program under measurement.
type rival struct {
	path, dir string
	args      []string
	proc      *agent.Program
	client    *http.Client
	sizes     []int64 // RSS, sampled
	half      time.Duration
	cost
}

func newRival(path, dir, config string, args []string) *rival {
	dir = filepath.Join(dir, filepath.Base(path))
	return &rival{
		path: path, dir: dir,
		args:   append([]string{"--config.file=" + config, "--storage.tsdb.path=" + dir}, args...),
		client: agent.Client(1, answerTimeout),
		cost:   cost{name: filepath.Base(path)},
	}
}

// start starts the program and returns how long it took until it was ready.
func (r *rival) start(ctx context.Context) (took time.Duration, err error) {
	begun := time.Now()
	if r.proc, err = agent.Start(ctx, r.path, r.args...); err != nil {
		return 0, err
	}
	err = r.store().Await(ctx)
	return time.Since(begun), err
}

func (r *rival) store() store.Store { return store.Store{Program: r.proc, Client: r.client} }

// sample notes the memory, and in the middle of the run the CPU.
func (r *rival) sample(half bool) error {
	n, err := r.proc.RSS()
	if err != nil {
		return err
	}
	r.sizes = append(r.sizes, n)
	if half {
		r.half, err = r.proc.CPU()
	}
	return err
}

// settle reads what the run cost. The last third of the memory samples count.
func (r *rival) settle() (err error) {
	if r.cpu, err = r.proc.CPU(); err != nil {
		return err
	}
	r.steady = r.cpu - r.half
	last := r.sizes[len(r.sizes)*2/3:]
	for _, n := range last {
		r.rss += n / int64(len(last))
	}
	if r.peak, err = r.proc.PeakRSS(); err != nil {
		return err
	}
	r.disk, err = store.DiskUse(r.dir, store.Reserve)
	return err
}

// again ends the program, gently and then not, and starts it anew each time.
func (r *rival) again(ctx context.Context, between time.Duration) (err error) {
	begun := time.Now()
	if err = r.proc.StopWithin(stopTimeout); err != nil {
		return err
	}
	r.stop = time.Since(begun)
	if r.restart, err = r.start(ctx); err != nil {
		return err
	}
	if err = run.Sleep(ctx, between); err != nil {
		return err
	}
	r.proc.Kill()
	r.recover, err = r.start(ctx)
	return err
}

// close ends the program, if it runs.
func (r *rival) close() error {
	if r.proc == nil {
		return nil
	}
	return r.proc.StopWithin(stopTimeout)
}

// writeConfig writes the prometheus.yml of both.
func writeConfig(dir string, interval time.Duration, targets []string) (string, error) {
	var text strings.Builder
	err := configuration.Execute(&text, struct {
		Interval string
		Targets  []string
	}{fmt.Sprintf("%dms", interval.Milliseconds()), targets})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "prometheus.yml")
	return name, os.WriteFile(name, []byte(text.String()), 0o644)
}
