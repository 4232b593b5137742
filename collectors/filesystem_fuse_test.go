package collectors

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

// inMountNamespace is set where the test below runs in a mount namespace of its own.
const inMountNamespace = "WATCHPOST_TEST_MOUNTS"

// TestFilesystemFUSE mounts a file system that is told when to answer, by the
// protocol of /dev/fuse itself. It runs itself again in a mount namespace of its
// own, so that nobody else on this host can get stuck in it.
func TestFilesystemFUSE(t *testing.T) {
	if os.Getenv(inMountNamespace) != "" {
		testFilesystemFUSE(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs FUSE: ", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFilesystemFUSE$", "-test.v")
	cmd.Env = append(os.Environ(), inMountNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		t.Skip("no mount namespace can be made here: ", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
}

func testFilesystemFUSE(t *testing.T) {
	dir := t.TempDir()
	paths := make(map[string]string)
	for _, name := range []string{"slow", "again", "tmp"} {
		paths[name] = filepath.Join(dir, name)
		if err := os.Mkdir(paths[name], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	server := mountFUSE(t, paths["slow"])
	for what, err := range map[string]error{
		"bind mount": unix.Mount(paths["slow"], paths["again"], "", unix.MS_BIND, ""),
		"tmpfs":      unix.Mount("scratch", paths["tmp"], "tmpfs", 0, "size=1m"),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	// The list of this process' namespace, where that of init is looked for.
	fs := tree(t, map[string]string{"proc/1/mountinfo": "-> /proc/self/mountinfo"})
	fs.Root = "/"
	cfg := on(hostfs.FS{Proc: fs.Proc, Sys: "/sys", Root: "/"})
	cfg.Filesystem.MountPointsExclude, cfg.Filesystem.MountPointsInclude = "", "^"+dir
	cfg.Filesystem.MountTimeout, cfg.Filesystem.Duplicates = 300*time.Millisecond, true
	c := make1(t, "filesystem", cfg)
	labels := func(name, problem string) string {
		source, fstype := "never", "fuse"
		if name == "tmp" {
			source, fstype = "scratch", "tmpfs"
		}
		return `{device="` + source + `",device_error="` + problem + `",fstype="` + fstype + `",mountpoint="` + paths[name] + `"}`
	}
	expect := func(v map[string]float64, series string, want float64) {
		t.Helper()
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s: %v (%v), want %v", series, got, ok, want)
		}
	}

	v := values(t, render(t, c))
	for _, name := range []string{"slow", "again"} {
		expect(v, "node_filesystem_size_bytes"+labels(name, ""), 1000*4096) // and not times bsize
		expect(v, "node_filesystem_avail_bytes"+labels(name, ""), 250*4096)
		expect(v, "node_filesystem_files_free"+labels(name, ""), 7)
	}
	if n := server.asked(); n != 1 {
		t.Errorf("asked %d times for two mounts of one file system", n)
	}

	server.hang(true)
	threads := 0
	for scrape := range 20 {
		v := values(t, render(t, c))
		for _, name := range []string{"slow", "again"} {
			expect(v, "node_filesystem_device_error"+labels(name, mountTimeout), 1)
			expect(v, "node_filesystem_readonly"+labels(name, mountTimeout), 0)
		}
		expect(v, "node_filesystem_size_bytes"+labels("tmp", ""), 1<<20)
		if len(v) != 2*2+9 {
			t.Errorf("scrape %d: %v", scrape, v)
		}
		if n := server.asked(); n != 2 {
			t.Fatalf("scrape %d: asked %d times, though it hangs", scrape, n-1)
		}
		n := runtime.NumGoroutine()
		if scrape == 0 {
			threads = n
		} else if n > threads {
			t.Errorf("scrape %d: %d goroutines, %d after the first", scrape, n, threads)
		}
	}

	server.hang(false)
	until(t, "the series are back", func() bool {
		_, ok := values(t, render(t, c))["node_filesystem_size_bytes"+labels("again", "")]
		return ok
	})
	if err := unix.Unmount(paths["slow"], unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	v = values(t, render(t, c))
	expect(v, "node_filesystem_device_error"+labels("again", ""), 0)
	if len(v) != 2*9 {
		t.Errorf("after unmounting one: %v", v)
	}
}

// fuseServer answers the kernel's questions about a file system without files.
type fuseServer struct {
	fd     int
	mu     sync.Mutex
	cond   *sync.Cond
	hangs  bool
	statfs int // how often it was asked
}

// Opcodes of linux/fuse.h.
const (
	fuseForget      = 2
	fuseStatfs      = 17
	fuseInit        = 26
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

func mountFUSE(t *testing.T, dir string) *fuseServer {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("/dev/fuse: ", err)
	}
	s := &fuseServer{fd: fd}
	s.cond = sync.NewCond(&s.mu)
	options := "fd=" + strconv.Itoa(fd) + ",rootmode=40000,user_id=0,group_id=0"
	if err := unix.Mount("never", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		t.Skip("FUSE cannot be mounted here: ", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	t.Cleanup(func() {
		s.hang(false)
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
		unix.Unmount(filepath.Join(filepath.Dir(dir), "again"), unix.MNT_DETACH)
		unix.Unmount(filepath.Join(filepath.Dir(dir), "tmp"), unix.MNT_DETACH)
		<-done // the kernel ends the conversation when the last mount is gone
		unix.Close(fd)
	})
	return s
}

func (s *fuseServer) hang(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = yes
	s.cond.Broadcast()
}

func (s *fuseServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statfs
}

// serve reads requests (struct fuse_in_header and what belongs to it) until the
// file system is unmounted.
func (s *fuseServer) serve() {
	b := make([]byte, 1<<18)
	le := binary.NativeEndian
	for {
		n, err := unix.Read(s.fd, b)
		if err == unix.EINTR || err == unix.ENOENT { // the latter: the request was taken back
			continue
		}
		if err != nil || n < 40 {
			return
		}
		unique := le.Uint64(b[8:])
		switch le.Uint32(b[4:]) {
		case fuseForget, fuseBatchForget, fuseInterrupt: // want no answer
		case fuseInit: // struct fuse_init_out
			out := make([]byte, 64)
			le.PutUint32(out, 7)
			le.PutUint32(out[4:], min(le.Uint32(b[44:]), 31))
			le.PutUint32(out[20:], 4096) // largest write
			s.answer(unique, 0, out)
		case fuseStatfs:
			go s.answerStatfs(unique)
		default:
			s.answer(unique, unix.ENOSYS, nil)
		}
	}
}

// answerStatfs answers, if need be when it no longer hangs.
func (s *fuseServer) answerStatfs(unique uint64) {
	s.mu.Lock()
	s.statfs++
	for s.hangs {
		s.cond.Wait()
	}
	s.mu.Unlock()
	le := binary.NativeEndian
	var out []byte // struct fuse_kstatfs
	for _, n := range []uint64{1000, 500, 250, 9, 7} {
		out = le.AppendUint64(out, n)
	}
	for _, n := range []uint32{1 << 17, 255, 4096, 0, 0, 0, 0, 0, 0, 0} { // block, name, fragment
		out = le.AppendUint32(out, n)
	}
	s.answer(unique, 0, out)
}

func (s *fuseServer) answer(unique uint64, problem unix.Errno, body []byte) {
	le := binary.NativeEndian
	out := le.AppendUint32(nil, uint32(16+len(body)))
	out = le.AppendUint32(out, uint32(-int32(problem)))
	out = le.AppendUint64(out, unique)
	unix.Write(s.fd, append(out, body...))
}
