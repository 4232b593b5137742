// Package agent starts the programs that the benchmarks measure, asks them as
// Prometheus would, and reads from /proc what they cost.
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"watchpost/internal/freeport"
)

// How long a program may take to listen, and to end.
const (
	startTimeout = 15 * time.Second
	stopTimeout  = 10 * time.Second
)

// Program is a running program that serves metrics on a loopback address.
type Program struct {
	Name string // of the executable
	Base string // http://127.0.0.1:port

	cmd   *exec.Cmd
	said  tail
	ended chan struct{} // closed when it has ended
	fate  error         // why, once ended is closed
	*Usage
}

// Start runs the executable at path with --web.listen-address and args, and
// returns when it answers. It is not asked for metrics, so that the first scrape
// is the caller's. It dies with this process.
func Start(ctx context.Context, path string, args ...string) (*Program, error) {
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	return StartAt(ctx, address, path, append([]string{"--web.listen-address=" + address}, args...)...)
}

// StartAt is Start for a program that args tell to listen on address.
func StartAt(ctx context.Context, address, path string, args ...string) (*Program, error) {
	p := &Program{
		Name: path[strings.LastIndexByte(path, '/')+1:], Base: "http://" + address,
		cmd: exec.Command(path, args...), ended: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.Usage = NewUsage(p.cmd.Process.Pid)
	go func() {
		p.fate = p.cmd.Wait()
		close(p.ended)
	}()
	if err := p.answers(ctx, address); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// answers waits until the program takes connections.
func (p *Program) answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended at start: %v: %s", p.cmd.Path, p.fate, p.said.String())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %s", p.cmd.Path, address, ctx.Err(), p.said.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the program: it is asked to, and killed where that takes too long,
// which is an error.
func (p *Program) Stop() error { return p.StopWithin(stopTimeout) }

// StopWithin is Stop for a program that may need longer, or less long.
func (p *Program) StopWithin(limit time.Duration) error {
	p.cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended, which is what we want
	select {
	case <-p.ended:
		return nil
	case <-time.After(limit):
	}
	p.Kill()
	return fmt.Errorf("%s had to be killed: it did not end within %s of SIGTERM", p.Name, limit)
}

// Kill ends the program at once.
func (p *Program) Kill() {
	p.cmd.Process.Kill() // fails where it has ended, which is what we want
	<-p.ended
}

// tail keeps the end of what a program says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - most; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// Client is an HTTP client that keeps one connection to each of conns askers, as
// a scraper does, and leaves compression to the caller.
func Client(conns int, timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns,
	}}
}
