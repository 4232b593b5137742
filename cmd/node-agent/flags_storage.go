package main

// storageFlags declares the flags of the collectors of file systems and block devices.
func (f *flags) storageFlags() {
	c := &f.cfg
	f.toggle("collector.bcache.priorityStats", "Read priority_stats too, which is costly.", &c.Bcache.PriorityStats)
	f.text("collector.tapestats.ignored-devices", "Pattern of the tape drives to leave out.", &c.Tapestats.IgnoredDevices)
}
