package main

// systemFlags declares the flags of the collectors that tell of the system as a
// whole: its services, its kernel's parameters and caches.
func (f *flags) systemFlags() {
	c := &f.cfg
	f.text("collector.runit.servicedir", "Folder of runit's services.", &c.Runit.ServiceDir)
	f.text("collector.slabinfo.slabs-include", "Pattern of the object caches to show.", &c.Slabinfo.Include)
	f.text("collector.slabinfo.slabs-exclude", "Pattern of the object caches to leave out.", &c.Slabinfo.Exclude)
	f.app.Flag("collector.supervisord.url", "Where supervisord listens: http, https or unix:///path/of/the/socket.").
		Envar("SUPERVISORD_URL").Default(c.Supervisord.URL).StringVar(&c.Supervisord.URL)
	f.app.Flag("collector.sysctl.include", "A kernel parameter that holds numbers, as NAME or NAME:KEY,KEY... Repeatable.").
		PlaceHolder("NAME[:KEYS]").StringsVar(&c.Sysctl.Include)
	f.app.Flag("collector.sysctl.include-info", "A kernel parameter to show as text. Repeatable.").
		PlaceHolder("NAME").StringsVar(&c.Sysctl.IncludeInfo)
	f.text("collector.systemd.unit-include", "Pattern of the units to show, for their whole name.", &c.Systemd.UnitInclude, "collector.systemd.unit-whitelist")
	f.text("collector.systemd.unit-exclude", "Pattern of the units to leave out, for their whole name.", &c.Systemd.UnitExclude, "collector.systemd.unit-blacklist")
	f.app.Flag("collector.systemd.private", "Ask systemd on its own socket, not on the bus; needs root.").Hidden().BoolVar(&c.Systemd.Private)
	f.toggle("collector.systemd.enable-task-metrics", "Tell how many tasks each service has and may have.", &c.Systemd.Tasks)
	f.toggle("collector.systemd.enable-restarts-metrics", "Tell how often each service was restarted.", &c.Systemd.Restarts)
	f.toggle("collector.systemd.enable-start-time-metrics", "Tell when each unit became active.", &c.Systemd.StartTime)
}
