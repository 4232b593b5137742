package collectors

import (
	"strings"
	"testing"
)

const (
	ipvsStatsText = "   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes            Bytes\n" +
		"      10       FF        0        1000000FF                1\n\n Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n       3      4D2        0            3ABCD                0\n"
	ipvsText = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000064:0050 wlc  
  -> 0A000165:1F90      Masq    100    24         3         
  -> 0A000166:1F90      Masq    50     12         0         
TCP  [fd00:0000:0000:0000:0000:0000:0000:0064]:01BB wrr  
  -> [fd00:0000:0000:0000:0000:0000:0001:0065]:20FB      Tunnel  1      2          3         
SCTP 0A000064:0B59 rr  
  -> 0A000165:0B59      Masq    7      8          9         
FWM  00000a01 wlc   
  -> 0A000165:1F90      Route   20     64         1         
`
)

func TestIPVS(t *testing.T) {
	const totals = `# TYPE node_ipvs_connections_total counter
node_ipvs_connections_total 16
# TYPE node_ipvs_incoming_packets_total counter
node_ipvs_incoming_packets_total 255
# TYPE node_ipvs_outgoing_packets_total counter
node_ipvs_outgoing_packets_total 0
# TYPE node_ipvs_incoming_bytes_total counter
node_ipvs_incoming_bytes_total 4294967551
# TYPE node_ipvs_outgoing_bytes_total counter
node_ipvs_outgoing_bytes_total 1
`
	fs := tree(t, map[string]string{"proc/net/ip_vs_stats": ipvsStatsText, "proc/net/ip_vs": ipvsText})
	for _, c := range []struct{ labels, want string }{
		{DefaultIPVSBackendLabels, totals + `# TYPE node_ipvs_backend_weight gauge
node_ipvs_backend_weight{local_address="10.0.0.100",local_port="80",remote_address="10.0.1.101",remote_port="8080",proto="TCP",local_mark=""} 100
node_ipvs_backend_weight{local_address="10.0.0.100",local_port="80",remote_address="10.0.1.102",remote_port="8080",proto="TCP",local_mark=""} 50
node_ipvs_backend_weight{local_address="fd00::64",local_port="443",remote_address="fd00::1:65",remote_port="8443",proto="TCP",local_mark=""} 1
node_ipvs_backend_weight{local_address="10.0.0.100",local_port="2905",remote_address="10.0.1.101",remote_port="2905",proto="SCTP",local_mark=""} 7
node_ipvs_backend_weight{local_address="",local_port="0",remote_address="10.0.1.101",remote_port="8080",proto="FWM",local_mark="00000a01"} 20
# TYPE node_ipvs_backend_connections_active gauge
node_ipvs_backend_connections_active{local_address="10.0.0.100",local_port="80",remote_address="10.0.1.101",remote_port="8080",proto="TCP",local_mark=""} 24
node_ipvs_backend_connections_active{local_address="10.0.0.100",local_port="80",remote_address="10.0.1.102",remote_port="8080",proto="TCP",local_mark=""} 12
node_ipvs_backend_connections_active{local_address="fd00::64",local_port="443",remote_address="fd00::1:65",remote_port="8443",proto="TCP",local_mark=""} 2
node_ipvs_backend_connections_active{local_address="10.0.0.100",local_port="2905",remote_address="10.0.1.101",remote_port="2905",proto="SCTP",local_mark=""} 8
node_ipvs_backend_connections_active{local_address="",local_port="0",remote_address="10.0.1.101",remote_port="8080",proto="FWM",local_mark="00000a01"} 64
# TYPE node_ipvs_backend_connections_inactive gauge
node_ipvs_backend_connections_inactive{local_address="10.0.0.100",local_port="80",remote_address="10.0.1.101",remote_port="8080",proto="TCP",local_mark=""} 3
node_ipvs_backend_connections_inactive{local_address="10.0.0.100",local_port="80",remote_address="10.0.1.102",remote_port="8080",proto="TCP",local_mark=""} 0
node_ipvs_backend_connections_inactive{local_address="fd00::64",local_port="443",remote_address="fd00::1:65",remote_port="8443",proto="TCP",local_mark=""} 3
node_ipvs_backend_connections_inactive{local_address="10.0.0.100",local_port="2905",remote_address="10.0.1.101",remote_port="2905",proto="SCTP",local_mark=""} 9
node_ipvs_backend_connections_inactive{local_address="",local_port="0",remote_address="10.0.1.101",remote_port="8080",proto="FWM",local_mark="00000a01"} 1
`},
		{"proto,,local_port", totals + `# TYPE node_ipvs_backend_weight gauge
node_ipvs_backend_weight{local_port="80",proto="TCP"} 150
node_ipvs_backend_weight{local_port="443",proto="TCP"} 1
node_ipvs_backend_weight{local_port="2905",proto="SCTP"} 7
node_ipvs_backend_weight{local_port="0",proto="FWM"} 20
# TYPE node_ipvs_backend_connections_active gauge
node_ipvs_backend_connections_active{local_port="80",proto="TCP"} 36
node_ipvs_backend_connections_active{local_port="443",proto="TCP"} 2
node_ipvs_backend_connections_active{local_port="2905",proto="SCTP"} 8
node_ipvs_backend_connections_active{local_port="0",proto="FWM"} 64
# TYPE node_ipvs_backend_connections_inactive gauge
node_ipvs_backend_connections_inactive{local_port="80",proto="TCP"} 3
node_ipvs_backend_connections_inactive{local_port="443",proto="TCP"} 3
node_ipvs_backend_connections_inactive{local_port="2905",proto="SCTP"} 9
node_ipvs_backend_connections_inactive{local_port="0",proto="FWM"} 1
`},
		{"", totals + `# TYPE node_ipvs_backend_weight gauge
node_ipvs_backend_weight 178
# TYPE node_ipvs_backend_connections_active gauge
node_ipvs_backend_connections_active 110
# TYPE node_ipvs_backend_connections_inactive gauge
node_ipvs_backend_connections_inactive 16
`},
	} {
		cfg := on(fs)
		cfg.IPVS.BackendLabels = c.labels
		collector := make1(t, "ipvs", cfg)
		same(t, render(t, collector), c.want)
		same(t, render(t, collector), c.want) // from what it remembers
	}
	same(t, render(t, make1(t, "ipvs", on(tree(t, map[string]string{"proc/net/ip_vs_stats": ipvsStatsText})))), totals)

	cfg := on(fs)
	cfg.IPVS.BackendLabels = "proto,colour"
	if _, err := newIPVS(cfg); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("an unknown label: %v", err)
	}
	refuses(t, "ipvs", "proc/net/ip_vs_stats", map[string]string{"empty": "", "short": "\n\n1 2 3\n", "not hex": "\n\n1 2 3 4 x\n"})
}

func TestIPVSRefuses(t *testing.T) {
	c, err := newIPVS(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no service":   "\n\n\n  -> 0A000165:1F90 Masq 1 2 3\n",
		"no address":   "\n\n\nTCP\n",
		"bad address":  strings.Replace(ipvsText, "0A000064:0050", "0A00064:0050", 1),
		"bad port":     strings.Replace(ipvsText, "0A000165:1F90", "0A000165:1F900", 1),
		"bad IPv6":     strings.Replace(ipvsText, "[fd00:0000", "[fd00:xxxx", 1),
		"bad number":   strings.Replace(ipvsText, "24 ", "-4 ", 1),
		"few numbers":  "\n\n\nFWM 1 rr\n  -> 0A000165:1F90 Masq 1 2\n",
		"address cut":  "\n\n\nFWM 1 rr\n  -> 0A000165 Masq 1 2 3\n",
		"address zone": "\n\n\nFWM 1 rr\n  -> [fe80::1%eth0]:0050 Masq 1 2 3\n",
	} {
		if err := c.(*ipvs).read([]byte(text)); err == nil || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzIPVS(f *testing.F) {
	f.Add([]byte(ipvsText))
	f.Add([]byte(ipvsStatsText))
	f.Add([]byte("\n\n\nFWM 1\n-> [::1]:0 x 1 2 3"))
	c, _ := newIPVS(DefaultConfig())
	i := c.(*ipvs)
	f.Fuzz(func(t *testing.T, b []byte) {
		parseIPVSStats(b)
		if i.read(b) == nil {
			for _, backend := range i.current {
				if len(backend.labels) != 6 {
					t.Errorf("%q", backend.labels)
				}
			}
		}
	})
}
