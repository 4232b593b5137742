// Package testguard sees to it that the tests of a package leave nothing on the machine.
//
// The tests run in a process of their own, with a temporary folder of their own. Around
// it stands the guard: a process that only waits, and looks before and after. What is
// left of processes, mounts, interfaces, named network namespaces and temporary files it
// names, and tests that passed have failed then; what is the tests' own it takes away.
// It does so however they end: after a panic, a time limit, Ctrl-C or a kill as well.
//
// What was killed together with its guard goes with the next start of one.
package testguard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guarded is set in the process that runs the tests, and in all that it starts.
const guarded = "WATCHPOST_TESTS_GUARDED"

// folderPrefix begins the names of temporary folders. It is short, for the sake of
// sockets below, whose paths have at most 107 bytes.
const folderPrefix = "wptests-"

// pollInterval is how often that is looked at.
const pollInterval = 50 * time.Millisecond

// Main is for TestMain: it calls run in the process of the tests, and returns the exit
// code. sweep takes away what, of things in a temporary folder whose processes are gone,
// is elsewhere on the machine.
func Main(run func() int, sweep func(tmp string) error) int {
	if os.Getenv(guarded) != "" {
		return run()
	}
	return guardTests(sweep, 10*time.Second)
}

// guardTests is Main in the guard.
func guardTests(sweep func(tmp string) error, grace time.Duration) int {
	g, err := newGuard(sweep, grace)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testguard:", err)
		return 1
	}
	code, err := g.runTests()
	left := g.clean(code == 0)
	for _, what := range left {
		fmt.Fprintln(os.Stderr, "testguard: left behind:", what)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testguard:", err)
	}
	if code == 0 && (err != nil || len(left) > 0) {
		fmt.Println("FAIL")
		return 1
	}
	return code
}

// guard is what a guard knows.
type guard struct {
	tmp    string
	lock   *os.File // says that the guard lives
	sweep  func(tmp string) error
	grace  time.Duration // what has been told to end may take as long to be gone
	before machine
}

func newGuard(sweep func(string) error, grace time.Duration) (*guard, error) {
	g := &guard{sweep: sweep, grace: grace}
	if err := sweepOthers(sweep, grace); err != nil {
		return nil, err
	}
	var err error
	if g.before, err = readMachine(); err != nil {
		return nil, err
	}
	if g.tmp, err = os.MkdirTemp("", folderPrefix); err != nil {
		return nil, err
	}
	if g.tmp, err = filepath.Abs(g.tmp); err != nil {
		return nil, err
	}
	if err := os.Chmod(g.tmp, 0o1777); err != nil { // as /tmp: tests become other users
		return nil, err
	}
	if g.lock, err = Lock(g.tmp); err != nil {
		return nil, errors.Join(err, os.RemoveAll(g.tmp))
	}
	// What loses its parent becomes the guard's child, so that nothing gets away.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("PR_SET_CHILD_SUBREAPER: %w", err), g.remove())
	}
	return g, nil
}

// Lock holds a folder, until the file is closed or this process ends. Its error is that
// another has it.
func Lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// runTests runs the test binary once more, and takes the end of all processes whose
// parent is gone. Signals are passed on; that the guard's own parent has ended, such as
// a go command that was killed, ends the tests too.
func (g *guard) runTests() (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), guarded+"=1", "TMPDIR="+g.tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose end would be taken for that of the guard
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	go reap(cmd.Process.Pid, ended)
	parent := os.Getppid()
	orphaned := time.NewTicker(time.Second)
	defer orphaned.Stop()
	for {
		select {
		case s := <-signals:
			err = fmt.Errorf("the tests were told to end: %v", s)
			cmd.Process.Signal(s) // fails where they have ended
		case <-orphaned.C:
			if os.Getppid() != parent {
				err = errors.New("who started the tests has ended")
				cmd.Process.Kill()
			}
		case status := <-ended:
			if status.Signaled() {
				return 1, errors.Join(err, fmt.Errorf("the tests were ended by a signal: %v", status.Signal()))
			}
			return status.ExitStatus(), err
		}
	}
}

// reap takes the end of processes until that of the one given.
func reap(pid int, ended chan<- syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		if got == pid {
			ended <- status
			return
		}
		if err != nil && err != syscall.EINTR { // it is a child, so that cannot be
			panic(err)
		}
	}
}

// clean ends and removes what is left, and names it. After tests that have passed
// processes get a moment to end by themselves.
func (g *guard) clean(passed bool) (left []string) {
	processes, cgroups := g.endProcesses(passed)
	left = append(left, processes...)
	if passed {
		left = append(left, g.files()...)
	}
	problem := func(err error) {
		if err != nil {
			left = append(left, err.Error())
		}
	}
	problem(g.sweep(g.tmp))
	for _, cgroup := range cgroups {
		removeCgroup(cgroup)
	}
	left = append(left, g.restore(passed)...)
	problem(g.remove())
	return left
}

// files are what is left in the temporary folder.
func (g *guard) files() (left []string) {
	entries, err := os.ReadDir(g.tmp)
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		left = append(left, "temporary file "+e.Name())
	}
	return left
}

// remove removes the temporary folder.
func (g *guard) remove() error {
	return errors.Join(os.RemoveAll(g.tmp), g.lock.Close())
}

// sweepOthers takes away what guards that were killed have left: processes that have
// such a temporary folder in their environment, and the folders.
func sweepOthers(sweep func(tmp string) error, grace time.Duration) error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return err
	}
	var problems []error
	for _, dir := range dirs {
		held, err := Lock(dir)
		if err != nil {
			continue // its guard lives
		}
		cgroups := endAll(grace, func() []process { return ofFolder(dir) })
		problems = append(problems, sweep(dir))
		for _, cgroup := range cgroups {
			removeCgroup(cgroup)
		}
		mounts, err := readMounts()
		problems = append(problems, err, unmount(below(mounts, dir)), removeLinks(dir), os.RemoveAll(dir), held.Close())
	}
	return errors.Join(problems...)
}

// within tells whether a path is a folder or in it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
