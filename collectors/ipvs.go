package collectors

// The kernel's load balancer: totals from /proc/net/ip_vs_stats, all in hex
// (kernel: net/netfilter/ipvs/ip_vs_ctl.c),
//
//	   Total Incoming Outgoing         Incoming         Outgoing
//	   Conns  Packets  Packets            Bytes            Bytes
//	  3A98A1 2B0C51D0        0      4D2A9170F21                0
//
// and what stands behind each service, from /proc/net/ip_vs. A service is known by
// protocol, address and port in hex, or by a firewall mark; IPv6 addresses are in
// brackets.
//
//	Prot LocalAddress:Port Scheduler Flags
//	  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
//	TCP  0A000064:0050 wlc
//	  -> 0A000165:1F90      Masq    100    24         3
//	FWM  00000001 wlc

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// ipvsTotals are the families in the order of the file's columns.
var ipvsTotals = [...]*expo.Family{
	expo.Counter("node_ipvs_connections_total", "Connections made."),
	expo.Counter("node_ipvs_incoming_packets_total", "Packets from clients."),
	expo.Counter("node_ipvs_outgoing_packets_total", "Packets to clients."),
	expo.Counter("node_ipvs_incoming_bytes_total", "Bytes from clients."),
	expo.Counter("node_ipvs_outgoing_bytes_total", "Bytes to clients."),
}

// ipvsBackends are the families in the order of ipvsBackend.numbers.
var ipvsBackends = [...]*expo.Family{
	expo.Gauge("node_ipvs_backend_weight", "Weight of the backend.", "local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"),
	expo.Gauge("node_ipvs_backend_connections_active", "Connections of the backend that are established.", "local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"),
	expo.Gauge("node_ipvs_backend_connections_inactive", "Connections of the backend in another state.", "local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark"),
}

// DefaultIPVSBackendLabels are all labels that there are.
const DefaultIPVSBackendLabels = "local_address,local_port,remote_address,remote_port,proto,local_mark"

// IPVSConfig configures the ipvs collector.
type IPVSConfig struct {
	BackendLabels string // the labels of backends, with commas; what they do not tell apart is added up
}

type ipvs struct {
	stats, services *hostfs.File
	labels          []int // places in DefaultIPVSBackendLabels
	families        [len(ipvsBackends)]*expo.Family

	scrape  uint64
	known   map[string]*ipvsBackend // by what the file says of service and backend
	groups  map[string]*ipvsBackend // by their labels
	current []*ipvsBackend          // of this scrape
	key     []byte
}

// ipvsBackend is a backend, or several that have the same labels.
type ipvsBackend struct {
	labels  []string
	scrape  uint64 // the last in which it was there
	numbers [len(ipvsBackends)]uint64
}

// maxIPVSBackends bounds what is remembered; a host with more is read all the same.
const maxIPVSBackends = 1 << 16

func newIPVS(c Config) (Collector, error) {
	all := strings.Split(DefaultIPVSBackendLabels, ",")
	wanted := strings.Split(c.IPVS.BackendLabels, ",")
	i := &ipvs{stats: c.FS.ProcFile("net/ip_vs_stats"), services: c.FS.ProcFile("net/ip_vs")}
	var names []string
	for place, name := range all {
		if slices.Contains(wanted, name) {
			i.labels = append(i.labels, place)
			names = append(names, name)
		}
	}
	for _, name := range wanted {
		if name != "" && !slices.Contains(all, name) {
			return nil, fmt.Errorf("backends have no label %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	for n, f := range ipvsBackends {
		i.families[n] = f.Only(names...)
	}
	i.forget()
	return i, nil
}

func (i *ipvs) forget() {
	i.known, i.groups = make(map[string]*ipvsBackend), make(map[string]*ipvsBackend)
}

// Collect implements Collector.
func (i *ipvs) Collect(_ context.Context, w *expo.Writer) error {
	b, err := i.stats.Read()
	if err != nil {
		return absent(err)
	}
	totals, err := parseIPVSStats(b)
	if err != nil {
		return fmt.Errorf("%s: %w", i.stats.Path(), err)
	}
	for n, f := range ipvsTotals {
		w.Uint(f, totals[n])
	}
	if b, err = i.services.Read(); err != nil {
		if hostfs.Gone(err) {
			return nil
		}
		return err
	}
	if err := i.read(b); err != nil {
		return fmt.Errorf("%s: %w", i.services.Path(), err)
	}
	for n, f := range i.families {
		for _, backend := range i.current {
			w.Uint(f, backend.numbers[n], backend.labels...)
		}
	}
	return nil
}

// parseIPVSStats reads the totals, the first line of numbers.
func parseIPVSStats(b []byte) (totals [len(ipvsTotals)]uint64, err error) {
	_, b = hostfs.NextLine(b)
	_, b = hostfs.NextLine(b)
	line, _ := hostfs.NextLine(b)
	rest := line
	for n := range totals {
		var field []byte
		field, rest = hostfs.NextField(rest)
		if totals[n], err = hostfs.Hex(field); err != nil {
			return totals, fmt.Errorf("want %d numbers in %.100q: %w", len(totals), line, err)
		}
	}
	return totals, nil
}

// read gathers the backends.
func (i *ipvs) read(b []byte) error {
	i.scrape++
	i.current = i.current[:0]
	if len(i.known) > maxIPVSBackends {
		i.forget()
	}
	const headers = 3
	for range headers {
		_, b = hostfs.NextLine(b)
	}
	var service []byte // its line up to its address
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		first, rest := hostfs.NextField(line)
		address, rest := hostfs.NextField(rest)
		switch {
		case len(first) == 0:
			continue
		case len(address) == 0:
			return fmt.Errorf("want an address or mark in %.100q", line)
		case string(first) != "->":
			service = line[:len(line)-len(rest)]
			continue
		case service == nil:
			return fmt.Errorf("a backend before any service: %.100q", line)
		}
		var numbers [len(ipvsBackends)]uint64
		_, rest = hostfs.NextField(rest) // how packets are forwarded
		for n := range numbers {
			var field []byte
			var err error
			field, rest = hostfs.NextField(rest)
			if numbers[n], err = hostfs.Uint(field); err != nil {
				return fmt.Errorf("backend %.100q: %w", line, err)
			}
		}
		backend, err := i.backend(service, address)
		if err != nil {
			return err
		}
		if backend.scrape != i.scrape {
			backend.scrape, backend.numbers = i.scrape, [len(ipvsBackends)]uint64{}
			i.current = append(i.current, backend)
		}
		for n := range numbers {
			backend.numbers[n] += numbers[n]
		}
	}
	return nil
}

// backend is the one with the labels of a service and an address.
func (i *ipvs) backend(service, address []byte) (*ipvsBackend, error) {
	i.key = append(append(append(i.key[:0], service...), '>'), address...)
	if b, ok := i.known[string(i.key)]; ok {
		return b, nil
	}
	all, err := ipvsLabels(service, address)
	if err != nil {
		return nil, err
	}
	b := &ipvsBackend{}
	for _, place := range i.labels {
		b.labels = append(b.labels, all[place])
	}
	group := strings.Join(b.labels, "\x00")
	if g, ok := i.groups[group]; ok {
		b = g
	}
	i.known[string(i.key)], i.groups[group] = b, b
	return b, nil
}

// ipvsLabels are the values of all labels, in the order of DefaultIPVSBackendLabels.
func ipvsLabels(service, address []byte) ([6]string, error) {
	var localAddress, mark string
	localPort := "0"
	proto, rest := hostfs.NextField(service)
	local, _ := hostfs.NextField(rest)
	var err error
	if string(proto) == "FWM" {
		mark = string(local)
	} else if localAddress, localPort, err = ipvsAddress(local); err != nil {
		return [6]string{}, err
	}
	remoteAddress, remotePort, err := ipvsAddress(address)
	return [6]string{localAddress, localPort, remoteAddress, remotePort, string(proto), mark}, err
}

var errIPVSAddress = errors.New("want 0A000001:0050 or [fd00::1]:0050")

// ipvsAddress reads an address and a port.
func ipvsAddress(b []byte) (address, port string, err error) {
	at := bytes.LastIndexByte(b, ':')
	if at < 0 {
		return "", "", fmt.Errorf("address %.60q: %w", b, errIPVSAddress)
	}
	n, err := hostfs.Hex(b[at+1:])
	if err != nil || n > 65535 {
		return "", "", fmt.Errorf("address %.60q: %w", b, errIPVSAddress)
	}
	host := b[:at]
	var ip netip.Addr
	if len(host) == 8 {
		var raw [4]byte
		if _, err = hex.Decode(raw[:], host); err == nil {
			ip = netip.AddrFrom4(raw)
		}
	} else if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		ip, err = netip.ParseAddr(string(host[1 : len(host)-1]))
	}
	if err != nil || !ip.IsValid() || ip.Zone() != "" {
		return "", "", fmt.Errorf("address %.60q: %w", b, errIPVSAddress)
	}
	return ip.Unmap().String(), strconv.FormatUint(n, 10), nil
}
