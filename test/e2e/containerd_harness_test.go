//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"watchpost/internal/testcluster"
)

// image is what the containers of these tests are made of: one program, that waits to
// be ended, with an argument as an exporter.
const image = "registry.example/wait:1"

const imageProgram = `package main

import (
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		http.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "# TYPE app_up gauge\napp_up{pod=\"mine\"} 1\n# TYPE app_token gauge\napp_token{got=\"" + r.Header.Get("Authorization") + "\"} 1\n")
		})
		http.ListenAndServe(":8080", nil)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
}
`

// cniPlugins is where Debian puts them.
const cniPlugins = "/usr/lib/cni"

// privateContainerd is a containerd of a test's own, with the image above. It is gone at
// the end of the test with all that it made, however the test ends.
type privateContainerd struct {
	t           *testing.T
	dir, socket string
	daemon      *exec.Cmd
	said        *lockedBuffer
	cgroups     []string // that were asked for
}

// startContainerd starts one, or skips the test where it cannot. With the name of a
// bridge and a subnet for pods its CRI is on.
func startContainerd(t *testing.T, bridge, subnet string) *privateContainerd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for containers")
	}
	for _, needed := range [][2]string{{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"}, {"ip", "iproute2"}, {"nsenter", "util-linux"}} {
		if _, err := exec.LookPath(needed[0]); err != nil {
			t.Skipf("%s is not installed; on Debian: apt-get install %s", needed[0], needed[1])
		}
	}
	if _, err := os.Stat(filepath.Join(cniPlugins, "bridge")); bridge != "" && err != nil {
		t.Skipf("%v; on Debian: apt-get install containernetworking-plugins", err)
	}
	dir, err := os.MkdirTemp("", "watchpost-containerd-") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	c := &privateContainerd{t: t, dir: dir, socket: filepath.Join(dir, "s"), said: new(lockedBuffer)}
	t.Cleanup(c.remove)
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n", filepath.Join(dir, "root"), filepath.Join(dir, "state"))
	if bridge == "" {
		config += "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
	}
	config += fmt.Sprintf("[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n", c.socket, c.socket+".ttrpc")
	if bridge != "" {
		config += fmt.Sprintf(`[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, image, cniPlugins, dir)
		t.Cleanup(func() { exec.Command("ip", "link", "delete", bridge).Run() }) // fails where no pod had a network
		write(t, filepath.Join(dir, "10-test.conflist"), fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "watchpost", "plugins": [{"type": "bridge", "bridge": %q, "isGateway": true,
			"ipam": {"type": "host-local", "subnet": %q, "dataDir": %q}}]}`, bridge, subnet, filepath.Join(dir, "ipam")))
	}
	write(t, filepath.Join(dir, "config.toml"), config)
	c.start()
	archive := filepath.Join(dir, "image.tar")
	makeImage(t, archive)
	for _, namespace := range []string{"k8s.io", "default"} {
		c.ctr("--namespace", namespace, "images", "import", archive)
	}
	return c
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the daemon and waits until it answers.
func (c *privateContainerd) start() {
	c.t.Helper()
	c.daemon = exec.Command("containerd", "--log-level", "warn", "--config", filepath.Join(c.dir, "config.toml"))
	c.daemon.Stdout, c.daemon.Stderr = c.said, c.said
	if err := c.daemon.Start(); err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "containerd answers", func() error {
		out, err := exec.Command("ctr", "--address", c.socket, "version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// stop ends the daemon; containers go on without it.
func (c *privateContainerd) stop() {
	if c.daemon == nil || c.daemon.Process == nil {
		return
	}
	kill := time.AfterFunc(10*time.Second, func() { c.daemon.Process.Kill() })
	defer kill.Stop()
	c.daemon.Process.Signal(syscall.SIGTERM) // fails where it has ended
	c.daemon.Wait()                          // its status says nothing
}

// ctr runs containerd's client.
func (c *privateContainerd) ctr(args ...string) string {
	c.t.Helper()
	out, err := exec.Command("ctr", append([]string{"--address", c.socket}, args...)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("ctr %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// remove takes all away: containers by the daemon, what it leaves by process and mount.
func (c *privateContainerd) remove() {
	for _, namespace := range []string{"k8s.io", "default"} {
		out, err := exec.Command("ctr", "--address", c.socket, "--connect-timeout", "2s", "--namespace", namespace, "containers", "list", "--quiet").Output()
		if err != nil {
			continue // it never came up
		}
		for id := range strings.FieldsSeq(string(out)) {
			for _, args := range [][]string{{"tasks", "delete", "--force", id}, {"containers", "delete", id}} {
				if out, err := exec.Command("ctr", append([]string{"--address", c.socket, "--namespace", namespace}, args...)...).CombinedOutput(); err != nil && !bytes.Contains(out, []byte("not found")) {
					c.t.Logf("ctr %q: %v: %s", args, err, out)
				}
			}
		}
	}
	c.stop()
	if c.t.Failed() {
		c.t.Logf("containerd said:\n%s", c.said.String())
	}
	c.killShims()
	unmountBelow(c.t, c.dir)
	if err := os.RemoveAll(c.dir); err != nil {
		c.t.Error(err)
	}
	for _, cgroup := range c.cgroups {
		removeCgroup(cgroup)
	}
}

// killShims ends the supervisors of containers that are left, and the containers: the
// first process of one is its supervisor's child, and takes the others with it.
func (c *privateContainerd) killShims() {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(line, []byte("\x00-address\x00"+c.socket+"\x00")) {
			continue // gone, or another's
		}
		c.t.Logf("left: %q", bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		children, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "task/*/children"))
		pids := []string{filepath.Base(filepath.Dir(name))}
		for _, of := range children {
			text, _ := os.ReadFile(of) // a thread may have ended
			pids = append(pids, strings.Fields(string(text))...)
		}
		for _, text := range pids {
			if pid, err := strconv.Atoi(text); err == nil && pid > 1 {
				syscall.Kill(pid, syscall.SIGKILL) // fails where it has ended
			}
		}
	}
}

// unmountBelow unmounts what is left below a folder.
func unmountBelow(t *testing.T, dir string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
		return
	}
	var points []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			points = append(points, f[4])
		}
	}
	for _, p := range slices.Backward(points) {
		if err := syscall.Unmount(p, syscall.MNT_DETACH); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// removeCgroup removes a cgroup with those below it, and those above it where nobody else
// is in them.
func removeCgroup(name string) {
	mounts, _ := filepath.Glob("/sys/fs/cgroup/*") // of version 1; the pattern is right
	for _, mount := range append(mounts, "/sys/fs/cgroup") {
		var folders []string
		filepath.WalkDir(filepath.Join(mount, name), func(path string, d os.DirEntry, err error) error { // that of another controller is not there
			if err == nil && d.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		for _, folder := range slices.Backward(folders) {
			syscall.Rmdir(folder) // in use: then those above it are, too
		}
		for at := filepath.Dir(name); at != "/"; at = filepath.Dir(at) {
			if err := syscall.Rmdir(filepath.Join(mount, at)); err != nil && err != syscall.ENOENT { // in use
				break
			}
		}
	}
}

// makeImage writes the image with its one static program, as docker save would.
func makeImage(t *testing.T, archive string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), imageProgram)
	program := filepath.Join(dir, "wait")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	if err := (testcluster.Image{Name: image, Files: map[string]string{"/wait": program}, Entrypoint: []string{"/wait"}}).Write(archive); err != nil {
		t.Fatal(err)
	}
}
