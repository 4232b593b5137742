package collectors

import (
	"strings"
	"testing"
)

const zoneText = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 11
      nr_dirtied   21
      throttled_written 0
  pages free     3
        boost    0
        min      4
        low      5
        high     6
        spanned  7
        present  8
        managed  9
        cma      0
        protection: (0, 100, 200)
      nr_free_pages 3
      numa_hit     77
  pagesets
    cpu: 0
              count:    351
              high:     378
              batch:    63
  vm stats threshold: 8
  node_unreclaimable:  0
  start_pfn:           1
Node 1, zone   Normal
  pages free     1
        min      2
        protection: (0, 0, 0)
`

func TestZoneinfo(t *testing.T) {
	c := make1(t, "zoneinfo", on(tree(t, map[string]string{"proc/zoneinfo": zoneText})))
	same(t, render(t, c), `# TYPE node_zoneinfo_nr_free_pages gauge
node_zoneinfo_nr_free_pages{node="0",zone="DMA"} 3
# TYPE node_zoneinfo_min_pages gauge
node_zoneinfo_min_pages{node="0",zone="DMA"} 4
node_zoneinfo_min_pages{node="1",zone="Normal"} 2
# TYPE node_zoneinfo_low_pages gauge
node_zoneinfo_low_pages{node="0",zone="DMA"} 5
# TYPE node_zoneinfo_high_pages gauge
node_zoneinfo_high_pages{node="0",zone="DMA"} 6
# TYPE node_zoneinfo_spanned_pages gauge
node_zoneinfo_spanned_pages{node="0",zone="DMA"} 7
# TYPE node_zoneinfo_present_pages gauge
node_zoneinfo_present_pages{node="0",zone="DMA"} 8
# TYPE node_zoneinfo_managed_pages gauge
node_zoneinfo_managed_pages{node="0",zone="DMA"} 9
# TYPE node_zoneinfo_nr_inactive_anon_pages gauge
node_zoneinfo_nr_inactive_anon_pages{node="0",zone="DMA"} 11
# TYPE node_zoneinfo_nr_dirtied_total counter
node_zoneinfo_nr_dirtied_total{node="0",zone="DMA"} 21
# TYPE node_zoneinfo_numa_hit_total counter
node_zoneinfo_numa_hit_total{node="0",zone="DMA"} 77
# TYPE node_zoneinfo_protection_0 gauge
node_zoneinfo_protection_0{node="0",zone="DMA"} 0
node_zoneinfo_protection_0{node="1",zone="Normal"} 0
# TYPE node_zoneinfo_protection_1 gauge
node_zoneinfo_protection_1{node="0",zone="DMA"} 100
node_zoneinfo_protection_1{node="1",zone="Normal"} 0
# TYPE node_zoneinfo_protection_2 gauge
node_zoneinfo_protection_2{node="0",zone="DMA"} 200
node_zoneinfo_protection_2{node="1",zone="Normal"} 0
`)
}

func TestZoneinfoBad(t *testing.T) {
	for _, text := range []string{
		"min 3\n", "Node 0 zone DMA\n", "Node 0, zone DMA\n min x\n", "Node 0, zone DMA\n min\n",
		"Node 0, zone DMA\n protection: 1, 2\n", "Node 0, zone DMA\n protection: (1, x)\n", "Node 0, zone DMA\n protection: ()\n",
		"Node 0, zone DMA\n protection: (1,1,1,1,1,1,1,1,1)\n",
	} {
		c := make1(t, "zoneinfo", on(tree(t, map[string]string{"proc/zoneinfo": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/zoneinfo") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

func FuzzZoneinfo(f *testing.F) {
	f.Add([]byte(zoneText))
	f.Add([]byte("Node 0, zone DMA\nprotection: (1, 2)"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := newZoneinfo(DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		z := c.(*zoneinfo)
		if err := z.parse(b); err != nil {
			return
		}
		for _, k := range z.zones {
			if k.node == "" || k.zone == "" || k.protections > maxZoneKinds {
				t.Errorf("%q: %+v", b, k)
			}
		}
	})
}
