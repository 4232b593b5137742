package collectors

import (
	"math"
	"strings"
	"testing"
)

func sysctlConfig(t *testing.T) Config {
	cfg := on(tree(t, map[string]string{
		"proc/sys/vm/swappiness":              "60\n",
		"proc/sys/fs/file-nr":                 "1024\t0\t1631329\n",
		"proc/sys/kernel/shmmax":              "18446744073692774399\n",
		"proc/sys/kernel/sched_autogroup":     "-1\n",
		"proc/sys/net/ipv4/tcp_allowed":       "reno cubic\n",
		"proc/sys/kernel/core_pattern":        "core\n",
		"proc/sys/kernel/huge":                strings.Repeat("1 ", maxSysctl),
		"proc/sys/kernel/modprobe":            "\n",
		"proc/sys/net/ipv4/conf/all/a-b/mode": "7\n",
	}))
	return cfg
}

func TestSysctl(t *testing.T) {
	cfg := sysctlConfig(t)
	cfg.Sysctl.Include = []string{
		"vm.swappiness", "fs.file-nr", "fs.file-nr:total,current,max", "kernel.shmmax", "kernel.sched_autogroup",
		"vm.swappiness", "net.ipv4.conf.all.a-b.mode",
	}
	cfg.Sysctl.IncludeInfo = []string{"net.ipv4.tcp_allowed", "kernel.core_pattern"}
	same(t, render(t, make1(t, "sysctl", cfg)), `# TYPE node_sysctl_vm_swappiness untyped
node_sysctl_vm_swappiness 60
# TYPE node_sysctl_fs_file_nr untyped
node_sysctl_fs_file_nr{index="0"} 1024
node_sysctl_fs_file_nr{index="1"} 0
node_sysctl_fs_file_nr{index="2"} 1631329
# TYPE node_sysctl_fs_file_nr_total untyped
node_sysctl_fs_file_nr_total 1024
# TYPE node_sysctl_fs_file_nr_current untyped
node_sysctl_fs_file_nr_current 0
# TYPE node_sysctl_fs_file_nr_max untyped
node_sysctl_fs_file_nr_max 1631329
# TYPE node_sysctl_kernel_shmmax untyped
node_sysctl_kernel_shmmax 1.8446744073692774e+19
# TYPE node_sysctl_kernel_sched_autogroup untyped
node_sysctl_kernel_sched_autogroup -1
# TYPE node_sysctl_net_ipv4_conf_all_a_b_mode untyped
node_sysctl_net_ipv4_conf_all_a_b_mode 7
# TYPE node_sysctl_info gauge
node_sysctl_info{index="0",name="net.ipv4.tcp_allowed",value="reno"} 1
node_sysctl_info{index="1",name="net.ipv4.tcp_allowed",value="cubic"} 1
node_sysctl_info{index="0",name="kernel.core_pattern",value="core"} 1
`)
}

// One that cannot be read costs itself.
func TestSysctlBad(t *testing.T) {
	for include, want := range map[string]string{
		"kernel.none": "sys/kernel/none", "kernel.core_pattern": `"core" is not`, "fs.file-nr:a,b": "3 values, 2 keys",
		"vm.swappiness:a,b": "1 values, 2 keys", "kernel.modprobe": "no value", "vm": "sys/vm", "kernel.huge": "131072 bytes",
	} {
		cfg := sysctlConfig(t)
		cfg.Sysctl.Include = []string{include, "kernel.sched_autogroup"}
		out, err := renderErr(make1(t, "sysctl", cfg))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", include, err, want)
		}
		same(t, out, "# TYPE node_sysctl_kernel_sched_autogroup untyped\nnode_sysctl_kernel_sched_autogroup -1\n")
	}
	for _, includes := range [][]string{{""}, {"."}, {"../.."}, {"a.b", "a-b"}, {"a:x,x"}, {"a.b:c", "a:b_c"}} {
		cfg := DefaultConfig()
		cfg.Sysctl.Include = includes
		if _, err := build(cfg, []string{"sysctl"}); err == nil {
			t.Errorf("%q are accepted", includes)
		}
	}
	cfg := DefaultConfig()
	cfg.Sysctl.IncludeInfo = []string{"a:b"}
	if _, err := build(cfg, []string{"sysctl"}); err == nil {
		t.Error("keys of texts are accepted")
	}
}

func FuzzSysctl(f *testing.F) {
	f.Add("1024\t0\t1631329")
	f.Add("0x1f -7 18446744073709551615")
	f.Add("core")
	f.Fuzz(func(t *testing.T, text string) {
		texts := strings.Fields(text)
		numbers, err := parseSysctl(texts)
		if err != nil {
			return
		}
		for i, n := range numbers {
			if math.IsNaN(n) || math.IsInf(n, 0) || math.Trunc(n) != n {
				t.Errorf("%q: %v", texts[i], n)
			}
		}
	})
}
