package collectors

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"watchpost/internal/expo"
)

const interruptsText = `           CPU0       CPU3       
  1:      2741        105   IO-APIC   1-edge      i8042
 16:          0          3  IO-APIC-level   uhci_hcd:usb3, ahci
FIQ:              usb_fiq
IPI0:       12         34       Rescheduling interrupts
ERR:          0
`

func TestInterrupts(t *testing.T) {
	const (
		header   = "# TYPE node_interrupts_total counter\n"
		keyboard = `node_interrupts_total{cpu="0",type="1",info="IO-APIC",devices="1-edge i8042"} 2741
node_interrupts_total{cpu="3",type="1",info="IO-APIC",devices="1-edge i8042"} 105
`
		usb0 = `node_interrupts_total{cpu="0",type="16",info="IO-APIC-level",devices="uhci_hcd:usb3, ahci"} 0
`
		usb3 = `node_interrupts_total{cpu="3",type="16",info="IO-APIC-level",devices="uhci_hcd:usb3, ahci"} 3
`
		ipi = `node_interrupts_total{cpu="0",type="IPI0",info="Rescheduling interrupts",devices=""} 12
node_interrupts_total{cpu="3",type="IPI0",info="Rescheduling interrupts",devices=""} 34
`
	)
	for _, c := range []struct {
		name string
		cfg  InterruptsConfig
		want string
	}{
		{"all", InterruptsConfig{IncludeZeros: true}, header + keyboard + usb0 + usb3 + ipi},
		{"no zeros", InterruptsConfig{}, header + keyboard + usb3 + ipi},
		{"include", InterruptsConfig{IncludeZeros: true, NameInclude: "^16;|i8042$"}, header + keyboard + usb0 + usb3},
		{"both", InterruptsConfig{IncludeZeros: true, NameInclude: "^(1|IPI)", NameExclude: ";.*usb3"}, header + keyboard + ipi},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := on(tree(t, map[string]string{"proc/interrupts": interruptsText}))
			cfg.Interrupts = c.cfg
			collector := make1(t, "interrupts", cfg)
			same(t, render(t, collector), c.want)
			same(t, render(t, collector), c.want) // from what it remembers
		})
	}
}

// A CPU or device that comes or goes changes the lines.
func TestInterruptsChange(t *testing.T) {
	fs := tree(t, map[string]string{"proc/interrupts": interruptsText})
	c := make1(t, "interrupts", on(fs))
	render(t, c)
	write(t, fs.ProcPath("interrupts"), "  CPU1\n 7: 5 GIC eth0\n", false)
	same(t, render(t, c), "# TYPE node_interrupts_total counter\n"+`node_interrupts_total{cpu="1",type="7",info="GIC",devices="eth0"} 5`+"\n")
}

func TestInterruptsRefuses(t *testing.T) {
	refuses(t, "interrupts", "proc/interrupts", map[string]string{
		"empty": "", "no colon": "CPU0\n1 2 3\n", "bad count": "CPU0 CPU1\n 1: 1 x IO eth0\n", "negative": "CPU0 CPU1\n 1: 1 -1 IO eth0\n",
	})
	cfg := on(tree(t, nil))
	cfg.Interrupts.NameInclude = "("
	if _, err := newInterrupts(cfg); err == nil {
		t.Error("a bad pattern passes")
	}
}

// Each line of the live file that has a text for each CPU is there.
func TestInterruptsLive(t *testing.T) {
	b, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		t.Skip(err)
	}
	got := slices.Collect(maps.Keys(values(t, render(t, make1(t, "interrupts", DefaultConfig())))))
	if want := strings.Count(string(b), "interrupts\n"); want == 0 || len(got) < want {
		t.Errorf("%d series of %d lines", len(got), want)
	}
}

func FuzzInterrupts(f *testing.F) {
	f.Add([]byte(interruptsText))
	f.Add([]byte("CPU0\n:1 a"))
	c, _ := newInterrupts(DefaultConfig())
	f.Fuzz(func(t *testing.T, b []byte) {
		var w expo.Writer
		if c.(*interrupts).collect(b, &w) == nil {
			readable(t, b, &w)
		}
	})
}
