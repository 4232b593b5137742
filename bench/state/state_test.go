package main

import (
	"strings"
	"testing"
	"time"
)

// page is a scrape: three objects, eight series.
const page = `# HELP kube_pod_created When.
# TYPE kube_pod_created gauge
kube_pod_created{namespace="a",pod="b"} 1
kube_pod_created{namespace="a",pod="c"} 1
kube_node_created{node="n"} 1
kube_pod_container_status_restarts_total{pod="b"} 3
kube_pod_container_status_restarts_total{pod="c"} 4
kube_pod_container_status_restarts_total_more{pod="c"} 100
kube_pod_info{pod="kube_x_created"} 1
kube_created_pods 1
`

func TestCount(t *testing.T) {
	objects, series, err := count([]byte(page))
	if objects != 3 || series != 8 || err != nil {
		t.Errorf("%d objects and %d series, %v; want 3 and 8", objects, series, err)
	}
	if _, _, err := count([]byte("kube_x{a=\"b\n")); err == nil {
		t.Error("a bad line was counted")
	}
}

func TestSum(t *testing.T) {
	total, err := sum([]byte(page), restarts)
	if total != 7 || err != nil {
		t.Errorf("sum is %g, %v; want 7", total, err)
	}
}

func TestTable(t *testing.T) {
	peer := cost{name: "peer", rss: 1000e6, peak: 2000e6, complete: 10 * time.Second, cpu: time.Second, series: 5, churnCPU: time.Minute}
	ours := cost{name: "ours", rss: 100e6, peak: 400e6, complete: 9 * time.Second, cpu: 20 * time.Millisecond, series: 5, churnCPU: 20 * time.Second}
	var out strings.Builder
	if err := table(&out, peer, ours, true); err != nil {
		t.Errorf("everything is within its limit, and yet: %v", err)
	}
	for _, want := range []string{"1000.0  100.0  0.1000     0.12", "60.0   20.0  0.3333      0.5"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "scrapes then") {
		t.Errorf("a row of nothing in\n%s", out.String())
	}
	ours.rss, ours.complete = 121e6, 11*time.Second
	err := table(&out, peer, ours, true)
	if err == nil || !strings.Contains(err.Error(), "RSS after") || !strings.Contains(err.Error(), "until a scrape") || strings.Contains(err.Error(), "CPU") {
		t.Errorf("over the limit by memory and time, and the error is %v", err)
	}
	if err := table(&out, peer, ours, false); err != nil {
		t.Errorf("limits were not asked for, and yet: %v", err)
	}
}
