package run

import (
	"context"
	"time"
)

// Sleep waits for d, or until ctx ends, whose error it then returns. What is not above
// 0 is no wait.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
