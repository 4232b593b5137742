// Command cadvisor is the barest program around cAdvisor's library: its manager with
// its own defaults, and its collector served by client_golang. bench/containers
// measures cadvisor-proxy --cadvisor beside it.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	_ "github.com/google/cadvisor/lib/container/containerd/install"
	_ "github.com/google/cadvisor/lib/container/crio/install"
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/tmpfs/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

// keep is how long samples are kept, as the kubelet and cAdvisor have it.
const keep = 2 * time.Minute

func main() {
	address := flag.String("web.listen-address", "127.0.0.1:8080", "where to serve /metrics")
	flag.Parse()
	set := container.MetricSet{} // what the kubelet has
	for _, kind := range []container.MetricKind{
		container.CpuUsageMetrics, container.MemoryUsageMetrics, container.DiskIOMetrics, container.DiskUsageMetrics,
		container.NetworkUsageMetrics, container.ProcessMetrics, container.OOMMetrics,
	} {
		set[kind] = struct{}{}
	}
	m, err := manager.New(memory.New(keep, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfigFlags, set, []string{"/"}, nil, "", 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Start(); err != nil {
		log.Fatal(err)
	}
	all := model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true}
	r := prometheus.NewRegistry()
	r.MustRegister(metrics.NewPrometheusCollector(m, nil, set, clock.RealClock{}, all), metrics.NewPrometheusMachineCollector(m, set))
	http.Handle("/metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	log.Fatal(http.ListenAndServe(*address, nil))
}
