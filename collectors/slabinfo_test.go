package collectors

import (
	"bytes"
	"strings"
	"testing"
)

const slabText = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
dentry             90210  94500    192   21    1 : tunables    0    0    0 : slabdata   4500   4500      0
kmalloc-64          7001   7040     64   64    1 : tunables    0    0    0 : slabdata    110    110      0
kmalloc-128          930    960    128   32    1 : tunables    0    0    0 : slabdata     30     30      0
`

func TestSlabinfo(t *testing.T) {
	cfg := on(tree(t, map[string]string{"proc/slabinfo": slabText}))
	cfg.Slabinfo = SlabinfoConfig{Include: "^(kmalloc|dentry)", Exclude: "-128$"}
	same(t, render(t, make1(t, "slabinfo", cfg)), `# TYPE node_slabinfo_active_objects gauge
node_slabinfo_active_objects{slab="dentry"} 90210
node_slabinfo_active_objects{slab="kmalloc-64"} 7001
# TYPE node_slabinfo_objects gauge
node_slabinfo_objects{slab="dentry"} 94500
node_slabinfo_objects{slab="kmalloc-64"} 7040
# TYPE node_slabinfo_object_size_bytes gauge
node_slabinfo_object_size_bytes{slab="dentry"} 192
node_slabinfo_object_size_bytes{slab="kmalloc-64"} 64
# TYPE node_slabinfo_objects_per_slab gauge
node_slabinfo_objects_per_slab{slab="dentry"} 21
node_slabinfo_objects_per_slab{slab="kmalloc-64"} 64
# TYPE node_slabinfo_pages_per_slab gauge
node_slabinfo_pages_per_slab{slab="dentry"} 1
node_slabinfo_pages_per_slab{slab="kmalloc-64"} 1
`)
}

// The line at the seam of two reads can come twice.
func TestSlabinfoTwice(t *testing.T) {
	text := strings.Replace(slabText, "kmalloc-64 ", "kmalloc-64          7001   7040     64   64    1\nkmalloc-64 ", 1)
	v := values(t, render(t, make1(t, "slabinfo", on(tree(t, map[string]string{"proc/slabinfo": text})))))
	if v[`node_slabinfo_active_objects{slab="kmalloc-64"}`] != 7001 || len(v) != 3*5 {
		t.Errorf("got %v", v)
	}
}

func TestSlabinfoBad(t *testing.T) {
	for _, text := range []string{"dentry", "dentry 1 2 3 4", "dentry 1 2 3 4 x", slabText + "rubbish"} {
		c := make1(t, "slabinfo", on(tree(t, map[string]string{"proc/slabinfo": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/slabinfo") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
	cfg := DefaultConfig()
	cfg.Slabinfo.Exclude = "("
	if _, err := build(cfg, []string{"slabinfo"}); err == nil {
		t.Error("a bad pattern is accepted")
	}
}

func FuzzSlabinfo(f *testing.F) {
	for line := range strings.Lines(slabText) {
		f.Add([]byte(line))
	}
	f.Add([]byte(slabText))
	c, _ := newSlabinfo(DefaultConfig())
	f.Fuzz(func(t *testing.T, line []byte) {
		if s := c.(*slabinfo); s.parse(line) == nil && len(s.slabs) > bytes.Count(line, []byte("\n"))+1 {
			t.Errorf("%q: %d caches", line, len(s.slabs))
		}
		if name, _, err := parseSlab(line); err == nil && len(name) == 0 {
			t.Errorf("%q: no name", line)
		}
	})
}
