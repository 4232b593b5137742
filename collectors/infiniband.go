package collectors

// Ports of InfiniBand and RoCE adapters, from /sys/class/infiniband (kernel:
// Documentation/ABI/stable/sysfs-class-infiniband; hw_counters are the driver's,
// here those of mlx5):
//
//	mlx5_0/fw_ver:                          16.35.2000
//	mlx5_0/ports/1/state:                   4: ACTIVE
//	mlx5_0/ports/1/rate:                    100 Gb/sec (4X EDR)
//	mlx5_0/ports/1/counters/port_rcv_data:  4631917       in words of 4 bytes

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	infinibandInfo  = expo.Gauge("node_infiniband_info", "What an adapter is; always 1.", "board_id", "device", "firmware_version", "hca_type")
	infinibandState = expo.Gauge("node_infiniband_state_id", "State of a port: 0 no change, 1 down, 2 initialising, 3 armed, 4 active, 5 active but deferred.", "device", "port")
	infinibandPhys  = expo.Gauge("node_infiniband_physical_state_id", "Physical state of a port: 0 no change, 1 asleep, 2 polling, 3 disabled, 4 training, 5 up, 6 recovering from an error, 7 in a test.", "device", "port")
	infinibandRate  = expo.Gauge("node_infiniband_rate_bytes_per_second", "Highest rate of a port.", "device", "port")
)

// InfinibandConfig configures the infiniband collector: regular expressions of the
// adapters to show, or to leave out.
type InfinibandConfig struct {
	DeviceInclude, DeviceExclude string
}

var (
	words        = conversion{times: 4}
	milliseconds = conversion{per: 1000}
)

// infinibandAttributes are the counters of a port. Those of counters_ext were
// merged into counters in Linux 4.5.
var infinibandAttributes = []attribute{
	{"counters_ext/port_multicast_rcv_packets", expo.Counter("node_infiniband_legacy_multicast_packets_received_total", "Multicast packets received, by the counter of kernels before 4.5.", "device", "port"), conversion{}},
	{"counters_ext/port_multicast_xmit_packets", expo.Counter("node_infiniband_legacy_multicast_packets_transmitted_total", "Multicast packets sent, by the counter of kernels before 4.5.", "device", "port"), conversion{}},
	{"counters_ext/port_rcv_data_64", expo.Counter("node_infiniband_legacy_data_received_bytes_total", "Bytes received, by the counter of kernels before 4.5.", "device", "port"), words},
	{"counters_ext/port_rcv_packets_64", expo.Counter("node_infiniband_legacy_packets_received_total", "Packets received, by the counter of kernels before 4.5.", "device", "port"), conversion{}},
	{"counters_ext/port_unicast_rcv_packets", expo.Counter("node_infiniband_legacy_unicast_packets_received_total", "Unicast packets received, by the counter of kernels before 4.5.", "device", "port"), conversion{}},
	{"counters_ext/port_unicast_xmit_packets", expo.Counter("node_infiniband_legacy_unicast_packets_transmitted_total", "Unicast packets sent, by the counter of kernels before 4.5.", "device", "port"), conversion{}},
	{"counters_ext/port_xmit_data_64", expo.Counter("node_infiniband_legacy_data_transmitted_bytes_total", "Bytes sent, by the counter of kernels before 4.5.", "device", "port"), words},
	{"counters_ext/port_xmit_packets_64", expo.Counter("node_infiniband_legacy_packets_transmitted_total", "Packets sent, by the counter of kernels before 4.5.", "device", "port"), conversion{}},
	{"counters/excessive_buffer_overrun_errors", expo.Counter("node_infiniband_excessive_buffer_overrun_errors_total", "Times that buffers overran in more flow control periods in a row than the port tolerates.", "device", "port"), conversion{}},
	{"counters/link_downed", expo.Counter("node_infiniband_link_downed_total", "Times that the link went down because it did not recover from an error.", "device", "port"), conversion{}},
	{"counters/link_error_recovery", expo.Counter("node_infiniband_link_error_recovery_total", "Times that the link recovered from an error.", "device", "port"), conversion{}},
	{"counters/local_link_integrity_errors", expo.Counter("node_infiniband_local_link_integrity_errors_total", "Times that local physical errors passed the port's threshold.", "device", "port"), conversion{}},
	{"counters/multicast_rcv_packets", expo.Counter("node_infiniband_multicast_packets_received_total", "Multicast packets received, those with errors too.", "device", "port"), conversion{}},
	{"counters/multicast_xmit_packets", expo.Counter("node_infiniband_multicast_packets_transmitted_total", "Multicast packets sent, those with errors too.", "device", "port"), conversion{}},
	{"counters/port_rcv_constraint_errors", expo.Counter("node_infiniband_port_constraint_errors_received_total", "Packets received that the port refused: wrong partition or raw packets that are filtered.", "device", "port"), conversion{}},
	{"counters/port_xmit_constraint_errors", expo.Counter("node_infiniband_port_constraint_errors_transmitted_total", "Packets not sent because the port refused them: wrong partition or raw packets that are filtered.", "device", "port"), conversion{}},
	{"counters/port_rcv_data", expo.Counter("node_infiniband_port_data_received_bytes_total", "Bytes received on all virtual lanes.", "device", "port"), words},
	{"counters/port_xmit_data", expo.Counter("node_infiniband_port_data_transmitted_bytes_total", "Bytes sent on all virtual lanes.", "device", "port"), words},
	{"counters/port_rcv_discards", expo.Counter("node_infiniband_port_discards_received_total", "Packets received and dropped because the port was down or congested.", "device", "port"), conversion{}},
	{"counters/port_xmit_discards", expo.Counter("node_infiniband_port_discards_transmitted_total", "Packets to be sent and dropped because the port was down or congested.", "device", "port"), conversion{}},
	{"counters/port_rcv_errors", expo.Counter("node_infiniband_port_errors_received_total", "Packets received with an error.", "device", "port"), conversion{}},
	{"counters/port_rcv_packets", expo.Counter("node_infiniband_port_packets_received_total", "Packets received on all virtual lanes, those with errors too.", "device", "port"), conversion{}},
	{"counters/port_xmit_packets", expo.Counter("node_infiniband_port_packets_transmitted_total", "Packets sent on all virtual lanes, those with errors too.", "device", "port"), conversion{}},
	{"counters/port_xmit_wait", expo.Counter("node_infiniband_port_transmit_wait_total", "Ticks in which the port had data to send and could send none.", "device", "port"), conversion{}},
	{"counters/unicast_rcv_packets", expo.Counter("node_infiniband_unicast_packets_received_total", "Unicast packets received, those with errors too.", "device", "port"), conversion{}},
	{"counters/unicast_xmit_packets", expo.Counter("node_infiniband_unicast_packets_transmitted_total", "Unicast packets sent, those with errors too.", "device", "port"), conversion{}},
	{"counters/port_rcv_remote_physical_errors", expo.Counter("node_infiniband_port_receive_remote_physical_errors_total", "Packets received that an earlier hop had marked as bad.", "device", "port"), conversion{}},
	{"counters/port_rcv_switch_relay_errors", expo.Counter("node_infiniband_port_receive_switch_relay_errors_total", "Packets received that the switch could not forward.", "device", "port"), conversion{}},
	{"counters/symbol_error", expo.Counter("node_infiniband_symbol_error_total", "Small errors on the lanes of the link.", "device", "port"), conversion{}},
	{"counters/VL15_dropped", expo.Counter("node_infiniband_vl15_dropped_total", "Management packets (virtual lane 15) dropped for want of buffers.", "device", "port"), conversion{}},
	{"hw_counters/duplicate_request", expo.Counter("node_infiniband_duplicate_requests_packets_total", "Requests received that had been carried out before.", "device", "port"), conversion{}},
	{"hw_counters/implied_nak_seq_err", expo.Counter("node_infiniband_implied_nak_seq_errors_total", "Answers received with a later sequence number than expected, by which the one expected is lost.", "device", "port"), conversion{}},
	{"hw_counters/lifespan", expo.Gauge("node_infiniband_lifespan_seconds", "How long the adapter may answer with the same values of its counters.", "device", "port"), milliseconds},
	{"hw_counters/local_ack_timeout_err", expo.Counter("node_infiniband_local_ack_timeout_errors_total", "Times that a sender waited for an acknowledgement too long and tried again.", "device", "port"), conversion{}},
	{"hw_counters/np_cnp_sent", expo.Counter("node_infiniband_np_cnp_packets_sent_total", "Congestion notifications sent because marked packets arrived.", "device", "port"), conversion{}},
	{"hw_counters/np_ecn_marked_roce_packets", expo.Counter("node_infiniband_np_ecn_marked_roce_packets_received_total", "RoCEv2 packets received that were marked for congestion on their way.", "device", "port"), conversion{}},
	{"hw_counters/out_of_buffer", expo.Counter("node_infiniband_out_of_buffer_drops_total", "Packets dropped because a queue pair had no receive buffer ready.", "device", "port"), conversion{}},
	{"hw_counters/out_of_sequence", expo.Counter("node_infiniband_out_of_sequence_packets_received_total", "Packets received out of order.", "device", "port"), conversion{}},
	{"hw_counters/packet_seq_err", expo.Counter("node_infiniband_packet_sequence_errors_total", "Refusals received because packets arrived out of order, after which it was tried again.", "device", "port"), conversion{}},
	{"hw_counters/req_cqe_error", expo.Counter("node_infiniband_req_cqes_errors_total", "Requests that completed with an error at the sender.", "device", "port"), conversion{}},
	{"hw_counters/req_cqe_flush_error", expo.Counter("node_infiniband_req_cqes_flush_errors_total", "Requests that completed at the sender because their queue was flushed.", "device", "port"), conversion{}},
	{"hw_counters/req_remote_access_errors", expo.Counter("node_infiniband_req_remote_access_errors_total", "Requests for which the sender learnt that the other side denied access.", "device", "port"), conversion{}},
	{"hw_counters/req_remote_invalid_request", expo.Counter("node_infiniband_req_remote_invalid_request_errors_total", "Requests for which the sender learnt that the other side took them as invalid.", "device", "port"), conversion{}},
	{"hw_counters/resp_cqe_error", expo.Counter("node_infiniband_resp_cqes_errors_total", "Requests that completed with an error at the receiver.", "device", "port"), conversion{}},
	{"hw_counters/resp_cqe_flush_error", expo.Counter("node_infiniband_resp_cqes_flush_errors_total", "Requests that completed at the receiver because their queue was flushed.", "device", "port"), conversion{}},
	{"hw_counters/resp_local_length_error", expo.Counter("node_infiniband_resp_local_length_errors_total", "Requests of a wrong length found by the receiver.", "device", "port"), conversion{}},
	{"hw_counters/resp_remote_access_errors", expo.Counter("node_infiniband_resp_remote_access_errors_total", "Requests to which the receiver denied access.", "device", "port"), conversion{}},
	{"hw_counters/rnr_nak_retry_err", expo.Counter("node_infiniband_rnr_nak_retry_packets_received_total", "Refusals received because the receiver was not ready, after which it was tried again.", "device", "port"), conversion{}},
	{"hw_counters/roce_adp_retrans", expo.Counter("node_infiniband_roce_adp_retransmits_total", "Adaptive retransmissions of RoCE traffic.", "device", "port"), conversion{}},
	{"hw_counters/roce_adp_retrans_to", expo.Counter("node_infiniband_roce_adp_retransmits_timeout_total", "Times that adaptive retransmission of RoCE traffic ran into its timeout.", "device", "port"), conversion{}},
	{"hw_counters/roce_slow_restart", expo.Counter("node_infiniband_roce_slow_restart_used_total", "Times that RoCE slow restart was used.", "device", "port"), conversion{}},
	{"hw_counters/roce_slow_restart_cnps", expo.Counter("node_infiniband_roce_slow_restart_cnps_total", "Congestion notifications that RoCE slow restart made.", "device", "port"), conversion{}},
	{"hw_counters/roce_slow_restart_trans", expo.Counter("node_infiniband_roce_slow_restart_total", "Times that RoCE went into slow restart.", "device", "port"), conversion{}},
	{"hw_counters/rp_cnp_handled", expo.Counter("node_infiniband_rp_cnp_packets_handled_total", "Congestion notifications received and obeyed by sending slower.", "device", "port"), conversion{}},
	{"hw_counters/rp_cnp_ignored", expo.Counter("node_infiniband_rp_cnp_ignored_packets_received_total", "Congestion notifications received and not obeyed.", "device", "port"), conversion{}},
	{"hw_counters/rx_atomic_requests", expo.Counter("node_infiniband_rx_atomic_requests_total", "Atomic requests received.", "device", "port"), conversion{}},
	{"hw_counters/rx_dct_connect", expo.Counter("node_infiniband_rx_dct_connect_requests_total", "Connection requests received for dynamically connected transports.", "device", "port"), conversion{}},
	{"hw_counters/rx_read_requests", expo.Counter("node_infiniband_rx_read_requests_total", "Read requests received.", "device", "port"), conversion{}},
	{"hw_counters/rx_write_requests", expo.Counter("node_infiniband_rx_write_requests_total", "Write requests received.", "device", "port"), conversion{}},
	{"hw_counters/rx_icrc_encapsulated", expo.Counter("node_infiniband_rx_icrc_encapsulated_errors_total", "RoCE packets received whose invariant checksum is wrong.", "device", "port"), conversion{}},
}

type infiniband struct {
	deviceClass
	dir    string
	filter *Filter
	infos  []textRow
	ports  []infinibandPort
}

type infinibandPort struct {
	device, port      string
	state, phys, rate *hostfs.File
}

// infinibandTexts are the files of the labels of infinibandInfo, but for the device.
var infinibandTexts = [...]string{"board_id", "fw_ver", "hca_type"}

func newInfiniband(c Config) (Collector, error) {
	filter, err := NewEitherFilter("infiniband devices", c.Infiniband.DeviceInclude, c.Infiniband.DeviceExclude)
	if err != nil {
		return nil, err
	}
	i := &infiniband{deviceClass: newDeviceClass(infinibandAttributes), dir: c.FS.SysPath("class/infiniband"), filter: filter}
	i.list = i.listDevices
	return i, nil
}

// Collect implements Collector.
func (i *infiniband) Collect(_ context.Context, w *expo.Writer) error {
	if err := i.refresh(); err != nil {
		return absent(err)
	}
	var failed failures
	for n := range i.infos {
		if r := &i.infos[n]; r.read(&failed) {
			w.Sample(infinibandInfo, 1, r.texts[0], r.device, r.texts[1], r.texts[2])
		} else {
			i.stale = true
		}
	}
	for _, p := range i.ports {
		i.writeText(w, infinibandState, p, p.state, parseInfinibandState, &failed)
	}
	for _, p := range i.ports {
		i.writeText(w, infinibandPhys, p, p.phys, parseInfinibandState, &failed)
	}
	for _, p := range i.ports {
		i.writeText(w, infinibandRate, p, p.rate, parseInfinibandRate, &failed)
	}
	i.write(w, &failed)
	return failed.err()
}

// writeText writes a number that stands in a text.
func (i *infiniband) writeText(w *expo.Writer, family *expo.Family, p infinibandPort, f *hostfs.File, parse func([]byte) (float64, error), failed *failures) {
	b, err := f.Read()
	switch {
	case noValue(err):
		return
	case hostfs.Gone(err):
		i.stale = true
		return
	case err != nil:
		failed.add(err)
		return
	}
	v, err := parse(b)
	if err != nil {
		failed.add(fmt.Errorf("%s: %w", f.Path(), err))
		return
	}
	w.Sample(family, v, p.device, p.port)
}

func (i *infiniband) listDevices() error {
	for n := range i.infos {
		i.infos[n].close()
	}
	for _, p := range i.ports {
		p.state.Close()
		p.phys.Close()
		p.rate.Close()
	}
	i.infos, i.ports = i.infos[:0], i.ports[:0]
	devices, err := hostfs.ReadDirNames(i.dir)
	if err != nil {
		return err
	}
	for _, device := range devices {
		if !i.filter.Keep(device) {
			continue
		}
		i.infos = append(i.infos, newTextRow(i.dir, device, infinibandTexts[:]))
		ports, err := hostfs.ReadDirNames(i.dir + "/" + device + "/ports")
		if err != nil {
			continue // an adapter on its way out
		}
		for _, port := range ports {
			if !isNumber(port) {
				continue
			}
			dir := i.dir + "/" + device + "/ports/" + port
			i.ports = append(i.ports, infinibandPort{
				device, port, hostfs.NewFile(dir + "/state"), hostfs.NewFile(dir + "/phys_state"), hostfs.NewFile(dir + "/rate"),
			})
			i.add(dir, device, port)
		}
	}
	return nil
}

// parseInfinibandState is the number of a state such as "4: ACTIVE".
func parseInfinibandState(b []byte) (float64, error) {
	number, _, ok := strings.Cut(strings.TrimSpace(string(b)), ":")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil {
		return 0, fmt.Errorf("want a number and a name in %.40q", b)
	}
	return float64(n), nil
}

// parseInfinibandRate is a rate such as "2.5 Gb/sec (1X SDR)", in bytes a second.
func parseInfinibandRate(b []byte) (float64, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n < math.MaxInt32) || !strings.HasPrefix(unit, "Gb/sec") {
		return 0, fmt.Errorf("%.40q is not a rate in Gb/sec", b)
	}
	return n * 1e9 / 8, nil
}
