package collectors

import (
	"errors"
	"net"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

const (
	netstatText = `TcpExt: SyncookiesSent SyncookiesRecv TCPSynRetrans TW
TcpExt: 1 2 3 388812
IpExt: InOctets OutOctets
IpExt: 6286396970 2786264347
`
	snmpText = `Ip: Forwarding DefaultTTL InReceives
Ip: 1 64 57740232
Tcp: RtoAlgorithm MaxConn ActiveOpens
Tcp: 1 -1 3556
`
	snmp6Text = "Ip6InOctets                     \t460\nUdp6InErrors\t\t7\nIcmp6OutType133\t\t8\n"
)

const netstatWant = `# TYPE node_netstat_TcpExt_SyncookiesSent untyped
node_netstat_TcpExt_SyncookiesSent 1
# TYPE node_netstat_TcpExt_SyncookiesRecv untyped
node_netstat_TcpExt_SyncookiesRecv 2
# TYPE node_netstat_TcpExt_TCPSynRetrans untyped
node_netstat_TcpExt_TCPSynRetrans 3
# TYPE node_netstat_IpExt_InOctets untyped
node_netstat_IpExt_InOctets 6286396970
# TYPE node_netstat_IpExt_OutOctets untyped
node_netstat_IpExt_OutOctets 2786264347
# TYPE node_netstat_Ip_Forwarding untyped
node_netstat_Ip_Forwarding 1
# TYPE node_netstat_Tcp_ActiveOpens untyped
node_netstat_Tcp_ActiveOpens 3556
`

const netstat6Want = `# TYPE node_netstat_Ip6_InOctets untyped
node_netstat_Ip6_InOctets 460
# TYPE node_netstat_Udp6_InErrors untyped
node_netstat_Udp6_InErrors 7
`

func TestNetstat(t *testing.T) {
	files := map[string]string{"proc/net/netstat": netstatText, "proc/net/snmp": snmpText}
	same(t, render(t, make1(t, "netstat", on(tree(t, files)))), netstatWant)
	files["proc/net/snmp6"] = snmp6Text
	fs := tree(t, files)
	same(t, render(t, make1(t, "netstat", on(fs))), netstatWant+netstat6Want)

	cfg := on(fs)
	cfg.Netstat.Fields = "^(Tcp_MaxConn|Icmp6_.*)$"
	same(t, render(t, make1(t, "netstat", cfg)), `# TYPE node_netstat_Tcp_MaxConn untyped
node_netstat_Tcp_MaxConn -1
# TYPE node_netstat_Icmp6_OutType133 untyped
node_netstat_Icmp6_OutType133 8
`)
}

// Lines appear and grow as the kernel sees new kinds of messages.
func TestNetstatGrows(t *testing.T) {
	fs := tree(t, map[string]string{"proc/net/snmp": snmpText})
	cfg := on(fs)
	cfg.Netstat.Fields = "^(IcmpMsg_|Tcp_MaxConn)"
	c := make1(t, "netstat", cfg)
	tcp := "# TYPE node_netstat_Tcp_MaxConn untyped\nnode_netstat_Tcp_MaxConn -1\n"
	same(t, render(t, c), tcp)
	write(t, fs.ProcPath("net/snmp"), "IcmpMsg: InType3\nIcmpMsg: 5\n"+snmpText, false)
	in3 := "# TYPE node_netstat_IcmpMsg_InType3 untyped\nnode_netstat_IcmpMsg_InType3 "
	same(t, render(t, c), in3+"5\n"+tcp)
	write(t, fs.ProcPath("net/snmp"), "IcmpMsg: InType0 InType3\nIcmpMsg: 1 6\n"+snmpText, false)
	same(t, render(t, c), "# TYPE node_netstat_IcmpMsg_InType0 untyped\nnode_netstat_IcmpMsg_InType0 1\n"+in3+"6\n"+tcp)
}

// A file that cannot be read is named and does not cost the others.
func TestNetstatBad(t *testing.T) {
	cfg := on(hostfs.Default)
	cfg.Netstat.Fields = "("
	if _, err := newNetstat(cfg); err == nil || !strings.Contains(err.Error(), "fields") {
		t.Errorf("a bad pattern: %v", err)
	}
	for _, bad := range []string{
		"Ip Forwarding\nIp: 1\n", "Ip: Forwarding\n", "Ip: Forwarding\nTcp: 1\n", "Ip: Forwarding DefaultTTL\nIp: 1\n",
		"Ip: Forwarding\nIp: 1 2\n", "Ip: Forwarding\nIp: x\n", "Ip: Forwarding\nIp: -x\n", "Ip: Forwarding\nIpExt: 1\n",
	} {
		fs := tree(t, map[string]string{"proc/net/netstat": netstatText, "proc/net/snmp": bad, "proc/net/snmp6": snmp6Text})
		text, err := renderErr(make1(t, "netstat", on(fs)))
		if err == nil || errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "proc/net/snmp: ") {
			t.Errorf("%q: %v", bad, err)
		}
		if v := values(t, text); len(v) != 7 || v["node_netstat_Udp6_InErrors"] != 7 {
			t.Errorf("%q: said %v", bad, v)
		}
	}
}

// Connections that the test makes are counted.
func TestNetstatLive(t *testing.T) {
	c := make1(t, "netstat", on(hostfs.Default))
	before := values(t, render(t, c))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const opened = 5
	for range opened {
		conn, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	after := values(t, render(t, c))
	for _, name := range []string{"node_netstat_Tcp_ActiveOpens", "node_netstat_Tcp_PassiveOpens"} {
		if d := after[name] - before[name]; d < opened {
			t.Errorf("%s grew by %v when %d connections were opened", name, d, opened)
		}
	}
}

func FuzzNetstat(f *testing.F) {
	for _, text := range []string{netstatText, snmpText, snmp6Text, "Ip:\nIp:\n", "\n\n:", "\n\np:\np:\n"} {
		f.Add([]byte(text))
	}
	c, _ := newNetstat(Config{}) // every field
	n := c.(*netstat)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, collect := range []func([]byte, *expo.Writer) error{
			func(b []byte, w *expo.Writer) error { return n.pairs[0].collect(b, w, &n.fields) }, n.collect6,
		} {
			var w expo.Writer
			if collect(b, &w) != nil {
				continue
			}
			sc := expo.NewScanner(w.Bytes())
			for sc.Next() {
			}
			if sc.Err() != nil {
				t.Errorf("%q: said %q: %v", b, w.Bytes(), sc.Err())
			}
		}
	})
}
