package testcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// cniPlugins is where Debian puts them.
const cniPlugins = "/usr/lib/cni"

// socket is where containerd listens in the place: where every node has it.
const socket = "/run/containerd/containerd.sock"

// PauseImage is what sandboxes of pods are made of: a program that waits to be ended.
const PauseImage = "registry.example/pause:1"

// dnsPort of the node.
const dnsPort = 53

// containerdConfig says what differs from a usual node's: where the pods' network is
// configured, and that the priority of a process when memory is short is not lowered,
// which not everyone may.
func containerdConfig(cniDir string) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, socket, PauseImage, cniPlugins, cniDir)
}

// cniConfig is a bridge with addresses out of the pods' range, which the node routes.
func cniConfig(n network) string {
	return fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "subnet": %q, "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`, n.pods)
}

// kubeletConfig is that of a usual cluster, where the machine has control groups of
// version 1 and a disk that is shared with others.
func kubeletConfig(n network, cgroup, authority, cert, key string) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
tlsCertFile: %q
tlsPrivateKeyFile: %q
containerRuntimeEndpoint: unix://%s
cgroupDriver: cgroupfs
cgroupRoot: %q
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
clusterDNS: [%q]
clusterDomain: cluster.local
resolvConf: ""
evictionHard: {memory.available: 50Mi, nodefs.available: 100Mi, imagefs.available: 100Mi, nodefs.inodesFree: "0%%"}
syncFrequency: 5s
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
`, authority, cert, key, socket, cgroup, n.node)
}

// proxyConfiguration leaves the kernel's tables of connections as they are: their size
// is the machine's.
func proxyConfiguration(n network, kubeconfig string) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %q}
hostnameOverride: %q
mode: iptables
clusterCIDR: %q
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
metricsBindAddress: %s:10249
`, kubeconfig, NodeName, n.pods, n.node)
}

// startContainerd starts it, and gives it images.
func (c *Cluster) startContainerd(ctx context.Context, pause string, images []string) error {
	cni := filepath.Join(c.dir, "cni")
	if err := os.Mkdir(cni, 0o700); err != nil {
		return err
	}
	if _, err := c.write("cni/10-pods.conflist", cniConfig(c.net)); err != nil {
		return err
	}
	config, err := c.write("containerd.toml", containerdConfig(cni))
	if err != nil {
		return err
	}
	if err := c.run("containerd", "containerd", "--log-level", "warn", "--config", config); err != nil {
		return err
	}
	if err := c.Wait(ctx, "containerd answers", func(context.Context) error {
		_, err := c.Exec("ctr", "version")
		return err
	}); err != nil {
		return err
	}
	archive := filepath.Join(c.dir, "pause.tar")
	if err := (Image{Name: PauseImage, Files: map[string]string{"/pause": pause}, Entrypoint: []string{"/pause"}}).Write(archive); err != nil {
		return err
	}
	for _, archive := range append([]string{archive}, images...) {
		if err := c.Import(archive); err != nil {
			return err
		}
	}
	return nil
}
