package main

import "fmt"

// networkFlags declares the flags of the collectors of the network.
func (f *flags) networkFlags() {
	c := &f.cfg
	f.text("collector.arp.device-include", "Pattern of the interfaces whose neighbours to count.", &c.ARP.DeviceInclude)
	f.text("collector.arp.device-exclude", "Pattern of the interfaces whose neighbours not to count.", &c.ARP.DeviceExclude)
	f.toggle("collector.arp.netlink", "Ask the kernel by netlink, rather than read /proc/net/arp.", &c.ARP.Netlink)
	f.text("collector.ethtool.device-include", "Pattern of the interfaces whose drivers to ask.", &c.Ethtool.DeviceInclude)
	f.text("collector.ethtool.device-exclude", "Pattern of the interfaces whose drivers not to ask.", &c.Ethtool.DeviceExclude)
	f.text("collector.ethtool.metrics-include", "Pattern of the drivers' statistics to show.", &c.Ethtool.MetricsInclude)
	f.text("collector.interrupts.name-include", "Pattern of the interrupts to show, as name;info;devices.", &c.Interrupts.NameInclude)
	f.text("collector.interrupts.name-exclude", "Pattern of the interrupts to leave out, as name;info;devices.", &c.Interrupts.NameExclude)
	f.toggle("collector.interrupts.include-zeros", "Tell also of interrupts that never happened.", &c.Interrupts.IncludeZeros)
	f.text("collector.ipvs.backend-labels", "Labels of the load balancer's backends, with commas. What they do not tell apart is added up.", &c.IPVS.BackendLabels)
	f.ntpFlags()
	f.choose("collector.qdisc.device-include", "collector.qdisc.device-exclude", "interfaces",
		&c.Qdisc.DeviceInclude, &c.Qdisc.DeviceExclude, []string{"collector.qdisk.device-include"}, []string{"collector.qdisk.device-exclude"})
	f.text("collector.qdisc.fixtures", "For tests: a folder whose results.json is read instead of asking the kernel.", &c.Qdisc.Fixtures)
	f.text("collector.wifi.fixtures", "For tests: a folder whose JSON files are read instead of asking the kernel.", &c.Wifi.Fixtures)
}

func (f *flags) ntpFlags() {
	n := &f.cfg.NTP
	number := func(name, help string, to *int) {
		f.app.Flag(name, help).Default(fmt.Sprint(*to)).IntVar(to)
	}
	f.text("collector.ntp.server", "Address of the time server.", &n.Server)
	number("collector.ntp.server-port", "UDP port of the time server.", &n.Port)
	number("collector.ntp.protocol-version", "Version of NTP, 2 to 4.", &n.ProtocolVersion)
	f.toggle("collector.ntp.server-is-local", "The time server is not a public one, though it is not on this host.", &n.ServerIsLocal)
	number("collector.ntp.ip-ttl", "How many routers the question may pass.", &n.TTL)
	f.app.Flag("collector.ntp.max-distance", "How far the reference clock may be for the server to be sane.").
		Default(n.MaxDistance.String()).DurationVar(&n.MaxDistance)
	f.app.Flag("collector.ntp.local-offset-tolerance", "How far this host's clock may be off for the server to be sane.").
		Default(n.OffsetTolerance.String()).DurationVar(&n.OffsetTolerance)
}
