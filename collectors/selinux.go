package collectors

// Whether SELinux confines processes, from its file system at /sys/fs/selinux
// (kernel: security/selinux/selinuxfs.c) and from what the next boot will do
// (selinux_config(5)):
//
//	/sys/fs/selinux/enforce:         1
//	/proc/self/attr/current:         system_u:system_r:init_t:s0
//	/etc/selinux/config:             SELINUX=enforcing

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	selinuxEnabled     = expo.Gauge("node_selinux_enabled", "Whether SELinux is on, with a policy loaded.")
	selinuxConfigMode  = expo.Gauge("node_selinux_config_mode", "What the configuration asks for at boot: 1 enforcing, 0 permissive, -1 disabled.")
	selinuxCurrentMode = expo.Gauge("node_selinux_current_mode", "What SELinux does now: 1 enforcing, 0 permissive.")
)

type selinux struct {
	host    hostfs.FS
	enforce *hostfs.File
}

func newSELinux(c Config) (Collector, error) {
	return &selinux{c.FS, c.FS.SysFile("fs/selinux/enforce")}, nil
}

// Collect implements Collector.
func (s *selinux) Collect(_ context.Context, w *expo.Writer) error {
	mode, ok, err := readNumber(s.enforce)
	if err != nil && !hostfs.Gone(err) {
		return err
	}
	if err != nil || !ok || !s.loaded() {
		w.Sample(selinuxEnabled, 0)
		return nil
	}
	config, err := hostfs.Read(s.host.RootPath("etc/selinux/config"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // as good as a file that says nothing
	}
	w.Sample(selinuxEnabled, 1)
	if err == nil {
		w.Sample(selinuxConfigMode, parseSELinuxConfig(config))
	}
	w.Sample(selinuxCurrentMode, mode)
	return err
}

// loaded tells whether there is a policy: until one is loaded, every process has
// the context "kernel".
func (s *selinux) loaded() bool {
	b, err := s.host.ReadProc("self/attr/current")
	return err != nil || strings.TrimRight(string(b), "\x00\n") != "kernel"
}

// parseSELinuxConfig is the mode that the configuration asks for. Nothing, or
// nothing that is known, is disabled.
func parseSELinuxConfig(b []byte) float64 {
	mode := -1.0
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.TrimSpace(key) != "SELINUX" {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "enforcing":
			mode = 1
		case "permissive":
			mode = 0
		default:
			mode = -1
		}
	}
	return mode
}
