package proxyagent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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
		if r.Header.Get(proxyHeader) != "" {
			a.fail(w, path, http.StatusLoopDetected, "this is a cadvisor-proxy: what it passes on would be passed on twice")
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

// output writes an answer, compressed where that was decided and it is long enough:
// the first of it is held until that is known.
type output struct {
	w     http.ResponseWriter
	agent *Agent
	gzip  bool
	begun bool   // something was written
	first []byte // before that
	z     *expo.GzipWriter
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	switch {
	case o.begun || len(p) == 0:
	case o.gzip && len(o.first)+len(p) < minGzip:
		o.first = append(o.first, p...)
		return len(p), nil
	default:
		if o.gzip {
			o.w.Header().Set("Content-Encoding", expo.Gzip.String())
			select {
			case o.z = <-o.agent.gzip:
			default:
				o.z = expo.NewGzipWriter()
			}
			o.z.Reset(o.w)
		}
		if err := o.begin(); err != nil {
			return 0, err
		}
	}
	return o.write(p)
}

func (o *output) write(p []byte) (int, error) {
	if o.z != nil {
		return o.z.Write(p)
	}
	return o.w.Write(p)
}

// begin writes what was held.
func (o *output) begin() error {
	o.begun = true
	if len(o.first) == 0 {
		return nil
	}
	_, err := o.write(o.first)
	return err
}

func (o *output) close() error {
	var err error
	switch {
	case !o.begun:
		err = o.begin()
	case o.z != nil:
		err = o.z.Close()
	}
	if err != nil {
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
	a.hold(ctx, j, held, a.pods.all(), heldShare)
	close(open)
	if stream != nil {
		a.tell(stream, <-streamed)
	}
	if out.err != nil {
		return writeError{out.err}
	}
	a.refuse(j.refused)
	before := j.refused
	j.add(a.own(), false)
	if err := j.end(); err != nil {
		return writeError{err}
	}
	a.refuse(j.refused - before)
	return nil
}

// refuse counts series that were left out as another source has them.
func (a *Agent) refuse(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused += uint64(n)
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

// podShare is the share of the room for those pages of pods that are held beside other
// sources: whoever may make a pod cannot take the room of these.
const podShare = 0.5

// hold fetches sources at the same time, and pages of pods some at a time, and adds
// what they say, in their order. What one said before it failed is a part that nobody
// should take for the whole, so it is left out. share is that of the time. The error is
// the first in the order.
func (a *Agent) hold(ctx context.Context, j *joiner, held, pods []*source, share float64) error {
	if len(held)+len(pods) == 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(float64(time.Until(end))*share))
		defer cancel()
	}
	room := &budget{left: j.room()}
	podRoom := room
	if share < 1 {
		podRoom = &budget{left: int(float64(room.left) * podShare), of: room}
	}
	texts := make(map[*source]*bounded, len(held)+len(pods))
	for _, s := range held {
		texts[s] = &bounded{budget: room}
	}
	for _, s := range pods {
		texts[s] = &bounded{budget: podRoom}
	}
	fetch := func(s *source) {
		t := texts[s]
		err := s.fetch(ctx, t)
		if t.full {
			err = fmt.Errorf("%s: %w", s.URL, errTooMuch)
			s.note(time.Now(), tooLarge, err)
		}
		if err != nil {
			t.drop()
		}
		t.err = err
		a.tell(s, err)
	}
	var all sync.WaitGroup
	for _, s := range held {
		all.Go(func() { fetch(s) })
	}
	if len(pods) > 0 {
		turns := make(chan *source, len(pods))
		for _, s := range inTurn(pods) {
			turns <- s
		}
		close(turns)
		for range min(len(pods), cap(a.pods.slots)) {
			all.Go(func() {
				for s := range turns {
					fetch(s)
				}
			})
		}
	}
	all.Wait()
	var first error
	for i, s := range slices.Concat(held, pods) {
		j.add(texts[s].Bytes(), i >= len(held))
		first = cmp.Or(first, texts[s].err)
	}
	return first
}

// budget is the memory that several texts share; it may be a part of another.
type budget struct {
	mu   sync.Mutex
	left int
	of   *budget
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left || b.of != nil && !b.of.take(n) {
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
	err    error // of its source
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
