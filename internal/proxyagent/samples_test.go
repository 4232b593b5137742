package proxyagent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"watchpost/internal/containers"
	"watchpost/internal/kubelet"
	"watchpost/internal/podmap"
	"watchpost/internal/testkubelet"
)

// A real kubelet's answers: what each profile keeps of them, and the pod on each
// series that has one.
func TestSamples(t *testing.T) {
	const folder = "../../../shared/samples/kubelet/"
	cadvisor, err := os.ReadFile(folder + "cadvisor.txt")
	if err != nil {
		t.Skipf("%scadvisor.txt is not here", folder)
	}
	pods, err := os.ReadFile(folder + "pods.json")
	if err != nil {
		t.Fatal(err)
	}
	for profile, want := range map[string]int{"none": 793, "default": 653, "lean": 309} {
		t.Run(profile, func(t *testing.T) {
			k := testkubelet.Start(t)
			k.Text("/metrics/cadvisor", string(cadvisor))
			k.Text("/pods", string(pods))
			p := start(t, k, "cadvisor", func(c *Config, client *kubelet.Client) {
				c.Sources[0].Rules = containers.Rules{Profile: profile}
				c.Pods = podmap.New(podmap.Config{})
				c.PodsFrom = &podmap.Poll{Kubelet: client, Interval: time.Hour, Log: c.Log}
			})
			if n, err := p.CheckPods(t.Context()); err != nil || n == 0 {
				t.Fatalf("%d pods, %v", n, err)
			}
			got, withPod := 0, 0
			seen := make(map[string]bool)
			for line := range strings.Lines(p.page(t, "/metrics/cadvisor")) {
				if strings.HasPrefix(line, "#") {
					continue
				}
				got++
				id := identity([]byte(line))
				if seen[id] || !strings.Contains(line, `node="n1"`) {
					t.Errorf("twice, or without its node: %s", line)
				}
				seen[id] = true
				if strings.Contains(line, `,pod="`) && !strings.Contains(line, `,pod=""`) {
					if withPod++; !strings.Contains(line, `,pod_ip="`) {
						t.Errorf("no address: %s", line)
					}
				}
			}
			if got != want || withPod == 0 {
				t.Errorf("%d series, %d with a pod, want %d", got, withPod, want)
			}
			if want := fmt.Sprintf("watchpost_proxy_series_out_total{node=\"n1\",source=\"cadvisor\"} %d\n", got); !strings.Contains(string(p.own()), want) {
				t.Errorf("not told: %s", want)
			}
		})
	}
}

// Prometheus' own parser reads the whole page, of the captured text and of that of 110
// pods: no series is there twice, and each that has a pod has its address and the node.
// The rules of promtool find nothing in the captured one that they do not find at the
// kubelet.
func TestPrometheusReads(t *testing.T) {
	node := testkubelet.NewNode(110)
	texts := map[string][2]string{"110 pods": {node.Text(), node.PodList()}}
	const folder = "../../../shared/samples/kubelet/"
	if cadvisor, err := os.ReadFile(folder + "cadvisor.txt"); err == nil {
		pods, err := os.ReadFile(folder + "pods.json")
		if err != nil {
			t.Fatal(err)
		}
		texts["captured"] = [2]string{string(cadvisor), string(pods)}
	} else {
		t.Logf("without the captured text: %scadvisor.txt is not here", folder)
	}
	for name, text := range texts {
		profiles := []string{"none", "default", "lean"}
		if name == "110 pods" {
			profiles = profiles[:1] // as it takes longer, and the others pass on less
		}
		for _, profile := range profiles {
			t.Run(name+"/"+profile, func(t *testing.T) {
				k := testkubelet.Start(t)
				k.Text("/metrics/cadvisor", text[0])
				k.Text("/pods", text[1])
				p := start(t, k, "cadvisor", func(c *Config, client *kubelet.Client) {
					c.Sources[0].Rules = containers.Rules{Profile: profile}
					c.Pods = podmap.New(podmap.Config{})
					c.PodsFrom = &podmap.Poll{Kubelet: client, Interval: time.Hour, Log: c.Log}
				})
				if _, err := p.CheckPods(t.Context()); err != nil {
					t.Fatal(err)
				}
				page := p.page(t, "/metrics")
				parser := textparse.NewPromParser([]byte(page), labels.NewSymbolTable(), false)
				seen, withPod := make(map[string]bool), 0
				for {
					entry, err := parser.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if entry != textparse.EntrySeries {
						continue
					}
					var l labels.Labels
					parser.Labels(&l)
					if seen[l.String()] {
						t.Errorf("twice: %s", l)
					}
					seen[l.String()] = true
					if l.Get("node") != "n1" {
						t.Errorf("no node: %s", l)
					}
					if l.Get("pod") != "" {
						if withPod++; net.ParseIP(l.Get("pod_ip")) == nil {
							t.Errorf("no address: %s", l)
						}
					}
				}
				if withPod == 0 {
					t.Error("no series has a pod")
				}
				if name == "110 pods" {
					return // promtool compares each series with each
				}
				found := linted(t, text[0])
				for problem := range linted(t, page) {
					if !found[problem] {
						t.Errorf("promtool: %s", problem)
					}
				}
			})
		}
	}
}

// linted is what the rules of "promtool check metrics" find in a text.
func linted(t *testing.T, text string) map[string]bool {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, p := range problems {
		found[p.Metric+" "+p.Text] = true
	}
	return found
}
