package fleet

// Nodes: hosts that node-agent (or node_exporter) reports, and nodes of Kubernetes
// that state-agent (or kube-state-metrics) reports, joined where they are the same.

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"watchpost/internal/pageapi"
)

// Node is one row of the fleet. Shares are of 1; a nil number is not known.
type Node struct {
	Cluster string `json:"cluster,omitempty"`
	Name    string `json:"name"`
	// Job and Instance select the series of node-agent; empty where there is none.
	Job      string `json:"job,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Kube is the node's name in Kubernetes; empty where it is not in a cluster.
	Kube string `json:"kube,omitempty"`
	IP   string `json:"ip,omitempty"`

	// State is down (not scraped, silent, or not ready), warn (under pressure,
	// cordoned, or with pods in trouble) or up; Why has the reasons.
	State string   `json:"state"`
	Why   []string `json:"why,omitempty"`

	CPU      *float64 `json:"cpu"`      // busy
	Memory   *float64 `json:"memory"`   // used
	Disk     *float64 `json:"disk"`     // of the fullest filesystem
	Receive  *float64 `json:"receive"`  // bytes a second
	Transmit *float64 `json:"transmit"` // bytes a second
	// Pressure is the largest share of time in which some task waited for CPU,
	// memory or I/O.
	Pressure *float64 `json:"pressure"`
	Pods     int      `json:"pods"`
	Sick     int      `json:"sick"` // pods in trouble
	Room     *float64 `json:"room"` // pods it may run

	OS      string `json:"os,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	Kubelet string `json:"kubelet,omitempty"`

	down, warn []string
	cordoned   bool
	psi        [3]float64
}

type nodeList struct {
	all    []*Node
	byKube map[kubeKey]*Node
}

// host is what the metrics of one machine bring, before it is summed up.
type host struct {
	*Node
	idle, cpus  float64  // seconds a second of all its CPUs, and their number
	available   *float64 // bytes
	memory      float64
	filesystems map[fsKey]*filesystem
}

type fsKey struct{ device, mountpoint string }

type filesystem struct{ size, avail float64 }

// sum makes shares of it.
func (h *host) sum() {
	if h.cpus > 0 {
		busy := max(0, 1-h.idle/h.cpus)
		h.CPU = &busy
	}
	if h.memory > 0 && h.available != nil {
		used := 1 - *h.available/h.memory
		h.Memory = &used
	}
	for _, f := range h.filesystems {
		if f.size > 0 {
			if full := 1 - f.avail/f.size; h.Disk == nil || full > *h.Disk {
				h.Disk = &full
			}
		}
	}
}

// kubeNode is what Kubernetes says of a node.
type kubeNode struct {
	ip, os, kernel, kubelet string
	down, warn              []string
	cordoned                bool
	room                    *float64
}

// condition is one series of kube_node_status_condition.
type condition struct{ cluster, node, name, status string }

type kubeKey struct{ cluster, name string }

type hostKey struct{ cluster, job, instance string }

// Series of node_exporter that are not of the hardware, or near enough. They are left
// out here: a selector would match each value that the label has anywhere, and in a
// cluster there are as many network devices as pods.
var (
	notDisks    = []string{"tmpfs", "ramfs", "squashfs", "iso9660", "erofs", "overlay"}
	notNetworks = regexp.MustCompile(`^(lo|veth.+|cali.+|lxc.+|tunl[0-9]+|dummy[0-9]+|ifb[0-9]+|nodelocaldns|kube-ipvs[0-9]+|cni[0-9]+|flannel.+|docker[0-9]+|br-.+)$`)
)

// hostOf reads the labels that tell hosts apart.
func hostOf(l iter.Seq2[string, string]) (k hostKey) {
	for name, v := range l {
		switch name {
		case "cluster":
			k.cluster = v
		case "job":
			k.job = v
		case "instance":
			k.instance = v
		}
	}
	return k
}

// listNodes asks for all nodes, and counts their pods.
func (m *moment) listNodes(ctx context.Context, q *inquiry, pods *podList) (*nodeList, error) {
	names := names{}
	hosts := map[hostKey]*host{}
	kube := map[kubeKey]*kubeNode{}
	kubeOf := func(cluster, name string) *kubeNode {
		k := kubeKey{names.keep(cluster), names.keep(name)}
		if kube[k] == nil {
			kube[k] = &kubeNode{}
		}
		return kube[k]
	}
	hostBy := func(l iter.Seq2[string, string]) *host { return hosts[hostOf(l)] }
	of := func(read reading, do func(n *host, v float64)) each { return about(hostBy, read, do) }
	network := func(to func(*Node) **float64) each {
		return about(func(l iter.Seq2[string, string]) *host {
			if notNetworks.MatchString(labelOf(l, "device")) {
				return nil
			}
			return hostBy(l)
		}, slope, func(n *host, v float64) { sum(to(n.Node), &v) })
	}
	var said condition
	filesystemBy := func(l iter.Seq2[string, string]) *filesystem {
		n := hostBy(l)
		if n == nil {
			return nil
		}
		var k fsKey
		for name, v := range l {
			switch name {
			case "device":
				k.device = v
			case "mountpoint":
				k.mountpoint = v
			case "fstype":
				if slices.Contains(notDisks, v) {
					return nil
				}
			}
		}
		f := n.filesystems[k]
		if f == nil {
			if n.filesystems == nil {
				n.filesystems = map[fsKey]*filesystem{}
			}
			f = &filesystem{}
			n.filesystems[fsKey{names.keep(k.device), names.keep(k.mountpoint)}] = f
		}
		return f
	}
	// First who there is; the numbers of others are of no interest.
	err := q.ask(ctx,
		question{"hosts", "node_uname_info[" + silence + "]", value(func(l iter.Seq2[string, string], _ float64) {
			n := &Node{}
			for name, v := range l {
				switch name {
				case "cluster":
					n.Cluster = names.keep(v)
				case "job":
					n.Job = names.keep(v)
				case "instance":
					n.Instance = names.keep(v)
				case "nodename":
					n.Name = names.keep(v)
				case "release":
					n.Kernel = names.keep(v)
				case "node":
					n.Kube = names.keep(v)
				}
			}
			n.Name = cmp.Or(n.Name, n.Instance)
			hosts[hostKey{n.Cluster, n.Job, n.Instance}] = &host{Node: n}
		})},
		question{"nodes of Kubernetes", "kube_node_info", value(func(l iter.Seq2[string, string], _ float64) {
			k := kubeNode{}
			var cluster, name string
			for n, v := range l {
				switch n {
				case "cluster":
					cluster = v
				case "node":
					name = v
				case "internal_ip":
					k.ip = names.keep(v)
				case "os_image":
					k.os = names.keep(v)
				case "kernel_version":
					k.kernel = names.keep(v)
				case "kubelet_version":
					k.kubelet = names.keep(v)
				}
			}
			*kubeOf(cluster, name) = k
		})},
	)
	if err != nil {
		return nil, err
	}
	err = q.ask(ctx,
		question{"scrapes", "up{" + oneOf("job", jobs(hosts)) + "}", of(value, func(n *host, v float64) {
			if v == 0 {
				n.down = append(n.down, "its metrics cannot be scraped")
			}
		})},
		question{"CPU", `node_cpu_seconds_total{mode="idle"}[` + window + `]`, of(slope, func(n *host, v float64) { n.idle, n.cpus = n.idle+v, n.cpus+1 })},
		question{"memory", "node_memory_MemAvailable_bytes", of(value, func(n *host, v float64) { n.available = &v })},
		question{"memory", "node_memory_MemTotal_bytes", of(value, func(n *host, v float64) { n.memory = v })},
		question{"disks", "node_filesystem_avail_bytes", about(filesystemBy, value, func(f *filesystem, v float64) { f.avail = v })},
		question{"disks", "node_filesystem_size_bytes", about(filesystemBy, value, func(f *filesystem, v float64) { f.size = v })},
		question{"network, received", "node_network_receive_bytes_total[" + window + "]", network(func(n *Node) **float64 { return &n.Receive })},
		question{"network, sent", "node_network_transmit_bytes_total[" + window + "]", network(func(n *Node) **float64 { return &n.Transmit })},
		question{"pressure on CPUs", "node_pressure_cpu_waiting_seconds_total[" + window + "]", of(slope, waits(0))},
		question{"pressure on memory", "node_pressure_memory_waiting_seconds_total[" + window + "]", of(slope, waits(1))},
		question{"pressure on disks", "node_pressure_io_waiting_seconds_total[" + window + "]", of(slope, waits(2))},
		question{"conditions", "kube_node_status_condition", about(func(l iter.Seq2[string, string]) *condition {
			said = condition{}
			for n, v := range l {
				switch n {
				case "cluster":
					said.cluster = v
				case "node":
					said.node = v
				case "condition":
					said.name = v
				case "status":
					said.status = v
				}
			}
			if ready := said.name == "Ready"; ready == (said.status == "true") {
				return nil // all is well where it is so
			}
			return &said
		}, value, func(c *condition, v float64) {
			if v != 1 {
				return
			}
			switch k := kubeOf(c.cluster, c.node); {
			case c.name != "Ready":
				k.warn = append(k.warn, names.keep(c.name))
			case c.status == "false":
				k.down = append(k.down, "Kubernetes: not ready")
			default:
				k.down = append(k.down, "Kubernetes: the kubelet is silent")
			}
		})},
		question{"cordons", "kube_node_spec_unschedulable", value(func(l iter.Seq2[string, string], v float64) {
			if v == 1 {
				cluster, name := clusterAndNode(l)
				kubeOf(cluster, name).cordoned = true
			}
		})},
		question{"room for pods", `kube_node_status_allocatable{resource="pods"}`, value(func(l iter.Seq2[string, string], v float64) {
			cluster, name := clusterAndNode(l)
			kubeOf(cluster, name).room = &v
		})},
	)
	if err != nil {
		return nil, err
	}

	list := &nodeList{byKube: make(map[kubeKey]*Node, len(kube))}
	byName, byIP := map[kubeKey]kubeKey{}, map[kubeKey]kubeKey{}
	for k, n := range kube {
		byName[k] = k
		if n.ip != "" {
			byIP[kubeKey{k.cluster, n.ip}] = k
		}
	}
	for k, h := range hosts {
		h.sum()
		n := h.Node
		// The same machine by its label, its name or its address.
		host, _, err := net.SplitHostPort(k.instance)
		if err != nil {
			host = k.instance
		}
		for _, try := range []struct {
			in   map[kubeKey]kubeKey
			name string
		}{{byName, n.Kube}, {byName, n.Name}, {byIP, host}, {byName, host}} {
			if found, ok := try.in[kubeKey{k.cluster, try.name}]; ok && try.name != "" {
				n.Kube = found.name
				break
			}
		}
		if ip := net.ParseIP(host); ip != nil {
			n.IP = host
		}
		if n.Memory == nil && n.CPU == nil {
			n.down = append(n.down, "silent: its last word is older than five minutes")
		}
		if kube[kubeKey{k.cluster, n.Kube}] == nil {
			n.Kube = ""
		}
		list.all = append(list.all, n)
	}
	// A machine that two jobs scrape is two rows; Kubernetes' part goes with the
	// first by name.
	slices.SortFunc(list.all, func(a, b *Node) int {
		return cmp.Or(pageapi.Natural(a.Name, b.Name), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Instance, b.Instance))
	})
	for _, n := range list.all {
		if k := (kubeKey{n.Cluster, n.Kube}); n.Kube != "" && list.byKube[k] == nil {
			list.byKube[k] = n
		}
	}
	for k, kn := range kube {
		n := list.byKube[k]
		if n == nil {
			n = &Node{Cluster: k.cluster, Name: k.name, Kube: k.name}
			list.all, list.byKube[k] = append(list.all, n), n
		}
		n.IP, n.OS, n.Kubelet = cmp.Or(kn.ip, n.IP), kn.os, kn.kubelet
		n.Kernel = cmp.Or(n.Kernel, kn.kernel)
		n.Room, n.cordoned = kn.room, kn.cordoned
		n.down, n.warn = append(n.down, kn.down...), append(n.warn, kn.warn...)
	}
	for _, p := range pods.all {
		if n := list.byKube[kubeKey{p.Cluster, p.Node}]; n != nil {
			n.Pods++
			if p.State == stateSick {
				n.Sick++
			}
		}
	}
	for _, n := range list.all {
		n.judge()
	}
	return list, nil
}

// jobs are those of the hosts.
func jobs(hosts map[hostKey]*host) []string {
	seen := map[string]bool{}
	for k := range hosts {
		seen[k.job] = true
	}
	return keys(seen)
}

func clusterAndNode(l iter.Seq2[string, string]) (cluster, node string) {
	for n, v := range l {
		switch n {
		case "cluster":
			cluster = v
		case "node":
			node = v
		}
	}
	return cluster, node
}

// waits keeps the largest of three kinds of pressure.
func waits(kind int) func(*host, float64) {
	return func(n *host, v float64) {
		n.psi[kind] = v
		most := max(n.psi[0], n.psi[1], n.psi[2])
		n.Pressure = &most
	}
}

// judge makes one state of all that is known.
func (n *Node) judge() {
	if n.cordoned {
		n.warn = append(n.warn, "cordoned")
	}
	for i, what := range []string{"CPU", "memory", "disk"} {
		if n.psi[i] >= 0.25 {
			n.warn = append(n.warn, fmt.Sprintf("tasks wait for %s %.0f%% of the time", what, n.psi[i]*100))
		}
	}
	if n.Disk != nil && *n.Disk >= 0.9 {
		n.warn = append(n.warn, fmt.Sprintf("a disk is %.0f%% full", *n.Disk*100))
	}
	if n.Memory != nil && *n.Memory >= 0.95 {
		n.warn = append(n.warn, fmt.Sprintf("memory is %.0f%% used", *n.Memory*100))
	}
	if n.Sick > 0 {
		n.warn = append(n.warn, fmt.Sprintf("%d of its pods in trouble", n.Sick))
	}
	n.Why = append(n.down, n.warn...)
	switch {
	case len(n.down) > 0:
		n.State = "down"
	case len(n.warn) > 0:
		n.State = "warn"
	default:
		n.State = "up"
	}
}

var nodeStates = map[string]int{"down": 0, "warn": 1, "up": 2}

// nodesThen are the nodes and pods of that moment, or of a few seconds before.
func (m *moment) nodesThen(ctx context.Context) (*nodeList, *podList, Cost, error) {
	began := m.View.now()
	pods, _, askedPods, err := m.podsThen(ctx)
	if err != nil {
		return nil, nil, Cost{}, err
	}
	nodes, made, asked, err := m.nodes.get(ctx, m, func(ctx context.Context, q *inquiry) (*nodeList, error) { return m.listNodes(ctx, q, pods) })
	return nodes, pods, m.cost(began, made, askedPods, asked), err
}

type nodesAnswer struct {
	All    int            `json:"all"`    // nodes there are
	Total  int            `json:"total"`  // that match
	States map[string]int `json:"states"` // of those that match all but the state
	Pods   int            `json:"pods"`   // there are
	Sick   int            `json:"sick"`
	Rows   []*Node        `json:"rows"`
	pageapi.Costed
}

var nodeColumns = map[string]func(a, b *Node) int{
	"name":     func(a, b *Node) int { return pageapi.Natural(a.Name, b.Name) },
	"state":    func(a, b *Node) int { return cmp.Compare(nodeStates[b.State], nodeStates[a.State]) },
	"cpu":      by(func(n *Node) *float64 { return n.CPU }),
	"memory":   by(func(n *Node) *float64 { return n.Memory }),
	"disk":     by(func(n *Node) *float64 { return n.Disk }),
	"network":  func(a, b *Node) int { return compareSums(a.Receive, a.Transmit, b.Receive, b.Transmit) },
	"pressure": by(func(n *Node) *float64 { return n.Pressure }),
	"pods":     func(a, b *Node) int { return cmp.Compare(a.Pods, b.Pods) },
	"sick":     func(a, b *Node) int { return cmp.Compare(a.Sick, b.Sick) },
}

// by compares numbers; what is not known is less than any.
func by[T any](get func(T) *float64) func(a, b T) int {
	return func(a, b T) int { return compareSums(get(a), nil, get(b), nil) }
}

func compareSums(a1, a2, b1, b2 *float64) int {
	sum := func(x, y *float64) float64 {
		if x == nil && y == nil {
			return -1
		}
		s := 0.0
		if x != nil {
			s += *x
		}
		if y != nil {
			s += *y
		}
		return s
	}
	return cmp.Compare(sum(a1, a2), sum(b1, b2))
}

func (v *View) serveNodes(r *http.Request) (a nodesAnswer, err error) {
	w, err := pageapi.ReadWindow(r.URL.Query(), keys(nodeColumns)...)
	if err != nil {
		return a, err
	}
	state := r.URL.Query().Get("state")
	if _, known := nodeStates[state]; state != "" && !known {
		return a, pageapi.BadData("state=%q is none of down, warn, up", state)
	}
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	began := v.now()
	nodes, pods, cost, err := m.nodesThen(r.Context())
	if err != nil {
		return a, err
	}
	a = nodesAnswer{All: len(nodes.all), States: map[string]int{"down": 0, "warn": 0, "up": 0}, Pods: len(pods.all), Sick: pods.sick}
	rows := []*Node{}
	for _, n := range nodes.all {
		if !w.Matches(n.Name, n.Instance, n.Kube, n.IP, n.Cluster, n.Kernel, n.OS, n.Kubelet) {
			continue
		}
		a.States[n.State]++
		if state == "" || state == n.State {
			rows = append(rows, n)
		}
	}
	a.Total = len(rows)
	// Whatever needs a look comes first.
	a.Rows = pageapi.Cut(w, rows, order(nodeColumns, w, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(nodeStates[a.State], nodeStates[b.State]), cmp.Compare(b.Sick, a.Sick), pageapi.Natural(a.Name, b.Name), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Instance, b.Instance))
	}))
	a.Cost = cost
	a.Cost.Seconds = v.now().Sub(began).Seconds()
	return a, nil
}

// order compares by the window's column, then as otherwise says.
func order[T any](columns map[string]func(a, b T) int, w pageapi.Window, otherwise func(a, b T) int) func(a, b T) int {
	column := columns[w.Sort]
	if column == nil {
		return otherwise
	}
	sign := 1
	if w.Down {
		sign = -1
	}
	return func(a, b T) int {
		if c := column(a, b); c != 0 {
			return sign * c
		}
		return otherwise(a, b)
	}
}

func keys[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// find is a node by its name in Kubernetes, or by its job and instance, or by its
// own name.
func (l *nodeList) find(q url.Values) *Node {
	cluster, anyCluster := q.Get("cluster"), !q.Has("cluster")
	for _, same := range []func(n *Node) bool{
		func(n *Node) bool {
			return q.Get("instance") != "" && n.Instance == q.Get("instance") && (q.Get("job") == "" || n.Job == q.Get("job"))
		},
		func(n *Node) bool { return q.Get("node") != "" && n.Kube == q.Get("node") },
		func(n *Node) bool { return q.Get("node") != "" && n.Name == q.Get("node") },
	} {
		for _, n := range l.all {
			if same(n) && (anyCluster || n.Cluster == cluster) {
				return n
			}
		}
	}
	return nil
}

// Disk is a filesystem or a block device of a node.
type Disk struct {
	Device     string   `json:"device"`
	Mountpoint string   `json:"mountpoint,omitempty"`
	Type       string   `json:"type,omitempty"`
	Size       *float64 `json:"size,omitempty"` // bytes
	Avail      *float64 `json:"avail,omitempty"`
	ReadOnly   bool     `json:"readonly,omitempty"`
	Inodes     *float64 `json:"inodes,omitempty"` // share in use

	files, free float64 // inodes
}

// Device is a block device of a node, rates in bytes a second, Busy of 1.
type Device struct {
	Name    string   `json:"name"`
	Read    *float64 `json:"read"`
	Written *float64 `json:"written"`
	Busy    *float64 `json:"busy"`
}

// Interface is a network interface of a node; rates a second.
type Interface struct {
	Name     string   `json:"name"`
	State    string   `json:"state,omitempty"`
	Speed    *float64 `json:"speed"` // bytes a second
	MTU      *float64 `json:"mtu"`
	Receive  *float64 `json:"receive"`
	Transmit *float64 `json:"transmit"`
	Errors   *float64 `json:"errors"`
	Drops    *float64 `json:"drops"`
}

type nodeAnswer struct {
	Node       *Node        `json:"node"`
	Disks      []*Disk      `json:"disks"`
	Devices    []*Device    `json:"devices"`
	Interfaces []*Interface `json:"interfaces"`
	pageapi.Costed
}

func (v *View) serveNode(r *http.Request) (a nodeAnswer, err error) {
	began := v.now()
	m, err := v.moment(r)
	if err != nil {
		return a, err
	}
	nodes, _, cost, err := m.nodesThen(r.Context())
	if err != nil {
		return a, err
	}
	n := nodes.find(r.URL.Query())
	if n == nil {
		return a, pageapi.NotFound("no node of that name has reported in the last %s", silence)
	}
	a = nodeAnswer{Node: n, Disks: []*Disk{}, Devices: []*Device{}, Interfaces: []*Interface{}}
	if n.Instance == "" {
		a.Cost = cost
		return a, nil
	}
	q := m.inquire()
	sel := "cluster=" + quote(n.Cluster) + ",job=" + quote(n.Job) + ",instance=" + quote(n.Instance)
	disks, devices, nets := map[string]*Disk{}, map[string]*Device{}, map[string]*Interface{}
	disk := func(set func(d *Disk, v float64)) each {
		return value(func(l iter.Seq2[string, string], val float64) {
			var d Disk
			for name, v := range l {
				switch name {
				case "device":
					d.Device = v
				case "mountpoint":
					d.Mountpoint = v
				case "fstype":
					d.Type = v
				}
			}
			key := d.Device + "\x00" + d.Mountpoint
			if disks[key] == nil {
				disks[key] = &d
			}
			set(disks[key], val)
		})
	}
	device := func(field func(*Device) **float64) each {
		return slope(func(l iter.Seq2[string, string], val float64) {
			name := labelOf(l, "device")
			if devices[name] == nil {
				devices[name] = &Device{Name: name}
			}
			*field(devices[name]) = &val
		})
	}
	netOf := func(l iter.Seq2[string, string]) *Interface {
		name := labelOf(l, "device")
		if nets[name] == nil {
			nets[name] = &Interface{Name: name}
		}
		return nets[name]
	}
	plus := func(field func(*Interface) **float64) each {
		return slope(func(l iter.Seq2[string, string], v float64) { sum(field(netOf(l)), &v) })
	}
	now := func(metric string) string { return metric + "{" + sel + "}" }
	lately := func(metric string) string { return metric + "{" + sel + "}[" + window + "]" }
	err = q.ask(r.Context(),
		question{"filesystems", now("node_filesystem_size_bytes"), disk(func(d *Disk, v float64) { d.Size = &v })},
		question{"free space", now("node_filesystem_avail_bytes"), disk(func(d *Disk, v float64) { d.Avail = &v })},
		question{"read-only filesystems", now("node_filesystem_readonly"), disk(func(d *Disk, v float64) { d.ReadOnly = v == 1 })},
		question{"inodes", now("node_filesystem_files"), disk(func(d *Disk, v float64) { d.files = v })},
		question{"inodes", now("node_filesystem_files_free"), disk(func(d *Disk, v float64) { d.free = v })},
		question{"reads", lately("node_disk_read_bytes_total"), device(func(d *Device) **float64 { return &d.Read })},
		question{"writes", lately("node_disk_written_bytes_total"), device(func(d *Device) **float64 { return &d.Written })},
		question{"busy disks", lately("node_disk_io_time_seconds_total"), device(func(d *Device) **float64 { return &d.Busy })},
		question{"received", lately("node_network_receive_bytes_total"), plus(func(i *Interface) **float64 { return &i.Receive })},
		question{"sent", lately("node_network_transmit_bytes_total"), plus(func(i *Interface) **float64 { return &i.Transmit })},
		question{"network errors", lately("node_network_receive_errs_total"), plus(func(i *Interface) **float64 { return &i.Errors })},
		question{"network errors", lately("node_network_transmit_errs_total"), plus(func(i *Interface) **float64 { return &i.Errors })},
		question{"network drops", lately("node_network_receive_drop_total"), plus(func(i *Interface) **float64 { return &i.Drops })},
		question{"network drops", lately("node_network_transmit_drop_total"), plus(func(i *Interface) **float64 { return &i.Drops })},
		question{"speeds", now("node_network_speed_bytes"), value(func(l iter.Seq2[string, string], v float64) {
			if v > 0 { // an interface without a link has -1
				netOf(l).Speed = &v
			}
		})},
		question{"packet sizes", now("node_network_mtu_bytes"), value(func(l iter.Seq2[string, string], v float64) { netOf(l).MTU = &v })},
		question{"states of interfaces", now("node_network_info"), value(func(l iter.Seq2[string, string], _ float64) { netOf(l).State = labelOf(l, "operstate") })},
	)
	if err != nil {
		return a, err
	}
	for _, d := range disks {
		if d.Size == nil || *d.Size <= 0 {
			continue
		}
		if d.files > 0 {
			used := 1 - d.free/d.files
			d.Inodes = &used
		}
		a.Disks = append(a.Disks, d)
	}
	slices.SortFunc(a.Disks, func(a, b *Disk) int {
		return cmp.Or(cmp.Compare(a.Mountpoint, b.Mountpoint), cmp.Compare(a.Device, b.Device))
	})
	for _, d := range devices {
		a.Devices = append(a.Devices, d)
	}
	slices.SortFunc(a.Devices, func(a, b *Device) int { return pageapi.Natural(a.Name, b.Name) })
	for _, i := range nets {
		a.Interfaces = append(a.Interfaces, i)
	}
	// A node of many pods has as many veth: those that carry most come first.
	slices.SortFunc(a.Interfaces, func(a, b *Interface) int {
		return cmp.Or(compareSums(b.Receive, b.Transmit, a.Receive, a.Transmit), pageapi.Natural(a.Name, b.Name))
	})
	a.Interfaces = a.Interfaces[:min(len(a.Interfaces), pageapi.MaxRows)]
	a.Cost = v.cost(began, time.Time{}, q)
	a.Cost.Add(cost)
	return a, nil
}

// labelOf is the value of one label.
func labelOf(l iter.Seq2[string, string], name string) string {
	for n, v := range l {
		if n == name {
			return v
		}
	}
	return ""
}
