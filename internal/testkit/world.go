package testkit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inWorld is set, to the name of the test, where a test runs in a world of its own.
const inWorld = "WATCHPOST_TEST_WORLD"

// World runs test in a world of its own: a new process, the first of its PID
// namespace, in mount and network namespaces that are new as well, with /proc and
// /sys that show them and a loopback interface that is up. What the test mounts,
// makes or gets stuck in there is nobody else's, and the kernel takes it away with
// the process. It calls the test binary again for the test at hand, so it has to be
// the whole of a top-level test. Without root, or where the kernel has no such
// namespaces, the test is skipped.
func World(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inWorld) == t.Name() {
		if err := enterWorld(); err != nil {
			t.Skip("no world can be made here: ", err)
		}
		test(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^" + regexp.QuoteMeta(t.Name()) + "$", "-test.v"}
	if end, ok := t.Deadline(); ok {
		args = append(args, fmt.Sprintf("-test.timeout=%s", time.Until(end)))
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), inWorld+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	// Pdeathsig is of the thread that starts it, which must live as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		t.Skip("no namespaces can be made here: ", err)
	case err != nil:
		t.Fatalf("in a world of its own: %v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name()+" ")):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")):
		t.Fatalf("the test did not run in its world:\n%s", out)
	}
	t.Logf("%s", out)
}

func enterWorld() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("process %d is not the first", os.Getpid())
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	const loopback = 1 // its index, in every network namespace
	return linkUp(loopback)
}
