package collectors

// Units of systemd, from its manager on the bus (org.freedesktop.systemd1(5)): one
// list of all units, then single properties of those that are shown, as
// `busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/ssh_2eservice
// org.freedesktop.systemd1.Service NRestarts` has them. Times are in microseconds.

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"watchpost/internal/expo"
)

var (
	systemdVersion  = expo.Gauge("node_systemd_version", "Version of systemd as a number, and as the text it is.", "version")
	systemdVirtual  = expo.Gauge("node_systemd_virtualization_info", "What systemd runs in: a kind of machine or container, none; always 1.", "virtualization_type")
	systemdUnits    = expo.Gauge("node_systemd_units", "Units in this state, the left out ones too.", "state")
	systemdState    = expo.Gauge("node_systemd_unit_state", "Whether the unit is in this state.", "name", "state", "type")
	systemdRestarts = expo.Counter("node_systemd_service_restart_total", "How often the service was restarted by systemd itself.", "name")
	systemdStart    = expo.Gauge("node_systemd_unit_start_time_seconds", "When the unit became active, in seconds since 1970; 0 while it is not.", "name")
	systemdTasks    = expo.Gauge("node_systemd_unit_tasks_current", "Tasks of the service.", "name")
	systemdMaxTasks = expo.Gauge("node_systemd_unit_tasks_max", "How many tasks the service may have.", "name")
	systemdTrigger  = expo.Gauge("node_systemd_timer_last_trigger_seconds", "When the timer went off last, in seconds since 1970; 0 if it has not.", "name")
	systemdAccepted = expo.Counter("node_systemd_socket_accepted_connections_total", "Connections that the socket accepted.", "name")
	systemdCurrent  = expo.Gauge("node_systemd_socket_current_connections", "Connections of the socket that are open.", "name")
	systemdRefused  = expo.Counter("node_systemd_socket_refused_connections_total", "Connections that the socket refused.", "name")
	systemdRunning  = expo.Gauge("node_systemd_system_running", "Whether the system is up with no unit failed: its state is running.")
)

// Defaults of SystemdConfig.
const (
	DefaultSystemdUnitInclude = `.+`
	DefaultSystemdUnitExclude = `.+\.(automount|device|mount|scope|slice)`
)

// SystemdConfig configures the systemd collector. The patterns are for whole
// names, and both apply.
type SystemdConfig struct {
	UnitInclude string
	UnitExclude string
	Private     bool // ask systemd on its own socket, not on the bus
	Tasks       bool // tell the tasks of services
	Restarts    bool // tell the restarts of services
	StartTime   bool // tell when units became active
}

const (
	systemdService = "org.freedesktop.systemd1"
	systemdPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
)

// systemdStates are the states that are always told.
var systemdStates = [...]string{"active", "activating", "deactivating", "inactive", "failed"}

// systemdTypesAge is how long the type of a service is taken for true; it changes
// with its configuration only.
const systemdTypesAge = 5 * time.Minute

type systemd struct {
	cfg     SystemdConfig
	filter  *Filter
	bus     *bus
	now     func() time.Time
	types   map[string]string // by unit, as of
	typesAt time.Time
}

func newSystemd(c Config) (Collector, error) {
	filter, err := NewFilter("^(?:"+c.Systemd.UnitInclude+")$", "^(?:"+c.Systemd.UnitExclude+")$")
	if err != nil {
		return nil, fmt.Errorf("collector.systemd.unit: %w", err)
	}
	private := busSocket{c.FS.RootPath("run/systemd/private"), true}
	b := systemBus(c.FS)
	switch {
	case c.Systemd.Private:
		b.sockets = []busSocket{private}
	case os.Geteuid() == 0:
		b.sockets = append(b.sockets, private) // a host without a bus
	}
	return &systemd{cfg: c.Systemd, filter: filter, bus: b, now: time.Now}, nil
}

// Collect implements Collector.
func (s *systemd) Collect(ctx context.Context, w *expo.Writer) error {
	return s.bus.ask(ctx, func(conn *dbus.Conn) error {
		manager, units, err := s.list(ctx, conn)
		if err != nil {
			return fmt.Errorf("systemd: %w", absentService(err))
		}
		manager.write(w)
		writeUnitStates(w, units)
		units = slices.DeleteFunc(units, func(u systemdUnit) bool { return u.LoadState != "loaded" || !s.filter.Keep(u.Name) })
		slices.SortFunc(units, func(a, b systemdUnit) int { return strings.Compare(a.Name, b.Name) })
		if err := s.findTypes(ctx, conn, units); err != nil {
			return fmt.Errorf("systemd: %w", err)
		}
		s.writeUnits(w, units)
		for _, q := range s.questions() {
			if err := q.write(ctx, conn, w, units); err != nil {
				return fmt.Errorf("systemd: %w", err)
			}
		}
		return nil
	})
}

// systemdManager is what systemd says of itself.
type systemdManager struct{ version, virtualization, state property }

// systemdUnit is a unit in the answer to ListUnits: a(ssssssouso). Its fields are
// exported for the decoder.
type systemdUnit struct {
	Name, Description, LoadState, ActiveState, SubState, Followed string
	Path                                                          dbus.ObjectPath
	JobID                                                         uint32
	JobType                                                       string
	JobPath                                                       dbus.ObjectPath
}

// list asks for all units, and for what there is about the whole.
func (s *systemd) list(ctx context.Context, conn *dbus.Conn) (m systemdManager, units []systemdUnit, err error) {
	const face = systemdService + ".Manager"
	err = conn.Object(systemdService, systemdPath).CallWithContext(ctx, face+".ListUnits", dbus.FlagNoAutoStart).Store(&units)
	if err != nil {
		return m, nil, err
	}
	all := []property{
		{path: systemdPath, face: face, name: "Version"},
		{path: systemdPath, face: face, name: "Virtualization"},
		{path: systemdPath, face: face, name: "SystemState"},
	}
	err = getProperties(ctx, conn, systemdService, all)
	return systemdManager{all[0], all[1], all[2]}, units, err
}

func (m systemdManager) write(w *expo.Writer) {
	version, _ := m.version.text()
	number := parseSystemdVersion(version)
	if number == 0 {
		version = ""
	}
	w.Sample(systemdVersion, number, version)
	virtualization, known := m.virtualization.text()
	switch {
	case !known:
		virtualization = "unknown"
	case virtualization == "":
		virtualization = "none"
	}
	w.Sample(systemdVirtual, 1, virtualization)
	if state, known := m.state.text(); known { // since version 212
		w.Sample(systemdRunning, oneIf(state == "running"))
	}
}

// systemdNumber is what of a version is a number: 252.30 of `252.30-1~deb12u2`.
var systemdNumber = regexp.MustCompile(`[0-9]{3,}(\.[0-9]+)?`)

// parseSystemdVersion is 0 where there is no number.
func parseSystemdVersion(version string) float64 {
	n, err := strconv.ParseFloat(systemdNumber.FindString(version), 64)
	if err != nil {
		return 0
	}
	return n
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// writeUnitStates counts all units by state.
func writeUnitStates(w *expo.Writer, units []systemdUnit) {
	counts := make(map[string]int)
	for _, u := range units {
		counts[u.ActiveState]++
	}
	for _, state := range systemdStates {
		w.Sample(systemdUnits, float64(counts[state]), state)
		delete(counts, state)
	}
	for _, state := range slices.Sorted(maps.Keys(counts)) { // of later versions
		w.Sample(systemdUnits, float64(counts[state]), state)
	}
}

// findTypes asks for the types of services and mounts that are not known.
func (s *systemd) findTypes(ctx context.Context, conn *dbus.Conn, units []systemdUnit) error {
	if age := s.now().Sub(s.typesAt); s.types == nil || age < 0 || age >= systemdTypesAge {
		s.types, s.typesAt = nil, s.now()
	}
	types := make(map[string]string, len(units))
	var unknown []property
	var names []string
	for _, u := range units {
		face := ""
		switch {
		case strings.HasSuffix(u.Name, ".service"):
			face = systemdService + ".Service"
		case strings.HasSuffix(u.Name, ".mount"):
			face = systemdService + ".Mount"
		default:
			continue
		}
		if t, known := s.types[u.Name]; known {
			types[u.Name] = t
			continue
		}
		unknown = append(unknown, property{path: u.Path, face: face, name: "Type"})
		names = append(names, u.Name)
	}
	if err := getProperties(ctx, conn, systemdService, unknown); err != nil {
		return err
	}
	for i := range unknown {
		if t, ok := unknown[i].text(); ok {
			types[names[i]] = t
		}
	}
	s.types = types
	return nil
}

func (s *systemd) writeUnits(w *expo.Writer, units []systemdUnit) {
	for _, u := range units {
		for _, state := range systemdStates {
			w.Sample(systemdState, oneIf(u.ActiveState == state), u.Name, state, s.types[u.Name])
		}
	}
}

// systemdQuestion is a family that is a property of units.
type systemdQuestion struct {
	family *expo.Family
	suffix string // of the units that have it
	face   string
	name   string
	unit   float64
	active bool // 0 while the unit is not active
}

// questions are those that the configuration asks.
func (s *systemd) questions() []systemdQuestion {
	const service, timer, socket = systemdService + ".Service", systemdService + ".Timer", systemdService + ".Socket"
	var all []systemdQuestion
	if s.cfg.Restarts {
		all = append(all, systemdQuestion{systemdRestarts, ".service", service, "NRestarts", 1, false}) // since version 235
	}
	if s.cfg.StartTime {
		all = append(all, systemdQuestion{systemdStart, "", systemdService + ".Unit", "ActiveEnterTimestamp", 1e6, true})
	}
	if s.cfg.Tasks {
		all = append(all,
			systemdQuestion{systemdTasks, ".service", service, "TasksCurrent", 1, false},
			systemdQuestion{systemdMaxTasks, ".service", service, "TasksMax", 1, false})
	}
	return append(all,
		systemdQuestion{systemdTrigger, ".timer", timer, "LastTriggerUSec", 1e6, false},
		systemdQuestion{systemdAccepted, ".socket", socket, "NAccepted", 1, false},
		systemdQuestion{systemdCurrent, ".socket", socket, "NConnections", 1, false},
		systemdQuestion{systemdRefused, ".socket", socket, "NRefused", 1, false}) // since version 239
}

// write asks the question of all units and writes the answers. A unit that is gone,
// or whose systemd does not know the property, has none.
func (q systemdQuestion) write(ctx context.Context, conn *dbus.Conn, w *expo.Writer, units []systemdUnit) error {
	var asked []property
	for _, u := range units {
		if strings.HasSuffix(u.Name, q.suffix) && (!q.active || u.ActiveState == "active") {
			asked = append(asked, property{path: u.Path, face: q.face, name: q.name})
		}
	}
	if err := getProperties(ctx, conn, systemdService, asked); err != nil {
		return err
	}
	for _, u := range units {
		if !strings.HasSuffix(u.Name, q.suffix) {
			continue
		}
		if q.active && u.ActiveState != "active" {
			w.Sample(q.family, 0, u.Name)
			continue
		}
		if n, ok := asked[0].number(); ok && n != math.MaxUint64 { // which is systemd's "none"
			w.Sample(q.family, float64(n)/q.unit, u.Name)
		}
		asked = asked[1:]
	}
	return nil
}
