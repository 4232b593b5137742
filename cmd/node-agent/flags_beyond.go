package main

// beyondFlags declares the flags of what node_exporter does not have.
func (f *flags) beyondFlags() {
	c := &f.cfg
	f.toggle("collector.filesystem.duplicates", "Show each mount of a file system that is mounted in several places, instead of one.", &c.Filesystem.Duplicates)
	f.toggle("collector.net.ignore-virtual", "Leave out of netdev and netclass the interfaces of containers and of the networks between them: veth, bridges, overlays ...", &c.Net.IgnoreVirtual)
	f.app.Flag("collector.netdev.netns", "Another network namespace to tell of: a name below /run/netns, a path such as /proc/1234/ns/net, or a pattern of such. Takes CAP_SYS_ADMIN. Repeatable.").
		PlaceHolder("NAME").StringsVar(&c.Netdev.Netns)
	f.toggle("collector.textfile.file-metrics", "Tell of each text file whether it could be used, how many of its series others have too, and its age.", &c.Textfile.FileMetrics)
}
