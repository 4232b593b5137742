package collectors

// Memory by use, from /proc/meminfo (kernel: Documentation/filesystems/proc.rst,
// fs/proc/meminfo.c). Numbers are in kB of 1,024 bytes but for counts of huge
// pages, which have no unit:
//
//	MemTotal:       24684084 kB
//	Active(anon):       1560 kB
//	HugePages_Total:       0

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

type meminfo struct {
	file  *hostfs.File
	names [2]kernelNames // of fields without a unit, of fields in kB
}

func newMeminfo(c Config) (Collector, error) {
	return &meminfo{
		file: c.FS.ProcFile("meminfo").Lines(128),
		names: [2]kernelNames{
			{family: func(field string) *expo.Family { return meminfoFamily(field, "") }},
			{family: func(field string) *expo.Family { return meminfoFamily(field, "_bytes") }},
		},
	}, nil
}

// meminfoFamily is the family of a field: Active(anon) is in Active_anon.
func meminfoFamily(field, unit string) *expo.Family {
	name := expo.CleanName(strings.ReplaceAll(field, ")", "")) + unit
	if f := pickFamily(meminfoFamilies, "node_memory_"+name); f != nil {
		return f
	}
	return expo.Gauge("node_memory_"+name, "Field "+field+" of /proc/meminfo.") // of another kernel
}

// Collect implements Collector.
func (m *meminfo) Collect(_ context.Context, w *expo.Writer) error {
	b, err := m.file.Read()
	if err != nil {
		return absent(err)
	}
	start := len(w.Bytes())
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if len(line) == 0 {
			continue
		}
		f, err := parseMemField(line)
		if err != nil {
			w.Truncate(start)
			return fmt.Errorf("%s: line %.100q: %w", m.file.Path(), line, err)
		}
		if f.kB {
			w.Sample(m.names[1].get(f.name), float64(f.n)*1024)
		} else {
			w.Uint(m.names[0].get(f.name), f.n)
		}
	}
	return nil
}

// memField is a line of /proc/meminfo.
type memField struct {
	name []byte
	n    uint64
	kB   bool
}

func parseMemField(line []byte) (f memField, err error) {
	name, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return memField{}, errors.New("want a name and a colon")
	}
	number, rest := hostfs.NextField(rest)
	if f.n, err = hostfs.Uint(number); err != nil {
		return memField{}, err
	}
	unit, _ := hostfs.NextField(rest)
	switch string(unit) {
	case "kB":
		f.kB = true
	case "":
	default:
		return memField{}, fmt.Errorf("unknown unit %.200q", unit)
	}
	f.name = name
	return f, nil
}

// meminfoFamilies are the fields known up to Linux 6.18, in the kernel's order.
var meminfoFamilies = []*expo.Family{
	expo.Gauge("node_memory_MemTotal_bytes", "Memory that the kernel can use: what is installed, less what firmware and the kernel's own image take."),
	expo.Gauge("node_memory_MemFree_bytes", "Memory that nothing uses."),
	expo.Gauge("node_memory_MemAvailable_bytes", "What new programs could get without swapping, by the kernel's estimate."),
	expo.Gauge("node_memory_Buffers_bytes", "Cached blocks of block devices."),
	expo.Gauge("node_memory_Cached_bytes", "Cached pages of files, shared memory and tmpfs; without SwapCached."),
	expo.Gauge("node_memory_SwapCached_bytes", "Memory that was swapped out and is back, with its copy still in swap."),
	expo.Gauge("node_memory_Active_bytes", "Memory used lately, reclaimed last."),
	expo.Gauge("node_memory_Inactive_bytes", "Memory not used lately, reclaimed first."),
	expo.Gauge("node_memory_Active_anon_bytes", "Anonymous and shared memory used lately."),
	expo.Gauge("node_memory_Inactive_anon_bytes", "Anonymous and shared memory not used lately."),
	expo.Gauge("node_memory_Active_file_bytes", "Cached files used lately."),
	expo.Gauge("node_memory_Inactive_file_bytes", "Cached files not used lately."),
	expo.Gauge("node_memory_Unevictable_bytes", "Memory that cannot be reclaimed: locked, in ramfs, secret."),
	expo.Gauge("node_memory_Mlocked_bytes", "Memory that programs locked."),
	expo.Gauge("node_memory_HighTotal_bytes", "Memory that a 32-bit kernel cannot reach directly."),
	expo.Gauge("node_memory_HighFree_bytes", "Free part of HighTotal."),
	expo.Gauge("node_memory_LowTotal_bytes", "Memory that a 32-bit kernel reaches directly."),
	expo.Gauge("node_memory_LowFree_bytes", "Free part of LowTotal."),
	expo.Gauge("node_memory_MmapCopy_bytes", "Memory for copies of mappings, on machines without an MMU."),
	expo.Gauge("node_memory_SwapTotal_bytes", "Size of all swap."),
	expo.Gauge("node_memory_SwapFree_bytes", "Swap that nothing uses."),
	expo.Gauge("node_memory_Zswap_bytes", "Memory that zswap takes for what it holds compressed."),
	expo.Gauge("node_memory_Zswapped_bytes", "Anonymous memory that zswap holds, in the size it had."),
	expo.Gauge("node_memory_Dirty_bytes", "Changed data that waits to be written to disk."),
	expo.Gauge("node_memory_Writeback_bytes", "Data that is being written to disk now."),
	expo.Gauge("node_memory_AnonPages_bytes", "Anonymous memory mapped into programs."),
	expo.Gauge("node_memory_Mapped_bytes", "Cached files that programs have mapped, such as libraries."),
	expo.Gauge("node_memory_Shmem_bytes", "Shared memory and tmpfs."),
	expo.Gauge("node_memory_KReclaimable_bytes", "Memory of the kernel that it gives back under pressure; contains SReclaimable."),
	expo.Gauge("node_memory_Slab_bytes", "The kernel's caches of small objects."),
	expo.Gauge("node_memory_SReclaimable_bytes", "Part of Slab that is given back under pressure."),
	expo.Gauge("node_memory_SUnreclaim_bytes", "Part of Slab that cannot be given back."),
	expo.Gauge("node_memory_KernelStack_bytes", "Kernel stacks of all tasks."),
	expo.Gauge("node_memory_ShadowCallStack_bytes", "Shadow call stacks of the kernel, on arm64."),
	expo.Gauge("node_memory_PageTables_bytes", "Page tables of programs."),
	expo.Gauge("node_memory_SecPageTables_bytes", "Page tables of virtual machines and I/O memory management."),
	expo.Gauge("node_memory_NFS_Unstable_bytes", "Always 0 since Linux 5.8: NFS data sent but not yet safe on the server."),
	expo.Gauge("node_memory_Bounce_bytes", "Buffers for devices that cannot reach all memory."),
	expo.Gauge("node_memory_WritebackTmp_bytes", "Temporary buffers of FUSE for data being written."),
	expo.Gauge("node_memory_CommitLimit_bytes", "What may be promised to programs where overcommit is forbidden."),
	expo.Gauge("node_memory_Committed_AS_bytes", "What has been promised to programs, used or not."),
	expo.Gauge("node_memory_VmallocTotal_bytes", "Size of the kernel's vmalloc address space."),
	expo.Gauge("node_memory_VmallocUsed_bytes", "Used part of the vmalloc address space."),
	expo.Gauge("node_memory_VmallocChunk_bytes", "Always 0 since Linux 4.4: largest free part of the vmalloc address space."),
	expo.Gauge("node_memory_Percpu_bytes", "The kernel's data that exists once for each CPU."),
	expo.Gauge("node_memory_EarlyMemtestBad_bytes", "Memory found bad by the test at boot."),
	expo.Gauge("node_memory_HardwareCorrupted_bytes", "Memory taken out of use because the hardware reported errors in it."),
	expo.Gauge("node_memory_AnonHugePages_bytes", "Anonymous memory in transparent huge pages."),
	expo.Gauge("node_memory_ShmemHugePages_bytes", "Shared memory and tmpfs in huge pages."),
	expo.Gauge("node_memory_ShmemPmdMapped_bytes", "Shared memory that programs have mapped in huge pages."),
	expo.Gauge("node_memory_FileHugePages_bytes", "Cached files in huge pages."),
	expo.Gauge("node_memory_FilePmdMapped_bytes", "Cached files that programs have mapped in huge pages."),
	expo.Gauge("node_memory_CmaTotal_bytes", "Memory set aside for contiguous allocation."),
	expo.Gauge("node_memory_CmaFree_bytes", "Free part of CmaTotal."),
	expo.Gauge("node_memory_Unaccepted_bytes", "Memory that a confidential guest has not accepted from its host yet."),
	expo.Gauge("node_memory_Balloon_bytes", "Memory that a virtual machine has returned to its host."),
	expo.Gauge("node_memory_GPUActive_bytes", "System memory that GPUs use now."),
	expo.Gauge("node_memory_GPUReclaim_bytes", "System memory in GPU pools that can be given back."),
	expo.Gauge("node_memory_HugePages_Total", "Huge pages of the default size in the pool."),
	expo.Gauge("node_memory_HugePages_Free", "Huge pages in the pool that nothing holds."),
	expo.Gauge("node_memory_HugePages_Rsvd", "Huge pages promised but not yet taken from the pool."),
	expo.Gauge("node_memory_HugePages_Surp", "Huge pages in the pool above its set size."),
	expo.Gauge("node_memory_Hugepagesize_bytes", "Default size of a huge page."),
	expo.Gauge("node_memory_Hugetlb_bytes", "Memory in huge pages of all sizes."),
	expo.Gauge("node_memory_DirectMap4k_bytes", "Memory that the kernel maps in pages of 4 kB."),
	expo.Gauge("node_memory_DirectMap64k_bytes", "Memory that the kernel maps in pages of 64 kB."),
	expo.Gauge("node_memory_DirectMap1M_bytes", "Memory that the kernel maps in pages of 1 MB."),
	expo.Gauge("node_memory_DirectMap2M_bytes", "Memory that the kernel maps in pages of 2 MB."),
	expo.Gauge("node_memory_DirectMap4M_bytes", "Memory that the kernel maps in pages of 4 MB."),
	expo.Gauge("node_memory_DirectMap1G_bytes", "Memory that the kernel maps in pages of 1 GB."),
	expo.Gauge("node_memory_DirectMap2G_bytes", "Memory that the kernel maps in pages of 2 GB."),
}
