package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gcPercent is the growth of the heap at which a small agent collects garbage,
// unless GOGC says otherwise. With some 2 MB alive a collection takes 0.2 ms, so
// memory is dearer to it than the time of one collection in thirty scrapes.
const gcPercent = 50

// Settle makes a small agent small once it has started: garbage is collected
// early from now on, and Trim.
func Settle() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return Trim()
}

// Trim gives back what starting up took of the heap, and the pages of the program
// file that were mapped. Those are clean: what is needed
// again comes back from the page cache, page by page where the kernel agrees, the
// rest (parsing flags, making tables) never does. The runtime's own timers are
// made lazy. An error says what could not be had; nothing depends on it.
// docs/design/footprint.md has the reasons and the numbers.
func Trim() error {
	debug.FreeOSMemory()
	return errors.Join(relaxTimers(), releaseFile())
}

// releaseFile gives back what is mapped of the program file.
func releaseFile() error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	faults, err := newExactFaults()
	errs := []error{err}
	for line := range strings.Lines(string(maps)) {
		begin, end, ok := readOnlyPart(strings.TrimSuffix(line, "\n"), exe)
		if !ok {
			continue
		}
		errs = append(errs, faults.in(begin, end))
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, begin, end-begin, unix.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("madvise of %s: %w", line, errno))
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

// exactFaults makes the kernel map one page at a fault, the one that is needed.
// Otherwise it maps the sixteen around it (fault_around_bytes), which for a
// program that runs a small part of itself is three times what it reads. The
// kernel leaves that out in memory whose writes userfaultfd(2) tracks, so that is
// asked for: nothing is ever written there, and no event is ever sent. It needs
// Linux 6.7; a container's seccomp profile may refuse it.
type exactFaults struct{ fd uintptr } // stays open: closing it ends the tracking

// Of <linux/userfaultfd.h>, which x/sys/unix does not have.
const (
	uffdUserModeOnly = 1          // UFFD_USER_MODE_ONLY: no privilege needed
	uffdAPI          = 0xaa       // UFFD_API
	uffdAsync        = 1 << 15    // UFFD_FEATURE_WP_ASYNC: the kernel resolves faults itself
	uffdModeWP       = 1 << 1     // UFFDIO_REGISTER_MODE_WP
	uffdioAPI        = 0xc018aa3f // UFFDIO_API, with the numbers of most architectures
	uffdioRegister   = 0xc020aa00 // UFFDIO_REGISTER, the same
)

func newExactFaults() (*exactFaults, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|uffdUserModeOnly, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("userfaultfd: %w", errno)
	}
	api := struct{ api, features, ioctls uint64 }{api: uffdAPI, features: uffdAsync}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdioAPI, uintptr(unsafe.Pointer(&api))); errno != 0 {
		unix.Close(int(fd))
		return nil, fmt.Errorf("asynchronous userfaultfd: %w", errno)
	}
	return &exactFaults{fd}, nil
}

// in is for the addresses from begin to end.
func (f *exactFaults) in(begin, end uintptr) error {
	if f == nil {
		return nil // refused, which was told
	}
	r := struct{ start, length, mode, ioctls uint64 }{start: uint64(begin), length: uint64(end - begin), mode: uffdModeWP}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.fd, uffdioRegister, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return fmt.Errorf("userfaultfd of %x-%x: %w", begin, end, errno)
	}
	return nil
}

// timerSlack is by how much the kernel may wake a thread late, in nanoseconds.
// While a goroutine runs, the runtime's monitor sleeps for 20 µs at a time and
// then looks after it; with the kernel's own slack of 50 µs that is a tenth of
// what a scrape costs. A millisecond is little beside the shortest wait of ours.
const timerSlack = 1_000_000

// relaxTimers sets the slack of every thread; those that are begun later inherit
// it. Other threads than the caller's need CAP_SYS_NICE (proc_pid_timerslack_ns(5)).
func relaxTimers() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		name := "/proc/" + t.Name() + "/timerslack_ns"
		if err := os.WriteFile(name, fmt.Append(nil, timerSlack), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
