package collectors

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var capturedUname = map[string]string{
	"proc/sys/kernel/ostype": "Linux\n", "proc/sys/kernel/osrelease": "6.18.44\n",
	"proc/sys/kernel/version": "#1 SMP \"a\"\n", "proc/sys/kernel/hostname": "node1\n",
	"proc/sys/kernel/domainname": "(none)\n", "proc/sys/kernel/arch": "x86_64\n",
}

func TestUnameCaptured(t *testing.T) {
	same(t, render(t, make1(t, "uname", on(tree(t, capturedUname)))), `# TYPE node_uname_info gauge
node_uname_info{domainname="(none)",machine="x86_64",nodename="node1",release="6.18.44",sysname="Linux",version="#1 SMP \"a\""} 1
`)
}

func TestUnameOldKernel(t *testing.T) {
	fs := tree(t, capturedUname)
	if err := os.Remove(fs.ProcPath("sys/kernel/arch")); err != nil {
		t.Fatal(err)
	}
	if text := render(t, make1(t, "uname", on(fs))); !strings.Contains(text, `machine="",nodename="node1"`) {
		t.Errorf("without the architecture it says\n%s", text)
	}
	if err := os.Remove(fs.ProcPath("sys/kernel/osrelease")); err != nil {
		t.Fatal(err)
	}
	if _, err := renderErr(make1(t, "uname", on(fs))); !errors.Is(err, ErrNoData) {
		t.Errorf("without the release: %v, want ErrNoData", err)
	}
}

// The live answer against the uname program's.
func TestUnameLive(t *testing.T) {
	program, err := exec.LookPath("uname")
	if err != nil {
		t.Skip("no uname program")
	}
	cfg := DefaultConfig()
	if !cfg.FS.Live() {
		t.Skip("no procfs or sysfs here")
	}
	text := render(t, make1(t, "uname", cfg))
	for flag, label := range map[string]string{"-s": "sysname", "-r": "release", "-v": "version", "-m": "machine", "-n": "nodename"} {
		out, err := exec.Command(program, flag).Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := label + `="` + strings.TrimSpace(string(out)) + `"`; !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
