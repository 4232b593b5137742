package promstack

// Discovery in a real API server, beside what the Prometheus program of the same
// version discovers there: test/e2e writes the expected targets from a run of it.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"watchpost/internal/testkit"
	"watchpost/internal/testkube"
)

var cluster testkube.Shared

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// accountDir is where a pod finds the credentials of its service account.
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

var roleLine = regexp.MustCompile(`(?m)^( *)- role: \w+$|\{role: \w+`)

// outside makes a configuration that is written for a pod one that runs outside of
// the cluster.
func outside(t *testing.T, c *testkube.Cluster, yml string) string {
	t.Helper()
	return strings.ReplaceAll(roleLine.ReplaceAllStringFunc(yml, func(role string) string {
		if strings.HasPrefix(role, "{") {
			return role + ", kubeconfig_file: " + c.Kubeconfig()
		}
		indent := strings.Repeat(" ", strings.Index(role, "-"))
		return role + "\n" + indent + "  kubeconfig_file: " + c.Kubeconfig()
	}), accountDir, account(t, c))
}

// account is a folder with the files that a pod has of its service account, the token
// being none that anybody knows.
func account(t *testing.T, c *testkube.Cluster) string {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(c.Kubeconfig()), "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "token"), "none")
	writeFile(t, filepath.Join(dir, "ca.crt"), string(ca))
	return dir
}

func TestKubernetesTargets(t *testing.T) {
	c := cluster.Get(t)
	c.Load(t, os.DirFS("testdata/kubernetes/objects"))
	configs, err := filepath.Glob("testdata/kubernetes/configs/*.yml")
	if err != nil || len(configs) == 0 {
		t.Fatalf("no configurations: %v", err)
	}
	for _, file := range configs {
		name := strings.TrimSuffix(filepath.Base(file), ".yml")
		t.Run(name, func(t *testing.T) {
			yml, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile("testdata/kubernetes/want/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			e := startYML(t, t.TempDir(), outside(t, c, string(yml)))
			eventually(t, func() error {
				got, err := testkit.Targets(e.get("/targets", nil).Body.Bytes())
				if err != nil {
					return err
				}
				if d := testkit.Diff(string(want), string(got)); d != "" {
					return errors.New("other targets than Prometheus' (- there, + here):\n" + d)
				}
				return nil
			})
			if name == "whole" || name == "annotations" { // where three roles look at pods and services
				e.watches("pod", 1)
				e.watches("service", 1)
				writeFile(t, e.file, outside(t, c, "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: node}]}]\n"))
				if err := e.Reload(); err != nil {
					t.Fatal(err)
				}
				e.watches("pod", 0) // and they end
				e.watches("node", 1)
			}
		})
	}
}

// watches waits until so many watches of a kind are open.
func (e *engine) watches(kind string, want float64) {
	e.t.Helper()
	eventually(e.t, func() error {
		families, err := e.reg.Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			if f.GetName() != "watchpost_sd_kubernetes_watches" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == kind {
					if got := m.GetGauge().GetValue(); got != want {
						return fmt.Errorf("%g watches of %s, want %g", got, kind, want)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("no watch of %s", kind)
	})
}
