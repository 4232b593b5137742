package expo

import (
	"strconv"
	"strings"
)

// Format is an exposition format.
type Format uint8

// The formats that are written.
const (
	Text        Format = iota // text/plain; version=0.0.4
	OpenMetrics               // application/openmetrics-text; version=1.0.0
)

// EOF ends an OpenMetrics exposition.
const EOF = "# EOF\n"

// ContentType is the format's media type, for the Content-Type header.
func (f Format) ContentType() string {
	if f == OpenMetrics {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// String is the format's short name.
func (f Format) String() string {
	if f == OpenMetrics {
		return "openmetrics"
	}
	return "text"
}

// Negotiate picks the format that an Accept header prefers. Media types that are
// not spoken here (protobuf, later versions) are passed over; where nothing fits
// the answer is Text, as scrapers expect rather than a 406.
func Negotiate(accept string) Format {
	best, bestQ := Text, 0.0
	for item := range strings.SplitSeq(accept, ",") {
		media, params, _ := strings.Cut(item, ";")
		q, version := 1.0, ""
		for p := range strings.SplitSeq(params, ";") {
			k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
			switch strings.ToLower(k) {
			case "q":
				q = quality(v)
			case "version":
				version = strings.Trim(v, `"`)
			}
		}
		f, known := Text, false
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "application/openmetrics-text":
			f, known = OpenMetrics, version == "" || version == "1.0.0" || version == "0.0.1"
		case "text/plain":
			known = version == "" || version == "0.0.4" || version == "1.0.0"
		case "*/*", "text/*":
			known = true
		}
		if known && q > bestQ { // the first of equals, as the header orders them
			best, bestQ = f, q
		}
	}
	return best
}

// quality reads a weight of RFC 9110, section 12.4.2; what cannot be read weighs nothing.
func quality(s string) float64 {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0 && q <= 1) { // NaN is neither
		return 0
	}
	return q
}

// Encoding is a content coding of HTTP.
type Encoding uint8

// The content codings that are written.
const (
	Identity Encoding = iota
	Gzip
	Zstd
)

// String is the coding's token for the Content-Encoding header.
func (e Encoding) String() string {
	return [...]string{"identity", "gzip", "zstd"}[e]
}

// AcceptsGzip tells whether an Accept-Encoding header allows gzip, liked best or not.
func AcceptsGzip(accept string) bool {
	others := false
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(item, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q = quality(v)
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return q > 0
		case "*":
			others = q > 0
		}
	}
	return others
}

// NegotiateEncoding picks the coding that an Accept-Encoding header prefers; of
// equals gzip, which every scraper reads. Without the header nothing is compressed.
func NegotiateEncoding(accept string) Encoding {
	best, bestQ := Identity, 0.0
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(item, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q = quality(v)
		}
		e, known := Identity, true
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip", "*":
			e = Gzip
		case "zstd":
			e = Zstd
		case "identity":
		default:
			known = false
		}
		if known && (q > bestQ || q == bestQ && e == Gzip) && q > 0 {
			best, bestQ = e, q
		}
	}
	return best
}
