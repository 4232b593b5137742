package promstack

// The gate in front of the API: closed while the storage is being opened and
// again once the engine stops, so that no request meets a half-built or a closed
// storage.

import (
	"context"
	"net/http"
	"sync"
	"time"
)

type gateState int

const (
	gateStarting gateState = iota
	gateOpen
	gateShut
)

// drainTime bounds the wait for requests that were cut off to return.
const drainTime = time.Second

type gate struct {
	mu     sync.Mutex
	state  gateState
	late   context.Context // its end cuts requests off
	api    http.Handler
	inside sync.WaitGroup
}

// open lets requests through to api until late ends.
func (g *gate) open(late context.Context, api http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state, g.late, g.api = gateOpen, late, api
}

// shut turns new requests away.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = gateShut
}

// drain waits until the requests inside have left, and little longer than the
// end of late.
func (g *gate) drain() {
	left := make(chan struct{})
	go func() { g.inside.Wait(); close(left) }()
	select {
	case <-left:
		return
	case <-g.late.Done():
	}
	select {
	case <-left:
	case <-time.After(drainTime):
	}
}

func (g *gate) now() gateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// enter reports the handler to use, or nil where the gate is closed. Who entered
// calls g.inside.Done when leaving.
func (g *gate) enter() (api http.Handler, late context.Context, s gateState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == gateOpen {
		g.inside.Add(1)
		api = g.api
	}
	return api, g.late, g.state
}

// ServeHTTP passes a request on, or answers 503 as Prometheus does, with the
// header by which its clients tell a start from a stop.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	api, late, s := g.enter()
	if api == nil {
		stopping := "false"
		if s == gateShut {
			stopping = "true"
		}
		w.Header().Set("X-Prometheus-Stopping", stopping)
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	defer g.inside.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(late, cancel)()
	api.ServeHTTP(w, r.WithContext(ctx))
}
