package collectors

import (
	"strings"
	"testing"
)

const nfsdText = `rc 1 6 18622
fh 7 0 0 0 0
io 157286400 72864
th 8 0 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000
ra 32 0 0 0 0 0 0 0 0 0 0 5
net 972 55 917 1
rpc 18628 6 1 2 3
proc3 22 2 112 0 2719 111 0 0 0 0 0 0 0 0 0 0 0 27 216 0 2 1 9
proc4 2 2 10853
proc4ops 40 0 0 0 1098 2 0 0 0 0 8179 5896 0 0 0 0 5900 0 0 2 0 2 0 9609 0 2 150 1272 0 0 0 1236 0 0 0 0 3 3 0 4 11
wdeleg_getattr 15
`

func TestNFSd(t *testing.T) {
	v := values(t, render(t, make1(t, "nfsd", on(tree(t, map[string]string{"proc/net/rpc/nfsd": nfsdText})))))
	for series, want := range map[string]float64{
		"node_nfsd_reply_cache_hits_total": 1, "node_nfsd_reply_cache_misses_total": 6, "node_nfsd_reply_cache_nocache_total": 18622,
		"node_nfsd_file_handles_stale_total": 7, "node_nfsd_disk_bytes_read_total": 157286400, "node_nfsd_disk_bytes_written_total": 72864,
		"node_nfsd_server_threads": 8, "node_nfsd_read_ahead_cache_size_blocks": 32, "node_nfsd_read_ahead_cache_not_found_total": 5,
		`node_nfsd_packets_total{proto="udp"}`: 55, `node_nfsd_packets_total{proto="tcp"}`: 917, "node_nfsd_connections_total": 1,
		"node_nfsd_server_rpcs_total": 18628, `node_nfsd_rpc_errors_total{error="fmt"}`: 1, `node_nfsd_rpc_errors_total{error="auth"}`: 2, `node_nfsd_rpc_errors_total{error="cInt"}`: 3,
		`node_nfsd_requests_total{proto="2",method="GetAttr"}`: 0, // a kernel without version 2
		`node_nfsd_requests_total{proto="3",method="Access"}`:  111, `node_nfsd_requests_total{proto="3",method="Commit"}`: 9,
		`node_nfsd_requests_total{proto="4",method="Access"}`: 1098, `node_nfsd_requests_total{proto="4",method="Read"}`: 150,
		`node_nfsd_requests_total{proto="4",method="Write"}`: 4, `node_nfsd_requests_total{proto="4",method="RelLockOwner"}`: 11,
		`node_nfsd_requests_total{proto="4",method="WdelegGetattr"}`: 15,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", series, got, ok, want)
		}
	}
	if len(v) != 16+17+21+35+1 {
		t.Errorf("%d series", len(v))
	}
	out, err := renderErr(make1(t, "nfsd", on(tree(t, map[string]string{"proc/net/rpc/nfsd": "th 8\n"}))))
	if err == nil || out != "" || !strings.Contains(err.Error(), `"th 8" is not complete`) {
		t.Errorf("%v, said %q", err, out)
	}
}
