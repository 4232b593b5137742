package probe

// The file of modules. Its format is blackbox_exporter's:
// https://github.com/prometheus/blackbox_exporter/blob/master/CONFIGURATION.md

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/textproto"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/blackbox_exporter/config"
	"github.com/prometheus/blackbox_exporter/prober"
	"go.yaml.in/yaml/v3"
)

const (
	// maxFile bounds the file of modules, in bytes: a hundred times a long one.
	maxFile = 4 << 20
	// maxBody bounds how much of an answer is kept for a module that searches the
	// body and sets no body_size_limit, in bytes. blackbox_exporter keeps it all.
	maxBody = 64 << 20
)

// builtIn are the modules without a file, under the names that everybody's
// scrape configurations use for them.
const builtIn = `modules:
  http_2xx:
    prober: http
    http: {preferred_ip_protocol: ip4}
  http_post_2xx:
    prober: http
    http: {preferred_ip_protocol: ip4, method: POST}
  tcp_connect:
    prober: tcp
    tcp: {preferred_ip_protocol: ip4}
  tls_connect:
    prober: tcp
    tcp: {preferred_ip_protocol: ip4, tls: true}
  ssh_banner:
    prober: tcp
    tcp:
      preferred_ip_protocol: ip4
      query_response:
        - expect: "^SSH-2.0-"
        - send: "SSH-2.0-watchpost"
  icmp:
    prober: icmp
    icmp: {preferred_ip_protocol: ip4}
`

// load reads the modules of a file, or the built-in ones.
func load(file string) (map[string]config.Module, error) {
	if file == "" {
		return parse([]byte(builtIn))
	}
	text, err := read(file)
	if err != nil {
		return nil, err
	}
	modules, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return modules, nil
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: longer than %d bytes", file, maxFile)
	}
	return text, err
}

// Checksum changes when the file of modules does; it is "" without one.
func (h *Handler) Checksum() (string, error) {
	if h.cfg.File == "" {
		return "", nil
	}
	text, err := read(h.cfg.File)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// parse reads modules and checks what blackbox_exporter would tell only when
// they are used.
func parse(text []byte) (map[string]config.Module, error) {
	var c config.Config
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("empty")
		}
		return nil, err
	}
	if len(c.Modules) == 0 {
		return nil, errors.New("no modules in it")
	}
	for name, m := range c.Modules {
		if _, ok := prober.Probers[m.Prober]; !ok {
			return nil, fmt.Errorf("module %s: unknown prober %q; there are %s", name, m.Prober,
				strings.Join(slices.Sorted(maps.Keys(prober.Probers)), ", "))
		}
		if m.Timeout < 0 {
			return nil, fmt.Errorf("module %s: timeout %s is below zero", name, m.Timeout)
		}
		m.HTTP.NoFollowRedirects = nil // an older spelling, taken over into follow_redirects by now
		if m.HTTP.BodySizeLimit == 0 && searchesBody(&m.HTTP) {
			m.HTTP.BodySizeLimit = maxBody
		}
		c.Modules[name] = m
	}
	return c.Modules, nil
}

func searchesBody(h *config.HTTPProbe) bool {
	return len(h.FailIfBodyMatchesRegexp) > 0 || len(h.FailIfBodyNotMatchesRegexp) > 0 ||
		h.FailIfBodyJsonMatchesCEL != nil || h.FailIfBodyJsonNotMatchesCEL != nil
}

// hidden stands where a secret may be.
const hidden = "<hidden>"

// harmless headers are shown with their values.
var harmless = []string{"Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "Host", "Origin", "User-Agent"}

// withoutSecrets is a module as it may be shown: what blackbox_exporter's debug
// output shows, but for the texts that are sent, in which people put passwords
// and keys.
func withoutSecrets(m config.Module) config.Module {
	headers := make(map[string]string, len(m.HTTP.Headers))
	for name, value := range m.HTTP.Headers {
		if !slices.Contains(harmless, textproto.CanonicalMIMEHeaderKey(name)) {
			value = hidden
		}
		headers[name] = value
	}
	m.HTTP.Headers = headers
	if m.HTTP.Body != "" {
		m.HTTP.Body = hidden
	}
	m.TCP.QueryResponse = withoutSent(m.TCP.QueryResponse)
	m.Unix.QueryResponse = withoutSent(m.Unix.QueryResponse)
	if len(m.GRPC.Metadata) > 0 {
		m.GRPC.Metadata = maps.Clone(m.GRPC.Metadata)
		for name := range m.GRPC.Metadata {
			m.GRPC.Metadata[name] = []string{hidden}
		}
	}
	return m
}

func withoutSent(qs []config.QueryResponse) []config.QueryResponse {
	shown := slices.Clone(qs)
	for i := range shown {
		if shown[i].Send != "" {
			shown[i].Send = hidden
		}
	}
	return shown
}
