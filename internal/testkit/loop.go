package testkit

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Loop is a loop device, loop(4).
type Loop struct {
	Name    string // as in /sys/block
	number  int
	control int
	device  int
}

// NewLoop makes a loop device that was not there before, of a file that it writes
// at path. The file is let go of when the process ends, however that happens.
func NewLoop(path string) (_ *Loop, err error) {
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		return nil, err
	}
	file, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	defer unix.Close(file) // the device keeps its own
	l := &Loop{device: -1}
	if l.control, err = unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("opening /dev/loop-control: %w", err)
	}
	const anyNumber = ^uintptr(0)
	number, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l.control), unix.LOOP_CTL_ADD, anyNumber)
	if errno != 0 {
		unix.Close(l.control)
		return nil, fmt.Errorf("adding a loop device: %w", errno)
	}
	l.number = int(number)
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Remove())
		}
	}()
	l.Name = fmt.Sprintf("loop%d", l.number)
	if l.device, err = unix.Open("/dev/"+l.Name, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("opening /dev/%s: %w", l.Name, err)
	}
	config := unix.LoopConfig{Fd: uint32(file), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	if err = unix.IoctlLoopConfigure(l.device, &config); err != nil {
		return nil, fmt.Errorf("attaching %s to /dev/%s: %w", path, l.Name, err)
	}
	return l, nil
}

// Remove lets go of the file and takes the device away.
func (l *Loop) Remove() error {
	if l.device >= 0 {
		unix.IoctlSetInt(l.device, unix.LOOP_CLR_FD, 0) // an error: it had no file
		unix.Close(l.device)
	}
	defer unix.Close(l.control)
	var err error
	for range 200 { // udev may be looking at it
		if err = unix.IoctlSetInt(l.control, unix.LOOP_CTL_REMOVE, l.number); err != unix.EBUSY {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", l.Name, err)
	}
	return nil
}
