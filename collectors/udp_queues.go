package collectors

// What waits in the queues of UDP sockets, from /proc/net/udp and udp6 (kernel:
// net/ipv4/udp.c). Of each socket the fifth word is the bytes to be sent and the
// bytes received, in hex:
//
//	  sl  local_address rem_address   st tx_queue rx_queue tr tm->when ...
//	 315: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 ...

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var udpQueuesBytes = expo.Gauge("node_udp_queues", "Bytes that wait in the queues of all UDP sockets, by direction.", "queue", "ip")

type udpQueues struct{ files [2]udpFile }

type udpFile struct {
	ip   string
	file *hostfs.File
}

func newUDPQueues(c Config) (Collector, error) {
	return &udpQueues{[2]udpFile{{"v4", c.FS.ProcFile("net/udp").Lines(256)}, {"v6", c.FS.ProcFile("net/udp6").Lines(256)}}}, nil
}

// Collect implements Collector. A file that cannot be read does not cost the other.
func (u *udpQueues) Collect(_ context.Context, w *expo.Writer) error {
	var failed []error
	gone := 0
	for _, f := range u.files {
		b, err := f.file.Read()
		if hostfs.Gone(err) {
			gone++
			continue
		}
		var tx, rx uint64
		if err == nil {
			if tx, rx, err = parseUDPQueues(b); err != nil {
				err = fmt.Errorf("%s: %w", f.file.Path(), err)
			}
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		w.Uint(udpQueuesBytes, tx, "tx", f.ip)
		w.Uint(udpQueuesBytes, rx, "rx", f.ip)
	}
	if gone == len(u.files) {
		return fmt.Errorf("%w: no UDP here", ErrNoData)
	}
	return errors.Join(failed...)
}

// parseUDPQueues adds up the queues of all sockets.
func parseUDPQueues(b []byte) (tx, rx uint64, err error) {
	_, b = hostfs.NextLine(b) // the header
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		var field []byte
		rest := line
		for range 5 {
			field, rest = hostfs.NextField(rest)
		}
		if len(field) == 0 && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		sent, received, ok := bytes.Cut(field, []byte(":"))
		t, errT := hostfs.Hex(sent)
		r, errR := hostfs.Hex(received)
		if !ok || errT != nil || errR != nil {
			return 0, 0, fmt.Errorf("want the queues as two hexadecimal numbers in %.100q", line)
		}
		tx, rx = tx+t, rx+r
	}
	return tx, rx, nil
}
