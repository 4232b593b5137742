package collectors

// What uname(2) says of the kernel and the host. A captured host, which cannot be
// asked, tells the same in /proc/sys/kernel (kernel: kernel/utsname_sysctl.c;
// `arch` since Linux 6.1).

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var unameInfo = expo.Gauge("node_uname_info", "Names and versions of the kernel and the host; always 1.",
	"domainname", "machine", "nodename", "release", "sysname", "version")

type uname struct {
	host hostfs.FS
	live bool
	last unix.Utsname
	says utsname // last, as strings
}

func newUname(c Config) (Collector, error) { return &uname{host: c.FS, live: c.FS.Live()}, nil }

// Collect implements Collector.
func (u *uname) Collect(_ context.Context, w *expo.Writer) error {
	if err := u.read(); err != nil {
		return err
	}
	n := u.says
	w.Sample(unameInfo, 1, n.domainname, n.machine, n.nodename, n.release, n.sysname, n.version)
	return nil
}

func (u *uname) read() error {
	if !u.live {
		var err error
		u.says, err = readUtsname(u.host)
		return err
	}
	var now unix.Utsname
	if err := unix.Uname(&now); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	if now != u.last || u.says == (utsname{}) {
		u.last, u.says = now, utsname{
			domainname: cString(now.Domainname[:]), machine: cString(now.Machine[:]), nodename: cString(now.Nodename[:]),
			release: cString(now.Release[:]), sysname: cString(now.Sysname[:]), version: cString(now.Version[:]),
		}
	}
	return nil
}

type utsname struct{ domainname, machine, nodename, release, sysname, version string }

// cString is the text before the first NUL.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

func readUtsname(host hostfs.FS) (utsname, error) {
	var n utsname
	for _, f := range []struct {
		name string
		to   *string
	}{
		{"ostype", &n.sysname}, {"osrelease", &n.release}, {"version", &n.version},
		{"hostname", &n.nodename}, {"domainname", &n.domainname}, {"arch", &n.machine},
	} {
		s, err := hostfs.ReadTrimmed(host.ProcPath("sys/kernel/" + f.name))
		if err != nil && !(f.name == "arch" && hostfs.Gone(err)) {
			return utsname{}, absent(err)
		}
		*f.to = s
	}
	return n, nil
}
