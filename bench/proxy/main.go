// Command proxy measures what cadvisor-proxy adds to a scrape of a kubelet. The
// kubelet is a process of its own that replays the text of a made-up node over TLS. It
// is scraped directly and through the real program, in turn, by the same client with
// the same settings: once for plain text, once for gzip. docs/performance.md tells how
// to read the table.
//
// It exits 1 when a limit that was given is exceeded or something failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"watchpost/bench/internal/command"
)

// options are what the command line says.
type options struct {
	programs, args    string
	profiles, codings string
	pods, scrapes     int
	interval          time.Duration
	maxAdded          time.Duration
	maxRSS            float64
	serve, dir        string
}

func main() {
	var o options
	flag.StringVar(&o.programs, "program", "bin/cadvisor-proxy", "its `executable`, or several to compare, separated by commas")
	flag.StringVar(&o.args, "args", "", "further `flags` for it, separated by blanks")
	flag.StringVar(&o.profiles, "profiles", "none,default,lean", "`list` of profiles to measure, each with a program newly started")
	flag.StringVar(&o.codings, "codings", "identity,gzip", "`list` of what the scraper takes")
	flag.IntVar(&o.pods, "pods", 110, "pods of the made-up node; a kubelet has at most 110 by default")
	flag.IntVar(&o.scrapes, "scrapes", 200, "scrapes of each, after ten to warm up")
	flag.DurationVar(&o.interval, "interval", 20*time.Millisecond, "pause after each pair of scrapes")
	flag.DurationVar(&o.maxAdded, "max-added-latency", 0, "fail where the median through the program is longer than the kubelet's own by more; 0 is no limit")
	flag.Float64Var(&o.maxRSS, "max-rss", 0, "fail where the program needs more `MB` (10^6 bytes) after the scrapes; 0 is no limit")
	flag.StringVar(&o.serve, "serve-kubelet", "", "used by the program itself: be the kubelet at this `address`")
	flag.StringVar(&o.dir, "serve-dir", "", "used by the program itself: the kubelet's `folder`")
	command.Main("bench/proxy", o.run)
}

func (o *options) run(ctx context.Context) error {
	if o.serve != "" {
		return serveKubelet(ctx, o.serve, o.dir)
	}
	if o.pods < 1 || o.scrapes < 1 || o.interval < 0 || o.maxAdded < 0 || o.maxRSS < 0 || flag.NArg() > 0 {
		return errors.New("needs at least one pod and one scrape, no negative number and no further arguments")
	}
	k, err := startKubelet(ctx, o.pods)
	if err != nil {
		return err
	}
	var costs []cost
	for profile := range strings.SplitSeq(o.profiles, ",") {
		for coding := range strings.SplitSeq(o.codings, ",") {
			if err == nil {
				var more []cost
				more, err = o.measure(ctx, k, profile, coding)
				costs = append(costs, more...)
			}
		}
	}
	if err = errors.Join(err, k.stop()); err != nil {
		return err
	}
	fmt.Printf("a node of %d pods, %.1f MB of text; medians of %d scrapes\n", o.pods, float64(k.bytes)/1e6, o.scrapes)
	if err := table(os.Stdout, costs); err != nil {
		return err
	}
	return o.judge(costs)
}
