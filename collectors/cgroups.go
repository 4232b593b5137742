package collectors

// Controllers of cgroup v1, from /proc/cgroups (kernel:
// Documentation/admin-guide/cgroup-v1/cgroups.rst, kernel/cgroup/cgroup-v1.c): the
// controller, its hierarchy (0 where it is cgroup v2's), how many groups that has,
// and whether the controller is enabled:
//
//	#subsys_name	hierarchy	num_cgroups	enabled
//	cpuset	5	47	1

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	cgroupsNumber  = expo.Gauge("node_cgroups_cgroups", "Control groups in the hierarchy that has the controller.", "subsys_name")
	cgroupsEnabled = expo.Gauge("node_cgroups_enabled", "Whether the controller is enabled.", "subsys_name")
)

type cgroups struct {
	file        *hostfs.File
	names       hostfs.Interner
	controllers []cgroupController // as last read
}

func newCgroups(c Config) (Collector, error) { return &cgroups{file: c.FS.ProcFile("cgroups")}, nil }

// Collect implements Collector.
func (c *cgroups) Collect(_ context.Context, w *expo.Writer) error {
	b, err := c.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := c.parse(b); err != nil {
		return fmt.Errorf("%s: %w", c.file.Path(), err)
	}
	for _, k := range c.controllers {
		w.Uint(cgroupsNumber, k.groups, k.name)
	}
	for _, k := range c.controllers {
		w.Uint(cgroupsEnabled, k.enabled, k.name)
	}
	return nil
}

// cgroupController is a line of /proc/cgroups.
type cgroupController struct {
	name            string
	groups, enabled uint64
}

func (c *cgroups) parse(b []byte) error {
	c.controllers = c.controllers[:0]
	for len(b) > 0 {
		var line []byte
		if line, b = hostfs.NextLine(b); len(line) == 0 || line[0] == '#' {
			continue
		}
		name, groups, enabled, err := parseCgroup(line)
		if err != nil {
			return fmt.Errorf("line %.100q: %w", line, err)
		}
		c.controllers = append(c.controllers, cgroupController{c.names.String(name), groups, enabled})
	}
	return nil
}

func parseCgroup(line []byte) (name []byte, groups, enabled uint64, err error) {
	name, rest := hostfs.NextField(line)
	_, rest = hostfs.NextField(rest)
	f, rest := hostfs.NextField(rest)
	if groups, err = hostfs.Uint(f); err != nil {
		return nil, 0, 0, err
	}
	f, _ = hostfs.NextField(rest)
	if enabled, err = hostfs.Uint(f); err != nil {
		return nil, 0, 0, err
	}
	return name, groups, enabled, nil
}
