package collectors

import (
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
)

// statusOf is a status file of runit.
func statusOf(changed int64, state byte, want byte) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(changed)+runitEpoch)
	b = append(b, 0, 0, 0, 9) // nanoseconds
	b = append(b, 123, 0, 0, 0, 0, want, 0, state)
	return string(b)
}

func TestRunit(t *testing.T) {
	host := tree(t, map[string]string{
		"etc/service/sshd/supervise/status": statusOf(1700000000, 1, 'u'),
		"etc/service/cron/supervise/status": statusOf(1700000777, 0, 'd'),
		"etc/service/cron/down":             "",
		"etc/service/new/run":               "#!/bin/sh\n", // no runsv yet
		"etc/service/README":                "text\n",
		"etc/sv/ntp/supervise/status":       statusOf(1, 2, 0),
		"etc/service/ntp":                   "-> ../sv/ntp",
		"etc/service/half/supervise/status": "short",
	})
	cfg := on(host)
	cfg.Runit.ServiceDir = filepath.Join(host.Root, "etc/service")
	out, err := renderErr(make1(t, "runit", cfg))
	if err == nil || !strings.Contains(err.Error(), "half/supervise/status") || strings.Contains(err.Error(), "new") {
		t.Errorf("error %v", err)
	}
	same(t, out, `# TYPE node_service_state gauge
node_service_state{service="cron",supervisor="runit"} 0
node_service_state{service="ntp",supervisor="runit"} 2
node_service_state{service="sshd",supervisor="runit"} 1
# TYPE node_service_desired_state gauge
node_service_desired_state{service="cron",supervisor="runit"} 0
node_service_desired_state{service="ntp",supervisor="runit"} 0
node_service_desired_state{service="sshd",supervisor="runit"} 1
# TYPE node_service_normal_state gauge
node_service_normal_state{service="cron",supervisor="runit"} 0
node_service_normal_state{service="ntp",supervisor="runit"} 1
node_service_normal_state{service="sshd",supervisor="runit"} 1
# TYPE node_service_state_last_change_timestamp_seconds gauge
node_service_state_last_change_timestamp_seconds{service="cron",supervisor="runit"} 1700000777
node_service_state_last_change_timestamp_seconds{service="ntp",supervisor="runit"} 1
node_service_state_last_change_timestamp_seconds{service="sshd",supervisor="runit"} 1700000000
`)
}

func FuzzRunit(f *testing.F) {
	f.Add([]byte(statusOf(1700000000, 1, 'u')))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseRunitStatus(b)
		if (err == nil) != (len(b) >= runitStatusLength) || s.state < 0 || s.desired > 1 {
			t.Errorf("%q: %+v, %v", b, s, err)
		}
	})
}
