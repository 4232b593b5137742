package run

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// diary records what happened in which order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// waiting is a task that notes its start and end and otherwise waits.
func (d *diary) waiting(name string) Task {
	return Task{Name: name, Run: func(ctx context.Context, ready func()) error {
		d.add("start " + name)
		ready()
		ready()
		<-ctx.Done()
		d.add("stop " + name)
		return ctx.Err()
	}}
}

var silent = slog.New(slog.DiscardHandler)

func TestRunStopsInReverse(t *testing.T) {
	var d diary
	ctx, cancel := context.WithCancel(t.Context())
	last := Task{Name: "last", Run: func(ctx context.Context, ready func()) error {
		cancel()
		<-ctx.Done()
		return nil
	}}
	if err := Run(ctx, silent, d.waiting("a"), d.waiting("b"), last); err != nil {
		t.Fatal(err)
	}
	want := []string{"start a", "start b", "stop b", "stop a"}
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunFirstFailureCancels(t *testing.T) {
	var d diary
	broken := errors.New("no such luck")
	fails := Task{Name: "fails", Run: func(context.Context, func()) error { return broken }}
	err := Run(t.Context(), silent, d.waiting("a"), fails, d.waiting("never"))
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "fails: ") {
		t.Errorf("got %v, want the failure under the task's name", err)
	}
	if got, want := d.read(), []string{"start a", "stop a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunTaskThatEndsEndsAll(t *testing.T) {
	for _, early := range []bool{false, true} {
		var d diary
		ends := Task{Name: "ends", Run: func(_ context.Context, ready func()) error {
			if !early {
				ready()
			}
			return nil
		}}
		if err := Run(t.Context(), silent, d.waiting("a"), ends); err != nil {
			t.Fatal(err)
		}
		if got := d.read(); !slices.Contains(got, "stop a") {
			t.Errorf("early %t: the other task was not stopped: %q", early, got)
		}
	}
}

func TestRunOverstayingTaskIsNamed(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	deaf := Task{Name: "deaf", Grace: time.Millisecond, Run: func(_ context.Context, ready func()) error {
		cancel()
		<-release
		return nil
	}}
	err := Run(ctx, silent, deaf)
	if err == nil || !strings.Contains(err.Error(), "deaf: did not stop within 1ms") {
		t.Errorf("got %v", err)
	}
}
