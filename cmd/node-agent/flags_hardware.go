package main

// hardwareFlags declares the flags of the collectors of hardware.
func (f *flags) hardwareFlags() {
	c := &f.cfg
	f.choose("collector.hwmon.chip-include", "collector.hwmon.chip-exclude", "sensor chips",
		&c.Hwmon.ChipInclude, &c.Hwmon.ChipExclude, nil, nil)
	f.choose("collector.hwmon.sensor-include", "collector.hwmon.sensor-exclude", "sensors, as CHIP;SENSOR,",
		&c.Hwmon.SensorInclude, &c.Hwmon.SensorExclude, nil, nil)
	f.choose("collector.infiniband.device-include", "collector.infiniband.device-exclude", "InfiniBand adapters",
		&c.Infiniband.DeviceInclude, &c.Infiniband.DeviceExclude, nil, nil)
	f.text("collector.pcidevice.idsfile", "The database of PCI names (pci.ids); empty is where distributions have it.", &c.PCIDevice.IDsFile)
	f.toggle("collector.pcidevice.names", "Put the names of vendor, device and class on node_pcidevice_info.", &c.PCIDevice.Names)
	f.text("collector.perf.cpus", "The CPUs to count on, as 0,2-4 or 1-10:5 for every fifth; empty is all.", &c.Perf.CPUs)
	f.texts("collector.perf.tracepoint", "A tracepoint to count, as subsystem:event. Repeatable.", &c.Perf.Tracepoints)
	f.toggle("collector.perf.disable-hardware-profilers", "Open no counters of the hardware.", &c.Perf.NoHardware)
	f.texts("collector.perf.hardware-profilers", "A counter of the hardware to open, instead of all. Repeatable.", &c.Perf.Hardware)
	f.toggle("collector.perf.disable-software-profilers", "Open no counters of the kernel.", &c.Perf.NoSoftware)
	f.texts("collector.perf.software-profilers", "A counter of the kernel to open, instead of all. Repeatable.", &c.Perf.Software)
	f.toggle("collector.perf.disable-cache-profilers", "Open no counters of the caches.", &c.Perf.NoCache)
	f.texts("collector.perf.cache-profilers", "A counter of the caches to open, instead of all. Repeatable.", &c.Perf.Cache)
	f.text("collector.powersupply.ignored-supplies", "Pattern of the power supplies to leave out.", &c.PowerSupply.IgnoredSupplies)
	f.toggle("collector.rapl.enable-zone-label", "Tell all energy in one family, with the zone in a label.", &c.Rapl.ZoneLabel)
}

// texts declares a flag that can be given several times.
func (f *flags) texts(name, help string, to *[]string) {
	f.app.Flag(name, help).StringsVar(to)
}
