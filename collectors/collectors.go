// Package collectors holds the node-agent's units: one file for each part of the
// host, one row each in the table below. A collector gets a Config, never a flag,
// so the package serves as a library: see Set.
package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// Collector reads one part of the host.
type Collector interface {
	// Collect writes the families of this part, one after another. It is never
	// called again before it has returned, so it may keep buffers between calls.
	// ErrNoData says that the host has no such part. Another error counts as a
	// failure of this collector; what was written before it is still served.
	Collect(ctx context.Context, w *expo.Writer) error
}

// ErrNoData says that the host lacks what the collector reads: the kernel was
// built without it, no such device is there. It is not a failure to be mended.
var ErrNoData = errors.New("no data")

// absent turns the error of a file that does not exist into ErrNoData.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &absentError{err}
	}
	return err
}

// absentError is ErrNoData with its reason. At each scrape there are many of
// them, and few are ever read: so the text is made when it is asked for.
type absentError struct{ why error }

func (e *absentError) Error() string   { return ErrNoData.Error() + ": " + e.why.Error() }
func (e *absentError) Unwrap() []error { return []error{ErrNoData, e.why} }

// Config is what the collectors are made from. Each part is declared beside the
// collector that reads it.
type Config struct {
	FS  hostfs.FS    // where the host is mounted
	Log *slog.Logger // nil: no logs

	ARP         ARPConfig
	Bcache      BcacheConfig
	CPU         CPUConfig
	Diskstats   DiskstatsConfig
	Ethtool     EthtoolConfig
	Filesystem  FilesystemConfig
	Hwmon       HwmonConfig
	Infiniband  InfinibandConfig
	Interrupts  InterruptsConfig
	IPVS        IPVSConfig
	Net         NetConfig
	Netclass    NetclassConfig
	Netdev      NetdevConfig
	Netstat     NetstatConfig
	NTP         NTPConfig
	PCIDevice   PCIDeviceConfig
	Perf        PerfConfig
	PowerSupply PowerSupplyConfig
	Qdisc       QdiscConfig
	Rapl        RaplConfig
	Runit       RunitConfig
	Slabinfo    SlabinfoConfig
	Stat        StatConfig
	Supervisord SupervisordConfig
	Sysctl      SysctlConfig
	Systemd     SystemdConfig
	Tapestats   TapestatsConfig
	Textfile    TextfileConfig
	Vmstat      VmstatConfig
	Wifi        WifiConfig

	links *links // shared by the collectors of a Set
}

// DefaultConfig is the configuration that node_exporter's flags have by default.
func DefaultConfig() Config {
	return Config{
		FS:        hostfs.Default,
		ARP:       ARPConfig{Netlink: true},
		CPU:       CPUConfig{Guest: true, Frequency: true},
		Diskstats: DiskstatsConfig{DeviceExclude: DefaultDiskstatsDeviceExclude},
		Ethtool:   EthtoolConfig{MetricsInclude: DefaultEthtoolMetricsInclude},
		Filesystem: FilesystemConfig{
			MountPointsExclude: DefaultFilesystemMountPointsExclude,
			TypesExclude:       DefaultFilesystemTypesExclude,
			MountTimeout:       DefaultFilesystemMountTimeout,
			Workers:            DefaultFilesystemWorkers,
		},
		Interrupts: InterruptsConfig{IncludeZeros: true},
		IPVS:       IPVSConfig{BackendLabels: DefaultIPVSBackendLabels},
		NTP: NTPConfig{
			Server: DefaultNTPServer, Port: DefaultNTPPort, ProtocolVersion: DefaultNTPVersion, TTL: DefaultNTPTTL,
			MaxDistance: DefaultNTPMaxDistance, OffsetTolerance: DefaultNTPTolerance,
		},
		Netclass:    NetclassConfig{IgnoredDevices: DefaultNetclassIgnoredDevices},
		Netdev:      NetdevConfig{Netlink: true},
		Netstat:     NetstatConfig{Fields: DefaultNetstatFields},
		PowerSupply: PowerSupplyConfig{IgnoredSupplies: DefaultPowerSupplyIgnored},
		Tapestats:   TapestatsConfig{IgnoredDevices: DefaultTapestatsIgnoredDevices},
		Runit:       RunitConfig{ServiceDir: DefaultRunitServiceDir},
		Slabinfo:    SlabinfoConfig{Include: DefaultSlabinfoInclude},
		Supervisord: SupervisordConfig{URL: DefaultSupervisordURL},
		Systemd:     SystemdConfig{UnitInclude: DefaultSystemdUnitInclude, UnitExclude: DefaultSystemdUnitExclude},
		Vmstat:      VmstatConfig{Fields: DefaultVmstatFields},
	}
}

// row is one collector in the table.
type row struct {
	name  string // as in --collector.<name> and in the label of its own metrics
	on    bool   // whether it runs unless told otherwise
	about string // what it tells, for `check` and the documents; a phrase
	new   func(Config) (Collector, error)
}

// table lists every collector. To add one: a file with its constructor, a row
// here and a page in docs/metrics.
var table = []row{
	{"arp", true, "IPv4 neighbours by interface", newARP},
	{"bcache", true, "block caches: hits, dirty data, writing back", newBcache},
	{"bcachefs", true, "bcachefs file systems, their counters and devices", newBcachefs},
	{"bonding", true, "interfaces in bonds, and how many are up", newBonding},
	{"btrfs", true, "Btrfs file systems, their space and devices", newBtrfs},
	{"buddyinfo", false, "free memory by the size of its pieces", newBuddyinfo},
	{"cgroups", false, "controllers of cgroup v1 and how many groups they have", newCgroups},
	{"conntrack", true, "connections that the firewall tracks, and how it fares", newConntrack},
	{"cpu", true, "time of each CPU by mode, which are online, throttling for heat", newCPU},
	{"cpu_vulnerabilities", false, "attacks on the processor that are known, and what is done against them", newCPUVulnerabilities},
	{"cpufreq", true, "how fast each CPU runs, may run, and by whose rule", newCPUFreq},
	{"diskstats", true, "requests, bytes and times of block devices, and what they are", newDiskstats},
	{"dmi", true, "what the firmware says of the machine", newDMI},
	{"dmmultipath", true, "multipath devices and the state of their paths", newDMMultipath},
	{"drbd", false, "DRBD devices, their traffic and whether they are in sync", newDRBD},
	{"drm", false, "memory and load of AMD graphics cards", newDRM},
	{"edac", true, "errors of the memory, corrected and not", newEDAC},
	{"entropy", true, "the kernel's supply of randomness", newEntropy},
	{"ethtool", false, "drivers of network interfaces, their own counters, what ports can do", newEthtool},
	{"fibrechannel", true, "Fibre Channel ports and their errors", newFibrechannel},
	{"filefd", true, "how many files are open, and how many may be", newFilefd},
	{"filesystem", true, "space and inodes of mounted file systems", newFilesystem},
	{"hwmon", true, "sensors: temperatures, fans, voltages, power", newHwmon},
	{"infiniband", true, "ports of InfiniBand and RoCE adapters", newInfiniband},
	{"interrupts", false, "interrupts by line and CPU", newInterrupts},
	{"ipvs", true, "the kernel's load balancer and its backends", newIPVS},
	{"kernel_hung", true, "tasks that the kernel found hung", newKernelHung},
	{"ksmd", false, "equal pages of memory, merged", newKsmd},
	{"lnstat", false, "the network's caches, by CPU", newLnstat},
	{"loadavg", true, "how many tasks run or wait, over 1, 5 and 15 minutes", newLoadavg},
	{"logind", false, "sessions of users", newLogind},
	{"mdadm", true, "software RAID: disks, states and syncs", newMdadm},
	{"meminfo", true, "memory and swap by use", newMeminfo},
	{"meminfo_numa", false, "memory of each NUMA node by use", newMeminfoNuma},
	{"mountstats", false, "NFS mounts one by one", newMountstats},
	{"netclass", true, "state, speed and properties of network interfaces", newNetclass},
	{"netdev", true, "bytes, packets and errors of network interfaces", newNetdev},
	{"netstat", true, "counters of IP, ICMP, TCP and UDP", newNetstat},
	{"network_route", false, "routes, one by one and by interface", newNetworkRoute},
	{"nfs", true, "calls of the NFS client", newNFS},
	{"nfsd", true, "calls of the NFS server", newNFSd},
	{"ntp", false, "what a time server on this host says", newNTP},
	{"nvme", true, "NVMe controllers and namespaces", newNVMe},
	{"nvmesubsystem", false, "paths to NVMe subsystems", newNVMeSubsystem},
	{"os", true, "which distribution this is, and until when it is supported", newOS},
	{"pcidevice", false, "PCI devices, their links and their power", newPCIDevice},
	{"perf", false, "performance counters of the processor and the kernel", newPerf},
	{"powersupplyclass", true, "batteries and mains adapters", newPowerSupply},
	{"pressure", true, "time lost waiting for CPU, memory, I/O and interrupts", newPressure},
	{"processes", false, "processes and threads by state", newProcesses},
	{"qdisc", false, "queueing disciplines of network interfaces", newQdisc},
	{"rapl", true, "energy that the processor's parts have used", newRapl},
	{"runit", false, "services of runit", newRunit},
	{"schedstat", true, "time that tasks run and wait, by CPU", newSchedstat},
	{"selinux", true, "whether SELinux confines processes", newSELinux},
	{"slabinfo", false, "the kernel's caches of small objects", newSlabinfo},
	{"sockstat", true, "sockets and their memory, by protocol", newSockstat},
	{"softirqs", false, "soft interrupts by kind and CPU", newSoftirqs},
	{"softnet", true, "packets taken from the network, by CPU", newSoftnet},
	{"stat", true, "interrupts, context switches, forks, tasks and the time of boot", newStat},
	{"supervisord", false, "processes of supervisord", newSupervisord},
	{"swap", false, "swap areas, one by one", newSwap},
	{"sysctl", false, "kernel parameters of your choice", newSysctl},
	{"systemd", false, "units of systemd and the state of the whole", newSystemd},
	{"tapestats", true, "reads, writes and times of tape drives", newTapestats},
	{"tcpstat", false, "TCP sockets by state", newTCPStat},
	{"textfile", true, "metrics that others leave in *.prom files", newTextfile},
	{"thermal_zone", true, "temperatures, and what is done to lower them", newThermalZone},
	{"time", true, "the clock, the time zone and the clock source", newTime},
	{"timex", true, "how well the clock is kept", newTimex},
	{"udp_queues", true, "bytes that wait in the queues of UDP sockets", newUDPQueues},
	{"uname", true, "the kernel's version and the host's name", newUname},
	{"vmstat", true, "paging, swapping and kills for want of memory", newVmstat},
	{"watchdog", true, "watchdog timers", newWatchdog},
	{"wifi", false, "wireless interfaces and their stations", newWifi},
	{"xfrm", false, "errors of IPsec", newXfrm},
	{"xfs", true, "XFS file systems: inodes, extents, directories", newXFS},
	{"zfs", true, "OpenZFS: cache, pools and datasets", newZFS},
	{"zoneinfo", false, "memory zones and their watermarks", newZoneinfo},
}

// Info tells of a collector without making it.
type Info struct {
	Name  string
	On    bool   // whether it runs by default
	About string // what it tells, a phrase
}

// List tells of every collector, sorted by name.
func List() []Info {
	var infos []Info
	for _, r := range table {
		infos = append(infos, Info{r.name, r.on, r.about})
	}
	return infos
}

// UnknownError is a collector that does not exist.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	var names []string
	for _, r := range table {
		names = append(names, r.name)
	}
	return fmt.Sprintf("no collector is named %q; there are %s", e.Name, strings.Join(names, ", "))
}

// build makes the named collectors, in the order of the table.
func build(cfg Config, names []string) ([]*unit, error) {
	for _, n := range names {
		if !slices.ContainsFunc(table, func(r row) bool { return r.name == n }) {
			return nil, &UnknownError{n}
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.links = newLinks()
	var units []*unit
	log := cfg.Log
	for _, r := range table {
		if !slices.Contains(names, r.name) {
			continue
		}
		cfg.Log = log.With("collector", r.name)
		c, err := r.new(cfg)
		if err != nil {
			return nil, fmt.Errorf("collector %s: %w", r.name, err)
		}
		units = append(units, &unit{name: r.name, collector: c, turn: make(chan struct{}, 1)})
	}
	return units, nil
}
