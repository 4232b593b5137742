package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/internal/expo"
)

// cost is what was measured of one program with one profile and one coding.
type cost struct {
	program         string
	profile, coding string
	direct, through []time.Duration
	cpu             time.Duration // of the program for a scrape
	rss, peak       int64         // bytes, after the last scrape
	bytes, wire     int           // of the program's last answer, unpacked and as it came
	series          int           // in it
}

// Times of the scrapes.
const (
	timeout = 10 * time.Second // what they tell as theirs
	warm    = 10               // scrapes that are not counted
)

// side is one of the ways to the metrics.
type side struct {
	program *agent.Program // nil: directly
	client  *http.Client
	request *http.Request
	body    bytes.Buffer
	last    agent.Page
	took    []time.Duration
	before  time.Duration // CPU of the program before the scrapes that count
}

func newSide(ctx context.Context, client *http.Client, url, coding string) (*side, error) {
	r, err := agent.Request(ctx, url, agent.AcceptText, timeout)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept-Encoding", coding)
	return &side{client: client, request: r}, nil
}

func (s *side) scrape() (err error) {
	s.last, err = agent.Scrape(s.client, s.request, &s.body)
	s.took = append(s.took, s.last.Took)
	return err
}

// count begins to count.
func (s *side) count() (err error) {
	s.took = nil
	if s.program != nil {
		s.before, err = s.program.CPU()
	}
	return err
}

// measure starts the programs and scrapes them and the kubelet in turn.
func (o *options) measure(ctx context.Context, k *kubelet, profile, coding string) (costs []cost, err error) {
	direct, err := newSide(ctx, k.client(timeout), k.url+"/metrics/cadvisor", coding)
	if err != nil {
		return nil, err
	}
	direct.request.Header.Set("Authorization", "Bearer "+token)
	sides := []*side{direct}
	for path := range strings.SplitSeq(o.programs, ",") {
		p, err := agent.Start(ctx, path, append([]string{
			"--kubelet.url=" + k.url, "--kubelet.ca-file=" + k.ca, "--kubelet.token-file=" + k.token, "--pods.from=kubelet",
			"--node=worker-1", "--cluster=prod", "--profile=" + profile, "--log.level=error",
			"--web.gzip=always", // as to a scraper on another host
		}, strings.Fields(o.args)...)...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.Stop()) }()
		if err := ready(ctx, p.Base); err != nil {
			return nil, err
		}
		s, err := newSide(ctx, agent.Client(1, timeout), p.Base+"/metrics", coding)
		if err != nil {
			return nil, err
		}
		s.program = p
		sides = append(sides, s)
	}
	for i := range warm + o.scrapes {
		for n := range sides {
			s := sides[(i+n)%len(sides)]
			if i == warm {
				if err := s.count(); err != nil {
					return nil, err
				}
			}
			if err := s.scrape(); err != nil {
				return nil, err
			}
		}
		if err := pause(ctx, o.interval); err != nil {
			return nil, err
		}
	}
	for _, s := range sides[1:] {
		c, err := s.cost(k, profile)
		if err != nil {
			return nil, fmt.Errorf("%s, profile %s: %w", s.program.Name, profile, err)
		}
		c.profile, c.coding, c.direct = profile, coding, direct.took
		costs = append(costs, c)
	}
	return costs, nil
}

// cost is what the scrapes of a program needed.
func (s *side) cost(k *kubelet, profile string) (cost, error) {
	c := cost{program: s.program.Name, through: s.took}
	after, err := s.program.CPU()
	if err != nil {
		return c, err
	}
	c.cpu = (after - s.before) / time.Duration(len(s.took))
	if c.rss, err = s.program.RSS(); err != nil {
		return c, err
	}
	if c.peak, err = s.program.PeakRSS(); err != nil {
		return c, err
	}
	text, err := s.last.Text()
	if err != nil {
		return c, err
	}
	c.wire, c.bytes = len(s.last.Body), len(text)
	if c.series, err = countSeries(text); err != nil {
		return c, err
	}
	if !bytes.Contains(text, []byte(`pod_ip="10.1.`)) || profile == "none" && c.series < k.samples {
		return c, fmt.Errorf("an answer of %d series of %d, or without the pods' addresses", c.series, k.samples)
	}
	return c, nil
}

// ready waits until the program knows the kubelet and its pods.
func ready(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*timeout)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("not ready: %w", err)
		}
	}
}

func countSeries(text []byte) (n int, err error) {
	sc := expo.NewScanner(text)
	for sc.Next() {
		if sc.Line().Kind == expo.Sample {
			n++
		}
	}
	return n, sc.Err()
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quantile is the time that a share q of the times does not exceed.
func quantile(took []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// added is what the program adds to the kubelet's own time: the difference of the
// medians.
func (c cost) added() time.Duration { return quantile(c.through, 0.5) - quantile(c.direct, 0.5) }
