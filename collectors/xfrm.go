package collectors

// Errors of IPsec, from /proc/net/xfrm_stat (kernel:
// Documentation/networking/xfrm_proc.rst), a name and a number on each line:
//
//	XfrmInError             	0

import (
	"context"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// xfrmFamilies are the families by the names that the kernel has for them.
var xfrmFamilies = map[string]*expo.Family{
	"XfrmInError":             expo.Counter("node_xfrm_in_error_packets_total", "Packets received with an error that has no counter of its own."),
	"XfrmInBufferError":       expo.Counter("node_xfrm_in_buffer_error_packets_total", "Packets received for which there was no buffer."),
	"XfrmInHdrError":          expo.Counter("node_xfrm_in_hdr_error_packets_total", "Packets received with a bad header."),
	"XfrmInNoStates":          expo.Counter("node_xfrm_in_no_states_packets_total", "Packets received for which no security association is known: SPI, address or protocol is wrong."),
	"XfrmInStateProtoError":   expo.Counter("node_xfrm_in_state_proto_error_packets_total", "Packets received that could not be decrypted or authenticated, as with a wrong key."),
	"XfrmInStateModeError":    expo.Counter("node_xfrm_in_state_mode_error_packets_total", "Packets received that do not fit the mode, tunnel or transport."),
	"XfrmInStateSeqError":     expo.Counter("node_xfrm_in_state_seq_error_packets_total", "Packets received whose sequence number is outside of the window."),
	"XfrmInStateExpired":      expo.Counter("node_xfrm_in_state_expired_packets_total", "Packets received for a security association that has expired."),
	"XfrmInStateMismatch":     expo.Counter("node_xfrm_in_state_mismatch_packets_total", "Packets received whose security association has other options, such as UDP encapsulation."),
	"XfrmInStateInvalid":      expo.Counter("node_xfrm_in_state_invalid_packets_total", "Packets received for a security association that is not valid."),
	"XfrmInTmplMismatch":      expo.Counter("node_xfrm_in_tmpl_mismatch_packets_total", "Packets received whose security association does not fit the template of the policy."),
	"XfrmInNoPols":            expo.Counter("node_xfrm_in_no_pols_packets_total", "Packets received for which there is no policy."),
	"XfrmInPolBlock":          expo.Counter("node_xfrm_in_pol_block_packets_total", "Packets received that a policy forbids."),
	"XfrmInPolError":          expo.Counter("node_xfrm_in_pol_error_packets_total", "Packets received that met an error in the policies."),
	"XfrmOutError":            expo.Counter("node_xfrm_out_error_packets_total", "Packets to send with an error that has no counter of its own."),
	"XfrmOutBundleGenError":   expo.Counter("node_xfrm_out_bundle_gen_error_packets_total", "Packets to send for which no bundle of transformations could be made."),
	"XfrmOutBundleCheckError": expo.Counter("node_xfrm_out_bundle_check_error_packets_total", "Packets to send whose bundle of transformations was no longer valid."),
	"XfrmOutNoStates":         expo.Counter("node_xfrm_out_no_states_packets_total", "Packets to send for which there is no security association."),
	"XfrmOutStateProtoError":  expo.Counter("node_xfrm_out_state_proto_error_packets_total", "Packets to send that could not be encrypted or signed."),
	"XfrmOutStateModeError":   expo.Counter("node_xfrm_out_state_mode_error_packets_total", "Packets to send that do not fit the mode, tunnel or transport."),
	"XfrmOutStateSeqError":    expo.Counter("node_xfrm_out_state_seq_error_packets_total", "Packets to send for which the sequence numbers had run out."),
	"XfrmOutStateExpired":     expo.Counter("node_xfrm_out_state_expired_packets_total", "Packets to send by a security association that has expired."),
	"XfrmOutPolBlock":         expo.Counter("node_xfrm_out_pol_block_packets_total", "Packets to send that a policy forbids."),
	"XfrmOutPolDead":          expo.Counter("node_xfrm_out_pol_dead_packets_total", "Packets to send by a policy that is dead."),
	"XfrmOutPolError":         expo.Counter("node_xfrm_out_pol_error_packets_total", "Packets to send that met an error in the policies."),
	"XfrmFwdHdrError":         expo.Counter("node_xfrm_fwd_hdr_error_packets_total", "Packets that may not be forwarded."),
	"XfrmOutStateInvalid":     expo.Counter("node_xfrm_out_state_invalid_packets_total", "Packets to send by a security association that is not valid."),
	"XfrmAcquireError":        expo.Counter("node_xfrm_acquire_error_packets_total", "Packets to send by a security association that was not complete yet."),
	"XfrmOutStateDirError":    expo.Counter("node_xfrm_out_state_dir_error_packets_total", "Packets to send by a security association that is for receiving."),
	"XfrmInStateDirError":     expo.Counter("node_xfrm_in_state_dir_error_packets_total", "Packets received for a security association that is for sending."),
	"XfrmInIptfsError":        expo.Counter("node_xfrm_in_iptfs_error_packets_total", "Packets received with an error of IP-TFS (RFC 9347)."),
	"XfrmOutNoQueueSpace":     expo.Counter("node_xfrm_out_no_queue_space_packets_total", "Packets to send for which the queue of IP-TFS had no room."),
}

type xfrm struct{ file *hostfs.File }

func newXfrm(c Config) (Collector, error) { return xfrm{c.FS.ProcFile("net/xfrm_stat")}, nil }

// Collect implements Collector. Counters of kernels to come are passed over.
func (x xfrm) Collect(_ context.Context, w *expo.Writer) error {
	b, err := x.file.Read()
	if err != nil {
		return absent(err)
	}
	start := len(w.Bytes())
	if err := collectXfrm(b, w); err != nil {
		w.Truncate(start)
		return fmt.Errorf("%s: %w", x.file.Path(), err)
	}
	return nil
}

func collectXfrm(b []byte, w *expo.Writer) error {
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		name, rest := hostfs.NextField(line)
		if len(name) == 0 {
			continue
		}
		number, _ := hostfs.NextField(rest)
		n, err := hostfs.Uint(number)
		if err != nil {
			return fmt.Errorf("line %.100q: %w", line, err)
		}
		if f := xfrmFamilies[string(name)]; f != nil {
			w.Uint(f, n)
		}
	}
	return nil
}
