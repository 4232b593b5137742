package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"watchpost/cmd/internal/cli"
	"watchpost/collectors"
	"watchpost/internal/consul"
	"watchpost/internal/nodeagent"
)

// flags is the command line. The names, defaults and meanings are node_exporter's;
// what it does not have is said in docs/compat.md.
type flags struct {
	app         *cli.App
	check       string // the name of that command
	checkConfig string // the same

	cfg          collectors.Config
	metricsPath  *string
	maxRequests  *int
	hideSelf     *bool
	ceiling      *time.Duration
	labels       *map[string]string
	disableAll   *bool
	switches     []*collectorSwitch
	replacements []replacement
	eithers      []either

	registration func(*slog.Logger) (*consul.Registration, error)
}

// collectorSwitch is --[no-]collector.NAME.
type collectorSwitch struct {
	name string
	on   bool
}

// replacement is a deprecated flag and the one that took its place.
type replacement struct {
	old, now        string
	oldValue, value *string
}

// either is a pair of flags of which the first replaces the second's default.
type either struct {
	include, exclude           string
	includeValue, excludeValue *string
}

func newFlags() *flags {
	app := cli.New("node-agent", "Tells how this host is, in the metrics of node_exporter.", ":9100")
	app.Command("serve", "Serve the metrics. This is what happens when no command is given.").Default()
	check := app.Command("check", "Tell in plain words what is right here and what is not, without serving anything.")
	f := &flags{
		app: app,
		check: check.Command("collectors", "Run each collector once and tell what can be read here and what to change. This is what check alone does.").
			Default().FullCommand(),
		checkConfig: app.UseConfigFile(check),
		cfg:         collectors.DefaultConfig(),
	}
	f.metricsPath = app.Flag("web.telemetry-path", "Path of the metrics.").Default("/metrics").String()
	f.maxRequests = app.Flag("web.max-requests", "Scrapes worked on at the same time; others wait. 0 is no limit.").Default(fmt.Sprint(nodeagent.DefaultMaxRequests)).Int()
	f.hideSelf = app.Flag("web.disable-exporter-metrics", "Leave out the metrics of the program itself (go_*, process_*, promhttp_*, watchpost_*).").Bool()
	app.FlagProcessors()
	f.ceiling = app.Flag("collector.timeout", "The longest that a scrape waits for its collectors; a scraper's own timeout shortens it.").Default(nodeagent.DefaultCeiling.String()).Duration()
	f.labels = app.Flag("external-label", "A label name=value to put on every series. Repeatable.").PlaceHolder("NAME=VALUE").StringMap()
	f.disableAll = app.Flag("collector.disable-defaults", "Run only the collectors that are asked for by name.").Bool()
	f.paths()
	f.collectorFlags()
	f.registration = f.consulFlags()
	for _, c := range collectors.List() {
		s := &collectorSwitch{name: c.Name}
		app.Flag("collector."+c.Name, "Collector "+c.Name+": "+c.About+".").Default(fmt.Sprint(c.On)).BoolVar(&s.on)
		f.switches = append(f.switches, s)
	}
	return f
}

func (f *flags) paths() {
	fs := &f.cfg.FS
	for _, p := range []struct {
		name, help string
		to         *string
	}{
		{"path.procfs", "Where procfs is mounted.", &fs.Proc},
		{"path.sysfs", "Where sysfs is mounted.", &fs.Sys},
		{"path.rootfs", "Where the host's root file system is mounted.", &fs.Root},
		{"path.udev.data", "Where udev keeps its database.", &fs.Udev},
	} {
		f.app.Flag(p.name, p.help).Default(*p.to).StringVar(p.to)
	}
}

// text declares a flag for a text, a regular expression for the most part, whose
// default is what stands there. Old names are hidden and deprecated.
func (f *flags) text(name, help string, to *string, old ...string) {
	f.app.Flag(name, help).Default(*to).StringVar(to)
	for _, o := range old {
		value := f.app.Flag(o, "Deprecated: use --"+name+".").Hidden().String()
		f.replacements = append(f.replacements, replacement{o, name, value, to})
	}
}

// choose declares a pair of flags for the things to keep and the things to leave
// out, of which one can be given. An include pattern puts the other's default away.
func (f *flags) choose(include, exclude, what string, keep, drop *string, oldKeep, oldDrop []string) {
	f.text(include, "Pattern of the "+what+" to show, instead of --"+exclude+".", keep, oldKeep...)
	f.text(exclude, "Pattern of the "+what+" to leave out, instead of --"+include+".", drop, oldDrop...)
	f.eithers = append(f.eithers, either{include, exclude, keep, drop})
}

// toggle declares --[no-]NAME.
func (f *flags) toggle(name, help string, to *bool) {
	f.app.Flag(name, help).Default(fmt.Sprint(*to)).BoolVar(to)
}

// config is what the flags say, checked as far as flags alone allow.
func (f *flags) config(log *slog.Logger) (nodeagent.Config, error) {
	for _, r := range f.replacements {
		if !f.app.Given(r.old) {
			continue
		}
		if f.app.Given(r.now) {
			return nodeagent.Config{}, fmt.Errorf("--%s and --%s cannot be used together; the first is the old name of the second", r.old, r.now)
		}
		log.Warn("Deprecated flag", "flag", "--"+r.old, "instead", "--"+r.now)
		*r.value = *r.oldValue
	}
	for _, e := range f.eithers {
		if *e.includeValue != "" && !f.app.Given(e.exclude) {
			*e.excludeValue = ""
		}
		if *e.includeValue != "" && *e.excludeValue != "" {
			return nodeagent.Config{}, fmt.Errorf("--%s and --%s cannot be used together", e.include, e.exclude)
		}
	}
	if !strings.HasPrefix(*f.metricsPath, "/") {
		return nodeagent.Config{}, fmt.Errorf("--web.telemetry-path %q must begin with /", *f.metricsPath)
	}
	if *f.maxRequests < 0 || *f.ceiling <= 0 {
		return nodeagent.Config{}, fmt.Errorf("--web.max-requests and --collector.timeout cannot be negative, nor the latter 0")
	}
	var enabled []string
	for _, s := range f.switches {
		if s.on && (!*f.disableAll || f.app.Given("collector."+s.name)) {
			enabled = append(enabled, s.name)
		}
	}
	f.cfg.CPU.Frequency = slices.Contains(enabled, "cpufreq")
	return nodeagent.Config{
		Collectors: f.cfg, Enabled: enabled, Labels: *f.labels,
		MaxRequests: *f.maxRequests, Ceiling: *f.ceiling, HideSelf: *f.hideSelf, Log: log,
	}, nil
}

// collectorFlags declares the flags of single collectors.
func (f *flags) collectorFlags() {
	c := &f.cfg
	f.toggle("collector.cpu.guest", "Tell the time of guests, which is part of user and nice too.", &c.CPU.Guest)
	f.toggle("collector.cpu.info", "Tell what /proc/cpuinfo says of each processor.", &c.CPU.Info)
	f.text("collector.cpu.info.flags-include", "Pattern of the processor flags to show; switches --collector.cpu.info on.", &c.CPU.FlagsInclude)
	f.text("collector.cpu.info.bugs-include", "Pattern of the processor bugs to show; switches --collector.cpu.info on.", &c.CPU.BugsInclude)
	f.choose("collector.diskstats.device-include", "collector.diskstats.device-exclude", "block devices",
		&c.Diskstats.DeviceInclude, &c.Diskstats.DeviceExclude, nil, []string{"collector.diskstats.ignored-devices"})
	f.choose("collector.filesystem.mount-points-include", "collector.filesystem.mount-points-exclude", "mount points",
		&c.Filesystem.MountPointsInclude, &c.Filesystem.MountPointsExclude, nil, []string{"collector.filesystem.ignored-mount-points"})
	f.choose("collector.filesystem.fs-types-include", "collector.filesystem.fs-types-exclude", "types of file systems",
		&c.Filesystem.TypesInclude, &c.Filesystem.TypesExclude, nil, []string{"collector.filesystem.ignored-fs-types"})
	f.app.Flag("collector.filesystem.mount-timeout", "How long a mount may take to answer before it counts as stuck.").
		Hidden().Default(c.Filesystem.MountTimeout.String()).DurationVar(&c.Filesystem.MountTimeout)
	f.app.Flag("collector.filesystem.stat-workers", "How many mounts that may be slow are asked at the same time.").
		Hidden().Default(fmt.Sprint(c.Filesystem.Workers)).IntVar(&c.Filesystem.Workers)
	f.text("collector.netclass.ignored-devices", "Pattern of the interfaces that netclass leaves out.", &c.Netclass.IgnoredDevices)
	f.toggle("collector.netclass.ignore-invalid-speed", "Tell no speed where the driver does not know it, instead of a negative one.", &c.Netclass.IgnoreInvalidSpeed)
	f.toggle("collector.netclass.netlink", "Tell what netlink says also where sysfs says something else.", &c.Netclass.Netlink)
	f.toggle("collector.netclass_rtnl.with-stats", "With --collector.netclass.netlink: tell the traffic too.", &c.Netclass.WithStats)
	f.choose("collector.netdev.device-include", "collector.netdev.device-exclude", "interfaces",
		&c.Netdev.DeviceInclude, &c.Netdev.DeviceExclude, []string{"collector.netdev.device-whitelist"}, []string{"collector.netdev.device-blacklist"})
	f.toggle("collector.netdev.address-info", "Tell the addresses of each interface.", &c.Netdev.AddressInfo)
	f.toggle("collector.netdev.enable-detailed-metrics", "Tell the kernel's counters one by one, under finer names.", &c.Netdev.Detailed)
	f.toggle("collector.netdev.netlink", "Ask the kernel by netlink, rather than read /proc/net/dev.", &c.Netdev.Netlink)
	f.toggle("collector.netdev.label-ifalias", "Put each interface's alias on its series.", &c.Netdev.LabelIfalias)
	f.text("collector.netstat.fields", "Pattern of the Protocol_Field names to show.", &c.Netstat.Fields)
	f.toggle("collector.stat.softirq", "Count soft interrupts by vector as well.", &c.Stat.Softirq)
	f.app.Flag("collector.textfile.directory", "Folder, or pattern of folders, whose .prom files are shown. Repeatable.").
		PlaceHolder("DIR").StringsVar(&c.Textfile.Directories)
	f.text("collector.vmstat.fields", "Pattern of the fields of /proc/vmstat to show.", &c.Vmstat.Fields)
	f.networkFlags()
	f.hardwareFlags()
	f.storageFlags()
	f.systemFlags()
	f.beyondFlags()
}
