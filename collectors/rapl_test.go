package collectors

import (
	"strings"
	"testing"
)

func raplTree() map[string]string {
	const dir = "sys/class/powercap/"
	return map[string]string{
		dir + "intel-rapl/enabled": "1\n",
		dir + "intel-rapl:0/name":  "package-0\n", dir + "intel-rapl:0/energy_uj": "240422366267\n",
		dir + "intel-rapl:0:0/name": "dram\n", dir + "intel-rapl:0:0/energy_uj": "118821284256\n",
		dir + "intel-rapl:1/name": "package-1\n", dir + "intel-rapl:1/energy_uj": "5000000\n",
		dir + "intel-rapl:1:0/name": "dram\n", dir + "intel-rapl:1:0/energy_uj": "6000000\n",
		dir + "other:0/name": "np-u 1\n", dir + "other:0/energy_uj": "7000000\n",
		dir + "other:1/name": "no-meter\n",
	}
}

func TestRapl(t *testing.T) {
	host := tree(t, raplTree())
	want := `# TYPE node_rapl_package_joules_total counter
node_rapl_package_joules_total{index="0",path="SYS/class/powercap/intel-rapl:0"} 240422.366267
node_rapl_package_joules_total{index="1",path="SYS/class/powercap/intel-rapl:1"} 5
# TYPE node_rapl_dram_joules_total counter
node_rapl_dram_joules_total{index="0",path="SYS/class/powercap/intel-rapl:0:0"} 118821.284256
node_rapl_dram_joules_total{index="1",path="SYS/class/powercap/intel-rapl:1:0"} 6
# TYPE node_rapl_np_u_1_joules_total counter
node_rapl_np_u_1_joules_total{index="0",path="SYS/class/powercap/other:0"} 7
`
	same(t, strings.ReplaceAll(render(t, make1(t, "rapl", on(host))), host.Sys, "SYS"), want)

	cfg := on(host)
	cfg.Rapl.ZoneLabel = true
	same(t, strings.ReplaceAll(render(t, make1(t, "rapl", cfg)), host.Sys, "SYS"), `# TYPE node_rapl_joules_total counter
node_rapl_joules_total{index="0",path="SYS/class/powercap/intel-rapl:0",rapl_zone="package"} 240422.366267
node_rapl_joules_total{index="0",path="SYS/class/powercap/intel-rapl:0:0",rapl_zone="dram"} 118821.284256
node_rapl_joules_total{index="1",path="SYS/class/powercap/intel-rapl:1",rapl_zone="package"} 5
node_rapl_joules_total{index="1",path="SYS/class/powercap/intel-rapl:1:0",rapl_zone="dram"} 6
node_rapl_joules_total{index="0",path="SYS/class/powercap/other:0",rapl_zone="np-u 1"} 7
`)
}

func TestRaplBad(t *testing.T) {
	files := raplTree()
	files["sys/class/powercap/intel-rapl:1/energy_uj"] = "lots\n"
	text, err := renderErr(make1(t, "rapl", on(tree(t, files))))
	if err == nil || !strings.Contains(err.Error(), "intel-rapl:1/energy_uj") || len(values(t, text)) != 4 {
		t.Errorf("%v, said %s", err, text)
	}
}

func FuzzRaplZone(f *testing.F) {
	for _, s := range []string{"package-0", "dram", "", "-", "a-1-2", "x-99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		zone, _ := raplZone(name, make(map[string]int))
		raplFamily(zone) // panics if it is not a metric's name
	})
}
