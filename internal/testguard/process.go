package testguard

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one that runs.
type process struct {
	pid, parent int
	ended       bool // but for its parent, who has not asked yet
}

// name is what it was started as.
func (p process) name() string {
	dir := filepath.Join("/proc", strconv.Itoa(p.pid))
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if len(line) == 0 || err != nil {
		line, _ = os.ReadFile(filepath.Join(dir, "comm")) // it may have ended
	}
	return fmt.Sprintf("process %d: %.200s", p.pid, bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
}

// cgroups are the control groups that it is in, as /proc/PID/cgroup has them: those of
// one hierarchy in a line, such as "4:memory:/default/web".
func (p process) cgroups() []string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "cgroup"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// running are all processes.
func running() (all []process) {
	names, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended
		}
		// 4235 (the name) S 1 …
		_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
		f := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || len(f) < 2 {
			continue
		}
		parent, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		all = append(all, process{pid: pid, parent: parent, ended: f[0] == "Z" || f[0] == "X"})
	}
	return all
}

// descendants are the processes that this one has started, or that were started by
// those. Whose parent has ended has become this one's child.
func descendants() (found []process) {
	all := running()
	known := map[int]bool{os.Getpid(): true}
	for more := true; more; {
		more = false
		for _, p := range all {
			if known[p.parent] && !known[p.pid] {
				known[p.pid], more = true, true
				if !p.ended {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

// ofFolder are the processes that have a folder as their temporary one.
func ofFolder(dir string) (found []process) {
	want := []byte("TMPDIR=" + dir)
	for _, p := range running() {
		environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "environ"))
		if err == nil && slices.ContainsFunc(bytes.Split(environment, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) {
			found = append(found, p)
		}
	}
	return found
}

// endProcesses ends all that the tests have left running, and names it; in a while it
// may end by itself. cgroups are those that only they were in.
func (g *guard) endProcesses(wait bool) (left, cgroups []string) {
	for end := time.Now().Add(g.grace); wait && time.Now().Before(end) && len(descendants()) > 0; time.Sleep(pollInterval) {
		reapAll()
	}
	for _, p := range descendants() {
		left = append(left, p.name())
	}
	cgroups = endAll(g.grace, func() []process {
		reapAll()
		return descendants()
	})
	for _, p := range descendants() {
		left = append(left, "and cannot be killed: "+p.name())
	}
	if !wait {
		left = nil // of tests that were cut short that is no news
	}
	return left, cgroups
}

// endAll kills processes until there are none, and returns the control groups that they
// were in and this one is not.
func endAll(grace time.Duration, which func() []process) (cgroups []string) {
	mine := process{pid: os.Getpid()}.cgroups()
	for end := time.Now().Add(grace); time.Now().Before(end); time.Sleep(pollInterval) {
		all := which()
		if len(all) == 0 {
			break
		}
		for _, p := range all {
			for _, cgroup := range p.cgroups() {
				if !slices.Contains(mine, cgroup) && !slices.Contains(cgroups, cgroup) {
					cgroups = append(cgroups, cgroup)
				}
			}
			syscall.Kill(p.pid, syscall.SIGKILL) // fails where it has ended
		}
	}
	return cgroups
}

// reapAll takes the end of children that have ended.
func reapAll() {
	for {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
			return
		}
	}
}

// removeCgroup removes a control group, named by a line of /proc/PID/cgroup, and those
// above it, as far as nobody is in them.
func removeCgroup(line string) {
	f := strings.SplitN(line, ":", 3)
	if len(f) != 3 {
		return
	}
	mount := filepath.Join("/sys/fs/cgroup", strings.TrimPrefix(f[1], "name=")) // of version 2: the one itself
	for at := f[2]; at != "/" && at != "."; at = filepath.Dir(at) {
		if err := syscall.Rmdir(filepath.Join(mount, at)); err != nil && err != syscall.ENOENT {
			return // in use
		}
	}
}
