package hostfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPaths(t *testing.T) {
	f := FS{Proc: "/host/proc", Sys: "/host/sys/", Root: "/host/root", Udev: "u"}
	for got, want := range map[string]string{
		f.ProcPath("net/dev"): "/host/proc/net/dev", f.SysPath("class/net"): "/host/sys/class/net",
		f.RootPath("/etc"): "/host/root/etc", f.UdevPath("b8:0"): "u/b8:0",
		f.StripRoot("/host/root/var"): "/var", f.StripRoot("/host/root"): "/", f.StripRoot("/host/rootfs"): "/host/rootfs",
		f.StripRoot("/var"): "/var", Default.StripRoot("/var"): "/var", Default.StripRoot("/"): "/",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A real file of procfs read again and again by one descriptor tells what is
// true now.
func TestFileReadsLiveProc(t *testing.T) {
	f := Default.ProcFile("self/stat")
	defer f.Close()
	first, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(first, []byte(strconv.Itoa(os.Getpid())+" ")) {
		t.Errorf("got %q", first)
	}
	up := Default.ProcFile("uptime")
	defer up.Close()
	a, _ := up.Read()
	before := string(a)
	for range 1000 { // some hundredths of a second at least, without sleeping
		b, err := up.Read()
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != before {
			return
		}
	}
	unix.Nanosleep(&unix.Timespec{Nsec: 50e6}, nil)
	if b, _ := up.Read(); string(b) == before {
		t.Error("the uptime stood still")
	}
}

// A whole large file of procfs, in many pieces, is what os.ReadFile reads.
func TestFileReadsLargeProc(t *testing.T) {
	want, err := os.ReadFile("/proc/kallsyms")
	if err != nil || len(want) < 1<<16 {
		t.Skip("no large file in /proc: kallsyms is not readable here")
	}
	got, err := Read("/proc/kallsyms")
	if err != nil || len(got) < len(want)*9/10 {
		t.Errorf("%d bytes, want about %d, %v", len(got), len(want), err)
	}
}

// A File of short lines is as long as it is without that knowledge, be it of
// less than a page or of many.
func TestFileLines(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long")
	write(t, long, strings.Repeat("a 1\n", 5000))
	first := func(b []byte) (words []string) {
		for line := range strings.Lines(string(b)) {
			word, _, _ := strings.Cut(line, " ")
			words = append(words, word)
		}
		return words
	}
	for path, most := range map[string]int{
		long: 4, "/proc/vmstat": 128, "/proc/meminfo": 128, "/proc/diskstats": 512, "/proc/net/udp": 256,
		"/proc/kallsyms": 1024, "/proc/self/stat": 2048,
	} {
		plain, err := NewFile(path).Read()
		if err != nil {
			t.Log(err) // not on this host
			continue
		}
		f := NewFile(path).Lines(most)
		for range 2 {
			b, err := f.Read()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(first(b), first(plain)) {
				t.Errorf("%s: %d bytes, want about %d", path, len(b), len(plain))
			}
		}
		f.Close()
	}
}

func TestFileComesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := NewFile(path)
	defer f.Close()
	if _, err := f.Read(); !errors.Is(err, fs.ErrNotExist) || !Gone(err) || !strings.Contains(err.Error(), path) {
		t.Errorf("absent: %v", err)
	}
	write(t, path, "one")
	if b, err := f.Read(); string(b) != "one" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	write(t, path, "two, longer")
	if b, err := f.Read(); string(b) != "two, longer" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	write(t, path, "")
	if b, err := f.Read(); len(b) != 0 || err != nil {
		t.Errorf("empty: %q, %v", b, err)
	}
}

// The descriptor of a process that has ended says ESRCH; the next one at the
// same path is found.
func TestFileOfEndedProcess(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "pid")
	child, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{})
	if err != nil {
		t.Skip("/bin/sleep cannot be started: ", err)
	}
	if err := os.Symlink("/proc/"+strconv.Itoa(child.Pid), link); err != nil {
		t.Fatal(err)
	}
	f := NewFile(filepath.Join(link, "stat"))
	defer f.Close()
	if _, err := f.Read(); err != nil {
		t.Fatal(err)
	}
	child.Kill()
	child.Wait()
	if _, err := f.Read(); !Gone(err) {
		t.Errorf("the process has ended, yet: %v", err)
	}
	os.Remove(link)
	if err := os.Symlink("/proc/self", link); err != nil {
		t.Fatal(err)
	}
	if b, err := f.Read(); err != nil || !bytes.HasPrefix(b, []byte(strconv.Itoa(os.Getpid()))) {
		t.Errorf("the new file was not opened: %q, %v", b, err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a folder: %v", err)
	}
	large := filepath.Join(dir, "large")
	write(t, large, "")
	if err := os.Truncate(large, MaxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(large); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), large) {
		t.Errorf("a large file: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(fifo); err == nil { // pread of a pipe: ESPIPE; above all it comes back
		t.Error("a fifo was read")
	}
}

func TestReadTrimmedAndDir(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b"), " x y\n")
	write(t, filepath.Join(dir, "a"), "")
	if s, err := (FS{Sys: dir}).ReadSys("b"); s != "x y" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	names, err := ReadDirNames(dir)
	if err != nil || strings.Join(names, " ") != "a b" {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := ReadDirNames(filepath.Join(dir, "none")); !Gone(err) {
		t.Errorf("%v", err)
	}
}

func TestLive(t *testing.T) {
	if (FS{Proc: t.TempDir(), Sys: "/sys"}).Live() {
		t.Error("a folder passes for procfs")
	}
}

func TestUintInt(t *testing.T) {
	for in, want := range map[string]uint64{"0": 0, "007": 7, "18446744073709551615": 1<<64 - 1} {
		if n, err := Uint([]byte(in)); n != want || err != nil {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
	for _, bad := range []string{"", "-1", "1 ", "18446744073709551616", "99999999999999999999", "0x1", "1.0"} {
		if n, err := Uint([]byte(bad)); err == nil || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: %d, %v", bad, n, err)
		}
	}
	for in, want := range map[string]int64{"-9223372036854775808": -1 << 63, "9223372036854775807": 1<<63 - 1, "+5": 5, "-0": 0} {
		if n, err := Int([]byte(in)); n != want || err != nil {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
	for _, bad := range []string{"", "-", "9223372036854775808", "-9223372036854775809", "--1"} {
		if n, err := Int([]byte(bad)); err == nil {
			t.Errorf("%q: %d", bad, n)
		}
	}
}

func TestHex(t *testing.T) {
	for in, want := range map[string]uint64{"0": 0, "0000001f": 31, "dEaD": 0xdead, "ffffffffffffffff": 1<<64 - 1, "00ffffffffffffffff": 1<<64 - 1} {
		if n, err := Hex([]byte(in)); n != want || err != nil {
			t.Errorf("%q: %d, %v", in, n, err)
		}
	}
	for _, bad := range []string{"", "0x1", "-1", "1 ", "g", "1ffffffffffffffff"} {
		if n, err := Hex([]byte(bad)); err == nil || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: %d, %v", bad, n, err)
		}
	}
}

func FuzzInt(f *testing.F) {
	f.Add("-12")
	f.Add("18446744073709551616")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Int([]byte(s))
		if err == nil && (len(s) == 0 || n < 0 && s[0] != '-') {
			t.Errorf("%q is %d", s, n)
		}
		if m, err := Uint([]byte(s)); err == nil && n != int64(m) && m <= 1<<63-1 {
			t.Errorf("%q is %d and %d", s, n, m)
		}
	})
}

func TestWords(t *testing.T) {
	line, rest := NextLine([]byte("a  b\tc\nnext"))
	var words []string
	for {
		var w []byte
		if w, line = NextField(line); len(w) == 0 {
			break
		}
		words = append(words, string(w))
	}
	if strings.Join(words, ",") != "a,b,c" || string(rest) != "next" {
		t.Errorf("%q, rest %q", words, rest)
	}
}

func TestInterner(t *testing.T) {
	var n Interner
	b := []byte("eth0")
	s := n.String(b)
	b[0] = 'x'
	if s != "eth0" || n.String([]byte("eth0")) != "eth0" {
		t.Error("the string follows the bytes")
	}
	if a := testing.AllocsPerRun(100, func() { n.String([]byte("eth0")) }); a > 0 {
		t.Errorf("%v allocations for a known name", a)
	}
}

func BenchmarkHeld(b *testing.B) {
	f := Default.ProcFile("stat")
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReopened(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Default.ReadProc("stat"); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzFields: lines and words are those of the standard library, none lost, and
// hexadecimal numbers as well.
func FuzzFields(f *testing.F) {
	f.Add([]byte("a  b\t1f\n\n c\r\n"))
	f.Add([]byte("FFFFFFFFFFFFFFFF 10000000000000000"))
	f.Fuzz(func(t *testing.T, text []byte) {
		blanks := func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }
		want := bytes.FieldsFunc(text, blanks)
		var names Interner
		for rest := text; ; {
			var field []byte
			if field, rest = NextField(rest); len(field) == 0 {
				break
			}
			if len(want) == 0 || !bytes.Equal(field, want[0]) || names.String(field) != string(field) {
				t.Fatalf("%q: the word %q, left %q", text, field, want)
			}
			want = want[1:]
			n, err := Hex(field)
			if m, errM := strconv.ParseUint(string(field), 16, 64); (err == nil) != (errM == nil) || err == nil && n != m {
				t.Errorf("%q is %d, %v; want %d, %v", field, n, err, m, errM)
			}
		}
		if len(want) > 0 {
			t.Errorf("%q: without %q", text, want)
		}
		lines := bytes.Split(text, []byte("\n"))
		for rest := text; len(rest) > 0; lines = lines[1:] {
			var line []byte
			if line, rest = NextLine(rest); !bytes.Equal(line, lines[0]) {
				t.Fatalf("%q: line %q, want %q", text, line, lines[0])
			}
		}
	})
}
