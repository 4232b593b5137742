//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// podProgram is what the pods of TestCRIPods run: nothing, or an exporter.
const podProgram = `package main

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

const (
	podImage   = "registry.example/pod:1"
	podNetwork = "10.213.7.0/24" // of a bridge of the test's own
	podBridge  = "wpcri0"
)

// criNode is a containerd with its CRI, of a test's own.
type criNode struct {
	t           *testing.T
	dir, socket string
	daemon      *exec.Cmd
	said        *lockedBuffer
	client      runtime.RuntimeServiceClient
}

// startCRI starts one; it and all that it made is gone at the end of the test.
func startCRI(t *testing.T) *criNode {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for containers")
	}
	for _, name := range []string{"containerd", "ctr", "runc", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed; on Debian: apt-get install containerd runc iproute2", name)
		}
	}
	const plugins = "/usr/lib/cni"
	if _, err := os.Stat(filepath.Join(plugins, "bridge")); err != nil {
		t.Skipf("%v; on Debian: apt-get install containernetworking-plugins", err)
	}
	dir, err := os.MkdirTemp("", "watchpost-cri-") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	n := &criNode{t: t, dir: dir, socket: filepath.Join(dir, "s"), said: new(lockedBuffer)}
	file := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("config.toml", fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), n.socket, n.socket+".ttrpc", podImage, plugins, dir))
	file("10-test.conflist", fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "watchpost", "plugins": [{"type": "bridge", "bridge": %q, "isGateway": true,
		"ipam": {"type": "host-local", "subnet": %q, "dataDir": %q}}]}`, podBridge, podNetwork, filepath.Join(dir, "ipam")))
	conn, err := grpc.NewClient("unix://"+n.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	n.client = runtime.NewRuntimeServiceClient(conn)
	t.Cleanup(func() {
		n.removePods()
		conn.Close()
		n.stop()
		if t.Failed() {
			t.Logf("containerd said:\n%s", n.said.String())
		}
		exec.Command("ip", "link", "delete", podBridge).Run() // fails where no pod had a network
		n.unmount()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		for _, mount := range cgroupMounts() {
			syscall.Rmdir(filepath.Join(mount, n.cgroup())) // fails where there is none
		}
	})
	n.start()
	n.importImage()
	return n
}

func cgroupMounts() []string {
	mounts, _ := filepath.Glob("/sys/fs/cgroup/*") // of version 1; the pattern is right
	return append(mounts, "/sys/fs/cgroup")
}

func (n *criNode) cgroup() string { return "watchpost-cri-" + strconv.Itoa(os.Getpid()) }

func (n *criNode) start() {
	n.t.Helper()
	n.daemon = exec.Command("containerd", "--log-level", "warn", "--config", filepath.Join(n.dir, "config.toml"))
	n.daemon.Stdout, n.daemon.Stderr = n.said, n.said
	if err := n.daemon.Start(); err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, "the container runtime is ready", func() error {
		answer, err := n.client.Status(n.t.Context(), &runtime.StatusRequest{})
		if err != nil {
			return err
		}
		for _, c := range answer.Status.Conditions {
			if !c.Status {
				return fmt.Errorf("%s: %s", c.Type, c.Message)
			}
		}
		return nil
	})
}

// stop ends the daemon; containers go on without it.
func (n *criNode) stop() {
	n.daemon.Process.Signal(syscall.SIGTERM) // fails where it has ended
	n.daemon.Wait()                          // its status says nothing
}

func (n *criNode) unmount() {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		n.t.Error(err)
	}
	var points []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], n.dir+"/") {
			points = append(points, f[4])
		}
	}
	for _, p := range slices.Backward(points) {
		if err := syscall.Unmount(p, syscall.MNT_DETACH); err != nil {
			n.t.Errorf("%s: %v", p, err)
		}
	}
}

// importImage gives it the image of the program above, as docker save would write it.
func (n *criNode) importImage() {
	n.t.Helper()
	dir := n.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(podProgram), 0o600); err != nil {
		n.t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "pod", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "pod"))
	if err != nil {
		n.t.Fatal(err)
	}
	pack := func(pairs ...any) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := 0; i < len(pairs); i += 2 {
			content := pairs[i+1].([]byte)
			if err := w.WriteHeader(&tar.Header{Name: pairs[i].(string), Mode: 0o755, Size: int64(len(content))}); err != nil {
				n.t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				n.t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			n.t.Fatal(err)
		}
		return b.Bytes()
	}
	layer := pack("pod", program)
	config, err := json.Marshal(map[string]any{
		"architecture": goruntime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/pod"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	manifest := fmt.Appendf(nil, `[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, podImage)
	file := filepath.Join(dir, "image.tar")
	if err := os.WriteFile(file, pack("manifest.json", manifest, "config.json", config, "layer.tar", layer), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if out, err := exec.Command("ctr", "--address", n.socket, "--namespace", "k8s.io", "images", "import", file).CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
}

// runPod starts a pod of one container, as a kubelet does.
func (n *criNode) runPod(name string, network runtime.NamespaceMode, annotations map[string]string, args ...string) (sandbox, container string) {
	n.t.Helper()
	ctx := n.t.Context()
	config := &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: name, Namespace: "team", Uid: "uid-" + name}, Labels: map[string]string{"app": name, "io.kubernetes.pod.name": name},
		Annotations: annotations, LogDirectory: n.dir,
		Linux: &runtime.LinuxPodSandboxConfig{CgroupParent: "/" + n.cgroup(), SecurityContext: &runtime.LinuxSandboxSecurityContext{NamespaceOptions: &runtime.NamespaceOption{Network: network}}},
	}
	made, err := n.client.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: config})
	if err != nil {
		n.t.Fatal(err)
	}
	of, err := n.client.CreateContainer(ctx, &runtime.CreateContainerRequest{PodSandboxId: made.PodSandboxId, SandboxConfig: config, Config: &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: "main"}, Image: &runtime.ImageSpec{Image: podImage}, Args: args, LogPath: name + ".log",
		Annotations: map[string]string{"io.kubernetes.container.ports": `[{"name":"metrics","containerPort":8080,"protocol":"TCP"}]`},
		Linux:       &runtime.LinuxContainerConfig{SecurityContext: &runtime.LinuxContainerSecurityContext{NamespaceOptions: &runtime.NamespaceOption{Network: network}}},
	}})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.client.StartContainer(ctx, &runtime.StartContainerRequest{ContainerId: of.ContainerId}); err != nil {
		n.t.Fatal(err)
	}
	return made.PodSandboxId, of.ContainerId
}

func (n *criNode) removePods() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := n.client.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		n.t.Error(err)
		return
	}
	for _, s := range list.Items {
		if _, err := n.client.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: s.Id}); err != nil {
			n.t.Error(err)
		}
		if _, err := n.client.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: s.Id}); err != nil {
			n.t.Error(err)
		}
	}
}

// Pods of a real containerd, known by its CRI and asked for their metrics at their own
// addresses; over its restart, and to their end.
func TestCRIPods(t *testing.T) {
	n := startCRI(t)
	t.Setenv("HOST_IP", "192.0.2.9")
	web, main := n.runPod("web", runtime.NamespaceMode_POD, map[string]string{"prometheus.io/scrape": "true"}, "serve")
	n.runPod("agent", runtime.NamespaceMode_NODE, nil)
	flags := []string{"--kubelet.metrics=none", "--pods.from=cri", "--pods.cri-socket=" + n.socket, "--pods.interval=200ms", "--pods.scrape", "--pod-labels=app", "--node=n1", "--cluster=prod"}
	cmd, url, _ := startProxy(t, flags...)
	if out, err := exec.Command(cmd.Path, append([]string{"check"}, flags...)...).CombinedOutput(); err != nil || !strings.Contains(string(out), "2 on this node\nteam/web:8080  ok  2 of 2 series are passed on") {
		t.Errorf("check: %v\n%s", err, out)
	}
	answer, err := n.client.PodSandboxStatus(t.Context(), &runtime.PodSandboxStatusRequest{PodSandboxId: web})
	if err != nil {
		t.Fatal(err)
	}
	ip := answer.Status.Network.Ip
	wants := func(path string, parts ...string) {
		t.Helper()
		eventually(t, path, func() error {
			text := get(t, http.DefaultClient, url+path).body
			for _, part := range parts {
				if !strings.Contains(text, part) {
					return fmt.Errorf("%q is not in it: %.2000s", part, text)
				}
			}
			return nil
		})
	}
	wants("/lookup?ip="+ip, `"pod":"web"`, `"uid":"uid-web"`, `"node":"n1"`, `"phase":"Running"`)
	wants("/lookup?container=containerd://"+main, `"pod":"web"`, `"container":"main"`)
	wants("/lookup?ip=192.0.2.9", `"pods":[]`, `"onHost":[{`, `"pod":"agent"`)
	labels := `node="n1",cluster="prod",namespace="team",pod="web",upstream="pod:8080",pod_ip="` + ip + `",label_app="web"} 1` + "\n"
	wants("/metrics", `app_up{exported_pod="mine",`+labels, `app_token{got="",`+labels, "watchpost_proxy_pods_up{cluster=\"prod\",node=\"n1\"} 1\n", `pod="web",pod_ip="`+ip+`",upstream="pod:8080"} 1`)
	rss := memoryKB(t, cmd.Process.Pid, "VmRSS")
	t.Logf("RSS %d kB", rss)
	if rss > 25<<10 {
		t.Errorf("RSS %d kB", rss)
	}

	n.stop()
	wants("/metrics", "watchpost_proxy_pods_up{cluster=\"prod\",node=\"n1\"} 0\n", "app_up{") // the pod goes on without the daemon
	n.start()
	wants("/metrics", "watchpost_proxy_pods_up{cluster=\"prod\",node=\"n1\"} 1\n")
	if _, err := n.client.StopPodSandbox(t.Context(), &runtime.StopPodSandboxRequest{PodSandboxId: web}); err != nil {
		t.Fatal(err)
	}
	wants("/metrics/pod/team/web", "no pod of this node")
	if text := get(t, http.DefaultClient, url+"/metrics").body; strings.Contains(text, "app_up{") || strings.Contains(text, "pod_source_up{") {
		t.Error("a pod that has ended is still shown")
	}
	wants("/lookup?pod=team/web", `"phase":"Stopped"`, ip)
	n.removePods()
	wants("/lookup?pod=team/web", `"gone":"`)
}
