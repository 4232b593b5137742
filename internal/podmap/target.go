package podmap

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Annotations by which a pod asks to be scraped, as the usual configuration of
// Prometheus for pods reads them.
const (
	scrapeAnnotation = "prometheus.io/scrape" // "true"
	portAnnotation   = "prometheus.io/port"   // else every declared port
	pathAnnotation   = "prometheus.io/path"   // else /metrics
	schemeAnnotation = "prometheus.io/scheme" // http, the default, or https
)

// Target is a page of metrics that a pod has by its annotations.
type Target struct {
	Scheme string `json:"scheme"`
	Port   int    `json:"port"`
	Path   string `json:"path"`
	// Problem says what annotation cannot be read; the page cannot be asked for.
	Problem string `json:"problem,omitempty"`
}

// URL is that of the page at an address of the pod.
func (t Target) URL(ip string) string {
	return t.Scheme + "://" + net.JoinHostPort(ip, strconv.Itoa(t.Port)) + t.Path
}

// maxTargets bounds the pages of a pod: as many as its first ports.
const maxTargets = 10

// port is one that a container declares.
type port struct {
	Number   int    `json:"containerPort"`
	Protocol string `json:"protocol"` // "" is TCP
}

// targets are the pages of a pod, one for each port, and how many more it has than are
// taken. A pod that declares no port is asked at the scheme's own, as by Prometheus.
func targets(annotations map[string]string, ports []port) (found []Target, more int) {
	if annotations[scrapeAnnotation] != "true" {
		return nil, 0
	}
	t := Target{Scheme: cmp.Or(annotations[schemeAnnotation], "http"), Path: cmp.Or(annotations[pathAnnotation], "/metrics")}
	if !strings.HasPrefix(t.Path, "/") {
		t.Path = "/" + t.Path
	}
	standard := 80
	switch t.Scheme {
	case "http":
	case "https":
		standard = 443
	default:
		t.Problem = fmt.Sprintf("annotation %s: %q is neither http nor https", schemeAnnotation, t.Scheme)
	}
	if strings.ContainsFunc(t.Path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
		t.Problem = fmt.Sprintf("annotation %s: %q is not a path", pathAnnotation, t.Path)
	}
	if text := annotations[portAnnotation]; text != "" {
		number, err := strconv.Atoi(text)
		if t.Port = number; err != nil || number < 1 || number > 65535 {
			t.Port, t.Problem = 0, fmt.Sprintf("annotation %s: %q is not a port", portAnnotation, text)
		}
		return []Target{t}, 0
	}
	for _, p := range ports {
		if p.Number < 1 || p.Number > 65535 || p.Protocol != "" && p.Protocol != "TCP" ||
			slices.ContainsFunc(found, func(other Target) bool { return other.Port == p.Number }) {
			continue
		}
		if len(found) == maxTargets {
			more++
			continue
		}
		t.Port = p.Number
		found = append(found, t)
	}
	if len(found) == 0 {
		t.Port = standard
		found = append(found, t)
	}
	return found, more
}

// Scraped are the pods that ask to be scraped and can be, by name. More is how many
// pages they have beyond those that are taken of one pod.
func (m *Map) Scraped() (pods []*Pod, more int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, names := range m.byName {
		for _, p := range names {
			if len(p.Scrape) > 0 && len(p.IPs) > 0 && !p.ended() {
				pods = append(pods, p)
				more += p.more
			}
		}
	}
	return inOrder(pods), more
}

// Version is another number after each change of the pods.
func (m *Map) Version() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.version
}
