package collectors

// Fibre Channel host ports, from /sys/class/fc_host (kernel:
// drivers/scsi/scsi_transport_fc.c, Documentation/ABI/testing/sysfs-class-fc_host):
// a file for each property, and in the folder statistics one for each counter, in
// hexadecimal. All bits set is a counter that the adapter does not have:
//
//	/sys/class/fc_host/host0/port_name               0x1000e0071bce95f2
//	/sys/class/fc_host/host0/statistics/tx_frames    0x5

import (
	"context"
	"math"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var fibrechannelInfo = expo.Gauge("node_fibrechannel_info", "What the port is, what it is connected to and how; always 1.",
	"fc_host", "speed", "port_state", "port_type", "port_id", "port_name", "fabric_name", "symbolic_name", "supported_classes", "supported_speeds", "dev_loss_tmo")

// fibrechannelFamilies are the files of statistics.
var fibrechannelFamilies = [...]struct {
	file   string
	family *expo.Family
}{
	{"dumped_frames", expo.Counter("node_fibrechannel_dumped_frames_total", "Frames dropped for want of room.", "fc_host")},
	{"error_frames", expo.Counter("node_fibrechannel_error_frames_total", "Frames with an error.", "fc_host")},
	{"fcp_packet_aborts", expo.Counter("node_fibrechannel_fcp_packet_aborts_total", "SCSI commands given up.", "fc_host")},
	{"invalid_crc_count", expo.Counter("node_fibrechannel_invalid_crc_total", "Frames whose checksum was wrong.", "fc_host")},
	{"invalid_tx_word_count", expo.Counter("node_fibrechannel_invalid_tx_words_total", "Transmission words that were not valid.", "fc_host")},
	{"link_failure_count", expo.Counter("node_fibrechannel_link_failure_total", "Times that the link failed.", "fc_host")},
	{"loss_of_signal_count", expo.Counter("node_fibrechannel_loss_of_signal_total", "Times that the signal was lost.", "fc_host")},
	{"loss_of_sync_count", expo.Counter("node_fibrechannel_loss_of_sync_total", "Times that synchronization was lost.", "fc_host")},
	{"nos_count", expo.Counter("node_fibrechannel_nos_total", "Not-operational sequences received.", "fc_host")},
	{"rx_frames", expo.Counter("node_fibrechannel_rx_frames_total", "Frames received.", "fc_host")},
	{"rx_words", expo.Counter("node_fibrechannel_rx_words_total", "Words received.", "fc_host")},
	{"seconds_since_last_reset", expo.Counter("node_fibrechannel_seconds_since_last_reset_total", "Seconds since the statistics were reset.", "fc_host")},
	{"tx_frames", expo.Counter("node_fibrechannel_tx_frames_total", "Frames sent.", "fc_host")},
	{"tx_words", expo.Counter("node_fibrechannel_tx_words_total", "Words sent.", "fc_host")},
}

type fibrechannel struct{ class string }

func newFibrechannel(c Config) (Collector, error) {
	return fibrechannel{c.FS.SysPath("class/fc_host")}, nil
}

// Collect implements Collector.
func (c fibrechannel) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(c.class)
	if err != nil {
		return absent(err)
	}
	var failed faults
	var ports []fcPort
	for _, name := range names {
		d := sysFolder{path: c.class + "/" + name}
		p := fcPort{info: []string{name, d.text("speed"), d.text("port_state"), d.text("port_type"),
			fcName(d.text("port_id")), fcName(d.text("port_name")), fcName(d.text("fabric_name")),
			d.text("symbolic_name"), d.text("supported_classes"), d.text("supported_speeds"), d.text("dev_loss_tmo")}}
		for i, f := range fibrechannelFamilies {
			if p.v[i] = d.number("statistics/" + f.file); p.v[i] == math.MaxUint64 {
				p.v[i] = math.NaN()
			}
		}
		failed.add(d.err)
		if d.there() {
			ports = append(ports, p)
		}
	}
	for _, p := range ports {
		w.Sample(fibrechannelInfo, 1, p.info...)
	}
	for i, f := range fibrechannelFamilies {
		for _, p := range ports {
			tell(w, f.family, p.v[i], p.info[0])
		}
	}
	return failed.err()
}

// fcPort is a port and its counters, NaN where it does not have one.
type fcPort struct {
	info []string // the labels of fibrechannelInfo
	v    [len(fibrechannelFamilies)]float64
}

// fcName is a name or address as it is told, without 0x.
func fcName(s string) string { return strings.TrimPrefix(s, "0x") }
