package collectors

// The system's message bus (D-Bus: https://dbus.freedesktop.org/doc/dbus-specification.html),
// by which systemd and logind are asked. Nothing is listened for: only answers come.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"watchpost/internal/hostfs"
)

// bus is a connection to the bus, or to systemd alone, that is kept between
// scrapes and made anew when it breaks. It is not safe for concurrent use.
type bus struct {
	sockets []busSocket // to be tried in turn
	conn    *dbus.Conn
	socket  net.Conn // below conn
}

// busSocket is where a bus listens.
type busSocket struct {
	path string
	peer bool // systemd itself: no bus, so there is nobody to say hello to
}

// systemBus is the host's bus: at the usual place below its root file system, and,
// for a live host, where it is seen from here.
func systemBus(host hostfs.FS) *bus {
	const usual = "run/dbus/system_bus_socket"
	b := &bus{}
	if host.Live() {
		for address := range strings.SplitSeq(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), ";") {
			if path, ok := strings.CutPrefix(address, "unix:path="); ok {
				path, _, _ = strings.Cut(path, ",")
				b.sockets = append(b.sockets, busSocket{path: path})
			}
		}
	}
	b.sockets = append(b.sockets, busSocket{path: host.RootPath(usual)})
	if host.Live() {
		b.sockets = append(b.sockets, busSocket{path: "/" + usual})
	}
	return b
}

// ask calls f with the connection. When ctx ends, the connection is closed, so that
// whatever f waits for comes back; the next call makes another one.
func (b *bus) ask(ctx context.Context, f func(*dbus.Conn) error) error {
	if b.conn != nil && !b.conn.Connected() {
		b.close()
	}
	if b.conn == nil {
		if err := b.open(ctx); err != nil {
			return err
		}
	}
	socket := b.socket
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	err := f(b.conn)
	if !stop() || err != nil {
		b.close() // cheap to make again, and then surely sound
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("bus: no answer in time: %w", ctx.Err())
	}
	return err
}

func (b *bus) close() {
	if b.conn != nil {
		b.conn.Close()
		b.conn, b.socket = nil, nil
	}
}

// open connects to the first socket where something listens.
func (b *bus) open(ctx context.Context) error {
	var absent, failed error
	for _, s := range b.sockets {
		err := b.openSocket(ctx, s)
		switch {
		case err == nil:
			return nil
		case hostfs.Gone(err) || errors.Is(err, unix.ECONNREFUSED):
			absent = err
		default:
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return failed
	}
	return fmt.Errorf("%w: %w", ErrNoData, absent)
}

func (b *bus) openSocket(ctx context.Context, s busSocket) error {
	socket, err := new(net.Dialer).DialContext(ctx, "unix", s.path)
	if err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	conn, err := dbus.NewConn(struct {
		io.Reader
		io.WriteCloser
	}{bufio.NewReaderSize(socket, 1<<14), socket})
	if err != nil {
		socket.Close()
		return fmt.Errorf("bus %s: %w", s.path, err)
	}
	err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	if err == nil && !s.peer {
		err = conn.Hello()
	}
	if err != nil {
		conn.Close()
		return fmt.Errorf("bus %s: %w", s.path, err)
	}
	b.conn, b.socket = conn, socket
	return nil
}

// absentService turns the error of a service that is not on the bus into ErrNoData.
func absentService(err error) error {
	var e dbus.Error
	if errors.As(err, &e) && (e.Name == "org.freedesktop.DBus.Error.NameHasNoOwner" || e.Name == "org.freedesktop.DBus.Error.ServiceUnknown") {
		return fmt.Errorf("%w: %w", ErrNoData, err)
	}
	return err
}

// property is a question about an object, and its answer.
type property struct {
	path       dbus.ObjectPath
	face, name string // interface and name
	value      dbus.Variant
	err        error // such as of an older service, which does not know it
}

// maxAsked bounds the questions that wait for their answers at the same time.
const maxAsked = 32

// getProperties asks for all of them without waiting for one to be answered
// before the next one is asked: that is as quick as a question in bulk, which D-Bus
// has for all properties of one object only. The error is one of the connection.
func getProperties(ctx context.Context, conn *dbus.Conn, service string, all []property) error {
	calls := make([]*dbus.Call, len(all))
	for i := range len(all) + maxAsked {
		if done := i - maxAsked; 0 <= done && done < len(all) {
			<-calls[done].Done
			p := &all[done]
			if p.err = calls[done].Store(&p.value); p.err != nil && !errors.As(p.err, new(dbus.Error)) {
				return p.err
			}
			calls[done] = nil
		}
		if i < len(all) {
			p := &all[i]
			calls[i] = conn.Object(service, p.path).
				GoWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, nil, p.face, p.name)
		}
	}
	return nil
}

// text is the answer, where it is a text.
func (p *property) text() (string, bool) {
	s, ok := p.value.Value().(string)
	return s, ok && p.err == nil
}

// number is the answer, where it is a whole number.
func (p *property) number() (uint64, bool) {
	if p.err != nil {
		return 0, false
	}
	switch n := p.value.Value().(type) {
	case uint32:
		return uint64(n), true
	case uint64:
		return n, true
	}
	return 0, false
}
