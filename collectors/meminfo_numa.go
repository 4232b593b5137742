package collectors

// Memory of each NUMA node, from /sys/devices/system/node/node*/meminfo and numastat
// (kernel: Documentation/admin-guide/numastat.rst, drivers/base/node.c). meminfo is
// in kB of 1,024 bytes but for huge pages, numastat counts pages:
//
//	Node 0 MemTotal:       134182340 kB
//	Node 0 Active(anon):     691324 kB
//	Node 0 HugePages_Total:     0
//
//	numa_hit 193460335812

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// numaNodesAge is how long the list of nodes is taken for true: memory is seldom
// plugged in.
const numaNodesAge = time.Minute

type meminfoNuma struct {
	host   hostfs.FS
	now    func() time.Time
	nodes  []numaNode
	listed time.Time

	names    [2]kernelNames // of fields of meminfo, of numastat
	families []*numaFamily  // in the order in which they were seen
	byName   map[string]*numaFamily
}

// numaNode is one node.
type numaNode struct {
	number  string
	meminfo *hostfs.File
	stat    *hostfs.File
}

// numaFamily are the values of a family, as last read.
type numaFamily struct {
	family  *expo.Family
	samples []numaSample
}

type numaSample struct {
	node  string
	value float64
}

func newMeminfoNuma(c Config) (Collector, error) {
	return &meminfoNuma{
		host: c.FS, now: time.Now, byName: make(map[string]*numaFamily),
		names: [2]kernelNames{{family: numaMeminfoFamily}, {family: numaStatFamily}},
	}, nil
}

// numaMeminfoFamily is the family of a field: Active(anon) is in Active_anon. No
// unit is in the name, though the value is in bytes.
func numaMeminfoFamily(field string) *expo.Family {
	name := "node_memory_numa_" + strings.NewReplacer("(", "_", ")", "").Replace(field)
	if f := pickFamily(numaFamilies, name); f != nil {
		return f
	}
	return expo.Gauge(expo.CleanName(name), "Field "+field+" of the NUMA node's meminfo.", "node") // of another kernel
}

func numaStatFamily(field string) *expo.Family {
	name := "node_memory_numa_" + field + "_total"
	if f := pickFamily(numaFamilies, name); f != nil {
		return f
	}
	return expo.Counter(expo.CleanName(name), "Field "+field+" of the NUMA node's numastat.", "node")
}

// Collect implements Collector.
func (m *meminfoNuma) Collect(_ context.Context, w *expo.Writer) error {
	now := m.now()
	if age := now.Sub(m.listed); len(m.nodes) == 0 || age < 0 || age >= numaNodesAge {
		if err := m.list(); err != nil {
			return absent(err)
		}
		m.listed = now
	}
	for _, f := range m.families {
		f.samples = f.samples[:0]
	}
	if len(m.families) > maxKernelNames {
		m.families, m.byName = nil, make(map[string]*numaFamily)
	}
	var failed error
	for i := range m.nodes {
		n := &m.nodes[i]
		failed = errors.Join(failed, m.read(n.meminfo, &m.names[0], n.number, parseNumaField), m.read(n.stat, &m.names[1], n.number, parseNumaStat))
	}
	for _, f := range m.families {
		for _, s := range f.samples {
			w.Sample(f.family, s.value, s.node)
		}
	}
	return failed
}

// list makes nodes anew.
func (m *meminfoNuma) list() error {
	path := m.host.SysPath("devices/system/node")
	names, err := hostfs.ReadDirNames(path)
	if err != nil {
		return err
	}
	for _, n := range m.nodes {
		n.meminfo.Close()
		n.stat.Close()
	}
	m.nodes = nil
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "node")
		if _, err := hostfs.Uint([]byte(number)); !ok || err != nil {
			continue
		}
		dir := "devices/system/node/" + name
		m.nodes = append(m.nodes, numaNode{number, m.host.SysFile(dir + "/meminfo"), m.host.SysFile(dir + "/numastat")})
	}
	if len(m.nodes) == 0 {
		return fmt.Errorf("%w: no NUMA node in %s", ErrNoData, path)
	}
	return nil
}

// read takes in one file of one node. A node that was unplugged tells nothing.
func (m *meminfoNuma) read(file *hostfs.File, names *kernelNames, node string, parse func([]byte) ([]byte, float64, error)) error {
	b, err := file.Read()
	if hostfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for len(b) > 0 {
		var line []byte
		if line, b = hostfs.NextLine(b); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		field, v, err := parse(line)
		if err != nil {
			return fmt.Errorf("%s: line %.100q: %w", file.Path(), line, err)
		}
		family := names.get(field)
		f := m.byName[family.Name()] // two fields may come out as one name
		if f == nil {
			f = &numaFamily{family: family}
			m.byName[family.Name()] = f
			m.families = append(m.families, f)
		}
		f.samples = append(f.samples, numaSample{node, v})
	}
	return nil
}

// parseNumaField reads a line of a node's meminfo, in bytes or pages.
func parseNumaField(line []byte) (field []byte, v float64, err error) {
	word, rest := hostfs.NextField(line)
	_, rest = hostfs.NextField(rest)
	if string(word) != "Node" {
		return nil, 0, fmt.Errorf("want Node and its number first")
	}
	f, err := parseMemField(rest)
	if err != nil {
		return nil, 0, err
	}
	v = float64(f.n)
	if f.kB {
		v *= 1024
	}
	return bytes.TrimSpace(f.name), v, nil
}

// parseNumaStat reads a line of numastat.
func parseNumaStat(line []byte) (field []byte, v float64, err error) {
	field, rest := hostfs.NextField(line)
	number, _ := hostfs.NextField(rest)
	n, err := hostfs.Uint(number)
	return field, float64(n), err
}

// numaFamilies are the fields known up to Linux 6.18, in the kernel's order.
var numaFamilies = []*expo.Family{
	expo.Gauge("node_memory_numa_MemTotal", "Memory of the node, in bytes as all but the huge pages.", "node"),
	expo.Gauge("node_memory_numa_MemFree", "Memory that nothing uses.", "node"),
	expo.Gauge("node_memory_numa_MemUsed", "Memory that is not free.", "node"),
	expo.Gauge("node_memory_numa_SwapCached", "Memory that was swapped out and is back, with its copy still in swap.", "node"),
	expo.Gauge("node_memory_numa_Active", "Memory used lately, reclaimed last.", "node"),
	expo.Gauge("node_memory_numa_Inactive", "Memory not used lately, reclaimed first.", "node"),
	expo.Gauge("node_memory_numa_Active_anon", "Anonymous and shared memory used lately.", "node"),
	expo.Gauge("node_memory_numa_Inactive_anon", "Anonymous and shared memory not used lately.", "node"),
	expo.Gauge("node_memory_numa_Active_file", "Cached files used lately.", "node"),
	expo.Gauge("node_memory_numa_Inactive_file", "Cached files not used lately.", "node"),
	expo.Gauge("node_memory_numa_Unevictable", "Memory that cannot be reclaimed.", "node"),
	expo.Gauge("node_memory_numa_Mlocked", "Memory that programs locked.", "node"),
	expo.Gauge("node_memory_numa_HighTotal", "Memory that a 32-bit kernel cannot reach directly.", "node"),
	expo.Gauge("node_memory_numa_HighFree", "Free part of HighTotal.", "node"),
	expo.Gauge("node_memory_numa_LowTotal", "Memory that a 32-bit kernel reaches directly.", "node"),
	expo.Gauge("node_memory_numa_LowFree", "Free part of LowTotal.", "node"),
	expo.Gauge("node_memory_numa_Dirty", "Changed data that waits to be written to disk.", "node"),
	expo.Gauge("node_memory_numa_Writeback", "Data that is being written to disk now.", "node"),
	expo.Gauge("node_memory_numa_FilePages", "Cached pages of files, shared memory and tmpfs.", "node"),
	expo.Gauge("node_memory_numa_Mapped", "Cached files that programs have mapped.", "node"),
	expo.Gauge("node_memory_numa_AnonPages", "Anonymous memory mapped into programs.", "node"),
	expo.Gauge("node_memory_numa_Shmem", "Shared memory and tmpfs.", "node"),
	expo.Gauge("node_memory_numa_KernelStack", "Kernel stacks of all tasks.", "node"),
	expo.Gauge("node_memory_numa_ShadowCallStack", "Shadow call stacks of the kernel, on arm64.", "node"),
	expo.Gauge("node_memory_numa_PageTables", "Page tables of programs.", "node"),
	expo.Gauge("node_memory_numa_SecPageTables", "Page tables of virtual machines and I/O memory management.", "node"),
	expo.Gauge("node_memory_numa_NFS_Unstable", "Always 0 since Linux 5.8: NFS data sent but not yet safe on the server.", "node"),
	expo.Gauge("node_memory_numa_Bounce", "Buffers for devices that cannot reach all memory.", "node"),
	expo.Gauge("node_memory_numa_WritebackTmp", "Temporary buffers of FUSE for data being written.", "node"),
	expo.Gauge("node_memory_numa_KReclaimable", "Memory of the kernel that it gives back under pressure; contains SReclaimable.", "node"),
	expo.Gauge("node_memory_numa_Slab", "The kernel's caches of small objects.", "node"),
	expo.Gauge("node_memory_numa_SReclaimable", "Part of Slab that is given back under pressure.", "node"),
	expo.Gauge("node_memory_numa_SUnreclaim", "Part of Slab that cannot be given back.", "node"),
	expo.Gauge("node_memory_numa_AnonHugePages", "Anonymous memory in transparent huge pages.", "node"),
	expo.Gauge("node_memory_numa_ShmemHugePages", "Shared memory and tmpfs in huge pages.", "node"),
	expo.Gauge("node_memory_numa_ShmemPmdMapped", "Shared memory that programs have mapped in huge pages.", "node"),
	expo.Gauge("node_memory_numa_FileHugePages", "Cached files in huge pages.", "node"),
	expo.Gauge("node_memory_numa_FilePmdMapped", "Cached files that programs have mapped in huge pages.", "node"),
	expo.Gauge("node_memory_numa_Unaccepted", "Memory that a confidential guest has not accepted from its host yet.", "node"),
	expo.Gauge("node_memory_numa_Balloon", "Memory that a virtual machine has returned to its host.", "node"),
	expo.Gauge("node_memory_numa_GPUActive", "System memory that GPUs use now.", "node"),
	expo.Gauge("node_memory_numa_GPUReclaim", "System memory in GPU pools that can be given back.", "node"),
	expo.Gauge("node_memory_numa_HugePages_Total", "Huge pages of the default size in the pool.", "node"),
	expo.Gauge("node_memory_numa_HugePages_Free", "Huge pages in the pool that nothing holds.", "node"),
	expo.Gauge("node_memory_numa_HugePages_Surp", "Huge pages in the pool above its set size.", "node"),
	expo.Counter("node_memory_numa_numa_hit_total", "Pages that were wanted of this node and came from it.", "node"),
	expo.Counter("node_memory_numa_numa_miss_total", "Pages that were wanted of another node and came from this one.", "node"),
	expo.Counter("node_memory_numa_numa_foreign_total", "Pages that were wanted of this node and came from another.", "node"),
	expo.Counter("node_memory_numa_interleave_hit_total", "Interleaved pages that were wanted of this node and came from it.", "node"),
	expo.Counter("node_memory_numa_local_node_total", "Pages of this node given to tasks that ran on it.", "node"),
	expo.Counter("node_memory_numa_other_node_total", "Pages of this node given to tasks that ran on another.", "node"),
}
