package collectors

import (
	"os"
	"strings"
	"testing"
)

const (
	arpCacheText  = "entries  allocs   destroys\n0000000a 00000001 000000ff\n0000000a 00000002 00000000\n"
	conntrackText = "entries clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n" +
		"00000005 00000000 00000001 00000000 00000002 00000003 00000000 00000000 00000004 00000005 00000006 00000007 00000000  00000000 00000000 00000000 00000008\n" +
		"00000005 00000000 00000010 00000000 00000020 00000030 00000000 00000000 00000040 00000050 00000060 00000070 00000000  00000000 00000000 00000000 00000080\n"
)

func TestLnstat(t *testing.T) {
	fs := tree(t, map[string]string{
		"proc/net/stat/arp_cache": arpCacheText,
		"proc/net/stat/odd":       "entries\t\tnew-thing\n00000003\t00000004\n",
	})
	c := make1(t, "lnstat", on(fs))
	const want = `# TYPE node_lnstat_entries_total counter
node_lnstat_entries_total{subsystem="arp_cache",cpu="0"} 10
node_lnstat_entries_total{subsystem="arp_cache",cpu="1"} 10
node_lnstat_entries_total{subsystem="odd",cpu="0"} 3
# TYPE node_lnstat_allocs_total counter
node_lnstat_allocs_total{subsystem="arp_cache",cpu="0"} 1
node_lnstat_allocs_total{subsystem="arp_cache",cpu="1"} 2
# TYPE node_lnstat_destroys_total counter
node_lnstat_destroys_total{subsystem="arp_cache",cpu="0"} 255
node_lnstat_destroys_total{subsystem="arp_cache",cpu="1"} 0
# TYPE node_lnstat_new_thing_total counter
node_lnstat_new_thing_total{subsystem="odd",cpu="0"} 4
`
	same(t, render(t, c), want)
	same(t, render(t, c), want)

	// A bad file loses its own series only; one that is gone is not missed.
	write(t, fs.ProcPath("net/stat/odd"), "entries new-thing\n1 2 3\n", false)
	text, err := renderErr(c)
	if err == nil || !strings.Contains(err.Error(), "net/stat/odd") || !strings.Contains(text, `destroys_total{subsystem="arp_cache",cpu="0"} 255`) || strings.Contains(text, "odd") {
		t.Errorf("said %q, %v", text, err)
	}
	if err := os.Remove(fs.ProcPath("net/stat/odd")); err != nil {
		t.Fatal(err)
	}
	if text := render(t, c); strings.Contains(text, "odd") || !strings.Contains(text, "arp_cache") {
		t.Error(text)
	}
	refuses(t, "lnstat", "proc/net/stat/arp_cache", map[string]string{"empty": "", "not hex": "a\nx\n", "too many": "a\n1 2\n", "too few": "a b\n1\n"})
}

func TestLnstatLive(t *testing.T) {
	if _, err := os.Stat("/proc/net/stat/arp_cache"); err != nil {
		t.Skip(err)
	}
	v := values(t, render(t, make1(t, "lnstat", DefaultConfig())))
	if _, ok := v[`node_lnstat_allocs_total{subsystem="arp_cache",cpu="0"}`]; !ok {
		t.Errorf("%d series, none of arp_cache", len(v))
	}
}

func FuzzHexTable(f *testing.F) {
	f.Add([]byte(arpCacheText))
	f.Add([]byte(conntrackText))
	f.Add([]byte("a b\n1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var table hexTable
		if _, err := table.parse(b); err == nil {
			for _, name := range table.names {
				table.sum(name)
			}
			if n := table.rows(); n > 0 {
				table.at(n-1, len(table.names)-1)
			}
		}
	})
}
