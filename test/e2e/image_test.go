//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestImages makes the images of all programs for this machine, gives them to a containerd
// and starts each with the defaults of its image as far as it goes: nobody, without
// capabilities, with a root file system that cannot be written.
func TestImages(t *testing.T) {
	beside(t)
	c := startContainerd(t, "", "")
	said, err := suiteImages()
	if err != nil {
		t.Fatal(err)
	}
	again, err := makeImages(t.TempDir(), "--programs=node-agent")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, lineOf(t, again, "node-agent")) {
		t.Errorf("made twice:\n%s\n%s", said, again)
	}
	data := filepath.Join(c.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		name, url, want string
		more            []string // for the container; settings by the environment leave the image's own command
	}{
		{name: "node-agent", url: "http://127.0.0.1:9100/metrics", want: `node_exporter_build_info{`},
		{name: "state-agent", url: "http://127.0.0.1:8081/metrics", want: `kube_state_metrics_build_info{`, more: []string{"--env", "STATE_AGENT_APISERVER=http://127.0.0.1:1"}},
		{name: "cadvisor-proxy", url: "http://127.0.0.1:9101/metrics", want: `watchpost_proxy_build_info{`, more: []string{"--env", "CADVISOR_PROXY_KUBELET_URL=https://127.0.0.1:1", "--env", "CADVISOR_PROXY_PODS_FROM=none"}},
		{
			name: "collector", url: "http://127.0.0.1:9090/metrics", want: `watchpost_collector_build_info{`,
			more: []string{"--env", "COLLECTOR_STANDALONE=true", "--mount", "type=bind,src=" + data + ",dst=/data,options=rbind:rw"},
		},
	} {
		t.Run(p.name, func(t *testing.T) {
			reference := "docker.io/watchpost/" + p.name + ":e2e"
			c.ctr("--namespace", "default", "images", "import", filepath.Join(imagesDir(), p.name+"-"+runtime.GOARCH+".tar"))
			digest := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(lineOf(t, said, p.name))
			if list := c.ctr("--namespace", "default", "images", "list", "name=="+reference); digest == "" || !strings.Contains(list, digest) {
				t.Errorf("containerd has not the digest that was told, %q:\n%s", digest, list)
			}
			c.cgroups = append(c.cgroups, "/default/"+p.name)
			c.ctr(append(append([]string{"--namespace", "default", "run", "--detach", "--read-only"}, p.more...), reference, p.name)...)
			pid := c.process("default", p.name)
			eventually(t, p.name+" answers", func() error {
				out, err := exec.Command("nsenter", "--target", strconv.Itoa(pid), "--net", "curl", "--silent", "--show-error", "--fail", "--max-time", "5", p.url).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				if !strings.Contains(string(out), p.want) || !strings.Contains(string(out), `version="e2e"`) {
					return fmt.Errorf("no %s with this version in\n%.2000s", p.want, out)
				}
				return nil
			})
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"\nUid:\t65534\t65534\t", "\nGid:\t65534\t65534\t", "\nCapEff:\t0000000000000000\n"} {
				if !strings.Contains(string(status), want) {
					t.Errorf("no %q in\n%s", want, status)
				}
			}
			mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", pid))
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`(?m)^\S+ / overlay ro[, ]`).Match(mounts) {
				t.Errorf("its root is not read-only:\n%s", mounts)
			}
		})
	}
}

// makeImages runs the program of `make image`, and returns what it tells.
func makeImages(output string, more ...string) (said string, err error) {
	args := []string{"run", "-C", "../../deploy/image", ".", "--arch", runtime.GOARCH, "--output", output, "--version=e2e", "--revision=none", "--created=2026-01-01T00:00:00Z"}
	if _, err := os.Stat("../../internal/webui/dist/index.html"); err != nil {
		args = append(args, "--without-page") // npm is not installed: `make build` has said so
	}
	cmd := exec.Command("go", append(args, more...)...)
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%q: %w: %s", cmd.Args, err, wrong.String())
	}
	return string(out), nil
}

// imagesDir is where the images of all programs are, of this process: testkit.World starts others. TestMain removes it.
func imagesDir() string { return filepath.Join(os.TempDir(), fmt.Sprint("images-", os.Getpid())) }

// suiteImages makes the images of all programs, once for all tests, and returns what was told of them.
var suiteImages = sync.OnceValues(func() (said string, err error) {
	if err := os.Mkdir(imagesDir(), 0o700); err != nil {
		return "", err
	}
	return makeImages(imagesDir())
})

// lineOf is what was told of an image.
func lineOf(t *testing.T, said, program string) string {
	t.Helper()
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "watchpost/"+program+":e2e ") && strings.Contains(line, "linux/"+runtime.GOARCH) {
			return regexp.MustCompile(` sha256:[0-9a-f]{64} `).FindString(line)
		}
	}
	t.Fatalf("nothing about %s in\n%s", program, said)
	return ""
}
