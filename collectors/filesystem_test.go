package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// fakeMounts answers statfs by path and counts the questions. A path that is held
// is not answered until it is let go.
type fakeMounts struct {
	mu    sync.Mutex
	asked map[string]int
	fails map[string]error
	held  map[string]chan struct{}
}

func newFakeMounts() *fakeMounts {
	return &fakeMounts{asked: make(map[string]int), fails: make(map[string]error), held: make(map[string]chan struct{})}
}

func (f *fakeMounts) statfs(path string, st *unix.Statfs_t) error {
	f.mu.Lock()
	f.asked[path]++
	err, held := f.fails[path], f.held[path]
	f.mu.Unlock()
	if held != nil {
		<-held
	}
	if err != nil {
		return err
	}
	*st = unix.Statfs_t{Bsize: 1 << 17, Frsize: 4096, Blocks: 1000, Bfree: 500, Bavail: 400, Files: 100, Ffree: 60}
	return nil
}

func (f *fakeMounts) hold(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[path] = make(chan struct{})
}

func (f *fakeMounts) letGo(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.held[path])
	delete(f.held, path)
}

func (f *fakeMounts) times(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

// mounted makes a collector of a mountinfo text whose statfs is fake.
func mounted(t *testing.T, mountinfo string, change func(*Config)) (*filesystem, *fakeMounts, hostfs.FS) {
	t.Helper()
	fs := tree(t, map[string]string{"proc/1/mountinfo": mountinfo})
	cfg := on(fs)
	cfg.FS.Root = "/host"
	if change != nil {
		change(&cfg)
	}
	f := make1(t, "filesystem", cfg).(*filesystem)
	fake := newFakeMounts()
	f.statter.statfs = fake.statfs
	return f, fake, fs
}

const mountinfoText = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
28 27 0:25 / /mnt/with\040blank\011and\134 ro,nosuid master:2 propagate_from:1 - tmpfs tmp\040fs rw,size=4k
30 27 8:1 / /srv rw - xfs /dev/sda1 ro,attr2
31 27 8:2 / /opt rw - ext4 /dev/sda2 rw,emergency_ro
32 27 0:40 / /net rw - nfs4 server:/export rw,vers=4.2
33 27 0:41 / /empty rw - tmpfs  rw
34 27 0:42 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
`

const filesystemWant = `# TYPE node_filesystem_device_error gauge
node_filesystem_device_error{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"} 0
node_filesystem_device_error{device="tmp fs",device_error="",fstype="tmpfs",mountpoint="/mnt/with blank	and\\"} 0
node_filesystem_device_error{device="/dev/sda1",device_error="input/output error",fstype="xfs",mountpoint="/srv"} 1
node_filesystem_device_error{device="/dev/sda2",device_error="",fstype="ext4",mountpoint="/opt"} 0
node_filesystem_device_error{device="server:/export",device_error="",fstype="nfs4",mountpoint="/net"} 0
node_filesystem_device_error{device="",device_error="",fstype="tmpfs",mountpoint="/empty"} 0
# TYPE node_filesystem_readonly gauge
node_filesystem_readonly{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"} 0
node_filesystem_readonly{device="tmp fs",device_error="",fstype="tmpfs",mountpoint="/mnt/with blank	and\\"} 1
node_filesystem_readonly{device="/dev/sda1",device_error="input/output error",fstype="xfs",mountpoint="/srv"} 1
node_filesystem_readonly{device="/dev/sda2",device_error="",fstype="ext4",mountpoint="/opt"} 1
node_filesystem_readonly{device="server:/export",device_error="",fstype="nfs4",mountpoint="/net"} 0
node_filesystem_readonly{device="",device_error="",fstype="tmpfs",mountpoint="/empty"} 0
# TYPE node_filesystem_size_bytes gauge
node_filesystem_size_bytes{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"} 4096000
node_filesystem_size_bytes{device="tmp fs",device_error="",fstype="tmpfs",mountpoint="/mnt/with blank	and\\"} 4096000
node_filesystem_size_bytes{device="/dev/sda2",device_error="",fstype="ext4",mountpoint="/opt"} 4096000
node_filesystem_size_bytes{device="server:/export",device_error="",fstype="nfs4",mountpoint="/net"} 4096000
node_filesystem_size_bytes{device="",device_error="",fstype="tmpfs",mountpoint="/empty"} 4096000
`

func TestFilesystem(t *testing.T) {
	f, fake, _ := mounted(t, mountinfoText, nil)
	fake.fails["/host/srv"] = unix.EIO
	text := render(t, f)
	same(t, text[:min(len(text), len(filesystemWant))], filesystemWant)
	v := values(t, text)
	for series, want := range map[string]float64{
		`node_filesystem_free_bytes{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"}`:           2048000,
		`node_filesystem_avail_bytes{device="server:/export",device_error="",fstype="nfs4",mountpoint="/net"}`: 1638400,
		`node_filesystem_files{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"}`:                100,
		`node_filesystem_files_free{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"}`:           60,
		`node_filesystem_purgeable_bytes{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"}`:      0,
		`node_filesystem_mount_info{device="/dev/vda",major="254",minor="0",mountpoint="/"}`:                   1,
		`node_filesystem_mount_info{device="tmp fs",major="0",minor="25",mountpoint="/mnt/with blank	and\\"}`:  1,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s: %v (%v), want %v", series, got, ok, want)
		}
	}
	if len(v) != 6*2+5*7 {
		t.Errorf("%d series", len(v))
	}
}

func TestFilesystemFilters(t *testing.T) {
	points := func(change func(*FilesystemConfig)) string {
		f, _, _ := mounted(t, mountinfoText, func(c *Config) { change(&c.Filesystem) })
		render(t, f)
		var points []string
		for _, m := range f.mounts {
			points = append(points, m.point)
		}
		return strings.Join(points, " ")
	}
	for want, change := range map[string]func(*FilesystemConfig){
		"/srv /opt": func(c *FilesystemConfig) { c.MountPointsInclude, c.MountPointsExclude = "^/(srv|opt)$", "" },
		"/net":      func(c *FilesystemConfig) { c.TypesInclude, c.TypesExclude = "nfs", "" },
		"/srv /net /empty /var/lib/docker/overlay2/x/merged": func(c *FilesystemConfig) {
			c.MountPointsExclude, c.TypesExclude = "mnt|^/(proc)?$", "ext4"
		},
	} {
		if got := points(change); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	cfg := on(tree(t, nil))
	cfg.Filesystem.TypesInclude = "x"
	if _, err := newFilesystem(cfg); err == nil || !strings.Contains(err.Error(), "fs-types") {
		t.Errorf("both patterns: %v", err)
	}
	cfg.Filesystem = FilesystemConfig{MountPointsExclude: "("}
	if _, err := newFilesystem(cfg); err == nil {
		t.Error("a bad pattern: accepted")
	}
}

// The list is that of init, and that of this process where init's is hidden.
func TestFilesystemHidden(t *testing.T) {
	fs := tree(t, map[string]string{"proc/self/mountinfo": "27 1 254:0 / / rw - ext4 /dev/vda rw\n"})
	c := make1(t, "filesystem", on(fs))
	if text := render(t, c); !strings.Contains(text, `device="/dev/vda"`) {
		t.Error("the process' own mounts are not used")
	}
	write(t, fs.ProcPath("1/mountinfo"), "27 1 254:0 / / rw - ext4 /dev/vdb rw\n", false)
	if text := render(t, c); !strings.Contains(text, `device="/dev/vdb"`) {
		t.Error("init's mounts are not used")
	}
	if _, err := renderErr(make1(t, "filesystem", on(tree(t, nil)))); !errors.Is(err, ErrNoData) {
		t.Errorf("no list: %v", err)
	}
}

func TestFilesystemBad(t *testing.T) {
	for _, line := range []string{
		"27 1 254:0 / / rw ext4 /dev/vda rw", "27 1 254:0 / / rw -", "27 1 254 / / rw - ext4 /dev/vda rw",
		"27 1 a:0 / / rw - ext4 /dev/vda rw", "x 1 254:0 / / rw - ext4 /dev/vda rw", "27 -1 254:0 / / rw - ext4 /dev/vda rw",
	} {
		fs := tree(t, map[string]string{"proc/1/mountinfo": mountinfoText + line + "\n"})
		c := make1(t, "filesystem", on(fs))
		for range 2 { // not taken for known text the second time
			out, err := renderErr(c)
			if err == nil || out != "" || !strings.Contains(err.Error(), "mountinfo: line "+strconv.Quote(line)) {
				t.Errorf("%q: error %v, said %q", line, err, out)
			}
		}
	}
}

// Mounts on top of others, and the same place twice.
func TestFilesystemCovered(t *testing.T) {
	f, fake, _ := mounted(t, `27 1 254:0 / / rw - ext4 /dev/vda rw
30 27 0:30 / /a rw - tmpfs tmpfs rw
31 30 0:31 / /a rw - tmpfs tmpfs rw
32 31 0:32 / /a rw - ext4 /dev/vdb ro
33 27 0:33 / /b rw - tmpfs one rw
34 27 0:34 / /b rw - tmpfs one rw
`, nil)
	v := values(t, render(t, f)) // fails on series that are there twice
	if v[`node_filesystem_readonly{device="/dev/vdb",device_error="",fstype="ext4",mountpoint="/a"}`] != 1 {
		t.Errorf("what is on top is missing: %v", v)
	}
	if _, ok := v[`node_filesystem_mount_info{device="one",major="0",minor="34",mountpoint="/b"}`]; !ok || len(v) != 3*9 || fake.times("/host/a") != 1 {
		t.Errorf("%d series, /a was asked %d times: %v", len(v), fake.times("/host/a"), v)
	}
}

// What may hang is not asked in line, nor is what can only be reached through it.
func TestFilesystemPrompt(t *testing.T) {
	mounts, err := parseMountinfo([]byte(`27 1 254:0 / / rw - ext4 /dev/vda rw
28 27 0:28 / /nfs rw - nfs4 server:/ rw
29 28 8:1 / /nfs/disk rw - ext4 /dev/sda1 rw
30 29 0:29 / /nfs/disk/tmp rw - tmpfs tmpfs rw
31 27 0:30 / /tmp rw - tmpfs tmpfs rw
32 31 0:31 / /tmp/new rw - somefs x rw
40 41 0:40 / /loop rw - tmpfs tmpfs rw
41 40 0:41 / /loop/loop rw - tmpfs tmpfs rw
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"/": true, "/tmp": true}
	for _, m := range mounts {
		if m.prompt != want[m.point] {
			t.Errorf("%s: prompt is %v", m.point, m.prompt)
		}
	}
}

// nfsMounts is a mountinfo of n network file systems beside a local one.
func nfsMounts(n int) string {
	text := "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
	for i := range n {
		text += fmt.Sprintf("%d 27 0:%d / /nfs%d ro - nfs4 server%d:/ rw\n", 100+i, 100+i, i, i)
	}
	return text
}

func deviceError(i int, problem string) string {
	return fmt.Sprintf(`node_filesystem_device_error{device="server%d:/",device_error="%s",fstype="nfs4",mountpoint="/nfs%d"}`, i, problem, i)
}

// More mounts hang than there are workers: the others are served, those that hang
// are not asked again until they answer.
func TestFilesystemStuck(t *testing.T) {
	const n = 12
	f, fake, _ := mounted(t, nfsMounts(n), func(c *Config) {
		c.Filesystem.Workers = 2
		c.Filesystem.MountTimeout = 300 * time.Millisecond
	})
	stuck := map[int]bool{0: true, 1: true, 2: true, 7: true, 11: true}
	for i := range stuck {
		fake.hold(fmt.Sprintf("/host/nfs%d", i))
	}
	for scrape := range 3 {
		v := values(t, render(t, f))
		for i := range n {
			problem, bad := "", 0.0
			if stuck[i] {
				problem, bad = mountTimeout, 1
			}
			if got, ok := v[deviceError(i, problem)]; !ok || got != bad {
				t.Errorf("scrape %d, mount %d: %v (%v), want %v", scrape, i, got, ok, bad)
			}
			if _, ok := v[fmt.Sprintf(`node_filesystem_readonly{device="server%d:/",device_error="%s",fstype="nfs4",mountpoint="/nfs%d"}`, i, problem, i)]; !ok {
				t.Errorf("scrape %d, mount %d: no readonly", scrape, i)
			}
			asked, want := fake.times(fmt.Sprintf("/host/nfs%d", i)), scrape+1
			if stuck[i] {
				want = 1
			}
			if asked != want {
				t.Errorf("scrape %d: mount %d was asked %d times", scrape, i, asked)
			}
		}
		if _, ok := v[`node_filesystem_size_bytes{device="/dev/vda",device_error="",fstype="ext4",mountpoint="/"}`]; !ok {
			t.Error("the local file system is missing")
		}
		if len(v) != 2*(n+1)+7*(n+1-len(stuck)) {
			t.Errorf("%d series", len(v))
		}
	}
	for i := range stuck {
		fake.letGo(fmt.Sprintf("/host/nfs%d", i))
	}
	until(t, "all mounts are back", func() bool {
		return len(values(t, render(t, f))) == 9*(n+1)
	})
}

// until repeats a condition that other goroutines bring about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(what + ": never")
}

// The scrape's own deadline comes before the mount's.
func TestFilesystemDeadline(t *testing.T) {
	f, fake, _ := mounted(t, nfsMounts(2), func(c *Config) { c.Filesystem.MountTimeout = time.Hour })
	fake.hold("/host/nfs0")
	defer fake.letGo("/host/nfs0")
	begun := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), begun.Add(10*time.Second))
	cancel()
	if got := f.statter.patience(ctx, begun, begun.Add(time.Second)); got != 7*time.Second {
		t.Errorf("after 1 s of 10 s: %s", got)
	}
	if got := f.statter.patience(t.Context(), begun, begun.Add(time.Second)); got != time.Hour {
		t.Errorf("without a deadline: %s", got)
	}
	for _, limit := range []time.Duration{300 * time.Millisecond, time.Hour} { // known to hang the second time
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		var w expo.Writer
		if err := f.Collect(ctx, &w); err != nil {
			t.Fatal(err)
		}
		cancel()
		v := values(t, string(w.Bytes()))
		if v[deviceError(0, mountTimeout)] != 1 || v[deviceError(1, "")] != 0 || len(v) != 2*3+7*2 {
			t.Errorf("limit %s: %v", limit, v)
		}
	}
	// A scrape that nobody waits for any more.
	f, fake, _ = mounted(t, nfsMounts(1), nil)
	fake.hold("/host/nfs0")
	defer fake.letGo("/host/nfs0")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := f.Collect(ctx, &expo.Writer{}); err != nil {
		t.Error(err)
	}
}

// One folder of one file system, mounted in several places, is asked once; an
// error on the way to one of them is not that of the others.
func TestFilesystemShared(t *testing.T) {
	f, fake, fs := mounted(t, `27 1 254:0 / / rw - ext4 /dev/vda rw
50 27 0:50 / /a rw - nfs4 server:/ rw
51 27 0:50 / /b rw - nfs4 server:/ rw
52 27 0:50 / /c ro - nfs4 server:/ rw
53 27 0:50 /sub /d rw - nfs4 server:/ rw
`, func(c *Config) { c.Filesystem.Duplicates = true })
	fake.fails["/host/a"] = unix.EACCES
	v := values(t, render(t, f))
	for point, problem := range map[string]string{"/a": "permission denied", "/b": "", "/c": "", "/d": ""} {
		_, ok := v[`node_filesystem_device_error{device="server:/",device_error="`+problem+`",fstype="nfs4",mountpoint="`+point+`"}`]
		if !ok {
			t.Errorf("%s: %v", point, v)
		}
	}
	if len(v) != 2*5+7*4 || fake.times("/host/a") != 1 || fake.times("/host/b") != 1 || fake.times("/host/c") != 0 || fake.times("/host/d") != 1 {
		t.Errorf("asked %v; %d series", fake.asked, len(v))
	}

	// While it hangs, its mounts change: no second call until the first is back.
	fake.fails = map[string]error{}
	fake.hold("/host/a")
	f.statter.timeout = 50 * time.Millisecond
	render(t, f)
	one := "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
	all := one + "60 27 0:50 / /e rw - nfs4 server:/ rw\n50 27 0:50 / /a rw - nfs4 server:/ rw\n"
	for _, text := range []string{one, all, one, all} {
		if err := os.WriteFile(fs.ProcPath("1/mountinfo"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		v := values(t, render(t, f))
		if _, ok := v[`node_filesystem_device_error{device="server:/",device_error="mountpoint timeout",fstype="nfs4",mountpoint="/e"}`]; ok != (text == all) {
			t.Errorf("of\n%s%v", text, v)
		}
	}
	if n := fake.times("/host/a") + fake.times("/host/e"); n != 2 {
		t.Errorf("asked %d times while it hung", n)
	}
	fake.letGo("/host/a")
	until(t, "both mounts are back", func() bool { return len(values(t, render(t, f))) == 9*3 })
	if err := os.WriteFile(fs.ProcPath("1/mountinfo"), []byte(one), 0o644); err != nil {
		t.Fatal(err)
	}
	render(t, f)
	if len(f.statter.jobs) != 0 {
		t.Errorf("%d jobs are kept for no mount", len(f.statter.jobs))
	}
}

// There is a bound to the threads that may hang.
func TestFilesystemManyStuck(t *testing.T) {
	const n = mostBlocked + 20
	f, fake, _ := mounted(t, nfsMounts(n), func(c *Config) {
		c.Filesystem.Workers = n
		c.Filesystem.MountTimeout = 200 * time.Millisecond
	})
	for i := range n {
		fake.hold(fmt.Sprintf("/host/nfs%d", i))
	}
	for range 2 {
		if v := values(t, render(t, f)); len(v) != 2*(n+1)+7 {
			t.Errorf("%d series", len(v))
		}
	}
	asked := 0
	for i := range n {
		asked += fake.times(fmt.Sprintf("/host/nfs%d", i))
		fake.letGo(fmt.Sprintf("/host/nfs%d", i))
	}
	if asked != mostBlocked {
		t.Errorf("%d calls hung, want %d", asked, mostBlocked)
	}
	until(t, "all are back", func() bool { return len(values(t, render(t, f))) == 9*(n+1) })
}

// The live numbers against statfs of the standard library's making.
func TestFilesystemLive(t *testing.T) {
	ours, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Skip(err)
	}
	if b, err := os.ReadFile("/proc/1/mountinfo"); err == nil && !bytes.Equal(b, ours) {
		t.Skip("this process is not in the mount namespace of process 1")
	}
	cfg := on(hostfs.Default)
	cfg.Filesystem.MountPointsExclude, cfg.Filesystem.TypesExclude = "", ""
	f := make1(t, "filesystem", cfg).(*filesystem)
	v := values(t, render(t, f))
	if len(f.mounts) == 0 {
		t.Fatal("no mounts")
	}
	for _, m := range f.mounts {
		var st unix.Statfs_t
		err := unix.Statfs(m.point, &st)
		labels := fmt.Sprintf(`{device="%s",device_error="%s",fstype="%s",mountpoint="%s"}`, m.source, m.problem, m.fstype, m.point)
		if (err == nil) != (m.problem == "") {
			t.Errorf("%s: %q, but %v", m.point, m.problem, err)
		}
		if got := v["node_filesystem_size_bytes"+labels]; err == nil && got != float64(st.Blocks)*float64(st.Frsize) {
			t.Errorf("%s: size %v, want %d blocks of %d", labels, got, st.Blocks, st.Frsize)
		}
		if ro := v["node_filesystem_readonly"+labels]; err == nil && (ro == 1) != (st.Flags&unix.ST_RDONLY != 0) {
			t.Errorf("%s: readonly is %v, statfs has flags %#x", labels, ro, st.Flags)
		}
	}
}

func TestUnescapeMount(t *testing.T) {
	for in, want := range map[string]string{
		`/a`: "/a", `/a\040b`: "/a b", `\134\012\011\043`: "\\\n\t#", `/a\04`: `/a\04`, `/a\\`: `/a\\`, `\999`: `\999`, `\377x`: "\xffx", `\777`: `\777`,
	} {
		if got := unescapeMount(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte(mountinfoText))
	f.Add([]byte("40 41 0:40 / /loop rw - tmpfs tmpfs rw\n41 40 0:41 / /loop rw - tmpfs tmpfs rw\n"))
	f.Add([]byte("1 1 0:1 / / rw - rootfs rootfs rw"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mounts, err := parseMountinfo(b)
		if err != nil {
			return
		}
		lines := 0
		for line := range strings.Lines(string(b)) {
			if line != "\n" {
				lines++
			}
		}
		if lines != len(mounts) {
			t.Errorf("%d mounts of %d lines", len(mounts), lines)
		}
		for _, m := range mounts {
			if !digits(m.major) || !digits(m.minor) {
				t.Errorf("%+v", m)
			}
			if m.prompt && !promptTypes[m.fstype] {
				t.Errorf("prompt: %+v", m)
			}
		}
	})
}

// Local mounts, as most are, and network mounts that answer at once.
func BenchmarkFilesystem(b *testing.B) {
	local := ""
	for i := range 40 {
		local += fmt.Sprintf("%d 27 8:%d / /disk%d rw,relatime - ext4 /dev/sda%d rw\n", 100+i, i, i, i)
	}
	for name, text := range map[string]string{"local": local, "network": nfsMounts(40)} {
		b.Run(name, func(b *testing.B) {
			cfg := on(tree(b, map[string]string{"proc/1/mountinfo": text}))
			f := make1(b, "filesystem", cfg).(*filesystem)
			f.statter.statfs = func(_ string, st *unix.Statfs_t) error {
				st.Blocks, st.Frsize = 1000, 4096
				return nil
			}
			benchmarkCollect(b, f)
		})
	}
}
