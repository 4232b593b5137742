package cadvisor

import (
	"strconv"

	cgroupinfo "github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/model"

	"watchpost/internal/expo"
)

// machineLabels are those of what is said of the machine.
var machineLabels = [...]string{"boot_id", "machine_id", "system_uuid"}

// of adds a family of the machine, or of the text itself where base is nil.
func (t *table) of(set cgroupinfo.MetricKind, name, help string, base []string, once func(*samples), own ...string) {
	r := newRow(set, expo.TypeGauge, name, help, base, own)
	r.once = once
	t.rows = append(t.rows, r)
}

func (t *table) machine() {
	t.of("", "cadvisor_version_info", "The kernel and the system; always 1.", nil, func(s *samples) {
		if s.facts != nil {
			s.plain(1, s.facts.kernel, s.facts.system, "", "", "")
		}
	}, "kernelVersion", "osVersion", "dockerVersion", "cadvisorVersion", "cadvisorRevision")
	t.of("", "container_scrape_error", "1 if a cgroup could not be read the last time, 0 otherwise.", nil, func(s *samples) {
		if s.failed {
			s.plain(1)
		} else {
			s.plain(0)
		}
	})
	t.of("", "machine_scrape_error", "1 if the machine could not be read, 0 otherwise.", nil, func(s *samples) {
		if s.facts == nil {
			s.plain(1)
		} else {
			s.plain(0)
		}
	})
	info := func(name, help string, get func(*model.MachineInfo) float64) {
		t.facts("", name, help, func(s *samples, m *model.MachineInfo) { s.plain(get(m)) })
	}
	info("machine_cpu_physical_cores", "Cores of the CPUs.", func(m *model.MachineInfo) float64 { return float64(m.NumPhysicalCores) })
	info("machine_cpu_cores", "CPUs as the kernel counts them: threads of cores.", func(m *model.MachineInfo) float64 { return float64(m.NumCores) })
	info("machine_cpu_sockets", "Sockets of CPUs.", func(m *model.MachineInfo) float64 { return float64(m.NumSockets) })
	info("machine_cpu_books", "Books of CPUs (s390).", func(m *model.MachineInfo) float64 { return float64(m.NumBooks) })
	info("machine_cpu_drawers", "Drawers of CPUs (s390).", func(m *model.MachineInfo) float64 { return float64(m.NumDrawers) })
	info("machine_memory_bytes", "Memory in bytes.", func(m *model.MachineInfo) float64 { return float64(m.MemoryCapacity) })
	info("machine_swap_bytes", "Swap in bytes.", func(m *model.MachineInfo) float64 { return float64(m.SwapCapacity) })
	info("machine_nvm_avg_power_budget_watts", "Power for memory modules that keep their content.", func(m *model.MachineInfo) float64 { return float64(m.NVMInfo.AvgPowerBudget) })
	t.facts("", "machine_nvm_capacity", "Memory modules that keep their content, in bytes.", func(s *samples, m *model.MachineInfo) {
		s.plain(float64(m.NVMInfo.AppDirectModeCapacity), "app_direct_mode")
		s.plain(float64(m.NVMInfo.MemoryModeCapacity), "memory_mode")
	}, "mode")
	dimm := func(name, help string, get func(*model.MemoryInfo) float64) {
		t.facts("", name, help, func(s *samples, m *model.MachineInfo) {
			for _, typ := range sortedKeys(m.MemoryByType) {
				s.plain(get(m.MemoryByType[typ]), typ)
			}
		}, "type")
	}
	dimm("machine_dimm_count", "Memory modules by type.", func(m *model.MemoryInfo) float64 { return float64(m.DimmCount) })
	dimm("machine_dimm_capacity_bytes", "Memory in modules by type, in bytes.", func(m *model.MemoryInfo) float64 { return float64(m.Capacity) })
	t.topology()
}

// facts adds a family of the machine, with no samples while nothing is known of it.
func (t *table) facts(set cgroupinfo.MetricKind, name, help string, write func(*samples, *model.MachineInfo), own ...string) {
	t.of(set, name, help, machineLabels[:], func(s *samples) {
		if s.facts != nil {
			m := s.facts.info
			s.base = append(s.base[:0], m.BootID, m.MachineID, m.SystemUUID)
			write(s, m)
		}
	}, own...)
}

// topology is which CPUs share what.
func (t *table) topology() {
	nodes := func(name, help string, write func(*samples, *model.Node, string), own ...string) {
		t.facts(cgroupinfo.CPUTopologyMetrics, name, help, func(s *samples, m *model.MachineInfo) {
			for i := range m.Topology {
				write(s, &m.Topology[i], strconv.Itoa(m.Topology[i].Id))
			}
		}, append([]string{"node_id"}, own...)...)
	}
	nodes("machine_cpu_cache_capacity_bytes", "Size of a cache in bytes.", func(s *samples, n *model.Node, id string) {
		write := func(core string, caches []model.Cache) {
			for _, c := range caches {
				s.plain(float64(c.Size), id, core, c.Type, strconv.Itoa(c.Level))
			}
		}
		for _, c := range n.Cores {
			write(strconv.Itoa(c.Id), c.Caches)
			write(strconv.Itoa(c.Id), c.UncoreCaches)
		}
		write("", n.Caches)
	}, "core_id", "type", "level")
	nodes("machine_thread_siblings_count", "Threads of a core.", func(s *samples, n *model.Node, id string) {
		for _, c := range n.Cores {
			for _, thread := range c.Threads {
				s.plain(float64(len(c.Threads)), id, strconv.Itoa(c.Id), strconv.Itoa(thread))
			}
		}
	}, "core_id", "thread_id")
	nodes("machine_node_memory_capacity_bytes", "Memory of a node in bytes.", func(s *samples, n *model.Node, id string) { s.plain(float64(n.Memory), id) })
	nodes("machine_node_hugepages_count", "Huge pages of a node.", func(s *samples, n *model.Node, id string) {
		for _, h := range n.HugePages {
			s.plain(float64(h.NumPages), id, strconv.FormatUint(h.PageSize, 10))
		}
	}, "page_size")
	nodes("machine_node_distance", "Distance from a node to another.", func(s *samples, n *model.Node, id string) {
		for i, d := range n.Distances {
			s.plain(float64(d), id, strconv.Itoa(i))
		}
	}, "target_node_id")
}
