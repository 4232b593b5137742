package collectors

import (
	"strings"
	"testing"
)

func TestKsmd(t *testing.T) {
	files := map[string]string{
		"full_scans": "17", "general_profit": "-81920", "merge_across_nodes": "1", "pages_shared": "5", "pages_sharing": "40",
		"pages_to_scan": "100", "pages_unshared": "7", "pages_volatile": "2", "run": "1", "sleep_millisecs": "20",
	}
	host := make(map[string]string)
	for name, text := range files {
		host["sys/kernel/mm/ksm/"+name] = text + "\n"
	}
	want := `# TYPE node_ksmd_full_scans_total counter
node_ksmd_full_scans_total 17
# TYPE node_ksmd_general_profit_bytes gauge
node_ksmd_general_profit_bytes -81920
# TYPE node_ksmd_merge_across_nodes gauge
node_ksmd_merge_across_nodes 1
# TYPE node_ksmd_pages_shared gauge
node_ksmd_pages_shared 5
# TYPE node_ksmd_pages_sharing gauge
node_ksmd_pages_sharing 40
# TYPE node_ksmd_pages_to_scan gauge
node_ksmd_pages_to_scan 100
# TYPE node_ksmd_pages_unshared gauge
node_ksmd_pages_unshared 7
# TYPE node_ksmd_pages_volatile gauge
node_ksmd_pages_volatile 2
# TYPE node_ksmd_run gauge
node_ksmd_run 1
# TYPE node_ksmd_sleep_seconds gauge
node_ksmd_sleep_seconds 0.02
`
	same(t, render(t, make1(t, "ksmd", on(tree(t, host)))), want)

	// A kernel before 6.1.
	delete(host, "sys/kernel/mm/ksm/general_profit")
	without := strings.Replace(want, "# TYPE node_ksmd_general_profit_bytes gauge\nnode_ksmd_general_profit_bytes -81920\n", "", 1)
	same(t, render(t, make1(t, "ksmd", on(tree(t, host)))), without)

	// One bad file costs its own family.
	host["sys/kernel/mm/ksm/run"] = "yes\n"
	out, err := renderErr(make1(t, "ksmd", on(tree(t, host))))
	if err == nil || !strings.Contains(err.Error(), "ksm/run") {
		t.Errorf("error %v", err)
	}
	same(t, out, strings.Replace(without, "# TYPE node_ksmd_run gauge\nnode_ksmd_run 1\n", "", 1))
}
