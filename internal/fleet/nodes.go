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

type kubeKey struct{ cluster, name string }

type hostKey struct{ cluster, job, instance string }

// Filters of node_exporter's series that are of the hardware, or near enough.
const (
	realDisks    = `fstype!~"tmpfs|ramfs|squashfs|iso9660|erofs|overlay"`
	realNetworks = `device!~"lo|veth.+|cali.+|lxc.+|tunl[0-9]+|dummy[0-9]+|ifb[0-9]+|nodelocaldns|kube-ipvs[0-9]+|cni[0-9]+|flannel.+|docker[0-9]+|br-.+"`
	perHost      = `by (cluster, job, instance) `
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
func (v *View) listNodes(ctx context.Context, q *inquiry, pods *podList) (*nodeList, error) {
	names := names{}
	hosts := map[hostKey]*Node{}
	type kubeNode struct {
		ip, os, kernel, kubelet string
		down, warn              []string
		cordoned                bool
		room                    *float64
	}
	kube := map[kubeKey]*kubeNode{}
	kubeOf := func(cluster, name string) *kubeNode {
		k := kubeKey{names.keep(cluster), names.keep(name)}
		if kube[k] == nil {
			kube[k] = &kubeNode{}
		}
		return kube[k]
	}
	// set puts a number of a host where it belongs.
	set := func(field func(*Node) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], val float64) {
			if n := hosts[hostOf(l)]; n != nil && val == val { // not NaN
				*field(n) = &val
			}
		})
	}
	// First who there is; the numbers of others are of no interest.
	err := q.ask(ctx,
		question{"hosts", "last_over_time(node_uname_info[" + silence + "])", value(func(l iter.Seq2[string, string], _ float64) {
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
			hosts[hostKey{n.Cluster, n.Job, n.Instance}] = n
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
		question{"scrapes", "up{" + oneOf("job", jobs(hosts)) + "} == 0", value(func(l iter.Seq2[string, string], _ float64) {
			if n := hosts[hostOf(l)]; n != nil {
				n.down = append(n.down, "its metrics cannot be scraped")
			}
		})},
		question{"CPU", `clamp_min(1 - avg ` + perHost + `(rate(node_cpu_seconds_total{mode="idle"}[` + window + `])), 0)`, set(func(n *Node) **float64 { return &n.CPU })},
		question{"memory", `1 - max ` + perHost + `(node_memory_MemAvailable_bytes) / max ` + perHost + `(node_memory_MemTotal_bytes)`, set(func(n *Node) **float64 { return &n.Memory })},
		question{"disks", `max ` + perHost + `(1 - node_filesystem_avail_bytes{` + realDisks + `} / (node_filesystem_size_bytes{` + realDisks + `} > 0))`, set(func(n *Node) **float64 { return &n.Disk })},
		question{"network, received", `sum ` + perHost + `(rate(node_network_receive_bytes_total{` + realNetworks + `}[` + window + `]))`, set(func(n *Node) **float64 { return &n.Receive })},
		question{"network, sent", `sum ` + perHost + `(rate(node_network_transmit_bytes_total{` + realNetworks + `}[` + window + `]))`, set(func(n *Node) **float64 { return &n.Transmit })},
		question{"pressure on CPUs", `max ` + perHost + `(rate(node_pressure_cpu_waiting_seconds_total[` + window + `]))`, pressure(hosts, 0)},
		question{"pressure on memory", `max ` + perHost + `(rate(node_pressure_memory_waiting_seconds_total[` + window + `]))`, pressure(hosts, 1)},
		question{"pressure on disks", `max ` + perHost + `(rate(node_pressure_io_waiting_seconds_total[` + window + `]))`, pressure(hosts, 2)},
		question{"conditions", `kube_node_status_condition{status=~"true|unknown"} == 1 or kube_node_status_condition{condition="Ready",status="false"} == 1`, value(func(l iter.Seq2[string, string], _ float64) {
			var cluster, name, condition, status string
			for n, v := range l {
				switch n {
				case "cluster":
					cluster = v
				case "node":
					name = v
				case "condition":
					condition = v
				case "status":
					status = v
				}
			}
			switch k := kubeOf(cluster, name); {
			case condition == "Ready" && status == "false":
				k.down = append(k.down, "Kubernetes: not ready")
			case condition == "Ready" && status == "unknown":
				k.down = append(k.down, "Kubernetes: the kubelet is silent")
			case condition != "Ready" && status == "true":
				k.warn = append(k.warn, names.keep(condition))
			}
		})},
		question{"cordons", `kube_node_spec_unschedulable == 1`, value(func(l iter.Seq2[string, string], _ float64) {
			cluster, name := clusterAndNode(l)
			kubeOf(cluster, name).cordoned = true
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
	for k, n := range hosts {
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
func jobs(hosts map[hostKey]*Node) []string {
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

// pressure keeps the largest of three kinds.
func pressure(hosts map[hostKey]*Node, kind int) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
	return value(func(l iter.Seq2[string, string], v float64) {
		if n := hosts[hostOf(l)]; n != nil && v == v {
			n.psi[kind] = v
			most := max(n.psi[0], n.psi[1], n.psi[2])
			n.Pressure = &most
		}
	})
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

// nodesNow are the nodes and pods, of now or a few seconds ago.
func (v *View) nodesNow(ctx context.Context) (*nodeList, *podList, Cost, error) {
	began := v.now()
	pods, _, askedPods, err := v.podsNow(ctx)
	if err != nil {
		return nil, nil, Cost{}, err
	}
	nodes, made, asked, err := v.nodes.get(ctx, v, func(ctx context.Context, q *inquiry) (*nodeList, error) { return v.listNodes(ctx, q, pods) })
	return nodes, pods, v.cost(began, made, askedPods, asked), err
}

type nodesAnswer struct {
	All    int            `json:"all"`    // nodes there are
	Total  int            `json:"total"`  // that match
	States map[string]int `json:"states"` // of those that match all but the state
	Pods   int            `json:"pods"`   // there are
	Sick   int            `json:"sick"`
	Rows   []*Node        `json:"rows"`
	Cost   Cost           `json:"cost"`
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
	nodes, pods, cost, err := v.nodesNow(r.Context())
	if err != nil {
		return a, err
	}
	a = nodesAnswer{All: len(nodes.all), States: map[string]int{"down": 0, "warn": 0, "up": 0}, Pods: len(pods.all), Sick: pods.sick, Cost: cost}
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
	// Whatever needs a look comes first.
	order(rows, nodeColumns, w, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(nodeStates[a.State], nodeStates[b.State]), cmp.Compare(b.Sick, a.Sick), pageapi.Natural(a.Name, b.Name), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Instance, b.Instance))
	})
	a.Total, a.Rows = len(rows), pageapi.Cut(w, rows)
	return a, nil
}

// order sorts rows by the window's column, then as otherwise says.
func order[T any](rows []T, columns map[string]func(a, b T) int, w pageapi.Window, otherwise func(a, b T) int) {
	column := columns[w.Sort]
	slices.SortFunc(rows, func(a, b T) int {
		c := 0
		if column != nil {
			c = column(a, b)
		}
		if w.Down {
			c = -c
		}
		return cmp.Or(c, otherwise(a, b))
	})
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
	Cost       Cost         `json:"cost"`
}

func (v *View) serveNode(r *http.Request) (a nodeAnswer, err error) {
	began := v.now()
	nodes, _, cost, err := v.nodesNow(r.Context())
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
	q := v.inquire()
	sel := "cluster=" + quote(n.Cluster) + ",job=" + quote(n.Job) + ",instance=" + quote(n.Instance)
	disks, devices, nets := map[string]*Disk{}, map[string]*Device{}, map[string]*Interface{}
	disk := func(set func(d *Disk, v float64)) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
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
	device := func(field func(*Device) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], val float64) {
			name := labelOf(l, "device")
			if devices[name] == nil {
				devices[name] = &Device{Name: name}
			}
			*field(devices[name]) = &val
		})
	}
	net := func(field func(*Interface) **float64) func(iter.Seq2[string, string], iter.Seq2[int64, float64]) {
		return value(func(l iter.Seq2[string, string], val float64) {
			name := labelOf(l, "device")
			if nets[name] == nil {
				nets[name] = &Interface{Name: name}
			}
			*field(nets[name]) = &val
		})
	}
	rate := func(metric string) string { return "rate(" + metric + "{" + sel + "}[" + window + "])" }
	err = q.ask(r.Context(),
		question{"filesystems", "node_filesystem_size_bytes{" + sel + "}", disk(func(d *Disk, v float64) { d.Size = &v })},
		question{"free space", "node_filesystem_avail_bytes{" + sel + "}", disk(func(d *Disk, v float64) { d.Avail = &v })},
		question{"read-only filesystems", "node_filesystem_readonly{" + sel + "} == 1", disk(func(d *Disk, _ float64) { d.ReadOnly = true })},
		question{"inodes", "1 - node_filesystem_files_free{" + sel + "} / (node_filesystem_files{" + sel + "} > 0)", disk(func(d *Disk, v float64) { d.Inodes = &v })},
		question{"reads", rate("node_disk_read_bytes_total"), device(func(d *Device) **float64 { return &d.Read })},
		question{"writes", rate("node_disk_written_bytes_total"), device(func(d *Device) **float64 { return &d.Written })},
		question{"busy disks", rate("node_disk_io_time_seconds_total"), device(func(d *Device) **float64 { return &d.Busy })},
		question{"received", rate("node_network_receive_bytes_total"), net(func(i *Interface) **float64 { return &i.Receive })},
		question{"sent", rate("node_network_transmit_bytes_total"), net(func(i *Interface) **float64 { return &i.Transmit })},
		question{"network errors", rate("node_network_receive_errs_total") + " + " + rate("node_network_transmit_errs_total"), net(func(i *Interface) **float64 { return &i.Errors })},
		question{"network drops", rate("node_network_receive_drop_total") + " + " + rate("node_network_transmit_drop_total"), net(func(i *Interface) **float64 { return &i.Drops })},
		question{"speeds", "node_network_speed_bytes{" + sel + "} > 0", net(func(i *Interface) **float64 { return &i.Speed })},
		question{"packet sizes", "node_network_mtu_bytes{" + sel + "}", net(func(i *Interface) **float64 { return &i.MTU })},
		question{"states of interfaces", "node_network_info{" + sel + "}", value(func(l iter.Seq2[string, string], _ float64) {
			var name, state string
			for n, v := range l {
				switch n {
				case "device":
					name = v
				case "operstate":
					state = v
				}
			}
			if nets[name] == nil {
				nets[name] = &Interface{Name: name}
			}
			nets[name].State = state
		})},
	)
	if err != nil {
		return a, err
	}
	for _, d := range disks {
		if d.Size != nil && *d.Size > 0 {
			a.Disks = append(a.Disks, d)
		}
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
	a.Cost.Queries += cost.Queries
	a.Cost.Missing = append(a.Cost.Missing, cost.Missing...)
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
