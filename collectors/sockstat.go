package collectors

// Sockets by protocol, from /proc/net/sockstat and sockstat6 (kernel:
// net/ipv4/proc.c, net/ipv6/proc.c). Each is absent where its protocol is. `mem`
// is in pages, `memory` in bytes:
//
//	sockets: used 229
//	TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1
//	FRAG: inuse 0 memory 0
//	TCP6: inuse 17

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// sockstatFamilies are those of Linux 6.18; others are made when they are seen.
var sockstatFamilies = []*expo.Family{
	expo.Gauge("node_sockstat_sockets_used", "Sockets of all kinds that exist."),
	expo.Gauge("node_sockstat_TCP_inuse", "TCP sockets over IPv4 in a state other than closed."),
	expo.Gauge("node_sockstat_TCP_orphan", "TCP sockets that no process holds any more."),
	expo.Gauge("node_sockstat_TCP_tw", "TCP sockets that wait out TIME_WAIT."),
	expo.Gauge("node_sockstat_TCP_alloc", "TCP sockets that are allocated, in whatever state."),
	expo.Gauge("node_sockstat_TCP_mem", "Pages of memory that TCP's buffers take."),
	expo.Gauge("node_sockstat_TCP_mem_bytes", "Memory that TCP's buffers take."),
	expo.Gauge("node_sockstat_UDP_inuse", "UDP sockets over IPv4."),
	expo.Gauge("node_sockstat_UDP_mem", "Pages of memory that UDP's buffers take."),
	expo.Gauge("node_sockstat_UDP_mem_bytes", "Memory that UDP's buffers take."),
	expo.Gauge("node_sockstat_UDPLITE_inuse", "UDP-Lite sockets over IPv4."),
	expo.Gauge("node_sockstat_RAW_inuse", "Raw sockets over IPv4."),
	expo.Gauge("node_sockstat_FRAG_inuse", "IPv4 packets being put together from fragments."),
	expo.Gauge("node_sockstat_FRAG_memory", "Bytes of memory that IPv4 fragments take."),
	expo.Gauge("node_sockstat_TCP6_inuse", "TCP sockets over IPv6 in a state other than closed."),
	expo.Gauge("node_sockstat_UDP6_inuse", "UDP sockets over IPv6."),
	expo.Gauge("node_sockstat_UDPLITE6_inuse", "UDP-Lite sockets over IPv6."),
	expo.Gauge("node_sockstat_RAW6_inuse", "Raw sockets over IPv6."),
	expo.Gauge("node_sockstat_FRAG6_inuse", "IPv6 packets being put together from fragments."),
	expo.Gauge("node_sockstat_FRAG6_memory", "Bytes of memory that IPv6 fragments take."),
}

type sockstat struct {
	files    [2]*hostfs.File
	names    kernelNames
	key      []byte
	pageSize uint64
}

func newSockstat(c Config) (Collector, error) {
	return &sockstat{
		files: [2]*hostfs.File{c.FS.ProcFile("net/sockstat").Lines(256), c.FS.ProcFile("net/sockstat6").Lines(256)},
		names: kernelNames{family: func(key string) *expo.Family {
			name := expo.CleanName(key)
			if f := pickFamily(sockstatFamilies, "node_sockstat_"+name); f != nil {
				return f
			}
			return expo.Gauge("node_sockstat_"+name, "Number "+key+" of /proc/net/sockstat or sockstat6.")
		}},
		pageSize: uint64(os.Getpagesize()),
	}, nil
}

// Collect implements Collector.
func (s *sockstat) Collect(_ context.Context, w *expo.Writer) error {
	var failed []error
	gone := 0
	for _, f := range s.files {
		b, err := f.Read()
		if hostfs.Gone(err) {
			gone++
			continue
		}
		start := len(w.Bytes())
		if err == nil {
			err = s.collect(b, w)
		}
		if err != nil {
			w.Truncate(start)
			failed = append(failed, fmt.Errorf("%s: %w", f.Path(), err))
		}
	}
	if gone == len(s.files) {
		return fmt.Errorf("%w: neither IPv4 nor IPv6 here", ErrNoData)
	}
	return errors.Join(failed...)
}

func (s *sockstat) collect(b []byte, w *expo.Writer) error {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		if len(line) == 0 {
			continue
		}
		protocol, rest, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return fmt.Errorf("want a protocol and a colon in %.100q", line)
		}
		for {
			var name, number []byte
			name, rest = hostfs.NextField(rest)
			if len(name) == 0 {
				break
			}
			number, rest = hostfs.NextField(rest)
			n, err := hostfs.Int(number) // the kernel's sums of counters of CPUs may be below 0 for a moment
			if err != nil {
				return fmt.Errorf("%s in %.100q: %w", name, line, err)
			}
			w.Sample(s.family(protocol, name, ""), float64(n))
			if string(name) == "mem" {
				w.Sample(s.family(protocol, name, "_bytes"), float64(n)*float64(s.pageSize))
			}
		}
	}
	return nil
}

// family is that of TCP and mem, with _bytes or without.
func (s *sockstat) family(protocol, name []byte, unit string) *expo.Family {
	s.key = append(append(s.key[:0], protocol...), '_')
	s.key = append(append(s.key, name...), unit...)
	return s.names.get(s.key)
}
