package main

import (
	"slices"
	"strings"
	"testing"
)

// systemHostFlags switch on the collectors of flags_system.go that can be
// answered by an unpacked tree.
func systemHostFlags() []string {
	return []string{
		"--collector.buddyinfo", "--collector.cgroups", "--collector.ksmd", "--collector.meminfo_numa", "--collector.processes",
		"--collector.slabinfo", "--collector.slabinfo.slabs-exclude=^ext4_", "--collector.swap", "--collector.zoneinfo",
		"--collector.sysctl", "--collector.sysctl.include=vm.swappiness", "--collector.sysctl.include=net.ipv4.tcp_rmem",
		"--collector.sysctl.include=net.ipv4.tcp_rmem:min,default,max", "--collector.sysctl.include-info=net.ipv4.tcp_available_congestion_control",
	}
}

func TestSystemFlags(t *testing.T) {
	t.Setenv("SUPERVISORD_URL", "unix:///run/supervisor.sock")
	f := newFlags()
	args := append(systemHostFlags(), "--collector.runit.servicedir=/service", "--collector.slabinfo.slabs-include=kmalloc",
		"--collector.systemd.unit-whitelist=ssh.*", "--collector.systemd.private", "--collector.systemd.enable-task-metrics")
	if _, err := f.app.Parse(args); err != nil {
		t.Fatal(err)
	}
	cfg, err := f.config(silent)
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Collectors
	if c.Supervisord.URL != "unix:///run/supervisor.sock" || c.Runit.ServiceDir != "/service" ||
		c.Slabinfo.Include != "kmalloc" || c.Slabinfo.Exclude != "^ext4_" {
		t.Errorf("%+v %+v %+v", c.Supervisord, c.Runit, c.Slabinfo)
	}
	if d := c.Systemd; d.UnitInclude != "ssh.*" || !d.Private || !d.Tasks || d.Restarts || d.StartTime {
		t.Errorf("%+v", d)
	}
	if strings.Join(c.Sysctl.Include, " ") != "vm.swappiness net.ipv4.tcp_rmem net.ipv4.tcp_rmem:min,default,max" || len(c.Sysctl.IncludeInfo) != 1 {
		t.Errorf("%+v", c.Sysctl)
	}
	if !slices.Contains(cfg.Enabled, "zoneinfo") || slices.Contains(cfg.Enabled, "systemd") {
		t.Errorf("enabled: %q", cfg.Enabled)
	}
}
