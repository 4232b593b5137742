package collectors

import (
	"fmt"
	"strings"
	"testing"

	"watchpost/internal/expo"
)

func TestXfrm(t *testing.T) {
	same(t, render(t, make1(t, "xfrm", on(tree(t, map[string]string{"proc/net/xfrm_stat": "XfrmInError             \t1\nXfrmOfTomorrow 5\nXfrmAcquireError 77"})))),
		`# TYPE node_xfrm_in_error_packets_total counter
node_xfrm_in_error_packets_total 1
# TYPE node_xfrm_acquire_error_packets_total counter
node_xfrm_acquire_error_packets_total 77
`)
	refuses(t, "xfrm", "proc/net/xfrm_stat", map[string]string{"no number": "XfrmInError\n", "not a number": "XfrmInError 1\nXfrmInNoPols x\n"})
}

// The name of each family is that of the kernel's counter, taken apart.
func TestXfrmNames(t *testing.T) {
	names := make(map[string]bool)
	for key, f := range xfrmFamilies {
		var want strings.Builder
		for i, r := range strings.TrimPrefix(key, "Xfrm") {
			if i > 0 && r >= 'A' && r <= 'Z' {
				want.WriteByte('_')
			}
			want.WriteString(strings.ToLower(string(r)))
		}
		if name := "node_xfrm_" + want.String() + "_packets_total"; f.Name() != name {
			t.Errorf("%s is %s, want %s", key, f.Name(), name)
		}
		if names[f.Name()] {
			t.Errorf("%s is there twice", f.Name())
		}
		names[f.Name()] = true
	}
}

func FuzzXfrm(f *testing.F) {
	f.Add([]byte(fmt.Sprintln("XfrmInError", 1)))
	f.Add([]byte("XfrmInError\t\n\n1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var w expo.Writer
		if collectXfrm(b, &w) == nil {
			readable(t, b, &w)
		}
	})
}
