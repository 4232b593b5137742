package collectors

// Paths to NVMe subsystems, from /sys/class/nvme-subsystem (kernel:
// drivers/nvme/host/core.c, Documentation/admin-guide/nvme-multipath.rst). A
// subsystem is what holds the namespaces; each controller below it is a path:
//
//	/sys/class/nvme-subsystem/nvme-subsys0/subsysnqn      nqn.2014-08.org.example:1
//	/sys/class/nvme-subsystem/nvme-subsys0/nvme1/state    live

import (
	"context"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	nvmesubsystemInfo          = expo.Gauge("node_nvmesubsystem_info", "What the subsystem is and how its paths are chosen; always 1.", "subsystem", "nqn", "model", "serial", "iopolicy")
	nvmesubsystemNamespaceInfo = expo.Gauge("node_nvmesubsystem_namespace_info", "A block device of the subsystem; always 1.", "subsystem", "device")
	nvmesubsystemPaths         = expo.Gauge("node_nvmesubsystem_paths", "Controllers, by which the subsystem is reached.", "subsystem")
	nvmesubsystemPathsLive     = expo.Gauge("node_nvmesubsystem_paths_live", "Controllers that work.", "subsystem")
	nvmesubsystemPathState     = expo.Gauge("node_nvmesubsystem_path_state", "The state of a controller: 1 for the one it is in, 0 for the others.", "subsystem", "controller", "transport", "state")
)

// nvmeStates are the states that a controller is told to be in.
var nvmeStates = [...]string{"connecting", "dead", "deleting", "live", "new", "resetting", "unknown"}

type nvmesubsystem struct{ class string }

func newNVMeSubsystem(c Config) (Collector, error) {
	return nvmesubsystem{c.FS.SysPath("class/nvme-subsystem")}, nil
}

// Collect implements Collector.
func (n nvmesubsystem) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(n.class)
	if err != nil {
		return absent(err)
	}
	var failed faults
	var all []nvmeSubsystem
	for _, name := range names {
		if !strings.HasPrefix(name, "nvme-subsys") {
			continue
		}
		s, err := readNVMeSubsystem(n.class+"/"+name, name)
		failed.add(err)
		if s != nil {
			all = append(all, *s)
		}
	}
	for _, s := range all {
		w.Sample(nvmesubsystemInfo, 1, s.name, s.nqn, s.model, s.serial, s.policy)
	}
	for _, s := range all {
		for _, device := range s.namespaces {
			w.Sample(nvmesubsystemNamespaceInfo, 1, s.name, device)
		}
	}
	for _, s := range all {
		w.Sample(nvmesubsystemPaths, float64(len(s.paths)), s.name)
	}
	for _, s := range all {
		live := 0
		for _, p := range s.paths {
			if p.state == "live" {
				live++
			}
		}
		w.Sample(nvmesubsystemPathsLive, float64(live), s.name)
	}
	for _, s := range all {
		for _, p := range s.paths {
			for _, state := range nvmeStates {
				v := 0.0
				if state == p.state {
					v = 1
				}
				w.Sample(nvmesubsystemPathState, v, s.name, p.controller, p.transport, state)
			}
		}
	}
	return failed.err()
}

type nvmeSubsystem struct {
	name, nqn, model, serial, policy string
	namespaces                       []string // "nvme0n1"
	paths                            []nvmePath
}

type nvmePath struct{ controller, transport, state string }

// readNVMeSubsystem returns nil for a subsystem that is gone. A controller that
// cannot be read is left out.
func readNVMeSubsystem(path, name string) (*nvmeSubsystem, error) {
	d := sysFolder{path: path}
	s := &nvmeSubsystem{name: name, nqn: d.text("subsysnqn"), model: d.text("model"), serial: d.text("serial"), policy: d.text("iopolicy")}
	files, err := hostfs.ReadDirNames(path)
	if err != nil || !d.there() {
		return nil, err
	}
	for _, f := range files {
		if _, ok := nvmeNamespaceID(f); ok {
			s.namespaces = append(s.namespaces, f)
		} else if numbered(f, "nvme") {
			c := sysFolder{path: path + "/" + f}
			p := nvmePath{controller: f, transport: c.text("transport"), state: nvmeState(c.text("state"))}
			if c.err != nil {
				d.err = c.err
			} else if c.there() {
				s.paths = append(s.paths, p)
			}
		}
	}
	return s, d.err
}

// nvmeState is a state as it is told: the kernel has two words for deleting.
func nvmeState(s string) string {
	if strings.HasPrefix(s, "deleting") {
		return "deleting"
	}
	for _, known := range nvmeStates {
		if s == known {
			return s
		}
	}
	return "unknown"
}
