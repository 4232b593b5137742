package collectors

// Services of runit, from SERVICE/supervise/status in its folder of services
// (runsv(8), sv.c of runit): 20 bytes, the time of the last change as a TAI64 label
// (8 bytes, big-endian) with nanoseconds (4), the process (4, little-endian), whether
// it is paused, what is wanted ('u' or 'd'), whether it was told to end, and the
// state (0 down, 1 run, 2 finish). The file SERVICE/down tells that the service
// is not started by itself.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	runitState   = expo.Gauge("node_service_state", "State of the service: 0 down, 1 up, 2 finishing.", "service", "supervisor")
	runitDesired = expo.Gauge("node_service_desired_state", "State that the service shall have: 0 down, 1 up.", "service", "supervisor")
	runitNormal  = expo.Gauge("node_service_normal_state", "State that the service has after a start: 0 down, 1 up.", "service", "supervisor")
	runitChanged = expo.Gauge("node_service_state_last_change_timestamp_seconds", "When the state changed last, in seconds since 1970.", "service", "supervisor")
)

// DefaultRunitServiceDir is where the services are.
const DefaultRunitServiceDir = "/etc/service"

// RunitConfig configures the runit collector.
type RunitConfig struct{ ServiceDir string }

const (
	runitStatusLength = 20
	runitEpoch        = 1<<62 + 10 // the TAI64 label of 1970, as runit counts
)

type runit struct {
	dir      string
	services []runitService // as last read
}

func newRunit(c Config) (Collector, error) { return &runit{dir: c.Runit.ServiceDir}, nil }

// Collect implements Collector.
func (r *runit) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(r.dir)
	if err != nil {
		return absent(err)
	}
	r.services = r.services[:0]
	var failed error
	for _, name := range names {
		s, err := readRunitService(r.dir, name)
		if hostfs.Gone(err) { // no service, or one that no runsv supervises
			continue
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r.services = append(r.services, s)
	}
	const supervisor = "runit"
	for _, s := range r.services {
		w.Sample(runitState, float64(s.state), s.name, supervisor)
	}
	for _, s := range r.services {
		w.Sample(runitDesired, float64(s.desired), s.name, supervisor)
	}
	for _, s := range r.services {
		w.Sample(runitNormal, float64(s.normal), s.name, supervisor)
	}
	for _, s := range r.services {
		w.Sample(runitChanged, float64(s.changed), s.name, supervisor)
	}
	return failed
}

// runitService is one service.
type runitService struct {
	name   string
	normal int
	runitStatus
}

func readRunitService(dir, name string) (runitService, error) {
	path := filepath.Join(dir, name, "supervise", "status")
	b, err := hostfs.Read(path)
	if err != nil {
		return runitService{}, err
	}
	status, err := parseRunitStatus(b)
	if err != nil {
		return runitService{}, fmt.Errorf("%s: %w", path, err)
	}
	s := runitService{name: name, normal: 1, runitStatus: status}
	var st unix.Stat_t
	if unix.Stat(filepath.Join(dir, name, "down"), &st) == nil {
		s.normal = 0
	}
	return s, nil
}

// runitStatus is a status file.
type runitStatus struct {
	changed        int64 // seconds since 1970
	state, desired int
}

func parseRunitStatus(b []byte) (s runitStatus, err error) {
	if len(b) < runitStatusLength {
		return s, fmt.Errorf("%d bytes, want %d", len(b), runitStatusLength)
	}
	s.changed = int64(binary.BigEndian.Uint64(b) - runitEpoch)
	s.state = int(b[19])
	if b[17] == 'u' {
		s.desired = 1
	}
	return s, nil
}
