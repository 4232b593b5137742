package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/bench/internal/agent"
	"watchpost/internal/run"
)

// How long a program may take to be ready, and to end: at a million series it reads or
// writes some hundred megabytes then.
const (
	readyTimeout = 5 * time.Minute
	stopTimeout  = 2 * time.Minute
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
		client: agent.Client(1, readyTimeout),
		cost:   cost{name: filepath.Base(path)},
	}
}

// start starts the program and returns how long it took until it was ready.
func (r *rival) start(ctx context.Context) (took time.Duration, err error) {
	begun := time.Now()
	if r.proc, err = agent.Start(ctx, r.path, r.args...); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		if err = r.ready(ctx); err == nil {
			return time.Since(begun), nil
		}
		if late := run.Sleep(ctx, 5*time.Millisecond); late != nil {
			return 0, fmt.Errorf("%s is not ready: %w", r.name, errors.Join(err, late))
		}
	}
}

func (r *rival) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.proc.Base+"/-/ready", nil)
	if err != nil {
		return err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}

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
	r.disk, err = diskUse(r.dir)
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

// diskUse is the space that the files of a folder take, in bytes. Both programs lay out
// files ahead of their use; what they have not written takes no space.
func diskUse(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		sum += st.Blocks * 512
		return nil
	})
	return sum, err
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
