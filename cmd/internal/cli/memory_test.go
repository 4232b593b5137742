package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// residentFile is the memory that mapped files take of this process, in kB.
func residentFile(t *testing.T) (kb int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "RssFile:")
	if !ok {
		t.Skip("this kernel does not tell RssFile")
	}
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

func TestSettle(t *testing.T) {
	t.Setenv("GOGC", "") // so that Settle decides
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	before := residentFile(t)
	if err := Settle(); err != nil {
		t.Log(err) // a container may refuse some of it
	}
	if after := residentFile(t); after >= before {
		t.Errorf("%d kB of files in memory, %d before", after, before)
	}
	if got := debug.SetGCPercent(100); got != gcPercent {
		t.Errorf("garbage is collected at %d%%", got)
	}
	t.Setenv("GOGC", "300")
	debug.SetGCPercent(300)
	Settle() // the second time it says that it was done
	if got := debug.SetGCPercent(100); got != 300 {
		t.Errorf("GOGC=300 became %d", got)
	}
}

// Where it is allowed, no thread is woken up exactly.
func TestRelaxTimers(t *testing.T) {
	if err := relaxTimers(); err != nil {
		t.Skip(err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", os.Getpid()))
	if err != nil || strings.TrimSpace(string(b)) != fmt.Sprint(timerSlack) {
		t.Errorf("%q, %v", b, err)
	}
}

func TestReadOnlyPart(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-009f5000 r-xp 00000000 fe:00 1234    /bin/x":  true,
		"009f5000-01065000 r--p 005f5000 fe:00 1234    /bin/x":  true,
		"01065000-010d8000 rw-p 00c65000 fe:00 1234    /bin/x":  false,
		"00400000-009f5000 r-xp 00000000 fe:00 1234    /bin/xy": false,
		"7ffd4688d000-7ffd468ae000 rw-p 00000000 00:00 0":       false,
		"nonsense r-xp 0 0 0 /bin/x":                            false,
		"":                                                      false,
	} {
		begin, end, ok := readOnlyPart(line, "/bin/x")
		if ok != want || ok && begin >= end {
			t.Errorf("%q: %x to %x, %t", line, begin, end, ok)
		}
	}
}

func FuzzReadOnlyPart(f *testing.F) {
	f.Add("00400000-009f5000 r-xp 00000000 fe:00 1234    /bin/x")
	f.Add("ffffffffff600000-0 --xp 0 0 0 /bin/x")
	f.Fuzz(func(t *testing.T, line string) {
		if begin, end, ok := readOnlyPart(line, "/bin/x"); ok && (begin >= end || !strings.HasSuffix(strings.TrimSpace(line), "/bin/x")) {
			t.Errorf("%q: %x to %x", line, begin, end)
		}
	})
}
