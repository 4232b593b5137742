package containers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// profileRules are the rules of a profile.
func profileRules(name string) ([]SeriesRule, error) {
	if name == "" {
		name = "none"
	}
	series, found := profiles[name]
	if !found {
		return nil, fmt.Errorf("no profile is called %q: there are %s", name, strings.Join(slices.Sorted(maps.Keys(profiles)), ", "))
	}
	series = slices.Clone(series)
	for i := range series {
		series[i].Origin = fmt.Sprintf("profile %s, rule %d", name, i+1)
	}
	return series, nil
}

// profiles are the rules that the common installations give to Prometheus for the
// kubelet's /metrics/cadvisor: kube-prometheus and kube-prometheus-stack.
var profiles = map[string][]SeriesRule{
	"none": nil,
	"default": {
		// Counted nowhere, or zero since the kubelet does not ask for them.
		{Metric: `container_(network_tcp_usage_total|network_udp_usage_total|tasks_state|cpu_load_average_10s)`},
		// What these say of a cgroup that is no pod's is of no use.
		{Metric: `container_(spec_.*|file_descriptors|sockets|threads_max|threads|start_time_seconds|last_seen)`, Where: map[string]string{"pod": "", "namespace": ""}},
		// The same as the sum in the row of the pod.
		{Metric: `container_blkio_device_usage_total`, Where: map[string]string{"container": ".+"}},
	},
	"lean": {
		{Metric: `container_cpu_(cfs_throttled_seconds_total|load_average_10s|system_seconds_total|user_seconds_total)`},
		{Metric: `container_fs_(io_current|io_time_seconds_total|io_time_weighted_seconds_total|reads_merged_total|sector_reads_total|sector_writes_total|writes_merged_total)`},
		{Metric: `container_memory_(mapped_file|swap)`},
		{Metric: `container_(file_descriptors|tasks_state|threads_max)`},
		{Metric: `container_memory_failures_total`, Where: map[string]string{"scope": "hierarchy"}},
		// Interfaces of the network's plugin.
		{Metric: `container_network_.*`, Where: map[string]string{"interface": `(cali|cilium|cni|lxc|nodelocaldns|tunl).*`}},
		{Metric: `container_spec.*`},
		// Rows of cgroups that are no pod's.
		{Where: map[string]string{"id": ".+", "pod": ""}},
	},
}
