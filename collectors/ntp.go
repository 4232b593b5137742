package collectors

// What a time server says (NTP, RFC 5905), asked once a scrape. It is meant for
// the daemon on this host: see NTPConfig.ServerIsLocal.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/beevik/ntp"

	"watchpost/internal/expo"
)

var (
	ntpStratum        = expo.Gauge("node_ntp_stratum", "How many servers are between this one and a reference clock.")
	ntpLeap           = expo.Gauge("node_ntp_leap", "Leap second: 0 none, 1 one is added today, 2 one is left out today, 3 the clock is not set.")
	ntpRTT            = expo.Gauge("node_ntp_rtt_seconds", "How long the server took to answer.")
	ntpOffset         = expo.Gauge("node_ntp_offset_seconds", "How far the server's clock is ahead of this host's.")
	ntpReference      = expo.Gauge("node_ntp_reference_timestamp_seconds", "When the server's clock was set last; 0 for never.")
	ntpRootDelay      = expo.Gauge("node_ntp_root_delay_seconds", "Round trip from the server to its reference clock.")
	ntpRootDispersion = expo.Gauge("node_ntp_root_dispersion_seconds", "How far the server may be off its reference clock.")
	ntpSanity         = expo.Gauge("node_ntp_sanity", "Whether the server's answer makes sense and is within the limits asked for.")
)

// What node_exporter's flags say by default.
const (
	DefaultNTPServer      = "127.0.0.1"
	DefaultNTPPort        = 123
	DefaultNTPVersion     = 4
	DefaultNTPTTL         = 1
	DefaultNTPMaxDistance = 3466080 * time.Microsecond // 1.5 s and what a clock may drift in 2^17 s
	DefaultNTPTolerance   = time.Millisecond
)

// ntpTimeout is how long an answer is waited for.
const ntpTimeout = time.Second

// NTPConfig configures the ntp collector.
type NTPConfig struct {
	Server          string // an address of this host, unless ServerIsLocal
	Port            int
	ProtocolVersion int  // 2 to 4
	ServerIsLocal   bool // the user's word that the server is not a public one
	TTL             int
	MaxDistance     time.Duration // how far the reference clock may be for sanity
	OffsetTolerance time.Duration // how far the host's clock may be off for sanity
}

type ntpCollector struct {
	cfg  NTPConfig
	leap time.Time // the midnight of the last leap second announced
}

func newNTP(c Config) (Collector, error) {
	cfg := c.NTP
	switch ip := net.ParseIP(cfg.Server); {
	case !cfg.ServerIsLocal && (ip == nil || !ip.IsLoopback()):
		return nil, fmt.Errorf("server %q is not a loopback address; to ask another one, say that it is local to you (server-is-local)", cfg.Server)
	case cfg.ProtocolVersion < 2 || cfg.ProtocolVersion > 4:
		return nil, fmt.Errorf("protocol version %d must be 2, 3 or 4", cfg.ProtocolVersion)
	case cfg.OffsetTolerance < 0:
		return nil, errors.New("the offset tolerance cannot be negative")
	case cfg.Port < 1 || cfg.Port > 65535:
		return nil, fmt.Errorf("server port %d must be 1 to 65535", cfg.Port)
	}
	return &ntpCollector{cfg: cfg}, nil
}

// Collect implements Collector.
func (n *ntpCollector) Collect(ctx context.Context, w *expo.Writer) error {
	r, err := ntp.QueryWithOptions(n.cfg.Server, ntp.QueryOptions{
		Version: n.cfg.ProtocolVersion, TTL: n.cfg.TTL, Port: n.cfg.Port, Timeout: within(ctx, ntpTimeout),
	})
	if err != nil {
		if op := new(net.OpError); errors.As(err, &op) { // without the port of this side, another each time
			err = op.Err
		}
		return fmt.Errorf("ask NTP server %s: %w", net.JoinHostPort(n.cfg.Server, strconv.Itoa(n.cfg.Port)), err)
	}
	w.Uint(ntpStratum, uint64(r.Stratum))
	w.Uint(ntpLeap, uint64(r.Leap))
	w.Sample(ntpRTT, r.RTT.Seconds())
	w.Sample(ntpOffset, r.ClockOffset.Seconds())
	reference := 0.0
	if r.ReferenceTime.Unix() > 0 {
		reference = float64(r.ReferenceTime.UnixNano()) / 1e9
	}
	w.Sample(ntpReference, reference)
	w.Sample(ntpRootDelay, r.RootDelay.Seconds())
	w.Sample(ntpRootDispersion, r.RootDispersion.Seconds())
	w.Uint(ntpSanity, truth(n.sane(r)))
	return nil
}

// sane judges an answer. For a day before and after a leap second the clock may be
// off by one: servers smear it, and forget that they announced it.
func (n *ntpCollector) sane(r *ntp.Response) bool {
	const day = 24 * time.Hour
	if r.Leap == ntp.LeapAddSecond || r.Leap == ntp.LeapDelSecond {
		n.leap = r.Time.Truncate(day).Add(day)
	}
	tolerance := n.cfg.OffsetTolerance
	if n.leap.Add(-day).Before(r.Time) && r.Time.Before(n.leap.Add(day)) {
		tolerance += time.Second
	}
	return r.Validate() == nil && r.RootDistance <= n.cfg.MaxDistance && r.MinError <= tolerance
}

// within is a time to wait, cut to what is left of the scrape.
func within(ctx context.Context, d time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, max(time.Until(deadline), time.Millisecond))
	}
	return d
}
