package self

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"watchpost/internal/expo"
)

// The Go runtime, from runtime/metrics, which unlike runtime.ReadMemStats does
// not stop the program.
var (
	goInfo       = expo.Gauge("go_info", "Which Go this program was built with; always 1.", "version")
	goGoroutines = expo.Gauge("go_goroutines", "Goroutines that exist.")
	goThreads    = expo.Gauge("go_threads", "Threads of the operating system that were made.")
	goPauses     = expo.Summary("go_gc_duration_seconds", "Times for which a garbage collection stopped the program.")
	goLastGC     = expo.Gauge("go_memstats_last_gc_time_seconds", "When the last garbage collection ended, in seconds since 1970.")
)

// runtimeRow is a family and the names of runtime/metrics that are added up for it.
type runtimeRow struct {
	family *expo.Family
	of     []string
}

// Names of runtime/metrics that several families need.
const (
	heapObjects  = "/memory/classes/heap/objects:bytes"
	heapUnused   = "/memory/classes/heap/unused:bytes"
	heapReleased = "/memory/classes/heap/released:bytes"
	heapFree     = "/memory/classes/heap/free:bytes"
	heapStacks   = "/memory/classes/heap/stacks:bytes"
	mspanInuse   = "/memory/classes/metadata/mspan/inuse:bytes"
	mcacheInuse  = "/memory/classes/metadata/mcache/inuse:bytes"
	tinyAllocs   = "/gc/heap/tiny/allocs:objects"
)

var runtimeRows = []runtimeRow{
	{expo.Gauge("go_gc_gogc_percent", "Growth of the heap at which garbage is collected (GOGC)."), []string{"/gc/gogc:percent"}},
	{expo.Gauge("go_gc_gomemlimit_bytes", "Memory that the runtime tries not to exceed (GOMEMLIMIT)."), []string{"/gc/gomemlimit:bytes"}},
	{expo.Gauge("go_sched_gomaxprocs_threads", "Threads that may run Go code at the same time (GOMAXPROCS)."), []string{"/sched/gomaxprocs:threads"}},
	{expo.Gauge("go_memstats_alloc_bytes", "Heap in use by objects."), []string{heapObjects}},
	{expo.Counter("go_memstats_alloc_bytes_total", "Heap allocated so far, freed or not.").Whole(), []string{"/gc/heap/allocs:bytes"}},
	{expo.Gauge("go_memstats_buck_hash_sys_bytes", "Memory for profiles."), []string{"/memory/classes/profiling/buckets:bytes"}},
	{expo.Counter("go_memstats_frees_total", "Heap objects freed so far."), []string{"/gc/heap/frees:objects", tinyAllocs}},
	{expo.Gauge("go_memstats_gc_sys_bytes", "Memory for the bookkeeping of the garbage collector."), []string{"/memory/classes/metadata/other:bytes"}},
	{expo.Gauge("go_memstats_heap_alloc_bytes", "Heap in use by objects, as go_memstats_alloc_bytes."), []string{heapObjects}},
	{expo.Gauge("go_memstats_heap_idle_bytes", "Heap without objects, given back or not."), []string{heapReleased, heapFree}},
	{expo.Gauge("go_memstats_heap_inuse_bytes", "Heap in spans that hold objects."), []string{heapObjects, heapUnused}},
	{expo.Gauge("go_memstats_heap_objects", "Heap objects, live or not yet collected."), []string{"/gc/heap/objects:objects"}},
	{expo.Gauge("go_memstats_heap_released_bytes", "Heap that was given back to the system."), []string{heapReleased}},
	{expo.Gauge("go_memstats_heap_sys_bytes", "Heap that was taken from the system."), []string{heapObjects, heapUnused, heapReleased, heapFree}},
	{expo.Counter("go_memstats_mallocs_total", "Heap objects allocated so far."), []string{"/gc/heap/allocs:objects", tinyAllocs}},
	{expo.Gauge("go_memstats_mcache_inuse_bytes", "Memory of mcache structures in use."), []string{mcacheInuse}},
	{expo.Gauge("go_memstats_mcache_sys_bytes", "Memory for mcache structures."), []string{mcacheInuse, "/memory/classes/metadata/mcache/free:bytes"}},
	{expo.Gauge("go_memstats_mspan_inuse_bytes", "Memory of mspan structures in use."), []string{mspanInuse}},
	{expo.Gauge("go_memstats_mspan_sys_bytes", "Memory for mspan structures."), []string{mspanInuse, "/memory/classes/metadata/mspan/free:bytes"}},
	{expo.Gauge("go_memstats_next_gc_bytes", "Size of the heap at which garbage is collected next."), []string{"/gc/heap/goal:bytes"}},
	{expo.Gauge("go_memstats_other_sys_bytes", "Memory of the runtime for other purposes."), []string{"/memory/classes/other:bytes"}},
	{expo.Gauge("go_memstats_stack_inuse_bytes", "Memory of goroutine stacks."), []string{heapStacks}},
	{expo.Gauge("go_memstats_stack_sys_bytes", "Memory of goroutine stacks and of stacks of the system."), []string{heapStacks, "/memory/classes/os-stacks:bytes"}},
	{expo.Gauge("go_memstats_sys_bytes", "All memory that the runtime took from the system."), []string{"/memory/classes/total:bytes"}},
}

// runtimeReader reads the runtime.
type runtimeReader struct {
	samples   []metrics.Sample // sorted by name
	gc        debug.GCStats
	quantiles []expo.Quantile
}

// gcQuantiles are the least pause, three quartiles and the longest.
const gcQuantiles = 5

func newRuntimeReader() runtimeReader {
	var names []string
	for _, row := range runtimeRows {
		names = append(names, row.of...)
	}
	slices.Sort(names)
	r := runtimeReader{gc: debug.GCStats{PauseQuantiles: make([]time.Duration, gcQuantiles)}}
	for _, name := range slices.Compact(names) {
		r.samples = append(r.samples, metrics.Sample{Name: name})
	}
	return r
}

func (r *runtimeReader) write(w *expo.Writer) {
	debug.ReadGCStats(&r.gc)
	r.quantiles = r.quantiles[:0]
	for i, pause := range r.gc.PauseQuantiles {
		r.quantiles = append(r.quantiles, expo.Quantile{Share: float64(i) / (gcQuantiles - 1), Value: pause.Seconds()})
	}
	w.Summary(goPauses, r.quantiles, r.gc.PauseTotal.Seconds(), uint64(r.gc.NumGC))
	w.Sample(goLastGC, lastGC(r.gc.LastGC))
	w.Sample(goGoroutines, float64(runtime.NumGoroutine()))
	threads, _ := runtime.ThreadCreateProfile(nil)
	w.Sample(goThreads, float64(threads))
	w.Sample(goInfo, 1, runtime.Version())

	metrics.Read(r.samples)
	for _, row := range runtimeRows {
		var sum uint64
		for _, name := range row.of {
			sum += r.value(name)
		}
		w.Uint(row.family, sum)
	}
}

// lastGC is a time in seconds since 1970, 0 before the first collection.
func lastGC(t time.Time) float64 {
	if ns := t.UnixNano(); ns > 0 {
		return float64(ns) / 1e9
	}
	return 0
}

// value is a number of runtime/metrics; one that this Go does not have is 0.
func (r *runtimeReader) value(name string) uint64 {
	i, found := slices.BinarySearchFunc(r.samples, name, func(s metrics.Sample, name string) int {
		switch {
		case s.Name < name:
			return -1
		case s.Name > name:
			return 1
		}
		return 0
	})
	if !found || r.samples[i].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return r.samples[i].Value.Uint64()
}
