package collectors

import (
	"os"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

func TestCPUVulnerabilities(t *testing.T) {
	const dir = "sys/devices/system/cpu/vulnerabilities/"
	c := make1(t, "cpu_vulnerabilities", on(tree(t, map[string]string{
		dir + "mds":       "Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable\n",
		dir + "meltdown":  "Not affected\n",
		dir + "retbleed":  "Mitigation: Enhanced IBRS\n",
		dir + "spectre":   "KVM: Mitigation: VMX \"off\"\n",
		dir + "srbds":     "Unknown: Dependent on hypervisor status\n",
		dir + "tsx":       "Vulnerable\n",
		dir + "zenbleed/": "", // not a file
	})))
	text, err := renderErr(c)
	same(t, text, `# TYPE node_cpu_vulnerabilities_info gauge
node_cpu_vulnerabilities_info{codename="mds",mitigation="Clear CPU buffers attempted, no microcode; SMT vulnerable",state="vulnerable"} 1
node_cpu_vulnerabilities_info{codename="meltdown",mitigation="",state="not affected"} 1
node_cpu_vulnerabilities_info{codename="retbleed",mitigation="Enhanced IBRS",state="mitigation"} 1
node_cpu_vulnerabilities_info{codename="spectre",mitigation="KVM: Mitigation: VMX \"off\"",state="unknown"} 1
node_cpu_vulnerabilities_info{codename="srbds",mitigation="Dependent on hypervisor status",state="unknown"} 1
node_cpu_vulnerabilities_info{codename="tsx",mitigation="",state="vulnerable"} 1
`)
	if err == nil || !strings.Contains(err.Error(), "zenbleed") {
		t.Errorf("what cannot be read is not named: %v", err)
	}
}

func TestCPUVulnerabilitiesLive(t *testing.T) {
	names, err := os.ReadDir("/sys/devices/system/cpu/vulnerabilities")
	if err != nil {
		t.Skip(err)
	}
	if n := strings.Count(render(t, make1(t, "cpu_vulnerabilities", on(hostfs.Default))), "\nnode_"); n != len(names) {
		t.Errorf("%d series of %d files", n, len(names))
	}
}

func FuzzParseVulnerability(f *testing.F) {
	for _, s := range []string{"Not affected", "Mitigation: x", "vulnerable", "Unknown: no mitigations", "", "KVM: Vulnerable"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		state, mitigation := parseVulnerability(s)
		if state == "" || len(mitigation) > len(s) {
			t.Errorf("%q: %q, %q", s, state, mitigation)
		}
	})
}
