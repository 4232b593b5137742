package collectors

// TCP sockets by state and what waits in their queues, IPv4 and IPv6 together,
// asked of the kernel by sock_diag(7).

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/netlink"
)

var tcpstatStates = expo.Gauge("node_tcp_connection_states",
	"TCP sockets in the state; rx_queued_bytes and tx_queued_bytes are bytes in all queues, to which each socket that listens adds the connections that wait and may wait to be accepted.", "state")

// tcpStateNames are the states of include/net/tcp_states.h, by number.
var tcpStateNames = [netlink.TCPStates]string{
	"unknown", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2",
	"time_wait", "close", "close_wait", "last_ack", "listen", "closing",
}

type tcpstat struct {
	ipv6    string // a file that is there where IPv6 is
	sockets netlink.Sockets
}

func newTCPStat(c Config) (Collector, error) { return &tcpstat{ipv6: c.FS.ProcPath("net/tcp6")}, nil }

// Collect implements Collector. States that no socket is in are left out.
func (t *tcpstat) Collect(_ context.Context, w *expo.Writer) error {
	all, err := t.sockets.TCP(unix.AF_INET)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return fmt.Errorf("%w: the kernel tells nothing of TCP sockets (CONFIG_INET_DIAG): %w", ErrNoData, err)
	}
	if err != nil {
		return fmt.Errorf("list of TCP sockets: %w", err)
	}
	if exists(t.ipv6) {
		six, err := t.sockets.TCP(unix.AF_INET6)
		if err != nil {
			return fmt.Errorf("list of TCP sockets over IPv6: %w", err)
		}
		for state, n := range six.States {
			all.States[state] += n
		}
		all.Receive += six.Receive
		all.Send += six.Send
	}
	some := false
	for state, n := range all.States {
		if n > 0 {
			some = true
			w.Uint(tcpstatStates, n, tcpStateNames[state])
		}
	}
	if some {
		w.Uint(tcpstatStates, all.Receive, "rx_queued_bytes")
		w.Uint(tcpstatStates, all.Send, "tx_queued_bytes")
	}
	return nil
}
