package scraper

// Asking a target, and unpacking what it answers. Buffers and inflaters are shared by
// the scrapes that are under way, of which there are few at a time.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/scrape"
)

var (
	errBodySize = errors.New("body size limit exceeded")
	errZstd     = errors.New("the answer is compressed by zstd, which was not asked for")
)

// worker is what a scrape needs while it reads its answer.
type worker struct {
	reader  reader
	walk    walk
	base    labels.Labels // as the target says them
	builder *labels.Builder
	packed  *bufio.Reader
	inflate *gzip.Reader // nil before the first answer that is compressed
}

func newWorker() *worker {
	w := &worker{builder: labels.NewBuilder(labels.EmptyLabels()), packed: bufio.NewReader(nil)}
	w.reader.scratch, w.reader.copies = labels.NewScratchBuilder(16), copiesLabels()
	return w
}

// release lets go of what the last answer left.
func (w *worker) release() {
	w.reader.text, w.reader.series, w.reader.name, w.reader.about, w.reader.lib = nil, nil, nil, nil, nil
	w.reader.scratch.Reset()
	w.builder.Reset(labels.EmptyLabels())
	w.walk.t = nil
	w.packed.Reset(nil)
}

// unpack returns a reader of the body.
func (w *worker) unpack(resp *http.Response) (io.Reader, error) {
	switch resp.Header.Get("Content-Encoding") {
	case "gzip":
		w.packed.Reset(resp.Body)
		if w.inflate == nil {
			z, err := gzip.NewReader(w.packed)
			if err != nil {
				return nil, err
			}
			w.inflate = z
			return z, nil
		}
		if err := w.inflate.Reset(w.packed); err != nil {
			return nil, err
		}
		return w.inflate, nil
	case "zstd":
		return nil, errZstd
	}
	return resp.Body, nil
}

// read appends the answer to buf. limit is in bytes, unpacked; 0 is none.
func (w *worker) read(buf []byte, resp *http.Response, limit int64) ([]byte, error) {
	if resp.StatusCode != http.StatusOK {
		return buf, fmt.Errorf("server returned HTTP status %s", resp.Status)
	}
	if limit <= 0 {
		limit = math.MaxInt64
	}
	from, err := w.unpack(resp)
	if err != nil {
		return buf, err
	}
	for {
		if cap(buf)-len(buf) < 512 { // as much as a read should have room for, and a byte more for the parser
			buf = append(buf, make([]byte, 512+len(buf))...)[:len(buf)]
		}
		room := buf[len(buf) : cap(buf)-1]
		if left := limit - int64(len(buf)); int64(len(room)) > left {
			room = room[:left]
		}
		n, err := from.Read(room)
		buf = buf[:len(buf)+n]
		if int64(len(buf)) >= limit {
			return buf, errBodySize
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// request is what is sent at each scrape of a target.
func (l *loop) request(ctx context.Context) (*http.Request, error) {
	if l.req == nil {
		req, err := http.NewRequest(http.MethodGet, l.target.URL().String(), http.NoBody)
		if err != nil {
			return nil, err
		}
		coding := "identity"
		if l.conf.EnableCompression {
			coding = "gzip"
		}
		req.Header.Set("Accept", accept(l.conf))
		req.Header.Set("Accept-Encoding", coding)
		req.Header.Set("User-Agent", scrape.UserAgent)
		req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(l.timeout.Seconds(), 'f', -1, 64))
		l.req = req
	}
	return l.req.WithContext(ctx), nil
}

// accept is the header by which a job asks for the formats it prefers, best first.
func accept(c *config.ScrapeConfig) string {
	scheme, _ := config.ToEscapingScheme(c.MetricNameEscapingScheme, c.MetricNameValidationScheme) // the pool has checked it
	weight := len(config.ScrapeProtocolsHeaders) + 1
	var b strings.Builder
	for _, p := range c.ScrapeProtocols {
		b.WriteString(config.ScrapeProtocolsHeaders[p])
		if p == config.PrometheusText1_0_0 || p == config.OpenMetricsText1_0_0 {
			b.WriteString(";" + model.EscapingKey + "=" + scheme.String())
		}
		fmt.Fprintf(&b, ";q=0.%d,", weight)
		weight--
	}
	fmt.Fprintf(&b, "*/*;q=0.%d", weight)
	return b.String()
}

// newClient makes the client of a job; socket is the path of a unix socket that it is
// for, or "".
func (m *Manager) newClient(c *config.ScrapeConfig, socket string) (*http.Client, error) {
	dial := m.opts.Dial
	if socket != "" {
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return m.opts.Dial(ctx, "unix", socket) }
	}
	client, err := commonconfig.NewClientFromConfig(c.HTTPClientConfig, c.JobName, commonconfig.WithDialContextFunc(dial))
	if err != nil {
		return nil, fmt.Errorf("HTTP client of job %q: %w", c.JobName, err)
	}
	return client, nil
}

var staleNaN = math.Float64frombits(value.StaleNaN)
