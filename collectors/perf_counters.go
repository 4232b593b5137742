package collectors

// The counters that perf has. PERF_COUNT_HW_CACHE_RESULT_ACCESS counts hits and
// misses together, though the names speak of hits, as in node_exporter.

import (
	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
)

// perfCounter is an event that can be counted.
type perfCounter struct {
	name   string // as the flags have it
	typ    uint32 // perf_event_attr.type
	config uint64 // perf_event_attr.config
	family *expo.Family
}

var perfHardware = []perfCounter{
	{"CpuCycles", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES, expo.Counter("node_perf_cpucycles_total", "Cycles that a CPU worked.", "cpu")},
	{"CpuInstr", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_INSTRUCTIONS, expo.Counter("node_perf_instructions_total", "Instructions that a CPU carried out.", "cpu")},
	{"CacheRef", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_REFERENCES, expo.Counter("node_perf_cache_refs_total", "Accesses to the cache, as a rule of the last level.", "cpu")},
	{"CacheMisses", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_MISSES, expo.Counter("node_perf_cache_misses_total", "Accesses to the cache that found nothing, as a rule of the last level.", "cpu")},
	{"BranchInstr", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS, expo.Counter("node_perf_branch_instructions_total", "Branches that a CPU carried out.", "cpu")},
	{"BranchMisses", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_MISSES, expo.Counter("node_perf_branch_misses_total", "Branches that a CPU foretold wrongly.", "cpu")},
	{"RefCpuCycles", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_REF_CPU_CYCLES, expo.Counter("node_perf_ref_cpucycles_total", "Cycles that a CPU worked, at its nominal frequency.", "cpu")},
	{"StalledCyclesBackend", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_STALLED_CYCLES_BACKEND, expo.Counter("node_perf_stalled_cycles_backend_total", "Cycles in which nothing could be carried out.", "cpu")},
	{"StalledCyclesFrontend", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_STALLED_CYCLES_FRONTEND, expo.Counter("node_perf_stalled_cycles_frontend_total", "Cycles in which no instruction could be fetched.", "cpu")},
}

var perfSoftware = []perfCounter{
	{"PageFault", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS, expo.Counter("node_perf_page_faults_total", "Page faults.", "cpu")},
	{"ContextSwitch", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES, expo.Counter("node_perf_context_switches_total", "Switches from one task to another.", "cpu")},
	{"CpuMigration", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_MIGRATIONS, expo.Counter("node_perf_cpu_migrations_total", "Tasks that moved to another CPU.", "cpu")},
	{"MinorFault", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS_MIN, expo.Counter("node_perf_minor_faults_total", "Page faults that needed no I/O.", "cpu")},
	{"MajorFault", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ, expo.Counter("node_perf_major_faults_total", "Page faults that needed I/O.", "cpu")},
}

var perfCache = []perfCounter{
	{"L1DataReadHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_L1D | perfRead | perfAccess, expo.Counter("node_perf_cache_l1d_read_hits_total", "Reads from the first level's data cache.", "cpu")},
	{"L1DataReadMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_L1D | perfRead | perfMiss, expo.Counter("node_perf_cache_l1d_read_misses_total", "Reads from the first level's data cache that found nothing.", "cpu")},
	{"L1DataWriteHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_L1D | perfWrite | perfAccess, expo.Counter("node_perf_cache_l1d_write_hits_total", "Writes to the first level's data cache.", "cpu")},
	{"L1InstrReadMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_L1I | perfRead | perfMiss, expo.Counter("node_perf_cache_l1_instr_read_misses_total", "Reads from the first level's instruction cache that found nothing.", "cpu")},
	{"InstrTLBReadHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_ITLB | perfRead | perfAccess, expo.Counter("node_perf_cache_tlb_instr_read_hits_total", "Look-ups of addresses of instructions.", "cpu")},
	{"InstrTLBReadMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_ITLB | perfRead | perfMiss, expo.Counter("node_perf_cache_tlb_instr_read_misses_total", "Look-ups of addresses of instructions that found nothing.", "cpu")},
	{"DataTLBReadHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_DTLB | perfRead | perfAccess, expo.Counter("node_perf_cache_tlb_data_read_hits_total", "Look-ups of addresses to read from.", "cpu")},
	{"DataTLBReadMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_DTLB | perfRead | perfMiss, expo.Counter("node_perf_cache_tlb_data_read_misses_total", "Look-ups of addresses to read from that found nothing.", "cpu")},
	{"DataTLBWriteHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_DTLB | perfWrite | perfAccess, expo.Counter("node_perf_cache_tlb_data_write_hits_total", "Look-ups of addresses to write to.", "cpu")},
	{"DataTLBWriteMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_DTLB | perfWrite | perfMiss, expo.Counter("node_perf_cache_tlb_data_write_misses_total", "Look-ups of addresses to write to that found nothing.", "cpu")},
	{"LLReadHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | perfRead | perfAccess, expo.Counter("node_perf_cache_ll_read_hits_total", "Reads from the last level's cache.", "cpu")},
	{"LLReadMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | perfRead | perfMiss, expo.Counter("node_perf_cache_ll_read_misses_total", "Reads from the last level's cache that found nothing.", "cpu")},
	{"LLWriteHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | perfWrite | perfAccess, expo.Counter("node_perf_cache_ll_write_hits_total", "Writes to the last level's cache.", "cpu")},
	{"LLWriteMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | perfWrite | perfMiss, expo.Counter("node_perf_cache_ll_write_misses_total", "Writes to the last level's cache that found nothing.", "cpu")},
	{"BPUReadHit", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_BPU | perfRead | perfAccess, expo.Counter("node_perf_cache_bpu_read_hits_total", "Look-ups of where a branch goes.", "cpu")},
	{"BPUReadMiss", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_BPU | perfRead | perfMiss, expo.Counter("node_perf_cache_bpu_read_misses_total", "Look-ups of where a branch goes that found nothing.", "cpu")},
}

// Parts of a cache counter's config besides the cache itself (perf_event_open(2)).
const (
	perfRead   = unix.PERF_COUNT_HW_CACHE_OP_READ << 8
	perfWrite  = unix.PERF_COUNT_HW_CACHE_OP_WRITE << 8
	perfAccess = unix.PERF_COUNT_HW_CACHE_RESULT_ACCESS << 16
	perfMiss   = unix.PERF_COUNT_HW_CACHE_RESULT_MISS << 16
)
