// Package run starts the long-lived parts of a program in order, lets the first
// failure end all of them, and stops them in reverse order.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// DefaultGrace is how long a task may take to return once it was told to stop.
const DefaultGrace = 10 * time.Second

// Task is one part of a program with a life of its own: a server, a watch, a loop.
type Task struct {
	// Name is used in logs and errors.
	Name string
	// Run does the work until ctx ends and then returns. It calls ready (more
	// than once is harmless) when the tasks after it may start. A cancelled
	// context is a normal end: returning ctx.Err() or nil is the same.
	Run func(ctx context.Context, ready func()) error
	// Grace bounds the wait for Run to return after its context has ended;
	// zero means DefaultGrace. A task that overstays is reported and left behind.
	Grace time.Duration
}

// running is a started task.
type running struct {
	Task
	stop  context.CancelFunc
	ready chan struct{}
	done  chan error // receives Run's result once
}

// Run starts the tasks one after another, each when the one before it is ready,
// and waits until ctx ends or a task returns. Then it stops them in reverse
// order, waiting for each. The result is the first error that was not caused by
// the stopping itself, joined with those found while stopping; a task that
// returns nil early ends the program without an error.
func Run(ctx context.Context, log *slog.Logger, tasks ...Task) error {
	failed := make(chan error, len(tasks)) // first results, from any task
	started, first := startAll(ctx, log, failed, tasks)
	return errors.Join(first, stopAll(started, log))
}

// startAll starts the tasks and returns when the program shall stop, with those
// that were started and the error that ended them, if any.
func startAll(ctx context.Context, log *slog.Logger, failed chan error, tasks []Task) (started []*running, first error) {
	for _, t := range tasks {
		r := launch(ctx, t, failed)
		started = append(started, r)
		select {
		case <-r.ready:
			log.Debug("Task is ready", "task", t.Name)
		case err := <-failed:
			return started, err
		case <-ctx.Done():
			return started, nil
		}
	}
	select {
	case err := <-failed:
		return started, err
	case <-ctx.Done():
		return started, nil
	}
}

// launch runs t with a context that ends only by stop, so that the order of
// stopping is ours: the parent's end is seen by Run, not by the task.
func launch(ctx context.Context, t Task, failed chan<- error) *running {
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{Task: t, stop: stop, ready: make(chan struct{}, 1), done: make(chan error, 1)}
	go func() {
		err := t.Run(own, func() {
			select {
			case r.ready <- struct{}{}:
			default: // already said
			}
		})
		if err != nil && own.Err() != nil && errors.Is(err, own.Err()) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", t.Name, err)
		}
		if own.Err() == nil { // ended by itself: that ends the program
			failed <- err
			err = nil // reported once
		}
		r.done <- err
	}()
	return r
}

// stopAll ends the tasks, last started first.
func stopAll(started []*running, log *slog.Logger) error {
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		grace := r.Grace
		if grace == 0 {
			grace = DefaultGrace
		}
		r.stop()
		late := time.NewTimer(grace)
		select {
		case err := <-r.done:
			errs = append(errs, err)
			log.Debug("Task has stopped", "task", r.Name)
		case <-late.C:
			errs = append(errs, fmt.Errorf("%s: did not stop within %s", r.Name, grace))
		}
		late.Stop()
	}
	return errors.Join(errs...)
}
