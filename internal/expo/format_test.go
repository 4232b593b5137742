package expo

import "testing"

func TestNegotiate(t *testing.T) {
	for _, tc := range []struct {
		accept string
		want   Format
	}{
		{"", Text},
		{"*/*", Text},
		{"text/html,application/xhtml+xml,*/*;q=0.8", Text},
		{"application/openmetrics-text", OpenMetrics},
		{"application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", OpenMetrics},
		{"application/openmetrics-text;version=2.0.0,text/plain;version=0.0.4;q=0.1", Text},
		// Prometheus 3 with its default protocols, and with protobuf first.
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OpenMetrics},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", Text},
		{"text/plain;q=0.5;version=0.0.4, application/openmetrics-text;q=0", Text},
		{"application/openmetrics-text;q=nonsense", Text},
	} {
		if got := Negotiate(tc.accept); got != tc.want {
			t.Errorf("Negotiate(%q) = %s, want %s", tc.accept, got, tc.want)
		}
	}
}

func TestNegotiateEncoding(t *testing.T) {
	for _, tc := range []struct {
		accept string
		want   Encoding
	}{
		{"", Identity}, {"gzip", Gzip}, {"GZIP", Gzip}, {"zstd", Zstd}, {"br", Identity}, {"*", Gzip},
		{"zstd, gzip", Gzip}, {"zstd;q=1, gzip;q=0.5", Zstd}, {"gzip;q=0", Identity},
		{"gzip;q=0, zstd;q=0", Identity}, {"deflate, gzip;q=1.0, *;q=0.5", Gzip}, {"identity, gzip;q=0.1", Identity},
	} {
		if got := NegotiateEncoding(tc.accept); got != tc.want {
			t.Errorf("NegotiateEncoding(%q) = %s, want %s", tc.accept, got, tc.want)
		}
	}
}
