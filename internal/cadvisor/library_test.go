package cadvisor

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	commonmodel "github.com/prometheus/common/model"
	clocktesting "k8s.io/utils/clock/testing"
)

// provider gives one container to the library's collectors.
type provider struct {
	info    *model.ContainerInfo
	machine *model.MachineInfo
}

func (p provider) GetRequestedContainersInfo(string, model.RequestOptions) (map[string]*model.ContainerInfo, error) {
	return map[string]*model.ContainerInfo{p.info.Name: p.info}, nil
}

func (provider) GetVersionInfo() (*model.VersionInfo, error) {
	return &model.VersionInfo{KernelVersion: "6.1", ContainerOsVersion: "Debian"}, nil
}

func (p provider) GetMachineInfo() (*model.MachineInfo, error) { return p.machine, nil }

// flat are the samples of families, by name and labels: value and time.
func flat(families []*dto.MetricFamily) map[string][2]float64 {
	all := make(map[string][2]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			all[f.GetType().String()+" "+f.GetName()+"{"+strings.Join(labels, ",")+"}"] = [2]float64{m.GetGauge().GetValue() + m.GetCounter().GetValue(), float64(m.GetTimestampMs())}
		}
	}
	return all
}

// The library's own collector and ours, of the same statistics with a number of its
// own in every field: the same samples, but for what docs/compat.md tells.
func TestLibrary(t *testing.T) {
	const at = 1700000000
	n := uint64(0)
	next := func() uint64 { n += 1_000_003; return n }
	disk := func() []model.PerDiskStats {
		return []model.PerDiskStats{{Device: "/dev/sda", Major: 8, Minor: 1, Stats: map[string]uint64{"Read": next(), "Write": next(), "Total": next(), "Count": next()}}}
	}
	numa := func() model.MemoryNumaStats {
		return model.MemoryNumaStats{File: map[uint8]uint64{0: next()}, Anon: map[uint8]uint64{0: next(), 1: next()}, Unevictable: map[uint8]uint64{1: next()}}
	}
	tcp := func() model.TcpStat {
		return model.TcpStat{Established: next(), SynSent: next(), SynRecv: next(), FinWait1: next(), FinWait2: next(), TimeWait: next(), Close: next(),
			CloseWait: next(), LastAck: next(), Listen: next(), Closing: next()}
	}
	udp := func() model.UdpStat {
		return model.UdpStat{Listen: next(), Dropped: next(), RxQueued: next(), TxQueued: next()}
	}
	psi := func() model.PSIStats {
		return model.PSIStats{Full: model.PSIData{Total: next()}, Some: model.PSIData{Total: next()}}
	}
	stats := &model.ContainerStats{
		Timestamp: time.Unix(at, 0), OOMEvents: next(), ReferencedMemory: next(), CpuSet: model.CPUSetStats{MemoryMigrate: next()},
		Cpu: &model.CpuStats{
			Usage:     model.CpuUsage{Total: next(), User: next(), System: next()},
			CFS:       model.CpuCFS{Periods: next(), ThrottledPeriods: next(), ThrottledTime: next(), BurstsPeriods: next(), BurstTime: next()},
			Schedstat: model.CpuSchedstat{RunTime: next(), RunqueueTime: next(), RunPeriods: next()}, PSI: psi(),
		},
		DiskIo: &model.DiskIoStats{IoServiceBytes: disk(), IoServiced: disk(), IoQueued: disk(), Sectors: disk(), IoServiceTime: disk(), IoWaitTime: disk(),
			IoMerged: disk(), IoTime: disk(), IoCostUsage: disk(), IoCostWait: disk(), IoCostIndebt: disk(), IoCostIndelay: disk(), PSI: psi()},
		Memory: &model.MemoryStats{Usage: next(), MaxUsage: next(), Cache: next(), RSS: next(), Swap: next(), MappedFile: next(), WorkingSet: next(),
			TotalActiveFile: next(), TotalInactiveFile: next(), FileDirty: next(), FileWriteback: next(), Pgscan: next(), Pgsteal: next(),
			WorkingsetRefaultFile: next(), WorkingsetRefaultAnon: next(), Failcnt: next(), KernelUsage: next(), PSI: psi(),
			ContainerData:    model.MemoryStatsMemoryData{Pgfault: next(), Pgmajfault: next(), NumaStats: numa()},
			HierarchicalData: model.MemoryStatsMemoryData{Pgfault: next(), Pgmajfault: next(), NumaStats: numa()},
			Events:           model.MemoryEvents{High: next(), Max: next()}},
		Hugetlb: map[string]model.HugetlbStats{"2MB": {Usage: next(), MaxUsage: next(), Failcnt: next()}},
		Network: &model.NetworkStats{Tcp: tcp(), Tcp6: tcp(), Udp: udp(), Udp6: udp(), Interfaces: []model.InterfaceStats{{Name: "eth0", RxBytes: next(), RxPackets: next(),
			RxErrors: next(), RxDropped: next(), TxBytes: next(), TxPackets: next(), TxErrors: next(), TxDropped: next()}}},
		Filesystem: []model.FsStats{{Device: "/dev/sdb", Limit: next(), Usage: next(), Inodes: next(), InodesFree: next(), ReadsCompleted: next(), ReadsMerged: next(),
			SectorsRead: next(), ReadTime: next(), WritesCompleted: next(), WritesMerged: next(), SectorsWritten: next(), WriteTime: next(),
			IoInProgress: next(), IoTime: next(), WeightedIoTime: next()}},
		Processes: &model.ProcessStats{ProcessCount: next(), FdCount: next(), SocketCount: next(), ThreadsCurrent: next(), ThreadsMax: next(),
			Ulimits: []model.UlimitSpec{{Name: "max_open_files", SoftLimit: -1}}},
	}
	spec := model.ContainerSpec{CreationTime: time.Unix(at-10, 0), StartTime: time.Unix(at-5, 0), HasCpu: true, HasMemory: true, HasNetwork: true, HasFilesystem: true, HasDiskIo: true,
		Cpu: model.CpuSpec{Limit: next(), Quota: next(), Period: next()}, Memory: model.MemorySpec{Limit: next(), Reservation: next(), SwapLimit: math.MaxUint64}}
	info := &model.MachineInfo{NumCores: 8, NumPhysicalCores: 4, NumSockets: 2, NumBooks: 3, NumDrawers: 5, MemoryCapacity: next(), SwapCapacity: next(),
		MachineID: "m", SystemUUID: "s", BootID: "b", NVMInfo: model.NVMInfo{MemoryModeCapacity: next(), AppDirectModeCapacity: next(), AvgPowerBudget: 7},
		MemoryByType: map[string]*model.MemoryInfo{"DDR4": {Capacity: next(), DimmCount: 2}},
		Topology: []model.Node{{Id: 1, Memory: next(), HugePages: []model.HugePagesInfo{{PageSize: 2048, NumPages: next()}}, Distances: []uint64{10, 20}, Caches: []model.Cache{{Size: next(), Type: "Unified", Level: 3}},
			Cores: []model.Core{{Id: 6, Threads: []int{7, 8}, Caches: []model.Cache{{Size: next(), Type: "Data", Level: 1}}, UncoreCaches: []model.Cache{{Size: next(), Type: "Unified", Level: 2}}}}}}}
	base := [6]string{"c", "/id", "i", "n", "ns", "p"}

	wanted := append(DefaultMetrics(), MoreMetrics()...)
	for _, percpu := range []bool{false, true} {
		if percpu {
			stats.Cpu.Usage.PerCpu = []uint64{next(), 0, next()}
		}
		set := sets(wanted)
		registry := prometheus.NewRegistry()
		registry.MustRegister(
			metrics.NewPrometheusCollector(provider{&model.ContainerInfo{ContainerReference: model.ContainerReference{Name: "/id"}, Spec: spec, Stats: []*model.ContainerStats{stats}}, info},
				func(*model.ContainerInfo) map[string]string {
					labels := make(map[string]string)
					for i, name := range baseLabels {
						labels[name] = base[i]
					}
					return labels
				}, set, clocktesting.NewFakeClock(time.Unix(at+5, 0)), model.RequestOptions{}),
			metrics.NewPrometheusMachineCollector(provider{machine: info}, set))
		gathered, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		theirs := flat(gathered)

		h := &Host{now: func() time.Time { return time.Unix(at+5, 0) }, rows: families(set, true)}
		p := new(page)
		p.begin(h, []shown{{view: &view{spec: spec, stats: stats, ms: at * 1000, created: at - 10, started: at - 5}, base: base}}, &machine{info: info, kernel: "6.1", system: "Debian"}, false)
		text, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(commonmodel.LegacyValidation)
		parsed, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		var list []*dto.MetricFamily
		for _, f := range parsed {
			list = append(list, f)
		}
		ours := flat(list)
		for series, want := range theirs {
			got, found := ours[series]
			delete(ours, series)
			if strings.Contains(series, "_seconds_total{") && strings.Contains(series, "device=/dev/sdb") {
				want[0] *= 1e6 // milliseconds, which the library takes for nanoseconds
			}
			if !found || math.Abs(got[0]-want[0]) > 1e-9*math.Abs(want[0]) || got[1] != want[1] {
				t.Errorf("%s is %v, want %v (there: %t)", series, got, want, found)
			}
		}
		for series := range ours {
			t.Errorf("%s is not the library's", series)
		}
		if len(theirs) < 160 {
			t.Errorf("the library has %d samples", len(theirs))
		}
	}
}
