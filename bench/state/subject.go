package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/internal/expo"
	"watchpost/internal/freeport"
	"watchpost/internal/run"
)

// timeout bounds one scrape; the peer takes seconds.
const timeout = 2 * time.Minute

// startLimit bounds the time until everything is shown.
const startLimit = 10 * time.Minute

// cost is what one program needed.
type cost struct {
	name     string
	complete time.Duration // from its start to the end of the first scrape that showed everything
	peak     int64         // bytes resident at most, until then
	rss      int64         // bytes resident after the scrapes
	cpu      time.Duration // of one scrape while nothing changed
	took     time.Duration // by one of them, the mean
	bytes    int           // of an answer on the wire
	series   int
	objects  int // of pods, nodes and all the others, by their *_created series

	churnCPU  time.Duration // while pods changed, all in all
	churnRSS  int64         // at the end of that
	churnPeak int64
	scrapes   int // meanwhile
}

// subject is a program to measure.
type subject struct {
	path     string
	args     []string
	encoding string // that its scrapes ask for
}

// subjects are the peer and ours.
func (o *options) subjects(kubeconfig string) [2]subject {
	peer := subject{path: o.peer, args: strings.Fields(o.peerArgs), encoding: "identity"}
	if o.peerGzip {
		peer.args, peer.encoding = append(peer.args, "--enable-gzip-encoding"), "gzip"
	}
	ours := subject{path: o.ours, args: strings.Fields(o.oursArgs), encoding: "gzip"}
	for _, s := range []*subject{&peer, &ours} {
		s.args = append(s.args, "--kubeconfig="+kubeconfig, "--host=127.0.0.1", "--telemetry-host=127.0.0.1")
	}
	return [2]subject{peer, ours}
}

// process is a subject that runs.
type process struct {
	*agent.Program
	client  *http.Client
	request *http.Request
	body    bytes.Buffer
	begun   time.Time
}

func (s *subject) start(ctx context.Context) (*process, error) {
	var ports [2]string
	for i := range ports {
		port, err := freeport.Port()
		if err != nil {
			return nil, err
		}
		ports[i] = strconv.Itoa(port)
	}
	begun := time.Now()
	p, err := agent.StartAt(ctx, "127.0.0.1:"+ports[0], s.path, append(s.args, "--port="+ports[0], "--telemetry-port="+ports[1])...)
	if err != nil {
		return nil, err
	}
	r, err := agent.Request(ctx, p.Base+"/metrics", agent.AcceptText, timeout)
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	r.Header.Set("Accept-Encoding", s.encoding)
	return &process{Program: p, client: agent.Client(1, timeout), request: r, begun: begun}, nil
}

func (p *process) scrape() (agent.Page, error) { return agent.Scrape(p.client, p.request, &p.body) }

// measure starts the program, waits until it shows everything, and scrapes it.
func (s *subject) measure(ctx context.Context, wanted, scrapes int) (c cost, err error) {
	p, err := s.start(ctx)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	c.name = p.Name
	if err := p.awaitAll(ctx, wanted, &c); err != nil {
		return c, err
	}
	if c.peak, err = p.PeakRSS(); err != nil {
		return c, err
	}
	if err := run.Sleep(ctx, 5*time.Second); err != nil { // what the start left to the background is not a scrape's
		return c, err
	}
	before, err := p.CPU()
	if err != nil {
		return c, err
	}
	for range scrapes {
		page, err := p.scrape()
		if err != nil {
			return c, err
		}
		c.bytes, c.took = len(page.Body), c.took+page.Took/time.Duration(scrapes)
		if err := run.Sleep(ctx, time.Second); err != nil {
			return c, err
		}
	}
	after, err := p.CPU()
	if err != nil {
		return c, err
	}
	c.cpu = (after - before) / time.Duration(scrapes)
	c.rss, err = p.RSS()
	return c, err
}

// awaitAll scrapes until an answer shows as many objects as there are.
func (p *process) awaitAll(ctx context.Context, wanted int, c *cost) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if page, err := p.scrape(); err == nil {
			c.complete = time.Since(p.begun)
			text, err := page.Text()
			if err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			if c.objects, c.series, err = count(text); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			if c.objects >= wanted {
				return nil
			}
		}
		if err := run.Sleep(ctx, time.Second); err != nil {
			return fmt.Errorf("%s shows %d objects of %d: %w", p.Name, c.objects, wanted, err)
		}
	}
}

// count are the objects that have a *_created series, and all series.
func count(text []byte) (objects, series int, err error) {
	sc := expo.NewScanner(text)
	for sc.Next() {
		if l := sc.Line(); l.Kind == expo.Sample {
			series++
			if bytes.HasSuffix(l.Name, []byte("_created")) {
				objects++
			}
		}
	}
	return objects, series, sc.Err()
}
