package collectors

import (
	"errors"
	"strings"
	"testing"
)

func TestEntropy(t *testing.T) {
	c := make1(t, "entropy", on(tree(t, map[string]string{
		"proc/sys/kernel/random/entropy_avail": "253\n", "proc/sys/kernel/random/poolsize": "256\n",
	})))
	same(t, render(t, c), `# TYPE node_entropy_available_bits gauge
node_entropy_available_bits 253
# TYPE node_entropy_pool_size_bits gauge
node_entropy_pool_size_bits 256
`)
}

func TestEntropyBad(t *testing.T) {
	for _, text := range []string{"", "many\n", "-1\n"} {
		c := make1(t, "entropy", on(tree(t, map[string]string{
			"proc/sys/kernel/random/entropy_avail": "253\n", "proc/sys/kernel/random/poolsize": text,
		})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "random/poolsize") || errors.Is(err, ErrNoData) {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}
