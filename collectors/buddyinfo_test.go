package collectors

import (
	"bytes"
	"strings"
	"testing"
)

func TestBuddyinfo(t *testing.T) {
	c := make1(t, "buddyinfo", on(tree(t, map[string]string{"proc/buddyinfo": `Node 0, zone      DMA      1      0      3
Node 1, zone   Normal   4381   1093     18
`})))
	same(t, render(t, c), `# TYPE node_buddyinfo_blocks gauge
node_buddyinfo_blocks{node="0",size="0",zone="DMA"} 1
node_buddyinfo_blocks{node="0",size="1",zone="DMA"} 0
node_buddyinfo_blocks{node="0",size="2",zone="DMA"} 3
node_buddyinfo_blocks{node="1",size="0",zone="Normal"} 4381
node_buddyinfo_blocks{node="1",size="1",zone="Normal"} 1093
node_buddyinfo_blocks{node="1",size="2",zone="Normal"} 18
`)
}

func TestBuddyinfoBad(t *testing.T) {
	for _, text := range []string{
		"Node 0, zone", "Node 0 zone DMA 1", "Node x, zone DMA 1", "Node 0, zone DMA 1 -2", "Node 0, zone DMA 1\nrubbish\n",
		"Node 0, zone DMA" + strings.Repeat(" 1", maxBuddyOrders+1),
	} {
		c := make1(t, "buddyinfo", on(tree(t, map[string]string{"proc/buddyinfo": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/buddyinfo") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

func FuzzBuddyinfo(f *testing.F) {
	f.Add([]byte("Node 0, zone      DMA      1      0      3"))
	f.Add([]byte("Node 0, zone"))
	f.Fuzz(func(t *testing.T, line []byte) {
		z, err := parseBuddyZone(line)
		if err == nil && (len(z.zone) == 0 || len(z.node) == 0 || !bytes.Contains(line, z.zone)) {
			t.Errorf("%q: %+v", line, z)
		}
	})
}
