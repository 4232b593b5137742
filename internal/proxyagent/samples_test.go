package proxyagent

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

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
