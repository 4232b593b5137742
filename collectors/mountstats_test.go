package collectors

import (
	"strings"
	"testing"
)

const mountstatsText = `device proc mounted on /proc with fstype proc
device 192.0.2.1:/srv mounted on /mnt/srv with fstype nfs4 statvers=1.1
	opts:	rw,vers=4.0
	age:	13968
	caps:	caps=0xfff7,wtmult=512
	sec:	flavor=1,pseudoflavor=1
	events:	1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27
	bytes:	31 32 33 34 35 36 37 38
	RPC iostats version: 1.0  p/v: 100003/4 (nfs)
	xprt:	tcp 832 41 42 43 44 45 46 47 48 49 50 51 52
	xprt:	tcp 832 0 1 0 18446744073709551615 6428 6428 0 12154 0 24 26 5726
	per-op statistics
	        NULL: 0 0 0 0 0 0 0 0
	        READ: 61 62 63 64 65 66 67 68 69

device 192.0.2.1:/srv mounted on /mnt/again with fstype nfs4 statvers=1.1
	age:	1
	xprt:	tcp 832 41 42 43 44 45 46 47 48 49 50 51 52

device 192.0.2.2:/old mounted on /mnt/old with fstype nfs statvers=1.0
	age:	5
	xprt:	udp 832 1 2 3 4 5 6
`

const mountstatsInfoText = `23 1 0:21 / /proc rw - proc proc rw
61 24 0:51 / /mnt/srv rw,relatime shared:30 - nfs4 192.0.2.1:/srv rw,clientaddr=192.0.2.5,addr=192.0.2.1
62 24 0:51 / /mnt/again rw,relatime - nfs4 192.0.2.1:/srv rw,addr=192.0.2.1
63 24 0:52 / /mnt/old rw - nfs 192.0.2.2:/old rw,mountaddr=192.0.2.9,addr=192.0.2.2
`

func TestMountstats(t *testing.T) {
	fs := tree(t, map[string]string{"proc/self/mountstats": mountstatsText, "proc/self/mountinfo": mountstatsInfoText})
	c := make1(t, "mountstats", on(fs))
	v := values(t, render(t, c))
	const srv = `export="192.0.2.1:/srv",protocol="tcp",mountaddr="192.0.2.1"`
	const old = `export="192.0.2.2:/old",protocol="udp",mountaddr="192.0.2.2"`
	for series, want := range map[string]float64{
		`node_mountstats_nfs_mountpoint_info{` + srv + `,mountpoint="/mnt/srv"}`:                  1,
		`node_mountstats_nfs_mountpoint_info{` + srv + `,mountpoint="/mnt/again"}`:                1,
		`node_mountstats_nfs_mountpoint_info{` + old + `,mountpoint="/mnt/old"}`:                  1,
		`node_mountstats_nfs_age_seconds_total{` + srv + `}`:                                      13968,
		`node_mountstats_nfs_read_bytes_total{` + srv + `}`:                                       31,
		`node_mountstats_nfs_direct_write_bytes_total{` + srv + `}`:                               34,
		`node_mountstats_nfs_write_pages_total{` + srv + `}`:                                      38,
		`node_mountstats_nfs_event_inode_revalidate_total{` + srv + `}`:                           1,
		`node_mountstats_nfs_event_vfs_file_release_total{` + srv + `}`:                           18,
		`node_mountstats_nfs_event_truncation_total{` + srv + `}`:                                 20,
		`node_mountstats_nfs_event_pnfs_write_total{` + srv + `}`:                                 27,
		`node_mountstats_nfs_transport_bind_total{` + srv + `,transport="0"}`:                     41,
		`node_mountstats_nfs_transport_idle_time_seconds{` + srv + `,transport="0"}`:              44,
		`node_mountstats_nfs_transport_idle_time_seconds{` + srv + `,transport="1"}`:              1<<53 - 1,
		`node_mountstats_nfs_transport_backlog_queue_total{` + srv + `,transport="0"}`:            49,
		`node_mountstats_nfs_transport_pending_queue_total{` + srv + `,transport="0"}`:            52,
		`node_mountstats_nfs_transport_connect_total{` + old + `,transport="0"}`:                  0,
		`node_mountstats_nfs_transport_sends_total{` + old + `,transport="0"}`:                    2,
		`node_mountstats_nfs_transport_bad_transaction_ids_total{` + old + `,transport="0"}`:      4,
		`node_mountstats_nfs_transport_backlog_queue_total{` + old + `,transport="0"}`:            6,
		`node_mountstats_nfs_operations_requests_total{` + srv + `,operation="READ"}`:             61,
		`node_mountstats_nfs_operations_received_bytes_total{` + srv + `,operation="READ"}`:       65,
		`node_mountstats_nfs_operations_queue_time_seconds_total{` + srv + `,operation="READ"}`:   0.066,
		`node_mountstats_nfs_operations_request_time_seconds_total{` + srv + `,operation="READ"}`: 0.068,
	} {
		if got, ok := v[series]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", series, got, ok, want)
		}
	}
	if want := 3 + 2 + 8 + 26 + 3*10 + 2*8; len(v) != want {
		t.Errorf("%d series, want %d", len(v), want)
	}

	// A mount that cannot be understood costs itself.
	write(t, fs.ProcPath("self/mountstats"), strings.Replace(mountstatsText, "bytes:	31", "bytes:	many", 1), false)
	costs(t, c, "mount on /mnt/srv: line", `mountpoint="/mnt/old"`, `mountpoint="/mnt/srv"`)
	// Without NFS nothing else is read.
	same(t, render(t, make1(t, "mountstats", on(tree(t, map[string]string{"proc/self/mountstats": "device proc mounted on /proc with fstype proc\n"})))), "")
}

// Two servers mounted one over the other at the same place.
func TestMountAddresses(t *testing.T) {
	a := mountAddresses([]byte("1 2 0:1 / /m rw - nfs a:/ rw,addr=192.0.2.1\n2 2 0:1 / /m rw - nfs4 b:/ rw,addr=192.0.2.2,x\n3 2 0:1 / /n rw - nfs c:/ rw\n- nfs\n"))
	if len(a["/m"]) != 2 || a["/m"][0] != "192.0.2.1" || a["/m"][1] != "192.0.2.2" || a["/n"][0] != "" {
		t.Errorf("%q", a)
	}
}

func FuzzMountstats(f *testing.F) {
	f.Add([]byte(mountstatsText), []byte(mountstatsInfoText))
	f.Add([]byte("device a mounted on b with fstype nfs statvers=1\n xprt:\n bytes: -1\n X: 1"), []byte(" - nfs"))
	f.Fuzz(func(t *testing.T, stats, info []byte) {
		mounts, _ := parseMountstats(stats)
		places, exports := nfsExports(mounts, mountAddresses(info))
		if len(exports) > len(places) {
			t.Errorf("%d exports in %d places", len(exports), len(places))
		}
		for _, e := range exports {
			for _, x := range e.transports {
				if len(x.v) < 13 {
					t.Errorf("%q: %v", stats, x)
				}
			}
		}
	})
}
