package collectors

// /proc/net/dev (kernel: net/core/net-procfs.c): two lines of headings, then one
// for each interface:
//
//	Inter-|   Receive                                                |  Transmit
//	 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
//	  eth0: 1296 17 1 2 3 4 5 6 1416 18 7 8 9 10 11 12

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"watchpost/internal/hostfs"
	"watchpost/internal/netlink"
)

// netdevColumns are the counters that the columns are, or the first of those that
// were added up in them.
var netdevColumns = [...]int{
	netlink.RxBytes, netlink.RxPackets, netlink.RxErrors, netlink.RxDropped,
	netlink.RxFIFOErrors, netlink.RxFrameErrors, netlink.RxCompressed, netlink.Multicast,
	netlink.TxBytes, netlink.TxPackets, netlink.TxErrors, netlink.TxDropped,
	netlink.TxFIFOErrors, netlink.Collisions, netlink.TxCarrierErrors, netlink.TxCompressed,
}

type netdevFileReader struct {
	host  hostfs.FS
	file  *hostfs.File
	names hostfs.Interner
	lines []netdevLine // as last read
}

// netdevLine is one line of the file.
type netdevLine struct {
	name  string
	stats netlink.Stats
}

func newNetdevFile(host hostfs.FS) *netdevFileReader {
	return &netdevFileReader{host: host, file: host.ProcFile("net/dev")}
}

// read reads the file. The result is valid until it is read again.
func (r *netdevFileReader) read() ([]netdevLine, error) {
	b, err := r.file.Read()
	if err != nil {
		return nil, absent(err)
	}
	_, b = hostfs.NextLine(b)
	_, b = hostfs.NextLine(b)
	r.lines = r.lines[:0]
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		var l netdevLine
		name, err := l.parse(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %.200q: %w", r.file.Path(), line, err)
		}
		l.name = r.names.String(name)
		r.lines = append(r.lines, l)
	}
	return r.lines, nil
}

// alias is an interface's alias, as sysfs has it.
func (r *netdevFileReader) alias(name string) string {
	alias, _ := r.host.ReadSys("class/net/" + name + "/ifalias") // vanished meanwhile: it has none
	return alias
}

// parse reads a line, but for the name, which it returns. Numbers that later
// kernels may add are left alone.
func (l *netdevLine) parse(line []byte) (name []byte, err error) {
	colon := bytes.LastIndexByte(line, ':') // old alias interfaces have one in their name
	name, more := hostfs.NextField(line[:max(colon, 0)])
	if len(name) == 0 || len(bytes.TrimSpace(more)) > 0 {
		return nil, errors.New("no name and colon at its beginning")
	}
	rest := line[colon+1:]
	for _, place := range netdevColumns {
		var field []byte
		field, rest = hostfs.NextField(rest)
		if l.stats[place], err = hostfs.Uint(field); err != nil {
			return nil, err
		}
	}
	return name, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
