package agent

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The headers of a scrape by Prometheus 3 with its default scrape_protocols, and
// those of one that takes nothing but the plain text format.
const (
	AcceptPrometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7," +
		"application/openmetrics-text;version=0.0.1;q=0.6," +
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
	AcceptText = "text/plain;version=0.0.4"
)

// Request asks for metrics at url with Prometheus' headers.
func Request(ctx context.Context, url, accept string, timeout time.Duration) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "Prometheus/3.15.0")
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64))
	return r, nil
}

// Page is one answer, as it came over the wire.
type Page struct {
	Body     []byte
	Encoding string // Content-Encoding
	Took     time.Duration
}

// Scrape sends r and reads the whole answer into buf, which the Page's body
// then points into.
func Scrape(c *http.Client, r *http.Request, buf *bytes.Buffer) (Page, error) {
	begun := time.Now()
	resp, err := c.Do(r)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	buf.Reset()
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return Page{}, fmt.Errorf("%s: %w", r.URL, err)
	}
	if resp.StatusCode != http.StatusOK {
		return Page{}, fmt.Errorf("%s: %s: %.200s", r.URL, resp.Status, buf.Bytes())
	}
	return Page{Body: buf.Bytes(), Encoding: resp.Header.Get("Content-Encoding"), Took: time.Since(begun)}, nil
}

// maxText bounds an exposition once it is unpacked.
const maxText = 1 << 30

// Text is the exposition, unpacked.
func (p Page) Text() ([]byte, error) {
	switch p.Encoding {
	case "", "identity":
		return p.Body, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(p.Body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(z, maxText))
	}
	return nil, fmt.Errorf("content encoding %q was not asked for", p.Encoding)
}
