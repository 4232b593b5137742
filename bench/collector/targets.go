package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"watchpost/internal/freeport"
)

// targets are the fake targets: one listener each, on a loopback address of its own,
// so that who scrapes them needs a connection for each, as with real ones.
type targets struct {
	perTarget int // series
	addresses []string
	pages     map[string]*page // by address
	server    *http.Server
	work      sync.WaitGroup
	buffers   sync.Pool // *answer
}

// answer is what one request needs.
type answer struct {
	text   []byte
	packed bytes.Buffer
	z      *gzip.Writer
}

// maxTargets is what the addresses below 127.1 allow.
const maxTargets = 250 * 250

// listen starts count targets with perTarget series each.
func listen(count, perTarget int) (*targets, error) {
	t := &targets{perTarget: perTarget, pages: make(map[string]*page, count)}
	t.buffers.New = func() any {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a known one
		return &answer{z: z}
	}
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second}
	port, err := freeport.Port()
	if err != nil {
		return nil, err
	}
	for i := range count {
		address := net.JoinHostPort(fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250), strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("target %d: %w", i, err), t.close())
		}
		t.addresses = append(t.addresses, address)
		t.pages[address] = newPage(i, perTarget)
		t.work.Go(func() { t.server.Serve(l) }) // ends with the server
	}
	return t, nil
}

// names are those of all metrics of a target.
func (t *targets) names() []string {
	var names []string
	for _, p := range t.pages[t.addresses[0]].parts {
		names = append(names, p.name)
	}
	return names
}

// close ends all targets.
func (t *targets) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := t.server.Shutdown(ctx)
	t.work.Wait()
	return err
}

// ServeHTTP answers a scrape with the page of the address that was asked.
func (t *targets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := t.pages[r.Host]
	if !ok {
		http.Error(w, "no target of this address", http.StatusNotFound)
		return
	}
	a := t.buffers.Get().(*answer)
	defer t.buffers.Put(a)
	a.text = p.append(a.text[:0], time.Now())
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if r.Header.Get("Accept-Encoding") != "gzip" {
		w.Write(a.text) // who does not wait for the answer does without
		return
	}
	a.packed.Reset()
	a.z.Reset(&a.packed)
	if _, err := a.z.Write(a.text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := a.z.Close(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Write(a.packed.Bytes())
}
