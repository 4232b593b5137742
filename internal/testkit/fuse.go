package testkit

import (
	"encoding/binary"
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// FUSE is a mounted file system that holds nothing and is told when to answer, by
// the protocol of /dev/fuse itself (kernel: Documentation/filesystems/fuse). Its
// device is "never", its type "fuse", its size 1000 blocks of 4096 bytes.
type FUSE struct {
	fd     int
	mu     sync.Mutex
	cond   *sync.Cond
	hangs  bool
	statfs int // how often it was asked
}

// Opcodes of linux/fuse.h.
const (
	fuseForget      = 2
	fuseGetattr     = 3
	fuseStatfs      = 17
	fuseInit        = 26
	fuseOpendir     = 27
	fuseReaddir     = 28
	fuseReleasedir  = 29
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

// MountFUSE mounts one on dir, for the test that runs in a World. Where that
// cannot be done the test is skipped.
func MountFUSE(t *testing.T, dir string) *FUSE {
	t.Helper()
	if os.Getenv(inWorld) == "" {
		t.Fatal("outside of a World all of the host could get stuck in it")
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("/dev/fuse: ", err)
	}
	s := &FUSE{fd: fd}
	s.cond = sync.NewCond(&s.mu)
	options := "fd=" + strconv.Itoa(fd) + ",rootmode=40000,user_id=0,group_id=0,allow_other"
	if err := unix.Mount("never", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(fd)
		t.Skip("FUSE cannot be mounted here: ", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	t.Cleanup(func() {
		s.Hang(false)
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
		<-done // the kernel ends the conversation when the last mount is gone
		unix.Close(fd)
	})
	return s
}

// Hang tells it to leave what it is asked unanswered, and later to answer after all.
func (s *FUSE) Hang(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = yes
	s.cond.Broadcast()
}

// Asked is how often it was asked for its size (statfs).
func (s *FUSE) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statfs
}

// serve reads requests (struct fuse_in_header and what belongs to it) until the
// file system is unmounted.
func (s *FUSE) serve() {
	b := make([]byte, 1<<18)
	ne := binary.NativeEndian
	for {
		n, err := unix.Read(s.fd, b)
		if err == unix.EINTR || err == unix.ENOENT { // the latter: the request was taken back
			continue
		}
		if err != nil || n < 40 {
			return
		}
		unique, opcode := ne.Uint64(b[8:]), ne.Uint32(b[4:])
		switch opcode {
		case fuseForget, fuseBatchForget, fuseInterrupt: // want no answer
		case fuseInit: // struct fuse_init_out
			out := make([]byte, 64)
			ne.PutUint32(out, 7)
			ne.PutUint32(out[4:], min(ne.Uint32(b[44:]), 31))
			ne.PutUint32(out[20:], 4096) // largest write
			s.answer(unique, 0, out)
		default:
			go s.tell(unique, opcode)
		}
	}
}

// tell answers one question, if need be when it no longer hangs.
func (s *FUSE) tell(unique uint64, opcode uint32) {
	s.mu.Lock()
	if opcode == fuseStatfs {
		s.statfs++
	}
	for s.hangs {
		s.cond.Wait()
	}
	s.mu.Unlock()
	ne := binary.NativeEndian
	var out []byte
	switch opcode {
	case fuseStatfs: // struct fuse_kstatfs
		for _, n := range []uint64{1000, 500, 250, 9, 7} {
			out = ne.AppendUint64(out, n)
		}
		for _, n := range []uint32{1 << 17, 255, 4096, 0, 0, 0, 0, 0, 0, 0} { // block, name, fragment
			out = ne.AppendUint32(out, n)
		}
	case fuseGetattr: // struct fuse_attr_out: a folder, to be asked again at once
		out = make([]byte, 104)
		ne.PutUint64(out[16:], 1)
		ne.PutUint32(out[76:], unix.S_IFDIR|0o755)
		ne.PutUint32(out[80:], 2)
	case fuseOpendir: // struct fuse_open_out
		out = make([]byte, 16)
	case fuseReaddir, fuseReleasedir: // nothing in it
	default:
		s.answer(unique, unix.ENOSYS, nil)
		return
	}
	s.answer(unique, 0, out)
}

func (s *FUSE) answer(unique uint64, problem unix.Errno, body []byte) {
	ne := binary.NativeEndian
	out := ne.AppendUint32(nil, uint32(16+len(body)))
	out = ne.AppendUint32(out, uint32(-int32(problem)))
	out = ne.AppendUint64(out, unique)
	unix.Write(s.fd, append(out, body...))
}
