package collectors

import (
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// systemdHost is a systemd with units of each kind.
type systemdHost struct {
	values map[string]any
	units  []systemdUnit
	asked  atomic.Int64 // for properties
}

func newSystemdHost() *systemdHost {
	const unit, face = "/org/freedesktop/systemd1/unit/", " org.freedesktop.systemd1."
	const manager = string(systemdPath) + face + "Manager "
	h := &systemdHost{values: map[string]any{
		manager + "Version":        "252.30-1~deb12u2",
		manager + "Virtualization": "kvm",
		manager + "SystemState":    "degraded",

		unit + "ssh_2eservice" + face + "Service Type":              "notify",
		unit + "ssh_2eservice" + face + "Service NRestarts":         uint32(2),
		unit + "ssh_2eservice" + face + "Service TasksCurrent":      uint64(3),
		unit + "ssh_2eservice" + face + "Service TasksMax":          uint64(4915),
		unit + "ssh_2eservice" + face + "Unit ActiveEnterTimestamp": uint64(1700000000500000),

		unit + "mail_2eservice" + face + "Service Type":         "simple",
		unit + "mail_2eservice" + face + "Service NRestarts":    uint32(5),
		unit + "mail_2eservice" + face + "Service TasksCurrent": uint64(math.MaxUint64),
		unit + "mail_2eservice" + face + "Service TasksMax":     uint64(math.MaxUint64),

		unit + "trim_2etimer" + face + "Timer LastTriggerUSec":     uint64(1700000001000000),
		unit + "trim_2etimer" + face + "Unit ActiveEnterTimestamp": uint64(1600000000000000),

		unit + "bus_2esocket" + face + "Socket NAccepted":          uint32(9),
		unit + "bus_2esocket" + face + "Socket NConnections":       uint32(4),
		unit + "bus_2esocket" + face + "Socket NRefused":           uint32(1),
		unit + "bus_2esocket" + face + "Unit ActiveEnterTimestamp": uint64(1600000000000000),
		// gone.socket went away after the list was made
	}}
	add := func(name, load, active, path string) {
		h.units = append(h.units, systemdUnit{
			Name: name, LoadState: load, ActiveState: active, SubState: "any", Path: dbus.ObjectPath(unit + path), JobPath: "/",
		})
	}
	add("trim.timer", "loaded", "active", "trim_2etimer")
	add("ssh.service", "loaded", "active", "ssh_2eservice")
	add("mail.service", "loaded", "failed", "mail_2eservice")
	add("bus.socket", "loaded", "active", "bus_2esocket")
	add("gone.socket", "loaded", "inactive", "gone_2esocket")
	add("sda.device", "loaded", "active", "sda_2edevice")
	add("absent.service", "not-found", "inactive", "absent_2eservice")
	add("odd.target", "loaded", "maintenance", "odd_2etarget")
	return h
}

func (h *systemdHost) answer(path, member string, args []any) ([]any, string) {
	switch {
	case path == string(systemdPath) && member == "ListUnits":
		return []any{h.units}, ""
	case member == "Get":
		h.asked.Add(1)
		return propertyOf(h.values, path, args)
	}
	return nil, "org.freedesktop.DBus.Error.UnknownMethod"
}

const systemdHead = `# TYPE node_systemd_version gauge
node_systemd_version{version="252.30-1~deb12u2"} 252.3
# TYPE node_systemd_virtualization_info gauge
node_systemd_virtualization_info{virtualization_type="kvm"} 1
# TYPE node_systemd_system_running gauge
node_systemd_system_running 0
# TYPE node_systemd_units gauge
node_systemd_units{state="active"} 4
node_systemd_units{state="activating"} 0
node_systemd_units{state="deactivating"} 0
node_systemd_units{state="inactive"} 2
node_systemd_units{state="failed"} 1
node_systemd_units{state="maintenance"} 1
`

const systemdTail = `# TYPE node_systemd_timer_last_trigger_seconds gauge
node_systemd_timer_last_trigger_seconds{name="trim.timer"} 1700000001
# TYPE node_systemd_socket_accepted_connections_total counter
node_systemd_socket_accepted_connections_total{name="bus.socket"} 9
# TYPE node_systemd_socket_current_connections gauge
node_systemd_socket_current_connections{name="bus.socket"} 4
# TYPE node_systemd_socket_refused_connections_total counter
node_systemd_socket_refused_connections_total{name="bus.socket"} 1
`

// unitStates are the series of a unit.
func unitStates(name, active, kind string) string {
	var b strings.Builder
	for _, state := range systemdStates {
		b.WriteString(`node_systemd_unit_state{name="` + name + `",state="` + state + `",type="` + kind + `"} `)
		b.WriteString(map[bool]string{true: "1\n", false: "0\n"}[state == active])
	}
	return b.String()
}

var systemdStatesWant = "# TYPE node_systemd_unit_state gauge\n" +
	unitStates("bus.socket", "active", "") + unitStates("gone.socket", "inactive", "") + unitStates("mail.service", "failed", "simple") +
	unitStates("odd.target", "maintenance", "") + unitStates("ssh.service", "active", "notify") + unitStates("trim.timer", "active", "")

func TestSystemd(t *testing.T) {
	h := newSystemdHost()
	host, _ := busHost(t, h.answer)
	c := make1(t, "systemd", on(host)).(*systemd)
	at := time.Unix(1e9, 0)
	c.now = func() time.Time { return at }
	same(t, render(t, c), systemdHead+systemdStatesWant+systemdTail)

	// The types are not asked again, but after a while.
	first := h.asked.Swap(0)
	same(t, render(t, c), systemdHead+systemdStatesWant+systemdTail)
	if second := h.asked.Swap(0); second != first-2 {
		t.Errorf("%d questions the first time, %d the second", first, second)
	}
	at = at.Add(systemdTypesAge)
	h.values["/org/freedesktop/systemd1/unit/mail_2eservice org.freedesktop.systemd1.Service Type"] = "oneshot"
	same(t, render(t, c), systemdHead+strings.ReplaceAll(systemdStatesWant, "simple", "oneshot")+systemdTail)
}

func TestSystemdOptions(t *testing.T) {
	host, _ := busHost(t, newSystemdHost().answer)
	cfg := on(host)
	cfg.Systemd = SystemdConfig{UnitInclude: `.*\.(service|socket)`, UnitExclude: "bus.*", Tasks: true, Restarts: true, StartTime: true}
	same(t, render(t, make1(t, "systemd", cfg)), systemdHead+"# TYPE node_systemd_unit_state gauge\n"+
		unitStates("gone.socket", "inactive", "")+unitStates("mail.service", "failed", "simple")+unitStates("ssh.service", "active", "notify")+
		`# TYPE node_systemd_service_restart_total counter
node_systemd_service_restart_total{name="mail.service"} 5
node_systemd_service_restart_total{name="ssh.service"} 2
# TYPE node_systemd_unit_start_time_seconds gauge
node_systemd_unit_start_time_seconds{name="gone.socket"} 0
node_systemd_unit_start_time_seconds{name="mail.service"} 0
node_systemd_unit_start_time_seconds{name="ssh.service"} 1.7000000005e+09
# TYPE node_systemd_unit_tasks_current gauge
node_systemd_unit_tasks_current{name="ssh.service"} 3
# TYPE node_systemd_unit_tasks_max gauge
node_systemd_unit_tasks_max{name="ssh.service"} 4915
`)
	for _, bad := range []SystemdConfig{{UnitInclude: "("}, {UnitExclude: "["}} {
		cfg.Systemd = bad
		if _, err := build(cfg, []string{"systemd"}); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// The same by way of a real bus daemon, and on systemd's own socket.
func TestSystemdDaemon(t *testing.T) {
	host := tree(t, nil)
	onRealBus(t, host, systemdService, newSystemdHost().answer)
	same(t, render(t, make1(t, "systemd", on(host))), systemdHead+systemdStatesWant+systemdTail)
}

func TestSystemdPrivate(t *testing.T) {
	host := tree(t, map[string]string{"run/systemd/": ""})
	listenBus(t, host.RootPath("run/systemd/private"), newSystemdHost().answer)
	cfg := on(host)
	cfg.Systemd.Private = true
	same(t, render(t, make1(t, "systemd", cfg)), systemdHead+systemdStatesWant+systemdTail)
}

// More units than are asked for at once, and a systemd so old that it knows little.
func TestSystemdMany(t *testing.T) {
	h := &systemdHost{values: map[string]any{}}
	for i := range 5 * maxAsked {
		path := dbus.ObjectPath("/u/" + strings.Repeat("a", i+1))
		h.units = append(h.units, systemdUnit{Name: string(path[3:]) + ".service", LoadState: "loaded", ActiveState: "active", Path: path, JobPath: "/"})
		h.values[string(path)+" org.freedesktop.systemd1.Service Type"] = "simple"
		if i%2 == 0 {
			h.values[string(path)+" org.freedesktop.systemd1.Service TasksCurrent"] = uint64(i)
		}
	}
	host, _ := busHost(t, h.answer)
	cfg := on(host)
	cfg.Systemd.Tasks = true
	v := values(t, render(t, make1(t, "systemd", cfg)))
	for i := range 5 * maxAsked {
		name := strings.Repeat("a", i+1) + ".service"
		if n, ok := v[`node_systemd_unit_tasks_current{name="`+name+`"}`]; ok != (i%2 == 0) || n != float64(i*(1-i%2)) {
			t.Errorf("unit %d: %v, %v", i, n, ok)
		}
		if v[`node_systemd_unit_state{name="`+name+`",state="active",type="simple"}`] != 1 {
			t.Errorf("unit %d is not there", i)
		}
	}
	if v[`node_systemd_version{version=""}`] != 0 || v[`node_systemd_virtualization_info{virtualization_type="unknown"}`] != 1 {
		t.Error("an old systemd's version and machine")
	}
}

func FuzzSystemdVersion(f *testing.F) {
	f.Add("252.30-1~deb12u2")
	f.Add("v9")
	f.Fuzz(func(t *testing.T, version string) {
		if n := parseSystemdVersion(version); !(n >= 0) {
			t.Errorf("%q: %v", version, n)
		}
	})
}
