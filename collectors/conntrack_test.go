package collectors

import (
	"errors"
	"strings"
	"testing"

	"watchpost/internal/expo"
)

const conntrackWant = `# TYPE node_nf_conntrack_entries gauge
node_nf_conntrack_entries 123
# TYPE node_nf_conntrack_entries_limit gauge
node_nf_conntrack_entries_limit 65536
`

func TestConntrack(t *testing.T) {
	counts := map[string]string{"proc/sys/net/netfilter/nf_conntrack_count": "123\n", "proc/sys/net/netfilter/nf_conntrack_max": "65536\n"}
	with := func(stat string) map[string]string {
		m := map[string]string{"proc/net/stat/nf_conntrack": stat}
		for k, v := range counts {
			m[k] = v
		}
		return m
	}
	same(t, render(t, make1(t, "conntrack", on(tree(t, counts)))), conntrackWant)
	same(t, render(t, make1(t, "conntrack", on(tree(t, with(conntrackText))))), conntrackWant+`# TYPE node_nf_conntrack_stat_found gauge
node_nf_conntrack_stat_found 17
# TYPE node_nf_conntrack_stat_invalid gauge
node_nf_conntrack_stat_invalid 34
# TYPE node_nf_conntrack_stat_ignore gauge
node_nf_conntrack_stat_ignore 51
# TYPE node_nf_conntrack_stat_insert gauge
node_nf_conntrack_stat_insert 68
# TYPE node_nf_conntrack_stat_insert_failed gauge
node_nf_conntrack_stat_insert_failed 85
# TYPE node_nf_conntrack_stat_drop gauge
node_nf_conntrack_stat_drop 102
# TYPE node_nf_conntrack_stat_early_drop gauge
node_nf_conntrack_stat_early_drop 119
# TYPE node_nf_conntrack_stat_search_restart gauge
node_nf_conntrack_stat_search_restart 136
`)
	// What can be read is said.
	text, err := renderErr(make1(t, "conntrack", on(tree(t, with("entries found\n1 x\n")))))
	if err == nil || !strings.Contains(err.Error(), "stat/nf_conntrack") || text != conntrackWant {
		t.Errorf("said %q, %v", text, err)
	}
	refuses(t, "conntrack", "proc/sys/net/netfilter/nf_conntrack_count", map[string]string{"empty": "", "text": "many\n"})
}

// What ctnetlink says is what the file says, where the kernel has both.
func TestConntrackLive(t *testing.T) {
	c, err := newConntrack(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	text, err := renderErr(c)
	if errors.Is(err, ErrNoData) || !strings.Contains(text, "stat_invalid") {
		t.Skip(err)
	}
	var w expo.Writer
	if err := c.(*conntrack).collectNetlink(&w); err != nil {
		t.Skip(err)
	}
	file, netlink := values(t, text), values(t, string(w.Bytes()))
	for series, v := range netlink {
		if file[series] > v {
			t.Errorf("%s: file says %v, a later question to netlink %v", series, file[series], v)
		}
	}
	if len(netlink) != len(conntrackStats) {
		t.Errorf("%d series by netlink", len(netlink))
	}
}
