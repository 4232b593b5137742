// Package webui serves the collector's page: the bundle that `make web` builds from web/ into dist/, embedded here.
// The page itself asks the HTTP API under /api/v1, from the same origin; this package hands out files and nothing else.
package webui

import (
	"embed"
	"html"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// Options is what the page is told by the program that serves it.
type Options struct {
	// Version stands at the head of the page; empty shows none.
	Version string
	// Prefix is the path under which the handler and the API are reachable from outside ("/watchpost"), where a proxy
	// or --web.external-url puts them below the root. The handler itself expects paths with the prefix already removed.
	Prefix string
}

// views are the paths that the page's own router knows. Only they are answered with the page, so that a mistyped
// address stays a 404 and is not a page that looks right to a machine.
var views = []string{"/", "/overview", "/fleet", "/node", "/pods", "/pod", "/apps", "/app", "/targets", "/target", "/alerts", "/query", "/cardinality", "/status"}

// policy lets the page use its own origin and nothing else, and nobody frame it.
const policy = "default-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// Handler serves the embedded page at each of its views, and its files below /assets/. /graph leads to
// /query, because the links in Prometheus' alerts point there. Any other path is 404, any method but GET and HEAD 405.
//
// In a program built without the bundle every view answers 503 with how to build it: the page that was asked for is
// not there, and a proxy or a smoke test should notice, while the API and the probes go on.
func Handler(o Options) http.Handler {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return guarded(missing(err))
	}
	return handler(sub, o)
}

func handler(fsys fs.FS, o Options) http.Handler {
	o.Prefix = strings.TrimSuffix(o.Prefix, "/")
	files, err := load(fsys, func(name string, b []byte) []byte {
		if name != index {
			return b
		}
		return page(b, o)
	})
	if err != nil || files["/"+index] == nil {
		return guarded(missing(err))
	}
	mux := http.NewServeMux()
	for path, f := range files {
		if path != "/"+index {
			mux.Handle(path, f)
		}
	}
	for _, v := range views {
		mux.Handle(exactly(v), files["/"+index])
	}
	mux.HandleFunc("/graph", func(w http.ResponseWriter, r *http.Request) {
		to := o.Prefix + "/query"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	})
	return guarded(mux)
}

// exactly is the ServeMux pattern of a path and of nothing below it.
func exactly(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

// page fills in what index.html leaves open: where it lives and which version serves it.
func page(b []byte, o Options) []byte {
	return []byte(strings.NewReplacer(
		`<base href="/">`, `<base href="`+html.EscapeString(o.Prefix)+`/">`,
		`<meta name="version" content="">`, `<meta name="version" content="`+html.EscapeString(o.Version)+`">`,
	).Replace(string(b)))
}

// guarded answers GET and HEAD only, and says with every answer what a browser may do with it.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this page is read with GET", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

const noBundle = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Watchpost</title></head>
<body>
<h1>Watchpost collector</h1>
<p>It runs, and answers under <code>/api/v1</code>; but it was built without its page.</p>
<p>To have the page, run <code>make web</code> (it needs Node and npm) and build the program again.</p>
</body>
</html>
`

// missing stands in for a bundle that is not there, or (err) cannot be read.
func missing(err error) http.Handler {
	body := noBundle
	if err != nil {
		body = strings.Replace(body, "</body>", "<p>Reason: "+html.EscapeString(err.Error())+"</p>\n</body>", 1)
	}
	mux := http.NewServeMux()
	for _, v := range views {
		mux.HandleFunc(exactly(v), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(body)) // a client that has gone needs no answer
		})
	}
	return mux
}
