package collectors

import (
	"strings"
	"testing"
)

const drbdText = `version: 8.4.11 (api:1/proto:86-101)
srcversion: 1A9F77B1CA5FF92235C2213

 1: cs:Connected ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----
    ns:2 nr:3 dw:4 dr:5 al:6 bm:7 lo:8 pe:9 ua:10 ap:11 ep:1 wo:d oos:12
	[=>..................] sync'ed: 10.0% (9/10)K
 2: cs:Unconfigured
`

func TestDRBD(t *testing.T) {
	same(t, render(t, make1(t, "drbd", on(tree(t, map[string]string{"proc/drbd": drbdText})))), `# TYPE node_drbd_activitylog_writes_total counter
node_drbd_activitylog_writes_total{device="drbd1"} 6
# TYPE node_drbd_application_pending gauge
node_drbd_application_pending{device="drbd1"} 11
# TYPE node_drbd_bitmap_writes_total counter
node_drbd_bitmap_writes_total{device="drbd1"} 7
# TYPE node_drbd_disk_read_bytes_total counter
node_drbd_disk_read_bytes_total{device="drbd1"} 5120
# TYPE node_drbd_disk_written_bytes_total counter
node_drbd_disk_written_bytes_total{device="drbd1"} 4096
# TYPE node_drbd_epochs gauge
node_drbd_epochs{device="drbd1"} 1
# TYPE node_drbd_local_pending gauge
node_drbd_local_pending{device="drbd1"} 8
# TYPE node_drbd_network_received_bytes_total counter
node_drbd_network_received_bytes_total{device="drbd1"} 3072
# TYPE node_drbd_network_sent_bytes_total counter
node_drbd_network_sent_bytes_total{device="drbd1"} 2048
# TYPE node_drbd_out_of_sync_bytes gauge
node_drbd_out_of_sync_bytes{device="drbd1"} 12288
# TYPE node_drbd_remote_pending gauge
node_drbd_remote_pending{device="drbd1"} 9
# TYPE node_drbd_remote_unacknowledged gauge
node_drbd_remote_unacknowledged{device="drbd1"} 10
# TYPE node_drbd_node_role_is_primary gauge
node_drbd_node_role_is_primary{device="drbd1",node="local"} 1
node_drbd_node_role_is_primary{device="drbd1",node="remote"} 0
# TYPE node_drbd_disk_state_is_up_to_date gauge
node_drbd_disk_state_is_up_to_date{device="drbd1",node="local"} 1
node_drbd_disk_state_is_up_to_date{device="drbd1",node="remote"} 0
# TYPE node_drbd_connected gauge
node_drbd_connected{device="drbd1"} 1
node_drbd_connected{device="drbd2"} 0
`)
}

func TestDRBDBad(t *testing.T) {
	for _, text := range []string{" 0: cs:Connected ns:x", " 0: oos:-1"} {
		out, err := renderErr(make1(t, "drbd", on(tree(t, map[string]string{"proc/drbd": text}))))
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/drbd: drbd0") {
			t.Errorf("%q: %v, said %q", text, err, out)
		}
	}
	// States without a slash, as of versions yet to come, are passed over.
	same(t, render(t, make1(t, "drbd", on(tree(t, map[string]string{"proc/drbd": " 0: ro:Primary ds:"})))), "")
}

func FuzzDRBD(f *testing.F) {
	f.Add([]byte(drbdText))
	f.Add([]byte("1: 2: ns:1 3:4"))
	f.Add([]byte("18446744073709551616: ns:-"))
	f.Fuzz(func(t *testing.T, b []byte) {
		devices, err := parseDRBD(b)
		for _, d := range devices {
			if err == nil && !strings.HasPrefix(d.name, "drbd") {
				t.Errorf("%q: device %q", b, d.name)
			}
		}
	})
}
