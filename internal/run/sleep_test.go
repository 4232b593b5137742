package run

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		if err := Sleep(ctx, time.Minute); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("slept %s, %v", time.Since(begun), err)
		}
		if err := Sleep(ctx, 0); err != nil {
			t.Errorf("no wait: %v", err)
		}
		time.AfterFunc(time.Second, cancel)
		begun = time.Now()
		if err := Sleep(ctx, time.Minute); !errors.Is(err, context.Canceled) || time.Since(begun) != time.Second {
			t.Errorf("broken off after %s, %v", time.Since(begun), err)
		}
		for _, d := range []time.Duration{-1, 0} {
			if err := Sleep(ctx, d); !errors.Is(err, context.Canceled) {
				t.Errorf("%d after the end: %v", d, err)
			}
		}
	})
}
