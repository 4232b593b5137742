//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// run starts a container; cgroup may be empty, for containerd's own choice.
func (c *privateContainerd) run(namespace, id, cgroup string, more ...string) (pid int) {
	c.t.Helper()
	args := []string{"--namespace", namespace, "run", "--detach"}
	if cgroup == "" {
		c.cgroups = append(c.cgroups, "/"+namespace+"/"+id)
	} else {
		args = append(args, "--cgroup", cgroup)
		c.cgroups = append(c.cgroups, cgroup)
	}
	c.ctr(append(append(args, more...), image, id)...)
	return c.process(namespace, id)
}

// process is the first process of a container.
func (c *privateContainerd) process(namespace, id string) (pid int) {
	c.t.Helper()
	for line := range strings.Lines(c.ctr("--namespace", namespace, "tasks", "list")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == id {
			pid, _ = strconv.Atoi(f[1])
		}
	}
	if pid == 0 {
		c.t.Fatalf("%s has no process", id)
	}
	return pid
}

// kubeletFamilies are those that a kubelet 1.36 or 1.37 has of each kind of cgroup, as
// far as they do not depend on what the container did (disks) or may (quotas).
var kubeletFamilies = struct{ all, process, network, root []string }{
	all: strings.Fields(`container_cpu_system_seconds_total container_cpu_usage_seconds_total container_cpu_user_seconds_total container_creation_time_seconds
		container_file_descriptors container_health_state container_last_seen container_memory_cache container_memory_failcnt container_memory_failures_total
		container_memory_kernel_usage container_memory_mapped_file container_memory_max_usage_bytes container_memory_rss container_memory_swap
		container_memory_total_active_file_bytes container_memory_total_inactive_file_bytes container_memory_usage_bytes container_memory_working_set_bytes
		container_oom_events_total container_processes container_sockets container_spec_cpu_period container_spec_cpu_shares
		container_spec_memory_limit_bytes container_spec_memory_reservation_limit_bytes container_spec_memory_swap_limit_bytes
		container_start_time_seconds container_threads container_threads_max`),
	process: []string{"container_ulimits_soft"},
	network: strings.Fields(`container_network_receive_bytes_total container_network_receive_errors_total container_network_receive_packets_dropped_total
		container_network_receive_packets_total container_network_transmit_bytes_total container_network_transmit_errors_total
		container_network_transmit_packets_dropped_total container_network_transmit_packets_total`),
}

// extraLabels are the labels that families have beside the six of all.
var extraLabels = map[string][]string{
	"container_cpu_usage_seconds_total": {"cpu"}, "container_memory_failures_total": {"failure_type", "scope"}, "container_ulimits_soft": {"ulimit"},
}

var (
	sampleLine = regexp.MustCompile(`^([a-z_0-9]+)\{(.*)\} `)
	labelPair  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// series are the label names of each family, by the id of the cgroup.
func seriesByID(text string) map[string]map[string][]string {
	found := make(map[string]map[string][]string)
	for line := range strings.Lines(text) {
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		id := ""
		var names []string
		for _, p := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if names = append(names, p[1]); p[1] == "id" {
				id = p[2]
			}
		}
		if found[id] == nil {
			found[id] = make(map[string][]string)
		}
		found[id][m[1]] = names
	}
	return found
}

// A pod's sandbox and container, and a container of nobody, under a real containerd:
// they have their names, images and labels, and the families of the kubelet, after the
// proxy was there before them; and what a container runs on hides none of the others.
func TestEmbeddedCadvisor(t *testing.T) {
	beside(t)
	c := startContainerd(t, "", "")
	cmd, url, stop := startProxy(t, "--cadvisor", "--cadvisor.interval=1s", "--cadvisor.containerd="+c.socket, "--cadvisor.docker=", "--cadvisor.crio=",
		"--profile=none", "--node=n1")
	unique := strconv.Itoa(os.Getpid())
	pod := "/kubepods/besteffort/podwatchpost-" + unique
	sandbox, member := fmt.Sprintf("%064x", os.Getpid()), fmt.Sprintf("%064x", os.Getpid()+1<<32)
	pid := c.run("k8s.io", sandbox, pod+"/"+sandbox, "--label", "io.cri-containerd.kind=sandbox", "--label", "io.kubernetes.pod.name=shop-0", "--label", "io.kubernetes.pod.namespace=team-a")
	netns := fmt.Sprintf("/proc/%d/ns/net", pid)
	if out, err := exec.Command("nsenter", "--net="+netns, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "veth0").CombinedOutput(); err != nil {
		t.Fatalf("an interface for the sandbox: %v\n%s", err, out)
	}
	c.run("k8s.io", member, pod+"/"+member, "--label", "io.cri-containerd.kind=container", "--label", "io.kubernetes.container.name=app", "--label", "io.kubernetes.pod.name=shop-0",
		"--label", "io.kubernetes.pod.namespace=team-a", "--with-ns", "network:"+netns, "--memory-limit", "50003968", "--cpu-quota", "50000", "--cpu-period", "100000")
	demo := "demo-" + unique
	c.run("default", demo, "")

	row := func(name, id, base string) string {
		return name + "{" + strings.Replace(base, "ID", id, 1) + `,node="n1"}`
	}
	want := []string{
		row("container_memory_working_set_bytes", pod+"/"+member, `container="app",id="ID",image="`+image+`",name="`+member+`",namespace="team-a",pod="shop-0"`),
		row("container_spec_memory_limit_bytes", pod+"/"+member, `container="app",id="ID",image="`+image+`",name="`+member+`",namespace="team-a",pod="shop-0"`) + " 50003968\n",
		row("container_spec_cpu_quota", pod+"/"+member, `container="app",id="ID",image="`+image+`",name="`+member+`",namespace="team-a",pod="shop-0"`) + " 50000\n",
		row("container_memory_working_set_bytes", pod+"/"+sandbox, `container="",id="ID",image="`+image+`",name="`+sandbox+`",namespace="team-a",pod="shop-0"`),
		row("container_network_receive_bytes_total", pod+"/"+sandbox, `container="",id="ID",image="`+image+`",interface="eth0",name="`+sandbox+`",namespace="team-a",pod="shop-0"`),
		row("container_memory_working_set_bytes", pod, `container="",id="ID",image="",name="",namespace="team-a",pod="shop-0"`),
		row("container_memory_working_set_bytes", "/default/"+demo, `container="",id="ID",image="`+image+`",name="`+demo+`",namespace="",pod=""`),
		row("container_memory_working_set_bytes", "/", `container="",id="ID",image="",name="",namespace="",pod=""`),
		row("container_processes", pod+"/"+member, `container="app",id="ID",image="`+image+`",name="`+member+`",namespace="team-a",pod="shop-0"`) + " 1 ",
		`watchpost_proxy_cadvisor_cgroups{node="n1",runtime="containerd"} 3` + "\n",
		`watchpost_proxy_cadvisor_runtime_up{node="n1",runtime="containerd"} 1` + "\n",
		`watchpost_proxy_source_up{node="n1",source="cadvisor"} 1` + "\n",
	}
	var text string
	eventually(t, "all containers are shown", func() error {
		text = get(t, http.DefaultClient, url+"/metrics").body
		for _, w := range want {
			if !strings.Contains(text, w) {
				return fmt.Errorf("there is no %s", w)
			}
		}
		return nil
	})
	found := seriesByID(get(t, http.DefaultClient, url+"/metrics/cadvisor").body)
	base := []string{"container", "id", "image", "name", "namespace", "node", "pod"}
	for id, families := range map[string][]string{
		pod:                 kubeletFamilies.all,
		pod + "/" + member:  slices.Concat(kubeletFamilies.all, kubeletFamilies.process),
		pod + "/" + sandbox: slices.Concat(kubeletFamilies.all, kubeletFamilies.process, kubeletFamilies.network),
	} {
		for _, name := range families {
			labels := slices.Concat(base, extraLabels[name])
			if strings.HasPrefix(name, "container_network_") {
				labels = append(labels, "interface")
			}
			got := slices.Clone(found[id][name])
			slices.Sort(got)
			if slices.Sort(labels); !slices.Equal(got, labels) {
				t.Errorf("%s of %s has the labels %q, want %q", name, id, got, labels)
			}
			delete(found[id], name)
		}
		for name := range found[id] {
			if !strings.HasPrefix(name, "container_fs_") && !strings.HasPrefix(name, "container_blkio_") && !strings.HasPrefix(name, "container_cpu_cfs_") && name != "container_spec_cpu_quota" {
				t.Errorf("%s of %s is more than the kubelet has", name, id)
			}
		}
	}
	// The kubelet's page of the sample has the same, but for what docs/compat.md lists.
	const sample = "../../../shared/samples/kubelet/cadvisor.txt"
	if kubelets, err := os.ReadFile(sample); err == nil {
		known := make(map[string]bool)
		for _, name := range slices.Concat(kubeletFamilies.all, kubeletFamilies.process, kubeletFamilies.network) {
			known[name] = true
		}
		for id, families := range seriesByID(string(kubelets)) {
			for name := range families {
				if strings.Contains(id, "/pod") && !known[name] && !slices.Contains([]string{"container_cpu_load_average_10s", "container_cpu_load_d_average_10s", "container_tasks_state"}, name) {
					t.Errorf("the kubelet has %s of %s as well", name, id)
				}
			}
		}
	} else {
		t.Logf("%s is not here: compared with the table alone", sample)
	}
	if explain := get(t, http.DefaultClient, url+"/debug/explain?metric=container_memory_rss&source=cadvisor&limit=3").body; !strings.Contains(explain, "container_memory_rss") {
		t.Error(explain)
	}
	c.ctr("--namespace", "default", "tasks", "delete", "--force", demo)
	eventually(t, "a container that has ended is gone", func() error {
		if strings.Contains(get(t, http.DefaultClient, url+"/metrics/cadvisor").body, demo) {
			return fmt.Errorf("%s is still there", demo)
		}
		return nil
	})
	rss := memoryKB(t, cmd.Process.Pid, "VmRSS")
	t.Logf("RSS %d kB", rss)
	if rss > 25<<10 {
		t.Errorf("RSS %d kB", rss)
	}
	began := time.Now()
	if err := stop(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("it ended with %v after %s", err, time.Since(began))
	}
}
