package collectors

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

const (
	sockstat4Text = "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 3\nUDP: inuse 0 mem 0\nFRAG: inuse 0 memory 5\n"
	sockstat6Text = "TCP6: inuse 17\nFRAG6: inuse 0 memory 0\n"
)

func TestSockstat(t *testing.T) {
	want4 := fmt.Sprintf(`# TYPE node_sockstat_sockets_used gauge
node_sockstat_sockets_used 229
# TYPE node_sockstat_TCP_inuse gauge
node_sockstat_TCP_inuse 4
# TYPE node_sockstat_TCP_orphan gauge
node_sockstat_TCP_orphan 0
# TYPE node_sockstat_TCP_tw gauge
node_sockstat_TCP_tw 4
# TYPE node_sockstat_TCP_alloc gauge
node_sockstat_TCP_alloc 17
# TYPE node_sockstat_TCP_mem gauge
node_sockstat_TCP_mem 3
# TYPE node_sockstat_TCP_mem_bytes gauge
node_sockstat_TCP_mem_bytes %d
# TYPE node_sockstat_UDP_inuse gauge
node_sockstat_UDP_inuse 0
# TYPE node_sockstat_UDP_mem gauge
node_sockstat_UDP_mem 0
# TYPE node_sockstat_UDP_mem_bytes gauge
node_sockstat_UDP_mem_bytes 0
# TYPE node_sockstat_FRAG_inuse gauge
node_sockstat_FRAG_inuse 0
# TYPE node_sockstat_FRAG_memory gauge
node_sockstat_FRAG_memory 5
`, 3*os.Getpagesize())
	want6 := `# TYPE node_sockstat_TCP6_inuse gauge
node_sockstat_TCP6_inuse 17
# TYPE node_sockstat_FRAG6_inuse gauge
node_sockstat_FRAG6_inuse 0
# TYPE node_sockstat_FRAG6_memory gauge
node_sockstat_FRAG6_memory 0
`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"both", map[string]string{"proc/net/sockstat": sockstat4Text, "proc/net/sockstat6": sockstat6Text}, want4 + want6},
		{"no IPv6", map[string]string{"proc/net/sockstat": sockstat4Text}, want4},
		{"no IPv4", map[string]string{"proc/net/sockstat6": sockstat6Text}, want6},
		{"of a later kernel", map[string]string{"proc/net/sockstat": "QUIC: inuse 1 warm-ups 2\n"},
			"# TYPE node_sockstat_QUIC_inuse gauge\nnode_sockstat_QUIC_inuse 1\n# TYPE node_sockstat_QUIC_warm_ups gauge\nnode_sockstat_QUIC_warm_ups 2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, render(t, make1(t, "sockstat", on(tree(t, c.files)))), c.want)
		})
	}
}

// A file that cannot be read is named and does not cost the other.
func TestSockstatBad(t *testing.T) {
	for _, bad := range []string{"TCP inuse 4", "TCP: inuse", "TCP: inuse 4 orphan x", "TCP: inuse 4\nUDP: mem 1.5"} {
		fs := tree(t, map[string]string{"proc/net/sockstat": bad, "proc/net/sockstat6": "TCP6: inuse 17\n"})
		text, err := renderErr(make1(t, "sockstat", on(fs)))
		if err == nil || errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "proc/net/sockstat:") {
			t.Errorf("%q: %v", bad, err)
		}
		same(t, text, "# TYPE node_sockstat_TCP6_inuse gauge\nnode_sockstat_TCP6_inuse 17\n")
	}
}

// Sockets that the test opens are counted.
func TestSockstatLive(t *testing.T) {
	c := make1(t, "sockstat", on(hostfs.Default))
	before := values(t, render(t, c))
	const opened = 50
	for range opened {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	after := values(t, render(t, c))
	const name = "node_sockstat_TCP_inuse"
	if d := after[name] - before[name]; d < opened/2 {
		t.Errorf("%s grew by %v when %d were opened", name, d, opened)
	}
}

func FuzzSockstat(f *testing.F) {
	f.Add([]byte(sockstat4Text))
	f.Add([]byte(sockstat6Text))
	f.Add([]byte("TCP:\n: a 1"))
	s, _ := newSockstat(DefaultConfig())
	f.Fuzz(func(t *testing.T, b []byte) {
		var w expo.Writer
		if s.(*sockstat).collect(b, &w) != nil {
			return
		}
		sc := expo.NewScanner(w.Bytes())
		for sc.Next() {
		}
		if sc.Err() != nil {
			t.Errorf("%q: said %q: %v", b, w.Bytes(), sc.Err())
		}
	})
}
