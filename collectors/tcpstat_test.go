package collectors

import (
	"errors"
	"net"
	"testing"
)

// A listening socket, a connection with bytes that nobody reads: both ends count.
func TestTCPStat(t *testing.T) {
	c := make1(t, "tcpstat", DefaultConfig())
	if _, err := renderErr(c); errors.Is(err, ErrNoData) {
		t.Skip(err)
	}
	before := values(t, render(t, c))
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const many = 50_000
	if _, err := conn.Write(make([]byte, many)); err != nil {
		t.Fatal(err)
	}
	after := values(t, render(t, c))
	for _, state := range []string{"established", "listen"} {
		if after[`node_tcp_connection_states{state="`+state+`"}`] < 1 {
			t.Errorf("none is in state %s", state)
		}
	}
	waiting := func(v map[string]float64) float64 {
		return v[`node_tcp_connection_states{state="rx_queued_bytes"}`] + v[`node_tcp_connection_states{state="tx_queued_bytes"}`]
	}
	if waiting(after) < many {
		t.Errorf("%v bytes wait, before %v, %d were written", waiting(after), waiting(before), many)
	}
}
