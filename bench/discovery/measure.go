package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/apiserver"
	"watchpost/bench/internal/sidebyside"
	"watchpost/internal/expo"
	"watchpost/internal/freeport"
	"watchpost/internal/run"
	"watchpost/internal/testkube/fleet"
)

const (
	timeout     = time.Minute // of a scrape of the program, which may be busy
	stopTimeout = 2 * time.Minute
	// findLimit bounds the time until everything is discovered.
	findLimit = 20 * time.Minute
	// settled is how long the numbers of what is discovered must stay as they are, which
	// is three times as long as both programs wait at most before they hand on what is new.
	settled = 15 * time.Second
)

// cost is what one program needed.
type cost struct {
	name      string
	found     float64       // targets of all jobs before relabelling
	complete  time.Duration // from the start until they were there
	cpu       time.Duration // until then, and while it settled
	peak, rss int64         // bytes: at most; after the rest
	heap      float64       // bytes of live and dead objects then

	churnCPU  time.Duration // while pods changed
	churnMade int           // changes
	churnPeak int64
}

// subject is a program under measurement.
type subject struct {
	*agent.Program
	client *http.Client
	body   bytes.Buffer
}

// measure lets one program discover everything, leaves it alone, and lets pods change.
func (o *options) measure(ctx context.Context, pod pod, path, config, dir string, server *apiserver.Server) (c cost, err error) {
	c.name = filepath.Base(path)
	address, err := freeport.Address()
	if err != nil {
		return c, err
	}
	begun := time.Now()
	args := []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, c.name), "--web.listen-address=" + address}
	profiled := o.profile != "" && path == o.ours
	if profiled {
		args = append(args, "--web.enable-pprof")
	}
	p, err := agent.StartAt(ctx, address, unshare, pod.args(path, args...)...)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, p.StopWithin(stopTimeout)) }()
	s := &subject{Program: p, client: agent.Client(1, timeout)}
	if err := s.await(ctx, o.size, begun, &c); err != nil {
		return c, err
	}
	fmt.Printf("%s: %.0f targets before relabelling after %s\n", c.name, c.found, c.complete.Round(100*time.Millisecond))
	if c.cpu, err = p.CPU(); err != nil {
		return c, err
	}
	if c.peak, err = p.PeakRSS(); err != nil {
		return c, err
	}
	if err := run.Sleep(ctx, o.rest); err != nil {
		return c, err
	}
	if c.rss, err = p.RSS(); err != nil {
		return c, err
	}
	m, err := s.metrics(ctx)
	if err != nil {
		return c, err
	}
	c.heap = m.heap
	if o.during > 0 {
		if err := o.churn(ctx, s, server, &c); err != nil {
			return c, err
		}
	}
	fmt.Printf("%s: %.1f MB resident, %.1f MB at most, %s of CPU for all that, %s while %d pods changed\n", c.name, sidebyside.MB(c.rss), sidebyside.MB(c.peak), c.cpu.Round(time.Second), c.churnCPU.Round(time.Second), c.churnMade)
	if profiled {
		err = s.profile(ctx, o.profile)
	}
	return c, err
}

// churn lets pods change.
func (o *options) churn(ctx context.Context, s *subject, server *apiserver.Server, c *cost) (err error) {
	herd, err := fleet.Gather(ctx, server.Config, o.size)
	if err != nil {
		return err
	}
	if err := s.ResetPeakRSS(); err != nil {
		return err
	}
	before, err := s.CPU()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, o.during)
	defer cancel()
	if c.churnMade, err = herd.Churn(limited, o.updates); err != nil {
		return err
	}
	after, err := s.CPU()
	if err != nil {
		return err
	}
	c.churnCPU = after - before
	c.churnPeak, err = s.PeakRSS()
	return err
}

// own are the metrics of a program about itself that are read here.
type own struct {
	found map[string]float64 // targets before relabelling, by job
	heap  float64            // bytes
}

func (s *subject) metrics(ctx context.Context) (m own, err error) {
	r, err := agent.Request(ctx, s.Base+"/metrics", agent.AcceptText, timeout)
	if err != nil {
		return m, err
	}
	page, err := agent.Scrape(s.client, r, &s.body)
	if err != nil {
		return m, err
	}
	text, err := page.Text()
	if err != nil {
		return m, err
	}
	return read(text)
}

func read(text []byte) (m own, err error) {
	m.found = map[string]float64{}
	sc := expo.NewScanner(text)
	for sc.Next() {
		l := sc.Line()
		if l.Kind != expo.Sample {
			continue
		}
		switch string(l.Name) {
		case "prometheus_sd_discovered_targets":
			if name, _ := l.Label("name"); name != "scrape" {
				continue
			}
			job, _ := l.Label("config")
			m.found[job], err = l.Float()
		case "go_memstats_heap_alloc_bytes":
			m.heap, err = l.Float()
		}
		if err != nil {
			return m, err
		}
	}
	return m, sc.Err()
}

// await returns when each job that looks at nodes or pods has found as many as there
// are, and all jobs' numbers stay as they are.
func (s *subject) await(ctx context.Context, size fleet.Size, begun time.Time, c *cost) error {
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	defer cancel()
	for {
		m, err := s.metrics(ctx)
		if err == nil {
			sum := 0.0
			for _, n := range m.found {
				sum += n
			}
			if sum != c.found {
				c.found, c.complete = sum, time.Since(begun)
			}
			if m.found["kubelet"] >= float64(size.Nodes) && m.found["kubernetes-pods"] >= float64(size.Pods) && time.Since(begun) > c.complete+settled {
				return nil
			}
		}
		if late := run.Sleep(ctx, time.Second); late != nil {
			return fmt.Errorf("%s has found %.0f targets and goes on: %w", c.name, c.found, errors.Join(err, late))
		}
	}
}

// profile keeps the heap, after a collection.
func (s *subject) profile(ctx context.Context, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/debug/pprof/heap?gc=1", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", r.URL, resp.Status)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}
