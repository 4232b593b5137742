package testkube

import (
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"k8s.io/client-go/tools/clientcmd/api"
)

// Proxy stands between a client and the API server and can cut the line: connections
// stay open and say nothing, as when a switch has lost its power, or break.
type Proxy struct {
	listener net.Listener
	to       string
	done     sync.WaitGroup

	mu    sync.Mutex
	wake  *sync.Cond // of mu: cut has changed
	cut   bool       // nothing passes
	ended bool
	lines map[net.Conn]struct{} // open ones, both sides
}

// NewProxy listens on a loopback port, and passes everything on until told otherwise.
// Its caller calls Close.
func (c *Cluster) NewProxy() (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, to: c.address(), lines: map[net.Conn]struct{}{}}
	p.wake = sync.NewCond(&p.mu)
	p.done.Go(p.accept)
	return p, nil
}

// Through returns the path of a copy of a kubeconfig whose server is the proxy.
func (c *Cluster) Through(p *Proxy) (kubeconfig string, err error) {
	_, port, err := net.SplitHostPort(p.listener.Addr().String())
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, fmt.Sprintf("proxy-%s.kubeconfig", port))
	return path, c.rewrite(path, func(k *api.Config) {
		k.Clusters[k.Contexts[k.CurrentContext].Cluster].Server = "https://" + p.listener.Addr().String()
	})
}

// Cut lets nothing pass any more, neither on open connections nor on new ones, which
// are taken and left without an answer. What a client sends meanwhile arrives after
// Mend.
func (p *Proxy) Cut() { p.set(true) }

// Mend lets everything pass again.
func (p *Proxy) Mend() { p.set(false) }

func (p *Proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	p.wake.Broadcast()
}

// Break closes all open connections. New ones are taken.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.lines {
		c.Close()
	}
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.ended = true
	p.wake.Broadcast()
	p.mu.Unlock()
	err := p.listener.Close()
	p.Break()
	p.done.Wait()
	return err
}

// accept takes connections until the listener is closed.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.done.Go(func() { p.serve(client) })
	}
}

// serve connects one client with the server.
func (p *Proxy) serve(client net.Conn) {
	defer p.forget(client)
	if !p.remember(client) || !p.passes() {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return // the client sees its connection break
	}
	defer p.forget(server)
	if !p.remember(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client) })
	both.Go(func() { p.pass(client, server) })
	both.Wait()
}

// pass copies what from says, and closes both when one is.
func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && p.passes() {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// passes waits while the line is cut; false is the end of the proxy.
func (p *Proxy) passes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.cut && !p.ended {
		p.wake.Wait()
	}
	return !p.ended
}

// remember adds an open connection, unless the proxy has ended.
func (p *Proxy) remember(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines[c] = struct{}{}
	return !p.ended
}

// forget closes a connection.
func (p *Proxy) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lines, c)
}
