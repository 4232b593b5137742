package collectors

// Tasks that hung, from /proc/sys/kernel/hung_task_detect_count (kernel:
// Documentation/admin-guide/sysctl/kernel.rst; since Linux 6.13): how often
// khungtaskd found a task that waited uninterruptibly for too long, two minutes
// as a rule.

import (
	"context"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var hungTasks = expo.Counter("node_kernel_hung_tasks_total", "Tasks found hung since boot.")

type kernelHung struct{ file *hostfs.File }

func newKernelHung(c Config) (Collector, error) {
	return kernelHung{c.FS.ProcFile("sys/kernel/hung_task_detect_count").Lines(64)}, nil
}

// Collect implements Collector.
func (k kernelHung) Collect(_ context.Context, w *expo.Writer) error {
	n, err := readUint(k.file)
	if err != nil {
		return absent(err)
	}
	w.Uint(hungTasks, n)
	return nil
}
