package collectors

import (
	"net"
	"strings"
	"testing"
)

const udpText = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             
  315: 00000000:0044 00000000:0000 07 00000015:00000001 00:00000000 00000000     0        0 2740 2 00000000c0ffee00 0 
  420: 0100007F:0035 00000000:0000 07 00000001:000000FF 00:00000000 00000000   101        0 2741 2 00000000c0ffee40 0 
`

func TestUDPQueues(t *testing.T) {
	const v4 = `node_udp_queues{queue="tx",ip="v4"} 22
node_udp_queues{queue="rx",ip="v4"} 256
`
	const v6 = `node_udp_queues{queue="tx",ip="v6"} 0
node_udp_queues{queue="rx",ip="v6"} 0
`
	header := strings.SplitAfter(udpText, "\n")[0]
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"both":    {map[string]string{"proc/net/udp": udpText, "proc/net/udp6": header}, v4 + v6},
		"no IPv6": {map[string]string{"proc/net/udp": udpText}, v4},
		"no IPv4": {map[string]string{"proc/net/udp6": header}, v6},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, render(t, make1(t, "udp_queues", on(tree(t, c.files)))), "# TYPE node_udp_queues gauge\n"+c.want)
		})
	}
	refuses(t, "udp_queues", "proc/net/udp", map[string]string{
		"few words": header + "315: 00000000:0044\n", "no colon": strings.Replace(udpText, "00000015:00000001", "0000001500000001", 1),
		"not hex": strings.Replace(udpText, "00000015:00000001", "00000015:0000000z", 1),
	})
	// One that cannot be read does not cost the other.
	text, err := renderErr(make1(t, "udp_queues", on(tree(t, map[string]string{"proc/net/udp": "\nx y z\n", "proc/net/udp6": header}))))
	if err == nil {
		t.Error("a bad file passes")
	}
	same(t, text, "# TYPE node_udp_queues gauge\n"+v6)
}

// A datagram that nobody reads is in the queue.
func TestUDPQueuesLive(t *testing.T) {
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	c, err := net.Dial("udp4", l.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	got := values(t, render(t, make1(t, "udp_queues", DefaultConfig())))
	if n := got[`node_udp_queues{queue="rx",ip="v4"}`]; n < 1000 {
		t.Errorf("%v bytes wait, at least 1000 do", n)
	}
}

func FuzzUDPQueues(f *testing.F) {
	f.Add([]byte(udpText))
	f.Add([]byte("\n1 2 3 4 5:6"))
	f.Fuzz(func(t *testing.T, b []byte) { parseUDPQueues(b) })
}
