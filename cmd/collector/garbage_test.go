package main

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	begin := reading{at: time.Unix(1000, 0), allocated: 500e6}
	for _, c := range []struct {
		name string
		made uint64
		took time.Duration
		want int
	}{
		{"nothing", 0, time.Minute, leastGarbage},
		{"little", 30e6, time.Minute, leastGarbage},
		{"series that stay, a hundred targets a second", 120e6, time.Minute, 20},
		{"many new series", 300e6, time.Minute, 50},
		{"a large query", 300e6, time.Second, mostGarbage},
		{"too early to tell", 1e6, 100 * time.Millisecond, 33},
		{"early, and yet", 20e6, 100 * time.Millisecond, mostGarbage},
		{"no time", 20e6, 0, mostGarbage},
		{"a clock that was set back", 20e6, -time.Second, mostGarbage},
	} {
		now := reading{at: begin.at.Add(c.took), allocated: begin.allocated + c.made}
		if got := pace(begin, now, 33); got != c.want {
			t.Errorf("%s: %d %%, want %d", c.name, got, c.want)
		}
	}
}

// percent is the percentage in force.
func percent() int {
	p := debug.SetGCPercent(100)
	debug.SetGCPercent(p)
	return p
}

// After a collection the percentage follows the garbage that was made, unless the
// configuration names one.
func TestGarbageFollows(t *testing.T) {
	defer debug.SetGCPercent(percent())
	g := newGarbage(slog.New(slog.DiscardHandler))
	if got := percent(); got != openGarbage {
		t.Errorf("begins with %d %%, want %d", got, openGarbage)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() { ended <- g.task().Run(ctx, func() { close(ready) }) }()
	<-ready
	runtime.GC()
	time.Sleep(10 * time.Millisecond)
	if got := percent(); got != openGarbage {
		t.Errorf("%d %% while the log is read, want %d", got, openGarbage)
	}
	g.open()
	if got := percent(); got > startGarbage {
		t.Errorf("%d %% once the log was read", got)
	}
	// The test makes little garbage.
	for deadline := time.Now().Add(time.Minute); percent() >= mostGarbage; {
		if time.Now().After(deadline) {
			t.Fatalf("still %d %%", percent())
		}
		time.Sleep(1100 * time.Millisecond)
		runtime.GC()
	}
	g.tune(40)
	for range 5 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		if got := percent(); got != 40 {
			t.Errorf("%d %% though the configuration says 40", got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
