package webui

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const indexHTML = `<!doctype html><head><base href="/"><meta name="version" content=""><script src="assets/app-1.js"></script></head>`

func bundle() fstest.MapFS {
	return fstest.MapFS{
		".keep":            {},
		"index.html":       {Data: []byte(indexHTML)},
		"favicon.svg":      {Data: []byte("<svg/>")},
		"assets/app-1.js":  {Data: []byte(strings.Repeat("x();", 1000))}, // long enough for compression to pay
		"assets/app-1.css": {Data: []byte("body{}")},
	}
}

func get(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPaths(t *testing.T) {
	h := handler(bundle(), Options{})
	for _, tc := range []struct {
		path        string
		status      int
		contentType string
		cache       string
	}{
		{"/", 200, "text/html; charset=utf-8", "no-cache"},
		{"/overview", 200, "text/html; charset=utf-8", "no-cache"},
		{"/targets?state=down", 200, "text/html; charset=utf-8", "no-cache"},
		{"/query?expr=up", 200, "text/html; charset=utf-8", "no-cache"},
		{"/assets/app-1.js", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/app-1.css", 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/favicon.svg", 200, "image/svg+xml", "no-cache"},
		{"/index.html", 404, "", ""},
		{"/query/more", 404, "", ""},
		{"/assets/", 404, "", ""},
		{"/assets/app-2.js", 404, "", ""},
		{"/.keep", 404, "", ""},
		{"/api/v1/query", 404, "", ""},
	} {
		r := get(t, h, http.MethodGet, tc.path)
		if r.StatusCode != tc.status {
			t.Errorf("%s: status %d, want %d", tc.path, r.StatusCode, tc.status)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy,
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", tc.path, name, got, want)
			}
		}
		if tc.status != 200 {
			continue
		}
		if got := r.Header.Get("Content-Type"); got != tc.contentType {
			t.Errorf("%s: Content-Type %q, want %q", tc.path, got, tc.contentType)
		}
		if got := r.Header.Get("Cache-Control"); got != tc.cache {
			t.Errorf("%s: Cache-Control %q, want %q", tc.path, got, tc.cache)
		}
	}
}

func TestPolicyAllowsOnlyItsOwnOrigin(t *testing.T) {
	for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy lacks %q: %s", want, policy)
		}
	}
	for _, never := range []string{"unsafe", "*", "data:", "http"} {
		if strings.Contains(policy, never) {
			t.Errorf("policy has %q: %s", never, policy)
		}
	}
}

func TestMethods(t *testing.T) {
	h := handler(bundle(), Options{})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		r := get(t, h, method, "/")
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	r := get(t, h, http.MethodHead, "/")
	if r.StatusCode != 200 || r.Header.Get("Content-Length") == "" || body(t, r) != "" {
		t.Errorf("HEAD: status %d, header %v", r.StatusCode, r.Header)
	}
}

func TestCompressionAndConditions(t *testing.T) {
	h := handler(bundle(), Options{})
	want := string(bundle()["assets/app-1.js"].Data)
	plain := get(t, h, http.MethodGet, "/assets/app-1.js")
	if got := body(t, plain); got != want {
		t.Errorf("plain body differs: %.20q", got)
	}
	zipped := get(t, h, http.MethodGet, "/assets/app-1.js", "Accept-Encoding", "br, gzip")
	if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not compressed: %v", zipped.Header)
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != want {
		t.Errorf("inflated body differs: %.20q, %v", got, err)
	}

	pt, zt := plain.Header.Get("ETag"), zipped.Header.Get("ETag")
	if pt == "" || zt == "" || pt == zt {
		t.Fatalf("tags %s and %s: want one for each representation", pt, zt)
	}
	for _, tc := range []struct {
		encoding, tag string
		status        int
	}{
		{"gzip", zt, 304},
		{"gzip", pt, 200},
		{"", pt, 304},
		{"", `"other"`, 200},
	} {
		r := get(t, h, http.MethodGet, "/assets/app-1.js", "Accept-Encoding", tc.encoding, "If-None-Match", tc.tag)
		if r.StatusCode != tc.status {
			t.Errorf("If-None-Match %s with %q: status %d, want %d", tc.tag, tc.encoding, r.StatusCode, tc.status)
		}
	}

	small := get(t, h, http.MethodGet, "/assets/app-1.css", "Accept-Encoding", "gzip")
	if small.Header.Get("Content-Encoding") != "" || body(t, small) != "body{}" {
		t.Errorf("six bytes were compressed: %v", small.Header)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for _, tc := range []struct {
		header string
		want   bool
	}{
		{"", false},
		{"gzip", true},
		{"GZIP;q=0.5", true},
		{"br , gzip ; q=1", true},
		{"gzip;q=0", false},
		{"gzip;q=0, *", false},
		{"*", true},
		{"*;q=0", false},
		{"identity", false},
		{"xgzip", false},
		{"gzip;q=what", false},
	} {
		if got := acceptsGzip([]string{tc.header}); got != tc.want {
			t.Errorf("acceptsGzip(%q) = %v", tc.header, got)
		}
	}
}

func TestOptions(t *testing.T) {
	h := handler(bundle(), Options{Version: `1.0"<`, Prefix: "/watch/"})
	page := body(t, get(t, h, http.MethodGet, "/"))
	for _, want := range []string{`<base href="/watch/">`, `<meta name="version" content="1.0&#34;&lt;">`} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %s:\n%s", want, page)
		}
	}
	plain := get(t, handler(bundle(), Options{}), http.MethodGet, "/")
	if got := body(t, plain); got != indexHTML {
		t.Errorf("page without options: %s", got)
	}
}

// The links in Prometheus' alerts look like this one.
func TestGraphLeadsToQuery(t *testing.T) {
	for _, tc := range []struct{ prefix, path, want string }{
		{"", "/graph?g0.expr=up+%3D%3D+0&g0.tab=1", "/query?g0.expr=up+%3D%3D+0&g0.tab=1"},
		{"/watch", "/graph", "/watch/query"},
	} {
		r := get(t, handler(bundle(), Options{Prefix: tc.prefix}), http.MethodGet, tc.path)
		if got := r.Header.Get("Location"); r.StatusCode != http.StatusFound || got != tc.want {
			t.Errorf("%s: status %d, Location %q, want %q", tc.path, r.StatusCode, got, tc.want)
		}
	}
}

func TestWithoutBundle(t *testing.T) {
	for name, tc := range map[string]struct {
		fsys fstest.MapFS
		want string
	}{
		"empty":          {fstest.MapFS{".keep": {}}, "make web"},
		"unreadable":     {fstest.MapFS{"index.html": {}, "app.exe": {}}, "no content type is known for &#34;.exe&#34;"},
		"only the files": {fstest.MapFS{"assets/app.js": {Data: []byte("x")}}, "make web"},
	} {
		h := handler(tc.fsys, Options{})
		for _, path := range views {
			r := get(t, h, http.MethodGet, path)
			if got := body(t, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, tc.want) {
				t.Errorf("%s, %s: status %d, want 503 and %q in:\n%s", name, path, r.StatusCode, tc.want, got)
			}
			if r.Header.Get("Content-Security-Policy") == "" || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: header %v", name, path, r.Header)
			}
		}
		if r := get(t, h, http.MethodGet, "/other"); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: /other: status %d", name, r.StatusCode)
		}
		if r := get(t, h, http.MethodPost, "/"); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST: status %d", name, r.StatusCode)
		}
	}
}

// With or without `make web`: what is embedded is served.
func TestEmbedded(t *testing.T) {
	r := get(t, Handler(Options{Version: "test"}), http.MethodGet, "/")
	page := body(t, r)
	if _, err := dist.ReadFile("dist/" + index); err != nil {
		if r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("no bundle, status %d", r.StatusCode)
		}
		return
	}
	if r.StatusCode != http.StatusOK || !strings.Contains(page, `content="test"`) {
		t.Errorf("bundle, status %d:\n%s", r.StatusCode, page)
	}
	if strings.Contains(page, "http:") || strings.Contains(page, "https:") || strings.Contains(page, "{{") {
		t.Errorf("the page names another origin or holds an unfilled place:\n%s", page)
	}
}
