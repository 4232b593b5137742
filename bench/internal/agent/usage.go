package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage reads what a process costs from /proc.
type Usage struct {
	Pid   int
	root  string                   // /proc, or a test's
	tasks map[string]time.Duration // last known CPU of each thread, also of those that ended
}

// NewUsage is for the process with that pid.
func NewUsage(pid int) *Usage {
	return &Usage{Pid: pid, root: "/proc", tasks: make(map[string]time.Duration)}
}

func (u *Usage) path(names ...string) string {
	return filepath.Join(append([]string{u.root, strconv.Itoa(u.Pid)}, names...)...)
}

// CPU is the time that all threads of the process ran so far, to the
// nanosecond, from /proc/PID/task/TID/schedstat (kernel:
// Documentation/scheduler/sched-stats.rst): "time on the cpu, time waiting for
// it, times it got it". A thread that ended keeps the time it was last seen with.
func (u *Usage) CPU() (time.Duration, error) {
	tids, err := os.ReadDir(u.path("task"))
	if err != nil {
		return 0, err
	}
	for _, t := range tids {
		name := u.path("task", t.Name(), "schedstat")
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread ended meanwhile
		}
		if err != nil {
			return 0, err
		}
		if u.tasks[t.Name()], err = parseSchedstat(b); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	var sum time.Duration
	for _, ran := range u.tasks {
		sum += ran
	}
	return sum, nil
}

func parseSchedstat(b []byte) (time.Duration, error) {
	ran, _, _ := bytes.Cut(b, []byte(" "))
	ns, err := strconv.ParseUint(string(ran), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("no running time in %q", b)
	}
	return time.Duration(ns), nil
}

// RSS is the memory of the process that is resident now, in bytes, from
// smaps_rollup, which counts pages; status, which the kernel updates late, is
// read where that is missing.
func (u *Usage) RSS() (int64, error) {
	n, err := u.kilobytes("smaps_rollup", "Rss:")
	if errors.Is(err, fs.ErrNotExist) {
		n, err = u.kilobytes("status", "VmRSS:")
	}
	return n, err
}

// PeakRSS is the most that was resident at any time, or since ResetPeakRSS, in bytes.
func (u *Usage) PeakRSS() (int64, error) { return u.kilobytes("status", "VmHWM:") }

// ResetPeakRSS lets the peak begin anew at what is resident now (kernel:
// Documentation/filesystems/proc.rst, clear_refs).
func (u *Usage) ResetPeakRSS() error {
	return os.WriteFile(u.path("clear_refs"), []byte("5"), 0)
}

// kilobytes finds "field   123 kB" in a file of the process; the result is in bytes.
func (u *Usage) kilobytes(file, field string) (int64, error) {
	name := u.path(file)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, field)
		if !ok {
			continue
		}
		number, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		n, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil {
			return 0, fmt.Errorf("%s: no size in kB in %q", name, line)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("%s: no line %q", name, field)
}
