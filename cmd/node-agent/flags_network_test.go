package main

// networkHostFlags switch on those collectors of the network that read the tree.
func networkHostFlags(dir string) []string {
	return []string{
		"--collector.interrupts", "--collector.lnstat", "--collector.softirqs", "--collector.xfrm",
		"--collector.qdisc", "--collector.qdisc.fixtures=" + dir + "/qdisc",
		"--collector.wifi", "--collector.wifi.fixtures=" + dir + "/wifi",
	}
}
