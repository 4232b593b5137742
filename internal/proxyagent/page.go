package proxyagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"watchpost/internal/containers"
	"watchpost/internal/expo"
	"watchpost/internal/serve"
	"watchpost/internal/words"
)

// GzipMode says which answers are compressed, of those to clients that take it.
type GzipMode string

// The ways with compression.
const (
	GzipAuto   GzipMode = "auto" // those that leave this host
	GzipAlways GzipMode = "always"
	GzipNever  GzipMode = "never"
)

// minGzip is the least that is worth compressing: less fits in one packet.
const minGzip = 1400

// page is the handler of something that is written as it is made.
func (a *Agent) page(path string, write func(context.Context, io.Writer) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", expo.Text.ContentType())
		h.Set("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), serve.ScrapeDeadline(r.Header.Get(serve.ScrapeTimeoutHeader), a.cfg.Ceiling))
		defer cancel()
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
		case <-ctx.Done():
			a.fail(w, path, http.StatusServiceUnavailable, "too many scrapes at the same time: none ended within this one's time")
			return
		}
		out := &output{w: w, agent: a, gzip: a.compresses(r)}
		err := write(ctx, out)
		if err == nil {
			err = out.close()
		}
		out.release()
		switch {
		case err == nil:
			a.count(path, "200")
		case r.Context().Err() != nil || errors.As(err, new(writeError)):
			a.count(path, "aborted")
			a.cfg.Log.Debug("A scrape was not sent whole", "path", path, "err", err, "client", r.RemoteAddr)
			panic(http.ErrAbortHandler)
		case !out.begun && ctx.Err() != nil:
			a.fail(w, path, http.StatusGatewayTimeout, words.OneLine(err))
		case !out.begun:
			a.fail(w, path, http.StatusBadGateway, words.OneLine(err))
		default: // so that the client does not take the part for the whole
			a.count(path, "aborted")
			panic(http.ErrAbortHandler)
		}
	})
}

func (a *Agent) fail(w http.ResponseWriter, path string, status int, text string) {
	a.count(path, strconv.Itoa(status))
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, text) // an error is the client's: it has gone
}

func (a *Agent) count(path, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scrapes[path+" "+status]++
}

// compresses tells whether the answer to a request is to be compressed: where the
// client takes it, and where it saves what costs more than the work: a network.
func (a *Agent) compresses(r *http.Request) bool {
	if a.cfg.Gzip == GzipNever || !expo.AcceptsGzip(r.Header.Get("Accept-Encoding")) {
		return false
	}
	return a.cfg.Gzip == GzipAlways || !local(r)
}

// local tells whether a request comes from this host.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return true // a unix socket
	}
	ip := net.ParseIP(host)
	if ip == nil || ip.IsLoopback() {
		return true
	}
	own, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && own.IP.Equal(ip)
}

// output writes an answer, compressed where that was decided and it is long enough.
type output struct {
	w     http.ResponseWriter
	agent *Agent
	gzip  bool
	begun bool
	z     *expo.GzipWriter
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !o.begun {
		o.begun = true
		if o.gzip && len(p) >= minGzip {
			o.w.Header().Set("Content-Encoding", expo.Gzip.String())
			select {
			case o.z = <-o.agent.gzip:
			default:
				o.z = expo.NewGzipWriter()
			}
			o.z.Reset(o.w)
		}
	}
	if o.z != nil {
		return o.z.Write(p)
	}
	return o.w.Write(p)
}

func (o *output) close() error {
	if o.z == nil {
		return nil
	}
	if err := o.z.Close(); err != nil {
		return writeError{err}
	}
	return nil
}

// release gives the compressor to others.
func (o *output) release() {
	if o.z == nil {
		return
	}
	o.z.Reset(io.Discard)
	select {
	case o.agent.gzip <- o.z:
	default:
	}
	o.z = nil
}

// gate lets a text through when it is its turn.
type gate struct {
	io.Writer
	ctx  context.Context
	open <-chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	select {
	case <-g.open: // also when the time is over: what came until then is passed on
		return g.Writer.Write(p)
	default:
	}
	select {
	case <-g.open:
		return g.Writer.Write(p)
	case <-g.ctx.Done():
		return 0, g.ctx.Err()
	}
}

// heldShare is the share of a scrape's time for the sources that are held before the
// streamed one is passed on.
const heldShare = 0.6

// joined writes all sources as one exposition, and what this program tells of itself.
// A source that fails leaves out what it did not say; that the client has gone is the
// only error.
func (a *Agent) joined(ctx context.Context, w io.Writer) error {
	out := &errWriter{w: w}
	j := newJoiner(out, a.cfg.Held)
	var stream *source
	held := a.sources
	for i, s := range a.sources {
		if s.Streamed {
			stream = s
			held = append(append([]*source(nil), a.sources[:i]...), a.sources[i+1:]...)
			break
		}
	}
	open, streamed := make(chan struct{}), make(chan error, 1)
	if stream != nil {
		go func() { streamed <- stream.fetch(ctx, &gate{j, ctx, open}) }()
	}
	a.hold(ctx, j, held)
	close(open)
	if stream != nil {
		a.tell(stream, <-streamed)
	}
	if out.err != nil {
		return writeError{out.err}
	}
	a.mu.Lock()
	a.refused += uint64(j.refused)
	a.mu.Unlock()
	before := j.refused
	j.add(a.own())
	if err := j.end(); err != nil {
		return writeError{err}
	}
	a.mu.Lock()
	a.refused += uint64(j.refused - before)
	a.mu.Unlock()
	return nil
}

// errWriter remembers that writing failed.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(p)
	e.err = err
	return n, err
}

// hold fetches sources at the same time and adds what they say, in their order. What
// one said before it failed is a part that nobody should take for the whole, so it
// is left out.
func (a *Agent) hold(ctx context.Context, j *joiner, held []*source) {
	if len(held) == 0 {
		return
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(float64(time.Until(end))*heldShare))
		defer cancel()
	}
	budget := &budget{left: j.room()}
	texts := make([]*bounded, len(held))
	var all sync.WaitGroup
	for i, s := range held {
		texts[i] = &bounded{budget: budget}
		all.Go(func() {
			err := s.fetch(ctx, texts[i])
			if texts[i].full {
				err = fmt.Errorf("%s: %w", s.URL, errTooMuch)
				s.note(time.Now(), tooLarge, err)
			}
			if err != nil {
				texts[i].drop()
			}
			a.tell(s, err)
		})
	}
	all.Wait()
	for _, t := range texts {
		j.add(t.Bytes())
	}
}

// budget is the memory that several texts share.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

// bounded is a text in memory.
type bounded struct {
	bytes.Buffer
	budget *budget
	full   bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if !b.budget.take(len(p)) {
		b.full = true
		return 0, containers.ErrTooLarge
	}
	return b.Buffer.Write(p)
}

func (b *bounded) drop() {
	b.budget.take(-b.Len())
	b.Buffer = bytes.Buffer{}
}
