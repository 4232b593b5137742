// Package testcluster runs a whole Kubernetes of one node for tests: a real API server,
// kubelet, scheduler, controllers and kube-proxy (test/kubernetes builds them), with
// containerd and runc of the machine. It needs root and takes some 15 seconds to be
// ready.
//
// The node is a place of its own: it has its own processes, mounts, network, host name
// and System V IPC, as a virtual machine has, and folders of its own below /run,
// /var/lib and /var/log. So ports, sockets, folders and packet filter rules of the
// machine are left alone, several clusters may run at once, and all of one is gone when
// the first process of the place is: that one ends with whoever started it, even when
// that was killed. From the machine the node, its pods and services can be reached by
// their addresses. What is not in a namespace (control groups, one folder, one
// interface) Stop removes, and tells what it could not.
package testcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"watchpost/internal/testguard"
	"watchpost/internal/testkube"
)

// NodeName is what the node calls itself.
const NodeName = "node-1"

// How long parts of the start may take on a slow machine.
const startTimeout = 3 * time.Minute

// Options of a cluster. The zero value is a cluster without images but its own.
type Options struct {
	// APIServer are further flags of kube-apiserver.
	APIServer []string
	// Images are archives as docker save writes them, which the node has at once.
	Images []string
}

// Cluster is a running cluster.
type Cluster struct {
	// API is the control plane. It may be killed and restarted.
	API *testkube.Cluster

	dir    string
	place  *place
	net    network
	lock   *os.File // says that whoever started it lives
	before machine  // what the machine had before

	node string // program
	mu   sync.Mutex
	part map[string]*part // by name
	dns  *dnsServer
}

// Start runs a cluster that ends with the test. The test is skipped with -short and
// where a program of the machine is missing; -v says which.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Kubernetes cluster, which -short leaves out")
	}
	if err := Missing(); err != nil {
		t.Skip(err)
	}
	c, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the cluster said last:\n%s", c.LastWords())
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Missing is the error that names what a cluster needs and the machine does not have.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("a cluster needs root")
	}
	for _, needed := range [][2]string{{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"}, {"ip", "iproute2"},
		{"iptables", "iptables"}, {"mount", "mount"}, {filepath.Join(cniPlugins, "bridge"), "containernetworking-plugins"}} {
		if _, err := exec.LookPath(needed[0]); err != nil {
			return fmt.Errorf("%s is not installed; on Debian: apt-get install %s", needed[0], needed[1])
		}
	}
	return nil
}

// Launch is Start for programs: whoever calls it calls Stop.
func Launch(o Options) (_ *Cluster, err error) {
	node, pause, err := testkube.BuildNode()
	if err != nil {
		return nil, err
	}
	if _, err := testkube.Build(); err != nil { // before the clock of the start runs
		return nil, err
	}
	c := &Cluster{node: node, part: map[string]*part{}}
	if c.before, err = readMachine(); err != nil {
		return nil, err
	}
	if err := Sweep(os.TempDir()); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", folderPrefix); err != nil {
		return nil, err
	}
	if c.lock, err = testguard.Lock(c.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, errors.New(c.LastWords()), c.Stop())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if c.place, err = newPlace(c.dir, pause); err != nil {
		return nil, err
	}
	if c.net, err = c.place.connect(); err != nil {
		return nil, err
	}
	if err := c.makeCgroups(); err != nil {
		return nil, err
	}
	var both sync.WaitGroup
	var runtimeErr, apiErr error
	both.Go(func() { runtimeErr = c.startContainerd(ctx, pause, o.Images) })
	both.Go(func() { apiErr = c.startControlPlane(o) })
	both.Wait()
	if err := errors.Join(runtimeErr, apiErr); err != nil {
		return nil, err
	}
	if c.dns, err = c.startDNS(); err != nil {
		return nil, err
	}
	if err := c.startNode(); err != nil {
		return nil, err
	}
	return c, c.waitReady(ctx)
}

// Client is the admin's.
func (c *Cluster) Client() kubernetes.Interface { return c.API.Client() }

// Node is the address of the node.
func (c *Cluster) Node() netip.Addr { return c.net.node }

// Dir is the folder that holds all of the cluster, among it the log of each part.
func (c *Cluster) Dir() string { return c.dir }

// startControlPlane starts etcd and the API server in the place.
func (c *Cluster) startControlPlane(o Options) (err error) {
	dir := filepath.Join(c.dir, "control-plane")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	c.API, err = testkube.Launch(testkube.Options{Dir: dir, Cluster: true, Address: c.net.node, Services: c.net.services,
		Args: o.APIServer, Run: c.place.start})
	return err
}

// startNode starts what runs beside the control plane and the containers.
func (c *Cluster) startNode() error {
	authority := filepath.Join(c.dir, "control-plane", "ca.crt")
	cert, key, err := c.API.ServerCertificate(NodeName, net.IP(c.net.node.AsSlice()))
	if err != nil {
		return err
	}
	kubeletConfig, err := c.write("kubelet.yaml", kubeletConfig(c.net, c.cgroup(), authority, cert, key))
	if err != nil {
		return err
	}
	proxyConfig := filepath.Join(c.dir, "kube-proxy.yaml")
	for _, p := range []struct {
		name, user string
		groups     []string
		flags      []string
	}{
		{"kubelet", "system:node:" + NodeName, []string{"system:nodes"}, []string{"--config=" + kubeletConfig, "--hostname-override=" + NodeName, "--node-ip=" + c.net.node.String()}},
		{"kube-controller-manager", "system:kube-controller-manager", nil, []string{"--leader-elect=false", "--use-service-account-credentials",
			"--service-account-private-key-file=" + filepath.Join(c.dir, "control-plane", "service-account.key"), "--root-ca-file=" + authority,
			"--cluster-cidr=" + c.net.pods.String(), "--bind-address=" + c.net.node.String()}},
		{"kube-scheduler", "system:kube-scheduler", nil, []string{"--leader-elect=false", "--bind-address=" + c.net.node.String()}},
		{"kube-proxy", "system:kube-proxy", nil, []string{"--config=" + proxyConfig}},
	} {
		kubeconfig, err := c.API.User(p.user, p.groups...)
		if err != nil {
			return err
		}
		if p.name == "kube-proxy" {
			if _, err := c.write("kube-proxy.yaml", proxyConfiguration(c.net, kubeconfig)); err != nil {
				return err
			}
		} else {
			p.flags = append(p.flags, "--kubeconfig="+kubeconfig)
		}
		if p.name == "kube-controller-manager" || p.name == "kube-scheduler" { // who may read their metrics
			p.flags = append(p.flags, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig)
		}
		if err := c.run(p.name, c.node, append([]string{p.name}, p.flags...)...); err != nil {
			return err
		}
	}
	return nil
}

// waitReady returns when the node takes pods and the API server answers at the address
// of its service, which kube-proxy brings about.
func (c *Cluster) waitReady(ctx context.Context) error {
	// As kubeadm labels the nodes that run the control plane.
	label := []byte(`{"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}`)
	service := netip.AddrPortFrom(c.net.services.Masked().Addr().Next(), 443).String()
	return c.Wait(ctx, "the node is ready", func(ctx context.Context) error {
		node, err := c.Client().CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
			}
		}
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("tainted: %v", node.Spec.Taints)
		}
		if _, err := c.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		if _, err := c.Client().CoreV1().Nodes().Patch(ctx, NodeName, types.StrategicMergePatchType, label, metav1.PatchOptions{}); err != nil {
			return err
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", service)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// pollInterval is how often something is asked that shall become true.
const pollInterval = 100 * time.Millisecond

// Wait asks until there is no error, or the context ends, or a part of the cluster has
// ended unasked.
func (c *Cluster) Wait(ctx context.Context, what string, ask func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := ask(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if fate := c.fates(); fate != nil {
			return fmt.Errorf("not: %s: %w", what, errors.Join(err, fate))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not: %s: %w", what, err)
		case <-time.After(pollInterval):
		}
	}
}

// Stop ends all of the cluster and removes what is left. Its error names what is still
// there, and what the machine does not have as it had it before.
func (c *Cluster) Stop() error {
	var problems []error
	if c.dns != nil {
		c.dns.close()
	}
	if c.place != nil {
		problems = append(problems, c.place.close())
	}
	c.mu.Lock()
	parts := c.part
	c.mu.Unlock()
	for _, p := range parts {
		<-p.ended // the first process of the place took it along
	}
	if c.API != nil {
		c.API.Kill() // so that its end is taken
	}
	problems = append(problems, removeCgroups(c.cgroup()), os.RemoveAll(c.dir), c.lock.Close(), c.left())
	return errors.Join(problems...)
}

// part is a program of the node.
type part struct {
	cmd   *exec.Cmd
	ended chan struct{}
	fate  error // once ended is closed
}

// run starts a program in the place; what it says is in DIR/NAME.log.
func (c *Cluster) run(name string, program string, args ...string) error {
	log, err := os.OpenFile(c.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the program has its own descriptor
	p := &part{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := c.place.start(p.cmd); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.mu.Lock()
	c.part[name] = p
	c.mu.Unlock()
	go func() {
		p.fate = p.cmd.Wait()
		close(p.ended)
	}()
	return nil
}

// fates tells of parts that have ended: none does before the place.
func (c *Cluster) fates() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var problems []error
	for name, p := range c.part {
		select {
		case <-p.ended:
			problems = append(problems, fmt.Errorf("%s has ended: %v; its log: %s", name, p.fate, tail(c.log(name))))
		default:
		}
	}
	return errors.Join(problems...)
}

// Exec runs a program of the machine in the place and returns what it says.
func (c *Cluster) Exec(name string, args ...string) (string, error) {
	return c.place.output(exec.Command(name, args...))
}

// Import puts an archive, as docker save writes one, among the images of the node.
func (c *Cluster) Import(archive string) error {
	_, err := c.Exec("ctr", "--namespace", "k8s.io", "images", "import", archive)
	return err
}

// LastWords are the ends of all logs.
func (c *Cluster) LastWords() string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(c.dir, "*.log")) // the pattern is right
	for _, log := range append(logs, filepath.Join(c.dir, "control-plane", "control-plane.log")) {
		fmt.Fprintf(&b, "%s:\n%s\n", filepath.Base(log), tail(log))
	}
	return b.String()
}

func (c *Cluster) log(name string) string { return filepath.Join(c.dir, name+".log") }

// tail is the end of a file.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// write writes a file of the cluster and returns its path.
func (c *Cluster) write(name, text string) (string, error) {
	path := filepath.Join(c.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
