package collectors

// The parts of Config. Patterns are RE2, as in node_exporter's flags of the same
// names; an empty pattern takes no part, and each constructor says what the zero
// value of the others means.

// CPUConfig is for the cpu collector.
type CPUConfig struct {
	NoGuest      bool   // leave out node_cpu_guest_seconds_total
	Info         bool   // node_cpu_info and what goes with it
	FlagsInclude string // CPU flags to show
	BugsInclude  string // CPU bugs to show
}

// DiskstatsConfig is for the diskstats collector.
type DiskstatsConfig struct {
	DeviceInclude, DeviceExclude string
}

// FilesystemConfig is for the filesystem collector.
type FilesystemConfig struct {
	MountPointsInclude, MountPointsExclude string
	FSTypesInclude, FSTypesExclude         string
	MountTimeoutSeconds                    float64 // a statfs that takes longer counts as stuck; 0 is 5
	StatWorkers                            int     // mounts asked at the same time; 0 is 4
}

// NetclassConfig is for the netclass collector.
type NetclassConfig struct {
	IgnoredDevices     string
	IgnoreInvalidSpeed bool // leave out speeds that the driver does not know (-1)
	Netlink            bool // accepted for node_exporter's sake
	WithStats          bool // with Netlink: traffic statistics as well
}

// NetdevConfig is for the netdev collector.
type NetdevConfig struct {
	DeviceInclude, DeviceExclude string
	AddressInfo                  bool // node_network_address_info
	Detailed                     bool // the kernel's own, finer names
	NoNetlink                    bool // read /proc/net/dev instead
	LabelIfalias                 bool // the interface's alias as a label
}

// NetstatConfig is for the netstat collector.
type NetstatConfig struct {
	Fields string // Protocol_Field names to show
}

// StatConfig is for the stat collector.
type StatConfig struct {
	Softirq bool // node_softirqs_total
}

// TextfileConfig is for the textfile collector.
type TextfileConfig struct {
	Directories []string // folders or glob patterns of folders
}

// VmstatConfig is for the vmstat collector.
type VmstatConfig struct {
	Fields string // fields to show
}
