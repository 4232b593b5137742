package main

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/run"
)

// Garbage: how much of it may lie in the heap before it is collected. The heap of a
// collector is series that stay and, once they are known, little garbage: a fixed
// percentage that suits its start and its queries keeps memory that nothing uses.
// docs/design/engine.md has the reasons and the numbers.
const (
	// mostGarbage is Prometheus' own percentage of the live heap.
	mostGarbage = 75
	// openGarbage is for reading the log of the last run, which makes what stays: looking
	// through it again and again finds little. The soft memory limit holds meanwhile, too.
	openGarbage = 300
	// startGarbage is for the first scrapes, whose series stay as well: until it is calm,
	// or for startFor.
	startGarbage = 150
	startFor     = time.Minute
	// leastGarbage is what remains useful: at less, collecting costs more than it saves.
	leastGarbage = 15
	// perMegabyte is the percentage for each 10^6 bytes of garbage a second. Looking
	// through a megabyte that lives takes about a millisecond, whence collecting takes a
	// hundredth of a processor whatever the size of the heap.
	perMegabyte = 10
	// shedAbove is the share of the live heap above which what is not needed goes back to
	// the system, at most every shedEvery.
	shedAbove = 0.1
	shedEvery = 5 * time.Minute
	// lookEvery is how often the rate is looked at beside the collections.
	lookEvery = 10 * time.Second
)

// garbage follows the rate at which garbage is made.
type garbage struct {
	log       *slog.Logger
	percent   atomic.Int64  // of the configuration, or GOGC of the environment; other than mostGarbage it stays
	opened    atomic.Int64  // when the log of the last run was read, in ns since 1970; 0 before
	collected chan struct{} // gets one after a collection
	samples   []metrics.Sample
	last      reading
	now       int       // the percentage in force
	started   bool      // the first scrapes are over
	shed      time.Time // when memory was given back last
}

// reading is the state of the heap after a collection.
type reading struct {
	at        time.Time
	allocated uint64 // bytes since the start
	live      uint64 // bytes that were found alive
	inUse     uint64 // bytes of spans with objects
	free      uint64 // bytes of spans without, that the system could have
}

func newGarbage(log *slog.Logger) *garbage {
	g := &garbage{log: log, collected: make(chan struct{}, 1), samples: []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}}
	g.percent.Store(mostGarbage)
	debug.SetGCPercent(openGarbage)
	return g
}

// tune takes the percentage of a configuration over. Prometheus' own default is the most
// that is allowed; every other is what somebody wants, and stays.
func (g *garbage) tune(percent int) {
	switch {
	case g.percent.Swap(int64(percent)) == int64(percent): // as it was
	case percent == mostGarbage && g.opened.Load() == 0:
		debug.SetGCPercent(openGarbage)
	default:
		debug.SetGCPercent(percent)
	}
}

// open tells that the log of the last run was read.
func (g *garbage) open() {
	g.opened.Store(time.Now().UnixNano())
	if p := int(g.percent.Load()); p != mostGarbage {
		debug.SetGCPercent(p)
	} else {
		debug.SetGCPercent(startGarbage)
	}
}

// task follows the collections until the program ends.
func (g *garbage) task() run.Task {
	return run.Task{Name: "garbage", Run: func(ctx context.Context, ready func()) error {
		g.last = g.read()
		g.watch(ctx)
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		ready()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-look.C:
			case <-g.collected:
			}
			g.follow(g.read())
		}
	}}
}

// watch makes an object that nobody holds: its end is the end of a collection. It then
// makes the next one.
func (g *garbage) watch(ctx context.Context) {
	runtime.AddCleanup(new([16]byte), func(g *garbage) {
		if ctx.Err() != nil {
			return
		}
		select {
		case g.collected <- struct{}{}:
		default: // the last one was not looked at yet
		}
		g.watch(ctx)
	}, g)
}

func (g *garbage) read() reading {
	metrics.Read(g.samples)
	n := func(i int) uint64 { return g.samples[i].Value.Uint64() }
	return reading{at: time.Now(), allocated: n(0), live: n(1), inUse: n(2) + n(3), free: n(4)}
}

// follow sets the percentage by the rate since the last look, and gives back what is free
// once it is calm.
func (g *garbage) follow(r reading) {
	last := g.last
	g.last = r
	opened := g.opened.Load()
	if p := int(g.percent.Load()); p != mostGarbage || opened == 0 {
		g.now = startGarbage // as open sets it
		return
	}
	before := g.now
	g.now = pace(last, r, before)
	calm := g.now <= 2*leastGarbage
	if g.started = g.started || calm || r.at.Sub(time.Unix(0, opened)) > startFor; !g.started {
		g.now = startGarbage
	}
	g.log.Debug("Garbage", "percent", g.now, "made", r.allocated-last.allocated, "in", r.at.Sub(last.at),
		"live", r.live, "in_use", r.inUse, "free", r.free)
	if g.now != before { // the first time it is what open has set
		defer debug.SetGCPercent(g.now) // may start a collection, if the one below is not enough
	}
	// What was made since the last collection is mostly garbage, and will be free.
	spare := float64(r.free) + float64(r.inUse) - float64(r.live)*(1+leastGarbage/100.)
	if !calm || r.at.Sub(g.shed) < shedEvery || spare < shedAbove*float64(r.live) {
		return
	}
	first := g.shed.IsZero()
	g.shed = r.at
	if !first {
		debug.FreeOSMemory()
		return
	}
	if err := cli.Trim(); err != nil {
		g.log.Debug("Some memory could not be given back", "err", err)
	}
}

// pace is the percentage for garbage that is made as it was between two looks, and what
// it was where they were too near to each other to tell.
func pace(last, now reading, percent int) int {
	took, made := now.at.Sub(last.at).Seconds(), float64(now.allocated-last.allocated)/1e6
	if took < 1 && made < 10 {
		return percent
	}
	return int(math.Round(min(max(made/max(took, 0.001)*perMegabyte, leastGarbage), mostGarbage)))
}
