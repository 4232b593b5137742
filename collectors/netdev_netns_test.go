package collectors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

// processElsewhere starts a process in a network namespace of its own, where the
// loopback is up and has passed some packets.
func processElsewhere(t testing.TB) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Skip("no network namespace can be made here: ", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	failed := make(chan error, 1)
	onSpareThread(func() { failed <- sendThere(cmd.Process.Pid) })
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return cmd
}

// sendThere enters the namespace of a process, switches the loopback on and sends
// packets through it.
func sendThere(pid int) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		return err
	}
	for range 7 {
		if err := unix.Sendto(fd, make([]byte, 1000), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil && err != unix.ECONNREFUSED {
			return err
		}
	}
	return nil
}

// threads are how many this process has.
func threads(t *testing.T) int {
	t.Helper()
	names, err := hostfs.ReadDirNames("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestNetdevNetns(t *testing.T) {
	first, second := processElsewhere(t), processElsewhere(t)
	// What ip-netns(8) makes is a mount; a link is followed just so.
	root := t.TempDir()
	named := filepath.Join(root, "run/netns/blue")
	write(t, named, fmt.Sprintf("-> /proc/%d/ns/net", first.Process.Pid), false)
	write(t, filepath.Join(root, "run/netns/here"), "-> /proc/self/ns/net", false)
	write(t, filepath.Join(root, "elsewhere/cni-1"), fmt.Sprintf("-> /proc/%d/ns/net", second.Process.Pid), false)
	second2 := fmt.Sprintf("/proc/%d/ns/net", second.Process.Pid)

	cfg := on(hostfs.FS{Proc: "/proc", Sys: "/sys", Root: root})
	for _, tc := range []struct {
		patterns []string
		labels   []string // of the first and the second; empty where it is not told of
	}{
		{[]string{"blue"}, []string{"blue", ""}},
		{[]string{"b*"}, []string{"blue", ""}},
		{[]string{"*", "/elsewhere/cni-*", second2}, []string{"blue", "/elsewhere/cni-1"}},
		{[]string{second2, "nothing-*"}, []string{"", second2}},
		{[]string{"/run/netns/blue", "/elsewhere/../elsewhere/cni-?"}, []string{"blue", "/elsewhere/cni-1"}},
	} {
		cfg.Netdev.Netns = tc.patterns
		c := make1(t, "netdev", cfg)
		for range 2 {
			v := values(t, render(t, c))
			for i, pid := range []int{first.Process.Pid, second.Process.Pid} {
				series := `node_network_receive_bytes_total{device="lo",netns="` + tc.labels[i] + `"}`
				if tc.labels[i] == "" {
					continue
				}
				want := make1(t, "netdev", Config{FS: hostfs.FS{Proc: fmt.Sprintf("/proc/%d", pid)}})
				told := values(t, render(t, want))
				for name, series := range map[string]string{
					"node_network_receive_bytes_total":      series,
					"node_network_transmit_packets_total":   strings.Replace(series, "receive_bytes", "transmit_packets", 1),
					"node_network_receive_compressed_total": strings.Replace(series, "receive_bytes", "receive_compressed", 1),
				} {
					if got, ok := v[series]; !ok || got != told[name+`{device="lo"}`] {
						t.Errorf("%q: %s: %v (%v), want %v", tc.patterns, series, got, ok, told[name+`{device="lo"}`])
					}
				}
				if v[series] < 7000 {
					t.Errorf("%q: %s: only %v bytes", tc.patterns, series, v[series])
				}
			}
			spaces := make(map[string]bool)
			for series := range v {
				if _, label, found := strings.Cut(series, `netns="`); !found {
					t.Fatalf("%s has no label", series)
				} else if strings.HasPrefix(series, "node_network_receive_bytes_total") && strings.Contains(series, `device="lo"`) {
					spaces[strings.TrimSuffix(label, `"}`)] = true
				}
			}
			want := 1 // this one's own
			for _, l := range tc.labels {
				want += min(len(l), 1)
			}
			if len(spaces) != want || !spaces[""] {
				t.Errorf("%q: of %v", tc.patterns, spaces)
			}
		}
	}

	// It takes no thread and no descriptor for good, and leaves the process where it is.
	cfg.Netdev.Netns, cfg.Netdev.LabelIfalias, cfg.Netdev.DeviceInclude = []string{"*", "/elsewhere/*"}, true, "^lo$"
	c := make1(t, "netdev", cfg)
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	before := threads(t)
	for range 100 {
		v := values(t, render(t, c))
		if _, ok := v[`node_network_receive_bytes_total{device="lo",ifalias="",netns="blue"}`]; !ok || len(v) != 3*len(c.(*netdev).rows) {
			t.Fatalf("%v", v)
		}
	}
	if now, _ := os.Readlink("/proc/self/ns/net"); now != here {
		t.Errorf("the process is in %s, was in %s", now, here)
	}
	if n := threads(t); n > before+20 {
		t.Errorf("%d threads, %d before", n, before)
	}

	// A namespace that ends is no error for a pattern, and one for a name.
	first.Process.Kill()
	first.Wait()
	if v := values(t, render(t, c)); len(v) != 2*len(c.(*netdev).rows) {
		t.Errorf("after its end: %v", v)
	}
	if known := c.(*netdev).netns.known; len(known) != 1 {
		t.Errorf("%d namespaces are kept", len(known))
	}
	if err := os.Remove(named); err != nil {
		t.Fatal(err)
	}
	cfg.Netdev.Netns = []string{"blue", "/elsewhere/*"}
	text, err := renderErr(make1(t, "netdev", cfg))
	if err == nil || !strings.Contains(err.Error(), named) || len(values(t, text)) != 2*len(c.(*netdev).rows) {
		t.Errorf("without it: %v\n%s", err, text)
	}
}

// What is no namespace costs nothing but itself.
func TestNetdevNetnsBad(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "run/netns/file"), "text", false)
	write(t, filepath.Join(root, "run/netns/link"), "-> nowhere", false)
	if err := unix.Mkfifo(filepath.Join(root, "run/netns/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := on(hostfs.FS{Proc: "/proc", Sys: "/sys", Root: root})
	cfg.Netdev.DeviceInclude = "^lo$"
	cfg.Netdev.Netns = []string{"*", "missing"}
	text, err := renderErr(make1(t, "netdev", cfg))
	if err == nil || !strings.Contains(err.Error(), "and 2 more") {
		t.Errorf("error %v", err)
	}
	if _, ok := values(t, text)[`node_network_receive_bytes_total{device="lo",netns=""}`]; !ok {
		t.Errorf("its own namespace is missing: %s", text)
	}
	for _, bad := range []string{"", "[", "a/b", "../x", "/run/[x/y]/z"} {
		cfg.Netdev.Netns = []string{bad}
		if _, err := newNetdev(cfg); err == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}

// A visit that takes too long is left behind, and no other is begun meanwhile.
func TestNetdevNetnsSlow(t *testing.T) {
	r, err := newNetnsReader(hostfs.FS{Proc: "/proc", Sys: "/sys", Root: t.TempDir()}, []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	r.visiting = true // and does not come back
	for range 2 {
		if _, err := r.read(t.Context()); !errors.Is(err, errNetnsBusy) {
			t.Errorf("error %v", err)
		}
	}
	r.back <- struct{}{}
	if _, err := r.read(t.Context()); err != nil {
		t.Errorf("when it is back: %v", err)
	}

	elsewhere := processElsewhere(t)
	cfg := on(hostfs.Default)
	cfg.Netdev.Netns = []string{fmt.Sprintf("/proc/%d/ns/net", elsewhere.Process.Pid)}
	c := make1(t, "netdev", cfg)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	reader := c.(*netdev).netns
	if spaces, err := reader.read(ctx); err == nil || len(spaces) > 0 {
		t.Errorf("with no time: %v, %v", spaces, err)
	}
	if reader.visiting {
		<-reader.back
	}
	reader.visiting = true
	if text, err := renderErr(c); !errors.Is(err, errNetnsBusy) || !strings.Contains(text, `netns=""`) {
		t.Errorf("while it is away: %v\n%s", err, text)
	}
	reader.back <- struct{}{}
	until(t, "the next scrape has it", func() bool {
		text, err := renderErr(c)
		return err == nil && strings.Contains(text, `device="lo",netns="/proc/`)
	})
}

// The thread that is thrown away is never the first.
func TestOnSpareThread(t *testing.T) {
	for range 50 {
		tid := make(chan int)
		onSpareThread(func() { tid <- unix.Gettid() })
		if <-tid == unix.Getpid() {
			t.Fatal("it ran on the process' first thread")
		}
		runtime.Gosched()
	}
}

func TestSplitPattern(t *testing.T) {
	for path, want := range map[string]netnsPattern{
		"/run/netns/blue":    {"", "/run/netns/blue"},
		"/run/netns/*":       {"/run/netns/*", ""},
		"/proc/*/ns/net":     {"/proc/*", "/ns/net"},
		"/proc/*/task/*/ns/": {"/proc/*/task/*", "/ns/"},
		"/a[b/c]/d":          {"/a[b", "/c]/d"}, // which is no pattern, and refused before
	} {
		if got := splitPattern(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// What another namespace costs, beside the program's own.
func BenchmarkNetdevNetns(b *testing.B) {
	cfg := DefaultConfig()
	cfg.Netdev.Netns = []string{fmt.Sprintf("/proc/%d/ns/net", processElsewhere(b).Process.Pid)}
	benchmarkCollect(b, make1(b, "netdev", cfg))
}
