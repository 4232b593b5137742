package kube

import (
	"context"
	"errors"
	"sync"
	"time"

	"watchpost/internal/words"
)

// customState is how it goes with the definitions of a cluster's custom resources.
type customState struct {
	mu      sync.Mutex
	told    bool // which of them are there is known
	err     error
	failing time.Time
}

// missing tells what is not known of the custom resources that are to be watched.
func (s *customState) missing(of *CustomConfig) error {
	if of == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil && (!s.told || time.Since(s.failing) > patience):
		return errors.New(words.OneLine(s.err))
	case !s.told:
		return errors.New("custom resource definitions: not listed yet")
	}
	return nil
}

// followCustom watches the custom resources that are asked for, as they are defined
// and vanish.
func (c *Cluster) followCustom(ctx context.Context) {
	if c.config.Custom == nil {
		return
	}
	stats := c.config.CustomStats
	if stats == nil {
		stats = NewCustomStats(c.log)
	}
	s := &c.custom
	c.tasks.Go(func() {
		watchCustom(ctx, c.config.Client.open, c.config.Custom, stats, customEvents{
			changed: func(added, removed []*resource) {
				if err := c.change(added, removed); err != nil {
					c.log.Error("Custom resources cannot be watched", "error", words.OneLine(err))
				}
				s.mu.Lock()
				s.told = true
				s.mu.Unlock()
			},
			failed: func(err error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if err != nil && s.err == nil {
					s.failing = c.now()
					c.log.Warn("Custom resource definitions cannot be listed or watched; what was known stays", "error", words.OneLine(err))
				}
				s.err = err
			},
		})
	})
}
