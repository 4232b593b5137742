package collectors

import (
	"errors"
	"strings"
	"testing"
)

func numaHost() map[string]string {
	const dir = "sys/devices/system/node/"
	return map[string]string{
		dir + "online":          "0,10\n",
		dir + "node0/meminfo":   "\nNode 0 MemTotal:       1024 kB\nNode 0 Active(anon):     12 kB\nNode 0 HugePages_Total:     4\nNode 0 Made_Up:     2 kB\n",
		dir + "node0/numastat":  "numa_hit 18\nmade_up 2\n",
		dir + "node10/meminfo":  "Node 10 MemTotal:       2048 kB\nNode 10 Active(anon):     0 kB\nNode 10 HugePages_Total:     0\n",
		dir + "node10/numastat": "numa_hit 5\n",
	}
}

func TestMeminfoNuma(t *testing.T) {
	c := make1(t, "meminfo_numa", on(tree(t, numaHost())))
	for range 2 { // what was kept of the first time is not said again
		same(t, render(t, c), `# TYPE node_memory_numa_MemTotal gauge
node_memory_numa_MemTotal{node="0"} 1048576
node_memory_numa_MemTotal{node="10"} 2097152
# TYPE node_memory_numa_Active_anon gauge
node_memory_numa_Active_anon{node="0"} 12288
node_memory_numa_Active_anon{node="10"} 0
# TYPE node_memory_numa_HugePages_Total gauge
node_memory_numa_HugePages_Total{node="0"} 4
node_memory_numa_HugePages_Total{node="10"} 0
# TYPE node_memory_numa_Made_Up gauge
node_memory_numa_Made_Up{node="0"} 2048
# TYPE node_memory_numa_numa_hit_total counter
node_memory_numa_numa_hit_total{node="0"} 18
node_memory_numa_numa_hit_total{node="10"} 5
# TYPE node_memory_numa_made_up_total counter
node_memory_numa_made_up_total{node="0"} 2
`)
	}
}

// A node that is bad or gone costs its own samples.
func TestMeminfoNumaPart(t *testing.T) {
	files := numaHost()
	files["sys/devices/system/node/node0/meminfo"] = "Node 0 MemTotal: lots kB\n"
	delete(files, "sys/devices/system/node/node0/numastat")
	out, err := renderErr(make1(t, "meminfo_numa", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "node0/meminfo") || strings.Contains(err.Error(), "numastat") {
		t.Errorf("error %v", err)
	}
	v := values(t, out)
	if v[`node_memory_numa_MemTotal{node="10"}`] != 2<<20 || v[`node_memory_numa_numa_hit_total{node="10"}`] != 5 || len(v) != 4 {
		t.Errorf("said\n%s", out)
	}
	_, err = renderErr(make1(t, "meminfo_numa", on(tree(t, map[string]string{"sys/devices/system/node/possible": "0\n"}))))
	if !errors.Is(err, ErrNoData) {
		t.Errorf("without a node: %v", err)
	}
}

func FuzzMeminfoNuma(f *testing.F) {
	f.Add([]byte("Node 0 Active(anon):     691324 kB"))
	f.Add([]byte("numa_hit 193460335812"))
	f.Add([]byte("Node 0 :"))
	f.Fuzz(func(t *testing.T, line []byte) {
		field, v, err := parseNumaField(line)
		if err == nil && !(v >= 0) {
			t.Errorf("%q: %v", line, v)
		}
		if err == nil {
			numaMeminfoFamily(string(field)) // panics where the name is none
		}
		if field, _, err = parseNumaStat(line); err == nil {
			numaStatFamily(string(field))
		}
	})
}
