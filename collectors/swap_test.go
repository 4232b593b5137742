package collectors

import (
	"strings"
	"testing"
)

const swapHead = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

func TestSwap(t *testing.T) {
	c := make1(t, "swap", on(tree(t, map[string]string{"proc/swaps": swapHead +
		"/dev/sda2                               partition\t2097148\t\t1024\t\t-2\n" +
		"/var/swap                               file\t\t1048572\t\t0\t\t10\n"})))
	same(t, render(t, c), `# TYPE node_swap_size_bytes gauge
node_swap_size_bytes{device="/dev/sda2",swap_type="partition"} 2147479552
node_swap_size_bytes{device="/var/swap",swap_type="file"} 1073737728
# TYPE node_swap_used_bytes gauge
node_swap_used_bytes{device="/dev/sda2",swap_type="partition"} 1048576
node_swap_used_bytes{device="/var/swap",swap_type="file"} 0
# TYPE node_swap_priority gauge
node_swap_priority{device="/dev/sda2",swap_type="partition"} -2
node_swap_priority{device="/var/swap",swap_type="file"} 10
`)
	same(t, render(t, make1(t, "swap", on(tree(t, map[string]string{"proc/swaps": swapHead})))), "")
}

func TestSwapBad(t *testing.T) {
	for _, line := range []string{"/dev/sda2", "/dev/sda2 partition 1 2", "/dev/sda2 partition 1 x 0", "/dev/sda2 partition -1 0 0"} {
		c := make1(t, "swap", on(tree(t, map[string]string{"proc/swaps": swapHead + line})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/swaps") {
			t.Errorf("%q: error %v, said %q", line, err, out)
		}
	}
}

func FuzzSwap(f *testing.F) {
	f.Add([]byte("/dev/sda2                               partition\t2097148\t\t1024\t\t-2"))
	f.Add([]byte("/dev/sda2 partition"))
	f.Add([]byte("Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 2097148 1024 -2\n"))
	c, _ := newSwap(DefaultConfig())
	f.Fuzz(func(t *testing.T, line []byte) {
		c.(*swap).parse(line)
		if device, kind, _, err := parseSwap(line); err == nil && (len(device) == 0 || len(kind) == 0) {
			t.Errorf("%q: no device or type", line)
		}
	})
}
