// Package testkubelet is a made-up node for tests and benchmarks: the text of its
// containers, its pods, and a kubelet that serves both over TLS.
package testkubelet

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The text of a made-up node, as a kubelet 1.36 with containerd writes it: the same
// families, labels and order of lines, and nearly as many rows a pod.

// cgroup is one that has container metrics.
type cgroup struct{ container, id, image, name, namespace, pod string }

func (c cgroup) labels(more ...string) string {
	all := []string{"container", c.container, "id", c.id, "image", c.image, "name", c.name, "namespace", c.namespace, "pod", c.pod}
	all = append(all, more...)
	var pairs []string
	for i := 0; i < len(all); i += 2 {
		pairs = append(pairs, fmt.Sprintf("%s=%q", all[i], all[i+1]))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

// Node is a made-up node with its pods.
type Node struct {
	cgroups []cgroup
	Pods    []Pod
}

// Pod is one of a Node's.
type Pod struct{ Namespace, Name, UID, IP, Container, ContainerID string }

// NewNode makes a node with so many pods, always the same.
func NewNode(pods int) Node {
	random := rand.New(rand.NewPCG(1, 2))
	hex := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789abcdef"[random.IntN(16)]
		}
		return string(b)
	}
	var n Node
	for _, id := range []string{"/", "/kubepods", "/kubepods/besteffort", "/kubepods/burstable"} {
		n.cgroups = append(n.cgroups, cgroup{id: id})
	}
	for i := range pods {
		namespace, app := fmt.Sprintf("team-%d", i%5), fmt.Sprintf("shop-%d", i%17)
		pod := app + "-" + hex(10) + "-" + hex(5)
		uid := hex(8) + "-" + hex(4) + "-" + hex(4) + "-" + hex(4) + "-" + hex(12)
		folder := "/kubepods/" + []string{"besteffort", "burstable"}[i%2] + "/pod" + uid
		sandbox, container := hex(64), hex(64)
		n.Pods = append(n.Pods, Pod{namespace, pod, uid, fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), app, container})
		n.cgroups = append(n.cgroups,
			cgroup{id: folder, namespace: namespace, pod: pod},
			cgroup{id: folder + "/" + sandbox, image: "registry.example/pause:3.10", name: sandbox, namespace: namespace, pod: pod},
			cgroup{app, folder + "/" + container, "registry.example/" + app + ":1.0." + fmt.Sprint(i), container, namespace, pod})
	}
	slices.SortFunc(n.cgroups, func(a, b cgroup) int {
		return cmp.Or(cmp.Compare(a.container, b.container), cmp.Compare(a.id, b.id))
	})
	return n
}

// generated are the families of the text, with the labels that each adds.
var generated = []struct {
	names  string
	where  func(cgroup) bool
	more   [][]string
	noTime bool
}{
	{names: "cpu_load_average_10s cpu_load_d_average_10s cpu_system_seconds_total cpu_user_seconds_total file_descriptors health_state last_seen"},
	{names: "cpu_usage_seconds_total", more: [][]string{{"cpu", "total"}}},
	{names: "fs_inodes_free fs_inodes_total fs_io_current fs_io_time_seconds_total fs_limit_bytes fs_read_seconds_total fs_reads_total fs_sector_reads_total fs_usage_bytes fs_writes_total",
		where: func(c cgroup) bool { return c.id == "/" }, more: [][]string{{"device", "/dev/shm"}, {"device", "/dev/vda"}, {"device", "/run"}, {"device", "tmpfs"}}},
	{names: "memory_cache memory_failcnt"},
	{names: "memory_failures_total", more: [][]string{{"failure_type", "pgfault", "scope", "container"}, {"failure_type", "pgfault", "scope", "hierarchy"},
		{"failure_type", "pgmajfault", "scope", "container"}, {"failure_type", "pgmajfault", "scope", "hierarchy"}}},
	{names: "memory_kernel_usage memory_mapped_file memory_max_usage_bytes memory_rss memory_swap memory_total_active_file_bytes memory_total_inactive_file_bytes memory_usage_bytes memory_working_set_bytes"},
	{names: "network_receive_bytes_total network_receive_errors_total network_receive_packets_dropped_total network_receive_packets_total network_transmit_bytes_total network_transmit_errors_total network_transmit_packets_dropped_total network_transmit_packets_total",
		where: func(c cgroup) bool { return c.id == "/" || strings.HasSuffix(c.image, "pause:3.10") }, more: [][]string{{"interface", "eth0"}}},
	{names: "oom_events_total processes sockets"},
	{names: "spec_cpu_period spec_cpu_shares spec_memory_limit_bytes spec_memory_reservation_limit_bytes spec_memory_swap_limit_bytes start_time_seconds", noTime: true},
	{names: "tasks_state", more: [][]string{{"state", "iowaiting"}, {"state", "running"}, {"state", "sleeping"}, {"state", "stopped"}, {"state", "uninterruptible"}}},
	{names: "threads threads_max"},
	{names: "ulimits_soft", where: func(c cgroup) bool { return c.container != "" }, more: [][]string{{"ulimit", "max_open_files"}}},
}

// Text is the node's answer at /metrics/cadvisor.
func (n Node) Text() string {
	random := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	b.WriteString("# HELP cadvisor_version_info A constant 1, with versions.\n# TYPE cadvisor_version_info gauge\n" +
		`cadvisor_version_info{cadvisorRevision="",cadvisorVersion="",dockerVersion="",kernelVersion="6.18.44",osVersion="Debian GNU/Linux 12"} 1` + "\n")
	for _, g := range generated {
		for name := range strings.FieldsSeq(g.names) {
			name = "container_" + name
			kind := "gauge"
			if strings.HasSuffix(name, "_total") {
				kind = "counter"
			}
			fmt.Fprintf(&b, "# HELP %s Made up, as long as such texts are.\n# TYPE %s %s\n", name, name, kind)
			for i, c := range n.cgroups {
				if g.where != nil && !g.where(c) {
					continue
				}
				more := g.more
				if more == nil {
					more = [][]string{nil}
				}
				for _, m := range more {
					value := []any{random.IntN(2), random.IntN(1 << 20), random.Float64() * 1e10, random.Float64() * 100}[(i+len(name))%4]
					fmt.Fprintf(&b, "%s%s %v", name, c.labels(m...), value)
					if !g.noTime {
						fmt.Fprintf(&b, " %d", 1795234812000+int64(i*17%20000))
					}
					b.WriteByte('\n')
				}
			}
		}
	}
	b.WriteString("# HELP machine_memory_bytes Memory of the machine.\n# TYPE machine_memory_bytes gauge\n" +
		`machine_memory_bytes{boot_id="13f60532",machine_id="3d1219c7",system_uuid="3d1219c7"} 2.5e+10` + "\n" +
		"# HELP container_scrape_error 1 if there was an error.\n# TYPE container_scrape_error gauge\ncontainer_scrape_error 0\n")
	return b.String()
}
