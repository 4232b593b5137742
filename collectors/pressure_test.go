package collectors

import (
	"os"
	"strings"
	"testing"

	"watchpost/internal/hostfs"
)

var pressureTexts = map[string]string{
	"proc/pressure/cpu":    "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
	"proc/pressure/io":     "some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802\nfull avg10=0.18 avg60=0.34 avg300=0.10 total=159229614\n",
	"proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
	"proc/pressure/irq":    "full avg10=0.00 avg60=0.00 avg300=0.00 total=8494\n",
}

func TestPressure(t *testing.T) {
	fs := tree(t, pressureTexts)
	c := make1(t, "pressure", on(fs))
	want := `# TYPE node_pressure_cpu_waiting_seconds_total counter
node_pressure_cpu_waiting_seconds_total 14.036781000000001
# TYPE node_pressure_io_waiting_seconds_total counter
node_pressure_io_waiting_seconds_total 159.886802
# TYPE node_pressure_io_stalled_seconds_total counter
node_pressure_io_stalled_seconds_total 159.229614
# TYPE node_pressure_memory_waiting_seconds_total counter
node_pressure_memory_waiting_seconds_total 0
# TYPE node_pressure_memory_stalled_seconds_total counter
node_pressure_memory_stalled_seconds_total 0
`
	irq := `# TYPE node_pressure_irq_stalled_seconds_total counter
node_pressure_irq_stalled_seconds_total 0.008494
`
	same(t, render(t, c), want+irq)

	// An older kernel: no irq file, no `full` of the CPU.
	texts := map[string]string{"proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\n"}
	for _, name := range []string{"proc/pressure/io", "proc/pressure/memory"} {
		texts[name] = pressureTexts[name]
	}
	same(t, render(t, make1(t, "pressure", on(tree(t, texts)))), want)
}

// One file that cannot be read costs what it would tell, and is named.
func TestPressureOneBad(t *testing.T) {
	for _, bad := range []string{"some avg10=0.00", "some avg10=0 total=x\n", "full total=\n", "some avg10=0.00 avg60=0.00 avg300=0.00 total=-1"} {
		texts := map[string]string{}
		for name, text := range pressureTexts {
			texts[name] = text
		}
		texts["proc/pressure/io"] = bad
		text, err := renderErr(make1(t, "pressure", on(tree(t, texts))))
		if err == nil || !strings.Contains(err.Error(), "proc/pressure/io") {
			t.Errorf("%q: error %v", bad, err)
		}
		if v := values(t, text); len(v) != 4 || v["node_pressure_irq_stalled_seconds_total"] != 0.008494 {
			t.Errorf("%q: said %v", bad, v)
		}
	}
}

func TestPressureLive(t *testing.T) {
	if _, err := os.ReadFile("/proc/pressure/io"); err != nil {
		t.Skip(err)
	}
	v := values(t, render(t, make1(t, "pressure", on(hostfs.Default))))
	for _, of := range []string{"io", "memory"} {
		waiting, ok := v["node_pressure_"+of+"_waiting_seconds_total"]
		if stalled := v["node_pressure_"+of+"_stalled_seconds_total"]; !ok || stalled > waiting {
			t.Errorf("%s: stalled %v, waiting %v", of, stalled, waiting)
		}
	}
}

func FuzzPressure(f *testing.F) {
	for _, text := range pressureTexts {
		f.Add([]byte(text))
	}
	f.Add([]byte("some total="))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePressure(b)
		if err != nil && p != (pressureTotals{}) || !p.hasSome && p.some != 0 || !p.hasFull && p.full != 0 {
			t.Errorf("%q: %+v, %v", b, p, err)
		}
	})
}
