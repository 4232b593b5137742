package collectors

// Sessions of users, from logind on the bus (org.freedesktop.login1(5)): lists of
// the seats and sessions, then the kind of each session.

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"

	"watchpost/internal/expo"
)

var logindSessions = expo.Gauge("node_logind_sessions", "Sessions of this kind.", "class", "remote", "seat", "type")

// The kinds that are told, each of them for each seat; what logind may add to
// types and classes is counted as other.
var (
	logindRemote  = [...]string{"true", "false"}
	logindTypes   = [...]string{"other", "unspecified", "tty", "x11", "wayland", "mir", "web"}
	logindClasses = [...]string{"other", "user", "greeter", "lock-screen", "background"}
)

const (
	logindService = "org.freedesktop.login1"
	logindPath    = dbus.ObjectPath("/org/freedesktop/login1")
)

// logindKindAge is how long the kind of a session is taken for true: a display
// manager may change it.
const logindKindAge = time.Minute

type logind struct {
	bus   *bus
	now   func() time.Time
	kinds map[logindSession]logindKnown
}

// logindSession is a session in the answer to ListSessions: a(susso). Its fields
// are exported for the decoder.
type logindSession struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// logindSeat is a seat in the answer to ListSeats: a(so).
type logindSeat struct {
	ID   string
	Path dbus.ObjectPath
}

// logindKind is what is told of a session.
type logindKind struct{ class, remote, seat, kind string }

type logindKnown struct {
	kind logindKind
	at   time.Time
}

func newLogind(c Config) (Collector, error) {
	return &logind{bus: systemBus(c.FS), now: time.Now}, nil
}

// Collect implements Collector.
func (l *logind) Collect(ctx context.Context, w *expo.Writer) error {
	return l.bus.ask(ctx, func(conn *dbus.Conn) error {
		seats, counts, err := l.count(ctx, conn)
		if err != nil {
			return fmt.Errorf("logind: %w", absentService(err))
		}
		for _, remote := range logindRemote {
			for _, kind := range logindTypes {
				for _, class := range logindClasses {
					for _, seat := range seats {
						w.Sample(logindSessions, float64(counts[logindKind{class, remote, seat, kind}]), class, remote, seat, kind)
					}
				}
			}
		}
		return nil
	})
}

// count counts the sessions by kind. A session that ends meanwhile is not counted.
func (l *logind) count(ctx context.Context, conn *dbus.Conn) (seats []string, counts map[logindKind]int, err error) {
	const manager, session = logindService + ".Manager.", logindService + ".Session"
	o := conn.Object(logindService, logindPath)
	var listed []logindSeat
	if err := o.CallWithContext(ctx, manager+"ListSeats", dbus.FlagNoAutoStart).Store(&listed); err != nil {
		return nil, nil, err
	}
	for _, s := range listed {
		seats = append(seats, s.ID)
	}
	seats = append(seats, "") // of remote sessions
	var sessions []logindSession
	if err := o.CallWithContext(ctx, manager+"ListSessions", dbus.FlagNoAutoStart).Store(&sessions); err != nil {
		return nil, nil, err
	}

	now := l.now()
	kinds := make(map[logindSession]logindKnown, len(sessions))
	var asked []property
	var unknown []logindSession
	for _, s := range sessions {
		if known, ok := l.kinds[s]; ok && now.Sub(known.at) < logindKindAge && now.Sub(known.at) >= 0 {
			kinds[s] = known
			continue
		}
		unknown = append(unknown, s)
		for _, name := range [...]string{"Remote", "Type", "Class"} {
			asked = append(asked, property{path: s.Path, face: session, name: name})
		}
	}
	if err := getProperties(ctx, conn, logindService, asked); err != nil {
		return nil, nil, err
	}
	for i, s := range unknown {
		remote, isBool := asked[3*i].value.Value().(bool)
		kind, hasKind := asked[3*i+1].text()
		class, hasClass := asked[3*i+2].text()
		if isBool && hasKind && hasClass {
			kinds[s] = logindKnown{logindKind{
				knownOrOther(class, logindClasses[:]), strconv.FormatBool(remote), s.Seat, knownOrOther(kind, logindTypes[:]),
			}, now}
		}
	}
	l.kinds = kinds
	counts = make(map[logindKind]int)
	for _, k := range kinds {
		counts[k.kind]++
	}
	return seats, counts, nil
}

// knownOrOther is s where it is known, else "other".
func knownOrOther(s string, known []string) string {
	if slices.Contains(known, s) {
		return s
	}
	return "other"
}
