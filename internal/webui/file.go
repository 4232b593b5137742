package webui

// Files of the bundle, as they are sent: whole in memory (some 150 kB), compressed once.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// index is the page; load gives it no long life, its name does not change with its content.
const index = "index.html"

// types are the content types of what a bundle may hold. The system's table is not asked: it differs by host, and with
// nosniff a wrong type is a page that does not start.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is one file of the bundle.
type file struct {
	contentType  string
	cacheControl string
	plain, gzip  variant // gzip.body is nil where compression does not pay
}

// variant is one representation, with the tag that stands for exactly these bytes (RFC 9110, 8.8.3).
type variant struct {
	body []byte
	etag string
}

// load reads every file of the bundle, by its path ("/assets/app-1234.js"). Hidden files are left out, a file of
// unknown type is an error. edit may change what is served in place of the file's bytes.
func load(fsys fs.FS, edit func(name string, b []byte) []byte) (map[string]*file, error) {
	files := make(map[string]*file)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		contentType := types[path.Ext(name)]
		if contentType == "" {
			return fmt.Errorf("%s: no content type is known for %q", name, path.Ext(name))
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		f, err := newFile(name, contentType, edit(name, b))
		files["/"+name] = f
		return err
	})
	return files, err
}

func newFile(name, contentType string, b []byte) (*file, error) {
	sum := sha256.Sum256(b)
	tag := hex.EncodeToString(sum[:8])
	f := &file{contentType: contentType, cacheControl: "no-cache", plain: variant{b, `"` + tag + `"`}}
	if strings.HasPrefix(name, "assets/") {
		f.cacheControl = "public, max-age=31536000, immutable" // the name holds a hash of the content
	}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if z.Len() < len(b) {
		f.gzip = variant{z.Bytes(), `"` + tag + `-gz"`}
	}
	return f, nil
}

// ServeHTTP implements http.Handler, for GET and HEAD.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cacheControl)
	v := f.plain
	if f.gzip.body != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			v = f.gzip
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", v.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(v.body)) // conditions, ranges and HEAD
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3): gzip or * named, with a weight other than 0.
func acceptsGzip(headers []string) bool {
	weight := map[string]float64{}
	for item := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, params, _ := strings.Cut(item, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			parsed, err := strconv.ParseFloat(v, 64)
			if err != nil {
				continue
			}
			q = parsed
		}
		weight[strings.ToLower(strings.TrimSpace(name))] = q
	}
	if q, named := weight["gzip"]; named {
		return q > 0
	}
	return weight["*"] > 0
}
