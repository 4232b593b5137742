package testcluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// place is a set of namespaces, and the process that holds them.
type place struct {
	dir   string
	first *exec.Cmd
	stdin io.WriteCloser // its end is the place's
	link  string         // interface of the machine that leads into it
	ids   []string       // of the namespaces
	calls chan func()    // what the thread in the place is to do; its end is that the thread leaves
	left  chan error     // how it left
}

// namespaces are those of a place, in the order in which they are entered.
var namespaces = []struct {
	name string
	flag int
}{{"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"net", unix.CLONE_NEWNET}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}}

// own are folders that the place has for itself, empty at first.
var own = []string{"/run", "/var/lib", "/var/log"}

// tunables are kernel settings that a kubelet insists on and would change for the whole
// machine: in the place they look as it wants them (container_manager_linux.go of the
// kubelet, setupKernelTunables).
var tunables = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// newPlace starts the first process and mounts what is the place's own.
func newPlace(dir, first string) (*place, error) {
	p := &place{dir: dir, first: exec.Command(first, "--stdin")}
	p.first.SysProcAttr = new(syscall.SysProcAttr)
	for _, ns := range namespaces {
		p.first.SysProcAttr.Cloneflags |= uintptr(ns.flag)
	}
	var err error
	if p.stdin, err = p.first.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.first.Start(); err != nil {
		return nil, fmt.Errorf("namespaces for the cluster: %w", err)
	}
	for _, ns := range namespaces {
		id, err := os.Readlink(p.path(ns.name))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.ids = append(p.ids, id)
	}
	if err := p.settle(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if err := p.furnish(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *place) path(namespace string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", p.first.Process.Pid, namespace)
}

// furnish mounts the place's own folders, processes and devices of the network.
func (p *place) furnish() error {
	var script strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&script, format+"\n", args...) }
	say("mount --make-rprivate /")
	say("mount -t proc proc /proc")
	groups := filepath.Join(p.dir, "groups") // control groups are mounted below what is mounted anew
	say("mkdir %s && mount --rbind /sys/fs/cgroup %[1]s && mount -t sysfs sysfs /sys && mount --rbind %[1]s /sys/fs/cgroup && umount --recursive --lazy %[1]s && rmdir %[1]s", groups)
	for _, folder := range own {
		mine := filepath.Join(p.dir, "node", folder)
		say("mkdir --parents %s && mount --bind %[1]s %s", mine, folder)
	}
	for name, value := range tunables {
		mine := filepath.Join(p.dir, "tunables", filepath.Base(name))
		say("mkdir --parents %s && echo %s >%s && mount --bind %[3]s /proc/sys/%[4]s", filepath.Dir(mine), value, mine, name)
	}
	say("mkdir --parents /run/lock /var/lib/kubelet /var/log/pods")
	say("mount --make-rshared /") // as systemd does: volumes of pods spread
	say("ip link set lo up")
	say("echo 1 >/proc/sys/net/ipv4/ip_forward")
	cmd := exec.Command("sh", "-ec", script.String())
	if _, err := p.output(cmd); err != nil {
		return err
	}
	return p.do(func() error { return syscall.Sethostname([]byte(NodeName)) })
}

// do calls f on a thread that is in the place.
func (p *place) do(f func() error) error {
	done := make(chan error, 1)
	p.calls <- func() { done <- f() }
	return <-done
}

// settle puts a thread into the place, which does there what do is given until the place is closed.
func (p *place) settle() error {
	calls, left, entered := make(chan func()), make(chan error, 1), make(chan error, 1)
	go inhabit(p.path, calls, entered, left)
	if err := <-entered; err != nil {
		return err
	}
	p.calls, p.left = calls, left
	return nil
}

// inhabit is what the thread does. It is never given back, nor does it end before the process: the kernel ends with a
// thread all programs that it has started with PR_SET_PDEATHSIG, and this one may have done so for others before.
func inhabit(path func(namespace string) string, calls <-chan func(), entered, left chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() { // the thread that a process is known by stays where it is; while it is held another is taken
		err := make(chan error, 1)
		go inhabit(path, calls, err, left)
		entered <- <-err
		runtime.UnlockOSThread()
		return
	}
	back, err := enter(path)
	entered <- err
	if err == nil {
		for f := range calls {
			f()
		}
		left <- back()
	}
	select {}
}

// enter moves the thread into the namespaces with these paths; back moves it to where it was.
func enter(path func(namespace string) string) (back func() error, err error) {
	var in, out []*os.File
	defer func() {
		for _, f := range in {
			f.Close()
		}
		if err != nil {
			for _, f := range out {
				f.Close()
			}
		}
	}()
	for _, ns := range namespaces { // all of them before /proc is another one
		for _, one := range []struct {
			files *[]*os.File
			path  string
		}{{&in, path(ns.name)}, {&out, "/proc/thread-self/ns/" + ns.name}} {
			file, err := os.Open(one.path)
			if err != nil {
				return nil, err
			}
			*one.files = append(*one.files, file)
		}
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // what else may not enter mounts
		return nil, fmt.Errorf("unshare: %w", err)
	}
	if err := setns(in, "entering"); err != nil {
		return nil, errors.Join(err, setns(out, "leaving for"))
	}
	return func() error {
		err := setns(out, "leaving for")
		for _, f := range out {
			f.Close()
		}
		return err
	}, nil
}

// setns moves the thread into namespaces, in their order.
func setns(files []*os.File, what string) error {
	for i, ns := range namespaces {
		if err := unix.Setns(int(files[i].Fd()), ns.flag); err != nil {
			return fmt.Errorf("%s the %s namespace: %w", what, ns.name, err)
		}
	}
	return nil
}

// start starts a program in the place; its process id is that of the machine.
func (p *place) start(cmd *exec.Cmd) error { return p.do(cmd.Start) }

// output runs a program in the place and returns what it says.
func (p *place) output(cmd *exec.Cmd) (string, error) { return output(cmd, p.start) }

// onMachine runs a program outside of any place.
func onMachine(name string, args ...string) (string, error) {
	return output(exec.Command(name, args...), (*exec.Cmd).Start)
}

func output(cmd *exec.Cmd, start func(*exec.Cmd) error) (string, error) {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	err := start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w: %s", cmd.Args, err, said.String())
	}
	return said.String(), nil
}

// network are the addresses of a cluster, out of those that are kept for tests of
// network devices (RFC 2544, 198.18.0.0/15).
type network struct {
	host, node     netip.Addr
	pods, services netip.Prefix
}

// linkPrefix begins the names of interfaces that lead to clusters.
const linkPrefix = "watchpost"

// linkFile is where a cluster's folder has the name of its interface, for Sweep.
const linkFile = "link"

// connect makes the interface that leads into the place, with the first addresses that
// no other cluster has.
func (p *place) connect() (network, error) {
	var err error
	for n := 0; n < 256; n += 2 {
		link := linkPrefix + strconv.Itoa(n)
		if _, missing := net.InterfaceByName(link); missing == nil {
			continue
		}
		pid := strconv.Itoa(p.first.Process.Pid)
		if _, err = onMachine("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pid); err != nil {
			continue // taken in the meantime, or the error that is told below
		}
		p.link = link
		if err := os.WriteFile(filepath.Join(p.dir, linkFile), []byte(link), 0o600); err != nil {
			return network{}, err
		}
		if _, err := onMachine("ip", "link", "set", link, "alias", p.dir); err != nil { // for people, and testguard
			return network{}, err
		}
		addresses := network{
			host: netip.AddrFrom4([4]byte{198, 18, byte(n), 1}), node: netip.AddrFrom4([4]byte{198, 18, byte(n), 2}),
			pods:     netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(n + 1), 0}), 24),
			services: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, byte(n), 0}), 24),
		}
		return addresses, p.route(addresses)
	}
	return network{}, fmt.Errorf("no interface for the cluster: %w", err)
}

func (p *place) route(n network) error {
	inside := fmt.Sprintf("ip addr add %s/30 dev eth0; ip link set eth0 up; ip route add default via %s", n.node, n.host)
	if _, err := p.output(exec.Command("sh", "-ec", inside)); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"addr", "add", n.host.String() + "/30", "dev", p.link}, {"link", "set", p.link, "up"},
		{"route", "add", n.pods.String(), "via", n.node.String()}, {"route", "add", n.services.String(), "via", n.node.String()},
	} {
		if _, err := onMachine("ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// close ends all processes of the place, and with them what is mounted and its network.
func (p *place) close() error {
	var left error
	if p.calls != nil {
		close(p.calls)
		left = <-p.left
	}
	p.stdin.Close()
	p.first.Process.Kill() // fails where it has ended
	p.first.Wait()         // returns when all others in the place are gone, too
	return errors.Join(left, unlink(p.link))
}

// unlink removes the interface that leads into a place, if it is there: the network of
// which it is the end may outlive the processes by a minute, for the sake of connections
// that are being closed.
func unlink(link string) error {
	if link == "" {
		return nil
	}
	if _, err := net.InterfaceByName(link); err != nil {
		return nil // went with the other end
	}
	if _, err := onMachine("ip", "link", "delete", link); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
		return err
	}
	return nil
}
