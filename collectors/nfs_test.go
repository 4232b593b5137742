package collectors

import (
	"strings"
	"testing"
)

const nfsText = `net 70 71 69 45
rpc 100 20 101
proc2 18 16 57 74 52 71 73 45 86 0 52 83 61 17 53 50 23 70 82
proc3 22 0 61 48 40 17 5 29 25 29 59 0 0 78 15 11 0 39 92 13 2 1 23
proc4 48 98 51 54 83 85 23 24 1 28 73 68 83 12 84 39 68 59 58 88 29 74 69 96 21 84 15 53 86 54 66 56 97 36 49 32 85 81 11 58 32 67 13 28 35 1 90 26 0
new_line 1 2 x
`

func TestNFS(t *testing.T) {
	c := make1(t, "nfs", on(tree(t, map[string]string{"proc/net/rpc/nfs": nfsText})))
	for range 2 { // the second time with what the first one left
		text := render(t, c)
		v := values(t, text)
		for series, want := range map[string]float64{
			`node_nfs_packets_total{protocol="udp"}`: 71, `node_nfs_packets_total{protocol="tcp"}`: 69, "node_nfs_connections_total": 45,
			"node_nfs_rpcs_total": 100, "node_nfs_rpc_retransmissions_total": 20, "node_nfs_rpc_authentication_refreshes_total": 101,
			`node_nfs_requests_total{proto="2",method="Null"}`: 16, `node_nfs_requests_total{proto="2",method="FsStat"}`: 82,
			`node_nfs_requests_total{proto="3",method="GetAttr"}`: 61, `node_nfs_requests_total{proto="3",method="Commit"}`: 23,
			`node_nfs_requests_total{proto="4",method="Null"}`: 98, `node_nfs_requests_total{proto="4",method="LayoutReturn"}`: 0,
			`node_nfs_requests_total{proto="4",method="LayoutCommit"}`: 26, `node_nfs_requests_total{proto="4",method="Clone"}`: 0,
		} {
			if got, ok := v[series]; !ok || got != want {
				t.Errorf("%s is %v (%v), want %v", series, got, ok, want)
			}
		}
		if len(v) != 6+18+22+59 {
			t.Errorf("%d series", len(v))
		}
	}
}

func TestNFSBad(t *testing.T) {
	for _, text := range []string{"net 1 2 3", "rpc 1 x 3", "proc3 22 1 2", "proc4 1 2 3", "proc2"} {
		out, err := renderErr(make1(t, "nfs", on(tree(t, map[string]string{"proc/net/rpc/nfs": text}))))
		if err == nil || out != "" || !strings.Contains(err.Error(), "net/rpc/nfs: line ") {
			t.Errorf("%q: %v, said %q", text, err, out)
		}
	}
}

func FuzzRPCStats(f *testing.F) {
	f.Add([]byte(nfsText))
	f.Add([]byte(nfsdText))
	f.Add([]byte("th 1 2 x\nth 1\nproc3 0\n\nproc3 18446744073709551615 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newRPCStats(map[string]int{"net": 4, "th": 2, "proc3": 1})
		if err := s.parse(b); err == nil && len(s["th"].v) != 0 && len(s["th"].v) != 2 {
			t.Errorf("%q: %v", b, s["th"])
		}
	})
}
