package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/internal/expo"
	"watchpost/internal/run"
)

// cost is what one program needed in one run.
type cost struct {
	name      string
	startCPU  time.Duration // until it listened
	firstCPU  time.Duration // by the first scrape
	cpu       time.Duration // by one scrape, the mean of all with the first
	rss, peak int64         // bytes, after the last scrape
	bytes     int           // of the last answer on the wire
	series    int           // in it
	took      []time.Duration
}

// subject is a program under measurement.
type subject struct {
	*agent.Program
	client  *http.Client
	request *http.Request
	body    bytes.Buffer
	before  time.Duration // CPU before the first scrape
	last    agent.Page
	cost
}

func begin(ctx context.Context, path string, args []string, timeout time.Duration) (*subject, error) {
	p, err := agent.Start(ctx, path, args...)
	if err != nil {
		return nil, err
	}
	s := &subject{Program: p, client: agent.Client(1, 2*timeout)}
	s.name = p.Name
	s.request, err = agent.Request(ctx, p.Base+"/metrics", agent.AcceptPrometheus, timeout)
	if err == nil {
		s.before, err = p.CPU()
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	s.startCPU = s.before
	return s, nil
}

func (s *subject) scrape() error {
	var err error
	if s.last, err = agent.Scrape(s.client, s.request, &s.body); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.took = append(s.took, s.last.Took)
	if len(s.took) == 1 {
		after, err := s.CPU()
		if err != nil {
			return err
		}
		s.firstCPU = after - s.before
	}
	return nil
}

// settle reads what the scrapes cost, once they are done.
func (s *subject) settle() error {
	after, err := s.CPU()
	if err != nil {
		return err
	}
	s.cpu = (after - s.before) / time.Duration(len(s.took))
	if s.rss, err = s.RSS(); err != nil {
		return err
	}
	if s.peak, err = s.PeakRSS(); err != nil {
		return err
	}
	s.bytes = len(s.last.Body)
	text, err := s.last.Text()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if s.series, err = countSeries(text); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
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

// pair starts both programs, scrapes them in turn and ends them.
func (o *options) pair(ctx context.Context) (peer, ours cost, err error) {
	p, err := begin(ctx, o.peer, agent.Flags(o.collectors, o.peerArgs), o.timeout)
	if err != nil {
		return cost{}, cost{}, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	u, err := begin(ctx, o.ours, agent.Flags(o.collectors, o.oursArgs), o.timeout)
	if err != nil {
		return cost{}, cost{}, err
	}
	defer func() { err = errors.Join(err, u.Stop()) }()

	order := [2]*subject{p, u}
	for range o.scrapes {
		for _, s := range order {
			if err := s.scrape(); err != nil {
				return cost{}, cost{}, err
			}
		}
		order[0], order[1] = order[1], order[0] // neither always finds what the other warmed up
		if err := run.Sleep(ctx, o.interval); err != nil {
			return cost{}, cost{}, err
		}
	}
	// What the last scrape left to the background belongs to it.
	if err := run.Sleep(ctx, 200*time.Millisecond); err != nil {
		return cost{}, cost{}, err
	}
	if err := errors.Join(p.settle(), u.settle()); err != nil {
		return cost{}, cost{}, err
	}
	return p.cost, u.cost, nil
}
