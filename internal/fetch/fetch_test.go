package fetch

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func certificate(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func quiet(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

func text(t *testing.T, c *Client, path string) (string, error) {
	t.Helper()
	a, err := c.Get(context.Background(), path)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := io.ReadAll(a)
	return string(b), err
}

// The token goes over TLS only.
func TestTokenNeedsTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "token "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(plain.Close)
	c, err := New(Config{URL: plain.URL, TokenFile: write(t, filepath.Join(t.TempDir(), "token"), "secret")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := text(t, c, "/x"); got != "token " || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// The environment's proxies see nothing.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:1")
	c, err := New(Config{URL: "https://kubelet.example:10250"})
	if err != nil {
		t.Fatal(err)
	}
	if c.transport.Proxy != nil {
		t.Error("a proxy is asked")
	}
}

// Certificates that are replaced while the program runs.
func TestCAChanges(t *testing.T) {
	s := quiet(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	file := write(t, filepath.Join(t.TempDir(), "ca"), other)
	c, err := New(Config{URL: s.URL, CAFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := text(t, c, "/"); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Error(err)
	}
	write(t, file, certificate(s))
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	if got, err := text(t, c, "/"); got != "ok" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, err := text(t, c, "/"); got != "ok" || err != nil {
		t.Errorf("while the file is gone: %q, %v", got, err)
	}
	if c, err = New(Config{URL: s.URL, Insecure: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := text(t, c, "/"); got != "ok" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestGzip(t *testing.T) {
	s := quiet(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			w.Header().Set("Content-Encoding", "br")
			return
		}
		if r.Header.Get("Accept-Encoding") != "gzip" {
			io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, "packed")
		if r.URL.Path == "/cut" {
			z.Flush()
			return
		}
		z.Close()
	})
	file := write(t, filepath.Join(t.TempDir(), "ca"), certificate(s))
	for want, on := range map[string]bool{"plain": false, "packed": true} {
		c, err := New(Config{URL: s.URL, CAFile: file, Gzip: on})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := text(t, c, "/"); got != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := text(t, c, "/other"); err == nil || !strings.Contains(err.Error(), "not asked for") {
			t.Error(err)
		}
		if _, err := text(t, c, "/cut"); on && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	}
}

func TestPaths(t *testing.T) {
	s := quiet(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.String()) })
	file := write(t, filepath.Join(t.TempDir(), "ca"), certificate(s))
	for _, c := range [][3]string{
		{"", "/metrics", "/metrics"}, {"/", "/metrics", "/metrics"}, {"/a", "/b?c=d", "/a/b?c=d"}, {"/metrics?x=y", "", "/metrics?x=y"},
	} {
		client, err := New(Config{URL: s.URL + c[0], CAFile: file})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := text(t, client, c[1]); got != c[2] || err != nil {
			t.Errorf("%q and %q: %q, %v", c[0], c[1], got, err)
		}
	}
}

// other is the certificate of another authority.
const other = `-----BEGIN CERTIFICATE-----
MIIBdjCCAR2gAwIBAgIUTXr5dL7SC8BJx5sS4NNtmL8IgnAwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIxMTMyODQ2WhgPMjEyNjEwMjgxMzI4
NDZaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
bXYP5aggKvenFXGPHQSOf+TSFqq4RU4IGS7Vurd/iQWpocZXV9vdY+ef0zLK0w0Y
ALhYHiitNExFDB8HwDyrf6NTMFEwHQYDVR0OBBYEFPO+0GG4YCCTYfTm9QoWLT1V
EMp8MB8GA1UdIwQYMBaAFPO+0GG4YCCTYfTm9QoWLT1VEMp8MA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgYBSVWVymSmzKbtg33MLNXLcNSP3ykCMc
QLlGYQeHxikCIEO3ZpKUpA6th9nB/u/HnDUfh9sh0BquFeL/Cm0U/wH4
-----END CERTIFICATE-----
`
