package collectors

import (
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// logindHost is a logind with three sessions, whose properties may be changed.
func logindHost() (busAnswer, map[string]any) {
	const session, face = "/org/freedesktop/login1/session/", " org.freedesktop.login1.Session "
	values := map[string]any{
		session + "_31" + face + "Remote": false, session + "_31" + face + "Type": "wayland", session + "_31" + face + "Class": "user",
		session + "_32" + face + "Remote": true, session + "_32" + face + "Type": "tty", session + "_32" + face + "Class": "user",
		session + "c1" + face + "Remote": false, session + "c1" + face + "Type": "holographic", session + "c1" + face + "Class": "manager",
		// session _39 has ended
	}
	sessions := []logindSession{
		{"1", 1000, "ada", "seat0", session + "_31"},
		{"2", 1001, "bob", "", session + "_32"},
		{"c1", 120, "gdm", "seat0", session + "c1"},
		{"9", 1001, "bob", "", session + "_39"},
	}
	return func(path, member string, args []any) ([]any, string) {
		switch {
		case path == string(logindPath) && member == "ListSeats":
			return []any{[]logindSeat{{"seat0", "/org/freedesktop/login1/seat/seat0"}}}, ""
		case path == string(logindPath) && member == "ListSessions":
			return []any{sessions}, ""
		case member == "Get":
			return propertyOf(values, path, args)
		}
		return nil, "org.freedesktop.DBus.Error.UnknownMethod"
	}, values
}

// nonzero are the series of an exposition that are not 0.
func nonzero(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, " 0\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}

const logindWant = `node_logind_sessions{class="user",remote="true",seat="",type="tty"} 1
node_logind_sessions{class="other",remote="false",seat="seat0",type="other"} 1
node_logind_sessions{class="user",remote="false",seat="seat0",type="wayland"} 1
`

func TestLogind(t *testing.T) {
	answer, values := logindHost()
	host, _ := busHost(t, answer)
	c := make1(t, "logind", on(host)).(*logind)
	at := time.Unix(1e9, 0)
	c.now = func() time.Time { return at }
	text := render(t, c)
	same(t, nonzero(text), logindWant)
	if n := strings.Count(text, "\nnode_logind_sessions{"); n != len(logindRemote)*len(logindTypes)*len(logindClasses)*2 {
		t.Errorf("%d series", n)
	}

	// What a session is, is asked anew after a while.
	for key := range values {
		if strings.HasSuffix(key, "_32 org.freedesktop.login1.Session Type") {
			values[key] = "x11"
		}
	}
	same(t, nonzero(render(t, c)), logindWant)
	at = at.Add(logindKindAge)
	same(t, nonzero(render(t, c)), strings.Replace(logindWant, `seat="",type="tty"`, `seat="",type="x11"`, 1))
}

// The same by way of a real bus daemon.
func TestLogindDaemon(t *testing.T) {
	answer, _ := logindHost()
	host := tree(t, nil)
	onRealBus(t, host, logindService, answer)
	same(t, nonzero(render(t, make1(t, "logind", on(host)))), logindWant)
}

// Answers of the wrong kind are errors, not crashes.
func TestLogindBad(t *testing.T) {
	for name, answer := range map[string]busAnswer{
		"seats":   func(string, string, []any) ([]any, string) { return []any{"none"}, "" },
		"nothing": func(string, string, []any) ([]any, string) { return nil, "" },
		"sessions": func(_, member string, _ []any) ([]any, string) {
			if member == "ListSeats" {
				return []any{[]logindSeat{}}, ""
			}
			return []any{[]dbus.ObjectPath{"/a"}}, ""
		},
	} {
		host, _ := busHost(t, answer)
		if out, err := renderErr(make1(t, "logind", on(host))); err == nil || out != "" {
			t.Errorf("%s: error %v, said %q", name, err, out)
		}
	}
}
