package testguard

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asked is set, to the name of what to do, where the test binary is a package whose tests are guarded.
const asked = "WATCHPOST_GUARD_TEST"

func TestMain(m *testing.M) {
	if name := os.Getenv(asked); name != "" {
		if os.Getenv(guarded) != "" {
			os.Exit(Main(guardedTests[name], nil))
		}
		grace := 500 * time.Millisecond
		if name == "ends soon" {
			grace = time.Minute
		}
		os.Exit(guardTests(func(tmp string) error {
			fmt.Println("swept", filepath.Base(tmp))
			return nil
		}, grace))
	}
	os.Exit(m.Run())
}

// shell runs a script, whose own children may outlive it.
func shell(script string) {
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		fmt.Printf("%v: %s\n", err, out)
		os.Exit(7)
	}
}

// daemon is a shell script that leaves a process behind, without parent, session and output.
const daemon = `setsid sleep 4711 </dev/null >/dev/null 2>&1 &`

// guardedTests are what the tests of such a package do.
var guardedTests = map[string]func() int{
	"nothing": func() int { return 0 },
	"failure": func() int { return 3 },
	"ends soon": func() int {
		shell(`setsid sleep 1 </dev/null >/dev/null 2>&1 &`)
		return 0
	},
	"process": func() int { shell(daemon); return 0 },
	"file":    func() int { shell(`echo >"$TMPDIR/forgotten"`); return 0 },
	"mount":   func() int { shell(`mkdir "$TMPDIR/m" && mount -t tmpfs none "$TMPDIR/m"`); return 0 },
	"interface": func() int {
		shell(`ip link add wptest0 type bridge && ip link set wptest0 alias "$TMPDIR/bridge"`)
		return 0
	},
	"namespace": func() int { shell(`mkdir -p /run/netns && echo >/run/netns/wptest0`); return 0 },
	"panic": func() int {
		shell(daemon)
		panic("in a test")
	},
	"waits": func() int {
		shell(daemon)
		shell(`mkdir "$TMPDIR/m" && mount -t tmpfs none "$TMPDIR/m"`)
		shell(`ip link add wptest1 type bridge && ip link set wptest1 alias "$TMPDIR/bridge"`)
		fmt.Println("waits")
		time.Sleep(time.Hour)
		return 0
	},
}

// guardedRun is a guarded package that runs.
type guardedRun struct {
	*exec.Cmd
	tmp  string // where temporary folders are made
	said bytes.Buffer
}

func start(t *testing.T, name, tmp string) *guardedRun {
	t.Helper()
	g := &guardedRun{Cmd: exec.Command(os.Args[0]), tmp: tmp}
	g.Env = append(os.Environ(), asked+"="+name, "TMPDIR="+tmp)
	g.Stdout, g.Stderr = &g.said, &g.said
	g.WaitDelay = time.Minute
	g.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return g
}

// code is the exit code.
func (g *guardedRun) code(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return g.ProcessState.ExitCode()
}

// gone is that nothing is left of it.
func (g *guardedRun) gone(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(g.tmp)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", entries, err)
	}
	for _, p := range running() {
		line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "environ"))
		if bytes.Contains(line, []byte("TMPDIR="+g.tmp)) && !p.ended {
			t.Errorf("left: %s", p.name())
		}
	}
	mounts, err := readMounts()
	if err != nil || len(below(mounts, g.tmp)) > 0 {
		t.Errorf("mounts are left: %v, %v", below(mounts, g.tmp), err)
	}
	for _, name := range []string{"wptest0", "wptest1"} {
		if _, err := net.InterfaceByName(name); err == nil {
			t.Errorf("left: interface %s", name)
		}
	}
}

func TestMainOfTests(t *testing.T) {
	for _, test := range []struct {
		name string
		root bool
		code int
		says string // "" for nothing that is left
	}{
		{name: "nothing"},
		{name: "failure", code: 3},
		{name: "ends soon"},
		{name: "process", code: 1, says: "sleep 4711"},
		{name: "file", code: 1, says: "temporary file forgotten"},
		{name: "mount", root: true, code: 1, says: "mount "},
		{name: "interface", root: true, code: 1, says: "interface wptest0"},
		{name: "namespace", root: true, code: 1, says: "network namespace /run/netns/wptest0"},
		{name: "panic", code: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.root && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			if test.name == "namespace" {
				t.Cleanup(func() { os.Remove("/run/netns/wptest0") }) // whose it is nothing tells
			}
			g := start(t, test.name, t.TempDir())
			if code := g.code(t, g.Run()); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			said := g.said.String()
			if test.says == "" && strings.Contains(said, "left behind") || !strings.Contains(said, test.says) || !strings.Contains(said, "swept "+folderPrefix) {
				t.Errorf("it says %q, want %q", said, test.says)
			}
			g.gone(t)
		})
	}
}

// begin starts tests that wait, and returns when they do.
func begin(t *testing.T, tmp string) *guardedRun {
	t.Helper()
	g := start(t, "waits", tmp)
	g.Stdout = nil
	out, err := g.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := out.Read(b); err != nil || string(b[:n]) != "waits\n" {
		t.Fatalf("%q, %v", b[:n], err)
	}
	return g
}

// Whatever ends them, nothing is left.
func TestCutShort(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(signal.String(), func(t *testing.T) {
			g := begin(t, t.TempDir())
			if err := g.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if code := g.code(t, g.Wait()); code == 0 || !strings.Contains(g.said.String(), "were told to end: "+signal.String()) {
				t.Errorf("exit code %d, it says %q", code, g.said.String())
			}
			g.gone(t)
		})
	}
	t.Run("the guard is killed", func(t *testing.T) {
		tmp := t.TempDir()
		g := begin(t, tmp)
		if err := g.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		g.code(t, g.Wait())
		left, err := os.ReadDir(tmp)
		if err != nil || len(left) != 1 {
			t.Fatalf("%v, %v", left, err)
		}
		next := start(t, "nothing", tmp)
		if code := next.code(t, next.Run()); code != 0 || !strings.Contains(next.said.String(), "swept "+left[0].Name()) {
			t.Errorf("the next one: exit code %d, it says %q", code, next.said.String())
		}
		next.gone(t)
	})
}
