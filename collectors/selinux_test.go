package collectors

import (
	"strings"
	"testing"
)

func TestSELinux(t *testing.T) {
	off := "# TYPE node_selinux_enabled gauge\nnode_selinux_enabled 0\n"
	same(t, render(t, make1(t, "selinux", on(tree(t, nil)))), off)

	files := map[string]string{
		"sys/fs/selinux/enforce": "1", "proc/self/attr/current": "system_u:system_r:init_t:s0\x00",
		"etc/selinux/config": "# SELINUX=disabled\n SELINUX = Permissive \nSELINUXTYPE=targeted\n",
	}
	same(t, render(t, make1(t, "selinux", on(tree(t, files)))), `# TYPE node_selinux_enabled gauge
node_selinux_enabled 1
# TYPE node_selinux_config_mode gauge
node_selinux_config_mode 0
# TYPE node_selinux_current_mode gauge
node_selinux_current_mode 1
`)
	files["proc/self/attr/current"] = "kernel\x00" // no policy is loaded
	same(t, render(t, make1(t, "selinux", on(tree(t, files)))), off)

	files["proc/self/attr/current"], files["sys/fs/selinux/enforce"] = "x", "on"
	if text, err := renderErr(make1(t, "selinux", on(tree(t, files)))); err == nil || !strings.Contains(err.Error(), "selinux/enforce") || text != "" {
		t.Errorf("%v, said %s", err, text)
	}
}

func FuzzParseSELinuxConfig(f *testing.F) {
	for _, s := range []string{"SELINUX=enforcing\n", "SELINUX=permissive", "SELINUX=", "=", "#"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := parseSELinuxConfig(b); m != -1 && m != 0 && m != 1 {
			t.Errorf("%q: %v", b, m)
		}
	})
}
