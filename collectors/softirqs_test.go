package collectors

import (
	"testing"

	"watchpost/internal/expo"
)

const softirqsText = `                    CPU0       CPU2       
          HI:          7          1
      NET_RX:      5120     730
`

func TestSoftirqs(t *testing.T) {
	same(t, render(t, make1(t, "softirqs", on(tree(t, map[string]string{"proc/softirqs": softirqsText})))), `# TYPE node_softirqs_functions_total counter
node_softirqs_functions_total{cpu="0",type="HI"} 7
node_softirqs_functions_total{cpu="2",type="HI"} 1
node_softirqs_functions_total{cpu="0",type="NET_RX"} 5120
node_softirqs_functions_total{cpu="2",type="NET_RX"} 730
`)
	refuses(t, "softirqs", "proc/softirqs", map[string]string{
		"no header": "", "no CPUs": "\nHI: 1\n", "other header": "CPU0 GPU1\n HI: 1 2\n", "CPU without number": "CPU\nHI: 1\n",
		"too few": "CPU0 CPU1\nHI: 1\n", "no colon": "CPU0\nHI 1\n", "not a number": "CPU0\nHI: x\n",
	})
}

func FuzzSoftirqs(f *testing.F) {
	f.Add([]byte(softirqsText))
	f.Add([]byte("CPU0\n:1"))
	c, _ := newSoftirqs(DefaultConfig())
	f.Fuzz(func(t *testing.T, b []byte) {
		var w expo.Writer
		if c.(*softirqs).collect(b, &w) == nil {
			readable(t, b, &w)
		}
	})
}

// readable checks that what was written of an input can be read back.
func readable(t *testing.T, input []byte, w *expo.Writer) {
	t.Helper()
	sc := expo.NewScanner(w.Bytes())
	for sc.Next() {
	}
	if sc.Err() != nil {
		t.Errorf("%q: said %q: %v", input, w.Bytes(), sc.Err())
	}
}
