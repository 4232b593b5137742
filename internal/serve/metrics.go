package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"watchpost/internal/expo"
)

// Scraper renders what a program tells at one moment.
type Scraper interface {
	// Scrape renders the exposition in the format, in time to be sent before the
	// deadline has passed. An error that wraps ErrBadRequest is the client's.
	Scrape(r *http.Request, f expo.Format, deadline time.Duration) (Answer, error)
}

// Answer is one rendered exposition, without OpenMetrics' end mark. It may be
// shared by several requests, so it is only read.
type Answer interface {
	// Segments yields parts that each hold whole families.
	Segments(yield func([]byte) bool)
	// Page is what make returns, made once for each key however many requests
	// share the answer. It outlives Release.
	Page(key any, make func() ([]byte, error)) ([]byte, error)
	// Release says that no part is used any more.
	Release()
}

// ErrBadRequest marks the errors of a Scraper that the client caused.
var ErrBadRequest = errors.New("bad request")

// MetricsConfig is for the /metrics handler.
type MetricsConfig struct {
	Scraper     Scraper
	Self        *prometheus.Registry // further metrics of the program, put at the end; nil: none
	Labels      expo.Labels          // on the metrics of the handler
	HideSelf    bool                 // leave both out
	MaxRequests int                  // scrapes worked on at the same time, others wait; 0 is no limit
	Ceiling     time.Duration        // the longest that a scrape may take
	Log         *slog.Logger
}

// ScrapeTimeoutHeader is how Prometheus says when it will give up, in seconds.
const ScrapeTimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// headerShare of a scraper's own timeout is ours; the rest is for sending.
const headerShare = 0.9

// MetricsHandler is the /metrics handler.
type MetricsHandler struct {
	MetricsConfig
	slots  chan struct{} // nil: no limit
	counts *counts
	pack   packer
}

// Metrics is a handler for /metrics.
func Metrics(cfg MetricsConfig) *MetricsHandler {
	m := &MetricsHandler{
		MetricsConfig: cfg,
		counts:        newCounts(cfg.Labels, http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable),
	}
	if cfg.MaxRequests > 0 {
		m.slots = make(chan struct{}, cfg.MaxRequests)
	}
	return m
}

// ServeHTTP implements http.Handler.
func (m *MetricsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		m.fail(w, http.StatusMethodNotAllowed, "only GET and HEAD are served here")
		return
	}
	m.counts.enter(1)
	defer m.counts.enter(-1)
	deadline := ScrapeDeadline(r.Header.Get(ScrapeTimeoutHeader), m.Ceiling)
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	if m.slots != nil {
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			m.fail(w, http.StatusServiceUnavailable, "too many scrapes at the same time: none ended within this one's time")
			return
		}
	}
	page, enc, format, err := m.render(r, ctx)
	if m.slots != nil {
		<-m.slots // a slow reader holds a connection, not a slot
	}
	switch {
	case errors.Is(err, ErrBadRequest):
		m.fail(w, http.StatusBadRequest, err.Error())
		return
	case r.Context().Err() != nil:
		return // nobody is there to read it
	case err != nil:
		m.Log.Error("Scrape failed", "err", err)
		m.fail(w, http.StatusInternalServerError, "scrape failed: "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", format.ContentType())
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Vary", "Accept, Accept-Encoding")
	if enc != expo.Identity {
		h.Set("Content-Encoding", enc.String())
	}
	m.counts.answered(http.StatusOK, 1)
	w.Write(page) // an error is the client's: it has gone
}

func (m *MetricsHandler) fail(w http.ResponseWriter, status int, text string) {
	m.counts.answered(status, 1)
	plain(w, status, text+"\n")
}

// ScrapeDeadline is the time for one scrape: a share of the scraper's own, which
// its header tells, and at most the ceiling.
func ScrapeDeadline(header string, ceiling time.Duration) time.Duration {
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || !(seconds > 0) {
		return ceiling
	}
	if d := time.Duration(seconds * headerShare * float64(time.Second)); d > 0 && d < ceiling {
		return d
	}
	return ceiling
}

// render makes the whole body in memory, so that its length is known, an error
// can still be told, and a slow reader costs no more than its bytes. Requests that
// share an answer share its pages too.
func (m *MetricsHandler) render(r *http.Request, ctx context.Context) ([]byte, expo.Encoding, expo.Format, error) {
	format := expo.Negotiate(r.Header.Get("Accept"))
	enc := expo.NegotiateEncoding(r.Header.Get("Accept-Encoding"))
	until, _ := ctx.Deadline()
	answer, err := m.Scraper.Scrape(r, format, time.Until(until))
	if err != nil {
		m.counts.failed(gathering)
		return nil, enc, format, err
	}
	defer answer.Release()
	page, err := answer.Page(enc, func() ([]byte, error) {
		return m.pack.page(enc, func(w io.Writer) error { return m.write(w, answer, format) })
	})
	if err != nil {
		m.counts.failed(encoding)
	}
	return page, enc, format, err
}

func (m *MetricsHandler) write(w io.Writer, answer Answer, format expo.Format) error {
	for part := range answer.Segments {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	if err := m.WriteSelf(w, format); err != nil {
		return err
	}
	if format == expo.OpenMetrics {
		_, err := io.WriteString(w, expo.EOF)
		return err
	}
	return nil
}

// WriteSelf writes the metrics of the handler and of the registry, unless they
// are hidden. What cannot be gathered is counted and costs only itself.
func (m *MetricsHandler) WriteSelf(w io.Writer, f expo.Format) error {
	if m.HideSelf {
		return nil
	}
	if err := m.counts.writeTo(w, f); err != nil || m.Self == nil {
		return err
	}
	families, err := m.Self.Gather()
	if err != nil {
		m.counts.failed(gathering)
		m.Log.Warn("Own metrics are not complete", "err", err)
	}
	for _, mf := range families {
		if err := writeFamily(w, mf, f); err != nil {
			m.counts.failed(encoding)
			m.Log.Warn("Own metrics cannot be written", "family", mf.GetName(), "err", err)
		}
	}
	return nil
}

// writeFamily writes a family of a client_golang registry in a format.
func writeFamily(w io.Writer, mf *dto.MetricFamily, f expo.Format) error {
	write := expfmt.MetricFamilyToText
	if f == expo.OpenMetrics {
		write = func(w io.Writer, mf *dto.MetricFamily) (int, error) { return expfmt.MetricFamilyToOpenMetrics(w, mf) }
	}
	_, err := write(w, mf)
	return err
}

// packer makes pages. Its compressors hold some hundred kB each, so there is one
// of each kind, and pages take turns: compressing into memory waits for nothing
// but the processor.
type packer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	gzip *expo.GzipWriter
	zstd *zstd.Encoder
}

// maxKept is the largest page whose buffer is kept for the next one, in bytes.
const maxKept = 8 << 20

// page is what write says, in the content coding.
func (p *packer) page(enc expo.Encoding, write func(io.Writer) error) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buf.Cap() > maxKept {
		p.buf = bytes.Buffer{}
	}
	p.buf.Reset()
	if enc == expo.Identity {
		err := write(&p.buf)
		return bytes.Clone(p.buf.Bytes()), err
	}
	z, err := p.compressor(&p.buf, enc)
	if err != nil {
		return nil, err
	}
	if err := write(z); err != nil {
		return nil, err
	}
	err = z.Close()
	return bytes.Clone(p.buf.Bytes()), err
}

func (p *packer) compressor(page *bytes.Buffer, enc expo.Encoding) (io.WriteCloser, error) {
	if enc == expo.Zstd {
		if p.zstd == nil {
			var err error
			p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
			if err != nil {
				return nil, err
			}
		}
		p.zstd.Reset(page)
		return p.zstd, nil
	}
	if p.gzip == nil {
		p.gzip = expo.NewGzipWriter()
	}
	p.gzip.Reset(page)
	return p.gzip, nil
}
