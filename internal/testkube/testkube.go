// Package testkube runs a real etcd and a real kube-apiserver for tests and
// benchmarks: test/kubernetes builds the program, this package starts it, talks to it
// and ends it. No root, no controllers, no kubelet: objects stay as they were written.
//
// A control plane is ready 3 s after its start and takes 300 MB, so the tests of a
// package share one (Shared), each in namespaces of its own where that matters, and
// only a test that kills or compacts has one to itself (Start).
package testkube

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"watchpost/internal/freeport"
)

// How long the program may take until it is ready, and until a command is done.
const (
	startTimeout   = 3 * time.Minute
	commandTimeout = 30 * time.Second
)

// maxLines is how many lines may wait for a reader: more than the program ever says
// unasked, so that it does not block.
const maxLines = 64

// startAttempts bounds how often a control plane is started whose ports, chosen as
// free, were taken by somebody else in the meantime.
const startAttempts = 3

// Options of a control plane. The zero value is what most tests want.
type Options struct {
	// Dir keeps objects, keys and the log; empty is a temporary folder, removed at
	// the end.
	Dir string
	// Args are further flags of kube-apiserver, such as "--watch-cache=false".
	Args []string
	// Env are variables for the program beside the caller's own, such as "GOGC=200".
	Env []string
	// Cluster is set where controllers and kubelets join: service accounts are needed
	// as on any cluster, and requests are limited as on any.
	Cluster bool
	// Address is what the API server listens on and tells others; the zero value is
	// loopback. The ports are fixed ones then, as the address is nobody else's.
	Address netip.Addr
	// Services is the range of their addresses; the zero value is 10.96.0.0/16.
	Services netip.Prefix
	// Run starts the program instead of cmd.Start, such as in other namespaces.
	Run func(cmd *exec.Cmd) error
}

// Cluster is a running control plane. Its methods are safe for concurrent use, but
// for Kill, Restart and Stop.
type Cluster struct {
	binary, dir string
	ownDir      bool // dir is removed at the end
	options     Options
	etcdPort    int
	securePort  int

	config *rest.Config
	client kubernetes.Interface

	issued int        // certificates
	mu     sync.Mutex // guards issued

	process *process // nil while killed
}

// process is one run of the program.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	mu    sync.Mutex  // one command at a time
	says  chan string // its lines, as many as there were commands
	ended chan struct{}
	fate  error // why, once ended is closed
}

// Start runs a control plane that ends with the test. The test is skipped with
// -short, and fails where the program cannot be built.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	skipShort(t)
	c, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the control plane's last words:\n%s", c.lastWords())
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Launch is Start for TestMain and for programs: whoever calls it calls Stop.
func Launch(o Options) (*Cluster, error) {
	path, err := Build()
	if err != nil {
		return nil, err
	}
	c := &Cluster{binary: path, dir: o.Dir, options: o}
	if c.ownDir = c.dir == ""; c.ownDir {
		if c.dir, err = os.MkdirTemp("", "testkube-"); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		if err = c.launch(); err == nil {
			return c, nil
		}
		if attempt == startAttempts || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
			return nil, errors.Join(err, c.Stop())
		}
	}
}

// launch chooses ports, starts the program on them and makes the clients.
func (c *Cluster) launch() (err error) {
	if c.options.Address.IsValid() {
		c.etcdPort, c.securePort = 2379, 6443
	} else if c.etcdPort, c.securePort, err = freePorts(); err != nil {
		return err
	}
	if err := c.Restart(); err != nil {
		return err
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return err
	}
	c.config.QPS = -1 // no limit: tests wait for nothing
	c.client, err = kubernetes.NewForConfig(c.config)
	return err
}

// freePorts are two loopback ports that nobody listens on.
func freePorts() (a, b int, err error) {
	if a, err = freeport.Port(); err != nil {
		return 0, 0, err
	}
	b, err = freeport.Port()
	return a, b, err
}

// Kubeconfig is the path of a file that makes its reader the admin.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// Server is the base URL of the API server.
func (c *Cluster) Server() string { return "https://" + c.address() }

func (c *Cluster) address() string {
	host := "127.0.0.1"
	if c.options.Address.IsValid() {
		host = c.options.Address.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(c.securePort))
}

// Config is the admin's configuration, without a limit on requests; the caller may
// change it.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Client is the admin's client, without a limit on requests.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// PID is the process id of the control plane, to read its cost; 0 while killed.
func (c *Cluster) PID() int {
	if c.process == nil {
		return 0
	}
	return c.process.cmd.Process.Pid
}

// Kill ends the control plane as a crash does. Connections break, objects stay.
func (c *Cluster) Kill() {
	if c.process == nil {
		return
	}
	c.process.cmd.Process.Kill() // fails where it has ended, which is what we want
	<-c.process.ended
	c.process = nil
}

// Restart starts the control plane again, killing it before if it runs: same address,
// same keys, same objects. A watch that goes on from a revision gets 410 Gone where
// anything was written between it and the Restart: the new process does not know that
// history.
func (c *Cluster) Restart() error {
	c.Kill()
	log, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own descriptor
	args := []string{"--dir=" + c.dir, fmt.Sprintf("--etcd-port=%d", c.etcdPort), fmt.Sprintf("--secure-port=%d", c.securePort)}
	if !c.options.Cluster {
		args = append(args, "--bulk")
	}
	if c.options.Address.IsValid() {
		args = append(args, "--address="+c.options.Address.String())
	}
	if c.options.Services.IsValid() {
		args = append(args, "--service-range="+c.options.Services.String())
	}
	args = append(append(args, "--"), c.options.Args...)
	p := &process{cmd: exec.Command(c.binary, args...), says: make(chan string, maxLines), ended: make(chan struct{})}
	p.cmd.Stderr = log
	p.cmd.Env = append(os.Environ(), c.options.Env...)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	run := (*exec.Cmd).Start
	if c.options.Run != nil {
		run = c.options.Run
	}
	if err := run(p.cmd); err != nil {
		return err
	}
	go p.watch(out)
	c.process = p
	if line, err := p.answer(startTimeout); err != nil {
		words := c.lastWords()
		c.Kill()
		return fmt.Errorf("the control plane did not start: %w:\n%s", err, words)
	} else if !strings.HasPrefix(line, "ready ") {
		c.Kill()
		return fmt.Errorf("the control plane said %q instead of being ready", line)
	}
	return nil
}

// AddArgs has the next Restart give kube-apiserver these flags, too.
func (c *Cluster) AddArgs(args ...string) { c.options.Args = slices.Concat(c.options.Args, args) }

// watch passes on what the process says, and tells of its end.
func (p *process) watch(out io.Reader) {
	for s := bufio.NewScanner(out); s.Scan(); {
		p.says <- s.Text()
	}
	p.fate = p.cmd.Wait()
	close(p.ended)
}

// answer waits for a line.
func (p *process) answer(timeout time.Duration) (string, error) {
	select {
	case line := <-p.says:
		return line, nil
	case <-p.ended:
		return "", fmt.Errorf("it ended (%v)", p.fate)
	case <-time.After(timeout):
		return "", fmt.Errorf("it said nothing for %s", timeout)
	}
}

// Compact drops the history of etcd. A list that goes on from a page before it gets
// 410 Gone, and so does a watch that starts before it where the API server does not
// hold the events itself: with "--watch-cache=false", or after a Restart. Watches
// that are connected do not notice.
func (c *Cluster) Compact() error {
	if c.process == nil {
		return errors.New("compact: the control plane is killed")
	}
	p := c.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.stdin, "compact\n"); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	line, err := p.answer(commandTimeout)
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	if !strings.HasPrefix(line, "compacted ") {
		return fmt.Errorf("compact: the control plane said %q", line)
	}
	return nil
}

// Stop ends the control plane, and removes its folder unless that was given.
func (c *Cluster) Stop() error {
	c.Kill()
	if !c.ownDir {
		return nil
	}
	return os.RemoveAll(c.dir)
}

func (c *Cluster) logPath() string { return filepath.Join(c.dir, "control-plane.log") }

// lastWords is the end of the log.
func (c *Cluster) lastWords() string {
	b, err := os.ReadFile(c.logPath())
	if err != nil {
		return err.Error()
	}
	return string(last(b, 4000))
}
