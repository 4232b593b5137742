package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/internal/expo"
	"watchpost/internal/run"
)

// How often memory is looked at, and how long the program may take to calm down.
const (
	rssEvery = 100 * time.Millisecond
	calmTime = 2 * time.Second
)

// load lets all clients scrape for the duration.
func (o *options) load(ctx context.Context, url string, usage *agent.Usage) (result, error) {
	client := agent.Client(o.clients, o.timeout)
	defer client.CloseIdleConnections()
	before, err := counters(ctx, client, url, o.timeout)
	if err != nil {
		return result{}, err
	}
	var r result
	if r.before, err = usage.RSS(); err != nil {
		return r, err
	}
	cpu, err := usage.CPU()
	if err != nil {
		return r, err
	}
	begun := time.Now()
	o.scrapeAll(ctx, client, url, usage, &r)
	r.took = time.Since(begun)
	if err := ctx.Err(); err != nil {
		return r, err
	}
	after, err := usage.CPU()
	if err != nil {
		return r, err
	}
	r.cpu = after - cpu
	counted, err := counters(ctx, client, url, o.timeout)
	if err != nil {
		return r, err
	}
	r.scrapes, r.collections = counted.scrapes-before.scrapes, counted.collections-before.collections
	client.CloseIdleConnections()
	if err := run.Sleep(ctx, calmTime); err != nil {
		return r, err
	}
	r.after, err = usage.RSS()
	return r, err
}

// scrapeAll runs the clients, and watches memory meanwhile.
func (o *options) scrapeAll(ctx context.Context, client *http.Client, url string, usage *agent.Usage, r *result) {
	until, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range o.clients {
		clients.Go(func() {
			var body bytes.Buffer
			answers, failures := 0, 0
			var last error
			for until.Err() == nil {
				// A scrape that has begun is not broken off, so that each one counts.
				err := scrapeOnce(ctx, client, url, o.timeout, &body)
				switch {
				case err == nil:
					answers++
				case ctx.Err() == nil:
					failures++
					last = err
					run.Sleep(until, 100*time.Millisecond)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.answers += answers
			r.failures += failures
			r.failure = cmp.Or(r.failure, last)
		})
	}
	watched := make(chan int64)
	go func() {
		var peak int64
		for {
			if rss, err := usage.RSS(); err == nil {
				peak = max(peak, rss)
			}
			if run.Sleep(until, rssEvery) != nil {
				watched <- peak
				return
			}
		}
	}()
	clients.Wait()
	r.peak = <-watched
}

func scrapeOnce(ctx context.Context, client *http.Client, url string, timeout time.Duration, body *bytes.Buffer) error {
	req, err := agent.Request(ctx, url, agent.AcceptPrometheus, timeout)
	if err != nil {
		return err
	}
	page, err := agent.Scrape(client, req, body)
	if err == nil && len(page.Body) == 0 {
		return fmt.Errorf("%s: empty answer", url)
	}
	return err
}

// counted are the program's own counters.
type counted struct{ scrapes, collections float64 }

// counters asks for them. The scrape itself is one of those counted.
func counters(ctx context.Context, client *http.Client, url string, timeout time.Duration) (counted, error) {
	req, err := agent.Request(ctx, url, agent.AcceptText, timeout)
	if err != nil {
		return counted{}, err
	}
	page, err := agent.Scrape(client, req, new(bytes.Buffer))
	if err != nil {
		return counted{}, err
	}
	text, err := page.Text()
	if err != nil {
		return counted{}, err
	}
	return parseCounters(text)
}

func parseCounters(text []byte) (counted, error) {
	values := make(map[string]float64)
	sc := expo.NewScanner(text)
	for sc.Next() {
		l := sc.Line()
		if l.Kind != expo.Sample {
			continue
		}
		switch name := string(l.Name); name {
		case "watchpost_scrapes_total", "watchpost_collections_total":
			v, err := l.Float()
			if err != nil {
				return counted{}, err
			}
			values[name] = v
		}
	}
	if err := sc.Err(); err != nil {
		return counted{}, err
	}
	if len(values) != 2 {
		return counted{}, errors.New("the answer has no watchpost_scrapes_total and watchpost_collections_total")
	}
	return counted{values["watchpost_scrapes_total"], values["watchpost_collections_total"]}, nil
}
