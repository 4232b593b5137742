// Package layout holds the rules of who may import whom, as a test: imports go
// down only, and heavy libraries are named in one place each. The rules and their
// reasons are in CONTRIBUTING.md.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
}

// own tells for each of our packages (or folder, with a slash at its end) which
// of our others it may import. The longest name that fits counts.
var own = map[string][]string{
	"watchpost/cmd/":                    {"watchpost/"},
	"watchpost/bench/":                  {"watchpost/internal/", "watchpost/bench/internal/"},
	"watchpost/test/":                   {"watchpost/"},
	"watchpost/collectors":              {"watchpost/internal/expo", "watchpost/internal/hostfs", "watchpost/internal/netlink"},
	"watchpost/internal/cadvisor":       {"watchpost/internal/expo", "watchpost/internal/fetch", "watchpost/internal/run", "watchpost/internal/runtimesock"},
	"watchpost/deploy/":                 {},
	"watchpost/internal/consul":         {"watchpost/internal/run"},
	"watchpost/internal/containers":     {"watchpost/internal/expo", "watchpost/internal/promname"},
	"watchpost/internal/expo":           {},
	"watchpost/internal/fetch":          {},
	"watchpost/internal/fleet":          {"watchpost/internal/pageapi"},
	"watchpost/internal/freeport":       {},
	"watchpost/internal/hostfs":         {},
	"watchpost/internal/kubelet":        {"watchpost/internal/fetch"},
	"watchpost/internal/layout":         {},
	"watchpost/internal/metricdiff":     {"watchpost/internal/expo"},
	"watchpost/internal/netlink":        {},
	"watchpost/internal/nodeagent":      {"watchpost/collectors", "watchpost/internal/expo", "watchpost/internal/hostfs", "watchpost/internal/self", "watchpost/internal/serve"},
	"watchpost/internal/pageapi":        {},
	"watchpost/internal/podmap":         {"watchpost/internal/containers", "watchpost/internal/fetch", "watchpost/internal/run", "watchpost/internal/runtimesock", "watchpost/internal/serve", "watchpost/internal/words"},
	"watchpost/internal/probe":          {"watchpost/internal/serve"},
	"watchpost/internal/promname":       {},
	"watchpost/internal/promstack":      {"watchpost/internal/pageapi", "watchpost/internal/run", "watchpost/internal/scraper"},
	"watchpost/internal/proxyagent":     {"watchpost/internal/containers", "watchpost/internal/expo", "watchpost/internal/fetch", "watchpost/internal/podmap", "watchpost/internal/run", "watchpost/internal/self", "watchpost/internal/serve", "watchpost/internal/words"},
	"watchpost/internal/push":           {"watchpost/internal/run", "watchpost/internal/serve"},
	"watchpost/internal/run":            {},
	"watchpost/internal/runtimesock":    {},
	"watchpost/internal/scraper":        {"watchpost/internal/expo", "watchpost/internal/run"},
	"watchpost/internal/self":           {"watchpost/internal/expo", "watchpost/internal/hostfs"},
	"watchpost/internal/serve":          {"watchpost/internal/expo", "watchpost/internal/run"},
	"watchpost/internal/stateagent":     {"watchpost/internal/expo", "watchpost/internal/run", "watchpost/internal/self", "watchpost/internal/serve", "watchpost/internal/words", "watchpost/kube"},
	"watchpost/internal/testcluster":    {"watchpost/internal/testguard", "watchpost/internal/testkube"},
	"watchpost/internal/testcluster/":   {"watchpost/internal/testcluster"},
	"watchpost/internal/testfleet":      {},
	"watchpost/internal/testguard":      {},
	"watchpost/internal/testkit":        {},
	"watchpost/internal/testkube":       {"watchpost/internal/freeport"},
	"watchpost/internal/testkubelet":    {},
	"watchpost/internal/testkube/fleet": {},
	"watchpost/internal/testkube/":      {"watchpost/internal/testkube"},
	"watchpost/internal/webui":          {},
	"watchpost/internal/words":          {},
	"watchpost/kube":                    {"watchpost/internal/expo", "watchpost/internal/promname", "watchpost/internal/run", "watchpost/internal/words"},
}

// others tells which of our packages alone may import a library.
var others = map[string][]string{
	"github.com/prometheus/blackbox":   {"watchpost/internal/probe"},
	"github.com/prometheus/prometheus": {"watchpost/internal/promstack", "watchpost/internal/scraper", "watchpost/internal/testfleet"}, // the last is for tests
	"github.com/alecthomas/kingpin":    {"watchpost/cmd/"},
	"k8s.io/": {"watchpost/kube", "watchpost/internal/kubelet", "watchpost/internal/podmap", "watchpost/internal/promstack",
		"watchpost/internal/cadvisor", "watchpost/internal/testcluster", "watchpost/internal/testkube", "watchpost/internal/testkube/", "watchpost/bench/", "watchpost/deploy/grants"},
	"github.com/google/cadvisor":       {"watchpost/internal/cadvisor"},
	"github.com/containerd/containerd": {"watchpost/internal/cadvisor"},
	"google.golang.org/grpc":           {"watchpost/internal/cadvisor", "watchpost/internal/podmap", "watchpost/internal/runtimesock"},
	"os/exec":                          {"watchpost/bench/", "watchpost/internal/testcluster", "watchpost/internal/testguard", "watchpost/internal/testkit", "watchpost/internal/testkube"},
}

func TestLayout(t *testing.T) {
	packages := list(t)
	if len(packages) < 5 {
		t.Fatalf("only %d packages listed", len(packages))
	}
	for _, p := range packages {
		rule, found := longest(own, p.ImportPath)
		if !found {
			t.Errorf("%s has no rule: add one here", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "watchpost/") && !slices.ContainsFunc(rule, func(r string) bool { return covers(r, i) }) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
			if strings.HasSuffix(i, "internal/testkit") || strings.HasSuffix(i, "internal/testfleet") || strings.HasSuffix(i, "internal/testkubelet") && !covers("watchpost/bench/", p.ImportPath) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, i)
			}
			if covers("watchpost/cmd/", p.ImportPath) && (strings.Contains(i, "internal/testkube") || strings.Contains(i, "internal/testcluster")) {
				t.Errorf("%s imports %s, which is for tests and benchmarks", p.ImportPath, i)
			}
			for library, allowed := range others {
				if strings.HasPrefix(i, library) && !slices.ContainsFunc(allowed, func(r string) bool { return covers(r, p.ImportPath) }) {
					t.Errorf("%s must not import %s: that is for %s", p.ImportPath, i, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

// covers tells whether a rule, a package or a folder with a slash at its end, is
// about path.
func covers(rule, path string) bool {
	return rule == path || strings.HasSuffix(rule, "/") && strings.HasPrefix(path, rule)
}

func longest(rules map[string][]string, path string) (rule []string, found bool) {
	length := 0
	for r, v := range rules {
		if covers(r, path) && len(r) > length {
			rule, found, length = v, true, len(r)
		}
	}
	return rule, found
}

// list are the packages of this module with what they import outside of tests.
func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "watchpost/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
