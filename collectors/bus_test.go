package collectors

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// busAnswer is what a service answers to a call: values, or an error's name.
type busAnswer func(path, member string, args []any) ([]any, string)

// busHost is an empty host whose bus has the service that answers, in place of a
// bus daemon. The counter is of connections made.
func busHost(t *testing.T, answer busAnswer) (hostfs.FS, *atomic.Int64) {
	t.Helper()
	host := tree(t, map[string]string{"run/dbus/": ""})
	return host, listenBus(t, host.RootPath("run/dbus/system_bus_socket"), answer)
}

func listenBus(t *testing.T, path string, answer busAnswer) *atomic.Int64 {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	made := new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			made.Add(1)
			t.Cleanup(func() { c.Close() })
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if welcome(c, r) == nil {
					serveBus(c, r, answer)
				}
			}()
		}
	}()
	return made
}

// welcome is the server's side of the authentication.
func welcome(c net.Conn, r *bufio.Reader) error {
	if _, err := r.ReadByte(); err != nil {
		return err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		switch line = strings.TrimSpace(line); {
		case line == "AUTH":
			fmt.Fprint(c, "REJECTED EXTERNAL\r\n")
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			fmt.Fprint(c, "OK 0123456789abcdef0123456789abcdef\r\n")
		case line == "BEGIN":
			return nil
		default:
			fmt.Fprint(c, "ERROR\r\n")
		}
	}
}

// serveBus answers calls until the connection ends.
func serveBus(c net.Conn, r *bufio.Reader, answer busAnswer) {
	for {
		m, err := dbus.DecodeMessage(r)
		if err != nil {
			return
		}
		if m.Type != dbus.TypeMethodCall {
			continue
		}
		header := func(f dbus.HeaderField) string { return fmt.Sprint(m.Headers[f].Value()) }
		reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(m.Serial()),
		}}
		if sender, ok := m.Headers[dbus.FieldSender]; ok {
			reply.Headers[dbus.FieldDestination] = sender
		}
		if header(dbus.FieldMember) == "Hello" {
			reply.Body = []any{":1.7"}
		} else {
			var fault string
			if m.Flags&dbus.FlagNoAutoStart == 0 {
				fault = "test.MayStartIt"
			} else if reply.Body, fault = answer(header(dbus.FieldPath), header(dbus.FieldMember), m.Body); fault != "" {
				reply.Body = nil
			}
			if fault != "" {
				reply.Type = dbus.TypeError
				reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant(fault)
			}
		}
		if send(c, reply) != nil {
			return
		}
	}
}

// send sends a message with a serial number, which the library gives to those of
// its own connections only.
func send(c net.Conn, m *dbus.Message) error {
	if len(m.Body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(m.Body...))
	}
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b.Bytes()[8:], 7)
	_, err := c.Write(b.Bytes())
	return err
}

// onRealBus runs a bus daemon for the host, on which the service answers under
// its name.
func onRealBus(t *testing.T, host hostfs.FS, name string, answer busAnswer) {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("no dbus-daemon here")
	}
	socket := host.RootPath("run/dbus/system_bus_socket")
	config := filepath.Join(t.TempDir(), "bus.conf")
	write(t, filepath.Join(filepath.Dir(socket), "x"), "", false)
	write(t, config, `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=`+socket+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`, false)
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--nopidfile")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })

	var c net.Conn
	for range 500 {
		if c, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "\x00AUTH EXTERNAL %x\r\n", fmt.Sprint(os.Getuid()))
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "OK ") {
		t.Fatalf("%q, %v", line, err)
	}
	fmt.Fprint(c, "BEGIN\r\n")
	for _, call := range []*dbus.Message{busCall("Hello"), busCall("RequestName", name, uint32(0))} {
		if err := send(c, call); err != nil {
			t.Fatal(err)
		}
		for { // signals come between
			m, err := dbus.DecodeMessage(r)
			if err != nil || m.Type == dbus.TypeError {
				t.Fatal(m, err)
			}
			if m.Type == dbus.TypeMethodReply {
				break
			}
		}
	}
	go serveBus(c, r, answer)
}

func busCall(member string, args ...any) *dbus.Message {
	return &dbus.Message{Type: dbus.TypeMethodCall, Body: args, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/DBus")),
		dbus.FieldDestination: dbus.MakeVariant("org.freedesktop.DBus"),
		dbus.FieldInterface:   dbus.MakeVariant("org.freedesktop.DBus"),
		dbus.FieldMember:      dbus.MakeVariant(member),
	}}
}

// propertyOf is the answer to Properties.Get out of values by path, interface and name.
func propertyOf(values map[string]any, path string, args []any) ([]any, string) {
	v, ok := values[path+" "+fmt.Sprint(args[0])+" "+fmt.Sprint(args[1])]
	if !ok {
		return nil, "org.freedesktop.DBus.Error.UnknownProperty"
	}
	return []any{dbus.MakeVariant(v)}, ""
}

// One connection serves all scrapes, and one that breaks is replaced.
func TestBusKept(t *testing.T) {
	answer, _ := logindHost()
	host, made := busHost(t, answer)
	c := make1(t, "logind", on(host)).(*logind)
	for range 3 {
		render(t, c)
	}
	if made.Load() != 1 {
		t.Errorf("%d connections for three scrapes", made.Load())
	}
	c.bus.socket.Close()
	<-c.bus.conn.Context().Done()
	render(t, c)
	if made.Load() != 2 {
		t.Errorf("%d connections after one broke", made.Load())
	}
}

// A bus that does not answer costs no more than the scrape's time, nor does one
// that stops in the middle.
func TestBusStuck(t *testing.T) {
	answer, _ := logindHost()
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	for name, service := range map[string]busAnswer{
		"at once": func(string, string, []any) ([]any, string) { <-stuck; return nil, "test.Over" },
		"later": func(path, member string, args []any) ([]any, string) {
			if member == "Get" {
				<-stuck
			}
			return answer(path, member, args)
		},
	} {
		t.Run(name, func(t *testing.T) {
			host, _ := busHost(t, service)
			c := make1(t, "logind", on(host))
			for range 2 {
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				var w expo.Writer
				err := c.Collect(ctx, &w)
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) || len(w.Bytes()) > 0 {
					t.Errorf("error %v, said %q", err, w.Bytes())
				}
			}
		})
	}
	t.Run("not even welcome", func(t *testing.T) {
		host := tree(t, map[string]string{"run/dbus/": ""})
		l, err := net.Listen("unix", host.RootPath("run/dbus/system_bus_socket"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := make1(t, "systemd", on(host))
		before := runtime.NumGoroutine()
		for range 20 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			var w expo.Writer
			err := c.Collect(ctx, &w)
			<-ctx.Done() // the dialer may be told of the deadline just before ctx is
			if late := net.Error(nil); err == nil || errors.Is(err, ErrNoData) || !errors.Is(err, context.DeadlineExceeded) && !(errors.As(err, &late) && late.Timeout()) {
				t.Errorf("error %v", err)
			}
			cancel()
		}
		for range 500 { // those of closed connections end by themselves
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d goroutines became %d", before, runtime.NumGoroutine())
	})
}

// A bus without the service, and a socket that nobody listens on, are no data.
func TestBusAbsent(t *testing.T) {
	host, _ := busHost(t, func(string, string, []any) ([]any, string) { return nil, "org.freedesktop.DBus.Error.NameHasNoOwner" })
	for _, name := range []string{"logind", "systemd"} {
		if _, err := renderErr(make1(t, name, on(host))); !errors.Is(err, ErrNoData) {
			t.Errorf("%s without its service: %v", name, err)
		}
	}
	host, _ = busHost(t, func(string, string, []any) ([]any, string) { return nil, "org.freedesktop.DBus.Error.AccessDenied" })
	for _, name := range []string{"logind", "systemd"} {
		if _, err := renderErr(make1(t, name, on(host))); err == nil || errors.Is(err, ErrNoData) {
			t.Errorf("%s that refuses: %v", name, err)
		}
	}
	host = tree(t, map[string]string{"run/dbus/": ""})
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: host.RootPath("run/dbus/system_bus_socket")})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := renderErr(make1(t, "logind", on(host))); !errors.Is(err, ErrNoData) {
		t.Errorf("a socket left behind: %v", err)
	}
}
