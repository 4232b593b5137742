package collectors

// Which attacks on the processor are known and what is done against them, from
// /sys/devices/system/cpu/vulnerabilities (kernel:
// Documentation/ABI/testing/sysfs-devices-system-cpu,
// Documentation/admin-guide/hw-vuln/): a file each, in which a state is followed
// by what is done or missing:
//
//	meltdown:      Not affected
//	retbleed:      Mitigation: untrained return thunk; SMT vulnerable
//	mds:           Vulnerable: Clear CPU buffers attempted, no microcode
//	srbds:         Unknown: Dependent on hypervisor status
//	itlb_multihit: KVM: Mitigation: VMX unsupported

import (
	"context"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var cpuVulnerabilitiesInfo = expo.Gauge("node_cpu_vulnerabilities_info",
	"How the processor stands against an attack that is known: not affected, vulnerable, mitigation or unknown; always 1.",
	"codename", "mitigation", "state")

type cpuVulnerabilities struct{ dir string }

func newCPUVulnerabilities(c Config) (Collector, error) {
	return cpuVulnerabilities{c.FS.SysPath("devices/system/cpu/vulnerabilities")}, nil
}

// Collect implements Collector.
func (v cpuVulnerabilities) Collect(_ context.Context, w *expo.Writer) error {
	names, err := hostfs.ReadDirNames(v.dir)
	if hostfs.Gone(err) {
		return nil // an architecture that keeps no such list
	}
	if err != nil {
		return err
	}
	var failed failures
	for _, name := range names {
		text, err := hostfs.ReadTrimmed(v.dir + "/" + name)
		if err != nil {
			failed.add(err)
			continue
		}
		state, mitigation := parseVulnerability(text)
		w.Sample(cpuVulnerabilitiesInfo, 1, name, mitigation, state)
	}
	return failed.err()
}

// vulnerabilityStates are the words that a file may begin with, small.
var vulnerabilityStates = [...]string{"not affected", "vulnerable", "mitigation", "unknown"}

// parseVulnerability takes a text apart. What begins with none of the states is
// unknown, all of it shown.
func parseVulnerability(text string) (state, mitigation string) {
	for _, s := range vulnerabilityStates {
		if len(text) >= len(s) && strings.EqualFold(text[:len(s)], s) {
			if s == vulnerabilityStates[0] {
				return s, ""
			}
			_, rest, _ := strings.Cut(text, " ")
			return s, strings.Join(strings.Fields(rest), " ")
		}
	}
	return "unknown", text
}
