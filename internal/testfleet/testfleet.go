// Package testfleet makes up the series of a fleet of nodes and pods, as
// node-agent, state-agent and cadvisor-proxy tell them, for tests and benchmarks of
// what reads them. The same size gives the same series: nothing is random.
package testfleet

import (
	"fmt"
	"math"
	"time"
)

// Size is how large the fleet is.
type Size struct{ Nodes, Pods int }

// Step is the time between two samples.
const Step = time.Minute

// History is how long the series of nodes and of sick pods reach back; those of
// other pods reach back Recent, which is enough for rates.
const (
	History = 45 * time.Minute
	Recent  = 8 * time.Minute
)

// Cluster is the label of all series.
const Cluster = "test"

// Series takes one series: pairs of label names and values, the name of the metric
// among them, not sorted; its samples are those of value at start, start+Step...
// before end; ok is false where there is none. labels is used again.
type Series func(labels []string, start time.Time, value func(at time.Time) (v float64, ok bool))

type maker struct {
	Size
	now    time.Time
	add    Series
	labels []string
}

// Write calls add for each series of the fleet at now.
func Write(size Size, now time.Time, add Series) {
	m := &maker{Size: size, now: now.Truncate(Step), add: add}
	for i := range size.Nodes {
		m.node(i)
	}
	for i := range size.Pods {
		m.pod(i)
	}
	for i := range Apps(size) {
		m.app(i)
	}
}

// NodeName, NodeIP and NodeDown tell of node i.
func NodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }
func NodeIP(i int) string   { return fmt.Sprintf("10.1.%d.%d", i/200, i%200+10) }

// NodeDown tells whether node i fell silent ten minutes before now.
func NodeDown(i int) bool { return i%97 == 13 }

// podsOfApp is how many pods an application has.
const podsOfApp = 20

// Apps is how many applications there are.
func Apps(s Size) int { return (s.Pods + podsOfApp - 1) / podsOfApp }

// Namespace, AppKind and AppName tell of application i.
func Namespace(i int) string { return fmt.Sprintf("team-%d", i%40) }
func AppKind(i int) string {
	return []string{"Deployment", "Deployment", "StatefulSet", "DaemonSet", "Deployment"}[i%5]
}
func AppName(i int) string { return fmt.Sprintf("shop-%d", i) }

// Pod is what there is to know of a pod.
type Pod struct {
	Namespace, Name, IP string
	Node, App           int
	Sick                bool // its container crashes again and again
	Pending             bool // no node takes it
}

// PodAt is pod i.
func PodAt(s Size, i int) Pod {
	app := i / podsOfApp
	p := Pod{Namespace: Namespace(app), App: app, Node: (i*7 + i/s.Nodes) % s.Nodes, Sick: i%397 == 5, Pending: i%1999 == 17}
	p.IP = fmt.Sprintf("10.%d.%d.%d", 64+i>>16, i>>8&255, i&255)
	switch AppKind(app) {
	case "Deployment":
		p.Name = fmt.Sprintf("%s-%s-%05x", AppName(app), hash(app), mix(i)&0xfffff)
	case "StatefulSet":
		p.Name = fmt.Sprintf("%s-%d", AppName(app), i%podsOfApp)
	default:
		p.Name = fmt.Sprintf("%s-%05x", AppName(app), mix(i)&0xfffff)
	}
	if p.Pending {
		p.IP, p.Node = "", -1
	}
	return p
}

func mix(i int) uint32 {
	x := uint32(i)*2654435761 + 12345
	x ^= x >> 15
	x *= 2246822519
	return x ^ x>>13
}

func hash(app int) string { return fmt.Sprintf("%08x", mix(app+7777)) }

// share is a number in 0..1 that belongs to i.
func share(i int) float64 { return float64(mix(i)%1000) / 1000 }

func always(v float64) func(time.Time) (float64, bool) {
	return func(time.Time) (float64, bool) { return v, true }
}

// turned is the seconds since the beginning of 2026, counted unevenly: from half as
// fast to half as fast again.
func turned(at time.Time, phase int) float64 {
	t := float64(at.Unix() - 1767225600)
	return t - 300*math.Cos(t/600+float64(phase))
}

// grows counts up at a rate a second that swings slowly.
func grows(rate float64, phase int) func(time.Time) (float64, bool) {
	return func(at time.Time) (float64, bool) {
		return rate * turned(at, phase), true
	}
}

// swings goes up and down around v.
func swings(v float64, phase int) func(time.Time) (float64, bool) {
	return func(at time.Time) (float64, bool) {
		return v * (1 + 0.1*math.Sin(float64(at.Unix())/900+float64(phase))), true
	}
}

func (m *maker) put(start time.Time, value func(time.Time) (float64, bool), name string, labels ...string) {
	m.labels = append(append(append(m.labels[:0], "__name__", name), labels...), "cluster", Cluster)
	m.add(m.labels, start, value)
}

func (m *maker) node(i int) {
	name, ip := NodeName(i), NodeIP(i)
	start := m.now.Add(-History)
	put := func(value func(time.Time) (float64, bool), metric string, labels ...string) {
		if NodeDown(i) {
			inner, end := value, m.now.Add(-10*time.Minute)
			value = func(at time.Time) (float64, bool) {
				v, ok := inner(at)
				return v, ok && at.Before(end)
			}
		}
		m.put(start, value, metric, append(labels, "job", "node", "instance", ip+":9100")...)
	}
	const GiB = 1 << 30
	put(always(1), "node_uname_info", "nodename", name, "sysname", "Linux", "release", "6.12.48", "machine", "x86_64")
	put(always(float64(m.now.Unix()-864000-int64(i)*600)), "node_boot_time_seconds")
	put(func(at time.Time) (float64, bool) { return float64(at.Unix()), true }, "node_time_seconds")
	busy := 0.04 + 0.6*share(i)*share(i+1)
	for cpu := range 4 {
		c := fmt.Sprint(cpu)
		put(func(at time.Time) (float64, bool) { return float64(at.Unix()-1767225600) - busy*turned(at, i), true }, "node_cpu_seconds_total", "cpu", c, "mode", "idle")
		put(grows(busy*0.7, i), "node_cpu_seconds_total", "cpu", c, "mode", "user")
		put(grows(busy*0.3, i), "node_cpu_seconds_total", "cpu", c, "mode", "system")
	}
	used := 0.2 + 0.7*share(i+2)
	put(always(32*GiB), "node_memory_MemTotal_bytes")
	put(swings(32*GiB*(1-used)*0.9, i), "node_memory_MemAvailable_bytes")
	put(swings(32*GiB*(1-used)*0.4, i), "node_memory_MemFree_bytes")
	put(always(GiB/8), "node_memory_Buffers_bytes")
	put(swings(32*GiB*(1-used)*0.5, i), "node_memory_Cached_bytes")
	put(always(GiB/4), "node_memory_SReclaimable_bytes")
	for d, mount := range []string{"/", "/var/lib/containerd"} {
		full := 0.3 + 0.65*share(i+3+d)
		size := float64(100+400*d) * GiB
		l := []string{"device", "/dev/nvme0n1p" + fmt.Sprint(d+1), "mountpoint", mount, "fstype", "ext4"}
		put(always(size), "node_filesystem_size_bytes", l...)
		put(always(size*(1-full)), "node_filesystem_avail_bytes", l...)
		put(always(size*(1-full)*1.05), "node_filesystem_free_bytes", l...)
		put(always(0), "node_filesystem_readonly", l...)
		put(always(6e6), "node_filesystem_files", l...)
		put(always(5e6), "node_filesystem_files_free", l...)
	}
	put(grows(2e6*share(i+5), i), "node_disk_read_bytes_total", "device", "nvme0n1")
	put(grows(8e6*share(i+6), i), "node_disk_written_bytes_total", "device", "nvme0n1")
	put(grows(0.3*share(i+7), i), "node_disk_io_time_seconds_total", "device", "nvme0n1")
	for n, device := range []string{"eth0", fmt.Sprintf("veth%06x", i), fmt.Sprintf("veth%06x", i+1<<16)} { // their names are random
		rate := 4e7 * share(i+8+n) / float64(1+9*n)
		put(grows(rate, i), "node_network_receive_bytes_total", "device", device)
		put(grows(rate*0.6, i+1), "node_network_transmit_bytes_total", "device", device)
		for _, metric := range []string{"node_network_receive_errs_total", "node_network_transmit_errs_total", "node_network_receive_drop_total", "node_network_transmit_drop_total"} {
			put(always(float64(n)), metric, "device", device)
		}
		put(always(1.25e9), "node_network_speed_bytes", "device", device)
		put(always(1500), "node_network_mtu_bytes", "device", device)
		put(always(1), "node_network_info", "device", device, "operstate", "up", "address", fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255), "duplex", "full")
	}
	put(grows(busy*busy*0.2, i), "node_pressure_cpu_waiting_seconds_total")
	put(grows(0.01*share(i+9), i), "node_pressure_io_waiting_seconds_total")
	put(grows(0.002*share(i+10), i), "node_pressure_memory_waiting_seconds_total")
	for l, metric := range []string{"node_load1", "node_load5", "node_load15"} {
		put(swings(busy*4, i+l), metric)
	}

	kube := func(v float64, metric string, labels ...string) {
		m.put(start, always(v), metric, append(labels, "node", name, "job", "state-agent", "instance", "10.2.0.1:8080")...)
	}
	kube(1, "kube_node_info", "internal_ip", ip, "os_image", "Debian GNU/Linux 12", "kernel_version", "6.12.48", "kubelet_version", "v1.36.3", "container_runtime_version", "containerd://2.1.4")
	kube(boolean(i%61 == 9), "kube_node_spec_unschedulable")
	kube(110, "kube_node_status_allocatable", "resource", "pods", "unit", "integer")
	ready := "true"
	if NodeDown(i) {
		ready = "unknown"
	}
	for _, status := range []string{"true", "false", "unknown"} {
		kube(boolean(status == ready), "kube_node_status_condition", "condition", "Ready", "status", status)
		for _, condition := range []string{"MemoryPressure", "DiskPressure", "PIDPressure"} {
			kube(boolean(status == "false"), "kube_node_status_condition", "condition", condition, "status", status)
		}
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *maker) app(i int) {
	if AppKind(i) == "Deployment" {
		m.put(m.now.Add(-Recent), always(1), "kube_replicaset_owner", "namespace", Namespace(i), "replicaset", AppName(i)+"-"+hash(i),
			"owner_kind", "Deployment", "owner_name", AppName(i), "owner_is_controller", "true", "job", "state-agent", "instance", "10.2.0.1:8080")
	}
}

// lives is how long the crashing container of a sick pod lives each time.
const lives = 10 * time.Minute

func (m *maker) pod(i int) {
	p := PodAt(m.Size, i)
	start := m.now.Add(-Recent)
	if p.Sick {
		start = m.now.Add(-History)
	}
	uid := fmt.Sprintf("%08x-0000-4000-8000-%012x", mix(i), i)
	node, host := "", ""
	if p.Node >= 0 {
		node, host = NodeName(p.Node), NodeIP(p.Node)
	}
	kube := func(value func(time.Time) (float64, bool), metric string, labels ...string) {
		m.put(start, value, metric, append(labels, "namespace", p.Namespace, "pod", p.Name, "uid", uid, "job", "state-agent", "instance", "10.2.0.1:8080")...)
	}
	kind, owner := AppKind(p.App), AppName(p.App)
	if kind == "Deployment" {
		kind, owner = "ReplicaSet", owner+"-"+hash(p.App)
	}
	kube(always(1), "kube_pod_info", "pod_ip", p.IP, "host_ip", host, "node", node, "created_by_kind", kind, "created_by_name", owner, "host_network", "false", "priority_class", "")
	kube(always(1), "kube_pod_owner", "owner_kind", kind, "owner_name", owner, "owner_is_controller", "true")
	kube(always(1), "kube_pod_labels", "label_app", AppName(p.App), "label_tier", []string{"web", "data"}[p.App%2])
	kube(always(float64(m.now.Unix()-86400*int64(1+i%30))), "kube_pod_created")
	phase := "Running"
	if p.Pending {
		phase = "Pending"
	}
	for _, name := range []string{"Pending", "Succeeded", "Failed", "Unknown", "Running"} {
		kube(always(boolean(name == phase)), "kube_pod_status_phase", "phase", name)
	}
	// The container of a sick pod ran for two minutes of each of its lives, and does not run at present.
	down := func(at time.Time) bool {
		return p.Sick && (at.Sub(m.now.Add(-History))%lives >= 2*time.Minute || !at.Before(m.now.Add(-Step)))
	}
	for _, condition := range []string{"true", "false", "unknown"} {
		if p.Pending {
			break // no kubelet has said anything
		}
		kube(func(at time.Time) (float64, bool) {
			ready := !down(at)
			return boolean(condition == "true" && ready || condition == "false" && !ready), true
		}, "kube_pod_status_ready", "condition", condition)
	}
	containers := []string{"app", "sidecar"}
	if i%3 != 0 {
		containers = containers[:1]
	}
	for c, name := range containers {
		crashes := p.Sick && c == 0
		of := func(value func(time.Time) (float64, bool), metric string, labels ...string) {
			kube(value, metric, append(labels, "container", name)...)
		}
		if !p.Pending {
			of(always(1), "kube_pod_container_info", "image", "registry.example/"+AppName(p.App)+":1."+fmt.Sprint(c), "image_id", "sha256:0", "container_id", "containerd://"+uid+name)
			of(always(float64(m.now.Unix()-3600)), "kube_pod_container_state_started")
			for _, state := range []string{"running", "waiting", "terminated"} {
				of(func(at time.Time) (float64, bool) {
					waits := crashes && down(at)
					return boolean(state == "waiting" && waits || state == "running" && !waits), true
				}, "kube_pod_container_status_"+state)
			}
			of(func(at time.Time) (float64, bool) { return boolean(!crashes || !down(at)), true }, "kube_pod_container_status_ready")
			of(func(at time.Time) (float64, bool) {
				if !crashes {
					return 0, true
				}
				return 3 + float64(at.Sub(m.now.Add(-History))/lives), true
			}, "kube_pod_container_status_restarts_total")
		}
		if crashes {
			of(func(at time.Time) (float64, bool) { return 1, down(at) }, "kube_pod_container_status_waiting_reason", "reason", "CrashLoopBackOff")
			of(always(1), "kube_pod_container_status_last_terminated_reason", "reason", "OOMKilled")
			of(always(137), "kube_pod_container_status_last_terminated_exitcode")
			of(always(float64(m.now.Unix()-120)), "kube_pod_container_status_last_terminated_timestamp")
		}
		for metric, factor := range map[string]float64{"kube_pod_container_resource_requests": 1, "kube_pod_container_resource_limits": 2} {
			of(always(0.25*factor), metric, "resource", "cpu", "unit", "core", "node", node)
			of(always(256*factor*(1<<20)), metric, "resource", "memory", "unit", "byte", "node", node)
		}
		if p.Pending {
			continue
		}
		cad := func(value func(time.Time) (float64, bool), metric string, labels ...string) {
			m.put(start, value, metric, append(labels, "container", name, "namespace", p.Namespace, "pod", p.Name, "pod_ip", p.IP, "node", node, "job", "cadvisor-proxy", "instance", host+":9101")...)
		}
		cad(grows(0.4*share(i+20+c), i), "container_cpu_usage_seconds_total", "cpu", "total")
		cad(swings(5e8*share(i+30+c), i), "container_memory_working_set_bytes")
		cad(grows(10, i), "container_cpu_cfs_periods_total")
		cad(grows(3*share(i+40+c), i), "container_cpu_cfs_throttled_periods_total")
		cad(always(1e7), "container_fs_usage_bytes", "device", "/dev/nvme0n1p2")
	}
	if p.Pending {
		return
	}
	for _, metric := range []string{"receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors", "receive_packets_dropped", "transmit_packets_dropped"} {
		rate := 2e5 * share(i+50)
		if metric[len(metric)-5:] != "bytes" {
			rate = 0
		}
		m.put(start, grows(rate, i), "container_network_"+metric+"_total", "interface", "eth0", "namespace", p.Namespace, "pod", p.Name, "pod_ip", p.IP, "node", node, "job", "cadvisor-proxy", "instance", host+":9101")
	}
	if i%podsOfApp == 0 { // one of each application has an exporter of its own
		for _, code := range []string{"200", "404", "500"} {
			m.put(start, grows(5, i), "shop_requests_total", "code", code, "job", "shops", "instance", p.IP+":8080")
		}
		m.put(start, swings(12, i), "shop_baskets", "job", "shops", "instance", p.IP+":8080")
	}
}
