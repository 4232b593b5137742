// Command containers measures cadvisor-proxy --cadvisor beside the barest program
// around cAdvisor's library (bench/peers/cadvisor): both read this host's cgroups at the
// same time, and are asked in turn. It prints memory, CPU and the size of the answers.
//
// It exits 1 where ours needs more memory than the limit, as a share of the peer's.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"watchpost/bench/internal/agent"
	"watchpost/bench/internal/command"
	"watchpost/internal/run"
)

// options are what the command line says.
type options struct {
	peer, ours         string
	peerArgs, oursArgs string
	settle, interval   time.Duration
	scrapes, cgroups   int
	maxRSS             float64
}

func main() {
	var o options
	flag.StringVar(&o.peer, "peer", "bin/cadvisor-library", "the `executable` of bench/peers/cadvisor")
	flag.StringVar(&o.ours, "ours", "bin/cadvisor-proxy", "cadvisor-proxy's `executable`")
	flag.StringVar(&o.peerArgs, "peer-args", "", "further `flags` for the peer, separated by blanks")
	flag.StringVar(&o.oursArgs, "ours-args", "--profile=none", "further `flags` for ours, separated by blanks")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "how long both run before they are asked")
	flag.DurationVar(&o.interval, "interval", time.Second, "pause after each pair of scrapes")
	flag.IntVar(&o.scrapes, "scrapes", 30, "scrapes of each")
	flag.IntVar(&o.cgroups, "cgroups", 0, "make this `number` of empty cgroups for the time (needs root and cgroups of version 1); 330 are those of 110 pods")
	flag.Float64Var(&o.maxRSS, "max-rss-ratio", 1, "fail where ours needs more than this share of the peer's memory")
	command.Main("bench/containers", o.run)
}

// cost is what a program needed.
type cost struct {
	rss, peak float64 // MB
	cpu       time.Duration
	series    int
	bytes     int
	took      time.Duration // of all scrapes
}

func (o *options) run(ctx context.Context) (err error) {
	if o.scrapes < 1 || o.settle < 0 || o.cgroups < 0 || flag.NArg() > 0 {
		return errors.New("needs at least 1 scrape, no negative number and no further arguments")
	}
	if o.cgroups > 0 {
		remove, made := fill(o.cgroups)
		defer remove()
		if made != nil {
			return made
		}
	}
	var programs []*agent.Program
	defer func() {
		for _, p := range programs {
			err = errors.Join(err, p.Stop())
		}
	}()
	for _, args := range [][]string{
		append([]string{o.peer}, strings.Fields(o.peerArgs)...),
		append([]string{o.ours, "--cadvisor"}, strings.Fields(o.oursArgs)...),
	} {
		p, err := agent.Start(ctx, args[0], args[1:]...)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	if err := run.Sleep(ctx, o.settle); err != nil {
		return err
	}
	costs, err := o.measure(ctx, programs)
	if err != nil {
		return err
	}
	peer, ours := costs[0], costs[1]
	fmt.Printf("%-32s %12s %12s %8s\n", "", "library", "ours", "ratio")
	row := func(name string, a, b float64) { fmt.Printf("%-32s %12.1f %12.1f %8.2f\n", name, a, b, b/a) }
	row("RSS after the scrapes (MB)", peer.rss, ours.rss)
	row("RSS at most (MB)", peer.peak, ours.peak)
	row("CPU a second (ms)", perSecond(peer, o), perSecond(ours, o))
	row("a scrape (ms)", ms(peer.took)/float64(o.scrapes), ms(ours.took)/float64(o.scrapes))
	row("series", float64(peer.series), float64(ours.series))
	row("bytes of an answer (kB)", float64(peer.bytes)/1e3, float64(ours.bytes)/1e3)
	if r := ours.rss / peer.rss; r > o.maxRSS {
		return fmt.Errorf("RSS ratio %.2f is over the limit of %g", r, o.maxRSS)
	}
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

// perSecond is the CPU of the time of the scrapes, in ms a second.
func perSecond(c cost, o *options) float64 {
	return ms(c.cpu) / (time.Duration(o.scrapes) * o.interval).Seconds()
}

// measure asks the programs in turn.
func (o *options) measure(ctx context.Context, programs []*agent.Program) ([]cost, error) {
	costs := make([]cost, len(programs))
	before := make([]time.Duration, len(programs))
	client := agent.Client(1, time.Minute)
	for i, p := range programs {
		var err error
		if before[i], err = p.CPU(); err != nil {
			return nil, err
		}
	}
	var buf bytes.Buffer
	for range o.scrapes {
		for i, p := range programs {
			r, err := agent.Request(ctx, p.Base+"/metrics", "text/plain;version=0.0.4", time.Minute)
			if err != nil {
				return nil, err
			}
			began := time.Now()
			page, err := agent.Scrape(client, r, &buf)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			costs[i].took += time.Since(began)
			text, err := page.Text()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			costs[i].bytes, costs[i].series = len(text), bytes.Count(text, []byte("\ncontainer_"))
		}
		if err := run.Sleep(ctx, o.interval); err != nil {
			return nil, err
		}
	}
	for i, p := range programs {
		after, err := p.CPU()
		if err != nil {
			return nil, err
		}
		rss, err := p.RSS()
		if err != nil {
			return nil, err
		}
		peak, err := p.PeakRSS()
		if err != nil {
			return nil, err
		}
		costs[i].cpu, costs[i].rss, costs[i].peak = after-before[i], float64(rss)/1e6, float64(peak)/1e6
	}
	return costs, nil
}

// fill makes cgroups; remove takes them away, also those of a part that was made.
func fill(n int) (remove func(), err error) {
	var made []string
	remove = func() {
		for i := len(made) - 1; i >= 0; i-- {
			if err := os.Remove(made[i]); err != nil {
				fmt.Fprintln(os.Stderr, "bench/containers:", err)
			}
		}
	}
	for _, controller := range []string{"cpu", "cpuacct", "memory", "blkio", "pids"} {
		mount := filepath.Join("/sys/fs/cgroup", controller)
		if _, err := os.Stat(filepath.Join(mount, "tasks")); err != nil {
			return remove, fmt.Errorf("--cgroups: %w", err)
		}
		for i := -1; i < n; i++ {
			dir := filepath.Join(mount, "watchpost-bench")
			if i >= 0 {
				dir = filepath.Join(dir, fmt.Sprint("group-", i))
			}
			if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
				continue // cpu and cpuacct may be one
			} else if err != nil {
				return remove, fmt.Errorf("--cgroups: %w", err)
			}
			made = append(made, dir)
		}
	}
	return remove, nil
}
