package collectors

import (
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

const vmstatText = `nr_free_pages 977769
pgpgin 7344136
pgpgout 1541180160
pswpin 1476
pgalloc_dma 1
pgfault 2320168809
pgmajfault 507162
oom_kill 0
thp_fault_alloc 142261
`

func TestVmstat(t *testing.T) {
	for _, c := range []struct{ name, fields, want string }{
		{"default", DefaultVmstatFields, `# TYPE node_vmstat_pgpgin untyped
node_vmstat_pgpgin 7344136
# TYPE node_vmstat_pgpgout untyped
node_vmstat_pgpgout 1541180160
# TYPE node_vmstat_pswpin untyped
node_vmstat_pswpin 1476
# TYPE node_vmstat_pgfault untyped
node_vmstat_pgfault 2320168809
# TYPE node_vmstat_pgmajfault untyped
node_vmstat_pgmajfault 507162
# TYPE node_vmstat_oom_kill untyped
node_vmstat_oom_kill 0
`},
		{"chosen", "^(nr_free|thp_)", `# TYPE node_vmstat_nr_free_pages untyped
node_vmstat_nr_free_pages 977769
# TYPE node_vmstat_thp_fault_alloc untyped
node_vmstat_thp_fault_alloc 142261
`},
		{"none", "^$", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := on(tree(t, map[string]string{"proc/vmstat": vmstatText}))
			cfg.Vmstat.Fields = c.fields
			same(t, render(t, make1(t, "vmstat", cfg)), c.want)
		})
	}
}

func TestVmstatBad(t *testing.T) {
	cfg := on(hostfs.Default)
	cfg.Vmstat.Fields = "("
	if _, err := newVmstat(cfg); err == nil || !strings.Contains(err.Error(), "fields") {
		t.Errorf("a bad pattern: %v", err)
	}
	for _, line := range []string{"oom_kill", "oom_kill x", "oom_kill -1"} {
		fs := tree(t, map[string]string{"proc/vmstat": "pgpgin 1\n" + line + "\n"})
		out, err := renderErr(make1(t, "vmstat", on(fs)))
		if err == nil || out != "" || !strings.Contains(err.Error(), `proc/vmstat: line "`+line) {
			t.Errorf("%q: error %v, said %q", line, err, out)
		}
	}
}

// Counters of two readings do not go back.
func TestVmstatLive(t *testing.T) {
	c := make1(t, "vmstat", on(hostfs.Default))
	before := values(t, render(t, c))
	after := values(t, render(t, c))
	for _, name := range []string{"node_vmstat_pgfault", "node_vmstat_pgpgin", "node_vmstat_oom_kill"} {
		if was, ok := before[name]; !ok || after[name] < was {
			t.Errorf("%s: %v, then %v", name, was, after[name])
		}
	}
	if before["node_vmstat_pgfault"] == 0 {
		t.Error("no page fault since boot")
	}
}

func FuzzVmstat(f *testing.F) {
	f.Add([]byte(vmstatText))
	f.Add([]byte("oom_kill"))
	f.Add([]byte("a b\nc-d 5"))
	c, _ := newVmstat(Config{}) // every field
	f.Fuzz(func(t *testing.T, b []byte) {
		var w expo.Writer
		if c.(*vmstat).collect(b, &w) != nil {
			return
		}
		sc := expo.NewScanner(w.Bytes())
		for sc.Next() {
		}
		if sc.Err() != nil {
			t.Errorf("%q: said %q: %v", b, w.Bytes(), sc.Err())
		}
	})
}
