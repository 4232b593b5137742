package collectors

// The kernel's random numbers, from /proc/sys/kernel/random (kernel:
// Documentation/admin-guide/sysctl/kernel.rst, drivers/char/random.c). Since
// Linux 5.18 both are 256 once the generator has been seeded.

import (
	"context"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	entropyAvailable = expo.Gauge("node_entropy_available_bits", "Entropy that the kernel has gathered, in bits.")
	entropyPool      = expo.Gauge("node_entropy_pool_size_bits", "Entropy that the kernel's pool can hold, in bits.")
)

type entropy struct{ available, pool *hostfs.File }

func newEntropy(c Config) (Collector, error) {
	return entropy{c.FS.ProcFile("sys/kernel/random/entropy_avail").Lines(64), c.FS.ProcFile("sys/kernel/random/poolsize").Lines(64)}, nil
}

// Collect implements Collector.
func (e entropy) Collect(_ context.Context, w *expo.Writer) error {
	available, err := readUint(e.available)
	if err != nil {
		return absent(err)
	}
	pool, err := readUint(e.pool)
	if err != nil {
		return absent(err)
	}
	w.Uint(entropyAvailable, available)
	w.Uint(entropyPool, pool)
	return nil
}
