package agent

import (
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct{ collectors, further, want string }{
		{"cpu,time", "--a  --b=1", "--a --b=1 --collector.disable-defaults --collector.cpu --collector.time"},
		{"cpu", "", "--collector.disable-defaults --collector.cpu"},
		{Default, " --a ", "--a"},
	} {
		if got := strings.Join(Flags(c.collectors, c.further), " "); got != c.want {
			t.Errorf("flags of %q, %q are %q", c.collectors, c.further, got)
		}
	}
}
