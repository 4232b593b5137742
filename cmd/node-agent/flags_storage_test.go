package main

// storageHostFlags switch on what the collectors of storage have beyond their defaults.
func storageHostFlags() []string {
	return []string{"--collector.bcache.priorityStats", "--collector.drbd", "--collector.mountstats", "--collector.nvmesubsystem"}
}
