package freeport

import (
	"net"
	"sync"
	"testing"
)

// TestPort asks from many sides at once: no port is given twice, each can be
// listened on, and none is of those that connections are given.
func TestPort(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				port, err := Port()
				if err != nil {
					t.Error(err)
					return
				}
				l, err := net.Listen("tcp", address(port))
				if err != nil {
					t.Error(err)
					return
				}
				l.Close()
				mu.Lock()
				if seen[port] || port < first || port > last {
					t.Errorf("%d: given before %v", port, seen[port])
				}
				seen[port] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}
