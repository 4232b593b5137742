package cadvisor

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	cgroupinfo "github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/google/cadvisor/lib/model"
	"github.com/opencontainers/cgroups"
)

// cgroup is one that is read: a container's, a pod's, a service's.
type cgroup struct {
	name      string
	id        string     // of the container that it may be of
	container *container // nil: none that is known
	askAt     uint64     // the round in which the runtimes are asked again
	tries     int

	paths   map[string]string // by controller
	first   string            // of these
	inode   uint64
	manager cgroups.Manager

	guard // of reading

	// Of the one who reads.
	reader  *libcontainer.Handler
	readFor *container
	pid     int

	view atomic.Pointer[view] // what was read last
}

// view is what was read of a cgroup. It is never changed.
type view struct {
	spec    model.ContainerSpec
	stats   *model.ContainerStats
	ms      int64 // when, in milliseconds since the epoch
	started int64 // in seconds since the epoch
	created int64
}

// baseLabels are those of each series of a container, in the order of values.
var baseLabels = [...]string{"container", "id", "image", "name", "namespace", "pod"}

const labelID = 1 // where the id is among them

// shown is a view with its labels. It is never changed.
type shown struct {
	*view
	base    [len(baseLabels)]string
	runtime string
}

// show puts labels on a view. A cgroup that has containers of a pod in it is the pod's.
func show(g *cgroup, v *view, pod *container) shown {
	s := shown{view: v}
	switch c := g.container; {
	case c != nil:
		s.runtime = c.runtime
		s.base = [...]string{c.container, g.name, c.image, c.name, c.namespace, c.pod}
	case pod != nil:
		s.base = [...]string{"", g.name, "", "", pod.namespace, pod.pod}
	default:
		s.base = [...]string{"", g.name, "", "", "", ""}
	}
	return s
}

func (h *Host) newCgroup(name string) (*cgroup, error) {
	g := &cgroup{name: name, id: h.containerID(name), paths: common.MakeCgroupPaths(h.mounts, name)}
	if name == "/" {
		delete(g.paths, "pids") // the root has no limit of them
	}
	for _, controller := range sortedKeys(g.paths) {
		if g.first = g.paths[controller]; exists(g.first) {
			break
		}
	}
	g.inode = g.now()
	var err error
	g.manager, err = libcontainer.NewCgroupManager(name, g.paths)
	return g, err
}

// now is the number of the cgroup's folder, by which it is told from a later one of
// the same name; 0 is none.
func (g *cgroup) now() uint64 {
	info, err := os.Stat(g.first)
	if err != nil {
		return 0
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// identify asks the runtimes whose container this is. A cgroup may be there before its
// container is: one that nobody knows is asked for again, less and less often.
func (h *Host) identify(ctx context.Context, g *cgroup) {
	c, err := h.lookup(ctx, g.name, g.id)
	switch {
	case err == nil:
		g.container = c
		return
	case errors.Is(err, errResting):
		g.askAt = h.rounds + 1
		return
	case !errors.Is(err, errUnknown):
		h.fault("a container's name", err)
	}
	g.tries++
	g.askAt = h.rounds + uint64(min(1<<min(g.tries-1, 6), maxAskPause))
}

// maxAskPause is the longest pause between questions for a container that no runtime
// knows, in rounds.
const maxAskPause = 30

// read reads a cgroup.
func (h *Host) read(ctx context.Context, g *cgroup, m *machine) error {
	if c := g.container; c != nil && c.refresh != nil {
		limited, cancel := context.WithTimeout(ctx, lookupTimeout)
		c.refresh(limited)
		cancel()
	}
	pid := h.process(g)
	if g.reader == nil || pid != g.pid || g.readFor != g.container {
		g.pid, g.readFor = pid, g.container
		g.reader = libcontainer.NewHandler(g.manager, h.rootfs, pid, g.metrics(h.set))
	}
	stats, err := g.reader.GetStats()
	if stats == nil {
		if g.exists() {
			return err
		}
		return nil // it went while it was read
	}
	spec, specErr := common.GetSpec(g.paths, m, false, g.name == "/")
	if specErr != nil {
		err = errors.Join(err, specErr)
	}
	if g.name == "/" && !m.unknown {
		spec.Memory.Limit, spec.Memory.SwapLimit, spec.HasMemory = m.info.MemoryCapacity, m.info.SwapCapacity, true
		if h.set.Has(cgroupinfo.DiskUsageMetrics) || h.set.Has(cgroupinfo.DiskIOMetrics) {
			err = errors.Join(err, m.filesystems(stats, h.set))
		}
	}
	if spec.HasMemory && spec.Memory.Limit == 0 {
		spec.Memory.Limit = m.info.MemoryCapacity
	}
	if stats.DiskIo != nil {
		m.nameDisks(stats.DiskIo)
	}
	if h.set.Has(cgroupinfo.OOMMetrics) {
		stats.OOMEvents = h.oomKills(g)
	}
	v := &view{spec: spec, stats: stats, ms: stats.Timestamp.UnixMilli()}
	v.created = spec.CreationTime.Unix()
	v.started = v.created // of the cgroup: a container's begins with its start
	if c := g.container; c != nil {
		if !c.created.IsZero() {
			v.created = c.created.Unix()
		}
		stats.Health.Status = c.healthStatus()
	}
	g.view.Store(v)
	return err
}

// metrics are the sets to read: only what has interfaces of its own is asked for them.
func (g *cgroup) metrics(set cgroupinfo.MetricSet) cgroupinfo.MetricSet {
	return common.RemoveNetMetrics(set, g.name != "/" && (g.container == nil || !g.container.network))
}

func (g *cgroup) exists() bool { return common.CgroupExists(g.paths) }

// process is one of a container, by which its network and limits are known; 0 is none.
// It is the same as long as it is in the cgroup, then the one with the lowest number,
// which is usually the first that was started.
func (h *Host) process(g *cgroup) int {
	if g.name == "/" {
		return 1
	}
	if g.container == nil {
		return 0
	}
	dir, _ := common.GetControllerPath(g.paths, "cpu", h.unified)
	pids, err := cgroups.GetPids(dir)
	if err == nil && len(pids) == 0 { // a container with cgroups of its own, as systemd makes them
		pids, err = cgroups.GetAllPids(dir)
	}
	if err != nil || len(pids) == 0 {
		return 0
	}
	if slices.Contains(pids, g.pid) {
		return g.pid
	}
	return slices.Min(pids)
}

// oomKills is how many processes the kernel has killed as the cgroup had no memory
// left: a line "oom_kill 3" of memory.oom_control (version 1, since Linux 4.13) or
// memory.events (version 2).
func (h *Host) oomKills(g *cgroup) uint64 {
	file := "memory.oom_control"
	if h.unified {
		file = "memory.events"
	}
	dir, ok := common.GetControllerPath(g.paths, "memory", h.unified)
	if !ok {
		return 0
	}
	text, err := os.ReadFile(path.Join(dir, file))
	if err != nil {
		return 0 // the root of version 2 has none
	}
	return oomKill(string(text))
}

func oomKill(text string) uint64 {
	for line := range strings.Lines(text) {
		if count, found := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); found {
			n, err := strconv.ParseUint(count, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
