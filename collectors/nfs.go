package collectors

// The NFS client, from /proc/net/rpc/nfs (kernel: net/sunrpc/stats.c). A line is a
// group of counters; those of the procedures begin with how many there are, and
// each stands at its procedure's place:
//
//	net 70 70 69 45
//	rpc 1218785755 374636 1218815394
//	proc3 22 0 1061909262 48906 4077635 117661341 5 29391916 2570425 2993289 590 0 0 7815 15 1130 0 3983 92385 13332 2 1 23729
//
// What it says is of the network namespace that it is read in.

import (
	"context"
	"fmt"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	nfsPackets       = expo.Counter("node_nfs_packets_total", "Packets of the NFS client, by transport.", "protocol")
	nfsConnections   = expo.Counter("node_nfs_connections_total", "TCP connections that the NFS client made.")
	nfsRPCs          = expo.Counter("node_nfs_rpcs_total", "Calls that the NFS client made.")
	nfsRetransmitted = expo.Counter("node_nfs_rpc_retransmissions_total", "Calls that were sent again.")
	nfsAuthRefreshes = expo.Counter("node_nfs_rpc_authentication_refreshes_total", "Times that credentials were refreshed.")
	nfsRequests      = expo.Counter("node_nfs_requests_total", "Calls of each procedure, by the version of the protocol.", "proto", "method")
)

// The procedures of each version, in the order of their numbers (RFC 1094, RFC
// 1813), and those that the kernel's client makes of version 4 in the order of
// include/linux/nfs4.h.
var (
	nfsProcs2  = strings.Fields("Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir ReadDir FsStat")
	nfsProcs3  = strings.Fields("Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit")
	nfsClient4 = strings.Fields(`Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID
		SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create Pathconf StatFs ReadLink
		ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner Secinfo FsidPresent ExchangeID CreateSession
		DestroySession Sequence GetLeaseTime ReclaimComplete GetDeviceInfo LayoutGet LayoutCommit LayoutReturn SecinfoNoName
		TestStateID FreeStateID GetDeviceList BindConnToSession DestroyClientID Seek Allocate DeAllocate LayoutStats Clone`)
)

type nfs struct {
	file *hostfs.File
	rpc  rpcStats
}

func newNFS(c Config) (Collector, error) {
	return &nfs{
		file: c.FS.ProcFile("net/rpc/nfs"),
		rpc:  newRPCStats(map[string]int{"net": 4, "rpc": 3, "proc2": 1, "proc3": 1, "proc4": 1}),
	}, nil
}

// Collect implements Collector.
func (n *nfs) Collect(_ context.Context, w *expo.Writer) error {
	b, err := n.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := n.rpc.parse(b); err != nil {
		return fmt.Errorf("%s: %w", n.file.Path(), err)
	}
	w.Uint(nfsPackets, n.rpc.at("net", 1), "udp")
	w.Uint(nfsPackets, n.rpc.at("net", 2), "tcp")
	w.Uint(nfsConnections, n.rpc.at("net", 3))
	w.Uint(nfsRPCs, n.rpc.at("rpc", 0))
	w.Uint(nfsRetransmitted, n.rpc.at("rpc", 1))
	w.Uint(nfsAuthRefreshes, n.rpc.at("rpc", 2))
	n.rpc.procs(w, nfsRequests, "2", "proc2", nfsProcs2)
	n.rpc.procs(w, nfsRequests, "3", "proc3", nfsProcs3)
	n.rpc.procs(w, nfsRequests, "4", "proc4", nfsClient4)
	return nil
}

// rpcStats are the lines of a file of sunrpc, by their first word. They are kept
// from one reading to the next, to be filled again.
type rpcStats map[string]*rpcLine

type rpcLine struct {
	want int // how many numbers it must have
	v    []uint64
}

// newRPCStats reads the lines that are wanted, each with so many numbers at least.
func newRPCStats(want map[string]int) rpcStats {
	s := make(rpcStats)
	for line, n := range want {
		s[line] = &rpcLine{want: n}
	}
	return s
}

// at is a number by its line and place: 0 where the kernel does not count it.
func (s rpcStats) at(line string, place int) uint64 {
	if v := s[line].v; place < len(v) {
		return v[place]
	}
	return 0
}

// procs writes the counters of procedures, but for those without a name. Older
// kernels count fewer of them.
func (s rpcStats) procs(w *expo.Writer, f *expo.Family, proto, line string, names []string) {
	for i, name := range names {
		if name != "-" {
			w.Uint(f, s.at(line, i+1), proto, name)
		}
	}
}

// parse reads the lines that are wanted.
func (s rpcStats) parse(b []byte) error {
	for _, l := range s {
		l.v = l.v[:0]
	}
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		key, rest := hostfs.NextField(line)
		l := s[string(key)]
		if l == nil {
			continue
		}
		l.v = l.v[:0]
		for {
			var field []byte
			if field, rest = hostfs.NextField(rest); len(field) == 0 || len(l.v) == l.want && string(key) == "th" {
				break // after the threads come times, which kernels no longer measure
			}
			n, err := hostfs.Uint(field)
			if err != nil {
				return fmt.Errorf("line %.200q: %w", line, err)
			}
			l.v = append(l.v, n)
		}
		if len(l.v) < l.want || key[0] == 'p' && l.v[0] != uint64(len(l.v)-1) {
			return fmt.Errorf("line %.200q is not complete", line)
		}
	}
	return nil
}
