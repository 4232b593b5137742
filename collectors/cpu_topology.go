package collectors

// Which CPUs are online and isolated, and how often they were throttled for heat,
// from sysfs (kernel: Documentation/ABI/testing/sysfs-devices-system-cpu,
// Documentation/admin-guide/cputopology.rst):
//
//	devices/system/cpu/online:                                         0-3,6
//	devices/system/cpu/isolated:                                       2-3
//	devices/system/cpu/cpu0/online:                                    1
//	devices/system/cpu/cpu0/topology/{physical_package_id,core_id}:    0
//	devices/system/cpu/cpu0/thermal_throttle/core_throttle_count:      5
//	devices/system/cpu/cpu0/thermal_throttle/package_throttle_count:   30
//
// A count is the same in all CPUs of the core or package, so it is read of one.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	cpuIsolated         = expo.Gauge("node_cpu_isolated", "CPUs that the scheduler leaves alone (isolcpus); always 1.", "cpu")
	cpuPackageThrottles = expo.Counter("node_cpu_package_throttles_total", "Times that a processor package was slowed down for heat.", "package")
	cpuCoreThrottles    = expo.Counter("node_cpu_core_throttles_total", "Times that a core was slowed down for heat.", "core", "package")
	cpuOnline           = expo.Gauge("node_cpu_online", "Whether a CPU is online, on hosts where the first CPU can be taken offline.", "cpu")
)

// cpuTopologyAge is how long what CPUs there are is taken for true.
const cpuTopologyAge = time.Minute

type cpuTopology struct {
	host   hostfs.FS
	now    func() time.Time
	listed time.Time // zero: list anew

	cpus     []cpuNumber // all, online or not
	isolated []cpuNumber
	online   *hostfs.File // nil: the first CPU cannot be taken offline
	packages []cpuThrottle
	cores    []cpuThrottle
	numbers  []uint64 // buffer
}

type cpuNumber struct {
	n   uint64
	cpu string // n in decimal
}

// cpuThrottle is a count of a package or core.
type cpuThrottle struct {
	pkg, core string
	file      *hostfs.File
}

func (t *cpuTopology) collect(w *expo.Writer) error {
	var failed error
	now := t.now()
	if age := now.Sub(t.listed); age < 0 || age >= cpuTopologyAge {
		t.listed = now
		failed = t.list()
	}
	for _, c := range t.isolated {
		w.Sample(cpuIsolated, 1, c.cpu)
	}
	for _, p := range t.packages {
		if n, ok := t.count(p); ok {
			w.Uint(cpuPackageThrottles, n, p.pkg)
		}
	}
	for _, c := range t.cores {
		if n, ok := t.count(c); ok {
			w.Uint(cpuCoreThrottles, n, c.core, c.pkg)
		}
	}
	if t.online == nil {
		return failed
	}
	if err := t.collectOnline(w); err != nil {
		failed = errors.Join(failed, err)
	}
	return failed
}

// count reads a throttle count. When the CPU whose file it is went offline,
// another one of its core may tell: that is found at the next scrape.
func (t *cpuTopology) count(c cpuThrottle) (n uint64, ok bool) {
	if n, ok = readCount(c.file); !ok {
		t.listed = time.Time{}
	}
	return n, ok
}

// readCount reads a file of one number.
func readCount(f *hostfs.File) (n uint64, ok bool) {
	b, err := f.Read()
	if err != nil {
		return 0, false
	}
	field, _ := hostfs.NextField(b)
	n, err = hostfs.Uint(field)
	return n, err == nil
}

func (t *cpuTopology) collectOnline(w *expo.Writer) error {
	b, err := t.online.Read()
	if err != nil {
		return err
	}
	if t.numbers, err = parseCPUList(t.numbers[:0], b); err != nil {
		return fmt.Errorf("%s: %w", t.online.Path(), err)
	}
	for _, c := range t.cpus {
		online := 0.0
		if _, found := slices.BinarySearch(t.numbers, c.n); found {
			online = 1
		}
		w.Sample(cpuOnline, online, c.cpu)
	}
	return nil
}

// list finds the CPUs, what they belong to and where their counts are.
func (t *cpuTopology) list() error {
	for _, c := range slices.Concat(t.packages, t.cores) {
		c.file.Close()
	}
	t.cpus, t.isolated, t.packages, t.cores = t.cpus[:0], t.isolated[:0], t.packages[:0], t.cores[:0]

	dir := t.host.SysPath("devices/system/cpu")
	names, err := hostfs.ReadDirNames(dir)
	if err != nil && !hostfs.Gone(err) {
		return err
	}
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "cpu")
		if n, err := strconv.ParseUint(number, 10, 32); ok && err == nil {
			t.cpus = append(t.cpus, cpuNumber{n, number})
		}
	}
	slices.SortFunc(t.cpus, func(a, b cpuNumber) int { return cmp.Compare(a.n, b.n) })
	for _, c := range t.cpus {
		t.listThrottles(dir+"/cpu"+c.cpu, c)
	}
	t.listOnline(dir)
	return t.listIsolated(dir)
}

// listOnline finds out whether the first CPU can be taken offline: where it
// cannot, node_exporter shows none.
func (t *cpuTopology) listOnline(dir string) {
	can := false
	if len(t.cpus) > 0 {
		_, err := hostfs.Read(dir + "/cpu" + t.cpus[0].cpu + "/online")
		can = !hostfs.Gone(err)
	}
	switch {
	case !can && t.online != nil:
		t.online.Close()
		t.online = nil
	case can && t.online == nil:
		t.online = hostfs.NewFile(dir + "/online")
	}
}

func (t *cpuTopology) listIsolated(dir string) error {
	b, err := hostfs.Read(dir + "/isolated")
	if hostfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.numbers, err = parseCPUList(t.numbers[:0], b); err != nil {
		return fmt.Errorf("%s/isolated: %w", dir, err)
	}
	for _, n := range t.numbers {
		t.isolated = append(t.isolated, cpuNumber{n, strconv.FormatUint(n, 10)})
	}
	return nil
}

// listThrottles takes the counts of a CPU's package and core, if no CPU before it
// had them. A CPU that is offline has no topology.
func (t *cpuTopology) listThrottles(dir string, c cpuNumber) {
	pkg, err := hostfs.ReadTrimmed(dir + "/topology/physical_package_id")
	if err != nil || !isNumber(pkg) { // -1: the kernel does not know
		return
	}
	core, err := hostfs.ReadTrimmed(dir + "/topology/core_id")
	if err != nil || !isNumber(core) {
		return
	}
	add := func(to []cpuThrottle, core, name string) []cpuThrottle {
		if slices.ContainsFunc(to, func(o cpuThrottle) bool { return o.pkg == pkg && o.core == core }) {
			return to
		}
		f := hostfs.NewFile(dir + "/thermal_throttle/" + name)
		if _, ok := readCount(f); !ok { // a virtual machine, a CPU without the count
			f.Close()
			return to
		}
		return append(to, cpuThrottle{pkg, core, f})
	}
	t.packages = add(t.packages, "", "package_throttle_count")
	t.cores = add(t.cores, core, "core_throttle_count")
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// maxCPUs bounds the numbers in a list of CPUs; Linux supports 8,192.
const maxCPUs = 1 << 16

// parseCPUList appends the numbers of a list such as 0-3,6 to dst, ascending.
func parseCPUList(dst []uint64, b []byte) ([]uint64, error) {
	text, _ := hostfs.NextField(b)
	for len(text) > 0 {
		item := text
		if i := slices.Index(text, ','); i >= 0 {
			item, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		first, last := item, item
		if i := slices.Index(item, '-'); i >= 0 {
			first, last = item[:i], item[i+1:]
		}
		from, err := hostfs.Uint(first)
		if err != nil {
			return dst, fmt.Errorf("list of CPUs: %w", err)
		}
		to, err := hostfs.Uint(last)
		if err != nil {
			return dst, fmt.Errorf("list of CPUs: %w", err)
		}
		if to < from || to >= maxCPUs || len(dst) > 0 && from <= dst[len(dst)-1] {
			return dst, fmt.Errorf("list of CPUs: %.100q is out of order or out of range", b)
		}
		for n := from; n <= to; n++ {
			dst = append(dst, n)
		}
	}
	return dst, nil
}
