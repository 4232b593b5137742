package collectors

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
	"watchpost/internal/testkit"
)

func TestParseNumber(t *testing.T) {
	for _, tc := range []struct {
		text string
		n    float64
		ok   bool
		bad  bool
	}{
		{"42\n", 42, true, false},
		{"-7\n", -7, true, false},
		{" 18446744073709551615 \n", 1 << 64, true, false},
		{"0x8180\n", 0x8180, true, false},
		{"\n", 0, false, false},
		{"N/A (no PMA)\n", 0, false, false},
		{"<unknown>\n", 0, false, false},
		{"12 mV\n", 0, false, true},
		{"0xzz", 0, false, true},
		{"-", 0, false, true},
		{"\x00\xff", 0, false, true},
	} {
		n, ok, err := parseNumber([]byte(tc.text))
		if n != tc.n || ok != tc.ok || (err != nil) != tc.bad {
			t.Errorf("%q: %v, %v, %v", tc.text, n, ok, err)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"1", "-1", "0xff", "", "N/A", "x", "99999999999999999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok, err := parseNumber(b)
		if ok && err != nil || n != n || !ok && n != 0 {
			t.Errorf("%q: %v, %v, %v", b, n, ok, err)
		}
	})
}

// A class whose files come, go and turn bad: each costs its own samples.
func TestDeviceClass(t *testing.T) {
	family := expo.Gauge("node_test_level", "Of the test.", "device")
	dir := t.TempDir()
	c := newDeviceClass([]attribute{{"level", family, conversion{per: 10}}})
	now := time.Unix(1000, 0)
	c.now = func() time.Time { return now }
	c.list = func() error {
		names, err := hostfs.ReadDirNames(dir)
		for _, n := range names {
			c.add(filepath.Join(dir, n), n)
		}
		return err
	}
	collect := func() (string, error) {
		var w expo.Writer
		var failed failures
		if err := c.refresh(); err != nil {
			t.Fatal(err)
		}
		c.write(&w, &failed)
		_, samples, _ := strings.Cut(string(w.Bytes()), "gauge\n")
		return samples, failed.err()
	}
	write(t, filepath.Join(dir, "a/level"), "5\n", false)
	write(t, filepath.Join(dir, "b/level"), "x\n", false)
	write(t, filepath.Join(dir, "c/level"), "25\n", false)
	text, err := collect()
	same(t, text, "node_test_level{device=\"a\"} 0.5\nnode_test_level{device=\"c\"} 2.5\n")
	if err == nil || !strings.Contains(err.Error(), "b/level") || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("the bad file: %v", err)
	}

	// One goes, which is no error; one comes, and is seen at the next listing.
	write(t, filepath.Join(dir, "b/level"), "7\n", false)
	c.all[0].file.Close() // a plain file stays readable while it is open, one of sysfs does not
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "d/level"), "9\n", false)
	text, err = collect()
	if err != nil {
		t.Error(err)
	}
	same(t, text, "node_test_level{device=\"b\"} 0.7\nnode_test_level{device=\"c\"} 2.5\n")
	now = now.Add(listingRetry)
	text, _ = collect()
	same(t, text, "node_test_level{device=\"b\"} 0.7\nnode_test_level{device=\"c\"} 2.5\nnode_test_level{device=\"d\"} 0.9\n")
}

func TestFailures(t *testing.T) {
	var f failures
	if f.err() != nil {
		t.Error("nothing failed")
	}
	for range maxFailures + 3 {
		f.add(errors.New("broken"))
	}
	if text := f.err().Error(); strings.Count(text, "broken") != maxFailures || !strings.HasSuffix(text, "and 3 more") {
		t.Errorf("%q", text)
	}
}

// Values that are read side by side are the same values.
func TestReadTogether(t *testing.T) {
	dir := t.TempDir()
	var values []*attributeValue
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		write(t, filepath.Join(dir, n), n+"\n", false)
		values = append(values, &attributeValue{file: hostfs.NewFile(filepath.Join(dir, n))})
	}
	readTogether(values)
	for i, v := range values {
		if v.n != float64(i+1) || !v.ok || v.err != nil {
			t.Errorf("%s: %v, %v, %v", v.file.Path(), v.n, v.ok, v.err)
		}
	}
}

// What the collectors of hardware cost on the made-up host, which has what the
// host that runs this may lack.
func BenchmarkHardware(b *testing.B) {
	dir := testkit.Unpack(b, "testdata/hardware.txt")
	fs := hostfs.FS{Proc: dir + "/proc", Sys: dir + "/sys", Root: dir, Udev: dir + "/udev"}
	for _, name := range []string{"cpufreq", "drm", "edac", "hwmon", "infiniband", "pcidevice", "powersupplyclass", "rapl", "selinux", "thermal_zone", "watchdog"} {
		b.Run(name, func(b *testing.B) { benchmarkCollect(b, make1(b, name, on(fs))) })
	}
}
