// Package fetch is the client of one HTTP server that is asked again and again: the
// kubelet of a node, the API server, an exporter. What it may send is sent to that
// server alone: redirects are not followed and no proxy is asked.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Config says how the server is reached.
type Config struct {
	// URL is http:// or https://, with the path that those asked for come after.
	URL string
	// CAFile has the certificates that may sign the server's; "" is those of the
	// system. It is read again when it changes.
	CAFile string
	// ServerName is the name in the server's certificate; "" is that in the URL.
	ServerName string
	// Insecure takes any certificate.
	Insecure bool
	// TokenFile has the bearer token, and is read for each request, as tokens of
	// service accounts change each hour; "" is none. It is sent over TLS only.
	TokenFile string
	// CertFile and KeyFile are the client's certificate, read at each connection;
	// "" is none.
	CertFile, KeyFile string
	// Gzip asks for compressed answers. On one machine they cost more than they save.
	Gzip bool
	// UserAgent is the name by which the server knows this program.
	UserAgent string
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL

	mu        sync.Mutex
	transport *http.Transport
	ca        stamp // of the file as it was read
}

// stamp tells one state of a file from another.
type stamp struct {
	size int64
	time time.Time
}

// Bounds of the client.
const (
	maxToken    = 64 << 10         // bytes of a token
	maxRefusal  = 300              // bytes that are quoted of a refusal
	maxHeader   = 64 << 10         // bytes of an answer's headers
	dialTimeout = 10 * time.Second // unless the request's own is shorter
	idleTimeout = 2 * time.Minute  // longer than the usual scrape interval
	maxIdle     = 4                // connections that are kept
)

// New makes a client. It reads the files, so that mistakes are told at the start, but
// for the token, which may come later.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is not a URL: %w", cfg.URL, errors.Unwrap(err))
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("%q is not a URL that begins with http:// or https:// and a host", cfg.URL)
	case base.User != nil:
		return nil, fmt.Errorf("the URL of %s has a password in it, which is not sent", base.Host)
	case (cfg.CertFile == "") != (cfg.KeyFile == ""):
		return nil, errors.New("a client's certificate and its key are needed together")
	}
	c := &Client{cfg: cfg, base: base}
	if cfg.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile); err != nil {
			return nil, fmt.Errorf("client certificate %s: %w", cfg.CertFile, err)
		}
	}
	_, err = c.current()
	return c, err
}

// URL is the server's.
func (c *Client) URL() string { return c.base.String() }

// current is the transport, a new one where the file of certificates has changed.
func (c *Client) current() (*http.Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var now stamp
	if c.cfg.CAFile != "" && c.base.Scheme == "https" && !c.cfg.Insecure {
		info, err := os.Stat(c.cfg.CAFile)
		if err != nil && c.transport == nil {
			return nil, fmt.Errorf("certificates of authorities: %w", err)
		}
		if err != nil { // while it is replaced, the old ones count
			return c.transport, nil
		}
		now = stamp{info.Size(), info.ModTime()}
	}
	if c.transport != nil && now == c.ca {
		return c.transport, nil
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // it is done here, where it is bounded
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.cfg.ServerName, InsecureSkipVerify: c.cfg.Insecure},
	}
	if c.cfg.CertFile != "" {
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.cfg.CertFile, c.cfg.KeyFile)
			return &pair, err
		}
	}
	if now != (stamp{}) {
		text, err := os.ReadFile(c.cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificates of authorities: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			if c.transport != nil { // half written
				return c.transport, nil
			}
			return nil, fmt.Errorf("%s has no certificate in PEM", c.cfg.CAFile)
		}
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.transport, c.ca = t, now
	return t, nil
}

// Close closes connections that are kept.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transport.CloseIdleConnections()
}

// StatusError is that of an answer that is a refusal.
type StatusError struct {
	URL    string
	Status int
	Text   string // the beginning of the answer, in one line
	Hint   string // what can be done, "" where that is not known
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s: HTTP status %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Text != "" {
		text += fmt.Sprintf(": %q", e.Text)
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Answer is an answer: its body, inflated where it came deflated, is read and closed.
type Answer struct {
	io.ReadCloser
	Type string // its media type, as the server says it
}

// Get asks for a path, with the query that may be behind it. header has names and
// values in turn. Only an answer with status 200 is one; the error of others is a
// *StatusError. The context ends the answer too.
func (c *Client) Get(ctx context.Context, path string, header ...string) (*Answer, error) {
	u := *c.base
	path, u.RawQuery = cutQuery(path, u.RawQuery)
	if path != "" {
		u.Path = strings.TrimSuffix(u.Path, "/") + path
		u.RawPath = ""
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if c.cfg.UserAgent != "" {
		r.Header.Set("User-Agent", c.cfg.UserAgent)
	}
	if c.cfg.Gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	if c.cfg.TokenFile != "" && u.Scheme == "https" {
		token, err := readToken(c.cfg.TokenFile)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport, err := c.current()
	if err != nil {
		return nil, err
	}
	// Not by an http.Client: that would follow redirects.
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, c.refusal(answer, u.Redacted())
	}
	a := &Answer{ReadCloser: answer.Body, Type: answer.Header.Get("Content-Type")}
	switch coding := strings.ToLower(answer.Header.Get("Content-Encoding")); coding {
	case "", "identity":
	case "gzip":
		a.ReadCloser = &inflating{from: answer.Body}
	default:
		answer.Body.Close()
		return nil, fmt.Errorf("%s: the answer is in %q, which was not asked for", u.Redacted(), coding)
	}
	return a, nil
}

// cutQuery takes the query off a path; without one the query of the base counts.
func cutQuery(path, query string) (string, string) {
	if before, after, found := strings.Cut(path, "?"); found {
		return before, after
	}
	return path, query
}

func (c *Client) refusal(answer *http.Response, url string) error {
	defer answer.Body.Close()
	e := &StatusError{URL: url, Status: answer.StatusCode}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal)) // what there is of it
	e.Text = strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "?")), " ")
	switch status := answer.StatusCode; {
	case status >= 300 && status < 400:
		e.Text = ""
		e.Hint = fmt.Sprintf("redirects are not followed: it points to %q", answer.Header.Get("Location"))
	case status == http.StatusUnauthorized && c.cfg.TokenFile != "":
		e.Hint = "the token in " + c.cfg.TokenFile + " is not taken"
	case status == http.StatusUnauthorized:
		e.Hint = "it asks for a token or a client certificate"
	}
	return e
}

func readToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || len(text) > maxToken || bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s does not hold one token", file)
	}
	return string(text), nil
}

// inflating reads a gzip stream. Its header is read when something is asked for, not
// while others wait.
type inflating struct {
	from io.ReadCloser
	z    *gzip.Reader
}

func (i *inflating) Read(b []byte) (n int, err error) {
	if i.z == nil {
		if i.z, err = gzip.NewReader(i.from); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	return i.z.Read(b)
}

// Close closes the stream's source.
func (i *inflating) Close() error { return i.from.Close() }
