// Command load tells how node-agent bears many scrapers at once, and one that
// dribbles: errors, answers a second, how many of them shared a collection (from
// watchpost_collections_total and watchpost_scrapes_total), memory before, at most
// and after, and after how long a client that sends one byte a second was cut off.
//
// It exits 1 at an error, where collections were not shared, where the slow client
// was not cut off, and over the limit of memory if one is given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/command"
)

// What may be asked for at most.
const (
	maxClients  = 2000
	maxDuration = 10 * time.Minute
)

// options are what the command line says.
type options struct {
	program, args string
	url           string
	pid           int
	clients       int
	duration      time.Duration
	timeout       time.Duration
	patience      time.Duration
	maxRSS        float64
}

func main() {
	var o options
	flag.StringVar(&o.program, "program", "bin/node-agent", "`executable` to start and ask")
	flag.StringVar(&o.args, "args", "", "further `flags` for it, separated by blanks")
	flag.StringVar(&o.url, "url", "", "`address` of the metrics of a program that runs already, with --pid, instead of one to start")
	flag.IntVar(&o.pid, "pid", 0, "its process `id`")
	flag.IntVar(&o.clients, "clients", 200, "scrapers at the same time, each with a connection of its own")
	flag.DurationVar(&o.duration, "duration", 20*time.Second, "how long they scrape")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Second, "what the scrapes tell as their timeout, and hold to")
	flag.DurationVar(&o.patience, "slow-client", time.Minute, "how `long` to wait for the slow client to be cut off; 0 does without it")
	flag.Float64Var(&o.maxRSS, "max-rss", 0, "fail where the program ever needs more `MB` (10^6 bytes); 0 is no limit")
	command.Main("bench/load", o.run)
}

func (o *options) run(ctx context.Context) (err error) {
	if o.clients < 1 || o.clients > maxClients || o.duration <= 0 || o.duration > maxDuration || o.timeout <= 0 || flag.NArg() > 0 {
		return fmt.Errorf("needs 1 to %d clients, a duration of at most %s, and no further arguments", maxClients, maxDuration)
	}
	if (o.url == "") != (o.pid == 0) {
		return errors.New("--url and --pid go together")
	}
	url, usage := o.url, agent.NewUsage(o.pid)
	if url == "" {
		p, err := agent.Start(ctx, o.program, strings.Fields(o.args)...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Stop()) }()
		url, usage = p.Base+"/metrics", p.Usage
	}
	r, err := o.load(ctx, url, usage)
	if err != nil {
		return err
	}
	if o.patience > 0 {
		if r.slow, r.slowErr = dribble(ctx, url, o.patience); r.slowErr != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	o.print(r)
	return o.judge(r)
}

// result is what was seen.
type result struct {
	answers, failures   int
	failure             error // one of them
	took                time.Duration
	cpu                 time.Duration
	scrapes             float64 // answers and
	collections         float64 // collections, as the program counts them
	before, peak, after int64   // RSS in bytes
	slow                time.Duration
	slowErr             error
}

func (o *options) print(r result) {
	fmt.Printf("%d clients for %s: %d answers, %.0f a second, %d errors\n",
		o.clients, r.took.Round(time.Millisecond), r.answers, float64(r.answers)/r.took.Seconds(), r.failures)
	fmt.Printf("collections: %.0f for %.0f answers, %.1f answers share one\n", r.collections, r.scrapes, r.scrapes/r.collections)
	fmt.Printf("CPU: %.0f%% of one core, %.3f ms an answer\n",
		100*r.cpu.Seconds()/r.took.Seconds(), 1e3*r.cpu.Seconds()/float64(max(r.answers, 1)))
	fmt.Printf("RSS: %.1f MB before, at most %.1f MB, %.1f MB after\n", mb(r.before), mb(r.peak), mb(r.after))
	if o.patience > 0 && r.slowErr == nil {
		fmt.Printf("a client that sends one byte a second was cut off after %.1f s\n", r.slow.Seconds())
	}
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

// judge says what is not as it must be.
func (o *options) judge(r result) error {
	var errs []error
	if r.failures > 0 {
		errs = append(errs, fmt.Errorf("%d of %d scrapes failed, one with: %w", r.failures, r.failures+r.answers, r.failure))
	}
	if r.answers == 0 {
		errs = append(errs, errors.New("no scrape was answered"))
	}
	if o.clients > 1 && r.collections > r.scrapes/2 {
		errs = append(errs, fmt.Errorf("%.0f collections for %.0f answers: they are not shared", r.collections, r.scrapes))
	}
	if o.maxRSS > 0 && mb(r.peak) > o.maxRSS {
		errs = append(errs, fmt.Errorf("%.1f MB are over the limit of %g", mb(r.peak), o.maxRSS))
	}
	return errors.Join(append(errs, r.slowErr)...)
}
