//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// criNode is a containerd with its CRI.
type criNode struct {
	*privateContainerd
	client runtime.RuntimeServiceClient
	cgroup string // above those of pods
}

// startCRI starts one, with a bridge of the test's own.
func startCRI(t *testing.T) *criNode {
	t.Helper()
	n := &criNode{privateContainerd: startContainerd(t, "wpcri0", "10.213.7.0/24"), cgroup: "/watchpost-cri-" + strconv.Itoa(os.Getpid())}
	n.cgroups = append(n.cgroups, n.cgroup)
	conn, err := grpc.NewClient("unix://"+n.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	n.client = runtime.NewRuntimeServiceClient(conn)
	t.Cleanup(func() {
		n.removePods()
		conn.Close()
	})
	n.ready()
	return n
}

// ready waits until it can have pods.
func (n *criNode) ready() {
	n.t.Helper()
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

// runPod starts a pod of one container, as a kubelet does.
func (n *criNode) runPod(name string, network runtime.NamespaceMode, annotations map[string]string, args ...string) (sandbox, container string) {
	n.t.Helper()
	ctx := n.t.Context()
	config := &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: name, Namespace: "team", Uid: "uid-" + name}, Labels: map[string]string{"app": name, "io.kubernetes.pod.name": name},
		Annotations: annotations, LogDirectory: n.dir,
		Linux: &runtime.LinuxPodSandboxConfig{CgroupParent: n.cgroup, SecurityContext: &runtime.LinuxSandboxSecurityContext{NamespaceOptions: &runtime.NamespaceOption{Network: network}}},
	}
	made, err := n.client.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: config})
	if err != nil {
		n.t.Fatal(err)
	}
	of, err := n.client.CreateContainer(ctx, &runtime.CreateContainerRequest{PodSandboxId: made.PodSandboxId, SandboxConfig: config, Config: &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: "main"}, Image: &runtime.ImageSpec{Image: image}, Args: args, LogPath: name + ".log",
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
	beside(t)
	n := startCRI(t)
	web, main := n.runPod("web", runtime.NamespaceMode_POD, map[string]string{"prometheus.io/scrape": "true"}, "serve")
	n.runPod("agent", runtime.NamespaceMode_NODE, nil)
	flags := []string{"--kubelet.metrics=none", "--pods.from=cri", "--pods.cri-socket=" + n.socket, "--pods.interval=200ms", "--pods.scrape", "--pod-labels=app", "--node=n1", "--cluster=prod"}
	cmd, url, _ := startProxyIn(t, []string{"HOST_IP=192.0.2.9"}, flags...)
	check := exec.Command(cmd.Path, append([]string{"check"}, flags...)...)
	check.Env = cmd.Env
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "2 on this node\nteam/web:8080  ok  2 of 2 series are passed on") {
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
	n.ready()
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
