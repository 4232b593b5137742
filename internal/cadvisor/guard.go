package cadvisor

import (
	"fmt"
	"sync/atomic"
	"time"
)

// guard does something that may hang or panic, and lets nobody wait for it: a network
// file system of which the server is gone, a driver.
type guard struct {
	busy  atomic.Bool
	since time.Time // when it began; of the one who calls do
}

// do does f, for as long as patience. The error is f's, or that it takes longer; then
// f goes on alone, and is not begun again before it has come to an end.
func (g *guard) do(patience time.Duration, f func() error) error {
	if !g.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("reading it has not come to an end for %s", time.Since(g.since).Round(time.Second))
	}
	g.since = time.Now()
	done := make(chan error, 1)
	go func() {
		defer g.busy.Store(false)
		done <- calm(f)
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("reading it takes longer than %s", patience)
	}
}

// calm makes an error of a panic: what the library does not expect of a kernel must
// not end the program.
func calm(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("BUG: reading it panicked: %v", p)
		}
	}()
	return f()
}
