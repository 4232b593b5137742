package serve

import (
	"io"
	"slices"
	"strconv"
	"sync"

	"watchpost/internal/expo"
)

// What the handler tells of itself, by the names that client_golang's has. Four
// families in a registry of that library were 4 % of a small agent's scrape.
var (
	requestsTotal = expo.Counter("promhttp_metric_handler_requests_total", "Scrapes answered, by HTTP status.", "code")
	inFlightNow   = expo.Gauge("promhttp_metric_handler_requests_in_flight", "Scrapes being answered now.")
	errorsTotal   = expo.Counter("promhttp_metric_handler_errors_total", "Faults while a scrape was answered, by what was being done.", "cause")
)

// What can fail while a scrape is answered.
const (
	encoding = iota
	gathering
)

var causes = [...]string{encoding: "encoding", gathering: "gathering"}

// counts are the handler's numbers.
type counts struct {
	mu       sync.Mutex
	inFlight int
	requests []statusCount // by status
	failures [len(causes)]uint64
	text     expo.Writer
}

type statusCount struct {
	code  int
	text  string // the code as a label
	count uint64
}

// newCounts begins with some statuses at 0.
func newCounts(l expo.Labels, codes ...int) *counts {
	c := new(counts)
	c.text.SetConstLabels(l)
	for _, code := range codes {
		c.answered(code, 0)
	}
	return c
}

func (c *counts) enter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight += n
}

func (c *counts) answered(code int, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, found := slices.BinarySearchFunc(c.requests, code, func(s statusCount, code int) int { return s.code - code })
	if !found {
		c.requests = slices.Insert(c.requests, i, statusCount{code: code, text: strconv.Itoa(code)})
	}
	c.requests[i].count += n
}

func (c *counts) failed(cause int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures[cause]++
}

func (c *counts) writeTo(to io.Writer, f expo.Format) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.text
	w.Reset(f)
	for cause, n := range c.failures {
		w.Uint(errorsTotal, n, causes[cause])
	}
	w.Sample(inFlightNow, float64(c.inFlight))
	for _, s := range c.requests {
		w.Uint(requestsTotal, s.count, s.text)
	}
	_, err := to.Write(w.Bytes())
	return err
}
