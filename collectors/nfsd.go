package collectors

// The NFS server, from /proc/net/rpc/nfsd (kernel: fs/nfsd/stats.c), in lines as
// those of the client (nfs.go):
//
//	rc 0 6 18622
//	fh 0 0 0 0 0
//	io 157286400 72864
//	th 8 0 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000
//	ra 32 0 0 0 0 0 0 0 0 0 0 0
//	wdeleg_getattr 15

import (
	"context"
	"fmt"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// nfsdFamilies are the numbers that stand alone: the line and the place there.
var nfsdFamilies = [...]struct {
	line   string
	place  int
	family *expo.Family
}{
	{"rc", 0, expo.Counter("node_nfsd_reply_cache_hits_total", "Calls answered from the reply cache: the client had not got the first answer.")},
	{"rc", 1, expo.Counter("node_nfsd_reply_cache_misses_total", "Calls put into the reply cache, being such as must not be done twice.")},
	{"rc", 2, expo.Counter("node_nfsd_reply_cache_nocache_total", "Calls that may be done twice and so need no cache.")},
	{"fh", 0, expo.Counter("node_nfsd_file_handles_stale_total", "File handles whose file was gone.")},
	{"io", 0, expo.Counter("node_nfsd_disk_bytes_read_total", "Bytes read for clients.")},
	{"io", 1, expo.Counter("node_nfsd_disk_bytes_written_total", "Bytes written for clients.")},
	{"th", 0, expo.Gauge("node_nfsd_server_threads", "Threads of the server.")},
	{"ra", 0, expo.Gauge("node_nfsd_read_ahead_cache_size_blocks", "Size of the read-ahead cache, in entries; 0 since Linux 5.4, which has none.")},
	{"ra", 11, expo.Counter("node_nfsd_read_ahead_cache_not_found_total", "Files that the read-ahead cache did not have.")},
	{"net", 3, expo.Counter("node_nfsd_connections_total", "TCP connections accepted.")},
	{"rpc", 0, expo.Counter("node_nfsd_server_rpcs_total", "Calls received.")},
}

var (
	nfsdPackets  = expo.Counter("node_nfsd_packets_total", "Packets of the NFS server, by transport.", "proto")
	nfsdErrors   = expo.Counter("node_nfsd_rpc_errors_total", "Calls refused: of wrong format, with wrong credentials, from a client that may not.", "error")
	nfsdRequests = expo.Counter("node_nfsd_requests_total", "Calls of each procedure or operation, by the version of the protocol.", "proto", "method")
)

// The procedures that are told, in the order of their numbers: a dash is one that is not.
var (
	nfsdProcs2 = append([]string{"-"}, nfsProcs2[1:]...)
	nfsdProcs3 = append([]string{"-"}, nfsProcs3[1:]...)
	nfsdOps4   = strings.Fields(`- - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup LookupRoot
		Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink Remove Rename Renew RestoreFH SaveFH SecInfo
		SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner`)  // RFC 7530, 16
)

type nfsd struct {
	file *hostfs.File
	rpc  rpcStats
}

func newNFSd(c Config) (Collector, error) {
	return &nfsd{
		file: c.FS.ProcFile("net/rpc/nfsd"),
		rpc: newRPCStats(map[string]int{"rc": 3, "fh": 1, "io": 2, "th": 2, "ra": 12, "net": 4, "rpc": 5,
			"proc2": 1, "proc3": 1, "proc4ops": 1, "wdeleg_getattr": 1}),
	}, nil
}

// Collect implements Collector.
func (n *nfsd) Collect(_ context.Context, w *expo.Writer) error {
	b, err := n.file.Read()
	if err != nil {
		return absent(err)
	}
	if err := n.rpc.parse(b); err != nil {
		return fmt.Errorf("%s: %w", n.file.Path(), err)
	}
	for _, f := range nfsdFamilies {
		w.Uint(f.family, n.rpc.at(f.line, f.place))
	}
	w.Uint(nfsdPackets, n.rpc.at("net", 1), "udp")
	w.Uint(nfsdPackets, n.rpc.at("net", 2), "tcp")
	w.Uint(nfsdErrors, n.rpc.at("rpc", 2), "fmt")
	w.Uint(nfsdErrors, n.rpc.at("rpc", 3), "auth")
	w.Uint(nfsdErrors, n.rpc.at("rpc", 4), "cInt")
	n.rpc.procs(w, nfsdRequests, "2", "proc2", nfsdProcs2)
	n.rpc.procs(w, nfsdRequests, "3", "proc3", nfsdProcs3)
	n.rpc.procs(w, nfsdRequests, "4", "proc4ops", nfsdOps4)
	w.Uint(nfsdRequests, n.rpc.at("wdeleg_getattr", 0), "4", "WdelegGetattr")
	return nil
}
