package serve

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchpost/internal/expo"
)

// Streamer has an exposition that is too large to be put together in memory for
// each scrape, and is kept so that it can be written in gzip at once.
type Streamer interface {
	// Stream is the exposition at one moment. An error that wraps ErrBadRequest is
	// the client's.
	Stream(r *http.Request) (Stream, error)
}

// Stream is one exposition. It does not change while it is written, however long
// a client takes to read it.
type Stream interface {
	// GzipSize is the number of bytes that WriteGzip writes.
	GzipSize(expo.Format) int64
	// WriteGzip writes the exposition as one gzip member.
	WriteGzip(io.Writer, expo.Format) error
	// WriteText writes the exposition.
	WriteText(io.Writer, expo.Format) error
}

// StreamConfig is for the handler of a Streamer.
type StreamConfig struct {
	Streamer    Streamer
	Self        *prometheus.Registry // takes the metrics about the handler
	MaxRequests int                  // answers sent at the same time, others wait; 0 is DefaultStreams
	Ceiling     time.Duration        // the longest wait; a scraper's own timeout shortens it
	Log         *slog.Logger
}

// DefaultStreams bounds the answers that are sent at the same time. Each holds the
// memory to be written from, and for a client that does not take gzip to inflate.
const DefaultStreams = 20

// stream is the handler of a Streamer.
type stream struct {
	StreamConfig
	slots    chan struct{}
	requests *prometheus.CounterVec
}

// NewStream is a handler that writes what a Streamer has to the connection, never
// whole in memory: in gzip wherever the client takes that, for it costs less than
// text.
func NewStream(cfg StreamConfig) http.Handler {
	s := &stream{
		StreamConfig: cfg,
		slots:        make(chan struct{}, cmp.Or(cfg.MaxRequests, DefaultStreams)),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchpost_scrapes_total", Help: "Requests for metrics, by HTTP status and content coding; aborted is one that was not sent whole."}, []string{"code", "coding"}),
	}
	cfg.Self.MustRegister(s.requests)
	for _, enc := range []expo.Encoding{expo.Identity, expo.Gzip} {
		s.requests.WithLabelValues("200", enc.String())
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	enc := expo.Identity
	if expo.AcceptsGzip(r.Header.Get("Accept-Encoding")) {
		enc = expo.Gzip
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.fail(w, enc, http.StatusMethodNotAllowed, "only GET and HEAD are served here")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), ScrapeDeadline(r.Header.Get(ScrapeTimeoutHeader), s.Ceiling))
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		s.fail(w, enc, http.StatusServiceUnavailable, "too many scrapes at the same time: none ended within this one's time")
		return
	}
	format := expo.Negotiate(r.Header.Get("Accept"))
	answer, err := s.Streamer.Stream(r)
	switch {
	case errors.Is(err, ErrBadRequest):
		s.fail(w, enc, http.StatusBadRequest, err.Error())
		return
	case err != nil:
		s.Log.Error("Scrape failed", "err", err)
		s.fail(w, enc, http.StatusServiceUnavailable, "scrape failed: "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", format.ContentType())
	h.Set("Vary", "Accept, Accept-Encoding")
	write := answer.WriteText
	if enc == expo.Gzip {
		h.Set("Content-Encoding", enc.String())
		h.Set("Content-Length", strconv.FormatInt(answer.GzipSize(format), 10))
		write = answer.WriteGzip
	}
	if r.Method == http.MethodHead {
		s.requests.WithLabelValues("200", enc.String()).Inc()
		return
	}
	if err := write(w, format); err != nil {
		s.requests.WithLabelValues("aborted", enc.String()).Inc()
		s.Log.Debug("A scrape was not sent whole", "err", err, "client", r.RemoteAddr)
		panic(http.ErrAbortHandler) // so that the client does not take the part for the whole
	}
	s.requests.WithLabelValues("200", enc.String()).Inc()
}

func (s *stream) fail(w http.ResponseWriter, enc expo.Encoding, status int, text string) {
	s.requests.WithLabelValues(strconv.Itoa(status), enc.String()).Inc()
	plain(w, status, text+"\n")
}
