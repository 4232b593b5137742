package collectors

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/testkit"
)

// TestGarbage takes each collector over the hosts of the archives and puts one
// after another of the files that it reads out of order: empty, cut off, binary,
// with numbers that nothing holds, ten megabytes long. Whatever comes of it is an
// exposition without a series twice and an error that names the file, or no data;
// never a panic. When the file is in order again, so is the collector.
func TestGarbage(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	dir := testkit.Unpack(t, archives...)
	cfg := garbageConfig(t, dir)
	opened := watchFiles(t, dir)
	files := 0
	for _, r := range table {
		if r.name == "ntp" {
			continue // asks the network
		}
		t.Run(r.name, func(t *testing.T) {
			opened()
			c := make1(t, r.name, cfg)
			_, err := renderErr(c)
			paths := opened()
			if len(paths) == 0 && readsFiles(r.name) {
				t.Fatalf("read no file: %v", err)
			}
			g := garbage{t: t, dir: dir, collector: c, random: rand.New(rand.NewPCG(1, 2)), kinds: make(map[string]bool)}
			for _, p := range paths {
				g.spoil(p)
			}
			files += len(paths)
			if _, now := renderErr(c); (now == nil) != (err == nil) {
				t.Errorf("when all is in order again: %v, at first %v", now, err)
			}
		})
	}
	if files < 650 {
		t.Errorf("only %d files were spoilt", files)
	}
}

// readsFiles tells whether a collector reads files of the archives. The others ask
// the kernel or a program, or only look which files there are.
func readsFiles(collector string) bool {
	return !slices.Contains([]string{"ethtool", "kernel", "logind", "network_route", "perf", "supervisord", "systemd", "tcpstat", "timex"}, collector)
}

// garbageConfig turns on what reads more files.
func garbageConfig(t *testing.T, dir string) Config {
	cfg := on(hostfs.FS{Proc: dir + "/proc", Sys: dir + "/sys", Root: dir, Udev: dir + "/udev"})
	cfg.Bcache.PriorityStats = true
	cfg.CPU.Info, cfg.CPU.FlagsInclude, cfg.CPU.BugsInclude = true, ".", "."
	cfg.Stat.Softirq = true
	cfg.PCIDevice.Names = true
	cfg.Qdisc.Fixtures, cfg.Wifi.Fixtures = dir+"/qdisc", dir+"/wifi"
	cfg.Textfile = TextfileConfig{Directories: []string{dir + "/textfile"}, FileMetrics: true}
	cfg.Sysctl = SysctlConfig{
		Include:     []string{"vm.swappiness", "net.ipv4.tcp_rmem:min,default,max"},
		IncludeInfo: []string{"net.ipv4.tcp_available_congestion_control"},
	}
	cfg.Runit.ServiceDir = dir + "/service"
	write(t, dir+"/service/web/supervise/status", statusOf(1700000000, 1, 'u'), false)
	return cfg
}

// garbage spoils the files of one collector.
type garbage struct {
	t         *testing.T
	dir       string
	collector Collector
	random    *rand.Rand
	kinds     map[string]bool // of files, of which large ones were tried
	said      expo.Writer
}

const (
	garbageSize   = 10 << 20
	garbageMemory = 80 * garbageSize // allocated for one such file, most of it for what is said of it
)

var (
	numbers = regexp.MustCompile(`[0-9]+`)
	digits9 = bytes.Repeat([]byte("9"), 30)
)

// spoil tries all that may be wrong with one file.
func (g *garbage) spoil(path string) {
	good, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	rel, err := filepath.Rel(g.dir, path)
	if err != nil {
		g.t.Fatal(err)
	}
	bad := map[string][]byte{
		"empty":         nil,
		"a blank line":  []byte("\n"),
		"large numbers": numbers.ReplaceAll(good, digits9),
		"-1":            numbers.ReplaceAll(good, []byte("-1")),
	}
	for _, at := range []int{1, len(good) / 4, len(good) / 2, len(good) - 2} {
		if at > 0 && at < len(good) {
			bad[fmt.Sprintf("cut at %d", at)] = good[:at]
		}
	}
	for _, length := range []int{1, 300, 5000} {
		b := make([]byte, length)
		for i := range b {
			b[i] = byte(g.random.Uint32())
		}
		bad[fmt.Sprintf("binary of %d", length)] = b
	}
	for what, text := range bad {
		g.try(rel, what, text, true)
	}
	// Large files once for each kind, temp1_input is as temp2_input, and the largest
	// once for each collector.
	kind := numbers.ReplaceAllString(filepath.Base(path), "#")
	several := bytes.Count(good, []byte("\n")) > 1
	if g.kinds[kind] || len(good) == 0 || !several && len(g.kinds) > 0 {
		g.kinds[kind] = true
	} else {
		size := garbageSize
		if len(g.kinds) > 0 {
			size /= 20
		}
		g.kinds[kind] = true
		g.try(rel, "one long line", bytes.Repeat(bytes.ReplaceAll(good, []byte("\n"), []byte(" ")), size/len(good)+1), false)
		if several { // what is there twice may be told twice
			g.try(rel, "again and again", bytes.Repeat(good, size/len(good)+1), false)
		}
	}
	g.try(rel, "in order again", good, true)
}

// try collects once, with another text in a file. It wants no series twice unless
// that is what the text says.
func (g *garbage) try(file, what string, text []byte, once bool) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, file), text, 0o644); err != nil {
		g.t.Fatal(err)
	}
	w := &g.said
	w.Reset(expo.Text)
	before := allocated()
	err := g.collect(w)
	used := allocated() - before
	switch {
	case err == nil, errors.Is(err, ErrNoData):
	case strings.Contains(err.Error(), "panic"):
		g.t.Errorf("%s %s: %v", file, what, err)
	case !names(err, file):
		g.t.Errorf("%s %s: the error does not name it: %.300v", file, what, err)
	}
	if len(fmt.Sprint(err)) > 10_000 {
		g.t.Errorf("%s %s: an error of %d bytes", file, what, len(err.Error()))
	}
	if used > garbageMemory {
		g.t.Errorf("%s %s: %d MB allocated", file, what, used>>20)
	}
	if problem := faultOf(w.Bytes(), once); problem != "" {
		g.t.Errorf("%s %s: %s", file, what, problem)
	}
}

// names tells whether an error names a file: itself, one that it names in turn, or,
// where a library says no more, the folder of the file system that it is about.
func names(err error, file string) bool {
	name := filepath.Base(file)
	switch {
	case strings.HasPrefix(file, "sys/fs/bcachefs/"):
		name = strings.Split(file, "/")[3]
	case name == "bonding_masters", name == "slaves":
		name = "sys/class/net/"
	}
	return strings.Contains(err.Error(), name)
}

func (g *garbage) collect(w *expo.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return g.collector.Collect(context.Background(), w)
}

// faultOf is what is wrong with an exposition, "" if nothing is.
// Of a long one it reads the beginning.
func faultOf(text []byte, once bool) string {
	const most = 1 << 20
	if len(text) > most {
		text = text[:bytes.LastIndexByte(text[:most], '\n')+1]
	}
	seen := make(map[string]bool)
	sc := expo.NewScanner(text)
	for sc.Next() {
		l := sc.Line()
		if l.Kind != expo.Sample {
			continue
		}
		if _, err := l.Float(); err != nil {
			return err.Error()
		}
		if !once {
			continue
		}
		series := string(l.Name) + "{" + string(l.Labels) + "}"
		if seen[series] {
			return fmt.Sprintf("%.300s is there twice", series)
		}
		seen[series] = true
	}
	if err := sc.Err(); err != nil {
		return err.Error()
	}
	return ""
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// watchFiles tells of the files below dir that were opened since it was last
// called, sorted, by inotify(7).
func watchFiles(t *testing.T, dir string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skip("needs inotify: ", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	folders := make(map[int32]string)
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN)
		folders[int32(wd)] = path
		return err
	})
	if err != nil {
		t.Skip("needs an inotify watch for each folder: ", err)
	}
	buf := make([]byte, 1<<20)
	return func() []string {
		var paths []string
		for {
			n, err := unix.Read(fd, buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil { // EAGAIN: that was all
				slices.Sort(paths)
				return slices.Compact(paths)
			}
			for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; { // struct inotify_event
				ne := binary.NativeEndian
				wd, mask, length := int32(ne.Uint32(b)), ne.Uint32(b[4:]), int(ne.Uint32(b[12:]))
				name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:][:length], []byte{0})
				b = b[unix.SizeofInotifyEvent+length:]
				if mask&unix.IN_ISDIR == 0 && len(name) > 0 {
					paths = append(paths, filepath.Join(folders[wd], string(name)))
				}
			}
		}
	}
}
