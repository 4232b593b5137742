// Package self is what a program tells about itself, by the names that
// client_golang has for it: go_* from the Go runtime and process_* from the
// kernel. client_golang's own collectors open forty files, build a message for
// each sample and sort them, which was a third of the cost of a scrape of a small
// agent (docs/design/own-metrics.md).
package self

import (
	"sync"

	"watchpost/internal/expo"
)

// Metrics reads this program. It is safe for concurrent use.
type Metrics struct {
	mu      sync.Mutex
	runtime runtimeReader
	process process
}

// New makes a Metrics.
func New() *Metrics {
	return &Metrics{runtime: newRuntimeReader(), process: newProcess()}
}

// Write writes what can be read; the error tells what cannot.
func (m *Metrics) Write(w *expo.Writer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runtime.write(w)
	return m.process.write(w)
}
