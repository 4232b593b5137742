package collectors

// NFS mounts one by one, from /proc/self/mountstats (kernel: fs/nfs/super.c,
// nfs_show_stats; net/sunrpc/stats.c). A mount is a line and, where it is NFS,
// lines that begin with a tab:
//
//	device 192.0.2.1:/srv mounted on /mnt/srv with fstype nfs4 statvers=1.1
//		age:	13968
//		events:	52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 0 0 0 0 0 0 0
//		bytes:	1207640230 0 0 0 1210214218 0 295483 0
//		xprt:	tcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726
//		per-op statistics
//		        READ: 1298 1298 0 207680 1210292152 6 79386 79407
//
// The address of the server is an option of the mount in /proc/self/mountinfo. The
// counters are those of what is mounted: of an export that is mounted in several
// places they are told once.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	mountstatsInfo = expo.Gauge("node_mountstats_nfs_mountpoint_info", "Where an export is mounted; always 1.", "export", "protocol", "mountaddr", "mountpoint")
	mountstatsAge  = expo.Counter("node_mountstats_nfs_age_seconds_total", "Time since it was mounted.", "export", "protocol", "mountaddr")
)

type mountstats struct{ stats, info *hostfs.File }

func newMountstats(c Config) (Collector, error) {
	return mountstats{c.FS.ProcFile("self/mountstats"), c.FS.ProcFile("self/mountinfo")}, nil
}

// Collect implements Collector.
func (m mountstats) Collect(_ context.Context, w *expo.Writer) error {
	b, err := m.stats.Read()
	if err != nil {
		return absent(err)
	}
	mounts, bad := parseMountstats(b)
	if bad != nil {
		bad = fmt.Errorf("%s: %w", m.stats.Path(), bad)
	}
	if len(mounts) == 0 {
		return bad
	}
	info, err := m.info.Read()
	if err != nil {
		return errors.Join(bad, err)
	}
	writeMountstats(w, mounts, mountAddresses(info))
	return bad
}

func writeMountstats(w *expo.Writer, mounts []nfsMount, addresses map[string][]string) {
	places, exports := nfsExports(mounts, addresses)
	for _, labels := range places {
		w.Sample(mountstatsInfo, 1, labels...)
	}
	for _, e := range exports {
		w.Uint(mountstatsAge, e.age, e.labels...)
	}
	for _, n := range mountstatsBytes {
		for _, e := range exports {
			writeNFS(w, n, e.bytes, e.labels...)
		}
	}
	for _, n := range mountstatsEvents {
		for _, e := range exports {
			writeNFS(w, n, e.events, e.labels...)
		}
	}
	for _, n := range mountstatsTransports {
		for _, e := range exports {
			for i, t := range e.transports {
				writeNFS(w, n, t.v, append(e.labels, strconv.Itoa(i))...)
			}
		}
	}
	for _, n := range mountstatsOperations {
		for _, e := range exports {
			for _, o := range e.operations {
				writeNFS(w, n, o.v, append(e.labels, o.name)...)
			}
		}
	}
}

// writeNFS writes a number of a line, if the line is that long.
func writeNFS(w *expo.Writer, n nfsNumber, line []uint64, labels ...string) {
	if n.place >= len(line) {
		return
	}
	if v := line[n.place]; n.unit == 1 {
		w.Uint(n.family, v, labels...)
	} else {
		w.Sample(n.family, lowBits(v)*n.unit, labels...)
	}
}

// lowBits is a time without its high bits: some kernels write what went below zero
// as an enormous number.
func lowBits(v uint64) float64 {
	const exact = 1 << 53 // beyond which a float64 does not hold every whole number
	return float64(v % exact)
}

// nfsExport is an export of a server that is mounted.
type nfsExport struct {
	*nfsMount
	labels []string // export, protocol, mountaddr; with room for one more
}

// nfsExports picks the places of each mount, and each export once. The protocol is
// that of its first connection.
func nfsExports(mounts []nfsMount, addresses map[string][]string) (places [][]string, exports []nfsExport) {
	seen := make(map[[3]string]bool)
	seenPlace := make(map[[4]string]bool)
	for i := range mounts {
		m := &mounts[i]
		address := ""
		if at := addresses[m.point]; len(at) > 0 { // mounts at one place have the same order in both files
			address, addresses[m.point] = at[0], at[1:]
		}
		for _, t := range m.transports {
			place := [4]string{m.device, t.name, address, m.point}
			if !seenPlace[place] {
				seenPlace[place] = true
				places = append(places, place[:])
			}
			export := [3]string(place[:3])
			if seen[export] {
				break // all connections of the mount are told with the first
			}
			seen[export] = true
			exports = append(exports, nfsExport{m, append(make([]string, 0, 4), export[:]...)})
		}
	}
	return places, exports
}

// mountAddresses are the addresses of the servers of NFS mounts, by mount point as
// it is written, of mounts at the same point in the order of the file.
func mountAddresses(mountinfo []byte) map[string][]string {
	addresses := make(map[string][]string)
	for line := range bytes.Lines(mountinfo) {
		mount, fs, ok := strings.Cut(string(line), " - nfs")
		fields := strings.Fields(mount)
		if !ok || len(fields) < 5 {
			continue
		}
		options := fs[strings.LastIndexByte(fs, ' ')+1:]
		address := ""
		for o := range strings.SplitSeq(strings.TrimSpace(options), ",") {
			if a, ok := strings.CutPrefix(o, "addr="); ok {
				address = a
			}
		}
		addresses[fields[4]] = append(addresses[fields[4]], address)
	}
	return addresses
}

// nfsMount is an NFS mount of mountstats.
type nfsMount struct {
	device, point string // as they are written
	age           uint64 // seconds
	bytes, events []uint64
	transports    []nfsLine // by protocol: "tcp"
	operations    []nfsLine // by name: "READ"
}

// maxNFSOperations is far above the number of operations of any version.
const maxNFSOperations = 256

// nfsLine is a name and its numbers.
type nfsLine struct {
	name string
	v    []uint64
}

// parseMountstats reads the NFS mounts. One that cannot be understood is left out;
// the error is the first such.
func parseMountstats(b []byte) (mounts []nfsMount, err error) {
	var m *nfsMount
	var bad error
	end := func() {
		switch {
		case m == nil:
		case bad == nil:
			mounts = append(mounts, *m)
		case err == nil:
			err = fmt.Errorf("mount on %s: %w", m.point, bad)
		}
		m, bad = nil, nil
	}
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if device, ok := bytes.CutPrefix(line, []byte("device ")); ok {
			end()
			m = newNFSMount(string(device))
		} else if m != nil && bad == nil {
			bad = m.parse(line)
		}
	}
	end()
	return mounts, err
}

// newNFSMount reads what stands behind the word device: nil where it is not NFS.
func newNFSMount(line string) *nfsMount {
	device, rest, _ := strings.Cut(line, " mounted on ")
	point, fs, ok := strings.Cut(rest, " with fstype ")
	if !ok || !strings.HasPrefix(fs, "nfs") || !strings.Contains(fs, " statvers=") {
		return nil
	}
	return &nfsMount{device: device, point: point}
}

// parse reads a line that tells of the mount. Those that are not known are passed over.
func (m *nfsMount) parse(line []byte) error {
	key, rest := hostfs.NextField(line)
	name, isKey := bytes.CutSuffix(key, []byte(":"))
	if !isKey {
		return nil
	}
	var err error
	switch string(name) {
	case "age":
		var v []uint64
		if v, err = nfsNumbers(rest); err == nil && len(v) > 0 {
			m.age = v[0]
		}
	case "events":
		m.events, err = nfsNumbers(rest)
	case "bytes":
		m.bytes, err = nfsNumbers(rest)
	case "xprt":
		protocol, rest := hostfs.NextField(rest)
		t := nfsLine{name: string(protocol)}
		if t.v, err = nfsNumbers(rest); err == nil {
			t.v = nfsTransport(t)
			m.transports = append(m.transports, t)
		}
	default:
		if upper := bytes.ToUpper(name); !bytes.Equal(upper, name) {
			return nil // opts, caps, sec, nfsv4
		}
		o := nfsLine{name: string(name)}
		if len(m.operations) >= maxNFSOperations || slices.ContainsFunc(m.operations, func(l nfsLine) bool { return l.name == o.name }) {
			return fmt.Errorf("line %.200q: more operations than there are", line)
		}
		if o.v, err = nfsNumbers(rest); err == nil {
			m.operations = append(m.operations, o)
		}
	}
	if err != nil {
		return fmt.Errorf("line %.200q: %w", line, err)
	}
	return nil
}

// nfsTransport puts the numbers of a connection at the places that they have for
// TCP, and fills up what it does not tell with 0.
func nfsTransport(t nfsLine) []uint64 {
	v := t.v
	switch {
	case t.name == "udp" && len(v) > 2: // no connecting, no idle time
		v = append(append(append(make([]uint64, 0, 13), v[:2]...), 0, 0, 0), v[2:]...)
	case t.name == "rdma" && len(v) > 10: // then follow numbers of its own
		v = v[:10]
	}
	for len(v) < 13 {
		v = append(v, 0)
	}
	v[4] = uint64(lowBits(v[4])) // the time without traffic
	return v
}

// nfsNumbers reads the numbers of a line. One below zero, as some kernels write
// times, is 0.
func nfsNumbers(b []byte) (v []uint64, err error) {
	for {
		var field []byte
		if field, b = hostfs.NextField(b); len(field) == 0 {
			return v, nil
		}
		var n uint64
		if field[0] == '-' {
			_, err = hostfs.Int(field)
		} else {
			n, err = hostfs.Uint(field)
		}
		if err != nil {
			return nil, err
		}
		v = append(v, n)
	}
}
