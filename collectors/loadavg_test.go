package collectors

import (
	"strings"
	"testing"
)

func TestLoadavg(t *testing.T) {
	c := make1(t, "loadavg", on(tree(t, map[string]string{"proc/loadavg": "0.21 0.37 0.39 1/719 19737\n"})))
	same(t, render(t, c), `# TYPE node_load1 gauge
node_load1 0.21
# TYPE node_load5 gauge
node_load5 0.37
# TYPE node_load15 gauge
node_load15 0.39
`)
}

func TestLoadavgBad(t *testing.T) {
	for _, text := range []string{"", "\n", "0.1 0.2", "0.1 0.2 x 1/2 3", "0.1 -0.2 0.3", "NaN 0 0"} {
		c := make1(t, "loadavg", on(tree(t, map[string]string{"proc/loadavg": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/loadavg") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

func FuzzLoadavg(f *testing.F) {
	f.Add([]byte("0.21 0.37 0.39 1/719 19737\n"))
	f.Add([]byte("0.21 0.37"))
	f.Add([]byte("1e999 -0 0x1p-2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		loads, err := parseLoadavg(b)
		for _, l := range loads {
			if err == nil && !(l >= 0) {
				t.Errorf("%q: load %v", b, l)
			}
		}
	})
}
