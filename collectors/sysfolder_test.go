package collectors

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
)

func TestSysFolder(t *testing.T) {
	root := tree(t, map[string]string{"sys/d/n": "17\n", "sys/d/hex": "0x1f\n", "sys/d/empty": "\n", "sys/d/bad": "many\n", "sys/d/text": " a b \n"})
	d := sysFolder{path: root.SysPath("d")}
	if n, h := d.number("n"), d.number("hex"); n != 17 || h != 31 {
		t.Errorf("%v and %v", n, h)
	}
	if s := d.text("text"); s != "a b" {
		t.Errorf("%q", s)
	}
	if v := d.number("empty"); !math.IsNaN(v) || d.err != nil || d.missing {
		t.Errorf("nothing told: %v, %v", v, d.err)
	}
	if v := d.number("none"); !math.IsNaN(v) || d.err != nil || !d.missing || !d.there() {
		t.Errorf("a file that is missing: %v, %v", v, d.err)
	}
	if v := d.number("bad"); !math.IsNaN(v) || d.err == nil || !strings.Contains(d.err.Error(), "d/bad") || !strings.Contains(d.err.Error(), `"many"`) {
		t.Errorf("a bad number: %v, %v", v, d.err)
	}
	os.RemoveAll(d.path)
	if d.there() {
		t.Error("it is gone")
	}
}

func TestFaults(t *testing.T) {
	var f faults
	f.add(nil)
	f.add(&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist})
	if err := f.err(); err != nil {
		t.Errorf("what is gone is no fault: %v", err)
	}
	first := errors.New("the first")
	f.add(first)
	for i := range 10 {
		f.add(fmt.Errorf("number %d", i))
	}
	if err := f.err(); !errors.Is(err, first) || !strings.HasSuffix(err.Error(), "and 7 more") {
		t.Errorf("%v", err)
	}
}

func TestNumbered(t *testing.T) {
	for name, want := range map[string]bool{"st0": true, "st12": true, "st": false, "st0m": false, "nst0": false, "": false} {
		if numbered(name, "st") != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func FuzzSysUint(f *testing.F) {
	for _, s := range []string{"0", "0x1f", "18446744073709551615", "0xffffffffffffffff", "0x", "-1", "1 2", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseSysUint(b); err != nil && n != 0 {
			t.Errorf("%q: %d and %v", b, n, err)
		}
	})
}

// unreadable makes a folder where a file is expected: reading it fails for everybody.
func unreadable(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// costs renders a collector that fails in part: the error has to name what is
// wrong, and the text has to have the one series and not the other.
func costs(t *testing.T, c Collector, wrong, kept, lost string) {
	t.Helper()
	text, err := renderErr(c)
	if err == nil || !strings.Contains(err.Error(), wrong) {
		t.Errorf("error %v, want one about %s", err, wrong)
	}
	if !strings.Contains(text, kept) {
		t.Errorf("%s is missing:\n%s", kept, text)
	}
	if strings.Contains(text, lost) {
		t.Errorf("%s is there:\n%s", lost, text)
	}
}
