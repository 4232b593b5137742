package collectors

import (
	"strings"
	"testing"
)

func TestCgroups(t *testing.T) {
	c := make1(t, "cgroups", on(tree(t, map[string]string{"proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t212\t1\nmemory\t7\t31\t0"})))
	same(t, render(t, c), `# TYPE node_cgroups_cgroups gauge
node_cgroups_cgroups{subsys_name="cpuset"} 212
node_cgroups_cgroups{subsys_name="memory"} 31
# TYPE node_cgroups_enabled gauge
node_cgroups_enabled{subsys_name="cpuset"} 1
node_cgroups_enabled{subsys_name="memory"} 0
`)
}

func TestCgroupsBad(t *testing.T) {
	for _, text := range []string{"cpuset", "cpuset 1 2", "cpuset 1 x 1", "cpuset 1 1 1\nmemory 1 1 -1"} {
		c := make1(t, "cgroups", on(tree(t, map[string]string{"proc/cgroups": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/cgroups") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

func FuzzCgroups(f *testing.F) {
	f.Add([]byte("cpuset\t5\t47\t1"))
	f.Add([]byte("cpuset 1"))
	f.Add([]byte("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t47\t1\n"))
	c, _ := newCgroups(DefaultConfig())
	f.Fuzz(func(t *testing.T, line []byte) {
		c.(*cgroups).parse(line)
		if name, _, _, err := parseCgroup(line); err == nil && len(name) == 0 {
			t.Errorf("%q: no name", line)
		}
	})
}
