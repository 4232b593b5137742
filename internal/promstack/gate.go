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
	served served
	inside sync.WaitGroup
}

// served is what is behind the gate.
type served struct{ api, federate http.Handler }

// open lets requests through to what is served until late ends.
func (g *gate) open(late context.Context, s served) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state, g.late, g.served = gateOpen, late, s
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

// enter reports what is served, where the gate is open. Who entered calls
// g.inside.Done when leaving.
func (g *gate) enter() (behind served, late context.Context, s gateState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == gateOpen {
		g.inside.Add(1)
	}
	return g.served, g.late, g.state
}

// through is the way to the one of the handlers that pick chooses.
func (g *gate) through(pick func(served) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.pass(w, r, pick) })
}

// pass passes a request on, or answers 503 as Prometheus does, with the header by
// which its clients tell a start from a stop.
func (g *gate) pass(w http.ResponseWriter, r *http.Request, pick func(served) http.Handler) {
	behind, late, s := g.enter()
	if s != gateOpen {
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
	pick(behind).ServeHTTP(w, r.WithContext(ctx))
}
