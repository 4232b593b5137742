package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// gcPercent is the growth of the heap at which a small agent collects garbage,
// unless GOGC says otherwise. With some 2 MB alive a collection takes 0.2 ms, so
// memory is dearer to it than the time of one collection in thirty scrapes.
const gcPercent = 50

// Settle makes a small agent small once it has started: garbage is collected
// early from now on, what starting up took of the heap is given back, and so are
// the pages of the program file that were mapped. Those are clean: what is needed
// again comes back from the page cache, the rest (parsing flags, making tables)
// never does. An error says what stayed; nothing depends on it.
func Settle() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	debug.FreeOSMemory()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(string(maps)) {
		if begin, end, ok := readOnlyPart(strings.TrimSuffix(line, "\n"), exe); ok {
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, begin, end-begin, unix.MADV_DONTNEED); errno != 0 {
				errs = append(errs, fmt.Errorf("madvise of %s: %w", line, errno))
			}
		}
	}
	return errors.Join(errs...)
}

// readOnlyPart reads a line of /proc/PID/maps (proc_pid_maps(5)): the addresses of
// a mapping of the file exe that cannot be written.
//
//	00400000-009f5000 r-xp 00000000 fe:00 1234    /usr/bin/node-agent
func readOnlyPart(line, exe string) (begin, end uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) != 6 || f[5] != exe || strings.Contains(f[1], "w") {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(f[0], "%x-%x", &begin, &end); err != nil || begin >= end {
		return 0, 0, false
	}
	return begin, end, true
}
